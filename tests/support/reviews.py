"""Reviews that no directory has been read for, of any size: for pages, and what they take."""

from __future__ import annotations

import random

from ldapdb.model import Application, Grant, Policy, User, Window
from ldapdb.protocol.dn import DN
from ldapdb.store.explaining import Link, Reason, Way
from ldapdb.store.holders import Reached
from ldapdb.store.reviewing import Review, Reviewed

__all__ = ["AT", "made_review"]

AT = 1_780_000_000.0  # 2026-05-28
_DAY = 86400.0
_BASE = "ou=remoteapp,dc=example,dc=org"
_FIRST = "Anna Boris Carla David Elena Farid Greta Hugo Ines Jonas Karin Luis Mona Nils Olga Paul"
_LAST = "Adler Brandt Costa Dietz Engel Fuchs Graf Haas Iqbal Jung Krause Lang Meier Novak Otto"
_KINDS = ("notebook", "paraview", "mayavi", "openfoam", "jupyter", "octave", "gmsh", "salome")


def made_review(
    users: int, applications: int, each: tuple[int, int], reasons: tuple[Reason, ...] = ()
) -> Review:
    """Make a review of users who have between so many and so many of the applications."""
    chance = random.Random(7)
    images = [
        f"simphony/{_KINDS[n % len(_KINDS)]}:{n // len(_KINDS)}.{n % 7}"
        for n in range(applications)
    ]
    rights = [_rights(chance, number, image) for number, image in enumerate(images)]
    people = []
    for number in range(users):
        name = f"{chance.choice(_FIRST.split())}.{chance.choice(_LAST.split())}{number}".lower()
        dn = DN.parse(f"uid={name},ou=people,dc=example,dc=org")
        mine = chance.sample(rights, chance.randint(*each))
        obstacle = f"the name {name!r} belongs to 2 entries" if number % 997 == 5 else ""
        held = tuple(chance.choice(of_image) for of_image in mine)
        people.append(Reviewed(User(number, name, dn), obstacle, held))
    people.sort(key=lambda who: who.user.name)
    registered = tuple(
        Application(number, image, DN.parse(f"cn=a{number},{_BASE}"))
        for number, image in enumerate(images)
    )
    servers = ("ldaps://ldap1.example.org", "ldaps://ldap2.example.org")
    account = "cn=reader,ou=services,dc=example,dc=org"
    return Review(registered, tuple(people), reasons, servers, DN.parse(_BASE), account, AT)


def _rights(chance: random.Random, number: int, image: str) -> list[Reached]:
    """Make the ways in which one image is held: by a grant, a group, a group in a group."""
    made: list[Reached] = []
    ends = (None, None, None, AT + 12 * _DAY, AT + 200 * _DAY, AT - 3 * _DAY)
    for policy in (
        Policy(),
        Policy.of(allow_home=True),
        Policy.of(allow_home=True, app_license="K"),
    ):
        window = Window(None, chance.choice(ends))
        dn = DN.parse(f"cn=g{number}-{len(made)},ou=grants,{_BASE}")
        grant = Grant(dn, (image,), policy, window)
        inner = DN.parse(f"cn=team-{number % 40},ou=groups,dc=example,dc=org")
        outer = DN.parse(f"cn=department-{number % 9},ou=groups,dc=example,dc=org")
        last = Link(dn, "member")
        ways = [
            Way((last,), grant),
            Way((Link(inner, "member"), last), grant),
            Way((Link(inner, "member"), Link(outer, "member"), last), grant),
        ]
        some = tuple(ways[len(made) : len(made) + chance.randint(1, 2)])
        made.append(Reached(image, policy, (grant,), some))
    return made

"""The company that is measured: users, applications and grants, as LDIF in a stream.

All of it follows from the number of users, so that two runs measure the same. At every
size a user with grants has five of them, on five images: what grows is only what is beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

__all__ = ["PAGE_APPLICATIONS", "PAGE_USER", "Grant", "Size", "dn_of", "ldif", "people"]

SUFFIX = "dc=example,dc=org"
USERS = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
BASE = f"ou=remoteapp,{SUFFIX}"
APPLICATIONS = 300
MEMBERS = 100
GRANTS_OF_A_USER = 5
_MOST_GRANTS = 20_000
# One who has more than the others, for the host's application page.
PAGE_USER = "page"
PAGE_APPLICATIONS = 40

# The last part of an entryUUID says what it is of, so that no two are equal.
_UUID = "{kind:08x}-0000-4000-8000-{number:012x}"


@dataclass(frozen=True)
class Grant:
    """One grant.

    Parameters
    ----------
    number : int
        Its place among all.
    image : str
        What it grants.
    home, view : bool
        Its policy.
    volume : str, optional
        The volume of its policy.
    members : tuple of str
        Names of users.
    """

    number: int
    image: str
    home: bool
    view: bool
    volume: Optional[str]
    members: tuple[str, ...]


@dataclass(frozen=True)
class Size:
    """How much there is.

    Parameters
    ----------
    users : int
        Besides :data:`PAGE_USER`; at least 1,000.
    """

    users: int

    @property
    def grants(self) -> int:
        """Of 100 members each: one for 20 users, and no more than 20,000."""
        return min(self.users * GRANTS_OF_A_USER // MEMBERS, _MOST_GRANTS)

    @property
    def entitled(self) -> int:
        """How many users have grants; the first of all."""
        return self.grants * MEMBERS // GRANTS_OF_A_USER

    def names(self) -> Iterator[str]:
        """Name all users."""
        yield PAGE_USER
        yield from map(name_of, range(self.users))

    def iter_grants(self) -> Iterator[Grant]:
        """Make the grants: each hundred of users shares five."""
        blocks = self.entitled // MEMBERS
        for number in range(self.grants):
            turn, block = divmod(number, blocks)
            members = [name_of(block * MEMBERS + each) for each in range(MEMBERS)]
            if number < PAGE_APPLICATIONS:
                members.append(PAGE_USER)
            yield Grant(
                number=number,
                image=image_of((block + turn * APPLICATIONS // GRANTS_OF_A_USER) % APPLICATIONS),
                home=number % 2 == 0,
                view=number % 3 == 0,
                volume="/data/shared:/data:ro" if number % 4 == 0 else None,
                members=tuple(members),
            )


def name_of(number: int) -> str:
    """Name a user."""
    return f"user{number:07}"


def image_of(number: int) -> str:
    """Name an image."""
    return f"simphony/application-{number:03}:1.0"


def dn_of(name: str) -> str:
    """Return the DN of a user."""
    return f"uid={name},{USERS}"


def people(size: Size) -> Iterator[str]:
    """Make the tree and all users, parents first, for slapadd."""
    yield f"dn: {SUFFIX}\nobjectClass: organization\nobjectClass: dcObject\no: Example\n"
    yield "dc: example\n\n"
    for base in (USERS, GROUPS, BASE, f"ou=applications,{BASE}", f"ou=grants,{BASE}"):
        name = base.partition(",")[0].partition("=")[2]
        yield f"dn: {base}\nobjectClass: organizationalUnit\nou: {name}\n\n"
    for number, name in enumerate(size.names()):
        yield (
            f"dn: {dn_of(name)}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: Person {number}\n"
            f"sn: Person\nmail: {name}@example.org\n"
            f"entryUUID: {_UUID.format(kind=1, number=number)}\n\n"
        )


def ldif(size: Size) -> Iterator[str]:
    """Make all entries, parents first, for slapadd."""
    yield from people(size)
    for number in range(APPLICATIONS):
        yield (
            f"dn: cn=application-{number:03},ou=applications,{BASE}\n"
            "objectClass: remoteAppGroup\nobjectClass: remoteAppApplication\n"
            f"remoteAppImage: {image_of(number)}\n"
            f"entryUUID: {_UUID.format(kind=2, number=number)}\n\n"
        )
    yield from map(_entry, size.iter_grants())


def _entry(grant: Grant) -> str:
    lines = [
        f"dn: cn=grant-{grant.number:05},ou=grants,{BASE}",
        "objectClass: remoteAppGroup",
        "objectClass: remoteAppGrant",
        f"remoteAppImage: {grant.image}",
        f"remoteAppAllowHome: {str(grant.home).upper()}",
        f"remoteAppAllowView: {str(grant.view).upper()}",
        *([f"remoteAppVolume: {grant.volume}"] if grant.volume else ()),
        *(f"member: {dn_of(name)}" for name in grant.members),
        f"entryUUID: {_UUID.format(kind=3, number=grant.number)}",
    ]
    return "\n".join(lines) + "\n\n"

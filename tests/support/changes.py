"""Changes that ldapdb makes in several steps, and what may be seen between the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from support.directory import Directory

# User, letter of an image, home, view.
Right = tuple[str, str, bool, bool]

USERS = ("alice", "bob", "carol")
HOME, VIEW, BOTH, PLAIN = (True, False), (False, True), (True, True), (False, False)


@dataclass
class Site:
    """One place where a change is made: images and entries that no other place has.

    Parameters
    ----------
    directory : Directory
        Where alice and bob are, and carol, who is in the group staff.
    tag : str
        What tells it from other places.
    reader : LDAPDatabase
        Sees what is there, through no cache.
    """

    directory: Directory
    tag: str
    reader: Any
    # Entries made by hand, which stay whatever happens.
    kept: list[str] = field(default_factory=list)
    mapping_id: str = ""

    def image(self, letter: str) -> str:
        return f"simphony/{self.tag}:{letter}"

    def name(self, name: str) -> str:
        return f"{self.tag}-{name}"

    def register(self, letters: str) -> None:
        for letter in letters:
            self.reader.create_application(self.image(letter))

    def grant(self, user: str, letter: str, *policy: bool) -> None:
        self.reader.grant_access(self.image(letter), user, *policy, None)

    def granted(self, name: str, letters: str, *members: str, **said: Any) -> None:
        """Let an administrator grant some images to people and groups."""
        dns = [
            self.directory.dn_of(each)
            if each in USERS
            else f"cn={each},{self.directory.groups_base}"
            for each in members
        ]
        images = [self.image(letter) for letter in letters]
        self.kept.append(
            self.directory.granted(self.name(name), images=images, members=dns, **said)
        )

    def clear(self) -> None:
        """Remove what was granted and registered, so that it slows down nothing after it."""
        for unit in ("grants", "applications"):
            for dn in self.directory.below(f"ou={unit},{self.directory.base_dn}"):
                self.directory.delete(dn)

    def rights(self) -> set[Right]:
        """Return who may start what of this place."""
        found = set()
        for name in USERS:
            user = self.reader.get_user(user_name=name)
            for each in self.reader.get_accounting_for_user(user):
                image, _, letter = each.application.image.rpartition(":")
                policy = each.application_policy
                if image == f"simphony/{self.tag}":
                    found.add((name, letter, policy.allow_home, policy.allow_view))
        return found

    def registered(self) -> str:
        """Return the letters of the images that are registered."""
        images = [each.image for each in self.reader.list_applications()]
        return "".join(
            image[-1] for image in sorted(images) if image[:-2] == f"simphony/{self.tag}"
        )


@dataclass(frozen=True)
class Change:
    """One public call that changes a place.

    Parameters
    ----------
    prepare : callable
        Makes what is there before.
    make : callable
        The call on a database.
    registered : (str, str)
        Letters of the images that are registered before and after.
    before, after : set of Right
        Who may start what.
    """

    prepare: Callable[[Site], None]
    make: Callable[[Any, Site], Any]
    registered: tuple[str, str]
    before: frozenset[Right] = frozenset()
    after: frozenset[Right] = frozenset()

    def is_whole(self, site: Site) -> bool:
        """Tell whether all of it is done, and nothing else."""
        return site.registered() == self.registered[1] and site.rights() == self.after

    def check_between(self, site: Site) -> None:
        """See that nobody has more or less than what some step of it gives and takes."""
        rights, registered = site.rights(), set(site.registered())
        assert self.before & self.after <= rights <= self.before | self.after, rights
        before, after = map(set, self.registered)
        assert before & after <= registered <= before | after, registered

    def check_kept(self, site: Site) -> None:
        """See that what was made by hand is there, and that what was removed is no sleeper."""
        for dn in site.kept:
            assert site.directory.exists(dn), dn
        gone = set(self.registered[0]) - set(self.registered[1])
        site.register("".join(sorted(gone)))
        assert site.rights() == self.after, "a grant was left, and counts again"


def _everywhere(user_rights: Iterable[tuple[str, str, tuple[bool, bool]]]) -> frozenset[Right]:
    return frozenset((user, letter, *policy) for user, letter, policy in user_rights)


def _in_many_ways(site: Site) -> None:
    site.register("ab")
    site.grant("alice", "a", *HOME)
    site.grant("bob", "a", *VIEW)
    site.granted("by-hand", "a", "alice", "staff", home=True, view=True)
    site.granted("bundle", "ab", "bob")
    team = site.directory.group(site.name("team"), site.directory.dn_of("bob"))
    site.directory.carry(team, "grant", images=[site.image("a")], home=True)
    site.kept.append(team)


def _by_hand(site: Site) -> None:
    site.kept.append(site.directory.application(site.image("a"), name=site.name("app")))
    site.granted("grant", "a", "alice", home=True)


def _shared(site: Site) -> None:
    site.register("abc")
    site.granted("bundle", "abc", "alice", "bob", "staff", home=True)
    alice = site.reader.get_user(user_name="alice")
    [site.mapping_id] = [
        each.id
        for each in site.reader.get_accounting_for_user(alice)
        if each.application.image == site.image("a")
    ]


def _last(site: Site) -> None:
    site.register("a")
    # OpenLDAP's groupOfNames must keep a member.
    is_strict = site.directory.vendor == "openldap" and not site.directory.stock
    kind = {"object_class": "groupOfNames"} if is_strict else {}
    site.granted("grant", "a", "alice", home=True, **kind)


def _one_held(site: Site) -> None:
    site.register("a")
    site.grant("bob", "a", *HOME)


def _both_held(site: Site) -> None:
    _one_held(site)
    site.grant("alice", "a", *HOME)


def _bundled(site: Site) -> None:
    site.register("ab")
    site.granted("bundle", "ab", "bob", home=True)


def _grant(database: Any, site: Site) -> None:
    database.grant_access(site.image("a"), "alice", *HOME, None)


def _revoke(database: Any, site: Site) -> None:
    database.revoke_access(site.image("a"), "alice", *HOME, None)


def _remove(database: Any, site: Site) -> None:
    database.remove_application(app_name=site.image("a"))


_ALL_SHARE = _everywhere((user, letter, HOME) for user in USERS for letter in "abc")

CHANGES = {
    "create": Change(
        prepare=lambda _: None,
        make=lambda database, site: database.create_application(site.image("a")),
        registered=("", "a"),
    ),
    "remove": Change(
        prepare=_in_many_ways,
        make=_remove,
        registered=("ab", "b"),
        before=_everywhere(
            (
                ("alice", "a", HOME),
                ("alice", "a", BOTH),
                ("bob", "a", VIEW),
                ("bob", "a", HOME),
                ("bob", "a", PLAIN),
                ("bob", "b", PLAIN),
                ("carol", "a", BOTH),
            )
        ),
        after=_everywhere([("bob", "b", PLAIN)]),
    ),
    "remove_by_hand": Change(
        prepare=_by_hand,
        make=_remove,
        registered=("a", ""),
        before=_everywhere([("alice", "a", HOME)]),
    ),
    "grant_new": Change(
        prepare=lambda site: site.register("a"),
        make=_grant,
        registered=("a", "a"),
        after=_everywhere([("alice", "a", HOME)]),
    ),
    "grant_existing": Change(
        prepare=_one_held,
        make=_grant,
        registered=("a", "a"),
        before=_everywhere([("bob", "a", HOME)]),
        after=_everywhere([("bob", "a", HOME), ("alice", "a", HOME)]),
    ),
    "grant_beside_a_bundle": Change(
        prepare=_bundled,
        make=_grant,
        registered=("ab", "ab"),
        before=_everywhere([("bob", "a", HOME), ("bob", "b", HOME)]),
        after=_everywhere([("bob", "a", HOME), ("bob", "b", HOME), ("alice", "a", HOME)]),
    ),
    "revoke": Change(
        prepare=_both_held,
        make=_revoke,
        registered=("a", "a"),
        before=_everywhere([("bob", "a", HOME), ("alice", "a", HOME)]),
        after=_everywhere([("bob", "a", HOME)]),
    ),
    "revoke_last": Change(
        prepare=_last,
        make=_revoke,
        registered=("a", "a"),
        before=_everywhere([("alice", "a", HOME)]),
    ),
    "revoke_shared": Change(
        prepare=_shared,
        make=_revoke,
        registered=("abc", "abc"),
        before=_ALL_SHARE,
        after=_ALL_SHARE - {("alice", "a", *HOME)},
    ),
    "revoke_by_id": Change(
        prepare=_shared,
        make=lambda database, site: database.revoke_access_by_id(site.mapping_id),
        registered=("abc", "abc"),
        before=_ALL_SHARE,
        after=_ALL_SHARE - {("alice", "a", *HOME)},
    ),
}


def add_people(directory: Directory) -> None:
    """Add alice and bob, and carol, who is in the group staff."""
    for name in USERS:
        directory.person(name)
    directory.group("staff", directory.dn_of("carol"))

"""What a change makes the caches forget: precisely where it can be, all in doubt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Optional

import pytest

from ldapdb.client import Deadline, RootDSE
from ldapdb.model import Application, Entitlements, User
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.settings import load
from ldapdb.store.caches import Caches, fold
from ldapdb.store.everybody import Shared
from ldapdb.store.invalidation import Invalidation, attributes, deciding
from ldapdb.store.profile import Profile
from ldapdb.vendors import ACTIVE_DIRECTORY, OPENLDAP
from ldapdb.watch import Batch, Change

SUFFIX = "dc=example,dc=org"
ALICE, BOB = (f"uid={name},ou=people,{SUFFIX}" for name in ("alice", "bob"))
OF_ALICE, OF_BOB = ((number, DN.parse(dn)) for number, dn in enumerate((ALICE, BOB)))
STAFF, GRANT, ANOTHER = (f"cn={name},ou=groups,{SUFFIX}" for name in ("staff", "grant", "other"))
APPLICATION = f"cn=app,ou=applications,{SUFFIX}"
ALL = {"users", "ids", "entries", "none", "alice", "bob", "applications", "list", "everybody"}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """Finds one user, and notes that it was asked."""

    asked = False

    def all(self) -> list[User]:
        return self.again([])

    def again(self, dns: Collection[DN]) -> list[User]:  # noqa: ARG002 -- as the protocol has it
        self.asked = True
        return [User(0, "alice", DN.parse(ALICE))]

    def warn(self, shared: Shared) -> None:
        raise AssertionError(shared)


class Memory:
    """Caches in which all is held that a change may concern."""

    def __init__(self, *, vendor: Any = OPENLDAP, **settings: Any) -> None:
        self.clock, self.reader = Clock(), Reader()
        whole = load(uri=["ldap://127.0.0.1"], base_dn=SUFFIX, **settings)
        self.caches = Caches(whole, self.clock)
        dse = RootDSE(vendor, (DN.parse(SUFFIX),), DN(()), frozenset(), "ldap://127.0.0.1")
        self.profile = Profile.make(whole, dse)
        self.invalidation = Invalidation(
            self.caches, self.profile, self.clock, any_class=whole.groups_filter is not None
        )
        self.fill()

    def fill(self) -> None:
        caches = self.caches
        for number, (name, dn) in enumerate({"alice": ALICE, "bob": BOB}.items()):
            user = User(number, name, DN.parse(dn))
            caches.users_by_entry.get(user.entry, lambda user=user: user)  # type: ignore[misc]  # as below
            caches.users_by_name.get(name, lambda user=user: user)  # type: ignore[misc]  # a default
            caches.users_by_id.get(number, lambda user=user: user)  # type: ignore[misc]  # as above
        caches.users_by_name.get("carol", lambda: None)
        application = Application(1, "a/b", DN.parse(APPLICATION))
        caches.applications.get("a/b", lambda: application)
        caches.application_list.get(None, lambda: (application,))
        caches.user_list.get(self.reader, Deadline(1))
        self.reader.asked = False
        of_alice = {DN.parse(each) for each in (ALICE, STAFF, GRANT, APPLICATION)} | {"alice"}
        of_bob = {DN.parse(BOB), "bob", "robert"}
        caches.entitlements.get(OF_ALICE, lambda: Entitlements([], None, of_alice))
        caches.entitlements.get(OF_BOB, lambda: Entitlements([], None, of_bob))

    def forgotten(self) -> set[str]:
        """Tell what is not held any more, and hold it again."""
        caches = self.caches
        caches.user_list.get(self.reader, Deadline(1))
        held: dict[str, object] = {
            "users": caches.users_by_name.peek("alice"),
            "ids": caches.users_by_id.peek(0),
            "entries": caches.users_by_entry.peek(OF_ALICE),
            "alice": caches.entitlements.peek(OF_ALICE),
            "bob": caches.entitlements.peek(OF_BOB),
            "applications": caches.applications.peek("a/b"),
            "list": caches.application_list.peek(None),
            "everybody": None if self.reader.asked else True,
        }
        gone = {name for name, value in held.items() if value is None}
        names = caches.users_by_name
        if names.info().size == sum(names.peek(each) is not None for each in ("alice", "bob")):
            gone.add("none")
        self.fill()
        return gone

    def change(self, before: Optional[str], entry: Optional[Entry]) -> set[str]:
        self.invalidation.take(Batch([Change(before, entry)]))
        return self.forgotten()


def entry(dn: str, **values: Sequence[str]) -> Entry:
    return Entry(
        dn, {name.lower(): [each.encode() for each in some] for name, some in values.items()}
    )


def group(dn: str, *members: str, **values: Sequence[str]) -> Entry:
    return entry(dn, **{"objectClass": ["groupOfNames"], "member": members, **values})


def person(dn: str, name: str) -> Entry:
    return entry(dn, objectClass=["person"], uid=[name])


@pytest.mark.parametrize(
    ("before", "now", "gone"),
    [
        (ALICE, person(ALICE, "alice"), {"everybody", "users", "ids", "entries", "none", "alice"}),
        (ALICE, None, {"everybody", "users", "ids", "entries", "alice"}),
        (ALICE, person(f"uid=x,{SUFFIX}", "x"),
         {"everybody", "users", "ids", "entries", "none", "alice"}),
        (None, person(f"uid=x,{SUFFIX}", "x"), {"everybody", "none"}),
        # Somebody else has her name now, or a form of it.
        (None, person(f"uid=x,{SUFFIX}", "ALICE "), {"everybody", "users", "none", "alice"}),
        # A further name of bob's, so that no memberUid of that name counts any more.
        (None, person(f"uid=x,{SUFFIX}", "Robert"), {"everybody", "none", "bob"}),
        # Somebody else has her id now.
        (None, entry(f"uid=x,{SUFFIX}", objectClass=["person"], uid=["x"], entryUUID=["0" * 32]),
         {"everybody", "none", "ids"}),
        (STAFF, group(STAFF, f"cn=x,{SUFFIX}"), {"alice"}),
        (STAFF, group(f"cn=x,{SUFFIX}", f"cn=y,{SUFFIX}"), {"alice"}),
        (STAFF, None, {"everybody", "alice"}),
        (ANOTHER, group(ANOTHER, BOB.upper()), {"bob"}),
        (ANOTHER, group(ANOTHER, STAFF, BOB), {"alice", "bob"}),
        (None, group(ANOTHER, f"cn=x,{SUFFIX}", "nonsense"), set()),
        (APPLICATION, None, {"everybody", "alice", "applications", "list"}),
        (None, entry(f"cn=x,{SUFFIX}", objectClass=["remoteAppApplication"], uid=[]),
         {"alice", "bob", "applications", "list"}),
        # Nobody sees who is in it: what anybody may start is forgotten.
        (ANOTHER, group(ANOTHER), {"alice", "bob"}),
        (ANOTHER, group(ANOTHER, *(f"cn={n},{SUFFIX}" for n in range(1001))), {"alice", "bob"}),
        (ANOTHER, entry(ANOTHER, objectClass=["groupOfURLs"]), {"alice", "bob"}),
        (ANOTHER, entry(ANOTHER), ALL),
        (None, entry(ANOTHER, objectClass=["x", "remoteAppGrant"]), {"alice", "bob"}),
        # Nobody knows what it was.
        (None, None, ALL),
        ("nonsense", None, ALL),
        # What is nothing of this.
        (None, entry(f"ou=x,{SUFFIX}", objectClass=["organizationalUnit"]), {"everybody"}),
    ],
)  # fmt: skip
def test_a_change_makes_forgotten_what_it_concerns(
    before: Optional[str], now: Optional[Entry], gone: set[str]
) -> None:
    assert Memory().change(before, now) == gone


def test_what_was_found_by_comparing_may_be_anything() -> None:
    """Comparing reads no attributes, so nobody knows what the entry is."""
    assert Memory().change(None, Entry(f"cn=new,{SUFFIX}", {})) == ALL


@pytest.mark.parametrize("attribute", ["memberOf", "isMemberOf", "nsRole"])
@pytest.mark.parametrize("now", [entry(STAFF, objectClass=["groupOfNames"], member=[BOB]), None])
def test_where_groups_let_users_in_a_change_of_a_group_concerns_all(
    attribute: str, now: Optional[Entry]
) -> None:
    """The server computes who is in which group, and no user's entry changes."""
    memory = Memory(users_filter=f"({attribute}=cn=in,dc=example,dc=org)")
    assert memory.change(STAFF, now) == ALL


def test_a_part_of_the_members_is_none() -> None:
    values = {"objectclass": [b"group"], "member;range=0-1499": [b""], "memberuid": [b"x"]}
    assert Memory(vendor=ACTIVE_DIRECTORY).change(ANOTHER, Entry(ANOTHER, values)) == {
        *("alice", "bob"),
    }


def test_members_by_name_are_compared_as_loosely_as_any_directory_does() -> None:
    memory = Memory(group_member_attribute="memberUid")
    joined = entry(ANOTHER, objectClass=["posixGroup"], memberUid=["Alice"])
    assert memory.change(ANOTHER, joined) == {"alice"}
    assert fold("Stra\u00dfe \u00c9") == fold("strasse e\u0301") == "strassee"


def test_where_the_settings_say_what_a_group_is_any_entry_may_be_one() -> None:
    odd = entry(f"ou=x,{SUFFIX}", objectClass=["organizationalUnit"])
    assert Memory(groups_filter="(ou=*)").change(None, odd) == {"alice", "bob"}
    user = person(f"uid=x,{SUFFIX}", "x")
    assert Memory(groups_filter="(ou=*)").change(None, user) == {"everybody", "none"}


def test_a_line_that_cannot_be_read_may_say_anything() -> None:
    memory = Memory(schema="stock")
    bad = entry(ANOTHER, objectClass=["x"], description=["remoteapp application image=a/b bogus=1"])
    assert memory.change(None, bad) == {"alice", "bob", "applications", "list"}


def test_what_a_change_concerns_is_forgotten_once_more() -> None:
    """A server that lags behind the watched one may have answered with what was before."""
    memory = Memory()
    assert memory.change(STAFF, group(STAFF, BOB)) == {"alice", "bob"}
    assert 0 < memory.invalidation.patience() <= 1
    memory.clock.now += 4.9
    assert 0 < memory.invalidation.patience() <= 0.2
    memory.invalidation.take(Batch())
    assert memory.forgotten() == set()
    memory.clock.now += 0.2
    assert memory.invalidation.patience() == 0
    memory.invalidation.take(Batch())
    assert memory.forgotten() == {"alice", "bob"}
    memory.clock.now += 50
    memory.invalidation.take(Batch())
    assert memory.forgotten() == set()


def test_a_storm_takes_no_more_memory_than_a_breeze() -> None:
    """All is forgotten once more, at its end, instead of each change by itself."""
    memory = Memory()
    for _ in range(3000):
        memory.clock.now += 0.001
        memory.invalidation.take(Batch([Change(ANOTHER, group(ANOTHER, BOB))]))
    assert len(memory.invalidation._recent) <= 1001
    memory.forgotten()
    memory.clock.now += 5.1
    memory.invalidation.take(Batch())
    assert memory.forgotten() == ALL


def test_however_long_a_storm_goes_on_all_is_forgotten_once_more_meanwhile() -> None:
    """And what it touches last is, at its own time."""
    memory, times = Memory(), list[float]()
    for _ in range(20_000):
        memory.clock.now += 0.001
        memory.invalidation.take(Batch([Change(ANOTHER, group(ANOTHER, ANOTHER))]))
        if memory.caches.users_by_name.peek("alice") is None:
            times.append(memory.clock.now - 100)
            memory.fill()
    assert [round(each) for each in times] == [5, 10, 15, 20]
    memory.clock.now += 5
    memory.invalidation.take(Batch())
    assert memory.forgotten() == ALL


def test_what_changes_while_all_is_forgotten_once_more_reaches_a_list_that_serves_on() -> None:
    memory = Memory()
    memory.caches.user_list.is_tended = True
    memory.invalidation.take(Batch(everything=True))
    memory.fill()
    memory.clock.now += 5.1
    assert "everybody" in memory.change(ALICE, person(ALICE, "alice"))


def test_what_others_change_is_remembered_to_have_been() -> None:
    """An account that has lost its rights sees nothing, and that must not look like a change."""
    for now in (entry(f"cn=x,{SUFFIX}", objectClass=["remoteAppApplication"]), group(ANOTHER)):
        memory = Memory()
        memory.invalidation.take(Batch([Change(None, now)]))
        assert memory.caches.entitlements.peek(OF_ALICE) is None
        assert memory.caches.entitlements.last(OF_ALICE) is not None
    memory = Memory()
    memory.invalidation.take(Batch([Change(APPLICATION, None)]))
    assert memory.caches.application_list.last(None)


def test_a_member_by_an_attribute_with_an_option_is_one() -> None:
    """A search for the plain attribute finds it (RFC 4511, section 4.5.1.7.1)."""
    values = {"objectclass": [b"groupOfNames"], "member": [STAFF.encode()]}
    also = {**values, "member;lang-en": [BOB.encode()]}
    assert Memory().change(ANOTHER, Entry(ANOTHER, values)) == {"alice"}
    assert Memory().change(ANOTHER, Entry(ANOTHER, also)) == {"alice", "bob"}


def test_where_groups_let_groups_in_a_change_of_a_group_concerns_all() -> None:
    memory = Memory(groups_filter="(memberOf=cn=in,dc=example,dc=org)")
    assert memory.change(STAFF, group(STAFF, BOB)) == ALL


def test_what_is_asked_for_is_all_that_decides() -> None:
    profile = Memory(vendor=ACTIVE_DIRECTORY).profile
    asked = {name.lower() for name in (*attributes(profile), *deciding(profile))}
    assert asked >= {"objectclass", "samaccountname", "member", "useraccountcontrol"}
    assert asked >= {"remoteappimage", "remoteappallowhome", "primarygroupid"}
    stock = Memory(schema="stock").profile
    assert "description" in attributes(stock)

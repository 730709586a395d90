"""``explain`` and ``who``: the host's verdict, with what it comes from or what is missing."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldapdb import errors
from ldapdb.store import Store
from ldapdb.store.explaining import Way
from support import Directory
from support.openldap import Another
from support.policy import Said

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

on_one = pytest.mark.live("openldap", reason="how it is printed is no matter of the directory")
by_rule = pytest.mark.live(
    "openldap", "389ds", "ad", reason="how grants are written is no matter of who is in what"
)
by_name = pytest.mark.live(
    "openldap", "389ds", stock=True, reason="Active Directory's groups do not name users so"
)

IMAGE = "simphony/mayavi:0.5"
OTHER = "simphony/other:1"
PAST, FUTURE = "20200102030405.0Z", "20990102030405.0Z"


@pytest.fixture
def opened(directory: Directory) -> Iterator[Callable[..., Store]]:
    """Open stores, which are closed at the end."""
    stores: list[Store] = []

    def open_store(**given: Any) -> Store:
        stores.append(Store(directory.settings(**given)))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


Opened = Callable[..., Store]


def path(way: Way) -> list[str]:
    """List the names on a way, in small letters: servers spell them in their own way."""
    return [str(link.dn).lower() for link in way.links]


def lower(*dns: str) -> list[str]:
    return [dn.lower() for dn in dns]


def kinds(found: Any) -> list[str]:
    return [reason.kind for reason in found.reasons]


def only(found: Any, kind: str) -> str:
    """Return the text of the only reason, which is to be of this kind."""
    assert kinds(found) == [kind], found.reasons
    text: str = found.reasons[0].text
    return text.lower()


# --- yes


def test_a_yes_shows_every_way_with_its_dns_the_shortest_first(
    directory: Directory, opened: Opened
) -> None:
    alice, bob = directory.person("alice"), directory.person("bob")
    inner = directory.group("inner", alice)
    outer = directory.group("outer", inner)
    directory.application(IMAGE)
    direct = directory.granted("direct", images=[OTHER, IMAGE], members=[alice, bob], home="TRUE")
    nested = directory.granted("nested", images=[IMAGE], members=[outer, inner], home="TRUE")
    store = opened()
    found = store.explain("ALICE", IMAGE)
    assert found.is_allowed
    [right] = found.rights
    assert right.accounting.application_policy.allow_home
    assert [path(way) for way in right.ways] == [
        lower(direct),
        lower(inner, nested),
        lower(inner, outer, nested),
    ]
    assert {link.attribute for way in right.ways for link in way.links} == {"member"}
    assert set(lower(inner, outer)) <= {str(dn).lower() for dn in found.groups}
    assert found.servers == (directory.server.uri,)
    assert found.user is not None
    assert found.user.name == "alice"
    assert found.reasons == ()
    assert found.stated_in == ("description" if directory.stock else "remoteAppImage")
    # Of all images: what another one lacks is told besides.
    everything = store.explain("alice")
    assert everything.is_allowed
    assert OTHER in only(everything, "not-registered")


@by_name
def test_groups_of_login_names_are_told_by_their_attribute(
    directory: Directory, opened: Opened
) -> None:
    directory.person("alice")
    directory.person("bob")
    directory.person("carol")
    posix = f"cn=posix,{directory.groups_base}"
    directory.add(
        f"dn: {posix}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 1000\n"
        "memberUid: alice\nmemberUid: CAROL\nmemberUid: gone\n"
    )
    directory.application(IMAGE)
    grant = directory.granted("staff", images=[IMAGE], members=[posix])
    store = opened(group_member_attribute="memberUid")
    [right] = store.explain("alice", IMAGE).rights
    assert [(link.attribute, str(link.dn)) for link in right.ways[0].links] == [
        ("memberUid", posix),
        ("member", grant),
    ]
    found = store.who(IMAGE)
    # Whether CAROL is carol is the directory's rule; it is asked by both.
    carol = ["carol"] if store.explain("carol", IMAGE).is_allowed else []
    assert [each.user.name for each in found.holders] == ["alice", *carol]
    assert path(found.holders[0].ways[0]) == lower(posix, grant)
    assert not store.explain("bob", IMAGE).is_allowed


@pytest.mark.live("ad", stock=True, reason="others have no primary groups")
def test_primary_groups_are_told_by_the_number_in_the_user(
    directory: Directory, opened: Opened
) -> None:
    directory.person("alice")
    bob = directory.person("bob")
    directory.change(bob, "replace: userAccountControl", "userAccountControl: 514")
    everybody = f"CN=Domain Users,CN=Users,{directory.suffix}"
    directory.application(IMAGE)
    grant = directory.granted("staff", images=[IMAGE], members=[everybody])
    store = opened()
    [right] = store.explain("alice", IMAGE).rights
    assert [path(way) for way in right.ways] == [lower(everybody, grant)]
    assert right.ways[0].links[0].attribute == "primaryGroupID"
    held = {each.user.name: each for each in store.who(IMAGE).holders}
    assert path(held["alice"].ways[0]) == lower(everybody, grant)
    assert not held["bob"].holds
    assert held["bob"].obstacle == "disabled (userAccountControl)"


# --- no


def test_a_no_says_what_is_missing(directory: Directory, opened: Opened) -> None:
    alice = directory.person("alice")
    staff = directory.group("staff", alice)
    others = directory.group("others")
    store = opened()
    assert "not registered" in only(store.explain("alice", IMAGE), "not-registered")
    directory.application(IMAGE)
    nothing = only(store.explain("alice", IMAGE), "no-grant")
    assert "this account sees no grant at all" in nothing
    assert "reaches this user, directly or by a group" in only(store.explain("alice"), "no-grant")
    foreign = directory.granted("foreign", images=[IMAGE], members=[others])
    said = only(store.explain("alice", IMAGE), "not-a-member")
    assert foreign.lower() in said
    assert others.lower() in said
    over = directory.granted("over", images=[IMAGE], members=[staff], not_after=PAST)
    said = only(store.explain("alice", IMAGE), "expired")
    assert over.lower() in said
    assert "2020-01-02 03:04:05 utc" in said
    coming = directory.granted("coming", images=[IMAGE], members=[staff], not_before=FUTURE)
    found = store.explain("alice", IMAGE)
    assert sorted(kinds(found)) == ["expired", "not-begun"]
    assert {str(reason.dn).lower() for reason in found.reasons} == set(lower(over, coming))
    [right] = found.rights
    assert len(right.ways) == len([over, coming])
    near = only(store.explain("alice", "simphony/mayavi:0.6"), "not-registered")
    assert f"there is '{IMAGE}'" in near


def test_a_grant_that_cannot_be_read_is_named_with_the_reason(
    directory: Directory, opened: Opened
) -> None:
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.application(OTHER)
    bad = directory.granted("bad", images=[IMAGE], members=[alice], volume="nonsense")
    store = opened()
    said = only(store.explain("alice", IMAGE), "unreadable")
    assert bad.lower() in said
    assert "volume" in said
    assert "nonsense" in said
    assert not store.explain("alice", IMAGE).is_allowed
    assert kinds(store.explain("alice", OTHER)) == ["no-grant"]
    found = store.who(IMAGE)
    assert bad.lower() in only(found, "unreadable")
    assert not found.is_anybody


@by_rule
def test_nobody_is_told_apart_from_who_is_left_out(directory: Directory, opened: Opened) -> None:
    alice = directory.person("alice")
    found = opened().explain("nobody", IMAGE)
    assert found.user is None
    assert directory.users_base.lower() in only(found, "no-user")
    narrow = opened(users_filter="(description=staff)")
    said = only(narrow.explain("alice", IMAGE), "not-a-user")
    assert alice.lower() in said
    assert "(description=staff)" in said


@pytest.mark.live("389ds", "ad", reason="OpenLDAP's lock needs an overlay")
def test_who_is_locked_is_said_to_be(directory: Directory, opened: Opened) -> None:
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=[alice])
    store = opened()
    assert store.explain("alice", IMAGE).is_allowed
    name = "userAccountControl" if directory.vendor == "ad" else "nsAccountLock"
    value = "514" if directory.vendor == "ad" else "true"
    directory.change(alice, f"replace: {name}", f"{name}: {value}")
    found = store.explain("alice", IMAGE)
    assert not found.is_allowed
    assert name.lower() in only(found, "locked")
    [holder] = store.who(IMAGE).holders
    assert not holder.holds
    assert holder.obstacle == f"disabled ({name})"


@by_rule
def test_what_other_settings_would_give_is_said(directory: Directory, opened: Opened) -> None:
    alice = directory.person("alice")
    inner = directory.group("inner", alice)
    outer = directory.group("outer", inner)
    directory.application(IMAGE)
    grant = directory.granted("staff", images=[IMAGE], members=[outer])
    flat = opened(nested_groups=False)
    found = flat.explain("alice", IMAGE)
    assert not found.is_allowed
    assert sorted(kinds(found)) == ["not-a-member", "not-nested"]
    [nested] = [reason.text.lower() for reason in found.reasons if reason.kind == "not-nested"]
    assert all(dn in nested for dn in lower(grant, inner, outer))
    assert kinds(flat.who(IMAGE)) == ["not-nested"]
    assert flat.who(IMAGE).holders == ()
    elsewhere = opened(groups_base=f"ou=applications,{directory.base_dn}")
    found = elsewhere.explain("alice", IMAGE)
    assert not found.is_allowed
    assert sorted(kinds(found)) == ["not-a-member", "outside"]
    assert kinds(elsewhere.who(IMAGE)) == ["outside"]


# --- who


def test_who_is_everybody_and_through_what(directory: Directory, opened: Opened) -> None:
    alice, bob, carol = (directory.person(name) for name in ("alice", "bob", "carol"))
    directory.person("dave")
    inner = directory.group("inner", alice)
    outer = directory.group("outer", inner, bob)
    directory.application(IMAGE)
    one = directory.granted("one", images=[IMAGE], members=[outer, alice])
    two = directory.granted("two", images=[OTHER, IMAGE], members=[inner], home="TRUE")
    over = directory.granted("over", images=[IMAGE], members=[carol], not_after=PAST)
    found = opened().who(IMAGE)
    told = [
        (each.user.name, each.policy.allow_home, each.holds, [path(way) for way in each.ways])
        for each in found.holders
    ]
    assert told == [
        ("alice", False, True, [lower(one), lower(inner, outer, one)]),
        ("alice", True, True, [lower(inner, two)]),
        ("bob", False, True, [lower(outer, one)]),
        ("carol", False, False, [lower(over)]),
    ]
    assert "2020-01-02" in only(found, "expired")
    assert found.servers == (directory.server.uri,)
    unknown = opened().who(OTHER)
    assert [each.user.name for each in unknown.holders] == ["alice"]
    assert not unknown.is_anybody
    assert OTHER in only(unknown, "not-registered")


@by_rule
def test_who_lists_users_alone(directory: Directory, opened: Opened) -> None:
    """Groups, computers, contacts and devices with a login name are not users.

    On Active Directory groups and computers have ``sAMAccountName``, the default login name.
    """
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.application(IMAGE)
    inner = directory.group("inner", alice, bob)
    if directory.vendor == "ad":
        others = {"computer": "objectClass: computer\nsAMAccountName: other$\n"}
        others["contact"] = "objectClass: contact\n"
        given: dict[str, str] = {}
        kind = "(objectCategory=person)(objectClass=user)"
        computers = f"CN=Domain Computers,CN=Users,{directory.suffix}"  # the primary group
    else:
        others = {"device": "objectClass: device\n", "service": "objectClass: applicationProcess\n"}
        given = {"user_name_attribute": "cn", "users_base": directory.suffix}
        kind, computers = "(objectClass=person)", inner
    named = {f"cn={name},{directory.users_base}": lines for name, lines in others.items()}
    for dn, lines in named.items():
        directory.add(f"dn: {dn}\n{lines}")
    outer = directory.group("outer", inner, *named)
    directory.granted("staff", images=[IMAGE], members=[outer, computers, *named])
    everybody = opened(**given)
    narrow = opened(**given, users_filter=f"(&{kind}(!(cn=bob)))")
    for store, may in ((everybody, {"alice", "bob"}), (narrow, {"alice"})):
        found = store.who(IMAGE)
        assert {each.user.name for each in found.holders} == {"alice", "bob"}
        assert {each.user.name for each in found.holders if each.holds} == may
        assert {each.user.name for each in store.review().people} == {"alice", "bob"}
        told = [each.text.lower() for each in found.reasons if each.kind == "dangling"]
        assert len(told) == len(others)
        assert all("no user and no group" in text for text in told)
        assert all(any(dn.lower() in text for text in told) for dn in named)


@by_rule
def test_members_that_are_nobody_are_named(directory: Directory, opened: Opened) -> None:
    """Active Directory takes the names of who is removed out of groups itself."""
    alice, gone = directory.person("alice"), directory.person("gone")
    unit = directory.unit("Sales")
    members = [alice, unit] if directory.vendor == "ad" else [alice, unit, gone]
    directory.application(IMAGE)
    grant = directory.granted("staff", images=[IMAGE], members=members)
    directory.delete(gone)
    found = opened().who(IMAGE)
    assert [each.user.name for each in found.holders] == ["alice"]
    said = {reason.text.lower() for reason in found.reasons if reason.kind == "dangling"}
    assert any(unit.lower() in text and "no user and no group" in text for text in said)
    assert len(said) == len(members) - 1
    if len(said) > 1:
        assert any(gone.lower() in text and "no entry" in text for text in said)
    assert {str(reason.dn).lower() for reason in found.reasons} == {grant.lower()}


@pytest.mark.live("openldap", "389ds", reason="Active Directory lets nobody share a name")
def test_who_shares_a_name_may_not(directory: Directory, opened: Opened) -> None:
    """The host finds neither of them by it, and so the list does not say that they may."""
    alice = directory.person("alice")
    twin = directory.person("alice", parent=directory.unit("Sales"))
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=[alice, twin])
    found = opened().who(IMAGE)
    assert {str(each.user.dn).lower() for each in found.holders} == set(lower(alice, twin))
    assert not found.is_anybody
    assert all("belongs to 2 entries" in each.obstacle for each in found.holders)
    with pytest.raises(errors.AmbiguousName):
        opened().explain("alice", IMAGE)


@pytest.mark.slow
@pytest.mark.live("openldap", reason="how pages are read is tried on all by the other suites")
def test_a_large_group_is_read_whole(directory: Directory, opened: Opened) -> None:
    """More members than fit into a page, into one filter, or under the server's limit of 500."""
    people = [directory.person(f"user{number}") for number in range(620)]
    directory.application(IMAGE)
    everybody = directory.group("everybody", *people)
    directory.granted("staff", images=[IMAGE], members=[everybody])
    found = opened(page_size=100).who(IMAGE)
    assert len(found.holders) == len(people)
    assert all(each.holds for each in found.holders)
    assert found.reasons == ()


@by_rule
def test_a_grant_hands_nothing_on_that_is_no_group(directory: Directory, opened: Opened) -> None:
    """Where groups_base does not hold the grants, a grant in a grant reaches nobody further."""
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.application(OTHER)
    inner = directory.granted("inner", images=[IMAGE], members=[alice])
    directory.granted("outer", images=[OTHER], members=[inner])
    directory.granted("home", images=[IMAGE], members=[inner], home="TRUE")
    for groups_base, handed_on in ((directory.groups_base, False), (directory.suffix, True)):
        store = opened(groups_base=groups_base)
        assert store.explain("alice", IMAGE).is_allowed
        assert store.explain("alice", OTHER).is_allowed is handed_on
        reasons = [] if handed_on else ["not-a-member", "outside"]
        assert sorted(kinds(store.explain("alice", OTHER))) == reasons
        homes = {each.policy.allow_home for each in store.who(IMAGE).holders}
        assert homes == ({False, True} if handed_on else {False})
        assert store.who(OTHER).is_anybody is handed_on


@by_rule
def test_nothing_comes_from_memory(directory: Directory, opened: Opened) -> None:
    alice = directory.person("alice")
    application = directory.application(IMAGE)
    grant = directory.granted("staff", images=[IMAGE], members=[alice])
    store = opened()
    user = store.get_user("alice")
    assert user is not None
    assert store.list_accountings(user)
    assert store.explain("alice", IMAGE).is_allowed
    directory.delete(application)
    assert kinds(store.explain("alice", IMAGE)) == ["not-registered"]
    assert not store.who(IMAGE).is_anybody
    directory.delete(grant)
    assert store.explain("alice").rights == ()
    directory.delete(alice)
    assert kinds(store.explain("alice")) == ["no-user"]
    assert store.list_accountings(user)  # which is what a host may still be told


# --- the same verdict as the host's


USERS = ("alice", "bob", "carol")
GROUPS = ("g1", "g2", "g3", "g4")
GRANTS = ("r1", "r2", "r3")
IMAGES = (IMAGE, OTHER, "simphony/unknown:1")  # the last one is registered nowhere
EXAMPLES = {"openldap": 15, "389ds": 4, "ad": 4}


@dataclass(frozen=True)
class Stated:
    """What a grant says and whom it has."""

    images: tuple[str, ...]
    home: Optional[str]
    volume: Optional[str]
    not_before: Optional[str]
    not_after: Optional[str]


stated = st.builds(
    Stated,
    images=st.lists(st.sampled_from(IMAGES), min_size=1, max_size=2, unique=True).map(tuple),
    home=st.sampled_from([None, "TRUE"]),
    volume=st.sampled_from([None, None, "/a:/b:ro", "nonsense"]),
    not_before=st.sampled_from([None, None, None, FUTURE]),
    not_after=st.sampled_from([None, None, None, PAST]),
)
members = st.lists(st.sampled_from((*USERS, *GROUPS, *GRANTS)), max_size=3, unique=True)


def restate(directory: Directory, dn: str, what: Stated) -> None:
    """Change by hand what a grant says."""
    said = Said(
        what.images,
        home=what.home,
        volume=what.volume,
        not_before=what.not_before,
        not_after=what.not_after,
    )
    if directory.stock:
        directory._modify(dn, ("replace", "description", [said.line("grant")]))
        return
    none: list[str] = []
    directory._modify(
        dn,
        *(("replace", *pair) for pair in said.attributes().items()),
        *(("replace", name, none) for name in said.absent()),
    )


def agree(
    store: Store, database: Any, dns: dict[str, str], edges: set[tuple[str, str]], somebody: str
) -> None:
    """Compare all answers, those about somebody by image too, and follow each way there is."""
    held: dict[str, set[tuple[str, Any]]] = {image: set() for image in IMAGES}
    for name in USERS:
        user = database.get_user(user_name=name)
        told = {
            (each.application.image, each.application_policy)
            for each in database.get_accounting_for_user(user)
        }
        found = store.explain(name)
        rights = {
            (each.accounting.application.image, each.accounting.application_policy)
            for each in found.rights
            if each.holds
        }
        assert {(image, policy.key) for image, policy in rights} == {
            (image, key(policy)) for image, policy in told
        }
        for image, policy in told:
            held[image].add((name, key(policy)))
        for image in IMAGES if name == somebody else ():
            of_image = store.explain(name, image)
            assert of_image.is_allowed is any(image == each for each, _ in told)
            assert of_image.is_allowed or of_image.reasons
            assert "unseen" not in kinds(of_image)
            for right in of_image.rights:
                assert right.ways
                for way in right.ways:
                    chain = [dns[name].lower(), *path(way)]
                    assert set(zip(chain, chain[1:])) <= edges
    for image in IMAGES:
        who = store.who(image)
        assert {(each.user.name, each.policy.key) for each in who.holders if each.holds} == held[
            image
        ]
    for image, people in reviewed(store).items():
        holders = store.who(image).holders
        assert people == {(h.user, h.policy, h.holds, frozenset(h.ways)) for h in holders}


def reviewed(store: Store) -> dict[str, set[tuple[Any, ...]]]:
    """Sort what a review says by image, in the form of who."""
    review = store.review()
    held: dict[str, set[tuple[Any, ...]]] = {image: set() for image in IMAGES}
    for who in review.people:
        for right in who.rights:
            ways = frozenset(right.ways)
            held[right.image].add((who.user, right.policy, review.holds(who, right), ways))
    return held


def key(policy: Any) -> tuple[object, ...]:
    """Say of a policy of the host's what :attr:`ldapdb.model.Policy.key` says of ours."""
    volume = None
    if policy.volume_source is not None:
        volume = f"{policy.volume_source}:{policy.volume_target}:{policy.volume_mode}"
    license_ = getattr(policy, "app_license", None)
    data = getattr(policy, "allow_startup_data", False)
    return license_, policy.allow_home, policy.allow_view, volume, data


@by_rule
@pytest.mark.slow
def test_the_verdict_is_the_host_s_in_random_directories(
    directory: Directory, opened: Opened
) -> None:
    dns = {name: directory.person(name) for name in USERS}
    dns.update({name: directory.group(name, dns["alice"]) for name in GROUPS})
    for image in IMAGES[:2]:
        directory.application(image)
    dns.update(
        {name: directory.granted(name, images=[IMAGE], members=[dns["alice"]]) for name in GRANTS}
    )
    databases = {
        nested: directory.open(nested_groups=nested, cache_ttl_seconds=0)
        for nested in (True, False)
    }
    stores = {nested: opened(nested_groups=nested) for nested in (True, False)}

    @settings(max_examples=EXAMPLES[directory.vendor], deadline=None)
    @given(
        st.fixed_dictionaries(dict.fromkeys(GRANTS, stated)),
        st.fixed_dictionaries(dict.fromkeys((*GROUPS, *GRANTS), members)),
        st.booleans(),
        st.sampled_from(USERS),
    )
    def check(
        says: dict[str, Stated],
        having: dict[str, Sequence[str]],
        nested: bool,
        somebody: str,
    ) -> None:
        edges = set()
        for holder, names in having.items():
            whole = [dns[name] for name in names if name != holder]
            empty = [""] if directory.vendor == "openldap" else []
            directory._modify(dns[holder], ("replace", "member", whole or empty))
            edges |= {(dn.lower(), dns[holder].lower()) for dn in whole}
        for name, what in says.items():
            restate(directory, dns[name], what)
        agree(stores[nested], databases[nested], dns, edges, somebody)

    check()


# --- what fails is no "no"


@by_rule
@pytest.mark.lengthy
def test_what_cannot_be_read_is_an_error_and_no_explanation(
    directory: Directory, opened: Opened
) -> None:
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=[alice])
    directory.person("bob")
    gone = f"ou=gone,{directory.base_dn}"
    for setting in ("users_base", "groups_base", "grants_base", "applications_base"):
        given = {setting: [gone] if setting == "users_base" else gone}
        with pytest.raises(errors.BaseNotFound, match=setting):
            opened(**given).explain("bob", IMAGE)
    for setting in ("groups_base", "grants_base", "applications_base"):
        with pytest.raises(errors.BaseNotFound, match=setting):
            opened(**{setting: gone}).who(IMAGE)
    through = opened(counted=True, connect_timeout_seconds=0.5, operation_timeout_seconds=0.5)
    assert through.explain("alice", IMAGE).is_allowed
    assert through.who(IMAGE).is_anybody
    asks = (lambda: through.explain("alice", IMAGE), lambda: through.who(IMAGE))
    directory.proxy().seconds_a_byte = 0.005
    for ask in asks:
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded):
            ask()
        assert time.monotonic() - began < 1
    directory.proxy().behave()
    directory.proxy().refuse()
    for ask in asks:
        with pytest.raises(errors.DirectoryUnavailable):
            ask()
    with pytest.raises(errors.InvalidValue):
        opened().explain("alice", "NO IMAGE")


@pytest.mark.live("openldap", reason="how a missing schema is seen is tried on all elsewhere")
def test_a_missing_schema_is_no_no(another_directory: Another) -> None:
    with another_directory(schema=False) as directory:
        directory.person("alice")
        store = Store(directory.settings())
        for ask in (lambda: store.explain("alice", IMAGE), lambda: store.who(IMAGE)):
            with pytest.raises(errors.SchemaMissing):
                ask()
        store.close()


# --- the commands


@pytest.fixture
def run(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process; give its code, and what it printed where."""
    from ldapdb.cli import run as run_command

    for name, value in directory.database_kwargs().items():
        if value:
            monkeypatch.setenv(f"LDAPDB_{name.upper()}", value)

    def run_here(*arguments: str) -> tuple[int, str, str]:
        code = run_command(arguments)
        return code, *capsys.readouterr()

    return run_here


Run = Callable[..., tuple[int, str, str]]


@on_one
def test_the_plain_text_is_stable(directory: Directory, run: Run) -> None:
    alice = directory.person("alice")
    inner = directory.group("inner", alice)
    directory.application(IMAGE)
    grant = directory.granted(
        "staff", images=[IMAGE], members=[inner], home="TRUE", not_after=FUTURE
    )
    code, out, err = run("explain", "alice", IMAGE)
    assert (code, err) == (0, "")
    *lines, read = out.splitlines()
    assert lines == [
        f"yes: alice may start {IMAGE}",
        f"  {IMAGE}, now, policy: home",
        f"    {alice}",
        f"      {inner} (group, by member)",
        f"        {grant} (grant, until 2099-01-02 03:04:05 UTC, by member)",
        f"          remoteAppImage: {IMAGE}",
    ]
    assert read.startswith("  read just now, at 20")
    assert f"from {directory.server.uri}; " in read
    assert "up to 60 s before (cache_ttl_seconds)" in read
    code, out, err = run("who", IMAGE)
    assert (code, err) == (0, "")
    assert [line.split("\t") for line in out.splitlines()] == [
        ["USER", "MAY", "POLICY", "TIME", "THROUGH"],
        ["alice", "yes", "home", "until 2099-01-02 03:04:05 UTC", f"{inner} > {grant}"],
    ]
    assert run("who", IMAGE, "--no-decoration")[1] == "".join(out.splitlines(keepends=True)[1:])


@on_one
def test_the_json_has_all_of_it(directory: Directory, run: Run) -> None:
    alice = directory.person("alice")
    directory.application(IMAGE)
    grant = directory.granted("staff", images=[IMAGE], members=[alice], not_before=PAST)
    _, out, _ = run("explain", "alice", IMAGE, "--json")
    told = json.loads(out)
    [right] = told["rights"]
    way = {
        "grant": grant,
        "not_before": "2020-01-02T03:04:05Z",
        "not_after": None,
        "links": [{"dn": grant, "attribute": "member"}],
    }
    assert right["ways"] == [way]
    assert right["holds"] is told["allowed"] is True
    assert told["user"]["dn"] == alice
    assert told["servers"] == [directory.server.uri]
    assert told["cache_ttl_seconds"] == 60
    assert json.loads(run("user", "show", "alice")[1])["accounting"] == [
        {name: right[name] for name in ("id", "image", "policy")}
    ]
    [holder] = json.loads(run("who", IMAGE, "--json")[1])["holders"]
    assert (holder["dn"], holder["holds"], holder["ways"]) == (alice, True, [way])
    code, out, _ = run("explain", "bob", IMAGE, "--json")
    told = json.loads(out)
    assert (code, told["user"], told["allowed"]) == (1, None, False)
    assert [reason["kind"] for reason in told["reasons"]] == ["no-user"]


@on_one
@pytest.mark.parametrize("command", [("explain", "alice", IMAGE), ("who", IMAGE)])
def test_no_failure_has_the_code_of_a_no(
    directory: Directory, run: Run, monkeypatch: pytest.MonkeyPatch, command: Sequence[str]
) -> None:
    """0 yes, 1 no, 2 it cannot be told, 3 no server; and a failure explains nothing."""
    directory.person("alice")
    code, out, err = run(*command)
    assert code == 1
    assert "not registered" in out + err
    directory.application(IMAGE)
    with monkeypatch.context() as setting:
        setting.setenv("LDAPDB_GRANTS_BASE", f"ou=gone,{directory.base_dn}")
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert "grants_base" in err
    directory.person("other", attributes={"uid": ["alice", "other"]})
    code, out, err = run("explain", "alice", IMAGE)
    assert (code, out) == (2, "")
    assert "belongs to 2 entries" in err
    monkeypatch.setenv("LDAPDB_URI", "ldap://127.0.0.1:1")
    code, out, err = run(*command)
    assert (code, out) == (3, "")
    assert err.startswith("ldapdb: ")


@on_one
def test_a_terminal_gets_a_tree_in_which_names_are_no_style(directory: Directory) -> None:
    name = "alice [bold]"
    alice = directory.person(name, rdn="cn=alice")
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=[alice])
    given = {f"LDAPDB_{key.upper()}": value for key, value in directory.database_kwargs().items()}
    given = {key: value for key, value in given.items() if value}
    environment = {**os.environ, **given, "COLUMNS": "200", "TERM": "xterm"}
    printed = []
    for command in (["explain", name, IMAGE], ["who", IMAGE]):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "ldapdb", *command], env=environment, stdout=theirs
        ) as process:
            os.close(theirs)
            text = b""
            try:
                while part := os.read(ours, 65536):
                    text += part
            except OSError:  # Linux says so when the other end is closed
                pass
            os.close(ours)
        assert process.returncode == 0
        printed.append(text.decode())
    tree, table = printed
    assert f"yes: {name} may start" in tree
    assert "└── remoteAppImage: " in tree
    assert name in table
    assert "───" in table

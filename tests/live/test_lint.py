"""``ldapdb lint``: each thing that may be wrong, and mending that loses nobody."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ldapdb import errors
from ldapdb.model import Policy, Window
from ldapdb.protocol.dn import DN
from ldapdb.protocol.ldif import Delete
from ldapdb.store import Store
from ldapdb.store.linting import Linting
from ldapdb.store.linting_members import Complaint
from ldapdb.store.linting_mend import Mended
from support import Directory
from support.openldap import Another, Private

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

on_one = pytest.mark.live("openldap", reason="how it is printed is no matter of the directory")
kept = pytest.mark.live(
    "openldap", "389ds", stock=True, reason="Active Directory keeps no member that is no entry"
)
by_schema = pytest.mark.live(
    "openldap", "389ds", "ad", reason="how grants are written is no matter of who is in them"
)

IMAGE, OTHER = "simphony/mayavi:0.5", "simphony/other:1"
PAST = "20200102030405.0Z"
HOME = Policy.of(allow_home=True)


@pytest.fixture
def linting(directory: Directory) -> Iterator[Callable[..., Linting]]:
    """Open what lints, and close it at the end."""
    opened: list[Linting] = []

    def open_linting(**given: Any) -> Linting:
        opened.append(Linting(directory.settings(**given)))
        return opened[-1]

    yield open_linting
    for each in opened:
        each.close()


@pytest.fixture
def store(directory: Directory) -> Iterator[Store]:
    opened = Store(directory.settings())
    yield opened
    opened.close()


Open = Callable[..., Linting]


def kinds(found: list[Complaint]) -> list[tuple[str, str]]:
    """Return what is wrong with which entry, by the value of its RDN."""
    return sorted((each.kind, each.dn.partition(",")[0].partition("=")[2]) for each in found)


def test_what_is_well_is_not_complained_of(
    directory: Directory, store: Store, linting: Open
) -> None:
    """A disabled account, a group in a group and another entry may be members."""
    alice = directory.person("alice")
    team = directory.group("team", alice)
    directory.application(IMAGE)
    store.grant(IMAGE, "alice", HOME)
    directory.granted("by hand", images=[IMAGE], members=[team])
    other = directory.group("elsewhere", parent=directory.suffix)
    directory.granted("far", images=[IMAGE], members=[other], view="TRUE")
    assert linting().lint() == []


def test_each_thing_that_is_wrong_is_complained_of(directory: Directory, linting: Open) -> None:
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.application(OTHER)
    directory.application(OTHER, name="again")
    directory.application("simphony/mayavi:0.5-A", name="upper")
    directory.application("simphony/mayavi:0.5-a", name="lower")
    directory.granted("first", images=[IMAGE], members=[alice], home="TRUE")
    directory.granted("second", images=[IMAGE], members=[alice], home="TRUE")
    directory.granted("third", images=[IMAGE, OTHER], members=[alice], home="TRUE")
    directory.granted("nobody", images=[OTHER], view="TRUE")
    directory.granted("over", images=[OTHER], members=[alice], not_after=PAST)
    directory.granted("typo", images=["simphony/nowhere:1"], members=[alice])
    directory.application("simphony/case:Tag", name="case")
    directory.granted("case", images=["simphony/case:tag"], members=[alice])
    directory.granted("volume", images=[IMAGE], members=[alice], volume="data")
    found = linting().lint()
    assert [each.change for each in found if each.change is not None] == []  # none is ours
    doubled = {each.dn.lower().partition(",")[0] for each in found if each.kind == "doubled"}
    assert len(doubled & {"cn=again", f"cn={OTHER}"}) == 1
    told = [each for each in kinds(found) if each[0] not in ("doubled", "same-but-case")]
    # Of two that say the same, the one that was read first is named by the other.
    assert [kind for kind, _ in told].count("duplicate") == 1
    assert [each for each in told if each[0] not in ("duplicate", "overlap")] == [
        ("empty", "nobody"),
        ("expired", "over"),
        ("unreadable", "volume"),
        ("unregistered", "case"),
        ("unregistered", "typo"),
    ]
    assert [each.kind for each in found].count("same-but-case") == 1
    assert [each.kind for each in found].count("overlap") == 2
    case = next(each for each in found if "case" in each.dn and each.kind == "unregistered")
    assert case.text.endswith("'simphony/case:Tag' is")


def test_overlaps_by_way_of_groups_are_complained_of(directory: Directory, linting: Open) -> None:
    """Whatever is over or of another policy does not overlap."""
    alice, bob = directory.person("alice"), directory.person("bob")
    outer = directory.group("outer", directory.group("inner", alice))
    directory.application(IMAGE)
    directory.granted("groups", images=[IMAGE], members=[outer])
    directory.granted("bob", images=[IMAGE], members=[bob])
    directory.granted("home", images=[IMAGE], members=[alice], home="TRUE")
    directory.granted("past", images=[IMAGE], members=[alice], not_after=PAST)
    one = linting()
    assert [kind for kind, _ in kinds(one.lint())] == ["duplicate", "expired"]
    directory.granted("other", images=[OTHER, IMAGE], members=[alice])
    directory.application(OTHER)
    told = [each for each in one.lint() if each.kind == "overlap"]
    assert ["'alice'" in each.text for each in told] == [True]
    assert {"groups", "other"} == {
        name for name in ("groups", "other", "bob", "home") if f"cn={name}," in str(told[0]).lower()
    }


@by_schema
def test_users_of_one_name_are_complained_of(directory: Directory, linting: Open) -> None:
    directory.person("alice")
    unit = directory.unit("other")
    if directory.vendor == "ad":
        found = linting().lint()  # it keeps account names apart by itself
        assert found == []
        return
    directory.person("ALICE", rdn="cn=alice two", parent=unit)
    [told] = linting().lint()
    assert told.kind == "ambiguous-user"
    assert "alice two" in told.text


@by_schema
def test_users_of_one_name_among_several_are_complained_of(
    directory: Directory, linting: Open
) -> None:
    """By each of the names that somebody has; of several attributes the first that finds counts."""
    of_two = ["otherMailbox"] if directory.vendor == "ad" else ["employeeType"]
    of_all = [*of_two, "carLicense" if directory.vendor != "ad" else "otherHomePhone"]
    directory.person("alice", attributes={of_all[0]: ["al", "alice"], of_all[1]: ["bo", "spare"]})
    directory.person("alan", attributes={of_all[0]: ["alan", "AL"], of_all[1]: ["spare"]})
    directory.person("bob", attributes={of_all[0]: ["bob", "bo"], of_all[1]: ["bob"]})
    for attributes, names in ((of_two, {"al"}), (of_all, {"al", "spare"})):
        one = linting(user_name_attribute=",".join(attributes))
        told = [each for each in one.lint() if each.kind == "ambiguous-user"]
        assert {each.text.split("'")[1] for each in told} == names
        with contextlib.closing(Store(directory.settings(user_name_attribute=attributes))) as store:
            for name in ("al", "spare", "alice", "alan", "bo", "bob"):
                if name in names:
                    with pytest.raises(errors.AmbiguousName):
                        store.get_user(name)
                else:
                    store.get_user(name)


@pytest.mark.live(
    "openldap", "389ds", stock=True, reason="Active Directory's groups are of one class"
)
def test_a_login_name_that_is_nobodys_is_complained_of(directory: Directory, linting: Open) -> None:
    """Whoever gets the name has the grant; one who may not log in at present has it still."""
    for name in ("alice", "bob"):
        directory.person(name)
    directory.application(IMAGE)
    posix = f"cn=posix,ou=grants,{directory.base_dn}"
    directory.add(
        f"dn: {posix}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 5000\n"
        "memberUid: alice\nmemberUid: bob\nmemberUid: carol\n"
    )
    directory.carry(posix, "grant", images=[IMAGE])
    one = linting(group_member_attribute="memberUid", users_filter="(!(uid=bob))")
    [told] = one.lint()
    assert (told.kind, told.change) == ("dangling", None)
    assert "'carol'" in told.text
    directory.person("carol")
    assert one.lint() == []


def test_an_entry_whose_name_cannot_be_read_breaks_no_other(
    directory: Directory, linting: Open
) -> None:
    """As our parser and the server's may not agree on what a name is."""
    alice, strange = directory.person("alice"), directory.person("strange")
    directory.application(IMAGE)
    directory.granted("strange", images=[IMAGE], members=[alice, strange])
    directory.granted("typo", images=[OTHER], members=[alice])
    directory.proxy().tamper = lambda data: data.replace(b"=strange,", b"~strange,")
    found = linting(counted=True).lint()
    assert [kind for kind, _ in kinds(found)] == ["unreadable", "unregistered"]


@kept
def test_a_member_that_is_no_entry_is_taken_out_of_a_grant_of_ours(
    directory: Directory, store: Store, linting: Open
) -> None:
    """And of no other; whoever is left stays."""
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.application(IMAGE)
    store.grant(IMAGE, "alice", HOME)
    store.grant(IMAGE, "bob", HOME)
    directory.granted("by hand", images=[IMAGE], members=[alice, bob])
    directory.delete(bob)
    one = linting()
    told = one.lint()
    assert [(each.kind, each.change) for each in told] == [("dangling", None)] * 2
    assert ["--dangling" in each.text for each in told].count(True) == 1
    found = one.lint(dangling=True)
    assert [each.kind for each in found] == ["dangling", "dangling"]
    assert [each.change is not None for each in found].count(True) == 1
    for each in found:
        if each.change is not None:
            assert "the member is out" in one.mend(each.change).text
            assert "somebody else" in one.mend(each.change).text
    [left] = one.lint()
    assert "by hand" in left.dn
    change = next(each.change for each in found if each.change is not None)
    directory.person("bob")
    assert "has come back" in one.mend(change).text
    user = store.get_user("alice")
    assert user is not None
    assert len(store.list_accountings(user)) == 2


def test_an_empty_grant_of_ours_goes_and_one_that_got_a_member_stays(
    directory: Directory, store: Store, linting: Open
) -> None:
    directory.person("alice")
    directory.application(IMAGE)
    directory.application(OTHER)
    for image in (IMAGE, OTHER):
        store.grant(image, "alice", HOME)
        store.revoke(image, "alice", HOME)
    directory.granted("by hand", images=[IMAGE])
    one = linting()
    hidden = one.lint()
    if directory.settings().schema != "stock" or directory.vendor != "openldap":
        # All are empty: whether this account is shown members at all, nothing tells.
        assert [each.change for each in hidden] == [None] * 3
    store.grant(OTHER, "alice", Policy.of(allow_view=True))
    found = one.lint()
    ours = [each for each in found if each.change is not None]
    assert [each.kind for each in found] == ["empty"] * 3
    assert len(ours) == 2
    kept_dn = next(each.dn for each in ours if "mayavi" in each.dn)
    store.grant(IMAGE, "alice", HOME)  # meanwhile
    said = [one.mend(each.change).text for each in ours if each.change is not None]
    assert sorted(each.rpartition(": ")[2] for each in said) == [
        "removed",
        "stays, it has got a member meanwhile",
    ]
    assert directory.exists(kept_dn)
    assert [each.dn for each in one.lint()] == [found[-1].dn] or len(one.lint()) == 1
    fresh = Store(directory.settings())
    user = fresh.get_user("alice")
    assert user is not None
    assert {each.application.image for each in fresh.list_accountings(user)} == {IMAGE, OTHER}
    fresh.close()


@on_one
def test_members_who_are_hidden_are_not_taken_out(another_directory: Another) -> None:
    """An account that sees nobody cannot tell who is gone."""
    hidden = (
        'olcAccess: to dn.children="ou=people,dc=example,dc=org" by anonymous auth by * none\n'
        "olcAccess: to * by users write by anonymous auth\n"
    )
    with another_directory(access=hidden) as directory:
        alice = directory.person("alice", attributes={"userPassword": ["hers"]})
        directory.application(IMAGE)
        store = Store(directory.settings())
        store.grant(IMAGE, "alice", HOME)
        store.close()
        one = Linting(directory.settings(bind_dn=alice, bind_password="hers"))
        [told] = one.lint(dangling=True)
        one.close()
        assert (told.kind, told.change) == ("dangling", None)


CLERK = "uid=clerk,ou=people,dc=example,dc=org"


@pytest.fixture
def as_clerk(another_directory: Another) -> Iterator[Callable[[str], tuple[Private, Linting]]]:
    """Start a directory in which an account may do all but what a rule says."""
    with contextlib.ExitStack() as stack:

        def start(to: str) -> tuple[Private, Linting]:
            rules = (
                f'olcAccess: to {to} by dn.exact="{CLERK}" none by * break\n'
                "olcAccess: to * by users write by anonymous auth\n"
            )
            directory = stack.enter_context(another_directory(access=rules))
            directory.person("clerk", attributes={"userPassword": ["his"]})
            directory.person("alice")
            directory.application(IMAGE)
            directory.application(OTHER)
            with contextlib.closing(Store(directory.settings())) as store:
                store.grant(IMAGE, "alice", HOME)
                store.grant(OTHER, "clerk", HOME)
            one = Linting(directory.settings(bind_dn=CLERK, bind_password="his"))
            return directory, stack.enter_context(contextlib.closing(one))

        yield start


Start = Callable[[str], tuple[Private, Linting]]


@on_one
def test_one_user_who_is_hidden_among_others_is_not_taken_out(as_clerk: Start) -> None:
    """A directory says the same of him as of one who is gone."""
    _, one = as_clerk('dn.exact="uid=alice,ou=people,dc=example,dc=org"')
    [told] = one.lint()
    assert (told.kind, told.change) == ("dangling", None)


@on_one
@pytest.mark.parametrize(
    ("to", "complaints"),
    [("attrs=member", 2), (f'filter="(remoteAppImage={IMAGE})" attrs=member', 1)],
)
def test_a_grant_whose_members_are_hidden_is_not_empty(
    as_clerk: Start, to: str, complaints: int
) -> None:
    """Whether those of all grants are, or those of one."""
    directory, one = as_clerk(to)
    found = one.lint()
    assert [(each.kind, each.change) for each in found] == [("empty", None)] * complaints
    before = sorted(directory.below(f"ou=grants,{directory.base_dn}"))
    [dn] = [each.dn for each in found if "mayavi" in each.dn]
    assert "stays" in one.mend(Delete(DN.parse(dn))).text
    assert sorted(directory.below(f"ou=grants,{directory.base_dn}")) == before


@contextlib.contextmanager
def hiding(directory: Any) -> Iterator[tuple[dict[str, str], Callable[[str], None]]]:
    """Give an account that reads all, and what hides from it who is in an entry."""
    reader = directory.person("reader", attributes={})
    if directory.vendor == "ad":
        tool = directory.server.tool
        tool("samba-tool", "user", "setpassword", "reader", "--newpassword=Reads-only-1")
        shown = tool("samba-tool", "user", "show", "reader", "--attributes=objectSid")
        sid = shown.partition("objectSid: ")[2].split()[0]
        rule = f"--sddl=(OD;;RP;bf9679c0-0de6-11d0-a285-00aa003049e2;;{sid})"  # member
        given = {"bind_dn": reader, "bind_password": "Reads-only-1"}
        yield given, lambda dn: tool("samba-tool", "dsacl", "set", f"--objectdn={dn}", rule)
        return
    directory.change(reader, "add: userPassword", "userPassword: reads-only")
    rule = 'aci: (targetattr="{}")(version 3.0; acl "{}"; {} (read,search,compare) userdn="{}";)'
    opened = rule.format("*", "all read", "allow", "ldap:///all")
    hidden = rule.format("member", "no members", "deny", f"ldap:///{reader}")
    directory.change(directory.suffix, "add: aci", opened)
    given = {"bind_dn": reader, "bind_password": "reads-only"}
    yield given, lambda dn: directory.change(dn, "add: aci", hidden)


@pytest.mark.live("389ds", "ad", reason="how a server answers to what it hides; OpenLDAP above")
def test_of_hidden_members_no_server_makes_an_empty_grant(
    directory: Directory, store: Store, linting: Open
) -> None:
    """Others' members are shown, and only those of one grant are not."""
    directory.person("alice")
    directory.application(IMAGE)
    directory.application(OTHER)
    store.grant(IMAGE, "alice", HOME)
    store.grant(OTHER, "alice", HOME)
    [dn] = [str(each.grant.dn) for each in store.list_grants() if IMAGE in each.grant.images]
    with hiding(directory) as (reader, hide):
        one = linting(**reader)
        assert one.lint() == []
        hide(dn)
        [told] = one.lint()
        assert (told.kind, told.dn.lower(), told.change) == ("empty", dn.lower(), None)


def test_a_grant_that_is_a_member_of_another_stays(
    directory: Directory, store: Store, linting: Open
) -> None:
    """Whoever is in it has what the other one gives, although it gives nothing itself any more."""
    directory.person("alice")
    directory.application(IMAGE)
    directory.application(OTHER)
    store.grant_several([IMAGE], HOME, Window(None, 1e9), users=["alice"])
    [over] = [each.grant.dn for each in store.list_grants()]
    one = linting(groups_base=None)
    [found] = one.lint()
    assert found.change == Delete(over)
    outer = directory.granted("outer", images=[OTHER], members=[str(over)])
    [told] = one.lint()
    assert (told.kind, told.change) == ("expired", None)
    assert outer.lower() in told.text.lower()
    assert "has it as a member" in one.mend(Delete(over)).text  # it was put in meanwhile
    assert directory.exists(str(over))
    fresh = Store(directory.settings(groups_base=None))
    user = fresh.get_user("alice")
    assert user is not None
    assert {each.application.image for each in fresh.list_accountings(user)} == {OTHER}
    fresh.close()


@on_one
def test_the_only_member_of_a_group_of_names_is_taken_out(
    directory: Directory, linting: Open
) -> None:
    """That class must have one, and is left with the one that names nobody."""
    directory.application(IMAGE)
    directory.person("alice")
    bob = directory.person("bob")
    given: dict[str, Any] = {"group_object_class": "groupOfNames"}
    with contextlib.closing(Store(directory.settings(**given))) as store:
        store.grant(IMAGE, "bob", HOME)
    directory.delete(bob)
    one = linting(**given)
    [told] = one.lint(dangling=True)
    assert told.change is not None
    assert "the member is out" in one.mend(told.change).text
    assert [(each.kind, bool(each.change)) for each in one.lint()] == [("empty", True)]


@on_one
@pytest.mark.parametrize("member", ["cn=foo", "dc=org", "cn=x,dc=other,dc=net"])
def test_a_member_that_is_in_no_directory_of_the_server_is_told(
    directory: Directory, linting: Open, member: str
) -> None:
    directory.application(IMAGE)
    directory.granted("by hand", images=[IMAGE], members=[member])
    [told] = linting().lint(dangling=True)
    assert (told.kind, told.change) == ("dangling", None)


@by_schema
@pytest.mark.slow
def test_nobody_is_lost_who_is_granted_while_empty_grants_are_removed(
    directory: Directory, linting: Open
) -> None:
    """Each grant that was answered is in force afterwards, however the two meet."""
    directory.person("alice")
    directory.application(IMAGE)
    directory.granted("shown", images=[IMAGE], members=[directory.person("bob")])
    one, done = linting(), threading.Event()
    one.lint()
    removed: list[str] = []

    def remove() -> None:
        while not done.is_set():
            changes = [each.change for each in one.lint() if each.kind == "empty"]
            removed.extend(one.mend(each).text for each in changes if each is not None)

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        end = time.monotonic() + (2 if directory.vendor == "openldap" else 3)
        fresh = Store(directory.settings(cache_ttl_seconds=0))
        rounds = 0
        while time.monotonic() < end:
            rounds += 1
            fresh.grant(IMAGE, "alice", HOME)
            user = fresh.get_user("alice")
            assert user is not None
            assert len(fresh.list_accountings(user)) == 1, rounds
            fresh.revoke(IMAGE, "alice", HOME)
    finally:
        done.set()
        thread.join()
        fresh.close()
    assert rounds > 5
    assert any(each.endswith("removed") for each in removed)


@on_one
def test_an_entry_whose_name_is_taken_meanwhile_keeps_its_members(
    directory: Directory, store: Store, linting: Open
) -> None:
    """It stays under the other name, from which nothing is read."""
    from ldapdb.store import linting_mend

    directory.person("alice")
    directory.application(IMAGE)
    store.grant(IMAGE, "alice", HOME)
    [dn] = directory.below(f"ou=grants,{directory.base_dn}")
    one = linting()
    aside = DN.parse(dn).parent.child("cn", f"{linting_mend.SCRATCH}1")
    directory.move(dn, f"cn={linting_mend.SCRATCH}1")
    store.grant(IMAGE, "alice", HOME)
    call = one._directory.call(one._routes.writing())
    assert linting_mend._give_back(call, aside, DN.parse(dn)) == aside
    assert not linting_mend.mend(call, one._for(call).profile, Delete(aside), time.time()).is_done
    user = store.get_user("alice")
    assert user is not None
    assert len(store.list_accountings(user)) == 1
    assert len(directory.below(f"ou=grants,{directory.base_dn}")) == 2


# --- the command


def run(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, *options: str, **settings: Any
) -> int:
    from ldapdb.cli import run as run_command

    for name, value in directory.database_kwargs(**settings).items():
        if value:
            monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))
    return run_command(["lint", *options])


@pytest.fixture
def wrong(private: Private) -> Private:
    """Hold an empty grant of ours, and one that was made by hand."""
    private.person("alice")
    private.application(IMAGE)
    store = Store(private.settings())
    store.grant(IMAGE, "alice", HOME)
    store.revoke(IMAGE, "alice", HOME)
    store.close()
    private.granted("hand", images=[IMAGE], members=[private.dn_of("alice")], not_after=PAST)
    return private


def test_the_ldif_gives_the_directory_that_fix_gives(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty grant, one that is over, and a member that is gone, where the directory keeps it."""

    def prepare() -> None:
        for name in ("alice", "bob"):
            directory.person(name)
        gone = directory.person("gone")
        directory.application(IMAGE)
        with contextlib.closing(Store(directory.settings(), clock=lambda: 0)) as store:
            for policy in (HOME, Policy()):
                store.grant(IMAGE, "alice", policy)
            store.revoke(IMAGE, "alice", HOME)
            store.grant(IMAGE, "gone", Policy())
            store.grant_several([IMAGE], Policy(), Window(None, 1000), users=["bob"])
        directory.granted("by hand", images=[IMAGE], members=[gone, directory.dn_of("bob")])
        directory.delete(gone)

    prepare()
    before = directory.entries()
    run(directory, monkeypatch, "--ldif", "--dangling")
    text = capsys.readouterr().out
    assert text.count("changetype: delete") == 2
    assert directory.entries() == before
    directory.server.ldapmodify(text)
    applied = directory.entries()
    directory.clear()
    prepare()
    assert directory.entries() == before
    run(directory, monkeypatch, "--fix", "--yes", "--dangling")
    assert capsys.readouterr().err.count(": removed") == 2
    assert directory.entries() == applied


@on_one
def test_the_ldif_does_what_fix_does(
    wrong: Private, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(wrong, monkeypatch, "--fix", "--dry-run") == 1
    assert capsys.readouterr().err.count("changetype: delete") == 1
    assert run(wrong, monkeypatch, "--fix", "--ldif") == 1
    text = capsys.readouterr().out
    assert text.count("changetype: delete") == 1
    assert len(wrong.below(f"ou=grants,{wrong.base_dn}")) == 2
    wrong.server.ldapmodify(text)
    assert len(wrong.below(f"ou=grants,{wrong.base_dn}")) == 1


@on_one
def test_fix_shows_the_ldif_first_and_leaves_what_is_not_safe(
    wrong: Private, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(wrong, monkeypatch, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert sorted((each["kind"], each["fixable"]) for each in told) == [
        ("empty", True),
        ("expired", False),
    ]
    assert run(wrong, monkeypatch, "--fix") == 1  # nobody can be asked here
    said = capsys.readouterr()
    assert said.err.count("changetype: delete") == 1
    assert said.err.endswith("add --yes to do it, here where nobody can ask\n")
    assert len(wrong.below(f"ou=grants,{wrong.base_dn}")) == 2
    assert run(wrong, monkeypatch, "--fix", "--yes") == 1
    said = capsys.readouterr()
    assert said.out.startswith("WHAT\tFIX\tENTRY\tWHY\n")
    assert said.err.index("changetype: delete") < said.err.index(": removed")
    wrong.delete(f"cn=hand,ou=grants,{wrong.base_dn}")
    assert run(wrong, monkeypatch) == 0
    assert capsys.readouterr().err == "nothing is wrong\n"
    assert run(wrong, monkeypatch, "--ldif", "--json") == 2


@on_one
def test_fix_ends_with_1_where_something_stays(
    wrong: Private, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever repeats it until all is mended, such as a job at night, goes by the code."""
    wrong.delete(f"cn=hand,ou=grants,{wrong.base_dn}")
    wrong.granted("shown", images=[IMAGE], members=[wrong.dn_of("alice")])
    mend = Linting.mend

    def mend_later(linting: Linting, change: Delete) -> Mended:
        with contextlib.closing(Store(wrong.settings())) as store:
            store.grant(IMAGE, "alice", HOME)
        return mend(linting, change)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Linting, "mend", mend_later)
        assert run(wrong, monkeypatch, "--fix", "--yes") == 1
    assert "it has got a member meanwhile" in capsys.readouterr().err
    with contextlib.closing(Store(wrong.settings())) as store:
        store.revoke(IMAGE, "alice", HOME)
    assert run(wrong, monkeypatch, "--fix", "--yes") == 0


@on_one
def test_images_without_an_engine_is_one_clear_error(wrong: Private) -> None:
    pytest.importorskip("docker")
    settings = {
        f"LDAPDB_{name.upper()}": str(value) for name, value in wrong.database_kwargs().items()
    }
    environment = {**os.environ, **settings, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = subprocess.run(
        [sys.executable, "-m", "ldapdb", "lint", "--images"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "Docker engine cannot be asked" in line
    assert "DOCKER_HOST" in line


@on_one
def test_a_reader_cannot_fix(wrong: Private, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(wrong, monkeypatch, "--fix", "--yes", read_only=True) == 1
    assert len(wrong.below(f"ou=grants,{wrong.base_dn}")) == 2

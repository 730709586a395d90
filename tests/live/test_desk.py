"""What administrators change at once: groups, several images and users, times, renames."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from proxy import Cut, Hang, Proxy

from ldapdb import errors
from ldapdb.client import Call
from ldapdb.model import Policy, Window, mapping_id
from ldapdb.naming import application_cn
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Modification
from ldapdb.store import Store
from ldapdb.store.outcomes import Left
from ldapdb.store.planning import PlannedStore
from ldapdb.syntaxes import format_time
from support import Directory
from support.planned import hold_plan
from support.waiting import eventually

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

on_openldap = pytest.mark.live("openldap", reason="it is about the order of writes, and words")

OLD, NEW, OTHER = "simphony/mayavi:0.5", "simphony/mayavi:0.6", "simphony/other:1"
HOME = Policy.of(allow_home=True)
NOW = 2_000_000_000.0


@contextmanager
def opened(directory: Directory, now: float = NOW, **settings: Any) -> Iterator[Store]:
    with closing(Store(directory.settings(**settings), clock=lambda: now)) as store:
        yield store


def held(directory: Directory, name: str, now: float = NOW) -> set[tuple[str, Policy]]:
    """What somebody may start, as a process sees it that has not asked before."""
    with opened(directory, now) as store:
        user = store.get_user(name)
        assert user is not None
        return {
            (each.application.image, each.application_policy)
            for each in store.list_accountings(user)
        }


def images_of(directory: Directory, name: str, now: float = NOW) -> set[str]:
    return {image for image, _ in held(directory, name, now)}


def test_groups_and_users_are_granted_and_revoked_at_once(directory: Directory) -> None:
    """Whoever is not named keeps what he has, and so does a group's member who has it himself."""
    staff = directory.group("staff", directory.person("alice"), directory.person("bob"))
    directory.group("visitors", directory.group("inner", directory.person("dave")))
    directory.person("carol")
    for image in (OLD, OTHER):
        directory.application(image)
    with opened(directory) as store:
        granted = store.grant_several(
            [OLD, OTHER], HOME, users=["carol", "bob"], groups=["staff", staff, "visitors"]
        )
        assert len(granted) == 8
        assert {each.member.dn for each in granted if each.id is None} >= {DN.parse(staff)}
        ids = {each.id for each in granted if each.member.name == "carol"}
        carol = store.get_user("carol")
        assert carol is not None
        assert {each.id for each in store.list_accountings(carol)} == ids
    for name in ("alice", "bob", "carol", "dave"):
        assert held(directory, name) == {(OLD, HOME), (OTHER, HOME)}, name
    with opened(directory) as store:
        with pytest.raises(errors.HeldThroughGroup, match=f"(?i){re.escape(staff)}"):
            store.revoke_several([OLD], HOME, users=["carol", "alice"])
        with pytest.raises(errors.HeldThroughGroup, match=r"(?i)the group 'cn=visitors,"):
            store.revoke_several([OLD], None, users=["carol"], groups=["inner"])
        assert images_of(directory, "carol") == {OLD, OTHER}
        revoked = store.revoke_several([OLD], None, groups=["staff"])
        again = store.revoke_several([OLD], None, groups=["staff"])
    assert [each.policies for each in (*revoked, *again)] == [(HOME,), ()]
    assert images_of(directory, "alice") == {OTHER}
    for name in ("bob", "carol", "dave"):
        assert images_of(directory, name) == {OLD, OTHER}, name


def test_the_last_word_about_a_time_counts(directory: Directory) -> None:
    """Shorter, longer, later, for ever: as it was said last; whom it is not about keeps all."""
    for name in ("alice", "bob"):
        directory.person(name)
    for image in (OLD, OTHER):
        directory.application(image)
    with opened(directory) as store:
        store.grant_several([OLD, OTHER], Policy(), users=["alice", "bob"])
    steps = [
        (Window(None, NOW + 100), (True, False, False)),
        (Window(None, NOW + 200), (True, True, False)),
        (Window(None, NOW + 50), (True, False, False)),
        (Window(NOW + 120, None), (False, True, True)),
        (Window(), (True, True, True)),
        (Window(NOW - 50, NOW + 200.5), (True, True, False)),
        (Window(NOW - 50.5, NOW + 200.7), (True, True, False)),
    ]
    with opened(directory) as store:
        for window, expected in steps:
            (granted,) = store.grant_several([OLD], Policy(), window, users=["alice"])
            at = (NOW, NOW + 150, NOW + 300)
            assert tuple(OLD in images_of(directory, "alice", each) for each in at) == expected
            assert granted.window == window.whole()
        # Directories keep whole seconds: the last two windows are one, and so is their entry.
        windows = [each.grant.window for each in store.list_grants()]
        assert windows.count(Window(NOW - 50, NOW + 200)) == 1
    assert images_of(directory, "alice", NOW + 300) == {OTHER}
    assert images_of(directory, "bob", NOW + 300) == {OLD, OTHER}


@on_openldap
def test_nobody_is_taken_out_of_what_others_made_for_the_sake_of_a_time(
    directory: Directory,
) -> None:
    """A company's group that carries the grant gives more than that."""
    alice = directory.person("alice")
    for image in (OLD, OTHER, NEW):
        directory.application(image)
    office = directory.granted("office", images=[OLD], members=[alice])
    directory.granted("outer", images=[OTHER], members=[office])
    covering: dict[str, Any] = {"groups_base": directory.suffix}
    with opened(directory, **covering) as store:
        user = store.get_user("alice")
        assert user is not None
        window = Window(None, NOW + 100)
        (granted,) = store.grant_several([OLD], Policy(), window, users=["alice"])
        assert [str(grant.dn) for grant in granted.kept] == [str(DN.parse(office))]
        assert (granted.replaced, granted.besides) == ((), ())
        (granted,) = store.grant_several([OTHER], Policy(), window, groups=[office])
        assert len(granted.kept) == 1
        # Nor out of a grant of ours through which there is more.
        (ours,) = [each.grant.dn for each in store.list_grants() if window == each.grant.window
                   and each.grant.images == (OLD,)]  # fmt: skip
        store.grant_several([NEW], HOME, groups=[str(ours)])
        (granted,) = store.grant_several([OLD], Policy(), Window(None, NOW + 50), users=["alice"])
        assert {grant.dn for grant in granted.kept} == {DN.parse(office), ours}
    with opened(directory, NOW + 150, **covering) as store:
        images = {each.application.image for each in store.list_accountings(user)}
    assert images == {OLD, OTHER, NEW}


@on_openldap
@pytest.mark.parametrize("number", [1, 2])
def test_who_leaves_a_grant_that_another_has_taken_the_name_of_is_out(
    directory: Directory, number: int
) -> None:
    """The entry that he is in was renamed, and the one of its name does not have him."""
    for name in ("alice", "bob"):
        directory.person(name)
    directory.application(OLD)

    def take_the_name() -> None:
        with opened(directory) as other:
            (listed,) = [
                each for each in other.list_grants() if each.grant.window.not_after is None
            ]
            directory.move(str(listed.grant.dn), "cn=aside")
            other.grant(OLD, "bob", HOME)

    with opened(directory) as store:
        store.grant(OLD, "alice", HOME)
    fault = directory.proxy().at_write(number, take_the_name, done=False)
    with opened(directory, counted=True) as store:
        if number == 1:
            store.revoke(OLD, "alice", HOME)
        else:  # the first one lets her into another
            store.grant_several([OLD], HOME, Window(None, NOW + 100), users=["alice"])
    assert fault.reached
    assert images_of(directory, "alice", NOW + 150) == set()
    assert images_of(directory, "bob") == {OLD}


@on_openldap
def test_what_else_a_grant_gives_goes_to_whoever_is_renamed_meanwhile(directory: Directory) -> None:
    bob, alice = directory.person("bob"), directory.person("alice")
    for image in (OLD, OTHER):
        directory.application(image)
    hand = directory.granted("by hand", images=[OLD, OTHER], members=[bob, alice])

    def rename() -> None:
        moved = directory.rename_person(bob, "bobby")
        directory.remove_member(hand, bob)
        directory.add_members(hand, moved)
        directory.move(hand, "cn=moved")

    # The first write lets him keep the other image; the second takes him out.
    fault = directory.proxy().at_write(2, rename, done=False)
    with opened(directory, counted=True) as store:
        store.revoke(OLD, "bob", Policy())
    assert fault.reached
    assert images_of(directory, "bobby") == {OTHER}


def test_who_is_taken_out_of_a_group_of_the_company_for_a_grant_is_told_what_else_it_gives(
    directory: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    """By the desk's outcome and in the host's log; our own entries give nothing else."""
    alice, bob = directory.person("alice"), directory.person("bob")
    staff = directory.group("staff", directory.person("carol"))
    for image in (OLD, OTHER, NEW):
        directory.application(image)
    office = directory.granted("office", images=[OLD], members=[alice, bob, staff])
    floor = directory.group("floor", office)
    outer = directory.granted("outer", images=[OTHER], members=[floor])
    covering: dict[str, Any] = {"groups_base": directory.suffix}
    expected = Left(DN.parse(office), (DN.parse(outer),))
    with opened(directory, **covering) as store:
        store.grant(NEW, "alice", Policy())
        [of_alice, of_ours, of_none] = (
            store.revoke_several([image], None, users=["alice"])[0] for image in (OLD, NEW, NEW)
        )
        assert (of_alice.left, of_ours.left, of_none.left) == ((expected,), (), ())
        assert "'cn=outer," in of_alice.notes[0].lower()
        [of_staff] = store.revoke_several([OLD], None, groups=[staff])
        assert of_staff.left == (expected,)
    database = directory.open(**covering)
    database.revoke_access(OLD, "bob", False, False, None)
    [said] = [each.getMessage() for each in caplog.records if "leaves" in each.getMessage()]
    assert "'cn=office," in said.lower()
    assert "'cn=outer," in said.lower()
    assert [images_of(directory, name) for name in ("alice", "bob", "carol")] == [set()] * 3


@on_openldap
def test_a_group_whose_name_cannot_be_read_hinders_no_revocation(directory: Directory) -> None:
    inner = directory.group("inner", directory.person("alice"))
    directory.group("strange", inner)
    directory.application(OLD)
    directory.proxy().tamper = lambda data: data.replace(b"=strange,", b"~strange,")
    with opened(directory, counted=True) as store:
        store.grant_several([OLD], HOME, groups=[inner])
        assert store.revoke_several([OLD], Policy(), groups=[inner])
        [revoked] = store.revoke_several([OLD], HOME, groups=[inner])
    assert revoked.policies == (HOME,)


def test_an_application_moves_and_its_grants_follow(directory: Directory) -> None:
    """Members, policies, times, other images; on our entries and on those made by hand."""
    alice, bob = directory.person("alice"), directory.person("bob")
    carol, dave = directory.person("carol"), directory.person("dave")
    team = directory.group("team", dave)
    directory.application(OTHER)
    hand = directory.granted("by hand", images=[OLD, OTHER], members=[alice, team])
    directory.granted(
        "limited", images=[OLD], members=[bob], home="TRUE", not_after=format_time(NOW + 100)
    )
    with opened(directory) as store:
        application = store.create_application(OLD)
        store.grant_several([OLD], HOME, Window(NOW + 50, None), users=["carol"])
        before = {
            name: held(directory, name, NOW + 60) for name in ("alice", "bob", "carol", "dave")
        }
        renamed = store.rename_application(OLD, NEW, settle_seconds=0)
        assert len(renamed.grants) == 3
        assert DN.parse(hand) in renamed.grants
        assert [each.id for each in store.list_applications() if each.image == NEW] == [
            application.id
        ]
        for name, had in before.items():
            moved = {(NEW if image == OLD else image, policy) for image, policy in had}
            assert moved
            assert held(directory, name, NOW + 60) == moved
        assert images_of(directory, "bob", NOW + 100) == set()
        assert images_of(directory, "carol", NOW) == set()
        with pytest.raises(errors.NotFound, match="is not registered"):
            store.rename_application(OLD, NEW, settle_seconds=0)
        # The old one may be made anew; nobody has it, and the two do not get in each other's way.
        store.create_application(OLD)
        with pytest.raises(errors.Exists, match="is registered already"):
            store.rename_application(OLD, NEW, settle_seconds=0)
        store.grant(OLD, "alice", HOME)
        store.remove_application(NEW)
        assert held(directory, "alice", NOW + 60) == {(OLD, HOME), (OTHER, Policy())}
    ours = directory.below(f"ou=grants,{directory.base_dn}")
    assert not [dn for dn in ours if application_cn(NEW) in dn]
    assert not directory.exists(f"cn={application_cn(NEW)},ou=applications,{directory.base_dn}")
    assert directory.exists(hand)
    del carol


def test_a_group_that_is_application_and_grant_moves_too(directory: Directory) -> None:
    group = directory.group("mayavi users", directory.person("alice"))
    directory.carry(group, "application", "grant", images=[OLD], home=True)
    everywhere: dict[str, Any] = {
        "grants_base": directory.suffix,
        "applications_base": directory.suffix,
    }
    with opened(directory, **everywhere) as store:
        store.rename_application(OLD, NEW, settle_seconds=0)
        assert [each.image for each in store.list_applications()] == [NEW]
        alice = store.get_user("alice")
        assert alice is not None
        assert [each.application.image for each in store.list_accountings(alice)] == [NEW]
    assert directory.exists(group)


@pytest.mark.live("openldap", "ad", reason="389 DS does not rename members either")
def test_a_grant_that_is_a_member_of_another_goes_on_being_one(directory: Directory) -> None:
    """Where the directory does not rename members, it keeps its name; who is in it keeps all."""
    directory.person("alice")
    covering: dict[str, Any] = {"groups_base": directory.suffix}
    with opened(directory, **covering) as store:
        for image in (OLD, OTHER):
            store.create_application(image)
        store.grant(OLD, "alice", HOME)
        (inner,) = [each.grant.dn for each in store.list_grants()]
        store.grant_several([OTHER], HOME, groups=[str(inner)])
        store.rename_application(OLD, NEW, settle_seconds=0)
    with opened(directory, **covering) as store:
        alice = store.get_user("alice")
        assert alice is not None
        had = {each.application.image for each in store.list_accountings(alice)}
    assert had == {NEW, OTHER}
    assert directory.exists(str(inner)) is (directory.server.vendor != "ad")


def test_a_move_gives_nothing_to_who_is_in_a_grant_that_was_left_behind(
    directory: Directory,
) -> None:
    """It gives nothing while the image is registered nowhere, and is named, planned or not."""
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.application(OLD)
    directory.application(OTHER)
    left = directory.granted("left", images=[NEW, OTHER], members=[bob])
    directory.granted("of both", images=[OLD, NEW], members=[alice])
    directory.granted("over", images=[NEW], members=[bob], not_after=format_time(NOW - 1))
    before = directory.entries()
    planned = PlannedStore(directory.settings(), clock=lambda: NOW)
    with closing(planned), opened(directory) as store:
        for each in (planned, store):
            with pytest.raises(errors.Exists, match="is granted already, though") as met:
                each.rename_application(OLD, NEW, settle_seconds=0)
            assert DN.parse(met.value.dn or "") == DN.parse(left)
            assert "cn=of both" not in str(met.value).lower()
            assert "cn=over" not in str(met.value).lower()
        assert directory.entries() == before
        store.remove_application(NEW)  # as it advises
        store.rename_application(OLD, NEW, settle_seconds=0)
    assert images_of(directory, "alice") == {NEW}
    assert images_of(directory, "bob") == {OTHER}


@on_openldap
@pytest.mark.parametrize("what", ["renames", "removes"])
def test_a_move_that_another_overtakes_says_so_and_takes_back_what_it_granted(
    directory: Directory, what: str
) -> None:
    """Nobody is told that it is done, gets the new image once it is there, or loses another."""
    directory.person("alice")
    covering: dict[str, Any] = {"groups_base": directory.suffix}
    outer = "simphony/outer:1"
    with opened(directory, **covering) as store:
        for image in (OLD, outer):
            store.create_application(image)
        store.grant(OLD, "alice", HOME)
        (inner,) = [each.grant.dn for each in store.list_grants()]
        store.grant_several([outer], HOME, groups=[str(inner)])
    waits = iter([0])

    def overtake(_: float) -> None:
        for _ in waits:
            with opened(directory, **covering) as other:
                if what == "renames":
                    other.rename_application(OLD, OTHER, settle_seconds=0)
                else:
                    other.remove_application(OLD)

    with opened(directory, **covering) as store:
        with pytest.raises(errors.NotFound, match=r"removed or renamed it meanwhile; nothing was"):
            store.rename_application(OLD, NEW, settle_seconds=0.1, pause=overtake)
        images = {image for each in store.list_grants() for image in each.grant.images}
        assert images == {outer, *([OTHER] if what == "renames" else [])}
        store.create_application(NEW)
        alice = store.get_user("alice")
        assert alice is not None
        assert {each.application.image for each in store.list_accountings(alice)} == images


@on_openldap
def test_who_has_an_image_that_is_gone_is_not_given_another_one(directory: Directory) -> None:
    """It is no rest of a move that was broken off: nothing says that the one became the other."""
    directory.person("alice")
    old = directory.application(OLD)
    directory.granted("of both", images=[OLD, NEW], members=[directory.person("bob")])
    with opened(directory) as store:
        store.create_application(NEW)
        store.grant(OLD, "alice", HOME)
        directory.delete(old)
        before = directory.entries()
        with pytest.raises(errors.NotFound, match=r"nothing says that .* is what it was"):
            store.rename_application(OLD, NEW, settle_seconds=0)
    assert directory.entries() == before
    assert images_of(directory, "alice") == set()


@on_openldap
@pytest.mark.slow
def test_a_move_that_is_broken_off_anywhere_leaves_nobody_without_and_is_finished_by_repeating(
    directory: Directory,
) -> None:
    """After each of its writes in turn; the directory is the same until the next one."""
    for number in itertools.count(1):
        alice, bob = directory.person("alice"), directory.person("bob")
        directory.application(OTHER)
        directory.granted("by hand", images=[OLD, OTHER], members=[alice])
        directory.granted("limited", images=[OLD], members=[bob], not_after=format_time(NOW + 100))
        with opened(directory) as store:
            store.create_application(OLD)
            store.grant(OLD, "bob", HOME)
        before = {name: held(directory, name) for name in ("alice", "bob")}
        moved = {
            name: {(NEW if image == OLD else image, policy) for image, policy in had}
            for name, had in before.items()
        }
        reached = break_off(directory, number)
        for name, had in before.items():
            has = held(directory, name)
            assert has >= had or has == moved[name], (number, name)
        with opened(directory) as store:
            rest = reached and [each.image for each in store.list_applications()] != [NEW, OTHER]
            # Once the application has moved there may be nothing left to do.
            with suppress(*([] if rest else [errors.NotFound])):
                store.rename_application(OLD, NEW, settle_seconds=0)
            assert [each.image for each in store.list_applications()] == [NEW, OTHER]
            assert {name: held(directory, name) for name in before} == moved, number
            store.create_application(OLD)
        directory.clear()
        if not reached:
            break
    # Two grants get it, the application moves, three lose the old one, two are named anew.
    assert number > 8


def break_off(directory: Directory, number: int) -> bool:
    """Begin a move from OLD to NEW that loses the server; tell whether it came to that write."""
    proxy = directory.proxy()

    def lose() -> None:
        proxy.hangs_up = True
        raise Cut

    fault = proxy.at_write(number, lose, done=True)
    settings: dict[str, Any] = {"counted": True, "operation_timeout_seconds": 0.5}
    with opened(directory, **settings) as store, suppress(errors.DirectoryUnavailable):
        store.rename_application(OLD, NEW, settle_seconds=0)
    proxy.behave()
    return fault.reached


def grant_until_gone(directory: Directory, names: Sequence[str], granted: list[str]) -> None:
    """Grant OLD to one after the other, as hosts do, until it is registered no more."""
    with opened(directory) as store, suppress(errors.NotFound):
        for number, name in enumerate(names):
            store.grant(OLD, name, HOME if number % 2 else Policy())
            granted.append(name)


def look_until(directory: Directory, over: threading.Event, without: list[int]) -> None:
    """Ask again and again what alice may start, and note when it is nothing."""
    with opened(directory, cache_ttl_seconds=0) as store:
        alice = store.get_user("alice")
        assert alice is not None
        for number in itertools.takewhile(lambda _: not over.is_set(), itertools.count()):
            without.extend([] if store.list_accountings(alice) else [number])


@on_openldap
@pytest.mark.lengthy
def test_grants_that_go_on_while_an_application_moves_are_not_lost(directory: Directory) -> None:
    """Whoever was told that he has the old image has the new one; nobody sees neither."""
    people = [f"user{number}" for number in range(200)]
    for name in ("alice", *people):
        directory.person(name)
    with opened(directory) as store:
        store.create_application(OLD)
        store.grant(OLD, "alice", Policy())
    granted: list[str] = []
    without: list[int] = []
    over = threading.Event()
    threads = [
        threading.Thread(target=grant_until_gone, args=(directory, people, granted)),
        threading.Thread(target=look_until, args=(directory, over, without)),
    ]
    for thread in threads:
        thread.start()
    try:
        assert eventually(lambda: len(granted) > 5)
        with opened(directory) as store:
            store.rename_application(OLD, NEW, settle_seconds=0.2)
    finally:
        over.set()
        for thread in threads:
            thread.join(20)
    assert without == []
    assert 5 < len(granted) < len(people)
    for name in ("alice", *granted):
        assert images_of(directory, name) == {NEW}, name


@on_openldap
@pytest.mark.lengthy
def test_a_grant_that_was_under_way_when_an_application_moved_follows(directory: Directory) -> None:
    """Its process has seen the old image; its write comes when that is not registered any more."""
    directory.person("bob")
    with opened(directory) as store:
        store.create_application(OLD)
    go_on = threading.Event()
    late = directory.proxy().at_write(1, lambda: assert_set(go_on), done=False)
    with opened(directory, counted=True) as slow, opened(directory) as store:
        thread = threading.Thread(target=slow.grant, args=(OLD, "bob", HOME))
        thread.start()
        assert eventually(lambda: late.reached)

        def pause(seconds: float) -> None:
            assert 0 < seconds < 1
            if [each.image for each in store.list_applications()] == [NEW]:
                go_on.set()
                thread.join(10)

        store.rename_application(OLD, NEW, settle_seconds=1, pause=pause)
        assert not thread.is_alive()
    assert held(directory, "bob") == {(NEW, HOME)}


def assert_set(event: threading.Event) -> None:
    assert event.wait(10)


@on_openldap
def test_of_two_who_state_different_times_neither_takes_away_what_the_other_gives(
    directory: Directory,
) -> None:
    directory.person("alice")
    directory.application(OLD)
    windows = [Window(None, NOW + 1000), Window(None, NOW + 2000), Window(NOW - 10, NOW + 3000)]
    with opened(directory) as store:
        store.grant(OLD, "alice", Policy())
    failures: list[BaseException] = []

    def state(window: Window) -> None:
        try:
            with opened(directory) as store:
                for _ in range(8):
                    store.grant_several([OLD], Policy(), window, users=["alice"])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=state, args=(each,)) for each in windows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert images_of(directory, "alice") == {OLD}
    assert images_of(directory, "alice", NOW + 5000) == set()


def test_the_ldif_of_desk_work_gives_the_same_directory(directory: Directory) -> None:
    """A grant to a group within a time, a rename and a revocation by id, planned and made."""

    def prepare() -> str:
        alice = directory.person("alice")
        directory.group("staff", alice)
        directory.application(OTHER)
        directory.application(OLD)
        directory.granted("by hand", images=[OLD, OTHER], members=[alice])
        with opened(directory) as store:
            return store.grant(OLD, "alice", HOME)

    def work(store: Store) -> None:
        window = Window(None, NOW + 100)
        granted = store.grant_several([OLD], Policy(), window, groups=["staff"], users=["alice"])
        assert len(granted) == 2
        store.rename_application(OLD, NEW, settle_seconds=0)
        alice = store.get_user("alice")
        assert alice is not None
        (identifier,) = {
            each.id for each in store.list_accountings(alice) if each.application_policy == HOME
        }
        assert [each.policies for each in store.revoke_by_id(identifier)] == [(HOME,)]

    hold_plan(directory, prepare, work, clock=lambda: NOW)


# --- the command line

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command in this process; return the exit code and what was printed."""
    pytest.importorskip("click", reason="the command line's libraries are an extra")
    from ldapdb.cli import run as run_command

    for key, value in directory.database_kwargs().items():
        if value:
            monkeypatch.setenv(f"LDAPDB_{key.upper()}", str(value))

    def run_one(*arguments: str) -> tuple[int, str, str]:
        code = run_command(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_one


@on_openldap
@pytest.mark.lengthy
def test_the_commands_say_what_they_did(directory: Directory, run: Run) -> None:
    """One user and image as the host's tool; several as rows, or a list of JSON."""
    staff = directory.group("staff", directory.person("alice"))
    directory.person("bob")
    for image in (OLD, OTHER):
        directory.application(image)
    code, out, err = run("app", "grant", OLD, "bob")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{32}\n", out)
    identifier = out.strip()
    code, out, err = run("app", "grant", OLD, "bob", "--not-after", "30d", "--json")
    said = json.loads(out)
    assert (said["id"], said["user"], said["image"]) == (identifier, "bob", OLD)
    assert set(said) == {"id", "user", "image", "policy", "not_after"}
    assert "granted until " in err
    assert "bob had simphony/mayavi:0.5 without a limit of time; this" in err
    code, out, err = run("app", "grant", OLD, "alice", "--image", OTHER, "--group", "staff")
    assert [line.split("\t")[:2] for line in out.splitlines()] == [
        ["IMAGE", "MEMBER"],
        [OLD, "alice"],
        [OLD, "staff"],
        [OTHER, "alice"],
        [OTHER, "staff"],
    ]
    _, _, err = run("app", "grant", OLD, "alice", "--not-after", "12h")
    assert "alice has simphony/mayavi:0.5 without a limit of time too, through a group" in err
    rows = [line.split("\t") for line in run("app", "list", "--grants")[1].splitlines()]
    assert rows[0] == ["GRANT", "IMAGES", "POLICY", "TIME", "MEMBERS"]
    # bob's until 30 days from now, alice's until 12 hours; unlimited ones have the others.
    assert sorted((image, time.split()[0], count) for _, image, _, time, count in rows[1:]) == [
        (OLD, "-", "1"),
        (OLD, "until", "1"),
        (OLD, "until", "1"),
        (OTHER, "-", "2"),
    ]
    listed = json.loads(run("app", "list", "--grants", "--json")[1])
    assert [set(each) - {"not_after"} for each in listed] == [
        {"dn", "images", "policy", "members"}
    ] * len(listed)
    _, out, err = run("app", "revoke", OLD, "alice", "bob", "--group", "staff", "--all", "--json")
    said = json.loads(out)
    assert [(set(each), len(each["policies"])) for each in said] == [
        ({"user", "image", "policies", "revoked"}, 1),
        ({"user", "image", "policies", "revoked"}, 1),
        ({"group", "image", "policies"}, 1),
    ]
    assert DN.parse(said[2]["group"]) == DN.parse(staff)
    assert said[1]["revoked"] == [identifier]
    _, _, err = run("app", "revoke", OTHER, "alice")
    assert "alice still has simphony/other:1 through a group" in err
    _, out, _ = run("app", "grant", OLD, "bob")
    code, out, err = run("app", "revoke", "--id", identifier)
    assert (code, out, err) == (0, f"IMAGE\tMEMBER\tID\n{OLD}\tbob\t{identifier}\n", "")
    code, out, err = run("app", "revoke", "--id", identifier)
    assert (code, out) == (0, "")
    assert f"no grant has the id {identifier}" in err
    code, out, err = run("app", "rename", OTHER, NEW, "--settle", "1", "--json")
    assert (code, err) == (0, "waiting for calls under way to end, twice 1 s (--settle 1)\n")
    assert json.loads(out)["new"] == NEW
    assert images_of(directory, "alice") == {NEW}
    office = directory.granted("office", images=[NEW], members=[directory.dn_of("bob")])
    _, _, err = run("app", "grant", NEW, "bob", "--not-after", "12h")
    assert f"bob has {NEW} without a limit of time too, by '{office}', which goes on" in err
    leaves = f"bob leaves '{office}', which ldapdb did not make, for {NEW}"
    *_, err = run("app", "revoke", NEW, "bob", "--dry-run")
    assert leaves in err
    _, out, err = run("app", "revoke", NEW, "bob", "--json")
    assert leaves in err
    assert json.loads(out)["left"] == [{"dn": office, "grants": []}]


@on_openldap
def test_desk_work_is_printed_instead_of_done(directory: Directory, run: Run) -> None:
    """As LDIF that ldapmodify takes, one command after the other, or in words; nothing waits."""
    directory.group("staff", directory.person("alice"))
    with opened(directory) as store:
        store.create_application(OLD)
        identifier = store.grant(OLD, "alice", Policy())
    before = directory.entries()
    commands = [
        ("app", "grant", OLD, "--group", "staff", "--not-after", "30d"),
        ("app", "rename", OLD, NEW),
        ("app", "revoke", "--id", identifier),
        ("app", "revoke", OLD, "--group", "staff", "--all"),
    ]
    words = [run(*command, "--dry-run") for command in commands]
    assert [code for code, _, _ in words] == [0, 0, 0, 0]
    assert "remoteAppNotAfter" in words[0][1]
    assert f"rename cn={application_cn(OLD)}," in words[1][1]
    assert "delete member" in words[2][1]
    assert words[3][1] == ""
    assert directory.entries() == before
    for command in commands[:2]:
        code, text, err = run(*command, "--ldif")
        assert code == 0, err
        directory.server.ldapmodify(text)
    assert {image for image, _ in held(directory, "alice", time.time())} == {NEW}
    code, text, _ = run("app", "revoke", NEW, "--group", "staff", "--all", "--ldif")
    directory.server.ldapmodify(text)
    assert len(held(directory, "alice", time.time())) == 1
    assert run("app", "list", "--grants", "--no-decoration")[1].count("until") == 1


@on_openldap
def test_what_is_wrong_is_one_line_and_nothing_is_written(directory: Directory, run: Run) -> None:
    """All that is named is looked for first, whatever of it is wrong, and the nearest is named."""
    alice = directory.person("alice")
    directory.person("bob")
    directory.group("staff", alice)
    directory.group("Chemists", alice)
    directory.group("chemists", alice, parent=directory.unit("berlin", directory.groups_base))
    directory.application(OLD)
    directory.application(OTHER)
    before = directory.entries()
    both = ("app", "grant", OLD, "bob")
    wrong = {
        (2, "missing argument 'IMAGE'"): ("app", "grant"),
        (2, "missing argument 'USER'"): ("app", "grant", OLD),
        (2, "is not a time; write"): (*both, "--not-after", "soon"),
        (2, "before it begins"): (*both, "--not-before", "30d", "--not-after", "12h"),
        (2, "ended already"): (*both, "--not-after", "2001-01-01"),
        (2, "without a name"): (*both, ""),
        (2, "is not a Docker reference"): (*both, "--image", "NOT AN IMAGE"),
        (2, "is no group"): (*both, "--group", alice),
        (2, "is no mapping id"): ("app", "revoke", "--id", "abc"),
        (2, "--id says all"): ("app", "revoke", OLD, "--id", "0" * 32),
        (2, "takes no policy"): ("app", "revoke", OLD, "bob", "--all", "--allow-home"),
        (2, "both images"): ("app", "rename", OLD, OLD),
        (2, "'nan' is not a valid"): ("app", "rename", OLD, NEW, "--settle", "nan"),
        (1, "did you mean 'alice'?"): (*both, "alcie"),
        (1, "did you mean 'simphony/other:1'?"): (*both, "--image", "simphony/othr:1"),
        (1, "did you mean 'staff'?"): (*both, "--group", "staf"),
        (1, "there is no entry 'cn=nothing,"): (*both, "--group", f"cn=nothing,{directory.suffix}"),
        (1, "did you mean 'simphony/mayavi:0.5'"): ("app", "rename", "simphony/mayav:0.5", NEW),
        (1, "is registered already"): ("app", "rename", OLD, OTHER),
        (1, "'bobb' is not in the directory; did you mean 'bob'?; there is no group 'nobody'"): (
            "app", "revoke", OLD, "bobb", "--group", "nobody",
        ),
    }  # fmt: skip
    for (code, words), arguments in wrong.items():
        found, out, err = run(*arguments)
        assert (found, out) == (code, ""), (arguments, err)
        assert words in err, (arguments, err)
        assert err.count("\n") == 1, err
    found, out, err = run(*both, "--group", "chemists")
    assert found == 1
    for dn in ("cn=Chemists,", "cn=chemists,ou=berlin,"):
        assert dn in err
    for never in (float("nan"), float("inf"), -1):
        with opened(directory) as store, pytest.raises(errors.InvalidValue, match="are no time"):
            store.rename_application(OLD, NEW, settle_seconds=never)
    assert directory.entries() == before


@on_openldap
@pytest.mark.lengthy
def test_a_write_that_fails_midway_says_what_was_done(directory: Directory) -> None:
    names = ["alice", "bob", "carol"]
    for name in names:
        directory.person(name)
    directory.application(OLD)
    proxy = directory.proxy()

    def die() -> None:
        proxy.hangs_up = True
        raise Cut

    proxy.at_write(2, die, done=False)
    with opened(directory, counted=True, operation_timeout_seconds=1) as store:
        with pytest.raises(errors.DirectoryUnavailable) as met:
            store.grant_several([OLD], HOME, users=names)
        said = str(met.value)
        assert "granted before that: 1 of 3; not granted: 'simphony/mayavi:0.5' of 'bob', " in said
        proxy.behave()
    assert [images_of(directory, name) for name in names] == [{OLD}, set(), set()]
    with opened(directory) as store:
        assert len(store.grant_several([OLD], HOME, users=names)) == 3
    assert [images_of(directory, name) for name in names] == [{OLD}] * 3


@on_openldap
def test_what_is_broken_off_says_how_far_it_came(
    directory: Directory, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Ctrl-C: the same command goes on."""
    names = ["alice", "bob", "carol"]
    for name in names:
        directory.person(name)
    directory.application(OLD)
    modify, calls = Call.modify, itertools.count(1)

    def interrupted(call: Call, dn: DN, changes: Sequence[Modification]) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt
        modify(call, dn, changes)

    monkeypatch.setattr(Call, "modify", interrupted)
    how_far = "before that: {} of 3; not {}: 'simphony/mayavi:0.5' of "
    # The first grant makes the entry, so that the second modify is of the third user.
    for what, done, before in (("grant", "granted", 2), ("revoke", "revoked", 1)):
        calls = itertools.count(1)
        code, out, err = run("app", what, OLD, *names)
        assert (code, out) == (1, "")
        said = f"ldapdb: interrupted; {done} {how_far.format(before, done)}'{names[before]}'"
        assert err.lstrip().startswith(said), err
        assert run("app", what, OLD, *names)[0] == 0
    assert [images_of(directory, name) for name in names] == [set()] * 3


@on_openldap
def test_what_is_so_already_is_believed_of_no_server_that_may_not_know(
    directory: Directory,
) -> None:
    """The other one, which took the last write, may have been told that it is not so any more."""
    staff = directory.group("staff", directory.person("alice"))
    directory.application(OLD)
    proxy = directory.proxy()
    uris = f"{proxy.uri} {directory.server.uri}"
    ways: tuple[dict[str, Any], ...] = ({"users": ["alice"]}, {"groups": [staff]})
    for named in ways:
        proxy.behave()
        with opened(directory, uri=uris, connect_timeout_seconds=0.5) as store:
            assert store.grant_several([OLD], HOME, **named)
            proxy.hangs_up = True
            proxy.cut()
            with pytest.raises(errors.DirectoryUnavailable, match="nothing was done"):
                store.grant_several([OLD], HOME, **named)


@on_openldap
def test_licences_are_printed_where_they_are_asked_for_alone(
    directory: Directory, run: Run
) -> None:
    """Whatever the form, since screens are shared and output is kept; the host is told."""
    directory.person("alice")
    directory.application(OLD)
    key = "27000@licences"
    code, out, err = run("app", "grant", OLD, "alice", "--app-license", key, "--json")
    assert (code, json.loads(out)["policy"]["app_license"]) == (0, "(not shown)"), err
    tables = [("who", OLD), ("app", "list", "--grants"), ("user", "list", "--show-apps")]
    commands = [(*table, *form) for table in tables for form in ((), ("--csv",), ("--json",))]
    for command in (*commands, ("explain", "alice", OLD), ("explain", "alice", "--json")):
        code, out, err = run(*command)
        assert (code, key in out, out.count("(not shown)")) == (0, False, 1), (command, err)
        code, out, err = run(*command, "--show-licences")
        assert (code, out.count(key), "(not shown)" in out) == (0, 1, False), (command, err)
    assert key in run("user", "show", "alice")[1]
    code, out, err = run("app", "revoke", OLD, "alice", "--all", "--json")
    assert (code, key in out, "(not shown)" in out) == (0, False, True), err


def test_the_list_of_what_users_may_start_is_what_the_host_is_told(
    directory: Directory, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For however many users, in as many round trips."""
    for image in (OLD, OTHER):
        directory.application(image)
    alice, bob = directory.person("alice"), directory.person("bob")
    inner = directory.group("inner", *(directory.person(f"user{n:02}") for n in range(20)), bob)
    directory.granted("nested", images=[OLD, NEW], members=[directory.group("outer", inner)])
    directory.granted("home", images=[OTHER, OLD], members=[alice, bob, inner], home="TRUE")
    directory.granted("over", images=[OTHER], members=[bob], not_after=format_time(1))
    directory.granted("volume", images=[OTHER], members=[alice], volume="data")
    directory.person("carol")
    monkeypatch.setenv("LDAPDB_URI", directory.proxy().uri)
    with directory.operations() as seen:
        code, out, err = run("user", "list", "--show-apps", "--json")
    assert len(seen) < 20
    assert (code, "cn=volume," in err.lower()) == (0, True), err
    with opened(directory, time.time()) as store:
        users = store.list_users()
        told = {
            each.name: [accounting.id for accounting in store.list_accountings(each)]
            for each in users
        }
    listed = {each["name"]: [held["id"] for held in each["accounting"]] for each in json.loads(out)}
    assert listed == told
    assert {name: len(told[name]) for name in ("alice", "bob", "carol")} == {
        "alice": 2,
        "bob": 3,
        "carol": 0,
    }


# --- many users


@pytest.fixture
def crowd(
    directory: Directory, run: Run, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Run, Proxy]]:
    """Grant to some thousand users, in a directory that sends 200 kB in a second."""
    names = [f"user{number:04}" for number in range(2_000)]
    people = (
        f"dn: uid={name},{directory.users_base}\nobjectClass: inetOrgPerson\n"
        f"uid: {name}\ncn: {name}\nsn: {name}\n"
        for name in names
    )
    directory.add("\n".join(people))
    directory.application(OLD)
    directory.granted("all", images=[OLD], members=[directory.dn_of(name) for name in names])
    proxy = directory.proxy()
    monkeypatch.setenv("LDAPDB_URI", proxy.uri)
    monkeypatch.setenv("LDAPDB_OPERATION_TIMEOUT_SECONDS", "0.5")

    def slow(operation: str, data: bytes) -> None:
        if operation == "SRCH":  # however the network cuts it
            time.sleep(len(data) / 200_000)

    proxy.answered = slow
    yield run, proxy
    proxy.behave()


@on_openldap
@pytest.mark.slow
def test_what_is_read_of_everybody_has_more_time_than_a_host_has(
    crowd: tuple[Run, Proxy], directory: Directory, tmp_path: Path
) -> None:
    run, _ = crowd
    grant = f"dn: cn=all,ou=grants,{directory.base_dn}"
    change = tmp_path / "change.ldif"
    change.write_text(
        f"{grant}\nchangetype: modify\ndelete: member\nmember: {directory.dn_of('user0001')}\n"
    )
    slowly: dict[str, Any] = {"counted": True, "operation_timeout_seconds": 0.5}
    with opened(directory, **slowly) as store, pytest.raises(errors.DeadlineExceeded):
        store.who(OLD)
    code, out, err = run("who", OLD)
    assert (code, len(out.splitlines())) == (0, 2_001), err
    code, out, err = run("app", "list", "--grants", "--json")
    assert [each["members"] for each in json.loads(out)] == [2_000], err
    code, out, err = run("user", "list", "--show-apps", "--csv", "--no-decoration")
    assert out.count(f",{OLD},") == 2_000, err
    code, out, err = run("whatif", str(change), "--csv", "--no-decoration")
    assert (code, out.count("user0001")) == (0, 1), err
    code, out, err = run("app", "revoke", "--id", _in_the_middle(directory), "--dry-run")
    assert (code, out.count("user1000")) == (0, 1), err


@on_openldap
@pytest.mark.slow
def test_lint_has_more_time_for_each_of_its_searches(
    directory: Directory, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the look at the base entries, too."""
    directory.person("alice")
    directory.application(OLD)
    directory.granted("all", images=[OLD], members=[directory.dn_of("alice")])
    proxy = directory.proxy()
    monkeypatch.setenv("LDAPDB_URI", proxy.uri)
    monkeypatch.setenv("LDAPDB_OPERATION_TIMEOUT_SECONDS", "0.2")

    def slow(operation: str, _: bytes) -> None:
        if operation == "SRCH":
            time.sleep(0.4)

    proxy.answered = slow
    code, out, err = run("lint", "--json")
    assert (code, json.loads(out)) == (0, []), err
    code, out, err = run("lint", "--timeout", "1")
    assert (code, out) == (1, "")
    assert "the directory answers, and not within the time" in err
    proxy.behave()


def _in_the_middle(directory: Directory) -> str:
    with opened(directory) as store:
        user = store.get_user("user1000")
        assert user is not None
        return mapping_id(OLD, Policy(), user.id)


@on_openldap
@pytest.mark.slow
def test_a_directory_that_is_slow_is_told_from_one_that_does_not_answer(
    crowd: tuple[Run, Proxy],
) -> None:
    """To try again helps with the one, and more time with the other."""
    run, proxy = crowd
    for code, command in (
        (2, ("who", OLD)),
        (1, ("user", "list", "--show-apps")),
        (1, ("lint",)),
    ):
        found, out, err = run(*command, "--timeout", "1")
        assert (found, out) == (code, ""), err
        assert "the directory answers, and not within the time" in err
        assert "--timeout" in err

    def say_nothing(*_: object) -> None:
        raise Hang

    proxy.answered = say_nothing
    proxy.cut()
    found, out, err = run("who", OLD, "--timeout", "1")
    assert (found, out) == (3, ""), err
    assert "the directory answers" not in err

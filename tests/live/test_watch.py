"""Changes are seen as they happen: what was answered from memory is what the directory says."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ldap3.core.exceptions import LDAPException
from proxy import Hang, Proxy

from ldapdb import LDAPDatabase, errors
from ldapdb.watch import State
from support import Directory
from support.contents import Contents
from support.waiting import eventually
from support.watched import SYNCING, directory

__all__ = ["directory"]

pytestmark = pytest.mark.live(
    *("openldap", "389ds", "ad"),
    reason="how a change is noticed does not depend on how policy is written; what it says does, "
    "and has a test on all",
)
IMAGES = ("simphony/mayavi:0.5", "simphony/paraview:1")
USERS = ("alice", "bob", "carol", "dave")
POLL_SECONDS = 0.1
# Nothing but a change makes anything forgotten.
LASTING = {"cache_ttl_seconds": 3600, "cache_negative_ttl_seconds": 3600}

# Long before all is forgotten once more because a server may lag behind.
SOON = 3.0
# 389 DS tells ten connections at a time, and notices a second later that one has gone.
LINGERS_SECONDS = 1.2

Rights = dict[str, Any]


def follow(directory: Directory, **settings: Any) -> Any:
    """Open a database that is in step with the directory."""
    database = directory.open(
        watch=True, **{"watch_poll_seconds": POLL_SECONDS, **LASTING, **settings}
    )
    assert eventually(lambda: is_live(database))
    return database


def is_live(database: Any) -> bool:
    return database.watch_info().state is State.LIVE


def is_in_step(database: Any, true: Rights) -> bool:
    return rights(database) == true and is_live(database)


def rights(database: Any) -> Rights:
    """Return all that the host would be told."""
    found: Rights = {"": sorted(each.image for each in database.list_applications())}
    for name in USERS:
        user = database.get_user(user_name=name)
        found[name] = None if user is None else user.id
        found[f"{name} has"] = {
            (each.application.image, each.application_policy.allow_home)
            for each in (database.get_accounting_for_user(user) if user is not None else ())
        }
    return found


def truth(directory: Directory) -> Rights:
    """Return the same from a full read."""
    with LDAPDatabase(**directory.database_kwargs(cache_ttl_seconds=0)) as database:
        return rights(database)


class Site:
    """A few people, groups in groups, and grants to both."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.people = {name: directory.person(name) for name in USERS[:3]}
        alice, bob, carol = self.people.values()
        self.inner = directory.group("inner", alice, carol)
        self.outer = directory.group("outer", self.inner, carol)
        for image in IMAGES:
            directory.application(image)
        self.plain = directory.group("plain", carol, parent=f"ou=grants,{directory.base_dn}")
        self.direct = directory.granted("direct", images=IMAGES[:1], members=[alice, bob])
        self.nested = directory.granted(
            "nested", images=IMAGES[1:], members=[self.outer, carol], home=True
        )

    @property
    def application(self) -> str:
        [dn] = [
            dn
            for dn in self.directory.below(f"ou=applications,{self.directory.base_dn}")
            if "mayavi" in dn
        ]
        return dn


def _disable(site: Site) -> None:
    dn = site.people["alice"]
    if site.directory.vendor == "ad":
        site.directory._modify(dn, ("replace", "userAccountControl", ["546"]))
    elif site.directory.vendor == "389ds":
        site.directory._modify(dn, ("replace", "nsAccountLock", ["true"]))
    else:
        site.directory.delete(dn)  # without ppolicy nobody is locked
        site.directory.unit("gone", parent=site.directory.groups_base)


CHANGES: dict[str, Callable[[Site], object]] = {
    "a member leaves a grant": lambda it: it.directory.remove_member(
        it.direct, it.people["alice"]
    ),
    "a member joins a grant": lambda it: it.directory.add_members(it.direct, it.people["carol"]),
    "a member leaves an inner group": lambda it: it.directory.remove_member(
        it.inner, it.people["alice"]
    ),
    "a member joins an inner group": lambda it: it.directory.add_members(
        it.inner, it.people["bob"]
    ),
    "a group leaves an outer group": lambda it: it.directory.remove_member(it.outer, it.inner),
    "a group is removed": lambda it: it.directory.delete(it.outer),
    "a grant says something else": lambda it: it.directory.restate(
        it.direct, images=IMAGES[:1], home=True
    ),
    "a grant is removed": lambda it: it.directory.delete(it.direct),
    "a group becomes a grant": lambda it: it.directory.carry(
        it.plain, "grant", images=IMAGES[:1]
    ),
    "a grant is added": lambda it: it.directory.granted(
        "new", images=IMAGES[1:], members=[it.people["bob"]]
    ),
    "an application is removed": lambda it: it.directory.delete(it.application),
    "an application is added": lambda it: it.directory.application("simphony/new:1"),
    "a user is removed": lambda it: it.directory.delete(it.people["alice"]),
    "a user is added": lambda it: it.directory.person("dave"),
    "a user is renamed": lambda it: it.directory.rename_person(it.people["alice"], "dave"),
    "a user is disabled": _disable,
}  # fmt: skip


# What can be done one after the other in one place: making one takes longer than most changes.
SERIES = {
    "members": [
        *("a member leaves a grant", "a member joins a grant"),
        *("a member leaves an inner group", "a member joins an inner group"),
        "a group leaves an outer group",
    ],
    "entries": [
        *("a grant says something else", "a group becomes a grant", "a grant is added"),
        *("a grant is removed", "a group is removed"),
    ],
    "applications": ["an application is added", "an application is removed"],
    **{what: [what] for what in CHANGES if what.startswith("a user ")},
}


assert sorted(what for series in SERIES.values() for what in series) == sorted(CHANGES)


@pytest.mark.parametrize("about", SERIES)
@pytest.mark.lengthy
def test_a_change_is_seen_as_it_happens(directory: Directory, about: str) -> None:
    """Whatever an administrator does with his own tools, the TTL being an hour."""
    site = Site(directory)
    database = follow(directory)
    before = rights(database)
    assert before == truth(directory)
    for what in SERIES[about]:
        changes = database.watch_info().changes
        CHANGES[what](site)
        after = truth(directory)
        assert after != before, what
        assert eventually(partial(is_in_step, database, after), SOON), what
        assert database.watch_info().changes > changes
        before = after


@pytest.mark.live("openldap", "389ds", "ad", stock=True)
def test_what_an_entry_says_is_seen_however_it_is_written(directory: Directory) -> None:
    """In our attributes, or in a line of description."""
    site = Site(directory)
    database = follow(directory)
    for what in (
        "a group becomes a grant",
        "a grant says something else",
        "an application is added",
    ):
        before = rights(database)
        CHANGES[what](site)
        after = truth(directory)
        assert after != before
        assert eventually(lambda: rights(database) == truth(directory), SOON)


def test_a_forked_child_follows_changes_itself(directory: Directory) -> None:
    """From its first question on, also of what its parent knew; the parent's goes on."""
    site = Site(directory)
    database = follow(directory)
    before = rights(database)
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            assert not is_live(database)
            assert rights(database) == before
            assert eventually(lambda: is_live(database))
            assert rights(database) == before
            assert eventually(lambda: rights(database)["alice has"] != before["alice has"])
            status = 0
        os._exit(status)
    time.sleep(0.5)
    CHANGES["a member leaves a grant"](site)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert eventually(lambda: rights(database) == truth(directory), SOON)
    assert is_live(database)


def test_nothing_of_a_watch_is_left_after_close(directory: Directory) -> None:
    """Neither its thread nor its connection; and what is asked later starts no other."""
    descriptors, threads = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    database = follow(directory)
    assert threading.active_count() == threads + 1
    began = time.monotonic()
    database.close()
    assert time.monotonic() - began < 1
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert threading.active_count() == threads
    assert database.watch_info().state is State.OFF
    database.list_users()
    assert threading.active_count() == threads


@pytest.mark.lengthy
def test_while_changes_are_not_seen_the_ttl_rules(
    directory: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    """Each edge is one line in the log, and all that was missed is forgotten at its end."""
    site = Site(directory)
    address = urlsplit(directory.server.uri)
    proxy = Proxy(str(address.hostname), address.port or 389)
    caplog.set_level(logging.INFO, "ldapdb.watch")
    try:
        database = follow(directory, uri=proxy.uri, cache_ttl_seconds=0.5)
        rights(database)
        proxy.hangs_up = True
        proxy.cut()
        assert eventually(lambda: not is_live(database))
        CHANGES["a member leaves a grant"](site)
        time.sleep(0.6)
        with pytest.raises(errors.DirectoryUnavailable):
            database.get_user(user_name="nobody")
        proxy.hangs_up = False
        assert eventually(lambda: is_live(database))
        assert rights(database) == truth(directory)
        assert database.watch_info().outages == 1
        assert proxy.uri in database.watch_info().error
        database.close()
    finally:
        proxy.close()
    said = [each.message for each in caplog.records if each.message.startswith("changes are ")]
    assert [each.partition(":")[0] for each in said] == [
        "changes are seen as they happen",
        "changes are not seen for now",
        "changes are seen as they happen",
    ]


@pytest.mark.lengthy
def test_the_next_server_tells_of_changes_until_the_first_is_back(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(directory)
    monkeypatch.setattr("ldapdb.watch.thread._LOOK_SECONDS", 0.2)
    address = urlsplit(directory.server.uri)
    first, second = (Proxy(str(address.hostname), address.port or 389) for _ in range(2))
    try:
        database = follow(directory, uri=[first.uri, second.uri])
        assert database.watch_info().server == first.uri
        first.hangs_up = True
        first.cut()
        assert eventually(lambda: is_live(database) and database.watch_info().server == second.uri)
        rights(database)
        CHANGES["a member leaves a grant"](site)
        assert eventually(lambda: rights(database) == truth(directory), SOON)
        first.hangs_up = False
        assert eventually(lambda: is_live(database) and database.watch_info().server == first.uri)
        CHANGES["a member joins a grant"](site)
        assert eventually(lambda: rights(database) == truth(directory), SOON)
        database.close()
    finally:
        first.close()
        second.close()


@pytest.mark.slow
def test_a_connection_that_is_cut_in_silence_is_noticed(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall tells neither end; nothing but an answer proves that the other one is there."""
    site = Site(directory)
    monkeypatch.setattr("ldapdb.watch.pulse.PULSE_SECONDS", 0.5)
    time.sleep(LINGERS_SECONDS)
    for name in ("pulse._ANSWER", "dirsync._SILENCE", "polling._ANSWER"):
        monkeypatch.setattr(f"ldapdb.watch.{name}_SECONDS", 0.5)
    address = urlsplit(directory.server.uri)
    proxy = Proxy(str(address.hostname), address.port or 389)
    try:
        database = follow(directory, uri=proxy.uri)
        rights(database)

        def swallow(_: object) -> bytes:
            raise Hang

        proxy.tamper = swallow
        CHANGES["a member leaves a grant"](site)
        assert eventually(lambda: not is_live(database), 4)
        assert "has not answered" in database.watch_info().error
        proxy.behave()
        assert eventually(lambda: is_live(database))
        assert rights(database) == truth(directory)
        database.close()
    finally:
        proxy.close()


def test_the_kernel_asks_whether_the_other_end_is_there(directory: Directory) -> None:
    """It ends a connection whose other end is gone; firewalls may count what it sends as life."""
    database = follow(directory)
    plain = database._store._watching._watch._stream._session.strategy.connection.socket
    assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


@SYNCING
@pytest.mark.slow
def test_nothing_is_asked_while_nothing_changes(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But whether the other end is there."""
    monkeypatch.setattr("ldapdb.watch.pulse.PULSE_SECONDS", 0.8)
    time.sleep(LINGERS_SECONDS)
    database = follow(directory, counted=True)
    with directory.operations() as seen:
        time.sleep(2.8)
    assert seen == ["SRCH"] * 3
    assert is_live(database)


@contextlib.contextmanager
def toggling(site: Site) -> Iterator[None]:
    """Let a member join and leave a grant without end, until the server goes away."""
    over = threading.Event()

    def toggle() -> None:
        contents, carol = Contents(site.directory.server), [site.people["carol"]]
        with contextlib.closing(contents), contextlib.suppress(LDAPException, OSError):
            while not over.is_set():
                contents.modify(site.direct, [("add", "member", carol)])
                contents.modify(site.direct, [("delete", "member", carol)])

    with contextlib.suppress(RuntimeError):  # it is there, or not, when the server went
        site.directory.remove_member(site.direct, site.people["carol"])
    thread = threading.Thread(target=toggle, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.slow
def test_after_a_kill_during_changes_all_is_known(directory: Directory) -> None:
    """Within two seconds of the server's return it is as a full read says, time and again."""
    site = Site(directory)
    server: Any = directory.server
    database = follow(directory, connect_timeout_seconds=2)
    stack = ExitStack()
    for _ in range(1 if directory.vendor == "ad" else 2):
        with toggling(site):
            rights(database)
            time.sleep(0.1)
            server.halt(signal.SIGKILL)
        assert eventually(lambda: not is_live(database), 2)
        server.run()
        site.directory._contents = stack.enter_context(contextlib.closing(Contents(server)))
        came = time.monotonic()
        is_right = partial(is_in_step, database, truth(directory))
        assert eventually(is_right, came + 2 - time.monotonic())
    stack.close()


@pytest.mark.live("389ds", reason="no other server has such a limit")
def test_whoever_is_one_too_many_polls_until_there_is_room(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """389 DS tells ten connections at a time, whoever they are."""
    monkeypatch.setattr("ldapdb.watch.thread._LOOK_SECONDS", 0.2)
    site = Site(directory)
    time.sleep(LINGERS_SECONDS)
    crowd = [follow(directory) for _ in range(10)]
    database = follow(directory)
    assert database.watch_info().mechanism == "polling"
    rights(database)
    CHANGES["a member leaves a grant"](site)
    assert eventually(lambda: rights(database) == truth(directory), SOON)
    for each in crowd:
        each.close()
    assert eventually(lambda: database.watch_info().mechanism == "content synchronisation")
    assert database.watch_info().outages == 0


@SYNCING
def test_a_list_of_all_users_is_there_until_one_changes(directory: Directory) -> None:
    """An administrator's page of many users does not stop the host each time it is looked at."""
    site = Site(directory)
    database = follow(directory, counted=True)
    everybody = database.list_users()
    with directory.operations() as seen:
        assert database.list_users() == everybody
        CHANGES["a member leaves a grant"](site)
        time.sleep(0.1)
        assert database.list_users() == everybody
    assert seen == []
    CHANGES["a user is added"](site)
    assert eventually(lambda: len(database.list_users()) == len(everybody) + 1, SOON)
    small = follow(directory, counted=True, watch_max_users=2)
    with directory.operations() as seen:
        assert len(small.list_users()) == len(small.list_users()) == len(everybody) + 1
    assert len(seen) == 2


def test_shared_names_and_ids_are_seen(directory: Directory) -> None:
    """Nothing of the users changes who had them alone."""
    on_ad = directory.vendor == "ad"
    alias = "otherMailbox" if on_ad else "uid"
    number = {"uidNumber": ["7"]}
    if not on_ad:
        number |= {"objectClass": ["inetOrgPerson", "posixAccount"], "gidNumber": ["1"]}
        number |= {"homeDirectory": ["/"]}
    directory.person("alice", attributes={**number, alias: ["alice", "al"]})
    bob = directory.person("bob", attributes={**number, "uidNumber": ["8"]})
    directory.application(IMAGES[0])
    group = f"cn=posix,{directory.groups_base}"
    if on_ad:
        group = directory.group("posix")
        directory.change(group, "add: memberUid", "memberUid: al")
    else:
        directory.add(
            f"dn: {group}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 1\nmemberUid: al\n"
        )
    directory.granted("grant", images=IMAGES[:1], members=[group])
    database = follow(
        directory,
        group_member_attribute="memberUid",
        user_id_attribute="uidNumber",
        user_name_attribute=["sAMAccountName", alias] if on_ad else [alias],
    )

    def held() -> int:
        return len(database.get_accounting_for_user(database.get_user(user_name="alice")))

    def is_alone() -> bool:
        try:
            return database.get_user(id=7) is not None
        except errors.AmbiguousName:
            return False

    assert held() == 1
    assert is_alone()
    directory.change(bob, f"add: {alias}", f"{alias}: al")
    assert eventually(lambda: held() == 0)
    directory.change(bob, f"delete: {alias}", f"{alias}: al")
    assert eventually(lambda: held() == 1)
    directory.change(bob, "replace: uidNumber", "uidNumber: 7")
    assert eventually(lambda: not is_alone())
    assert eventually(lambda: database.list_users() == [])
    directory.change(bob, "replace: uidNumber", "uidNumber: 8")
    assert eventually(is_alone)
    assert eventually(lambda: len(database.list_users()) == 2)

"""How each directory tells of changes: cookies, phases, limits, and what is done without."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Optional

import pytest

from ldapdb import errors
from ldapdb.client import Deadline, Stream
from ldapdb.protocol.dn import DN
from ldapdb.watch import Change, Scope, Source, State, Watch, polling
from ldapdb.watch.dirsync import DirSync
from ldapdb.watch.polling import Polling
from ldapdb.watch.protocol import Batch
from ldapdb.watch.syncrepl import SyncRepl
from support import Directory
from support.servers import Column
from support.waiting import eventually
from support.watched import SYNCING, directory, watched

__all__ = ["directory"]

pytestmark = pytest.mark.live(
    *("openldap", "389ds", "ad"),
    reason="how a change is noticed does not depend on how policy is written",
)

POLL_SECONDS = 0.1


_ALL_MAY_READ = (
    '(targetattr="*")(version 3.0; acl "all"; allow (read, search, compare) userdn="ldap:///all";)'
)


def scope_of(directory: Directory, **differing: Any) -> Scope:
    from ldapdb.vendors import VENDORS

    [vendor] = [each for each in VENDORS if each.name == directory.vendor]
    parts: dict[str, Any] = {
        "bases": (DN.parse(directory.suffix),),
        "attributes": ("objectClass", "member", "description"),
        "deciding": (),
        "vendor": vendor,
        "naming_contexts": (DN.parse(directory.suffix),),
        "controls": frozenset(),
        "poll_seconds": POLL_SECONDS,
    }
    return Scope(**{**parts, **differing})


class Follower:
    """Follows a source on one connection after the other."""

    def __init__(self, directory: Directory, source: Any, **settings: Any) -> None:
        self._settings = directory.settings(**settings)
        self.source: Source = source
        self.changes: list[tuple[Optional[str], Optional[str]]] = []
        self.everything = False
        self.said: list[bytes] = []

    @contextlib.contextmanager
    def connected(self) -> Iterator[Callable[[Callable[[], object]], None]]:
        """Catch up, and yield what goes on until something holds."""
        stream = Stream(self._settings.uri[0], self._settings, Deadline(5))
        batches = self.source.follow(stream, lambda: 0.05)
        self.changes, self.everything = [], False
        try:
            while not self._take(next(batches)).in_step:
                pass

            def until(holds: Callable[[], object]) -> None:
                end = time.monotonic() + 20  # comparing may wait twenty times what it takes
                while not holds():
                    assert time.monotonic() < end, self.changes
                    self._take(next(batches))

            yield until
        finally:
            stream.close()

    def catch_up(self) -> bool:
        """Connect and catch up; return whether that took all content."""
        with self.connected():
            return self.everything

    def _take(self, batch: Batch) -> Batch:
        for change in batch.changes:
            names = change.before, None if change.entry is None else change.entry.dn
            self.changes.append((_lower(names[0]), _lower(names[1])))
            if change.entry is not None:
                self.said += map(bytes, change.entry.attributes.get("description", ()))
        self.everything = self.everything or batch.everything
        return batch


def _lower(name: Optional[str]) -> Optional[str]:
    return None if name is None else name.lower()


def source_of(directory: Directory) -> Any:
    return (DirSync if directory.vendor == "ad" else SyncRepl)(scope_of(directory))


def _some_changes(directory: Directory, known: dict[str, str]) -> set[Any]:
    """Add, change, rename and remove an entry; return what is to be told."""
    new = directory.person("new")
    directory.add_members(known["group"], new)
    renamed = directory.rename_person(known["renamed"], "other")
    directory.delete(known["removed"])
    return {
        (None, new.lower()),
        (known["group"].lower(), known["group"].lower()),
        (known["renamed"].lower(), renamed.lower()),
        (known["removed"].lower(), None),
    }


def _known(directory: Directory) -> dict[str, str]:
    people = {name: directory.person(name) for name in ("member", "renamed", "removed")}
    return {**people, "group": directory.group("group", people["member"])}


def test_what_changes_between_two_connections_is_told_and_nothing_else(
    directory: Directory,
) -> None:
    """By the cookie, in the second connection's refresh: also of what is gone."""
    known = _known(directory)
    follower = Follower(directory, source_of(directory))
    assert follower.catch_up()
    expected = _some_changes(directory, known)
    assert not follower.catch_up()
    assert expected <= set(follower.changes)
    others = {name for pair in set(follower.changes) - expected for name in pair}
    assert others <= {name for pair in expected for name in pair}
    assert not follower.catch_up()
    assert follower.changes == []


def test_what_changes_meanwhile_is_told(directory: Directory) -> None:
    known = _known(directory)
    follower = Follower(directory, source_of(directory))
    with follower.connected() as until:
        expected = _some_changes(directory, known)
        until(lambda: expected <= set(follower.changes))


@SYNCING
def test_after_a_restart_removed_entries_are_missed_by_their_absence(
    directory: Directory,
) -> None:
    """Slapd does not remember what was removed before: it names what is still there."""
    known = _known(directory)
    follower = Follower(directory, source_of(directory))
    follower.catch_up()
    expected = _some_changes(directory, known)
    server: Any = directory.server
    server.halt()
    server.run()
    assert follower.catch_up() or expected <= set(follower.changes)
    assert follower.source._contents[0]._known.hold(directory.users_base)  # type: ignore[attr-defined]  # SyncRepl's
    names = set(follower.source._contents[0]._known._names.values())  # type: ignore[attr-defined]  # as above
    assert known["removed"].lower() not in {name.lower() for name in names}


def test_a_cookie_that_the_server_does_not_know_means_all_content(directory: Directory) -> None:
    """389 DS says so (4096), slapd begins anew without a word, Samba refuses the request."""
    known = _known(directory)
    follower = Follower(directory, source_of(directory))
    follower.catch_up()
    directory.delete(known["removed"])
    source: Any = follower.source
    if directory.vendor == "ad":
        source._domains[0]._cookie = b"nonsense"
        state = source._domains[0]
    else:
        source._contents[0]._cookie = b"nonsense"
        state = source._contents[0]
    assert follower.catch_up()
    names = {name.lower() for name in state._known._names.values()}
    assert known["group"].lower() in names
    assert known["removed"].lower() not in names
    directory.delete(known["group"])
    assert follower.catch_up() or follower.changes == [(known["group"].lower(), None)]
    assert known["group"].lower() not in {name.lower() for name in state._known._names.values()}


@SYNCING
@pytest.mark.parametrize("how", ["comes", "goes", "is renamed"])
def test_a_branch_that_moves_makes_all_content_be_read_anew(directory: Directory, how: str) -> None:
    """Servers tell of the branch alone, and not of those below it, whose names change too."""
    inside, outside = directory.users_base, directory.groups_base
    branch = directory.unit("branch", parent=outside if how == "comes" else inside)
    directory.person("mover", parent=branch)
    follower = Follower(directory, SyncRepl(scope_of(directory, bases=(DN.parse(inside),))))
    with follower.connected() as until:
        if how == "is renamed":
            directory.move(branch, "ou=renamed")
        else:
            directory.move(branch, "ou=branch", inside if how == "comes" else outside)
        with pytest.raises(StopIteration):  # it asks for a new connection
            until(lambda: False)
        assert follower.everything
    assert follower.catch_up()
    known: Any = follower.source
    names = {name.lower() for name in known._contents[0]._known._names.values()}
    people = {name for name in names if name.startswith("uid=mover")}
    assert (
        people
        == {
            "comes": {f"uid=mover,ou=branch,{inside}".lower()},
            "goes": set(),
            "is renamed": {f"uid=mover,ou=renamed,{inside}".lower()},
        }[how]
    )


@pytest.mark.live("ad", reason="others tell of it in a way of their own")
def test_a_renamed_branch_makes_a_domain_be_read_anew(directory: Directory) -> None:
    branch = directory.unit("branch")
    directory.person("mover", parent=branch)
    follower = Follower(directory, source_of(directory))
    assert follower.catch_up()
    directory.move(branch, "ou=renamed")
    assert follower.catch_up()
    known: Any = follower.source
    names = {name.lower() for name in known._domains[0]._known._names.values()}
    [mover] = [name for name in names if name.startswith("cn=mover")]
    assert mover == f"cn=mover,ou=renamed,{directory.users_base}".lower()


@pytest.mark.live("ad", reason="others show removed entries to nobody")
def test_an_account_without_rights_to_replicate_misses_nothing_either(
    directory: Directory,
) -> None:
    """Removed entries are hidden from it: they are found by comparing."""
    known = _known(directory)
    reader = directory.person("reader")
    server: Any = directory.server
    server.tool("samba-tool", "user", "setpassword", "reader", "--newpassword=Secret-1")
    settings = {"bind_dn": reader, "bind_password": "Secret-1"}
    follower = Follower(directory, source_of(directory), **settings)
    with follower.connected() as until:
        expected = _some_changes(directory, known)
        until(lambda: expected <= set(follower.changes))
    assert follower.source._domains[0]._object_security  # type: ignore[attr-defined]  # DirSync's


def test_polling_tells_of_all_that_the_better_ways_do(directory: Directory) -> None:
    """Where neither is there, or the account may not."""
    known = _known(directory)
    follower = Follower(directory, Polling(scope_of(directory)))
    with follower.connected() as until:
        assert follower.everything
        expected = _some_changes(directory, known)
        until(lambda: expected <= set(follower.changes))


@SYNCING
@pytest.mark.lengthy
def test_by_polling_each_change_within_one_second_is_told(directory: Directory) -> None:
    """Also where others were told in the same second, and the time stamp is the same."""
    somebody = directory.person("somebody")
    follower = Follower(directory, Polling(scope_of(directory)))
    with follower.connected() as until:
        time.sleep(-time.time() % 1)
        for number in range(4):
            time.sleep(0.2)
            said = str(number).encode()
            directory._modify(somebody, ("replace", "description", [said.decode()]))
            until(partial(lambda wanted: wanted in follower.said, said))


@pytest.mark.live("ad", reason="others have no numbers of changes")
def test_a_change_while_pages_come_is_told_by_the_next(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages may tell of a later change, and not of this one."""
    names = directory.person("one"), directory.person("other")
    follower = Follower(directory, Polling(scope_of(directory)))
    monkeypatch.setattr(polling, "_PAGE", 1)
    told: list[str] = []
    whole = polling.pages

    def pages(*asked: Any) -> Iterator[Any]:
        for entry in whole(*asked):
            yield entry
            if b"first" in map(bytes, entry.attributes.get("description", ())) and not told:
                told.append(entry.dn.lower())
                for dn in sorted(names, key=lambda dn: dn.lower() != told[0]):
                    directory._modify(dn, ("replace", "description", ["second " + dn.lower()]))

    with follower.connected() as until:
        # Nothing is compared any more, which would find it as well.
        monkeypatch.setattr(Polling, "_compared", lambda *_: [])
        monkeypatch.setattr(polling, "pages", pages)
        for dn in names:
            directory._modify(dn, ("replace", "description", ["first"]))
        until(lambda: told and f"second {told[0]}".encode() in follower.said)


@pytest.mark.live("389ds", reason="OpenLDAP's test server has no access rules")
def test_what_polling_may_not_read_is_told_and_no_changes_are_said_to_be_seen(
    directory: Directory,
) -> None:
    """Nothing would ever be found to have changed."""
    reader = directory.person("reader", attributes={"userPassword": ["secret"]})
    aci = _ALL_MAY_READ.replace('"*"', '"objectClass || uid || nsUniqueId"')
    directory.change(directory.users_base, "add: aci", f"aci: {aci}")
    scope = scope_of(directory, bases=(DN.parse(directory.users_base),))
    follower = Follower(directory, Polling(scope), bind_dn=reader, bind_password="secret")
    with pytest.raises(errors.AccessDenied, match="modifyTimestamp"):
        follower.catch_up()


@pytest.mark.live("ad", reason="others do not have it")
def test_only_whoever_may_not_replicate_is_told_less(directory: Directory) -> None:
    """Another error says nothing of rights: removals would be told of late from then on."""
    nowhere = DN.parse("dc=nowhere,dc=invalid")
    source = DirSync(scope_of(directory, bases=(nowhere,), naming_contexts=()))
    with pytest.raises(errors.LDAPDBError):
        Follower(directory, source).catch_up()
    assert not source._domains[0]._object_security


@SYNCING
def test_a_server_that_ends_or_stops_halfway_is_told_so(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A size limit ends the content with an error on slapd, and without a word on 389 DS."""
    monkeypatch.setattr("ldapdb.watch.syncrepl._SILENCE_SECONDS", 1.0)
    reader = directory.person("reader", attributes={"userPassword": ["secret"]})
    directory.person("somebody")
    if directory.vendor == "389ds":
        directory.change(reader, "replace: nsSizeLimit", "nsSizeLimit: 2")
        directory.change(directory.users_base, "add: aci", f"aci: {_ALL_MAY_READ}")
    else:
        _limit(directory, reader)
    follower = Follower(directory, source_of(directory), bind_dn=reader, bind_password="secret")
    with pytest.raises(errors.IncompleteResult, match="limit"):
        follower.catch_up()


def _limit(directory: Directory, reader: str) -> None:
    """Give an account of OpenLDAP's a size limit, as its administrator does."""
    server: Any = directory.server
    command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", server.socket_uri]
    text = (
        "dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\nadd: olcLimits\n"
        f'olcLimits: dn.exact="{reader}" size=2\n'
    )
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)


@pytest.mark.live("389ds", reason="the setting is that server's own")
def test_a_server_that_takes_up_again_in_silence_is_not_believed() -> None:
    """Without nsslapd-attribute in its Retro Changelog Plugin it tells of no change then."""
    with watched(Column("389ds"), changelog=False) as forgetful:
        follower = Follower(forgetful, source_of(forgetful))
        follower.catch_up()
        new = forgetful.person("new")
        assert follower.catch_up()
        with follower.connected() as until:
            forgetful.delete(new)
            until(lambda: (new.lower(), None) in follower.changes)


class Stub:
    """A source that yields what a test wants, whatever the server says."""

    mechanism = "stub"

    def __init__(self, *follows: list[Any]) -> None:
        self._follows = list(follows)

    def follow(self, stream: Stream, patience: Callable[[], float]) -> Iterator[Batch]:
        for each in self._follows.pop(0) if self._follows else []:
            if isinstance(each, Exception):
                raise each
            yield each
        while True:
            stream.receive(patience())
            yield Batch()


def _delivered(directory: Directory, *follows: list[Any], broken: int = -1) -> list[Batch]:
    """Return what a watch makes of batches; it fails to take one of them in."""
    taken: list[Batch] = []

    def deliver(batch: Batch) -> None:
        taken.append(batch)
        if len(taken) - 1 == broken:
            raise ZeroDivisionError

    watch = Watch(directory.settings(), [Stub(*follows)], deliver, lambda: 0.01)
    watch.start()
    try:
        # Unasked batches at the end say that all before has been taken.
        assert eventually(lambda: taken[-3:] == [Batch()] * 3 and watch.server is not None)
        assert watch.info().state is State.LIVE
    finally:
        watch.close()
    return [each for each in taken if each != Batch()]


ONE, TWO = (Batch([Change(each, None)]) for each in ("cn=a", "cn=b"))
GONE = errors.DirectoryUnavailable("gone")


@SYNCING
def test_all_is_forgotten_when_changes_are_seen_again(directory: Directory) -> None:
    """However exact a source is, what was answered meanwhile may be another server's."""
    early = Batch(ONE.changes, in_step=False)
    assert _delivered(directory, [early, TWO, ONE, GONE], [TWO]) == [
        early,
        Batch(TWO.changes, everything=True),
        ONE,
        Batch(TWO.changes, everything=True),
    ]


@SYNCING
@pytest.mark.filterwarnings("error")
def test_a_change_that_cannot_be_taken_in_is_an_outage_and_no_end(directory: Directory) -> None:
    """Whatever fails, the thread lives on, and nothing from before is believed."""
    taken = _delivered(directory, [TWO, ONE], [TWO], broken=1)
    assert taken[-1] == Batch(TWO.changes, everything=True)


@contextlib.contextmanager
def _watching(settings: Any) -> Iterator[Watch]:
    watch = Watch(settings, [Stub()], lambda _: None, lambda: 0.01)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


@pytest.mark.live("openldap", reason="the thread does not depend on the directory")
@pytest.mark.lengthy
def test_a_server_that_refuses_the_log_in_is_left_alone_and_no_other(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica may not have the new password yet; it is not asked again and again."""
    monkeypatch.setattr("ldapdb.watch.thread._LOOK_SECONDS", 0.1)
    reader = directory.person("reader", attributes={"userPassword": ["secret"]})
    with watched(Column("openldap")) as other:
        uris = [other.server.uri, directory.server.uri]
        settings = directory.settings(bind_dn=reader, bind_password="secret", uri=uris)
        with _watching(settings) as watch:
            assert eventually(lambda: watch.server == directory.server.uri, 3)
            with other.operations() as seen:
                time.sleep(1)
            assert "BIND" not in seen


@pytest.mark.live("openldap", reason="the thread does not depend on the directory")
@pytest.mark.lengthy
def test_a_new_password_is_tried_at_once(directory: Directory, tmp_path: Path) -> None:
    """The one that was rejected waits for its time."""
    reader = directory.person("reader", attributes={"userPassword": ["secret"]})
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("wrong\n", encoding="ascii")
    settings = directory.settings(bind_dn=reader, bind_password=None, bind_password_file=file)
    with _watching(settings) as watch:
        assert eventually(lambda: "rejected" in watch.info().error)
        time.sleep(1.5)
        assert watch.server is None
        file.write_text("secret\n", encoding="ascii")
        assert eventually(lambda: watch.server is not None, 3)


@pytest.mark.live("openldap", reason="the thread does not depend on the directory")
@pytest.mark.lengthy
def test_a_ticket_that_is_late_is_waited_for(
    directory: Directory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No account is locked for one that is not there, as for a password."""
    pytest.importorskip("gssapi")
    monkeypatch.setattr("ldapdb.watch.thread._NO_TICKET_SECONDS", 0.1)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    monkeypatch.setenv("KRB5_CONFIG", f"{tmp_path}/none")
    caplog.set_level(logging.DEBUG, "ldapdb.watch.thread")
    settings = directory.settings(bind="gssapi", bind_dn=None, bind_password=None)
    with _watching(settings) as watch:
        assert eventually(lambda: sum("next trial" in each for each in caplog.messages) >= 2)
        assert "kinit" in watch.info().error

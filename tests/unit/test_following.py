"""Following changes where no server can be brought to it: broken answers, rights that go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from ldapdb.client import Stream
from ldapdb.errors import AccessDenied, LDAPDBError, UnexpectedResult
from ldapdb.protocol.codec import End
from ldapdb.protocol.controls import DirSynced, PhaseEnd, Synced, SyncEnd, SyncState
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.settings import load
from ldapdb.vendors import ACTIVE_DIRECTORY, OPENLDAP, Vendor
from ldapdb.watch import Batch, Scope, State, Watch, thread
from ldapdb.watch.dirsync import _Domain
from ldapdb.watch.syncrepl import _Content

SUFFIX = DN.parse("dc=example,dc=org")
URI = "ldap://127.0.0.1"
OK, BUSY, NO_RIGHTS, REFRESH_REQUIRED = 0, 51, 50, 4096


class Silent:
    """A connection on which nothing comes."""

    uri = URI

    def __init__(self, *_: object) -> None:
        pass

    def ask(self, *_: object) -> int:
        return 1

    def drop(self) -> None:
        pass


STREAM = cast(Stream, Silent())


def scope(vendor: Vendor, *attributes: str) -> Scope:
    wanted = ("objectClass", *attributes)
    return Scope((SUFFIX,), wanted, (), vendor, (SUFFIX,), frozenset(), 0.1)


def ended(code: int) -> End:
    return End(code, "", (), b"")


# --- content synchronisation


def content(*, resumed: bool) -> _Content:
    it = _Content(SUFFIX, scope(OPENLDAP))
    it._cookie = b"cookie" if resumed else None
    it.ask(STREAM)
    return it


def branch() -> Synced:
    above = Entry("ou=branch,dc=example,dc=org", {"hassubordinates": [b"TRUE"]})
    return Synced(above, SyncState.ADD, b"branch", None)


def test_a_branch_that_came_before_a_resumed_refresh_makes_all_be_read() -> None:
    """In a phase that names what is gone, nobody is told of those below it."""
    it = content(resumed=True)
    it.take(branch())
    it.take(PhaseEnd(deletes=True, done=True, cookie=b"later"))
    assert it.lost
    assert it.everything


def test_a_branch_among_all_content_is_no_news() -> None:
    it = content(resumed=False)
    it.take(branch())
    it.take(PhaseEnd(deletes=True, done=True, cookie=b"later"))
    assert not it.lost


def test_a_server_that_wants_a_refresh_gets_one_unless_it_was_one() -> None:
    """It would be asked again and again at once."""
    again = SyncEnd(ended(REFRESH_REQUIRED), deletes=False, cookie=None)
    content(resumed=True).end(again, URI)
    persisting = content(resumed=False)
    persisting.take(PhaseEnd(deletes=True, done=True, cookie=b"later"))
    persisting.end(again, URI)
    with pytest.raises(UnexpectedResult):
        content(resumed=False).end(again, URI)


# --- DirSync


class Answering(_Domain):
    """A domain that answers as it is told: no server fails on demand."""

    def __init__(self, *attributes: str) -> None:
        super().__init__(SUFFIX, scope(ACTIVE_DIRECTORY, *attributes), lambda: 0.0)
        self.answers: list[tuple[list[Entry], DirSynced]] = []

    def _answer(self, stream: Stream) -> tuple[list[Entry], DirSynced]:  # noqa: ARG002 -- as above
        return self.answers.pop(0)

    def will_answer(self, *entries: Entry, code: int = OK, more: bool = False) -> None:
        self.answers.append((list(entries), DirSynced(ended(code), more, b"cookie")))


def test_a_refused_cookie_means_all_content_once() -> None:
    it = Answering()
    it._cookie = b"of another server"
    it.will_answer(code=BUSY)
    it.will_answer()
    it.ask(STREAM)
    assert it.everything


def test_an_answer_that_breaks_off_is_no_refused_cookie() -> None:
    """It would begin anew for ever, and nobody would know."""
    it = Answering()
    it.will_answer(more=True)
    it.will_answer(code=BUSY)
    with pytest.raises(LDAPDBError):
        it.ask(STREAM)
    it.will_answer()
    it.ask(STREAM)
    assert it.everything
    it.will_answer(code=BUSY)
    it.will_answer(code=BUSY)
    with pytest.raises(LDAPDBError):
        it.ask(STREAM)


def test_what_is_remembered_of_an_entry_goes_when_it_says_something_else() -> None:
    it = Answering("cn")
    for number in range(100):
        said = {"objectguid": [b"1"], "cn": [b"%d" % number], "objectclass": [b"user"]}
        it.will_answer(Entry("cn=x,dc=example,dc=org", said))
        it.ask(STREAM)
    held = [each for each in vars(it).values() if isinstance(each, dict)]
    assert sum(map(len, held)) == 2  # what the entry is, and what classes it has


# --- the thread


class Source:
    """Tells once, and then that it does not any more."""

    mechanism = "telling"

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    def follow(self, *_: object) -> Iterator[Batch]:
        yield from self._batches
        raise AccessDenied("not to this account", server=URI)


def following(*batches: Batch) -> tuple[Watch, Source, list[Batch]]:
    source, taken = Source(*batches), list[Batch]()
    settings = load(uri=[URI], base_dn=str(SUFFIX))
    watch = Watch(settings, [cast(Any, source)], taken.append, lambda: 1.0)
    return watch, source, taken


def test_while_all_is_read_anew_changes_are_not_seen(caplog: pytest.LogCaptureFixture) -> None:
    watch, source, taken = following()
    for in_step, state in ((True, State.LIVE), (False, State.DOWN), (True, State.LIVE)):
        watch._take(Batch(in_step=in_step), source, URI)
        assert watch.info().state is state
    assert [each.everything for each in taken] == [True, False, True]
    assert watch.info().outages == 1
    assert any("not seen for now" in each for each in caplog.messages)


def test_rights_that_are_lost_while_changes_are_seen_are_an_outage(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(thread, "Stream", Silent)
    watch, source, _ = following(Batch())
    with pytest.raises(AccessDenied):
        watch._follow_with(source, URI)
    assert watch.info().outages == 1
    assert watch.info().state is State.DOWN
    assert "not to this account" in watch.info().error
    assert any("not seen for now" in each for each in caplog.messages)

"""Following changes where no server can be brought to it: broken answers, rights that go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from ldapdb.connection import Stream
from ldapdb.controls import DirSynced, PhaseEnd, Synced, SyncEnd, SyncState
from ldapdb.dn import DN
from ldapdb.entries import Entry
from ldapdb.errors import AccessDenied, LDAPDBError, UnexpectedResult
from ldapdb.searching import End
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

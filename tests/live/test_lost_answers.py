"""Changes of which a request or an answer is lost on the way, each in turn."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

import pytest
from proxy import Cut, Hang, Proxy

from ldapdb import LDAPDatabase, errors
from support import Directory
from support.changes import CHANGES, Change, Site, add_people

pytestmark = pytest.mark.slow

# Enough for the slowest server; what is cut off is noticed at once.
LONG_SECONDS = 10.0
# What hangs, and what does not come back, takes this long.
SHORT_SECONDS = 0.25


@dataclass(frozen=True)
class Loss:
    """What becomes of one request that changes the directory.

    Parameters
    ----------
    done : bool
        Whether the server has seen and done it.
    hangs : bool
        Whether nothing more is heard on the connection, instead of its end.
    for_good : bool
        Whether no server is there any more.
    """

    done: bool
    hangs: bool = False
    for_good: bool = False

    def __str__(self) -> str:
        lost = "answer" if self.done else "request"
        return f"{lost}-{'hangs' if self.hangs else 'cut'}{'-for-good' if self.for_good else ''}"


CUTS = (Loss(done=False), Loss(done=True))
# They take their time, and are of the same kind on all servers.
SLOW = (
    Loss(done=False, hangs=True),
    Loss(done=True, hangs=True),
    Loss(done=False, for_good=True),
    Loss(done=True, for_good=True),
)

# Each of their writes is one of another change's too.
ALIKE = {"remove", "revoke_by_id", "revoke_last", "grant_beside_a_bundle"}


@pytest.fixture
def proxy(directory: Directory) -> Iterator[Proxy]:
    address = urlsplit(directory.server.uri)
    proxy = Proxy(str(address.hostname), address.port or 389)
    yield proxy
    proxy.close()


def lose(proxy: Proxy, loss: Loss) -> None:
    """Do to the connection what `loss` says; raises."""
    if loss.for_good:
        proxy.hangs_up = True
    raise Hang if loss.hangs else Cut


def make(change: Change, site: Site, proxy: Proxy, loss: Loss) -> Optional[Exception]:
    """Make the change through the proxy; return what it raises."""
    also = f" {site.directory.server.uri}" if loss.hangs else ""
    seconds = SHORT_SECONDS if loss in SLOW else LONG_SECONDS
    kwargs: dict[str, Any] = site.directory.database_kwargs(
        uri=proxy.uri + also, operation_timeout_seconds=seconds, connect_timeout_seconds=seconds
    )
    with LDAPDatabase(**kwargs) as database:
        try:
            answer = change.make(database, site)
        except errors.LDAPDBError as error:
            return error
    if change is CHANGES["create"]:
        listed = site.reader.list_applications()
        assert [each.id for each in listed if each.image == site.image("a")] == [answer]
    return None


def check(change: Change, site: Site, error: Optional[Exception], loss: Loss) -> None:
    """See that it is done, or that it can be repeated, and who may start what by then."""
    if error is not None:
        assert isinstance(error, errors.DirectoryUnavailable), repr(error)
        if loss.done:
            assert "may" in str(error), error
        change.check_between(site)
        try:
            change.make(site.reader, site)
        except errors.Exists:
            # Whoever was told that it may have been made is told that it was.
            assert change is CHANGES["create"]
            assert loss.done
    assert change.is_whole(site), (site.registered(), site.rights())
    change.check_kept(site)


@pytest.fixture
def half_read(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Tell what the store found that it could not read."""
    caplog.set_level(logging.WARNING, "ldapdb.store.reading")
    return lambda: [
        each.getMessage() for each in caplog.records if each.name == "ldapdb.store.reading"
    ]


def lose_each(
    directory: Directory,
    proxy: Proxy,
    name: str,
    losses: Iterable[Loss],
    half_read: Callable[[], list[str]],
) -> None:
    """Make a change again and again, and lose another of its requests each time."""
    add_people(directory)
    change = CHANGES[name]
    reader = directory.open(cache_ttl_seconds=0, operation_timeout_seconds=LONG_SECONDS)
    for loss in losses:
        for number in itertools.count(1):
            site = Site(directory, f"{name.replace('_', '-')}-{loss}-{number}", reader)
            change.prepare(site)
            act = functools.partial(lose, proxy, loss)
            fault = proxy.at_write(number, act, done=loss.done)
            error = make(change, site, proxy, loss)
            proxy.behave()
            if loss in CUTS:
                assert error is None, (loss, number, error)
            check(change, site, error, loss)
            assert half_read() == []
            site.clear()
            if not fault.reached:
                break
        assert number > 1, "the change is made without a request"


@pytest.mark.live("openldap", stock=True, reason="the same on others, in the test below")
@pytest.mark.parametrize("name", CHANGES)
def test_a_lost_request_or_answer_leaves_no_half(
    directory: Directory, proxy: Proxy, name: str, half_read: Callable[[], list[str]]
) -> None:
    """The call is done, or says that it may be; whatever it says, it can be made again.

    Our own new entry is never what "exists already", and an answer never says more than
    what was done.
    """
    losses = CUTS if directory.stock or name in ALIKE else CUTS + SLOW
    lose_each(directory, proxy, name, losses, half_read)


@pytest.mark.live("389ds", "ad", reason="OpenLDAP, and groups' descriptions, in the test above")
@pytest.mark.parametrize(
    "name", ["create", "remove", "grant_new", "grant_existing", "revoke_shared"]
)
def test_what_each_server_says_to_a_repeated_change_is_understood(
    directory: Directory, proxy: Proxy, name: str, half_read: Callable[[], list[str]]
) -> None:
    """What was made already when it is made again is refused by other codes on each."""
    lose_each(directory, proxy, name, [Loss(done=True)], half_read)

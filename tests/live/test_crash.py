"""Processes that are killed in the middle of a change, at each point of it in turn."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from proxy import Cut, Proxy

from ldapdb import LDAPDatabase, errors
from support import Directory
from support.changes import CHANGES, Site, add_people

pytestmark = pytest.mark.slow

SECONDS = 10.0


@pytest.fixture
def proxy(directory: Directory) -> Iterator[Proxy]:
    address = urlsplit(directory.server.uri)
    proxy = Proxy(str(address.hostname), address.port or 389)
    yield proxy
    proxy.close()


def change(name: str, kwargs: dict[str, Any], site: Site) -> None:
    """Make a change; what runs in the other process."""
    with LDAPDatabase(**kwargs) as database:
        CHANGES[name].make(database, site)


# Children of a process that has no threads: one that has some must not be forked.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["ldapdb", "pytest"])


def change_and_die(
    name: str, site: Site, proxy: Proxy, number: int, *, done: bool
) -> tuple[bool, int]:
    """Make a change in another process that is killed at one of its writes.

    Returns
    -------
    (bool, int)
        Whether it came to that write, and the exit code.
    """
    kwargs = site.directory.database_kwargs(uri=proxy.uri, operation_timeout_seconds=SECONDS)
    theirs = Site(None, site.tag, None, mapping_id=site.mapping_id)  # type: ignore[arg-type]  # a name is all that a call needs of it
    child = _FORKS.Process(target=change, args=(name, kwargs, theirs))

    def kill() -> None:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        raise Cut

    fault = proxy.at_write(number, kill, done=done)
    child.start()
    child.join(60)
    proxy.behave()
    assert child.exitcode is not None
    return fault.reached, child.exitcode


def crash_at_each(directory: Directory, proxy: Proxy, name: str) -> None:
    """Kill before the first write, and after each when the server has done it.

    The directory is the same from then on until the server sees the next one.
    """
    add_people(directory)
    reader = directory.open(cache_ttl_seconds=0, operation_timeout_seconds=SECONDS)
    for number in itertools.count():
        site = Site(directory, f"{name.replace('_', '-')}-{number}", reader)
        CHANGES[name].prepare(site)
        reached, code = change_and_die(name, site, proxy, max(number, 1), done=number > 0)
        assert code == (-signal.SIGKILL if reached else 0)
        CHANGES[name].check_between(site)
        if reached:
            again(name, site, was_made=number > 0)
        assert CHANGES[name].is_whole(site), (site.registered(), site.rights())
        CHANGES[name].check_kept(site)
        site.clear()
        if not reached:
            break
    assert number > 1, "the change is made without a request"


def again(name: str, site: Site, *, was_made: bool) -> None:
    """Make the change in a new process's place: nothing is known of the first one."""
    with LDAPDatabase(**site.directory.database_kwargs(operation_timeout_seconds=SECONDS)) as new:
        try:
            CHANGES[name].make(new, site)
        except errors.Exists:
            assert name == "create"
            assert was_made


@pytest.fixture
def all_readable(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail where the store finds something that it cannot read."""
    caplog.set_level(logging.WARNING, "ldapdb.store.reading")
    yield
    left_out = [
        each.getMessage()
        for each in caplog.get_records("call")
        if each.name == "ldapdb.store.reading"
    ]
    assert left_out == []


@pytest.mark.live("openldap", reason="the same order of writes as on others, see the test below")
@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.usefixtures("all_readable")
def test_a_crash_at_any_point_leaves_no_half(directory: Directory, proxy: Proxy, name: str) -> None:
    """Nobody has more or less than before or after, and the next process finishes the work."""
    crash_at_each(directory, proxy, name)


@pytest.mark.live("389ds", "ad", reason="OpenLDAP in the test above; written in the same order")
@pytest.mark.usefixtures("all_readable")
def test_a_crash_in_a_change_of_many_writes_leaves_no_half(
    directory: Directory, proxy: Proxy
) -> None:
    crash_at_each(directory, proxy, "revoke_shared")

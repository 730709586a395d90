"""How soon changes are seen, and whether any is missed: on real servers, in one run.

Run with ``PYTHONPATH=tests python -m benchmarks.watch --vendors openldap,389ds``.
"""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import argparse
import contextlib
import logging
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ldapdb import LDAPDatabase
from ldapdb.errors import DeadlineExceeded
from ldapdb.watch import State
from support.contents import Contents
from support.servers import Column
from support.storm import Storm, memory
from support.waiting import eventually
from support.watched import watched

__all__ = ["main"]

_PEOPLE, _FEW = 10, 3
_POLL_SECONDS = 0.5
_KNOWN_SECONDS = 3.0
_ALONE_SECONDS = 10.0


def main() -> None:
    """Measure on each vendor's server."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vendors", default="openldap,389ds,ad")
    parser.add_argument("--revocations", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=1000, help="changes a second")
    parser.add_argument("--seconds", type=int, default=60, help="of these")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--idle", type=float, default=600, help="seconds")
    parser.add_argument("--users", type=int, default=100_000, help="in a list, on OpenLDAP")
    parser.add_argument("--listing", type=float, default=120, help="seconds")
    options = parser.parse_args()
    vendors = options.vendors.split(",")
    if "openldap" in vendors and options.users:
        with watched(Column("openldap")) as directory:
            _list(directory, options.users, options.listing)
    with contextlib.ExitStack() as running:
        directories = []
        for vendor in vendors:
            directory = running.enter_context(watched(Column(vendor)))
            directories.append(directory)
            print(f"{vendor}:", flush=True)
            _measure(directory, options)
        _idle(directories, options.idle)


def _measure(directory: Any, options: argparse.Namespace) -> None:
    is_asked = directory.vendor == "ad"
    storm = Storm(directory, _PEOPLE, watch_poll_seconds=_POLL_SECONDS)
    storm.rage(options.rate, _ALONE_SECONDS)
    print(f"  with nobody watching it takes {storm.made / _ALONE_SECONDS:.0f} changes a second")
    with storm.watching() as database:
        _revocations(storm, database, options.revocations // (10 if is_asked else 1))
        _storm(storm, database, options.rate, options.seconds)
    directory.clear()
    # Samba takes 60 ms for each user of a full read, and there are two reads after each kill.
    storm = Storm(directory, _FEW if is_asked else _PEOPLE, watch_poll_seconds=_POLL_SECONDS)
    with storm.watching() as database:
        _kills(storm, database, options.kills)


def _revocations(storm: Storm, database: Any, count: int) -> None:
    took = sorted(seconds * 1000 for seconds in storm.revocations(database, max(count, 1)))
    print(
        f"  {count} revocations: p50 {statistics.median(took):.1f} ms, "
        f"p99 {took[int(len(took) * 0.99)]:.1f} ms, max {took[-1]:.1f} ms",
        flush=True,
    )


def _storm(storm: Storm, database: Any, rate: int, seconds: int) -> None:
    began, before, since = database.watch_info().changes, storm.made, time.monotonic()
    with storm.asked(database):
        storm.rage(rate, seconds / 2)
        half = memory()
        storm.rage(rate, seconds / 2)
        grown = memory() - half
    made, took = storm.made - before, time.monotonic() - since
    true, came = storm.truth(), time.monotonic()
    while not storm.is_known(database, true):
        assert time.monotonic() < came + _KNOWN_SECONDS, "some change was missed"
    # Whoever is asked tells what is so by then, and not all between.
    told = database.watch_info().changes - began
    assert storm.directory.vendor == "ad" or told == made, f"{told} were told of, not {made}"
    print(
        f"  {made} changes in {took:.0f} s: none missed; {told} were told of; "
        f"{grown / 1e6:+.1f} MB in the second half",
        flush=True,
    )


def _kills(storm: Storm, database: Any, count: int) -> None:
    took = sorted(storm.killed(database, 0.2) for _ in range(count))
    if took:
        print(
            f"  {count} kills: as a full read says, after p50 {statistics.median(took):.2f} s, "
            f"max {took[-1]:.2f} s",
            flush=True,
        )


def _list(directory: Any, count: int, seconds: float) -> None:
    """Measure the list of all users while ten of them change each second."""
    names = [f"user{number:06}" for number in range(count)]
    for start in range(0, count, 5000):
        some = names[start : start + 5000]
        directory.add("".join(_entry(directory, name) for name in some))
    with LDAPDatabase(**directory.database_kwargs(watch=True)) as database:
        assert eventually(lambda: database.watch_info().state is State.LIVE, 120)
        before = memory()
        first, failed = _first_list(database, count)
        grown = memory() - before
        with _changing(directory, names, 10) as made:
            took, late = _looking(database, seconds)
        true = count - (len(made) % 4 in (2, 3))
        assert eventually(lambda: len(database.list_users()) == true)
        info = database.cache_info()["user_list"]
        print(
            f"openldap, {count} users, the list read in {first:.1f} s, in which {failed} calls "
            f"came too early; {grown / 1e6:.0f} MB:\n"
            f"  {len(took)} lists during {len(made)} changes: {_quantiles(took)}; all were read "
            f"anew {info.misses - 1} times; others had to wait: {_quantiles(late)}",
            flush=True,
        )


def _first_list(database: Any, count: int) -> tuple[float, int]:
    """Ask for the list until it is there; return how long that took and how many calls failed."""
    began, failed = time.perf_counter(), 0
    while True:
        try:
            assert len(database.list_users()) == count
        except DeadlineExceeded:
            failed += 1
            assert time.perf_counter() - began < 120
        else:
            return time.perf_counter() - began, failed


def _entry(directory: Any, name: str) -> str:
    lines = [
        f"{key}: {value}" for key, values in directory._person(name).items() for value in values
    ]
    return "\n".join([f"dn: {directory.dn_of(name)}", *lines, "", ""])


@contextlib.contextmanager
def _changing(directory: Any, names: list[str], rate: float) -> Iterator[list[str]]:
    """Change somebody so often a second; every other time one comes or goes."""
    over, made, last = threading.Event(), list[str](), names[-1]

    def change() -> None:
        with contextlib.closing(Contents(directory.server)) as contents:
            while not over.wait(1 / rate):
                if len(made) % 4 == 1:
                    contents.delete(directory.dn_of(last))
                elif len(made) % 4 == 3:
                    contents.add(directory.dn_of(last), directory._person(last))
                else:
                    dn = directory.dn_of(names[len(made) * 7919 % (len(names) - 1)])
                    contents.modify(dn, [("replace", "description", [str(len(made))])])
                made.append(last)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()


def _looking(database: Any, seconds: float) -> tuple[list[float], list[float]]:
    """List all users again and again; return how long each took, and how late others woke."""
    over, took, late = threading.Event(), [], []

    def tick() -> None:
        while not over.is_set():
            began = time.perf_counter()
            time.sleep(0.005)
            late.append(time.perf_counter() - began - 0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.perf_counter()
        database.list_users()
        took.append(time.perf_counter() - began)
        time.sleep(0.1)
    over.set()
    thread.join()
    return took, late


def _quantiles(seconds: list[float]) -> str:
    each = sorted(value * 1000 for value in seconds)
    p99 = each[int(len(each) * 0.99)]
    return f"p50 {statistics.median(each):.1f} ms, p99 {p99:.1f} ms, max {each[-1]:.1f} ms"


def _idle(directories: Sequence[Any], seconds: float) -> None:
    """Count what is asked while nothing changes, of all servers side by side."""
    databases = [
        each.open(watch=True, counted=True, watch_poll_seconds=_POLL_SECONDS)
        for each in directories
    ]
    assert eventually(lambda: all(each.watch_info().state is State.LIVE for each in databases))
    time.sleep(2)
    with contextlib.ExitStack() as counting:
        all_seen = [counting.enter_context(each.operations()) for each in directories]
        time.sleep(seconds)
    for directory, database, seen in zip(directories, databases, all_seen):
        asked = {name: seen.count(name) for name in sorted(set(seen))}
        state = database.watch_info().state.value
        print(f"{directory.vendor}:\n  idle for {seconds:g} s: {asked}; {state}", flush=True)


if __name__ == "__main__":
    main()

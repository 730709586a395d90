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
from collections.abc import Iterator
from typing import Any

from ldapdb import LDAPDatabase
from ldapdb.watch import State
from support.contents import Contents
from support.servers import Column
from support.storm import Storm, memory
from support.waiting import eventually
from support.watched import watched

__all__ = ["main"]

_PEOPLE = 20


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
    for vendor in options.vendors.split(","):
        if vendor == "openldap" and options.users:
            with watched(Column(vendor)) as directory:
                _list(directory, options.users, options.listing)
        with watched(Column(vendor)) as directory:
            storm = Storm(directory, _PEOPLE, watch_poll_seconds=0.5)
            print(f"{vendor}:", flush=True)
            with storm.watching() as database:
                _revocations(storm, database, 20 if vendor == "ad" else options.revocations)
                _storm(storm, database, options.rate, options.seconds)
                _kills(storm, database, options.kills)
            _idle(directory, options.idle)


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
        storm.rage(rate, seconds // 2)
        half = memory()
        storm.rage(rate, seconds // 2)
        grown = memory() - half
    made, took = storm.made - before, time.monotonic() - since
    came, true = time.monotonic(), storm.truth()
    while not storm.is_known(database, true):
        assert time.monotonic() < came + 30, "some change was missed"
    print(
        f"  {made} changes in {took:.0f} s: none missed; {database.watch_info().changes - began} "
        f"were told of; {grown / 1e6:+.1f} MB in the second half",
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
    settings = {"watch": True, "operation_timeout_seconds": 60}
    with LDAPDatabase(**directory.database_kwargs(**settings)) as database:
        assert eventually(lambda: database.watch_info().state is State.LIVE, 120)
        before, began = memory(), time.perf_counter()
        assert len(database.list_users()) == count
        first, grown = time.perf_counter() - began, memory() - before
        with _changing(directory, names, 10) as made:
            took, late = _looking(database, seconds)
        true = count - (len(made) % 4 in (2, 3))
        assert eventually(lambda: len(database.list_users()) == true)
        info = database.cache_info()["user_list"]
        print(
            f"openldap, {count} users, the list read in {first:.1f} s, {grown / 1e6:.0f} MB:\n"
            f"  {len(took)} lists during {len(made)} changes: {_quantiles(took)}; all were read "
            f"anew {info.misses - 1} times; others had to wait: {_quantiles(late)}",
            flush=True,
        )


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


def _idle(directory: Any, seconds: float) -> None:
    database = directory.open(watch=True, counted=True)
    time.sleep(2)
    with directory.operations() as seen:
        time.sleep(seconds)
    asked = {name: seen.count(name) for name in sorted(set(seen))}
    print(f"  idle for {seconds:g} s: {asked}; {database.watch_info().state.value}", flush=True)


if __name__ == "__main__":
    main()

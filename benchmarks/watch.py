"""How soon changes are seen, and whether any is missed: on real servers, in one run.

Run with ``PYTHONPATH=tests python -m benchmarks.watch --vendors openldap,389ds``.
"""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import argparse
import logging
import statistics
import time
from typing import Any

from support.servers import Column
from support.storm import Storm, memory
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
    options = parser.parse_args()
    for vendor in options.vendors.split(","):
        with watched(Column(vendor)) as directory:
            storm = Storm(directory, _PEOPLE, watch_poll_seconds=0.5)
            print(f"{vendor}:", flush=True)
            with storm.watching() as database:
                _revocations(storm, database, 20 if vendor == "ad" else options.revocations)
                _storm(storm, database, options.rate, options.seconds)
                _kills(storm, database, options.kills)
            _idle(directory, options.idle)


def _revocations(storm: Storm, database: Any, count: int) -> None:
    took = sorted(seconds * 1000 for seconds in storm.revocations(database, count))
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


def _idle(directory: Any, seconds: float) -> None:
    database = directory.open(watch=True, counted=True)
    time.sleep(2)
    with directory.operations() as seen:
        time.sleep(seconds)
    asked = {name: seen.count(name) for name in sorted(set(seen))}
    print(f"  idle for {seconds:g} s: {asked}; {database.watch_info().state.value}", flush=True)


if __name__ == "__main__":
    main()

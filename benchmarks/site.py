"""How many sessions a slapd carries: ``PYTHONPATH=tests python -m benchmarks.site``.

The servers have one processor to themselves and what plays the sessions has another one, so
that neither is the other's bottleneck. Several replicas share that one processor: what they
would carry on a machine each is computed, not measured.
"""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import site_indexes, site_ttl
from benchmarks.data import GRANTS_OF_A_USER
from benchmarks.directory import CACHE
from benchmarks.site_model import Site, SiteSize, most
from benchmarks.site_requests import Recorded, SiteDirectory, record
from benchmarks.site_tables import connection_kib, tables

__all__ = ["main"]

LIMIT_SECONDS = 0.05
# Beyond these, one process may open no more files, or one address has no more ports.
_MOST_CONNECTIONS = 10_000
_MOST_SESSIONS = 50_000_000
_FIRST_SESSIONS = 1_000
_RECORDED = 20
_WARM_UP_SECONDS = 1.0
# A trial is made again so often, unless slapd was busy; more often if it had nothing to do.
_ATTEMPTS, _BUSY = 4, 0.9
_MOST_ATTEMPTS, _IDLE = 12, 0.5
# Sessions as parts of the most that is carried, for the plot.
_PARTS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1)


@dataclass
class Trial:
    """Plays sessions at servers that run, and remembers how it went.

    Parameters
    ----------
    site : Site
        What users do.
    seconds : float
        How long each trial takes.
    process : Popen
        Plays them.
    pids : list of int
        Of the servers.
    made : list of dict
        What each trial measured.
    """

    site: Site
    seconds: float
    process: subprocess.Popen[str]
    pids: list[int]
    made: list[dict[str, Any]] = field(default_factory=list)

    def run(self, sessions: int) -> dict[str, Any]:
        """Play so many sessions."""
        order = {
            "connections": min(sessions, _MOST_CONNECTIONS),
            "views": self.site.asking_views(sessions),
            "starts": self.site.starts(sessions),
            "warm_up": _WARM_UP_SECONDS,
            "seconds": self.seconds,
            "limit": LIMIT_SECONDS,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("what plays the sessions has ended; it said why above")
        measured = {"sessions": sessions, **json.loads(line)}
        measured["searches_a_second"] = measured["answers"] / measured["seconds"]
        spent = sum(measured["slapd_seconds"])
        measured["slapd_anonymous_bytes"] = list(map(_anonymous_bytes, self.pids))
        measured["slapd_cpu"] = spent / measured["seconds"]
        measured["cpu_seconds_a_search"] = spent / max(measured["answers"], 1)
        self.made.append(measured)
        print(_line(measured), file=sys.stderr, flush=True)
        return measured

    def settled(self, sessions: int) -> dict[str, Any]:
        """Play so many sessions, again where pages were late while slapd had time to spare.

        Somebody else has used the machine then.
        """
        made: list[dict[str, Any]] = []
        while len(made) < _MOST_ATTEMPTS:
            made.append(self.run(sessions))
            if in_time(made[-1]) or made[-1]["slapd_cpu"] > _BUSY:
                break
            if len(made) >= _ATTEMPTS and made[-1]["slapd_cpu"] > _IDLE:
                break
        return min((each for each in self.made if each["sessions"] == sessions), key=_lateness)

    def carries(self, sessions: int) -> bool:
        """Tell whether pages come in time."""
        return in_time(self.settled(sessions))


def _lateness(measured: dict[str, Any]) -> float:
    return float(measured["views"]["p99"]) if "views" in measured else float("inf")


def in_time(measured: dict[str, Any]) -> bool:
    """Tell whether the directory kept 99 of 100 views that asked it less than the limit."""
    return not measured["hopeless"] and _lateness(measured) < LIMIT_SECONDS


def _line(measured: dict[str, Any]) -> str:
    if "views" not in measured:
        return f"{measured['sessions']:>10,} sessions: no view was answered"
    return (
        f"{measured['sessions']:>10,} sessions  {measured['searches_a_second']:>7,.0f} searches/s"
        f"  slapd {measured['slapd_cpu']:.0%}  generator {measured['generator_busy']:.0%}"
        f"  p50 {measured['views']['p50'] * 1000:.2f} ms"
        f"  p99 {measured['views']['p99'] * 1000:.2f} ms"
        f"{'  (given up)' if measured['hopeless'] else ''}"
    )


def _processors() -> tuple[set[int], set[int]]:
    """Choose one for the servers, and another one for the rest."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise SystemExit("two processors are needed: one for slapd, one for what asks it")
    return {first}, {others[0]}


@contextlib.contextmanager
def _servers(size: SiteSize, replicas: int) -> Iterator[list[SiteDirectory]]:
    """Start replicas, all on one processor."""
    mine, others = _processors()
    running: list[SiteDirectory] = []
    with contextlib.ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, mine | others)
        os.sched_setaffinity(0, mine)
        for _ in range(replicas):
            like = running[0] if running else None
            running.append(stack.enter_context(SiteDirectory.of(size, like=like)))
        os.sched_setaffinity(0, others)
        yield running


@contextlib.contextmanager
def _playing(
    site: Site, seconds: float, servers: Sequence[SiteDirectory], recorded: Sequence[Recorded]
) -> Iterator[Trial]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.site_load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    about = {
        "servers": {each.port: each.pid for each in servers},
        "users": servers[0].size.entitled,
        "recorded": [each.plain() for each in recorded],
    }
    try:
        process.stdin.write(json.dumps(about) + "\n")
        process.stdin.flush()
        yield Trial(site, seconds, process, [each.pid for each in servers])
    finally:
        process.stdin.close()
        process.wait()


def _capacity(site: Site, size: SiteSize, replicas: int, seconds: float) -> dict[str, Any]:
    """Find how many sessions so many replicas carry on one processor, and look below that."""
    with _servers(size, replicas) as servers:
        recorded = record(servers[0], _RECORDED)
        of_a_view, of_a_start = recorded[0].searches()
        with _playing(site, seconds, servers, recorded) as trial:
            carried = most(trial.carries, _FIRST_SESSIONS, _MOST_SESSIONS)
            if not carried:
                raise RuntimeError(f"{_FIRST_SESSIONS} sessions are too many already")
            print(f"{replicas} × slapd: {carried:,} sessions", file=sys.stderr)
            sweep = [trial.settled(round(part * carried)) for part in _PARTS]
        database = (servers[0].database / "data.mdb").stat().st_blocks * 512
    return {
        "replicas": replicas,
        "sessions": carried,
        "searches_of_a_view": of_a_view,
        "searches_of_a_start": of_a_start,
        "calls_of_a_view": recorded[0].calls,
        "searches_a_second": site.searches(carried, of_a_view, of_a_start),
        "database_bytes": database,
        "trials": trial.made,
        "sweep": sweep,
    }


def _anonymous_bytes(pid: int) -> int:
    """Return the memory of a process that is no file's (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(each.split()[1]) << 10 for each in lines if each.startswith("RssAnon"))


def _about(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        **vars(arguments),
        "limit_seconds": LIMIT_SECONDS,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "at": time.time(),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.site", description=__doc__)
    add = parser.add_argument
    add("--users", type=int, default=100_000, help="size of the directory")
    add("--applications", type=int, default=GRANTS_OF_A_USER, help="of each user")
    add("--views", type=float, default=1.0, help="page views of a session in a minute")
    add("--ttl", type=float, default=60.0, help="cache_ttl_seconds")
    add("--minutes", type=float, default=60.0, help="how long a session lasts")
    add("--replicas", type=int, nargs="+", default=[1, 3], help="how many slapds; several runs")
    add("--sessions", type=int, help="play so many sessions only, and look for no limit")
    add("--seconds", type=float, default=5.0, help="how long a trial takes")
    add("--alone", action="store_true", help="leave out what a missing index and the TTL cost")
    add("--result", type=Path, default=CACHE / "site.json", help="where the numbers go")
    return parser.parse_args()


def main() -> None:
    """Play a site, and print what its servers carry."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or else servers would stay
    site = Site(arguments.views, arguments.ttl, arguments.minutes)
    size = SiteSize(arguments.users, arguments.applications)
    if arguments.sessions is not None:
        with _servers(size, arguments.replicas[0]) as servers:
            recorded = record(servers[0], _RECORDED)
            with _playing(site, arguments.seconds, servers, recorded) as trial:
                print(json.dumps(trial.run(arguments.sessions)))
        return
    about = _about(arguments)
    result: dict[str, Any] = {
        "about": {**about, "result": str(arguments.result)},
        "capacity": [
            _capacity(site, size, number, arguments.seconds) for number in arguments.replicas
        ],
    }
    if not arguments.alone:
        result["indexes"] = site_indexes.measure(size)
        result["ttl"] = site_ttl.measure(size)
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    arguments.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(tables(result))
    print(f"\n{connection_kib(result):.0f} KiB for each connection")
    print(f"\nThe same for machines: {arguments.result}", file=sys.stderr)


if __name__ == "__main__":
    main()

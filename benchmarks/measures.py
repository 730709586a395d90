"""One function for each row of the table."""

from __future__ import annotations

import compileall
import itertools
import random
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyperf

from benchmarks.data import BASE, PAGE_APPLICATIONS, PAGE_USER, Size, dn_of, image_of, name_of
from benchmarks.operations import Counts
from benchmarks.peers import Peer, PythonLdap, list_users
from benchmarks.searches import of_grants, of_user
from benchmarks.sql import SqlDatabase
from benchmarks.table import Row
from benchmarks.timing import Subject, alternate, in_turn, throughput, timed
from ldapdb import LDAPDatabase
from ldapdb.model import Policy, Window
from ldapdb.naming import grant_cn

__all__ = ["Bench", "cold", "first_answer", "growth", "listing", "page", "pairs", "threads", "warm"]

_ROOT = Path(__file__).resolve().parent.parent
_REFERENCE = "python-ldap"
_NO_REFERENCE = f"{_REFERENCE} is not installed"
_THREADS = 32
_ROUNDS = 7
# So many users have, together, most of the images.
_WARM_UP = 200


@dataclass
class Bench:
    """What is measured side by side.

    Parameters
    ----------
    size : Size
        How much there is.
    settings : dict
        ldapdb's.
    settings_file : Path
        The same and SQLite's file, for processes of their own.
    peers : dict of str to Peer
        Other clients, connected.
    sqlite : SqlDatabase
        The host's backend.
    seconds : float
        How long a comparison is repeated.
    """

    size: Size
    settings: dict[str, Any]
    settings_file: Path
    peers: dict[str, Peer]
    sqlite: SqlDatabase
    seconds: float

    def names(self) -> Iterator[str]:
        """Name users who have grants, in no order, each once."""
        return shuffled(self.size)

    @property
    def reference(self) -> str:
        """The client to compare with: python-ldap, or the next one where it is not installed."""
        return next(iter(self.peers))


def shuffled(size: Size) -> Iterator[str]:
    """Name users who have grants, in no order, each once."""
    numbers = list(range(size.entitled))
    random.Random(1).shuffle(numbers)  # noqa: S311 -- no secret
    return map(name_of, numbers)


def warm(bench: Bench) -> Iterator[Row]:
    """Measure what is in memory, with pyperf in processes of their own."""
    out = bench.settings_file.with_name("warm.json")
    command = [sys.executable, "-m", "benchmarks.warm", "--settings", str(bench.settings_file)]
    options = ["--copy-env", "--quiet", "--processes", "3", "--values", "5", "--warmups", "1"]
    subprocess.run([*command, *options, "--output", str(out)], check=True, stdout=sys.stderr)
    suite = pyperf.BenchmarkSuite.load(str(out))
    medians = {each.get_name(): each.median() for each in suite.get_benchmarks()}
    out.unlink()
    for name in ("get_user", "accounting"):
        own, bare, sqlite = medians[name], medians["look-up"], medians[f"sqlite {name}"]
        seconds = {"ldapdb": own, "look-up": bare, "SQLite": sqlite}
        yield Row(f"{name}, warm", "≤ 3 × a bare locked look-up", own / bare, 3, seconds=seconds)
        yield Row(f"{name}, warm", "≥ 300 × faster than SQLite", sqlite / own, 300, at_least=True)


def cold(bench: Bench) -> Iterator[Row]:
    """Measure what nobody has asked for before, one user after the other."""
    with LDAPDatabase(**bench.settings) as database:
        names = bench.names()
        seconds = in_turn(_get_user(bench, database), names, bench.seconds)
        yield from _against("get_user, cold", seconds)
    with LDAPDatabase(**bench.settings) as database:
        names = bench.names()
        for name in itertools.islice(names, _WARM_UP):
            database.get_accounting_for_user(database.get_user(user_name=name))
        seconds = in_turn(_accounting(bench, database), names, bench.seconds)
        yield from _against("accounting, cold (user known)", seconds)


def _get_user(bench: Bench, database: LDAPDatabase) -> dict[str, Subject]:
    return {
        "ldapdb": Subject(lambda name: database.get_user(user_name=name)),
        **{name: Subject(_searching(peer)) for name, peer in bench.peers.items()},
        "SQLite": Subject(bench.sqlite.get_user),
    }


def _searching(peer: Peer) -> Callable[[str], object]:
    return lambda name: peer.search(of_user(name))


def _accounting(bench: Bench, database: LDAPDatabase) -> dict[str, Subject]:
    subjects = {
        "ldapdb": Subject(
            database.get_accounting_for_user, lambda name: database.get_user(user_name=name)
        )
    }
    for name, peer in bench.peers.items():
        subjects[name] = Subject(peer.search, of_grants)
    subjects["SQLite"] = Subject(bench.sqlite.get_accounting_for_user, bench.sqlite.get_user)
    return subjects


def _against(what: str, seconds: dict[str, float], factor: float = 3) -> Iterator[Row]:
    goal = f"≤ {factor:g} × {_REFERENCE}"
    if _REFERENCE in seconds:
        ratio = seconds["ldapdb"] / seconds[_REFERENCE]
        yield Row(what, goal, ratio, factor, seconds=seconds)
    else:
        yield Row(what, goal, None, factor, note=_NO_REFERENCE, seconds=seconds)
    yield Row(what, "faster than SQLite", seconds["ldapdb"] / seconds["SQLite"], 1)


def listing(bench: Bench) -> Iterator[Row]:
    """List all users, and look at how much memory it takes."""
    with LDAPDatabase(**bench.settings) as database:
        calls = {
            "ldapdb": timed(database.list_users),
            **{name: timed(_listing(peer)) for name, peer in bench.peers.items()},
            "SQLite": timed(bench.sqlite.list_users),
        }
        what = f"list_users, {bench.size.users:,}"
        yield from _against(what, alternate(calls, 3), 2)
        tracemalloc.start()
        listed = database.list_users()
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    note = f"peak {peak / 2**20:.1f} MiB, the list of {len(listed):,} {kept / 2**20:.1f} MiB"
    yield Row(f"{what}, peak memory", "≤ 2 × the list", peak / kept, 2, note=note)


def _listing(peer: Peer) -> Callable[[], object]:
    return lambda: list_users(peer)


def first_answer(bench: Bench, counts: Counts) -> Iterator[Row]:
    """Start processes that answer once, from modules that are compiled, as installed ones are."""
    for package in ("ldapdb", "benchmarks"):
        compileall.compile_dir(_ROOT / package, quiet=1)

    def start(backend: str) -> Callable[[], float]:
        command = [sys.executable, "-m", "benchmarks.start", backend, str(bench.settings_file)]
        return lambda: float(subprocess.run(command, check=True, capture_output=True).stdout)

    seconds = alternate({"ldapdb": start("ldapdb"), "SQLite": start("sqlite")}, _ROUNDS)
    what = "process start to first accounting"
    ratio = seconds["ldapdb"] / seconds["SQLite"]
    yield Row(what, "≤ SQLite's", ratio, 1, seconds=seconds)
    trips = counts[what]
    note = ", ".join(f"{number} {operation}" for operation, number in trips.items())
    yield Row(f"{what}, round trips", "≤ 4", trips["trips"], 4, note=note)


def page(bench: Bench) -> Iterator[Row]:
    """Let the host ask as it does for one page: 1 + N times for the same user."""
    first, whole = [], []

    def ask() -> float:
        with LDAPDatabase(**bench.settings) as database:
            user = database.get_user(user_name=PAGE_USER)
            one = timed(lambda: database.get_accounting_for_user(user))
            times = [one() for _ in range(1 + PAGE_APPLICATIONS)]
        first.append(times[0])
        whole.append(sum(times))
        return whole[-1] / first[-1]

    ratio = alternate({"ratio": ask}, 3 * _ROUNDS)["ratio"]
    seconds = {
        "one cold call": sorted(first)[len(first) // 2],
        "page": sorted(whole)[len(whole) // 2],
    }
    what = f"application page, N = {PAGE_APPLICATIONS}"
    yield Row(what, "≤ 1.2 × one cold call", ratio, 1.2, seconds=seconds)


def threads(bench: Bench, counts: Counts) -> Iterator[Row]:
    """Ask for one cold user, and for many, in many threads."""
    found = counts["64 threads, one cold user"].get("SRCH", 0)
    yield Row("64 threads, one cold key", "1 search", found, 1)
    names = list(itertools.islice(bench.names(), 4000))
    few, many = names[:800], names[800:]
    with LDAPDatabase(**bench.settings) as database:

        def get_user(name: str) -> object:
            return database.get_user(user_name=name)

        alone, worked = throughput(get_user, few, 1)
        together, _ = throughput(get_user, many, _THREADS)
    speedup, note = together / alone, f"{alone:.0f} to {together:.0f} calls/s"
    allowed = 1 / worked
    limits = {"3": 3.0, "the interpreter's lock allows": allowed}
    note += f"; one thread computes {worked:.0%} of the time, so the lock allows {allowed:.1f} ×"
    if _REFERENCE in bench.peers:
        peer_alone, peer_together = _python_ldap_throughput(bench, few, many)
        limits[f"{_REFERENCE} reaches"] = peer_together / peer_alone
        note += f"; python-ldap {peer_alone:.0f} to {peer_together:.0f} calls/s"
        note += f" ({peer_together / peer_alone:.2g} ×)"
    least = min(limits, key=lambda name: limits[name])
    goal = "≥ 3 × one thread" if least == "3" else f"≥ what {least} ({limits[least]:.2g} ×)"
    what = f"{_THREADS} threads, distinct cold users"
    yield Row(what, goal, speedup, limits[least], at_least=True, note=note)


def _python_ldap_throughput(bench: Bench, few: list[str], many: list[str]) -> tuple[float, float]:
    mine = threading.local()
    opened: list[PythonLdap] = []

    def search(name: str) -> object:
        if not hasattr(mine, "peer"):
            mine.peer = PythonLdap(bench.settings)
            opened.append(mine.peer)
        return mine.peer.search(of_user(name))

    alone, _ = throughput(search, few, 1)
    together, _ = throughput(search, many, _THREADS)
    for each in opened:
        each.close()
    return alone, together


def pairs(bench: Bench) -> Iterator[Row]:
    """Grant and revoke, and let python-ldap make the same two modifies."""
    what, goal = "grant and revoke", "≤ 2 × python-ldap's same modifies"
    peer = bench.peers.get(_REFERENCE)
    if not isinstance(peer, PythonLdap):
        yield Row(what, goal, None, 2, note=_NO_REFERENCE)
        return
    image, policy = image_of(299), Policy()
    entry = f"cn={grant_cn(image, policy, Window())},ou=grants,{BASE}"

    def modify(name: str) -> None:
        peer.add_member(entry, dn_of(name))
        peer.delete_member(entry, dn_of(name))

    with LDAPDatabase(**bench.settings) as database:

        def grant_and_revoke(name: str) -> None:
            database.grant_access(image, name, False, False, None)
            database.revoke_access(image, name, False, False, None)

        grant_and_revoke(name_of(0))  # makes the entry
        subjects = {"ldapdb": Subject(grant_and_revoke), "python-ldap": Subject(modify)}
        try:
            seconds = in_turn(subjects, bench.names(), bench.seconds)
        finally:
            peer.delete(entry)
    yield Row(what, goal, seconds["ldapdb"] / seconds["python-ldap"], 2, seconds=seconds)


def growth(small: Bench, large: Bench) -> Iterator[Row]:
    """Make the same cold calls on two directories in turn."""
    sizes = (small, large)
    labels = [f"{bench.size.users:,}" for bench in sizes]
    names = list(small.names())
    warm_up, rest = names[:_WARM_UP], names[_WARM_UP:]
    with LDAPDatabase(**small.settings) as one, LDAPDatabase(**large.settings) as other:
        both = dict(zip(labels, (one, other)))
        for name in warm_up:
            for database in both.values():
                database.get_accounting_for_user(database.get_user(user_name=name))
        half = len(rest) // 2
        for what, names, subject in (
            ("get_user", rest[:half], _cold_user),
            ("accounting", rest[half:], _cold_grants),
        ):
            subjects = {label: subject(database) for label, database in both.items()}
            seconds = in_turn(subjects, iter(names), small.seconds)
            ratio = seconds[labels[1]] / seconds[labels[0]]
            yield Row(f"growth, {what}, cold", "≤ 1.3 ×", ratio, 1.3, seconds=seconds)
    kept = [_memory(bench) for bench in sizes]
    note = " and ".join(f"{each / 1024:.0f} KiB" for each in kept)
    yield Row("growth, ldapdb's memory", "flat", kept[1] / kept[0], 1.1, note=note)


def _cold_user(database: LDAPDatabase) -> Subject:
    return Subject(lambda name: database.get_user(user_name=name))


def _cold_grants(database: LDAPDatabase) -> Subject:
    return Subject(database.get_accounting_for_user, lambda name: database.get_user(user_name=name))


def _memory(bench: Bench) -> int:
    """Return the bytes that a database holds when it has answered about 300 users."""
    asked = [name_of(number) for number in range(0, 900, 3)]
    tracemalloc.start()
    with LDAPDatabase(**bench.settings) as database:
        for name in asked:
            database.get_accounting_for_user(database.get_user(user_name=name))
        kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept

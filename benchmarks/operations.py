"""How many operations each call costs, counted on the way to slapd.

Counts do not depend on the machine, so that a change that costs a round trip more is seen
in CI, where times say little. ``operations.json`` has what is allowed.
"""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy import Proxy

from benchmarks import searches
from benchmarks.data import PAGE_APPLICATIONS, PAGE_USER, Size, image_of, name_of
from benchmarks.directory import BenchDirectory
from ldapdb import LDAPDatabase

__all__ = ["count", "main"]

ALLOWED = Path(__file__).with_name("operations.json")
_SIZE = Size(1_000)
_THREADS = 64
_IMAGE = image_of(299)
# Two of one hundred, who have the same applications, and two others.
_SOMEBODY, _NEIGHBOUR, _ANOTHER, _THIRD = map(name_of, (42, 43, 142, 242))

Counts = dict[str, dict[str, int]]


class _Counting:
    """Counts what calls send through a proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.counts: Counts = {}

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        with self._proxy.operations() as seen:
            yield
        self.counts[name] = dict(sorted(Counter(seen).items()))
        if seen.trips < len(seen):
            self.counts[name]["trips"] = seen.trips


def count() -> Counts:
    """Count the operations of each call, on a small directory of its own."""
    with BenchDirectory(size=_SIZE, kept=False) as directory:
        return _count(directory)


def _count(directory: BenchDirectory) -> Counts:
    with LDAPDatabase(**directory.database_kwargs()) as database:
        searches.check(database, _SOMEBODY)  # what peers are to do is seen to here, in CI
    proxy = Proxy("127.0.0.1", directory.port)
    settings = {**directory.database_kwargs(), "uri": proxy.uri, "cache_ttl_seconds": 600}
    counting = _Counting(proxy)
    try:
        with counting.call("process start to first accounting"), LDAPDatabase(**settings) as first:
            first.get_accounting_for_user(first.get_user(user_name=_SOMEBODY))
        with counting.call("constructor"):
            database = LDAPDatabase(**settings)
        with database:
            _count_reads(counting, database)
            _count_writes(counting, database)
        with (
            LDAPDatabase(**settings) as database,
            counting.call(f"{_THREADS} threads, one cold user"),
        ):
            _at_once(lambda: database.get_user(user_name=_SOMEBODY))
    finally:
        proxy.close()
    return counting.counts


def _count_reads(counting: _Counting, database: LDAPDatabase) -> None:
    with counting.call("get_user, cold"):
        user = database.get_user(user_name=_SOMEBODY)
    with counting.call("get_user by id, just found by name"):
        database.get_user(id=user.id)
    with counting.call("accounting, cold"):
        database.get_accounting_for_user(user)
    with counting.call("get_user and accounting, warm"):
        database.get_accounting_for_user(database.get_user(user_name=_SOMEBODY))
    user = database.get_user(user_name=_NEIGHBOUR)
    with counting.call("accounting, cold, applications known"):
        database.get_accounting_for_user(user)
    user = database.get_user(user_name=PAGE_USER)
    with counting.call(f"page of {PAGE_APPLICATIONS} applications, cold"):
        for _ in range(1 + PAGE_APPLICATIONS):
            assert len(database.get_accounting_for_user(user)) == PAGE_APPLICATIONS
    with counting.call("list_users, cold"):
        database.list_users()
    with counting.call("list_applications, cold"):
        database.list_applications()


def _count_writes(counting: _Counting, database: LDAPDatabase) -> None:
    policy = (False, False, None)
    with counting.call("grant, first of its policy"):
        database.grant_access(_IMAGE, _ANOTHER, *policy)
    with counting.call("grant"):
        database.grant_access(_IMAGE, _THIRD, *policy)
    with counting.call("grant again"):
        database.grant_access(_IMAGE, _THIRD, *policy)
    with counting.call("revoke"):
        database.revoke_access(_IMAGE, _THIRD, *policy)
    identifier = database.grant_access(_IMAGE, _THIRD, *policy)
    with counting.call("revoke by id"):
        database.revoke_access_by_id(identifier)


def _at_once(call: Callable[[], object]) -> None:
    barrier = threading.Barrier(_THREADS)

    def ask() -> None:
        barrier.wait()
        call()

    threads = [threading.Thread(target=ask) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    """Print the counts beside what is allowed; return 1 if there are more, or no such call."""
    counts = count()
    allowed: Counts = json.loads(ALLOWED.read_text(encoding="utf-8"))
    failed = False
    for name in dict.fromkeys((*counts, *allowed)):
        found, most = counts.get(name), allowed.get(name)
        if found is None or most is None:
            verdict = "NOT IN operations.json" if most is None else "NOT COUNTED ANY MORE"
            failed = True
        elif any(number > most.get(operation, 0) for operation, number in found.items()):
            verdict = f"MORE THAN {_said(most)}"
            failed = True
        else:
            verdict = "" if found == most else f"fewer than {_said(most)}: write that down"
        print(f"{name:40} {_said(found):24} {verdict}".rstrip())
    return int(failed)


def _said(counts: dict[str, int] | None) -> str:
    if not counts:
        return "nothing"
    return ", ".join(f"{number} {operation}" for operation, number in counts.items())

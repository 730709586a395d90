"""One run: directories, peers, measures, table."""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Optional

from benchmarks import measures, operations
from benchmarks.data import Size
from benchmarks.directory import CACHE, BenchDirectory
from benchmarks.measures import Bench
from benchmarks.peers import available
from benchmarks.sql import SqlDatabase, fill
from benchmarks.table import Row, table, write

__all__ = ["main"]

_PACKAGES = ("ldap3", "python-ldap", "bonsai", "SQLAlchemy", "pyperf", "cachetools")


def main(users: int, growth: Optional[Sequence[int]], seconds: float) -> None:
    """Measure all, and print the table; it is also in ``.cache/benchmarks/result.json``."""
    began = time.time()
    rows: list[Row] = []
    counts = operations.count()
    with _bench(users, seconds) as (bench, absent):
        for measured in (
            measures.warm(bench),
            measures.cold(bench),
            measures.listing(bench),
            measures.first_answer(bench, counts),
            measures.page(bench),
            measures.threads(bench, counts),
            measures.pairs(bench),
        ):
            rows += _told(measured)
    if growth is None:
        rows.append(Row("growth", "≤ 1.3 ×", None, 1.3, note="not measured: no --growth"))
    else:
        with _bench(growth[0], seconds) as (small, _), _bench(growth[1], seconds) as (large, _):
            rows += _told(measures.growth(small, large))
    rows += [Row(name, "–", None, 0, note="is not installed") for name in absent]
    about = {**_about(), "users": users, "growth": growth, "run_seconds": time.time() - began}
    CACHE.mkdir(parents=True, exist_ok=True)
    result = CACHE / "result.json"
    write(result, rows, about)
    print(table(rows))
    print(f"\n{json.dumps(about)}\nThe same for machines: {result}", file=sys.stderr)


def _told(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        print("  ".join(row.cells()), file=sys.stderr, flush=True)
        yield row


@contextlib.contextmanager
def _bench(users: int, seconds: float) -> Iterator[tuple[Bench, list[str]]]:
    size = Size(users)
    with BenchDirectory(size=size) as directory, contextlib.ExitStack() as stack:
        settings: dict[str, Any] = directory.database_kwargs()
        file = directory.database.with_suffix(".sqlite")
        fill(file, size)
        sqlite = SqlDatabase(file)
        stack.callback(sqlite.close)
        peers, absent = available(settings)
        for peer in peers.values():
            stack.callback(peer.close)
        settings_file = directory.folder / "settings.json"
        settings_file.touch(mode=0o600)
        written = {"ldapdb": settings, "sqlite": str(file)}
        settings_file.write_text(json.dumps(written), encoding="utf-8")
        yield Bench(size, settings, settings_file, peers, sqlite, seconds), absent


def _about() -> dict[str, Any]:
    """Tell what it was measured with, and how busy the machine was."""
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": versions,
    }

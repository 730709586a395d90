"""What is answered from memory, measured by pyperf, and the SQLite backend beside it.

Run as ``python -m benchmarks.warm --settings SETTINGS`` with pyperf's own options.
"""

from __future__ import annotations

import argparse
import json
import threading
from pathlib import Path

import pyperf
from cachetools import TTLCache

from benchmarks.sql import SqlDatabase
from ldapdb import LDAPDatabase

_NAME = "user0000042"


class LockedCache:
    """The least that a cache of a process with threads can be."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cache: TTLCache[str, str] = TTLCache(10_000, 3600)
        self._cache[_NAME] = _NAME

    def get(self, key: str) -> str:
        """Look a key up."""
        with self._lock:
            return self._cache[key]


def main() -> None:
    """Measure."""

    def add_arguments(command: list[str], arguments: argparse.Namespace) -> None:
        command.extend(("--settings", arguments.settings))

    runner = pyperf.Runner(program_args=("-m", "benchmarks.warm"), add_cmdline_args=add_arguments)
    runner.argparser.add_argument("--settings", required=True)
    arguments = runner.parse_args()
    settings = json.loads(Path(arguments.settings).read_text(encoding="utf-8"))
    with LDAPDatabase(**{**settings["ldapdb"], "cache_ttl_seconds": 3600}) as database:
        user = database.get_user(user_name=_NAME)
        database.get_accounting_for_user(user)
        sqlite = SqlDatabase(Path(settings["sqlite"]))
        sql_user = sqlite.get_user(_NAME)
        cache = LockedCache()
        runner.bench_func("look-up", cache.get, _NAME)
        runner.bench_func("get_user", lambda: database.get_user(user_name=_NAME))
        runner.bench_func("accounting", lambda: database.get_accounting_for_user(user))
        runner.bench_func("sqlite get_user", sqlite.get_user, _NAME)
        runner.bench_func("sqlite accounting", sqlite.get_accounting_for_user, sql_user)
        sqlite.close()


if __name__ == "__main__":
    main()

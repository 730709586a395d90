"""One process of the host, from its imports to the first accounting.

Run as ``python -m benchmarks.start ldapdb|sqlite SETTINGS``; prints the seconds from the
first import of the backend to the answer. What the host imports anyway comes before.
"""

# ruff: noqa: T201, PLC0415 -- what it prints, and when it imports, is what it is for

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HOST_IMPORTS = ("tornado.web", "tornado.ioloop", "traitlets.config", "requests")
_NAME = "user0000042"


def ask_ldapdb(settings: dict[str, Any]) -> int:
    """Connect, bind, look at the directory, and answer."""
    from ldapdb import LDAPDatabase

    database = LDAPDatabase(**settings["ldapdb"])
    return len(database.get_accounting_for_user(database.get_user(user_name=_NAME)))


def ask_sqlite(settings: dict[str, Any]) -> int:
    """Open the file, and answer."""
    from benchmarks.sql import SqlDatabase

    database = SqlDatabase(Path(settings["sqlite"]))
    user = database.get_user(_NAME)
    return 0 if user is None else len(database.get_accounting_for_user(user))


_BACKENDS: dict[str, Callable[[dict[str, Any]], int]] = {
    "ldapdb": ask_ldapdb,
    "sqlite": ask_sqlite,
}


def main() -> None:
    """Measure one start."""
    ask = _BACKENDS[sys.argv[1]]
    settings = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    for name in _HOST_IMPORTS:
        importlib.import_module(name)
    began = time.perf_counter()
    answer = ask(settings)
    seconds = time.perf_counter() - began
    if not answer:
        raise RuntimeError(f"{sys.argv[1]} found no accounting of {_NAME}")
    print(seconds)


if __name__ == "__main__":
    main()

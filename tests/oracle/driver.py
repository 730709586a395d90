"""The process that runs ldapdb: requests on standard input, answers on standard output.

The one module here that imports ldapdb. It computes nothing: it calls and encodes.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
from types import SimpleNamespace
from typing import Any

from ldapdb import LDAPDatabase
from ldapdb.cli import run

_PREFIX = "LDAPDB_"


class Driver:
    """Answers requests, each a JSON object with what to do."""

    def __init__(self) -> None:
        self._databases: dict[str, LDAPDatabase] = {}

    def answer(self, request: dict[str, Any]) -> Any:
        do = request.pop("do")
        return getattr(self, f"_{do}")(**request)

    def close(self) -> None:
        for each in self._databases.values():
            each.close()
        self._databases.clear()

    def _open(self, settings: dict[str, Any]) -> None:
        """Use a directory from now on: by environment, with a cache, and without."""
        self.close()
        for name in [each for each in os.environ if each.startswith(_PREFIX)]:
            del os.environ[name]
        for name, value in settings.items():
            text = value if isinstance(value, str) else json.dumps(value)
            os.environ[f"{_PREFIX}{name.upper()}"] = text
        self._databases["cached"] = LDAPDatabase(**settings)
        self._databases["direct"] = LDAPDatabase(**settings, cache_ttl_seconds=0)

    def _cli(self, args: list[str]) -> dict[str, Any]:
        # What writes bytes writes to the buffer below.
        below = io.BytesIO(), io.BytesIO()
        out, err = (io.TextIOWrapper(each, encoding="utf-8", write_through=True) for each in below)
        logging.getLogger().handlers.clear()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(args)
            out.flush()
            err.flush()
        said = [each.getvalue().decode() for each in below]
        return {"code": code, "out": said[0], "err": said[1]}

    def _host(self, database: str, call: str, **given: Any) -> Any:
        chosen = self._databases[database]
        try:
            if call == "accounting_of_id":
                return _encoded(chosen.get_accounting_for_user(chosen.get_user(**given)))
            if call == "accounting_of_name":
                return _encoded(chosen.get_accounting_for_user(SimpleNamespace(**given)))
            return _encoded(getattr(chosen, call)(**given))
        except Exception as error:
            return {"error": type(error).__name__, "text": str(error)}


def _encoded(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_encoded(each) for each in value]
    if hasattr(value, "application_policy"):
        policy = vars(value.application_policy)
        return {"id": value.id, "image": value.application.image, "policy": policy}
    return vars(value)


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what else is printed must not be taken for an answer
    driver = Driver()
    for line in sys.stdin:
        print(json.dumps(driver.answer(json.loads(line)), default=str), file=answers, flush=True)
    driver.close()


if __name__ == "__main__":
    main()

"""ldapdb from outside: a process that is asked, and its answers in the words of ``rights``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from oracle.rights import Right

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Product", "right_of"]

_TESTS = Path(__file__).resolve().parents[1]


class Product:
    """The driver's process. Use it as a context manager."""

    def __init__(self) -> None:
        folders = [str(_TESTS), str(_TESTS / "standin" / "host22")]
        path = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "oracle.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        """Return the product itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def open(self, settings: dict[str, Any]) -> None:
        """Use a directory with these settings, with nothing cached."""
        self._ask(do="open", settings=settings)

    def cli(self, *args: str) -> dict[str, Any]:
        """Run a command; return its code and what it printed."""
        answer: dict[str, Any] = self._ask(do="cli", args=args)
        return answer

    def host(self, database: str, call: str, **given: Any) -> Any:
        """Make one of the host's calls."""
        return self._ask(do="host", database=database, call=call, **given)

    def _ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"ldapdb ended at {request}; run `python -m oracle.driver` by hand")
        return json.loads(line)


def right_of(image: str, policy: dict[str, Any]) -> Right:
    """Read a right as ldapdb writes it; what contradicts itself equals nothing expected."""
    parts = [policy[f"volume_{each}"] for each in ("source", "target", "mode")]
    volume: Optional[str] = ":".join(map(str, parts)) if any(parts) else None
    if policy["allow_common"] is not (volume is not None):
        volume = f"{volume} although allow_common is {policy['allow_common']}"
    return Right(
        image,
        policy["app_license"],
        home=policy["allow_home"],
        view=policy["allow_view"],
        startup_data=policy["allow_startup_data"],
        volume=volume,
    )

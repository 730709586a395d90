"""Journals: what was called, what came of it, and when, so that a kill loses no line.

All times are seconds of the monotonic clock, which is one for all processes of a machine.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Fault", "Journal", "Operation", "Record", "Stall", "read"]

WRITES = ("grant", "revoke", "revoke_by_id", "create", "remove")


class Journal:
    """A file that lines are appended to, each with one system call."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        os.close(self._file)

    def note(self, what: str, **said: Any) -> None:
        """Write one line, with the time."""
        line = {"t": round(time.monotonic(), 6), "what": what, **said}
        os.write(self._file, f"{json.dumps(line)}\n".encode())


@dataclass(frozen=True)
class Operation:
    """One call of a worker.

    Parameters
    ----------
    process : str
        The worker and which of its lives it was, such as ``3.1``.
    kind : str
        Such as ``grant``.
    about : tuple of str
        User, image and policy, or as many of them as the call names.
    began, ended : float
        Where the process was killed, it ended when the next one began.
    result : Any
        What the call returned; None if it failed.
    error : str
        Kind of error; empty if there was none.
    lines : tuple of str
        What the journal says of it.
    """

    process: str
    kind: str
    about: tuple[str, ...]
    began: float
    ended: float
    result: Any = None
    error: str = ""
    lines: tuple[str, ...] = field(default=(), compare=False)

    @property
    def worker(self) -> int:
        """The number of the worker."""
        return int(self.process.partition(".")[0])

    @property
    def is_write(self) -> bool:
        """Whether it was to change something."""
        return self.kind in WRITES

    @property
    def acknowledged(self) -> bool:
        """Whether it returned."""
        return not self.error


@dataclass(frozen=True)
class Fault:
    """What was done to a server, until it answered again.

    Parameters
    ----------
    kind : str
        ``kill``, ``freeze`` or ``restart``; ``behind`` for a server that lacks changes.
    target : str
        ``provider 1``, ``provider 2``, ``consumer``, ``worker``, or ``lag of`` a server.
    """

    kind: str
    target: str
    began: float
    ended: float = math.inf

    @property
    def is_of_provider(self) -> bool:
        """Whether it hit a server that takes writes."""
        return self.target.startswith("provider")


@dataclass(frozen=True)
class Stall:
    """A time in which a worker's process was not let run."""

    process: str
    began: float
    ended: float


@dataclass
class Record:
    """All that the journals say."""

    setup: dict[str, Any] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    retries: int = 0
    stale: int = 0


def read(paths: Iterable[Path]) -> Record:
    """Read journals; the operations of each worker in order."""
    record = Record()
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            _read(record, [line for line in lines if line.endswith("\n")])
    return record


def _read(record: Record, lines: Iterable[str]) -> None:
    calls, faults = _Calls(record), _Faults(record)
    for text in lines:
        line = {**json.loads(text), "text": text.strip()}
        what = line["what"]
        if what == "setup":
            record.setup = line
        elif what == "warning":
            record.warnings.append(line["text"])
        elif what in ("retry", "stale"):
            record.retries += what == "retry"
            record.stale += what == "stale"
        elif what in ("fault", "over"):
            faults.take(line)
        else:
            calls.take(line)
    calls.end()
    record.faults += faults.hit.values()


class _Calls:
    """The lines of one worker."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._process = ""
        self._calling: Optional[dict[str, Any]] = None

    def take(self, line: dict[str, Any]) -> None:
        what = line["what"]
        if what == "begin":
            self.end(line["t"])
            self._process = line["process"]
        elif what == "call":
            self._calling = line
        elif what in ("result", "error"):
            self._over(line)
        elif what == "stall":
            self._record.stalls.append(Stall(self._process, line["since"], line["t"]))

    def end(self, at: float = math.inf) -> None:
        """Take a call without an outcome for one in which the process was killed."""
        if self._calling is not None:
            self._over({"t": at, "error": "killed"})

    def _over(self, outcome: dict[str, Any]) -> None:
        assert self._calling is not None
        self._record.operations.append(_operation(self._process, self._calling, outcome))
        self._calling = None


class _Faults:
    """The lines of the chaos."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self.hit: dict[str, Fault] = {}

    def take(self, line: dict[str, Any]) -> None:
        target = line["target"]
        if line["what"] == "fault":
            self.hit[target] = Fault(line["kind"], target, line.get("since", line["t"]))
        else:
            hit = self.hit.pop(target)
            self._record.faults.append(Fault(hit.kind, target, hit.began, line["t"]))


def _operation(process: str, call: dict[str, Any], outcome: dict[str, Any]) -> Operation:
    texts = (call.get("text", ""), outcome.get("text", ""))
    return Operation(
        process,
        call["do"],
        tuple(call["about"]),
        call["t"],
        outcome["t"],
        outcome.get("result"),
        outcome.get("error", ""),
        tuple(text for text in texts if text),
    )

"""Programs on a terminal, as somebody sits before it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Terminal"]

_PATIENCE_SECONDS = 20.0


class Terminal:
    """A program that thinks a person reads what it prints.

    Parameters
    ----------
    arguments : sequence of str
        The program.
    environment : mapping of str to str
        Its whole environment.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.seen = ""
        self._program = subprocess.Popen(
            arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={"TERM": "xterm-256color", "COLUMNS": "200", **environment},
            start_new_session=True,
        )
        os.close(theirs)

    def type(self, keys: str) -> None:
        """Type something."""
        os.write(self._ours, keys.encode())

    def wait_for(self, pattern: str) -> str:
        """Wait until something is there, and return what has come until then.

        Raises
        ------
        AssertionError
            If it does not come.
        """
        ends = time.monotonic() + _PATIENCE_SECONDS
        while not re.search(pattern, self.seen):
            assert self._read(ends - time.monotonic()), f"no {pattern!r} in {self.seen!r}"
        return self.seen

    def clear(self) -> None:
        """Forget what has come, also within the next moment."""
        while self._read(0.2):
            pass
        self.seen = ""

    def rest(self) -> str:
        """Wait for the program's end, and return all that it printed."""
        while self._read(_PATIENCE_SECONDS):
            pass
        return self.seen

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(seconds, 0))
        if not ready:
            return False
        with contextlib.suppress(OSError):  # what Linux says at the end
            read = os.read(self._ours, 65536)
            self.seen += read.decode(errors="replace")
            return bool(read)
        return False

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator[Terminal]:
        """Start a program, and end it."""
        terminal = cls(arguments, environment)
        try:
            yield terminal
        finally:
            terminal._program.kill()
            terminal._program.wait()
            os.close(terminal._ours)

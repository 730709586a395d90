"""What must hold in every case: time, memory, and what is in the log."""

from __future__ import annotations

import faulthandler
import logging
import resource
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LONGEST_LINE = 4000


class Log(logging.Handler):
    """Looks at each line, and keeps the first that is not as it must be."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: tuple[str, ...] = ()
        self.wrong: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if len(line) > _LONGEST_LINE and record.levelno > logging.DEBUG:
            self.wrong.append(f"a line of {len(line)} characters: {line[:200]}")
        elif any(secret in line for secret in self.secrets):
            self.wrong.append("a line with a secret in it")
        elif any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in line):
            self.wrong.append(f"a line with a control character: {line!r}")

    def check(self) -> None:
        """Fail if a line was wrong."""
        wrong, self.wrong = self.wrong, []
        assert not wrong, wrong


class TookTooLong(AssertionError):
    """A piece of work did not end in its time."""


@contextmanager
def bounded(
    what: object,
    *,
    seconds: float,
    megabytes: int,
    timer: Callable[[], float] = time.process_time,
) -> Iterator[None]:
    """Hold a piece of work to a time and to a growth of this process.

    Where it never ends, all threads' stacks are printed after a minute and the process ends.

    Parameters
    ----------
    what : object
        Its name.
    seconds : float
        How long it may take, by `timer`.
    megabytes : int
        How much memory it may need beyond what the process ever had.
    timer : callable
        By default the processor's time, which a busy machine does not stretch.
    """
    before, began = peak(), timer()
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        yield
    finally:  # whatever came of it
        faulthandler.cancel_dump_traceback_later()
        took, grew = timer() - began, peak() - before
        if took > seconds:
            raise TookTooLong(f"{what} took {took:.2f} s")
        assert grew <= megabytes, f"{what} took {grew} MB of memory"


def peak() -> int:
    """Return the most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

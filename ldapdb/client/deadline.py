"""The end of a call, as a number that travels down with it."""

from __future__ import annotations

import time
from collections.abc import Callable

from ldapdb.errors import DeadlineExceeded

__all__ = ["Deadline"]


class Deadline:
    """The end of a call.

    Parameters
    ----------
    seconds : float
        Total time of the call, from now.
    timer : callable
        Seconds of a monotonic clock.
    """

    def __init__(self, seconds: float, timer: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._timer = timer
        self._end = timer() + seconds

    def remaining(self) -> float:
        """Return the seconds left.

        Raises
        ------
        DeadlineExceeded
            If there are none.
        """
        left = self._end - self._timer()
        if left <= 0:
            raise DeadlineExceeded(
                f"no complete answer within {self._seconds:g} s; see whether the directory is "
                "overloaded, or raise operation_timeout_seconds"
            )
        return left

    def left(self) -> float:
        """Return the seconds left, 0 if there are none."""
        return max(self._end - self._timer(), 0.0)

    def within(self, seconds: float) -> Deadline:
        """Return a deadline no later than this one and at most `seconds` away."""
        return Deadline(min(seconds, self.remaining()), self._timer)

"""Python's collection of cyclic garbage, left out while much is made that is kept.

The collector looks through all new objects again and again while they become more. For a list
of a hundred thousand users, none of which is in a cycle, that is a quarter of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from ldapdb.shared import LOCK, renew_in_children

__all__ = ["uncollected"]


class _Pauses:
    """Who needs the collector to rest; it works again when the last of them is gone."""

    def __init__(self) -> None:
        self._resting: set[int] = set()
        self._was_enabled = False
        renew_in_children(self)

    def begin(self, pause: _Pause) -> None:
        """Let the collector rest."""
        with LOCK:
            if not self._resting:
                self._was_enabled = gc.isenabled()
            self._resting.add(id(pause))
            gc.disable()

    def end(self, pause: _Pause) -> None:
        """Let the collector work again, unless there is another pause."""
        with LOCK:
            if id(pause) in self._resting:
                self._resting.discard(id(pause))
                self._resume()

    def renew_after_fork(self) -> None:
        """Forget the pauses of threads that a forked child does not have."""
        if self._resting:
            self._resting.clear()
            self._resume()

    def _resume(self) -> None:
        if self._was_enabled and not self._resting:
            gc.enable()


_PAUSES = _Pauses()


class _Pause:
    """One pause, which is over when it is gone, however that came about."""

    def __del__(self) -> None:
        _PAUSES.end(self)


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector rest, in all threads, until this is over in each that asked for it.

    If it was switched off before, it stays so.
    """
    pause = _Pause()
    _PAUSES.begin(pause)
    try:
        yield
    finally:
        _PAUSES.end(pause)

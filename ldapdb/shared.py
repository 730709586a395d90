"""State that threads share: a fork and an interrupt leave it whole.

A forked child inherits the memory of its parent as it is at that moment, also what another
thread is about to change. An interrupt (``KeyboardInterrupt``, or any exception of a signal
handler) can come between any two steps of the main thread, also where no ``finally`` is
reached yet. So there is one rule for each kind of state:

====================  ==========================================================================
state                 rule
====================  ==========================================================================
what is remembered    a `Kept`: changed out of sight under `LOCK`, which a fork waits for; what
                      an interrupt leaves half-changed is dropped
what is in use        a `Place`: taken while its holder has it, so that it is free again when
                      the holder is gone, however that came about
who waits             `Waiters`: nobody holds a lock that others need while it waits
====================  ==========================================================================

There is one lock for all, so that no order of locks has to be kept. Nothing blocks, logs or
asks a server while it is held.

No loop or comprehension that passes items over stands in the block of a lock: Python 3.13 takes
the jump to the next item for outside the block (python/cpython#130279), and an interrupt there
would keep the lock. Before Python 3.10, one at the block's end still does.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, Optional, Protocol, TypeVar

__all__ = ["LOCK", "Kept", "Place", "Places", "Waiters", "renew_in_children"]

K = TypeVar("K")
V = TypeVar("V")

# Reentrant: a signal handler may ask for what the main thread is changing, or fork.
LOCK = threading.RLock()

# How long a wake-up can be missed that went to a waiter who was interrupted.
_LOOK_SECONDS = 0.1


class _Renewable(Protocol):
    """An object that starts again in a forked child."""

    def renew_after_fork(self) -> None:
        """Drop what belongs to threads that a forked child does not have."""


_RENEWABLE: weakref.WeakSet[_Renewable] = weakref.WeakSet()
_KEPT: weakref.WeakSet[Kept[Any]] = weakref.WeakSet()


def renew_in_children(renewable: _Renewable) -> None:
    """Call an object's ``renew_after_fork`` in every forked child, for as long as it lives."""
    _RENEWABLE.add(renewable)


def _begin_in_child() -> None:
    try:
        LOCK.release()
    except RuntimeError:  # an interrupt ended the wait for it, and another thread had it
        LOCK._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001 -- as the library
        for kept in list(_KEPT):
            kept.renew()
    for renewable in list(_RENEWABLE):
        renewable.renew_after_fork()


# Methods written in C, because an interrupt that comes during a fork is raised in the first
# Python code after it: it must not be what releases the lock.
os.register_at_fork(
    before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=_begin_in_child
)


class Kept(Generic[K]):
    """Something of several parts that is always found whole.

    It is changed out of sight: replaced by a new one, and put back when the change is done. An
    exception in between leaves the new one in its place. That is safe for whatever is only
    remembered: an answer that is lost is asked for again.

    Parameters
    ----------
    make : callable
        Makes a new one.

    Attributes
    ----------
    whole : object
        What it is now; read it while `LOCK` is held.
    """

    def __init__(self, make: Callable[[], K]) -> None:
        self._make = make
        self.whole = make()
        self._latest = object()
        _KEPT.add(self)

    def change(self, step: Callable[[K], V]) -> V:
        """Change it, and return what `step` returns."""
        with LOCK:
            changing = self.whole
            self._latest = mine = object()
            self.whole = self._make()
            done = step(changing)
            # A signal handler may have changed the new one meanwhile: it must not be undone.
            if self._latest is mine:
                self.whole = changing
            return done

    def renew(self) -> None:
        """Drop what it was."""
        with LOCK:
            self._latest = object()
            self.whole = self._make()


class Waiters:
    """Threads that wait for something to change.

    Unlike the waiters of a `threading.Condition`, none of them needs a lock of others: an
    interrupt between the steps of ``Condition.__enter__`` would never let it go.
    """

    def __init__(self) -> None:
        self._asleep: deque[threading.Lock] = deque()

    def wait_for(self, is_so: Callable[[], bool], remaining: Callable[[], float]) -> bool:
        """Wait until something is so; return whether it is.

        Parameters
        ----------
        is_so : callable
            Asked at once, and whenever a thread has called :meth:`wake`.
        remaining : callable
            Seconds left to wait; what it raises ends the wait.
        """
        while not is_so():
            mine = threading.Lock()
            mine.acquire()
            self._asleep.append(mine)
            try:
                if is_so():  # since nobody could have woken this thread before
                    return True
                left = max(remaining(), 0)
                if not mine.acquire(timeout=min(left, _LOOK_SECONDS)) and left <= _LOOK_SECONDS:
                    return is_so()
            finally:
                with contextlib.suppress(ValueError):
                    self._asleep.remove(mine)
        return True

    def wake(self, most: float = float("inf")) -> None:
        """Let waiting threads look again, the first ones first."""
        woken = 0
        while woken < most:
            try:
                self._asleep.popleft().release()
            except IndexError:
                return
            woken += 1


class Place:
    """One of some places; whoever holds it has it."""

    __slots__ = ("__weakref__",)


class Places:
    """A semaphore whose places cannot be lost.

    A place that is not given back is free as soon as nobody refers to it any more.

    Parameters
    ----------
    size : int
        How many there are.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.RLock()
        # Not a WeakSet: an interrupt is raised in its callback, which is then lost.
        self._taken: list[weakref.ref[Place]] = []
        self._waiters = Waiters()

    def take(self, remaining: Callable[[], float]) -> Optional[Place]:
        """Take a place, when there is one; None if there is none in time.

        Parameters
        ----------
        remaining : callable
            As for :meth:`Waiters.wait_for`.
        """
        place = Place()

        def is_admitted() -> bool:
            with self._lock:
                taken = _held(self._taken)
                is_free = len(taken) < self._size
                self._taken = [*taken, weakref.ref(place)] if is_free else taken
                return is_free

        return place if self._waiters.wait_for(is_admitted, remaining) else None

    def leave(self, place: Place) -> None:
        """Give a place back."""
        with self._lock:
            self._taken = _held(self._taken, place)
        self._waiters.wake(1)


def _held(
    taken: Iterable[weakref.ref[Place]], left: Optional[Place] = None
) -> list[weakref.ref[Place]]:
    """Return those of some places that somebody has, but for the one that is left."""
    return [each for each in taken if each() not in (None, left)]

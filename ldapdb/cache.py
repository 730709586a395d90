"""A TTL cache that loads once per key and keeps the last good answer for an outage.

cachetools bounds the size and evicts; this module adds what it lacks: one load at a time
for a key, answers that may be served past their TTL while the directory is down, failures
that are remembered briefly, and invalidation that a load under way cannot undo.

It starts no thread and never loads by itself; the timer and the loader are given.
"""

from __future__ import annotations

import copy
import logging
import math
import threading
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, Optional, TypeVar, Union

from cachetools import LRUCache

from ldapdb.errors import DeadlineExceeded
from ldapdb.tagged import Tagged

__all__ = ["Cache", "CacheInfo", "Lifetimes"]

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class CacheInfo:
    """What a cache has done since it was made.

    Parameters
    ----------
    hits : int
        Answers within their TTL.
    misses : int
        Questions that nothing held here answered: loads that were started, and peeks.
    stale : int
        Answers past their TTL, served because a load failed.
    failures : int
        Loads that failed.
    size : int
        Answers held now.
    """

    hits: int = 0
    misses: int = 0
    stale: int = 0
    failures: int = 0
    size: int = 0


@dataclass(frozen=True)
class Lifetimes:
    """How long things are kept, in seconds.

    Parameters
    ----------
    ttl : float
        An answer.
    negative_ttl : float
        The answer "there is none" (a value that is None).
    max_stale : float
        An answer beyond its TTL, while loads fail.
    failure : float
        The memory of a failed load, so that those who wait do not each wait for a timeout
        of their own.
    wait : float
        The longest wait for a load that another thread has begun.
    """

    ttl: float
    negative_ttl: float
    max_stale: float
    failure: float = 1.0
    wait: float = 5.0


@dataclass
class _Held(Generic[V]):
    value: V
    fresh_until: float
    stale_until: float


@dataclass
class _Failure:
    error: Exception
    until: float


class _Flight(Generic[V]):
    """One load under way and those who wait for it."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.value: Optional[V] = None
        self.error: Optional[BaseException] = None


class Cache(Generic[K, V]):
    """Answers by key.

    Parameters
    ----------
    lifetimes : Lifetimes
        How long things are kept.
    max_entries : int
        How many answers are held at the most; the least recently used goes first.
    timer : callable
        Seconds of a monotonic clock.
    outage : type or tuple of types
        The errors during which an old answer is better than none.
    tags : callable, optional
        Told a key and its answer, returns the tags by which :meth:`discard_tagged` finds it.
    """

    def __init__(
        self,
        lifetimes: Lifetimes,
        max_entries: int,
        timer: Callable[[], float],
        outage: Union[type[Exception], tuple[type[Exception], ...]],
        tags: Callable[[K, V], Iterable[Hashable]] = lambda *_: (),
    ) -> None:
        self._lifetimes = lifetimes
        self._timer = timer
        self._outage = outage
        self._lock = threading.Lock()
        self._held: Tagged[K, _Held[V]] = Tagged(
            max_entries, lambda key, held: tags(key, held.value)
        )
        self._failed: LRUCache[K, _Failure] = LRUCache(max_entries)
        self._flights: dict[K, _Flight[V]] = {}
        self._generation = 0
        self._hits = self._misses = self._stale = self._failures = 0

    def hit(self, key: K) -> Optional[V]:
        """Return a fresh answer, and count it; None, which counts for nothing, if there is none.

        What :meth:`get` does first, without the price of a function that may have to load.
        """
        with self._lock:
            held = self._held.get(key)
            if held is None or held.value is None or self._timer() >= held.fresh_until:
                return None
            self._hits += 1
            return held.value

    def get(
        self,
        key: K,
        load: Callable[[], V],
        remaining: Optional[Callable[[], float]] = None,
        until: Optional[Callable[[], float]] = None,
    ) -> V:
        """Answer from memory, or load.

        Parameters
        ----------
        key : hashable
            What is asked for.
        load : callable
            Asks the directory; called by one thread at a time for a key.
        remaining : callable, optional
            Seconds that the caller has left to wait for another thread's load, where they
            are less than ``lifetimes.wait``; raises `DeadlineExceeded` if there are none.
        until : callable, optional
            Asked after a load: when, on the timer's clock, the answer is out of date in any
            case, because what it was made from is.

        Returns
        -------
        object
            The answer. During an outage it may be past its TTL, but never None or empty:
            that somebody was not there, or had nothing, does not say that it is so now.

        Raises
        ------
        Exception
            What `load` raised, at once or up to ``lifetimes.failure`` seconds later.
        """
        now = self._timer()
        with self._lock:
            held = self._held.get(key)
            if held is not None and now < held.fresh_until:
                self._hits += 1
                return held.value
            failure = self._failed.get(key)
            if failure is not None and now >= failure.until:
                failure = None
            flight = self._flights.get(key)
            mine = flight is None and failure is None
            if mine:
                flight = self._flights[key] = _Flight()
                self._misses += 1
        if failure is not None:
            return self._despite(failure.error, held)
        assert flight is not None  # noqa: S101 -- for mypy: made above unless there was one
        return self._load(key, load, flight, until) if mine else self._await(key, flight, remaining)

    def peek(self, key: K) -> Optional[V]:
        """Return a fresh answer if there is one, without loading; None otherwise."""
        with self._lock:
            held = self._held.get(key)
            if held is None or self._timer() >= held.fresh_until:
                self._misses += 1
                return None
            self._hits += 1
            return held.value

    def last(self, key: K) -> Optional[V]:
        """Return the last answer, however old; None if there is none, or it was discarded."""
        with self._lock:
            held = self._held.get(key)
            return None if held is None else held.value

    def fresh_until(self, key: K) -> float:
        """Return when the answer for a key is out of date, on the timer's clock; None is none."""
        with self._lock:
            held = self._held.get(key)
            return self._timer() if held is None or held.value is None else held.fresh_until

    def generation(self) -> int:
        """Return a number to hand to :meth:`put`, taken before the value is asked for."""
        with self._lock:
            return self._generation

    def put(self, key: K, value: V, generation: int) -> None:
        """Hold an answer that came along with another.

        Parameters
        ----------
        key, value
            The answer.
        generation : int
            From :meth:`generation`; if anything was discarded since, the value may be from
            before a write and is not held.
        """
        with self._lock:
            if generation == self._generation:
                self._hold(key, value)

    def discard(self, key: K) -> None:
        """Forget an answer, also one that is being loaded now."""
        with self._lock:
            self._generation += 1
            self._held.pop(key, None)
            self._failed.pop(key, None)
            self._flights.pop(key, None)

    def discard_tagged(self, tags: Iterable[Hashable]) -> set[K]:
        """Let the answers that have any of some tags be out of date, as :meth:`discard_where` does.

        Takes no longer where more is held. Returns their keys, and those of what was being loaded.
        """
        with self._lock:
            loading = set(self._flights)
            self._forget_loads()
            keys = self._held.keys_of(tags)
            for key in keys:
                self._outdate(key)
            return keys | loading

    def discard_where(self, concerned: Callable[[K, V], bool]) -> None:
        """Let the answers that are concerned be out of date, and all that are being loaded now.

        None of them is served again, but that there was one is remembered: see :meth:`last`.

        Parameters
        ----------
        concerned : callable
            Told a key and its answer; quick, because everybody waits for it meanwhile.
        """
        with self._lock:
            self._forget_loads()
            for key in list(self._held):
                if concerned(key, self._held.last(key).value):
                    self._outdate(key)

    def outdate(self) -> None:
        """Let all answers be out of date, as :meth:`discard_where` does."""
        self.discard_where(lambda *_: True)

    def clear(self) -> None:
        """Forget all answers, also those that are being loaded now."""
        with self._lock:
            self._generation += 1
            self._held.clear()
            self._failed.clear()
            self._flights.clear()

    def renew_after_fork(self) -> None:
        """Drop what belongs to threads that a forked child does not have."""
        self._lock = threading.Lock()
        self._flights.clear()

    def info(self) -> CacheInfo:
        """Return the statistics."""
        with self._lock:
            held = map(self._held.last, self._held)
            size = sum(each.stale_until > -math.inf for each in held)
            return CacheInfo(self._hits, self._misses, self._stale, self._failures, size)

    def _load(
        self,
        key: K,
        load: Callable[[], V],
        flight: _Flight[V],
        until: Optional[Callable[[], float]],
    ) -> V:
        try:
            value = load()
        except BaseException as error:
            flight.error = error
            with self._lock:
                self._failures += 1
                held = self._land(key, flight, error)
            flight.landed.set()
            if isinstance(error, Exception):
                value = self._despite(error, held)
                log.warning("an answer past its time serves: %s", error)
                return value
            raise
        flight.value = value
        latest = math.inf if until is None else until()
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
                self._failed.pop(key, None)
                self._hold(key, value, latest)
        flight.landed.set()
        return value

    def _land(self, key: K, flight: _Flight[V], error: BaseException) -> Optional[_Held[V]]:
        """Take a failed flight off the table; return what may be served instead."""
        if self._flights.get(key) is not flight:
            return None  # discarded meanwhile: what is held now is not for this caller
        del self._flights[key]
        if isinstance(error, Exception):
            self._failed[key] = _Failure(error, self._timer() + self._lifetimes.failure)
        return self._held.get(key)

    def _await(self, key: K, flight: _Flight[V], remaining: Optional[Callable[[], float]]) -> V:
        error: Optional[BaseException]
        try:
            wait = self._lifetimes.wait if remaining is None else remaining()
            wait = min(wait, self._lifetimes.wait)
            if flight.landed.wait(wait):
                error = flight.error
            else:  # for this caller alone: the load may still land for those who came later
                error = DeadlineExceeded(
                    f"another thread's look-up had no answer within {wait:g} s"
                )
        except DeadlineExceeded as over:
            error = over
        if error is None:
            return flight.value  # type: ignore[return-value]  # None is a V where it was loaded
        with self._lock:
            held = self._held.get(key)
        if isinstance(error, Exception):
            return self._despite(error, held)
        raise RuntimeError("the load that this call waited for was interrupted")

    def _despite(self, error: Exception, held: Optional[_Held[V]]) -> V:
        """Answer although loading failed, or raise the failure."""
        if (
            isinstance(error, self._outage)
            and held is not None
            and held.value
            and self._timer() < held.stale_until
        ):
            with self._lock:
                self._stale += 1
            return held.value
        # A copy, because one exception raised in several threads grows a tangled traceback.
        raise copy.copy(error) from error

    def _forget_loads(self) -> None:
        self._generation += 1
        self._failed.clear()
        self._flights.clear()

    def _outdate(self, key: K) -> None:
        held = self._held.last(key)
        held.fresh_until = held.stale_until = -math.inf

    def _hold(self, key: K, value: V, latest: float = math.inf) -> None:
        lifetime = self._lifetimes.negative_ttl if value is None else self._lifetimes.ttl
        fresh_until = min(self._timer() + lifetime, latest)
        self._held[key] = _Held(value, fresh_until, fresh_until + self._lifetimes.max_stale)

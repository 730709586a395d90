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
import weakref
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Optional, TypeVar, Union

from cachetools import LRUCache

from ldapdb.errors import DeadlineExceeded, LDAPDBError
from ldapdb.shared import LOCK, Kept, Place, Waiters, renew_in_children
from ldapdb.tagged import Tagged

__all__ = ["Cache", "CacheInfo", "Lifetimes"]

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# A load that ended for want of time has failed for those as well who had so much more, at the most:
# no two callers have exactly the same time left.
_HARDLY_MORE = 1.1


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
    """A load that failed.

    Parameters
    ----------
    error : Exception
        How.
    until : float
        When it is forgotten.
    seconds : float
        How much time it had; infinite if that has nothing to do with its failure.
    """

    error: Exception
    until: float
    seconds: float

    def is_for(self, seconds: float) -> bool:
        """Tell whether a load that has so much time would have failed, too."""
        return seconds <= self.seconds * _HARDLY_MORE


class _Flight(Generic[V]):
    """One load under way and those who wait for it.

    Parameters
    ----------
    leader : Place
        What the thread that loads has, and nobody else.
    """

    def __init__(self, leader: Place) -> None:
        self._leader = weakref.ref(leader)
        self.landed = False
        self.waiters = Waiters()
        self.held: Optional[tuple[V]] = None
        self.failure: Optional[_Failure] = None

    def is_over(self) -> bool:
        """Tell whether it has landed, or the thread was interrupted before it could say so."""
        return self.landed or self._leader() is None

    def land(self) -> None:
        """Let those who wait go on."""
        self.landed = True
        self.waiters.wake()


@dataclass
class _Known(Generic[K, V]):
    """All that a cache knows."""

    held: Tagged[K, _Held[V]]
    failed: LRUCache[K, _Failure]
    flights: dict[K, _Flight[V]] = field(default_factory=dict)


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
        self._kept: Kept[_Known[K, V]] = Kept(
            lambda: _Known(
                Tagged(max_entries, lambda key, held: tags(key, held.value)), LRUCache(max_entries)
            )
        )
        self._generation = 0
        self._hits = self._misses = self._stale = self._failures = 0
        renew_in_children(self)

    def hit(self, key: K) -> Optional[V]:
        """Return a fresh answer, and count it; None, which counts for nothing, if there is none.

        What :meth:`get` does first, without the price of a function that may have to load.
        """
        with LOCK:
            held = self._kept.whole.held.known(key)
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
        while True:
            with LOCK:
                held = self._kept.whole.held.known(key)
                if held is not None and self._timer() < held.fresh_until:
                    self._hits += 1
                    return held.value
            answer = self._load_or_wait(key, load, remaining, until)
            if answer is not None:
                return answer[0]

    def _load_or_wait(
        self,
        key: K,
        load: Callable[[], V],
        remaining: Optional[Callable[[], float]],
        until: Optional[Callable[[], float]],
    ) -> Optional[tuple[V]]:
        """Answer by this thread's load or another one's; None if that says nothing for this one."""
        seconds = self._seconds(remaining)
        place = Place()
        with LOCK:
            known = self._kept.whole
            held, failure = known.held.known(key), known.failed.get(key)
            if failure is not None and (
                self._timer() >= failure.until or not failure.is_for(seconds)
            ):
                failure = None
            flight = known.flights.get(key)
            is_mine = failure is None and (flight is None or flight.is_over())
            if is_mine:
                flight = known.flights[key] = _Flight(place)
                self._misses += 1
        if failure is not None:
            return (self._despite(failure.error, held),)
        assert flight is not None  # noqa: S101 -- for mypy: made above unless there was one
        if is_mine:
            return (self._load(key, load, flight, seconds, until),)
        return self._await(key, flight, remaining)

    def peek(self, key: K) -> Optional[V]:
        """Return a fresh answer if there is one, without loading; None otherwise."""
        with LOCK:
            held = self._kept.whole.held.known(key)
            if held is None or self._timer() >= held.fresh_until:
                self._misses += 1
                return None
            self._hits += 1
            return held.value

    def last(self, key: K) -> Optional[V]:
        """Return the last answer, however old; None if there is none, or it was discarded."""
        with LOCK:
            held = self._kept.whole.held.known(key)
            return None if held is None else held.value

    def fresh_until(self, key: K) -> float:
        """Return when the answer for a key is out of date, on the timer's clock; None is none."""
        with LOCK:
            held = self._kept.whole.held.known(key)
            return self._timer() if held is None or held.value is None else held.fresh_until

    def generation(self) -> int:
        """Return a number to hand to :meth:`put`, taken before the value is asked for."""
        with LOCK:
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

        def step(known: _Known[K, V]) -> None:
            if generation == self._generation:
                self._hold(known, key, value)

        self._kept.change(step)

    def discard(self, key: K) -> None:
        """Forget an answer, also one that is being loaded now."""

        def step(known: _Known[K, V]) -> None:
            self._generation += 1
            known.held.pop(key, None)
            known.failed.pop(key, None)
            known.flights.pop(key, None)

        self._kept.change(step)

    def discard_tagged(self, tags: Iterable[Hashable], *, forget: bool = False) -> set[K]:
        """Let the answers that have any of some tags be out of date, as :meth:`discard_where` does.

        Takes no longer where more is held. Returns their keys, and those of what was being loaded.

        Parameters
        ----------
        tags : iterable of hashable
            The tags.
        forget : bool
            Whether to forget that there were such answers as well.
        """

        def step(known: _Known[K, V]) -> set[K]:
            loading = self._forget_loads(known)
            keys = known.held.keys_of(tags)
            for key in keys:
                if forget:
                    del known.held[key]
                else:
                    _outdate(known.held.last(key))
            return keys | loading

        return self._kept.change(step)

    def discard_where(self, concerned: Callable[[K, V], bool]) -> None:
        """Let the answers that are concerned be out of date, and all that are being loaded now.

        None of them is served again, but that there was one is remembered: see :meth:`last`.

        Parameters
        ----------
        concerned : callable
            Told a key and its answer; quick, because everybody waits for it meanwhile.
        """

        def step(known: _Known[K, V]) -> None:
            self._forget_loads(known)
            for key in list(known.held):
                held = known.held.last(key)
                if concerned(key, held.value):
                    _outdate(held)

        self._kept.change(step)

    def outdate(self) -> None:
        """Let all answers be out of date, as :meth:`discard_where` does."""
        self.discard_where(lambda *_: True)

    def clear(self) -> None:
        """Forget all answers, also those that are being loaded now."""
        with LOCK:
            self._generation += 1
            self._kept.renew()

    def renew_after_fork(self) -> None:
        """Forget the loads of threads that a forked child does not have."""
        self._kept.whole.flights.clear()

    def info(self) -> CacheInfo:
        """Return the statistics."""
        with LOCK:
            held = self._kept.whole.held
            size = sum(held.last(key).stale_until > -math.inf for key in held)
            return CacheInfo(self._hits, self._misses, self._stale, self._failures, size)

    def _seconds(self, remaining: Optional[Callable[[], float]]) -> float:
        """Return how long a caller can wait; 0 if its time is over."""
        if remaining is None:
            return self._lifetimes.wait
        try:
            return min(remaining(), self._lifetimes.wait)
        except DeadlineExceeded:
            return 0.0

    def _load(
        self,
        key: K,
        load: Callable[[], V],
        flight: _Flight[V],
        seconds: float,
        until: Optional[Callable[[], float]],
    ) -> V:
        try:
            value = load()
            latest = math.inf if until is None else until()
            self._kept.change(partial(self._land, key, flight, value, latest))
        except BaseException as error:
            held = self._kept.change(partial(self._crash, key, flight, error, seconds))
            if not isinstance(error, Exception):
                raise  # an interrupt says nothing: one of those who wait loads itself
            value = self._despite(error, held)
            if not _is_logged(error):
                log.warning("an answer past its time serves: %s", error)
        finally:
            flight.land()
        return value

    def _land(
        self, key: K, flight: _Flight[V], value: V, latest: float, known: _Known[K, V]
    ) -> None:
        flight.held = (value,)
        if known.flights.get(key) is flight:
            del known.flights[key]
            known.failed.pop(key, None)
            self._hold(known, key, value, latest)

    def _crash(
        self, key: K, flight: _Flight[V], error: BaseException, seconds: float, known: _Known[K, V]
    ) -> Optional[_Held[V]]:
        """Note a load that failed; return what may be served instead."""
        self._failures += 1
        if isinstance(error, Exception):
            had = seconds if isinstance(error, DeadlineExceeded) else math.inf
            flight.failure = _Failure(error, self._timer() + self._lifetimes.failure, had)
        if known.flights.get(key) is not flight:
            return None  # discarded meanwhile: what is held now is not for this caller
        del known.flights[key]
        # A failure that is logged already costs nothing, so it need not be remembered, and what
        # ends it is noticed at once.
        if flight.failure is not None and not _is_logged(error):
            known.failed[key] = flight.failure
        return known.held.known(key)

    def _await(
        self, key: K, flight: _Flight[V], remaining: Optional[Callable[[], float]]
    ) -> Optional[tuple[V]]:
        """Wait for another thread's load; None if this one has to load itself."""
        wait = self._seconds(remaining)
        end = self._timer() + wait

        def left() -> float:
            return min(self._seconds(remaining), end - self._timer())

        if not flight.waiters.wait_for(flight.is_over, left):
            # For this caller alone: the load may still land for those who came later.
            error: Exception = DeadlineExceeded(
                f"another thread's look-up had no answer within {wait:g} s"
            )
        elif flight.failure is None:
            return flight.held  # nothing if the other thread was interrupted
        elif flight.failure.is_for(self._seconds(remaining)):
            error = flight.failure.error
        else:
            return None  # the other thread had less time
        with LOCK:
            held = self._kept.whole.held.known(key)
        return (self._despite(error, held),)

    def _despite(self, error: Exception, held: Optional[_Held[V]]) -> V:
        """Answer although loading failed, or raise the failure."""
        if (
            isinstance(error, self._outage)
            and held is not None
            and held.value
            and self._timer() < held.stale_until
        ):
            with LOCK:
                self._stale += 1
            return held.value
        raise _again(error) from error

    def _forget_loads(self, known: _Known[K, V]) -> set[K]:
        """Let all loads under way be for those alone who wait for them; return their keys."""
        self._generation += 1
        loading = set(known.flights)
        known.failed.clear()
        known.flights.clear()
        return loading

    def _hold(self, known: _Known[K, V], key: K, value: V, latest: float = math.inf) -> None:
        lifetime = self._lifetimes.negative_ttl if value is None else self._lifetimes.ttl
        fresh_until = min(self._timer() + lifetime, latest)
        known.held[key] = _Held(value, fresh_until, fresh_until + self._lifetimes.max_stale)


def _outdate(held: _Held[V]) -> None:
    held.fresh_until = held.stale_until = -math.inf


def _again(error: Exception) -> Exception:
    """Copy an error: one exception that is raised in several threads grows a tangled traceback."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 -- not every class can be copied, whatever it raises then
        return error


def _is_logged(error: BaseException) -> bool:
    return isinstance(error, LDAPDBError) and error.logged

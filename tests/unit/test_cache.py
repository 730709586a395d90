"""The cache: how old an answer may be, who loads, and what a write undoes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldapdb.cache import Cache, CacheInfo, Lifetimes, _Flight
from ldapdb.errors import AccessDenied, DeadlineExceeded, DirectoryUnavailable
from ldapdb.shared import LOCK, Place, Waiters

TTL, NEGATIVE_TTL, MAX_STALE, FAILURE = 60.0, 10.0, 600.0, 1.0
DEADLINE_SECONDS = 20.0  # for threads that should meet at once; nothing ever sleeps


@dataclass
class Clock:
    """A monotonic clock that a test turns."""

    now: float = 1000.0
    asked: int = 0
    everybody_asked: threading.Event = field(default_factory=threading.Event)
    expected: int = 0

    def __call__(self) -> float:
        self.asked += 1
        if self.asked == self.expected:
            self.everybody_asked.set()
        return self.now


@dataclass
class Directory:
    """What is loaded from: it counts, and it can be down."""

    value: Optional[str] = "old"
    error: Optional[BaseException] = None
    loads: int = 0

    def load(self) -> Optional[str]:
        self.loads += 1
        if self.error is not None:
            raise self.error
        return self.value


class Caller(threading.Thread):
    """A call in a thread of its own, whose outcome is waited for up to a deadline."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:
            self._error = error

    def outcome(self) -> Any:
        """Return what the call returned, or the error that it raised."""
        self.join(DEADLINE_SECONDS)
        assert not self.is_alive(), "the call never ended"
        return self._error if self._error is not None else self._value


class WatchedWaiters(Waiters):
    """Waiters who can be counted."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = threading.Semaphore(0)

    def wait_for(self, is_so: Callable[[], bool], remaining: Callable[[], float]) -> bool:
        self._waiting.release()
        return super().wait_for(is_so, remaining)

    def expect(self, waiters: int) -> None:
        for _ in range(waiters):
            assert self._waiting.acquire(timeout=DEADLINE_SECONDS), "nobody waits"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory() -> Directory:
    return Directory()


def _cache(
    clock: Clock, max_entries: int = 100, wait: float = DEADLINE_SECONDS
) -> Cache[str, Optional[str]]:
    lifetimes = Lifetimes(TTL, NEGATIVE_TTL, MAX_STALE, FAILURE, wait)
    return Cache(lifetimes, max_entries, clock, DirectoryUnavailable)


@pytest.fixture
def cache(clock: Clock) -> Cache[str, Optional[str]]:
    return _cache(clock)


def _watched(cache: Cache[str, Any], key: str) -> WatchedWaiters:
    """Put waiters that can be counted into the load under way."""
    waiters = WatchedWaiters()
    cache._kept.whole.flights[key].waiters = waiters
    return waiters


def _down() -> DirectoryUnavailable:
    return DirectoryUnavailable("the directory is down", server="ldap://one")


# -- how long an answer is good -------------------------------------------------------------


def test_an_answer_is_good_until_its_ttl(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """Within its TTL an answer comes from memory, from its end on it is loaded again."""
    assert cache.get("k", directory.load) == "old"
    directory.value = "new"
    clock.now += TTL - 0.001
    assert cache.get("k", directory.load) == "old"
    clock.now += 0.001
    assert cache.get("k", directory.load) == "new"
    assert directory.loads == 2


def test_none_is_good_for_its_own_ttl(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """Whoever was just added to the directory is found after the shorter, negative TTL."""
    directory.value = None
    assert cache.get("k", directory.load) is None
    directory.value = "new"
    clock.now += NEGATIVE_TTL - 0.001
    assert cache.get("k", directory.load) is None
    clock.now += 0.001
    assert cache.get("k", directory.load) == "new"


def test_the_ttl_begins_when_the_answer_is_there(
    cache: Cache[str, Optional[str]], clock: Clock
) -> None:
    """A slow load does not shorten the life of what it brings."""

    def slow() -> str:
        clock.now += 30
        return "old"

    cache.get("k", slow)
    clock.now += TTL - 0.001
    assert cache.get("k", slow) == "old"
    assert cache.info().misses == 1


def test_keys_are_kept_apart(cache: Cache[str, Optional[str]]) -> None:
    """Each key has its own answer."""
    assert cache.get("a", lambda: "1") == "1"
    assert cache.get("b", lambda: "2") == "2"
    assert cache.get("a", lambda: "3") == "1"


def test_the_least_recently_used_answer_goes_first(clock: Clock) -> None:
    """The number of answers is bounded, and what is asked for often stays."""
    cache = _cache(clock, max_entries=2)
    cache.get("a", lambda: "1")
    cache.get("b", lambda: "2")
    cache.get("a", lambda: "x")
    cache.get("c", lambda: "3")
    assert cache.info().size == 2
    assert cache.get("a", lambda: "x") == "1"
    assert cache.get("b", lambda: "x") == "x"


def test_the_memory_of_failures_is_bounded(clock: Clock, directory: Directory) -> None:
    """A thousand names that cannot be loaded do not fill the memory."""
    cache = _cache(clock, max_entries=2)
    directory.error = _down()
    for number in range(1000):
        with pytest.raises(DirectoryUnavailable):
            cache.get(str(number), directory.load)
    assert len(cache._kept.whole.failed) == 2
    assert not cache._kept.whole.flights


# -- outages --------------------------------------------------------------------------------


def test_an_outage_is_bridged_by_the_last_answer(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """An answer past its TTL serves while loads fail, up to max_stale; then the error is raised."""
    cache.get("k", directory.load)
    directory.error = _down()
    clock.now += TTL
    assert cache.get("k", directory.load) == "old"
    clock.now += MAX_STALE - 0.001
    assert cache.get("k", directory.load) == "old"
    assert cache.info().stale == 2
    clock.now += 0.001
    with pytest.raises(DirectoryUnavailable):
        cache.get("k", directory.load)


def test_kinds_of_outage_are_outages(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """A server that is too slow is as good as none."""
    cache.get("k", directory.load)
    directory.error = DeadlineExceeded("too slow")
    clock.now += TTL
    assert cache.get("k", directory.load) == "old"


def test_a_refusal_is_no_outage(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """A directory that answers, and says no, is believed at once and while it is remembered."""
    cache.get("k", directory.load)
    directory.error = AccessDenied("no right")
    clock.now += TTL
    for _ in range(2):
        with pytest.raises(AccessDenied):
            cache.get("k", directory.load)
    assert cache.info().stale == 0
    assert directory.loads == 2


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_never_serves_past_its_ttl(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory, nothing: Optional[str]
) -> None:
    """That somebody was not there, or had nothing, does not say that it is so now."""
    directory.value = nothing
    assert cache.get("k", directory.load) == nothing
    directory.error = _down()
    clock.now += NEGATIVE_TTL if nothing is None else TTL
    with pytest.raises(DirectoryUnavailable):
        cache.get("k", directory.load)


def test_without_an_earlier_answer_an_outage_is_an_error(
    cache: Cache[str, Optional[str]], directory: Directory
) -> None:
    """Unreachable is never "not found"."""
    directory.error = _down()
    with pytest.raises(DirectoryUnavailable, match="the directory is down"):
        cache.get("k", directory.load)
    assert cache.peek("k") is None


def test_the_directory_is_asked_again_after_a_bridged_outage(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """An old answer that served is not made young by it."""
    cache.get("k", directory.load)
    directory.error = _down()
    clock.now += TTL
    cache.get("k", directory.load)
    directory.error, directory.value = None, "new"
    clock.now += FAILURE
    assert cache.get("k", directory.load) == "new"


def test_an_old_answer_that_serves_is_logged_once_a_load(
    cache: Cache[str, Optional[str]],
    clock: Clock,
    directory: Directory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The operator reads why, once for each load that failed, and never what was answered."""
    caplog.set_level(logging.DEBUG, logger="ldapdb.cache")
    cache.get("k", directory.load)
    directory.error = _down()
    clock.now += TTL
    for _ in range(5):
        cache.get("k", directory.load)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the directory is down" in caplog.text
    assert "old" not in caplog.records[0].getMessage()


# -- failures -------------------------------------------------------------------------------


def test_a_failure_is_remembered_briefly(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """For a second nobody waits for the same time-out again; then the next one tries."""
    directory.error = _down()
    for _ in range(3):
        with pytest.raises(DirectoryUnavailable):
            cache.get("k", directory.load)
    clock.now += FAILURE - 0.001
    with pytest.raises(DirectoryUnavailable):
        cache.get("k", directory.load)
    assert directory.loads == 1
    directory.error = None
    clock.now += 0.001
    assert cache.get("k", directory.load) == "old"
    assert directory.loads == 2


def test_a_logged_failure_is_not_remembered(
    cache: Cache[str, Optional[str]], directory: Directory
) -> None:
    """It costs nothing to meet it again, and what ends it is noticed at once."""
    directory.error = DirectoryUnavailable("down")
    directory.error.logged = True
    with pytest.raises(DirectoryUnavailable):
        cache.get("alice", directory.load)
    directory.error = None
    assert cache.get("alice", directory.load) == "old"


def test_a_logged_failure_is_logged_once(
    cache: Cache[str, Optional[str]],
    clock: Clock,
    directory: Directory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An old answer is served over it without a further line."""
    cache.get("alice", directory.load)
    clock.now += TTL
    directory.error = DirectoryUnavailable("down")
    directory.error.logged = True
    assert cache.get("alice", directory.load) == "old"
    assert not caplog.messages


def test_a_failure_of_one_key_is_none_of_another(
    cache: Cache[str, Optional[str]], directory: Directory
) -> None:
    """Failures are remembered by key."""
    directory.error = _down()
    with pytest.raises(DirectoryUnavailable):
        cache.get("a", directory.load)
    directory.error = None
    assert cache.get("b", directory.load) == "old"


def test_a_success_ends_the_memory_of_a_failure(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """After a load that worked, an earlier failure says nothing any more."""
    directory.error = _down()
    with pytest.raises(DirectoryUnavailable):
        cache.get("k", directory.load)
    directory.error = None
    clock.now += FAILURE
    cache.get("k", directory.load)
    clock.now -= FAILURE / 2  # back to where the failure would still be remembered
    assert not cache._kept.whole.failed
    assert cache.get("k", directory.load) == "old"


def test_each_caller_gets_an_error_of_his_own(
    cache: Cache[str, Optional[str]], directory: Directory
) -> None:
    """One exception raised in several places would grow a tangled traceback."""
    directory.error = _down()
    raised = []
    for _ in range(2):
        with pytest.raises(DirectoryUnavailable) as caught:
            cache.get("k", directory.load)
        raised.append(caught.value)
    assert len({id(error) for error in (*raised, directory.error)}) == 3
    for error in raised:
        assert error.__cause__ is directory.error
        assert error.server == "ldap://one"
        assert str(error) == "the directory is down"


def test_an_error_that_cannot_be_copied(clock: Clock) -> None:
    """It is raised as it is."""

    class Stubborn(DirectoryUnavailable):
        def __reduce__(self) -> str:
            raise TypeError("not to be copied")

    cache: Cache[str, str] = Cache(Lifetimes(TTL, TTL, 0), 3, clock, DirectoryUnavailable)

    def fail() -> str:
        raise Stubborn("down")

    for _ in range(2):  # the second is what is remembered of the first
        with pytest.raises(Stubborn, match="down"):
            cache.get("a", fail)


def test_an_interrupted_load_is_not_remembered(
    cache: Cache[str, Optional[str]], directory: Directory
) -> None:
    """Ctrl-C says nothing about the directory: the next one loads at once."""
    directory.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        cache.get("k", directory.load)
    directory.error = None
    assert cache.get("k", directory.load) == "old"
    assert cache.info() == CacheInfo(misses=2, failures=1, size=1)


# -- threads --------------------------------------------------------------------------------


def test_many_threads_make_one_load(clock: Clock, cache: Cache[str, Optional[str]]) -> None:
    """However many ask for a key at a time, the directory is asked once."""
    loads = []

    def load() -> str:
        loads.append(threading.get_ident())
        assert clock.everybody_asked.wait(DEADLINE_SECONDS), "not all threads came"
        return "answer"

    clock.expected = 64
    callers = [Caller(lambda: cache.get("k", load)) for _ in range(64)]
    assert [caller.outcome() for caller in callers] == ["answer"] * 64
    assert len(loads) == 1
    assert cache.info().misses == 1


def test_a_load_holds_up_no_other_key(cache: Cache[str, Optional[str]]) -> None:
    """While one key is loaded, another is loaded, answered and forgotten."""

    def load() -> str:
        assert Caller(lambda: cache.get("b", lambda: "2")).outcome() == "2"
        assert Caller(lambda: cache.get("b", lambda: "3")).outcome() == "2"
        Caller(lambda: cache.discard("b")).outcome()
        return "1"

    assert cache.get("a", load) == "1"
    assert cache.peek("b") is None


@pytest.mark.parametrize("value", ["answer", None])
def test_those_who_wait_get_what_was_loaded(
    cache: Cache[str, Optional[str]], value: Optional[str]
) -> None:
    """A waiter's answer is the loader's, also when it is "there is none"."""
    waiting = threading.Event()
    waiters: list[Caller] = []

    def load() -> Optional[str]:
        watched = _watched(cache, "k")
        waiters.extend(Caller(lambda: cache.get("k", pytest.fail)) for _ in range(3))
        watched.expect(3)
        waiting.set()
        return value

    assert cache.get("k", load) == value
    assert [waiter.outcome() for waiter in waiters] == [value] * 3


def test_those_who_wait_get_the_failure(cache: Cache[str, Optional[str]]) -> None:
    """One time-out is waited for once; every waiter has an error of his own."""
    error = _down()
    waiters: list[Caller] = []

    def load() -> str:
        watched = _watched(cache, "k")
        waiters.extend(Caller(lambda: cache.get("k", pytest.fail)) for _ in range(3))
        watched.expect(3)
        raise error

    with pytest.raises(DirectoryUnavailable):
        cache.get("k", load)
    outcomes = [waiter.outcome() for waiter in waiters]
    assert all(type(outcome) is DirectoryUnavailable for outcome in outcomes)
    assert len({id(outcome) for outcome in (*outcomes, error)}) == 4
    assert cache.info().failures == 1


def test_those_who_wait_get_the_old_answer_in_an_outage(
    cache: Cache[str, Optional[str]], clock: Clock
) -> None:
    """Waiters are served from the past like the one who loads."""
    cache.get("k", lambda: "old")
    clock.now += TTL
    waiters: list[Caller] = []

    def load() -> str:
        watched = _watched(cache, "k")
        waiters.append(Caller(lambda: cache.get("k", pytest.fail)))
        watched.expect(1)
        raise _down()

    assert cache.get("k", load) == "old"
    assert waiters[0].outcome() == "old"
    assert cache.info().stale == 2


def test_an_interrupt_is_no_waiters_failure(cache: Cache[str, Optional[str]]) -> None:
    """One of those who waited for an interrupted load loads itself, for all of them."""
    waiters: list[Caller] = []
    loads: list[str] = []

    def load_again() -> str:
        loads.append("again")
        return "new"

    def load() -> str:
        watched = _watched(cache, "k")
        waiters.extend(Caller(lambda: cache.get("k", load_again)) for _ in range(3))
        watched.expect(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("k", load)
    assert [waiter.outcome() for waiter in waiters] == ["new"] * 3
    assert loads == ["again"]


def test_a_lost_leader_is_replaced(cache: Cache[str, Optional[str]]) -> None:
    """A load whose thread was interrupted before it began keeps nobody waiting."""
    cache._kept.whole.flights["k"] = _Flight(Place())
    assert cache.get("k", lambda: "new") == "new"
    waiting: _Flight[Optional[str]] = _Flight(leader := Place())
    cache._kept.whole.flights["k"] = waiting
    cache.outdate()
    cache._kept.whole.flights["k"] = waiting
    watched = _watched(cache, "k")
    waiter = Caller(lambda: cache.get("k", lambda: "newer"))
    watched.expect(1)
    del leader
    assert waiter.outcome() == "newer"


@pytest.mark.parametrize(("mine", "loads"), [(0.05, 1), (0.1, 1), (0.105, 1), (0.2, 2), (None, 2)])
def test_short_time_fails_for_its_caller(
    cache: Cache[str, Optional[str]], directory: Directory, mine: Optional[float], loads: int
) -> None:
    """A load that ended for want of time says nothing to a caller who has more."""
    directory.error = DeadlineExceeded("no time")
    with pytest.raises(DeadlineExceeded):
        cache.get("k", directory.load, lambda: 0.1)
    remaining = None if mine is None else lambda: mine
    with pytest.raises(DeadlineExceeded):
        cache.get("k", directory.load, remaining)
    assert directory.loads == loads
    directory.error = DirectoryUnavailable("down")  # which has nothing to do with time
    with pytest.raises(DirectoryUnavailable):
        cache.get("other", directory.load, lambda: 0.1)
    with pytest.raises(DirectoryUnavailable):
        cache.get("other", pytest.fail, remaining)


def test_waiters_outlast_a_hasty_leader(cache: Cache[str, Optional[str]]) -> None:
    """Waiters with more time than the one who loads load again; those with less fail."""
    outcomes: list[Caller] = []

    def load() -> str:
        watched = _watched(cache, "k")
        outcomes.append(Caller(lambda: cache.get("k", lambda: "patient")))
        watched.expect(1)
        raise DeadlineExceeded("no time")

    with pytest.raises(DeadlineExceeded):
        cache.get("k", load, lambda: 0.1)
    assert outcomes[0].outcome() == "patient"
    assert cache.get("k", pytest.fail) == "patient"


def test_nobody_waits_longer_than_allowed(clock: Clock) -> None:
    """Whoever waits in vain for another thread's load gets an outage; the load goes on."""
    cache = _cache(clock, wait=0.0)

    def load() -> str:
        with pytest.raises(DeadlineExceeded, match="had no answer within 0 s"):
            cache.get("k", pytest.fail)
        return "late"

    assert cache.get("k", load) == "late"
    assert cache.get("k", pytest.fail) == "late"
    assert cache.info().failures == 0


def test_an_old_answer_serves_whoever_waited_in_vain(clock: Clock) -> None:
    """A load that hangs is an outage for those who wait."""
    cache = _cache(clock, wait=0.0)
    cache.get("k", lambda: "old")
    clock.now += TTL

    def load() -> str:
        assert cache.get("k", pytest.fail) == "old"
        return "new"

    assert cache.get("k", load) == "new"


def test_one_who_waited_in_vain_spoils_nothing_for_the_others(clock: Clock) -> None:
    """A load that lands answers all who still wait, also with "there is none"."""
    cache = _cache(clock, wait=0.0)
    waiters: list[Caller] = []

    def load() -> None:
        with pytest.raises(DeadlineExceeded):
            cache.get("k", pytest.fail)
        cache._lifetimes = replace(cache._lifetimes, wait=DEADLINE_SECONDS)
        watched = _watched(cache, "k")
        waiters.append(Caller(lambda: cache.get("k", pytest.fail)))
        watched.expect(1)

    assert cache.get("k", load) is None
    assert waiters[0].outcome() is None


def test_a_forked_child_waits_for_no_thread_of_its_parent(
    cache: Cache[str, Optional[str]],
) -> None:
    """Locks that are held and loads that are under way stay behind; answers come along."""
    cache.get("held", lambda: "old")

    def load() -> str:
        with LOCK:  # as another thread of the parent may hold it
            cache.renew_after_fork()
            assert cache.get("k", lambda: "child's") == "child's"
            assert cache.get("held", pytest.fail) == "old"
        return "parent's"

    assert cache.get("k", load) == "parent's"
    assert cache.get("k", pytest.fail) == "child's"


# -- writes ---------------------------------------------------------------------------------


def _discard(cache: Cache[str, Any]) -> None:
    cache.discard("k")


def _clear(cache: Cache[str, Any]) -> None:
    cache.clear()


FORGET = pytest.mark.parametrize("forget", [_discard, _clear])


@FORGET
def test_what_is_forgotten_is_loaded_again(
    cache: Cache[str, Optional[str]],
    directory: Directory,
    forget: Callable[[Cache[str, Any]], None],
) -> None:
    """An own write is seen at once."""
    cache.get("k", directory.load)
    directory.value = "new"
    forget(cache)
    assert cache.peek("k") is None
    assert cache.get("k", directory.load) == "new"


@FORGET
def test_a_load_under_way_does_not_put_the_old_value_back(
    cache: Cache[str, Optional[str]], forget: Callable[[Cache[str, Any]], None]
) -> None:
    """A load that began before a write answers its own caller, and nobody after the write."""

    def load() -> str:
        forget(cache)  # somebody writes, after the directory has answered this load
        return "old"

    assert cache.get("k", load) == "old"
    assert cache.peek("k") is None
    assert cache.get("k", lambda: "new") == "new"


@FORGET
def test_readers_after_a_write_start_a_load_of_their_own(
    cache: Cache[str, Optional[str]], forget: Callable[[Cache[str, Any]], None]
) -> None:
    """A later reader neither waits for the old load nor loses his answer to it."""

    def load() -> str:
        forget(cache)
        assert Caller(lambda: cache.get("k", lambda: "new")).outcome() == "new"
        return "old"

    assert cache.get("k", load) == "old"
    assert cache.get("k", pytest.fail) == "new"


@FORGET
def test_an_old_load_that_fails_harms_nobody_after_the_write(
    cache: Cache[str, Optional[str]], forget: Callable[[Cache[str, Any]], None]
) -> None:
    """Its error goes to its own caller: it is not remembered, nor bridged by the newer answer."""

    def load() -> str:
        forget(cache)
        assert Caller(lambda: cache.get("k", lambda: "new")).outcome() == "new"
        raise _down()

    with pytest.raises(DirectoryUnavailable):
        cache.get("k", load)
    assert cache.get("k", pytest.fail) == "new"
    assert not cache._kept.whole.failed


@FORGET
def test_an_old_load_leaves_the_newer_one_under_way(
    cache: Cache[str, Optional[str]], forget: Callable[[Cache[str, Any]], None]
) -> None:
    """When the old load ends first, those who came after the write still share one load."""
    new_runs, old_is_back = threading.Event(), threading.Event()
    newer: list[Caller] = []

    def load_new() -> str:
        new_runs.set()
        assert old_is_back.wait(DEADLINE_SECONDS), "the old load never ended"
        return "new"

    def load_old() -> str:
        forget(cache)
        newer.append(Caller(lambda: cache.get("k", load_new)))
        assert new_runs.wait(DEADLINE_SECONDS), "the new load never began"
        return "old"

    assert cache.get("k", load_old) == "old"
    watched = _watched(cache, "k")
    newer.append(Caller(lambda: cache.get("k", pytest.fail)))
    watched.expect(1)
    old_is_back.set()
    assert [caller.outcome() for caller in newer] == ["new", "new"]


@FORGET
def test_a_write_ends_the_memory_of_a_failure(
    cache: Cache[str, Optional[str]],
    directory: Directory,
    forget: Callable[[Cache[str, Any]], None],
) -> None:
    """After a write that worked, the directory is asked at once."""
    directory.error = _down()
    with pytest.raises(DirectoryUnavailable):
        cache.get("k", directory.load)
    directory.error = None
    forget(cache)
    assert cache.get("k", directory.load) == "old"


def test_discarding_one_key_keeps_the_others(cache: Cache[str, Optional[str]]) -> None:
    """A write to one user's grants leaves the others' answers."""
    cache.get("k", lambda: "1")
    cache.get("other", lambda: "2")
    cache.discard("k")
    cache.discard("never held")
    assert cache.get("other", pytest.fail) == "2"


def test_a_forgotten_answer_does_not_bridge_an_outage(
    cache: Cache[str, Optional[str]], directory: Directory
) -> None:
    """What was revoked does not come back because the directory is down."""
    cache.get("k", directory.load)
    cache.discard("k")
    directory.error = _down()
    with pytest.raises(DirectoryUnavailable):
        cache.get("k", directory.load)


# -- answers that come along ----------------------------------------------------------------


def _where(cache: Cache[str, Any]) -> None:
    cache.discard_where(lambda key, _: key == "k")


@pytest.mark.parametrize("outdate", [_where, Cache.outdate])
def test_what_a_change_made_old_is_never_served_and_not_forgotten(
    cache: Cache[str, Optional[str]], directory: Directory, outdate: Callable[[Any], None]
) -> None:
    """That there was something tells an account without rights from an empty directory."""
    cache.get("k", directory.load)
    outdate(cache)
    assert (cache.hit("k"), cache.peek("k"), cache.last("k")) == (None, None, "old")
    assert cache.info().size == 0
    directory.error = _down()
    with pytest.raises(DirectoryUnavailable):
        cache.get("k", directory.load)
    cache.discard("k")
    assert cache.last("k") is None


def test_a_hit_is_counted_and_nothing_else_is(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """A glance that finds nothing fresh leaves the counting to the load that follows."""
    assert cache.hit("k") is None
    assert cache.info() == CacheInfo()
    cache.get("k", directory.load)
    assert cache.hit("k") == "old"
    clock.now += TTL
    assert cache.hit("k") is None
    assert cache.info() == CacheInfo(hits=1, misses=1, size=1)


def test_that_somebody_is_not_there_is_counted_once(
    cache: Cache[str, Optional[str]], directory: Directory
) -> None:
    directory.value = None
    assert cache.get("k", directory.load) is None
    assert cache.hit("k") is None
    assert cache.get("k", directory.load) is None
    assert cache.info() == CacheInfo(hits=1, misses=1, size=1)


def test_nothing_lasts_for_as_long_as_somebody_is_known_not_to_be_there(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    directory.value = None
    cache.get("k", directory.load)
    assert cache.fresh_until("k") == clock.now


def test_an_answer_lasts_no_longer_than_what_it_was_made_from(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    cache.get("person", directory.load)
    clock.now += TTL - 1
    until = cache.fresh_until("person")
    assert until == clock.now + 1
    cache.get("of the person", directory.load, until=lambda: until)
    directory.value = "new"
    assert cache.get("of the person", directory.load) == "old"
    clock.now += 1
    assert cache.get("of the person", directory.load) == "new"
    assert cache.fresh_until("nobody") == clock.now


def test_put_holds_an_answer(cache: Cache[str, Optional[str]], clock: Clock) -> None:
    """An answer that came along with another is good for the same time."""
    cache.put("k", "along", cache.generation())
    assert cache.get("k", pytest.fail) == "along"
    clock.now += TTL
    assert cache.peek("k") is None
    assert cache.get("k", lambda: "new") == "new"


@FORGET
def test_put_from_before_a_write_is_ignored(
    cache: Cache[str, Optional[str]], forget: Callable[[Cache[str, Any]], None]
) -> None:
    """A value that was asked for before anything was forgotten may be from before a write."""
    generation = cache.generation()
    forget(cache)
    cache.put("k", "old", generation)
    assert cache.peek("k") is None
    cache.put("k", "new", cache.generation())
    assert cache.peek("k") == "new"


# -- statistics -----------------------------------------------------------------------------


def test_info_counts_what_happened(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """Hits, misses, stale answers, failures and the size are as they were."""
    assert cache.info() == CacheInfo()
    cache.get("k", directory.load)
    cache.get("k", directory.load)
    cache.get("k", directory.load)
    assert cache.info() == CacheInfo(hits=2, misses=1, size=1)
    directory.error = _down()
    clock.now += TTL
    cache.get("k", directory.load)  # fails, and is bridged
    cache.get("k", directory.load)  # the failure is remembered, and is bridged
    assert cache.info() == CacheInfo(hits=2, misses=2, stale=2, failures=1, size=1)
    with pytest.raises(DirectoryUnavailable):
        cache.get("other", directory.load)
    assert cache.info() == CacheInfo(hits=2, misses=3, stale=2, failures=2, size=1)
    cache.clear()
    assert cache.info().size == 0


def test_info_counts_a_glance(cache: Cache[str, Optional[str]], clock: Clock) -> None:
    """Peeking is a hit where there is a fresh answer, and a miss where there is none."""
    assert cache.peek("k") is None
    cache.put("k", "along", cache.generation())
    assert cache.peek("k") == "along"
    clock.now += TTL
    assert cache.peek("k") is None
    assert cache.info() == CacheInfo(hits=1, misses=2, size=1)


# -- any history ----------------------------------------------------------------------------

STEPS = st.one_of(
    st.sampled_from(["get", "write", "go", "come", "down", "up", "put"]),
    st.sampled_from([0.5, 1.0, 9.0, 59.0, 60.0, 600.0]),  # seconds that pass
)


def _no_time() -> float:
    raise DeadlineExceeded("the call's time is over")


@pytest.mark.parametrize("remaining", [lambda: 0.01, _no_time])
def test_nobody_waits_longer_than_his_own_call_may_take(
    cache: Cache[str, Optional[str]], remaining: Callable[[], float]
) -> None:
    """He may have waited already, for another answer; the load goes on for those who can wait."""
    outcomes: list[Any] = []

    def load() -> str:
        late = Caller(lambda: cache.get("k", pytest.fail, remaining))
        outcomes.append(late.outcome())
        return "new"

    assert cache.get("k", load) == "new"
    assert [type(outcome) for outcome in outcomes] == [DeadlineExceeded]


def test_the_last_answer_is_known_however_old_it_is(
    cache: Cache[str, Optional[str]], clock: Clock, directory: Directory
) -> None:
    """It tells that an answer has shrunk. It is no hit, and a write of ours ends it."""
    assert cache.last("k") is None
    cache.get("k", directory.load)
    clock.now += TTL + MAX_STALE + 1
    assert cache.last("k") == "old"
    assert cache.info().hits == 0
    cache.discard("k")
    assert cache.last("k") is None


class History:
    """A directory that changes, and what a cache in front of it may still say.

    Values are numbered; ``untrue_since`` tells when one ceased to be the directory's.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.cache = _cache(self.clock)
        self.is_down = False
        self.failed_at = -1e9
        self.value: Optional[str] = "0"
        self.version = 0
        self.written = 0
        self.untrue_since: dict[Optional[str], float] = {}

    def load(self) -> Optional[str]:
        if self.is_down:
            self.failed_at = self.clock.now
            raise _down()
        return self.value

    def become(self, value: Optional[str]) -> None:
        self.untrue_since[self.value] = self.clock.now
        self.untrue_since.pop(value, None)
        self.value = value

    def go(self) -> None:
        """Let somebody else remove the entry."""
        self.become(None)

    def come(self) -> None:
        """Let somebody else write the entry."""
        self.version += 1
        self.become(str(self.version))

    def write(self) -> None:
        """Write the entry ourselves."""
        self.come()
        self.written = self.version
        self.cache.discard("k")

    def down(self) -> None:
        self.is_down = True

    def up(self) -> None:
        self.is_down = False

    def put(self) -> None:
        self.cache.put("k", self.value, self.cache.generation())

    def get(self) -> None:
        try:
            answer = self.cache.get("k", self.load)
        except DirectoryUnavailable:
            return
        now = self.clock.now
        age = now - self.untrue_since.get(answer, now)
        if answer is None:
            assert age < NEGATIVE_TTL
            return
        assert int(answer) >= self.written
        assert age < TTL + MAX_STALE
        if now >= self.failed_at + FAILURE:
            assert age < TTL


@settings(max_examples=500)
@given(st.lists(STEPS, max_size=40))
def test_no_history_makes_an_answer_too_old(steps: list[Any]) -> None:
    """An answer is never from before an own write, nor older than an outage allows.

    Nor is it past its TTL while the directory answers, nor a None past the shorter one.
    """
    history = History()
    for step in steps:
        if isinstance(step, float):
            history.clock.now += step
        else:
            getattr(history, step)()


def test_what_something_concerns_is_forgotten_and_the_rest_is_not(
    cache: Cache[str, Optional[str]], directory: Directory
) -> None:
    """So is a failure, and a load under way: nobody knows what it will bring."""
    for key in ("a", "b"):
        cache.get(key, directory.load)
    cache.get("c", lambda: None)

    def meanwhile() -> Optional[str]:
        cache.discard_where(lambda key, value: key == "b" or value is None)
        return "from before"

    assert cache.get("d", meanwhile) == "from before"
    assert [cache.peek(key) for key in "abcd"] == ["old", None, None, None]


def test_looking_which_are_concerned_is_no_use_of_them(clock: Clock) -> None:
    """Otherwise the first would be evicted after it, and not the one used least lately."""
    two: Cache[str, str] = Cache(Lifetimes(TTL, TTL, 0), 2, clock, DirectoryUnavailable)
    for key in ("a", "b", "a"):
        two.get(key, lambda: "x")
    two.discard_where(lambda *_: False)
    two.get("c", lambda: "x")
    assert two.last("a") == "x"


def test_answers_are_found_by_their_tags_and_no_others(clock: Clock) -> None:
    """A tag is forgotten with the last answer that has it."""
    lifetimes = Lifetimes(TTL, TTL, 0)
    cache: Cache[str, str] = Cache(
        lifetimes, 3, clock, DirectoryUnavailable, lambda key, value: (key, value[0], key)
    )
    for key, value in {"a": "x1", "b": "y1", "c": "x2", "d": "y2"}.items():
        cache.get(key, lambda value=value: value)  # type: ignore[misc]  # a default
    assert set(cache._kept.whole.held._keys) == {*"bcd", *"xy"}
    assert cache.discard_tagged({"x", "a", "z"}) == {"c"}
    assert [cache.peek(key) for key in "abcd"] == [None, "y1", None, "y2"]
    assert cache.last("c") == "x2"
    assert cache.get("c", lambda: "z1") == "z1"
    cache.discard_tagged({"x"})
    assert cache.peek("c") == "z1"
    cache.discard("b")
    assert set(cache._kept.whole.held._keys) == {*"cd", *"zy"}
    cache.discard_tagged({"c", "d"})
    assert cache.peek("c") is cache.peek("d") is None
    cache.clear()
    assert cache._kept.whole.held._keys == {}
    cache.discard_tagged({"y"})
    cache.get("e", lambda: "w1")
    assert cache.discard_tagged({"w"}, forget=True) == {"e"}
    assert cache.last("e") is None
    assert cache._kept.whole.held._keys == {}


def test_what_is_being_loaded_may_have_any_tag(clock: Clock) -> None:
    cache: Cache[str, str] = Cache(Lifetimes(TTL, TTL, 0), 3, clock, DirectoryUnavailable)

    def load() -> str:
        assert cache.discard_tagged({"x"}) == {"k"}
        return "old"

    assert cache.get("k", load) == "old"
    assert cache.peek("k") is None

"""Shared state: forks and interrupts find it whole, and leave it whole."""

from __future__ import annotations

import dis
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Optional

import pytest

from ldapdb import shared
from ldapdb.cache import Cache, Lifetimes
from ldapdb.client import Deadline
from ldapdb.client.logins import Logins
from ldapdb.errors import DirectoryUnavailable
from ldapdb.settings import load
from ldapdb.shared import LOCK, Kept, Place, Places, Waiters
from ldapdb.store.reading import Warned

pytestmark = [
    pytest.mark.lengthy,
    # Python 3.12 and later warn of what these tests show to be sound.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

MAX_ENTRIES = 20
STORM_SECONDS = 1.0


def _cache() -> Cache[int, Optional[str]]:
    lifetimes = Lifetimes(ttl=60, negative_ttl=60, max_stale=60, wait=1)
    return Cache(
        lifetimes,
        MAX_ENTRIES,
        time.monotonic,
        DirectoryUnavailable,
        lambda key, value: (key, f"tag {key % 7}", value),
    )


def _use(cache: Cache[int, Optional[str]], chance: random.Random) -> None:
    """Do something with a cache that changes it."""
    key = chance.randrange(2 * MAX_ENTRIES)
    act = chance.randrange(9)
    if act == 0:
        cache.discard(key)
    elif act == 1:
        cache.discard_tagged([f"tag {key % 7}"])
    elif act in (2, 3, 4):  # mostly with another one that goes
        cache.put(key, "put", cache.generation())
    elif act == 5 and not key:
        cache.clear()
    else:
        with suppress(DirectoryUnavailable):  # which is remembered
            cache.get(key, _fail if act == 6 else lambda: "loaded")


def _fail() -> str:
    raise DirectoryUnavailable("down")


def _check(cache: Cache[int, Optional[str]]) -> None:
    """See that a cache is whole, and that every part of it works."""
    held = cache._kept.whole.held
    tags = {tag for key in held for tag in held._tags(key, held.last(key))}
    assert set(held._keys) == tags, "the tags are not those of what is held"
    assert {key for keys in held._keys.values() for key in keys} == set(held)
    for key in range(3 * MAX_ENTRIES):  # all that is held is replaced
        cache.discard(key)
        assert cache.get(key, lambda: "new") == "new"
    assert cache.info().size == MAX_ENTRIES
    cache.discard_tagged([f"tag {number}" for number in range(7)])
    assert cache.info().size == 0


def _in_child(act: Callable[[], object], forked: Callable[[], object] = int) -> int:
    """Do something in a forked child, and in the parent meanwhile; return its exit code."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(10)
            act()
            status = 0
        finally:
            os._exit(status)
    forked()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def _busy(*acts: Callable[[random.Random], None]) -> Iterator[threading.Event]:
    """Let threads do something while an event is set, and change places as often as can be."""
    running = threading.Event()
    running.set()
    over, before = threading.Event(), sys.getswitchinterval()

    def work(act: Callable[[random.Random], None], number: int) -> None:
        chance = random.Random(number)
        while not over.is_set():
            running.wait()
            act(chance)

    threads = [
        threading.Thread(target=work, args=each, daemon=True)
        for each in zip(acts, range(len(acts)))
    ]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        yield running
    finally:
        over.set()
        running.set()
        for thread in threads:
            thread.join(20)
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads), "a lock is held for ever"


# --- forks


def test_children_inherit_whole_state() -> None:
    """What threads are changing while another one forks is never half-changed in the child."""
    cache, warned = _cache(), Warned()

    def in_child() -> None:
        _check(cache)
        said = warned._said.whole
        for key in list(said):
            del said[key]
        other = threading.Thread(target=cache.info)
        other.start()
        other.join(10)
        assert not other.is_alive(), "a lock is held for ever"

    def use(chance: random.Random) -> None:
        _use(cache, chance)

    def warn(chance: random.Random) -> None:
        warned._said.change(lambda said: said.update({(str(chance.random()), ""): True}))

    with _busy(use, warn) as running:
        end, forks = time.monotonic() + STORM_SECONDS, 0
        while time.monotonic() < end or forks < 20:
            running.set()
            time.sleep(0.001)
            assert _in_child(in_child, running.clear) == 0
            forks += 1
    _check(cache)


def test_a_thread_forks_within_a_change() -> None:
    """A signal handler may: the change ends in both processes, and the lock is free in both."""
    kept: Kept[list[int]] = Kept(list)
    codes: list[int] = []

    def is_free() -> bool:
        free: list[bool] = []
        thread = threading.Thread(target=lambda: free.append(LOCK.acquire(timeout=5)))
        thread.start()
        thread.join(10)
        return free == [True]

    def step(numbers: list[int]) -> None:
        numbers.append(1)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            codes.append(0)
        else:
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        numbers.append(2)

    parent = os.getpid()
    try:
        kept.change(step)
    finally:
        if os.getpid() != parent:
            os._exit(not (kept.whole == [1, 2] and is_free()))
    assert codes == [0]
    assert kept.whole == [1, 2]


def test_a_fork_without_the_lock_inherits_nothing() -> None:
    """An interrupt can end the wait for it; then what is remembered begins anew in the child."""
    kept: Kept[list[int]] = Kept(list)
    kept.change(lambda numbers: numbers.append(1))

    def in_child() -> None:
        held = threading.Event()

        def hold() -> None:
            LOCK.acquire()
            held.set()

        threading.Thread(target=hold).start()
        assert held.wait(10)
        shared._begin_in_child()  # this thread does not have it
        assert LOCK.acquire(timeout=5)
        assert kept.whole == []

    assert _in_child(in_child) == 0
    assert kept.whole == [1]


# --- interrupts


class Storm:
    """Interrupts this thread again and again, with the signal that Ctrl-C sends."""

    def __init__(self) -> None:
        self.caught = 0
        self._shots = 0
        self._over = threading.Event()
        self._before = signal.signal(signal.SIGINT, self._raise)
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _raise(self, _: int, frame: Optional[FrameType]) -> None:
        # Not in `strike` itself, where nothing would catch it.
        if self._shots and frame is not None and frame.f_code is not Storm.strike.__code__:
            self._shots -= 1
            raise KeyboardInterrupt

    def _send(self) -> None:
        main, chance = threading.main_thread().ident, random.Random(1)
        assert main is not None
        while not self._over.wait(chance.random() / 2000):
            signal.pthread_kill(main, signal.SIGINT)

    def strike(self, act: Callable[[], object], shots: int = 2) -> None:
        """Do something that may be interrupted, so many times at the most."""
        try:
            self._shots = shots
            act()
        except KeyboardInterrupt:
            self.caught += 1
        finally:
            self._shots = 0

    def end(self) -> None:
        self._over.set()
        self._thread.join(10)
        signal.signal(signal.SIGINT, self._before)


@pytest.fixture
def storm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    # An interrupt in what the collector of garbage calls is ignored, whoever made the garbage.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    storm = Storm()
    yield storm
    storm.end()


def _strike(storm: Storm, act: Callable[[], object], seconds: float = STORM_SECONDS) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end or storm.caught < 50:
        with suppress(KeyboardInterrupt):
            storm.strike(act)


# Here a lock that is left locked would be everybody's, for the rest of the tests.
interrupted = pytest.mark.skipif(
    sys.version_info < (3, 10), reason="an interrupt at the end of a block can keep its lock there"
)


@interrupted
def test_interrupts_leave_a_cache_whole(storm: Storm) -> None:
    """However a change is interrupted, nothing of it is left half-done, and nobody waits."""
    cache, chance = _cache(), random.Random(2)

    def use() -> None:
        for _ in range(50):
            _use(cache, chance)

    _strike(storm, use)
    _check(cache)
    began = time.monotonic()
    for key in range(2 * MAX_ENTRIES):
        cache.discard(key)
        cache.get(key, lambda: "new")
    assert time.monotonic() - began < 1


@interrupted
def test_interrupts_lose_no_place(storm: Storm) -> None:
    """Whoever is interrupted with a place, or on the way to one, leaves it free for others."""
    places = Places(2)

    def use() -> None:
        for _ in range(50):
            place = places.take(lambda: 1.0)
            assert place is not None
            try:
                random.random()
            finally:
                places.leave(place)

    with _busy(lambda _: use()):
        _strike(storm, use)
    assert [places.take(lambda: 0.5) is not None for _ in range(2)] == [True, True]


@interrupted
def test_interrupts_do_not_keep_the_lock(storm: Storm) -> None:
    """Other threads go on after any interrupt."""
    kept: Kept[set[int]] = Kept(set)
    changed: list[int] = []

    def change(_: random.Random) -> None:
        kept.change(lambda numbers: numbers.add(1))
        changed.append(1)

    with _busy(change):
        _strike(storm, lambda: kept.change(lambda numbers: numbers.update(range(100))))
        before = len(changed)
        end = time.monotonic() + 10
        while len(changed) == before and time.monotonic() < end:
            time.sleep(0.001)
        assert len(changed) > before


def test_a_change_within_a_change_stays() -> None:
    """A signal handler that forgets something is not undone by what it interrupted."""
    kept: Kept[set[str]] = Kept(set)
    kept.change(lambda held: held.add("revoked"))

    def step(held: set[str]) -> None:
        kept.change(lambda new: new.discard("revoked"))
        held.add("loaded")

    kept.change(step)
    assert kept.whole == set()


@interrupted
def test_interrupts_leave_no_login_under_way(storm: Storm) -> None:
    """Another login of the account would wait for it, for ever."""
    logins, uri = Logins(), "ldap://localhost"
    settings = load(uri=uri, base_dn="dc=x", bind_dn="cn=a", bind_password="secret-1")

    def use() -> None:
        for _ in range(20):
            with suppress(DirectoryUnavailable):  # it waited for one that was interrupted
                logins.send(settings, uri, Deadline(1.0), lambda: None)

    _strike(storm, use)
    logins.send(settings, uri, Deadline(5.0), lambda: None)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the compiler does so since Python 3.13")
def test_no_jump_leaves_the_block_of_a_lock() -> None:
    """An interrupt at such a jump would keep the lock: python/cpython#130279."""
    jumps = [
        f"{path.name}: {code.co_name}"
        for path in Path(shared.__file__).parent.rglob("*.py")
        for code in _functions(compile(path.read_text(), str(path), "exec"))
        if {"LOCK", "_lock", "lock"} & set(code.co_names) and _jumps_out(code)
    ]
    assert jumps == []


def _functions(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _functions(inner)


def _jumps_out(code: CodeType) -> bool:
    """Tell whether a loop is within a ``with`` block, and a jump back to its start is not."""
    instructions = dis.Bytecode(code)
    blocks = instructions.exception_entries  # type: ignore[attr-defined]
    # Each handler begins with PUSH_EXC_INFO, of two bytes.
    ends = {each.offset - 2 for each in instructions if each.opname == "WITH_EXCEPT_START"}

    def is_within(offset: int) -> bool:
        """Follow an exception from handler to handler."""
        handler = next((each.target for each in blocks if each.start <= offset < each.end), None)
        if handler is None:
            return False
        return handler in ends or is_within(handler)

    return any(
        is_within(jump.argval) and not is_within(jump.offset)
        for jump in instructions
        if jump.opname == "JUMP_BACKWARD"
    )


# --- waiting


def test_a_place_is_free_without_its_holder() -> None:
    """Nobody has to give it back; whoever waits for it is let in."""
    places = Places(1)
    place = places.take(lambda: 0.0)
    assert place is not None
    assert places.take(lambda: 0.01) is None
    taken: list[Optional[Place]] = []
    waiting = threading.Thread(target=lambda: taken.append(places.take(lambda: 5.0)))
    waiting.start()
    del place
    waiting.join(5)
    assert taken[0] is not None
    places.leave(taken[0])
    places.leave(taken[0])
    assert places.take(lambda: 0.0) is not None


def test_those_who_wait_are_woken() -> None:
    """At once when something changes, and each by itself when its time is over."""
    waiters, is_so = Waiters(), threading.Event()
    assert not waiters.wait_for(is_so.is_set, lambda: 0.01)
    outcomes: list[bool] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(waiters.wait_for(is_so.is_set, lambda: 5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    waiters.wake(1)
    is_so.set()
    waiters.wake()
    for thread in threads:
        thread.join(5)
    assert outcomes == [True] * 4
    waiters.wake()

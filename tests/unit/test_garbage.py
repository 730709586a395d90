"""The collector of garbage rests while somebody needs it to, and never longer."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator

import pytest

from ldapdb.garbage import _PAUSES, _Pause, uncollected


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    assert gc.isenabled()
    yield
    gc.enable()


def test_it_works_again_after_an_error() -> None:
    @uncollected()
    def fail() -> None:
        assert not gc.isenabled()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert gc.isenabled()


def test_the_last_thread_lets_it_work_again() -> None:
    rests, ends = threading.Event(), threading.Event()

    def rest() -> None:
        with uncollected():
            rests.set()
            ends.wait(10)

    thread = threading.Thread(target=rest)
    thread.start()
    assert rests.wait(10)
    with uncollected():
        pass
    assert not gc.isenabled()
    ends.set()
    thread.join(10)
    assert gc.isenabled()


def test_a_pause_that_nobody_ended_is_over_when_it_is_gone() -> None:
    """An interrupt can come before any ``finally`` is reached."""
    pause = _Pause()
    _PAUSES.begin(pause)
    assert not gc.isenabled()
    del pause
    assert gc.isenabled()


def test_whoever_has_switched_it_off_finds_it_so() -> None:
    gc.disable()
    with uncollected():
        pass
    _PAUSES.renew_after_fork()
    assert not gc.isenabled()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_it_works_in_a_forked_child() -> None:
    """The thread that needed it to rest is not there."""
    rests, ends = threading.Event(), threading.Event()

    def rest() -> None:
        with uncollected():
            rests.set()
            ends.wait(10)

    thread = threading.Thread(target=rest)
    thread.start()
    assert rests.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(not gc.isenabled())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert not gc.isenabled()  # here the thread goes on
    _PAUSES.renew_after_fork()  # what the child did, where it is measured
    assert gc.isenabled()
    ends.set()
    thread.join(10)
    assert code == 0

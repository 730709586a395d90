"""Timing side by side: on a machine that is noisy, only ratios of one run say something."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

__all__ = ["Subject", "alternate", "in_turn", "throughput"]


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Parameters
    ----------
    call : callable
        Timed; gets what `prepare` returned.
    prepare : callable
        Not timed; gets the name of a user.
    """

    call: Callable[[Any], object]
    prepare: Callable[[str], Any] = lambda name: name


def in_turn(
    subjects: Mapping[str, Subject], names: Iterable[str], seconds: float
) -> dict[str, float]:
    """Time all subjects with one name after the other; return their medians in seconds.

    Each name is used once, so that nothing is in a cache. It ends after so many seconds, or
    when there are no more names.
    """
    times: dict[str, list[float]] = {name: [] for name in subjects}
    end = time.perf_counter() + seconds
    for name in names:
        for key, subject in subjects.items():
            prepared = subject.prepare(name)
            began = time.perf_counter()
            subject.call(prepared)
            times[key].append(time.perf_counter() - began)
        if time.perf_counter() > end:
            break
    return {key: statistics.median(each) for key, each in times.items()}


def alternate(calls: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Let calls that time themselves take turns; return their medians."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(call())
    return {name: statistics.median(each) for name, each in times.items()}


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """Make a call time itself."""

    def run() -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return run


def throughput(
    call: Callable[[str], object], names: Sequence[str], threads: int
) -> tuple[float, float]:
    """Call once for each name, in so many threads.

    Returns
    -------
    tuple of float
        Calls in a second, and seconds of processor time in a second.
    """
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, names[:threads]))  # makes the threads and their connections
        rest = names[threads:]
        began, worked = time.perf_counter(), time.process_time()
        list(pool.map(call, rest))
        seconds = time.perf_counter() - began
        return len(rest) / seconds, (time.process_time() - worked) / seconds

"""Kills, freezes and restarts servers and workers, by a plan that a seed makes.

Never are both providers away at once, and none goes before the other has all that it had:
OpenLDAP 2.5 gives up what only one of the two knows when the other goes on with the same
entry, and no client can help that.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ldap3.core.exceptions import LDAPException

from soak.journal import Journal
from support.cluster import Cluster, Replica, Standstill

__all__ = ["Chaos", "Planned", "plan"]

TARGETS = ("provider 1", "provider 2", "consumer")
_QUIET_SECONDS = 4.0
# What a thawed server was sent while it was frozen, it does at once.
_AFTER_THAW_SECONDS = 0.5
_CATCH_UP_SECONDS = 120.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Planned:
    """A fault to come.

    Parameters
    ----------
    after : float
        Seconds after the one before in the same track.
    kind : str
        ``kill``, ``freeze`` or ``restart``.
    target : str
        One of TARGETS, or ``worker`` and its number.
    lasts : float
        Seconds until it is undone.
    """

    after: float
    kind: str
    target: str
    lasts: float


def plan(seed: int, seconds: float, workers: int) -> dict[str, list[Planned]]:
    """Make a plan; the same for the same seed.

    Returns
    -------
    dict of str to list of Planned
        Three tracks that run beside each other: providers, of which one is away at a time,
        the consumer, and the workers.
    """
    tracks = {
        "providers": (TARGETS[:2], (4.0, 7.0)),
        "consumer": (TARGETS[2:], (3.0, 9.0)),
        "workers": ([f"worker {number}" for number in range(workers)], (2.0, 6.0)),
    }
    return {
        name: _track(random.Random(f"{seed} {name}"), seconds, targets, pauses)
        for name, (targets, pauses) in tracks.items()
    }


def _track(
    choice: random.Random, seconds: float, targets: Sequence[str], pauses: tuple[float, float]
) -> list[Planned]:
    track: list[Planned] = []
    at = 0.0
    while True:
        after, target = choice.uniform(*pauses), choice.choice(targets)
        kinds = ["kill", "freeze", "restart"]
        if target.startswith("worker"):
            kinds = ["kill"]
        kind = choice.choice(kinds)
        # Longer than a call's deadline, half of the times.
        lasts = {"kill": choice.uniform(0.2, 5), "freeze": choice.uniform(0.5, 6), "restart": 0.0}
        at += after + lasts[kind]
        if at > seconds:
            return track
        track.append(Planned(after, kind, target, lasts[kind]))


class Chaos:
    """Carries out a plan.

    Parameters
    ----------
    cluster : Cluster
        The servers.
    journal : Journal
        Where each fault is noted, before it begins and when it is over.
    kill_worker : callable
        Kills the worker of a number, and starts it again some seconds later.
    """

    def __init__(
        self, cluster: Cluster, journal: Journal, kill_worker: Callable[[int, float], None]
    ) -> None:
        self._cluster = cluster
        self._journal = journal
        self._kill_worker = kill_worker
        self._ends = 0.0
        self.errors: list[BaseException] = []

    def run(self, tracks: Mapping[str, Sequence[Planned]], seconds: float) -> None:
        """Carry out all tracks; all servers are up afterwards."""
        self._ends = time.monotonic() + seconds
        threads = [threading.Thread(target=self._run, args=(track,)) for track in tracks.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(max(self._ends - time.monotonic(), 0))

    def _run(self, track: Sequence[Planned]) -> None:
        try:
            for each in track:
                time.sleep(each.after)
                if time.monotonic() + each.lasts > self._ends:
                    return
                self._do(each)
        except BaseException as error:
            self.errors.append(error)

    def _do(self, fault: Planned) -> None:
        name, _, number = fault.target.partition(" ")
        target = name if name == "worker" else fault.target
        self._journal.note("fault", kind=fault.kind, target=target)
        if name == "worker":
            self._kill_worker(int(number), fault.lasts)
        else:
            self._hit(TARGETS.index(fault.target), fault)
        self._journal.note("over", target=target)

    def _hit(self, number: int, fault: Planned) -> None:
        self._cluster.servers[number].see_that_it_runs()
        if fault.kind == "kill":
            self._cluster.kill(number)
            time.sleep(fault.lasts)
            self._cluster.restart(number)
        elif fault.kind == "freeze":
            self._cluster.freeze(number)
            time.sleep(fault.lasts)
            self._cluster.thaw(number)
            time.sleep(_AFTER_THAW_SECONDS)
        else:
            self._cluster.restart(number)
        self._wait_until_caught_up(number)

    def _wait_until_caught_up(self, number: int) -> None:
        """Wait until each server has all that the others had when this one came back.

        A fault of the consumer ends when it has what its provider had, and is not held up by
        one of the providers, which ends by its own.
        """
        first, second = self._cluster.providers
        pairs = [(self._cluster.consumer, first)]
        if number < 2:
            pairs += [(first, second), (second, first)]
        end = time.monotonic() + _CATCH_UP_SECONDS
        wanted = {id(source): _context(source, end) for _, source in pairs}
        for follower, source in pairs:
            if follower is self._cluster.consumer and number < 2:
                continue  # it may be away; what it lacks then is its own fault's
            self._wait_until_has(follower, wanted[id(source)], end)

    def _wait_until_has(self, follower: Replica, wanted: Mapping[bytes, bytes], end: float) -> None:
        """Wait until a server has what is wanted; see ``Cluster.wait_in_step``.

        Raises
        ------
        TimeoutError
            If it does not answer, or does not get it.
        """
        moved = Standstill()
        follower.see_that_it_runs()
        while not _has(seen := _context(follower, end), wanted):
            if time.monotonic() > end:
                raise TimeoutError(f"{follower.uri} has not caught up: {seen}, wanted {wanted}")
            if moved.is_over(seen):
                self._cluster.nudge()
            time.sleep(_LOOK_SECONDS)


def _context(server: Replica, end: float) -> Mapping[bytes, bytes]:
    """Return the last change that a server has of each provider; wait until it answers."""
    while True:
        try:
            return {csn.split(b"#")[2]: csn for csn in server.context()}
        except LDAPException:
            if time.monotonic() > end:
                raise TimeoutError(f"{server.uri} has not come back") from None
            time.sleep(_LOOK_SECONDS)


def _has(seen: Mapping[bytes, bytes], wanted: Mapping[bytes, bytes]) -> bool:
    return all(seen.get(provider, b"") >= csn for provider, csn in wanted.items())

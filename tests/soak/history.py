"""What may have been true when: the states of one key, as its writes and the faults allow.

A key, such as "alice has this image under this policy", is written by one worker only,
one call after the other. So its history is a sequence, and its state at a time is that of the
last write, with these exceptions, all of them the nature of two providers that copy
from each other *after* they have answered:

- A call that failed may have been carried out or not; so may one whose process was killed.
- A provider that is **killed or restarted** keeps on its disk what it has answered, and takes it
  to the other when it is back. A write that was under way at that moment, or was
  answered within LAG_SECONDS before, may be known to it alone. A later write of the same key at the
  other provider may have nothing to do there ("he does not have it"), so that the earlier
  one shows again when the killed server is back. Not so for KNOWN_SECONDS in one process:
  it refuses to call that done. And if that other one changes the same *entry* meanwhile,
  which holds the keys of others too, the two providers settle on its entry as a whole,
  without what was answered within LAG_SECONDS before the kill (seen on OpenLDAP 2.5.13).
- A provider that is **frozen** keeps what it was sent and carries it out when it is thawed,
  even though the caller has long gone to the other. Any write during the freeze may be such
  a one, whatever was answered.
- Both end with the outage: BACK_SECONDS after the server has come back, both have taken all
  that the other had. A write that begins later than that is final.
- A process that is killed forgets at which provider it wrote last. Its successor may go back to
  one that has just come back and does not know that yet.

What is **not** allowed: that a write which was answered while both providers were well is
lost or undone, that two writes in one outage, which one server took, change places, or
that a write of one key changes another.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Optional

from soak.journal import Fault, Operation

__all__ = ["BACK_SECONDS", "LAG_SECONDS", "Faults", "Step", "possible"]

# A well provider's change is at the other within milliseconds; on a machine with fewer
# processors than processes, within tenths of seconds.
LAG_SECONDS = 1.0
# For so long a process remembers where it wrote last, and does not believe another provider that
# there is nothing to do.
KNOWN_SECONDS = 5.0
# An outage is over when each server has what the others had by then, which is measured (see
# ``chaos``). So much later, what was under way meanwhile is there, too.
BACK_SECONDS = 1.0
Span = tuple[float, float]


@dataclass(frozen=True)
class Step:
    """A write, as it concerns one key.

    Parameters
    ----------
    operation : Operation
        The write.
    value : bool
        What it makes of the key.
    is_certain : bool
        Whether it was made and is known to both providers, or will be.
    late : float
        Until when it may still take effect in spite of later writes.
    late_forgotten : float
        The same, where the later write begins when the process no longer knows of this one.
    late_to_others : float
        The same, where a later write is another process's.
    """

    operation: Operation
    value: bool
    is_certain: bool
    late: float
    late_forgotten: float
    late_to_others: float

    def may_follow(self, later: Step) -> bool:
        """Tell whether this may take effect after a later write."""
        began = later.operation.began
        if self.operation.process != later.operation.process:
            return self.late_to_others > began
        is_known = began <= self.operation.ended + KNOWN_SECONDS
        return (self.late if is_known else self.late_forgotten) > began


class Faults:
    """What was done to the servers, and what that excuses."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._all = [fault for fault in faults if fault.target != "worker"]
        self._of_servers = [fault for fault in self._all if fault.kind != "behind"]
        self._of_providers = [fault for fault in self._all if fault.is_of_provider]
        # A run of ten minutes has a thousand faults and a hundred thousand calls.
        self._since = {fault: self._unknown_since(fault) for fault in self._of_providers}
        self._sorted = sorted(self._all, key=lambda fault: fault.began)
        self._last_ended = list(accumulate((fault.ended for fault in self._sorted), max))
        self._horizons: dict[tuple[Fault, float], float] = {}

    def step(self, operation: Operation, value: bool) -> Step:
        """Tell until when a write may take effect."""
        certain = operation.ended if operation.acknowledged else operation.ended + LAG_SECONDS
        ends = [
            fault.ended + BACK_SECONDS
            for fault in self._of_providers
            if self._may_be_alone_with(operation, fault)
        ]
        zombies = [
            fault.ended + BACK_SECONDS
            for fault in self._of_providers
            if fault.kind == "freeze" and self._may_be_alone_with(operation, fault)
        ]
        near = [
            fault.ended + BACK_SECONDS
            for fault in self._of_providers
            if self._since[fault] <= operation.ended
            and operation.began <= fault.ended + BACK_SECONDS
        ]
        is_certain = operation.acknowledged and not any(
            fault.kind != "freeze" and self._may_be_alone_with(operation, fault)
            for fault in self._of_providers
        )
        forgotten = max([certain, *ends])
        late = max([certain, *zombies])
        return Step(operation, value, is_certain, late, forgotten, max([forgotten, *near]))

    def _may_be_alone_with(self, operation: Operation, fault: Fault) -> bool:
        """Tell whether a write may be known only to a server that is away."""
        if operation.ended < self._since[fault]:
            return False
        return operation.began <= (fault.ended if fault.kind == "freeze" else fault.began)

    def _unknown_since(self, fault: Fault) -> float:
        """Return from when on the other servers may not know what this one has answered."""
        since = fault.began - LAG_SECONDS
        behind = [
            each.began
            for each in self._all
            if each.kind == "behind" and each.began <= fault.began and since <= each.ended
        ]
        return min([since, *behind])

    def provider_fails_in(self, began: float, ended: float) -> bool:
        """Tell whether a provider was stopped between two moments."""
        return any(began <= fault.began <= ended for fault in self._of_providers)

    def all_well(self, began: float, ended: float) -> bool:
        """Tell whether no server was away between two moments."""
        return not any(fault.began <= ended and began <= fault.ended for fault in self._of_servers)

    def one_provider_well(self, began: float, ended: float) -> bool:
        """Tell whether there was a provider that was not away between two moments."""
        away = {
            fault.target
            for fault in self._of_providers
            if fault.began <= ended and began <= fault.ended
        }
        return len(away) < 2

    def horizon(self, began: float, stale_seconds: float) -> float:
        """Return from when on an answer may be, that is given at a time.

        A server that is well shows what was true LAG_SECONDS ago. One that was away, or follows
        one that was, shows what was true when that began. So may a cache.

        Parameters
        ----------
        stale_seconds : float
            For how long a cache may serve an old answer while no server answers.
        """
        since, chain = began - LAG_SECONDS, list[Fault]()
        while (fault := self._first_around(since)) is not None:
            if (fault, stale_seconds) in self._horizons:
                since = self._horizons[fault, stale_seconds]
                break
            chain.append(fault)
            since = fault.began - LAG_SECONDS - stale_seconds - 1e-3
        self._horizons.update(((each, stale_seconds), since) for each in chain)
        return since

    def _first_around(self, at: float) -> Optional[Fault]:
        """Return the fault that began first of those whose consequences last at a time."""
        first = bisect.bisect_left(self._last_ended, at + 1e-6 - BACK_SECONDS)
        if first == len(self._sorted) or at <= self._sorted[first].began - LAG_SECONDS:
            return None
        return self._sorted[first]


def possible(value: bool, initial: bool, steps: Sequence[Step]) -> list[Span]:
    """List the times in which a key may have had a value.

    Parameters
    ----------
    value : bool
        Whether to look for when it was so, or for when it was not.
    initial : bool
        Its value before the first write.
    steps : sequence of Step
        Its writes, in order.
    """
    spans: list[Span] = []
    since = -math.inf if initial is value else None
    making: list[Step] = []
    for step in steps:
        if step.value is value:
            making.append(step)
            since = step.operation.began if since is None else since
        elif step.is_certain and since is not None:
            making = [each for each in making if each.may_follow(step)]
            if not making:
                _append(spans, since, step.operation.ended)
                since = None
    if since is not None:
        _append(spans, since, math.inf)
    return spans


def _append(spans: list[Span], first: float, last: float) -> None:
    """Add a later span, as a part of the one before where they overlap."""
    if spans and first <= spans[-1][1]:
        first, last = spans[-1][0], max(spans.pop()[1], last)
    spans.append((first, last))


def any_in(spans: Sequence[Span], began: float, ended: float) -> bool:
    """Tell whether one of some times, in order, overlaps another one."""
    # The first that begins too late; the one before it ends last of those that do not.
    after = bisect.bisect_right(spans, (ended, math.inf))
    return after > 0 and began <= spans[after - 1][1]

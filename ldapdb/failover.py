"""Which server to try next, and how long to leave a failed one alone.

Pure bookkeeping: ``now`` is given, nothing sleeps, nothing connects. ``connection`` tells
what happened and asks for the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Servers"]

_FIRST_COOL_DOWN_SECONDS = 1.0
_LONGEST_COOL_DOWN_SECONDS = 30.0


@dataclass
class _Health:
    failures: int = 0
    retry_at: float = 0.0


@dataclass
class Servers:
    """The servers of one setting, in order of preference.

    Parameters
    ----------
    uris : sequence of str
        The preferred one first.
    """

    uris: Sequence[str]
    _health: dict[str, _Health] = field(default_factory=dict)

    def order(self, now: float) -> list[str]:
        """List all servers, the one to try first in front.

        Those that may be tried come in order of preference, so that the preferred server
        is used again as soon as its cool-down is over. Those that cool down come last, the
        one that has waited longest in front: with every server down, the call still tries.

        Parameters
        ----------
        now : float
            Seconds of a monotonic clock.
        """
        ready = [uri for uri in self.uris if self._of(uri).retry_at <= now]
        cooling = [uri for uri in self.uris if uri not in ready]
        return ready + sorted(cooling, key=lambda uri: self._of(uri).retry_at)

    def failed(self, uri: str, now: float) -> float:
        """Note that a server failed.

        Returns
        -------
        float
            Seconds for which it cools down: 1, then twice as long each time, up to 30.
        """
        health = self._health.setdefault(uri, _Health())
        if health.retry_at > now:  # another thread met the same outage
            return health.retry_at - now
        seconds = min(_FIRST_COOL_DOWN_SECONDS * (1 << health.failures), _LONGEST_COOL_DOWN_SECONDS)
        health.failures = min(health.failures + 1, 10)
        health.retry_at = now + seconds
        return seconds

    def succeeded(self, uri: str) -> bool:
        """Note that a server answered.

        Returns
        -------
        bool
            True if it had failed before.
        """
        return self._health.pop(uri, None) is not None

    def _of(self, uri: str) -> _Health:
        return self._health.get(uri, _Health())

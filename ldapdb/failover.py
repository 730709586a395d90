"""Which servers may be asked, and when a failed one is tried again.

Pure bookkeeping: ``now`` is given, nothing sleeps, nothing connects. ``connection`` tells
what happened, asks for the order, and tries failed servers again in the background.

====================  ===================  =============================================
a server that         is asked             until
====================  ===================  =============================================
answers               in its turn          it fails
has just failed       when no other is     it has been tried again once (*suspect*):
(*suspect*)           left, after waiting  whoever has no other server waits for that
                      for that trial
failed that too       not at all           it answers in the background: calls fail at
(*down*)                                   once meanwhile, and old answers serve
====================  ===================  =============================================
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Optional

__all__ = ["Servers"]

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 5.0
# So much, up or down, the waits of several processes differ, which all met one outage at
# the same moment and would come back in step.
_JITTER = 0.25


@dataclass
class _Failed:
    retry_at: float
    # Trials in the background that failed, too.
    trials: int = 0


@dataclass
class Servers:
    """What is known of the servers of one setting.

    Parameters
    ----------
    random : callable
        A number from 0 to 1, for the jitter.
    """

    random: Callable[[], float]
    _failed: dict[str, _Failed] = field(default_factory=dict)

    def ready(self, uris: Iterable[str], besides: Collection[str] = ()) -> list[str]:
        """List the servers that may be asked, in the order given.

        A server that answers again has its old place at once.

        Parameters
        ----------
        uris : iterable of str
            The preferred one first.
        besides : collection of str
            Servers that have been asked already.
        """
        return [uri for uri in uris if uri not in self._failed and uri not in besides]

    def are_undecided(self, uris: Iterable[str]) -> bool:
        """Tell whether one of some servers is a suspect: worth waiting for."""
        return any(uri in self._failed and not self._failed[uri].trials for uri in uris)

    def failed(self, uri: str, now: float) -> float:
        """Note that a server failed, in a call or in a trial that was due.

        Parameters
        ----------
        now : float
            Seconds of a monotonic clock.

        Returns
        -------
        float
            Seconds until it is tried again: 0.1, then twice as long each time, up to 5, each
            a quarter more or less.
        """
        failed = self._failed.get(uri)
        if failed is None:
            failed = self._failed[uri] = _Failed(now)
        elif failed.retry_at > now:  # another thread met the same outage
            return failed.retry_at - now
        else:
            failed.trials += 1
        seconds = min(_FIRST_SECONDS * 2.0 ** min(failed.trials, 10), _LONGEST_SECONDS)
        seconds *= 1 + _JITTER * (2 * self.random() - 1)
        failed.retry_at = now + seconds
        return seconds

    def succeeded(self, uri: str) -> bool:
        """Note that a server answered.

        Returns
        -------
        bool
            True if it had failed before.
        """
        return self._failed.pop(uri, None) is not None

    def due(self, now: float) -> list[str]:
        """List the failed servers that are to be tried again, the longest due in front."""
        due = [(failed.retry_at, uri) for uri, failed in self._failed.items()]
        return [uri for retry_at, uri in sorted(due) if retry_at <= now]

    def next_due(self, uris: Optional[Collection[str]] = None) -> Optional[float]:
        """Return when the next one of some, or of all, is tried again; None if none has failed."""
        failed = (
            each.retry_at for uri, each in self._failed.items() if uris is None or uri in uris
        )
        return min(failed, default=None)

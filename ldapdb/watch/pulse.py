"""Whether the other end of a silent connection is still there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from ldapdb.client import Stream
from ldapdb.errors import DirectoryUnavailable
from ldapdb.protocol import filters
from ldapdb.protocol.codec import BASE

__all__ = ["PULSE_SECONDS", "Pulse"]

# Firewalls forget a connection that is silent for four minutes and more (Azure: 4, AWS: 350 s,
# GCP: 10 min) and tell neither end; TCP's own keepalive is often answered by something in
# between. Half a minute is far below that, and no longer than a change may go unseen.
PULSE_SECONDS = 30.0
_ANSWER_SECONDS = 5.0
_EVERYTHING = filters.present("objectClass")


class Pulse:
    """Reads the root DSE on a connection that has been silent for long.

    On the watched connection itself, because it is this one that a firewall may have cut:
    the answer has gone both ways through everything in between, and through the server's
    LDAP. Nothing else is asked while nothing changes.

    Parameters
    ----------
    stream : Stream
        The connection.
    timer : callable
        Seconds of a monotonic clock.
    """

    def __init__(self, stream: Stream, timer: Callable[[], float]) -> None:
        self._stream = stream
        self._timer = timer
        self._heard = timer()
        self._asked: Optional[float] = None

    def due_in(self) -> float:
        """Return the seconds until :meth:`beat` has something to do."""
        if self._asked is not None:
            return max(self._asked + _ANSWER_SECONDS - self._timer(), 0)
        return max(self._heard + PULSE_SECONDS - self._timer(), 0)

    def beat(self, *, alive: bool) -> None:
        """Note whether something has been heard; ask after a long silence.

        Raises
        ------
        DirectoryUnavailable
            If that is not answered.
        """
        now = self._timer()
        if alive:
            self._heard, self._asked = now, None
        elif self._asked is not None and now >= self._asked + _ANSWER_SECONDS:
            raise DirectoryUnavailable(
                f"the directory at {self._stream.uri} has not answered for {_ANSWER_SECONDS:g} s; "
                "the connection may have been cut in between",
                server=self._stream.uri,
            )
        elif self._asked is None and now >= self._heard + PULSE_SECONDS:
            self._stream.ask("", BASE, _EVERYTHING, ("1.1",))
            self._asked = now

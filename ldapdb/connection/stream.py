"""A connection that is listened to for as long as it lasts."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

from ldapdb import ber
from ldapdb.ber import BrokenAnswer
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.session import Session
from ldapdb.errors import DirectoryUnavailable
from ldapdb.filters import Filter
from ldapdb.framing import end_of
from ldapdb.searching import search_request
from ldapdb.settings import Settings

__all__ = ["Message", "Stream"]

# Octets, and where in them a whole message begins and ends.
Message = tuple[bytes, int, int]

_AT_ONCE = 1 << 16  # octets
_HEADER = ber.HEADER + ber.MOST_LENGTH_OCTETS
_SEND_SECONDS = 5.0
# The kernel asks after so many idle seconds, so often and that far apart: it ends a
# connection whose other end is gone, and some firewalls count its packets as life.
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class Stream(Session):
    """One bound connection on which several searches run at once and messages come unasked.

    Used by one thread; :meth:`interrupt` by any.

    Parameters
    ----------
    uri, settings, deadline
        As for a :class:`Session`.
    """

    def __init__(self, uri: str, settings: Settings, deadline: Deadline) -> None:
        super().__init__(uri, settings, deadline)
        self._begun = bytearray()
        self._keep_alive()

    def ask(
        self,
        base: str,
        scope: int,
        search_filter: Filter,
        attributes: Sequence[str],
        control: bytes = b"",
    ) -> int:
        """Send a search and return its number, which is in each message of the answer.

        Raises
        ------
        DirectoryUnavailable
            If the connection is gone.
        """
        number = next(self._numbers)
        self._socket.deadline = Deadline(_SEND_SECONDS)
        try:
            self._socket.sendall(
                search_request(number, base, scope, search_filter, attributes, control=control)
            )
        except OSError as error:
            raise self._broken("broke off", error) from error
        return number

    def receive(self, seconds: float) -> list[Message]:
        """Return what has come, waiting for it no longer than `seconds`.

        Returns
        -------
        list of Message
            Whole messages; none if nothing, or only a part of one, has come.

        Raises
        ------
        DirectoryUnavailable
            If the connection is gone, or what came is no LDAP.
        """
        plain = self._socket.plain
        try:
            plain.settimeout(max(seconds, 0.001))  # 0 would never wait, and be an error
            received = plain.recv(_AT_ONCE)
        except (TimeoutError, socket.timeout):  # two errors before Python 3.10
            return []
        except (OSError, ValueError) as error:
            raise self._broken("broke off", error) from error
        if not received:
            raise DirectoryUnavailable(
                f"the directory at {self.uri} closed the connection", server=self.uri
            )
        self._begun += received
        try:
            return self._whole()
        except BrokenAnswer as error:
            raise self._broken("broke off", error) from error

    def _whole(self) -> list[Message]:
        """Take the whole messages out of what has come."""
        if end_of(bytes(self._begun[:_HEADER]), 0) > len(self._begun):
            return []
        octets, start, found = bytes(self._begun), 0, []
        while start < len(octets) and (stop := end_of(octets, start)) <= len(octets):
            found.append((octets, start, stop))
            start = stop
        self._begun = bytearray(octets[start:])
        return found

    def interrupt(self) -> None:
        """Wake whoever waits in :meth:`receive`, from another thread; the connection ends."""
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which would take its TLS away from under the other.
            socket.socket.shutdown(self._socket.plain, socket.SHUT_RDWR)

    def _keep_alive(self) -> None:
        plain = self._socket.plain
        if plain.family == socket.AF_UNIX:
            return
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE:
                if hasattr(socket, name):
                    plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

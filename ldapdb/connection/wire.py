"""A socket of which every byte comes or goes before the deadline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ldapdb.connection.deadline import Deadline
from ldapdb.framing import check, end_of, missing

__all__ = ["DeadlineSocket"]

_AT_ONCE = 1 << 16  # octets


class DeadlineSocket:
    """A socket of which every receive and send ends by the deadline.

    ldap3's ``receive_timeout`` starts anew with each packet, so that a server which sends
    a byte a second is never too slow for it.

    Attributes
    ----------
    heard : bool
        Whether anything has been received since somebody set this to False.
    """

    def __init__(self, plain: Any, deadline: Deadline) -> None:
        self.plain = plain
        self.deadline = deadline
        self.heard = False

    def recv(self, size: int) -> bytes:
        """Receive one whole message, whatever its length; nothing at the connection's end.

        Nothing after it is taken off the socket: octets that came with the answer to
        StartTLS would otherwise be read as if they had been encrypted.

        Raises
        ------
        BrokenAnswer
            If it is none.
        """
        message = bytearray()
        while (wanted := missing(message)) > 0:
            self.plain.settimeout(self.deadline.remaining())
            received: bytes = self.plain.recv(min(wanted, max(size, _AT_ONCE)))
            if not received:
                return b""
            self.heard = True
            message += received
        whole = bytes(message)
        check(whole)
        return whole

    def messages(self) -> Iterator[tuple[bytes, int, int]]:
        """Receive messages, many at a time, until the connection's end.

        Yields
        ------
        tuple of (bytes, int, int)
            Octets, and where in them a whole message begins and ends.
        """
        octets = b""
        while True:
            more = self._receive(octets)
            if not more:
                return
            octets, start = more, 0
            while (stop := end_of(octets, start)) <= len(octets):
                yield octets, start, stop
                start = stop
            octets = octets[start:]

    def _receive(self, begun: bytes) -> bytes:
        """Receive what is there, and all of a message that has begun."""
        parts, length = [begun], len(begun)
        wanted = end_of(begun, 0)
        while length < wanted or length == len(begun):
            self.plain.settimeout(self.deadline.remaining())
            received = self.plain.recv(max(wanted - length, _AT_ONCE))
            if not received:
                return b""
            self.heard = True
            parts.append(received)
            length += len(received)
        return b"".join(parts)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`."""
        self.plain.settimeout(self.deadline.remaining())
        self.plain.sendall(data)

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the socket."""
        return getattr(self.plain, name)

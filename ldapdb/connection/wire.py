"""A socket of which every byte comes or goes before the deadline."""

from __future__ import annotations

from typing import Any

from ldapdb.connection.deadline import Deadline

__all__ = ["DeadlineSocket"]


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
        """Receive up to `size` bytes."""
        self.plain.settimeout(self.deadline.remaining())
        received: bytes = self.plain.recv(size)
        if received:
            self.heard = True
        return received

    def sendall(self, data: bytes) -> None:
        """Send all of `data`."""
        self.plain.settimeout(self.deadline.remaining())
        self.plain.sendall(data)

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the socket."""
        return getattr(self.plain, name)

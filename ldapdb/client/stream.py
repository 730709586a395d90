"""A connection that is listened to for as long as it lasts."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Optional

from ldapdb.client.deadline import Deadline
from ldapdb.client.results import WIRE_ERRORS
from ldapdb.client.session import Answer, Session
from ldapdb.errors import DirectoryUnavailable
from ldapdb.protocol.codec import Opened, Page, Search
from ldapdb.protocol.filters import Filter
from ldapdb.settings import Settings

__all__ = ["Stream"]

_SEND_SECONDS = 5.0
# The kernel asks after so many idle seconds, so often and that far apart: it ends a
# connection whose other end is gone, and some firewalls count its packets as life.
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class Stream:
    """One bound connection on which several searches run at once and messages arrive unasked.

    Used by one thread; :meth:`interrupt` by any.

    Parameters
    ----------
    uri, settings, deadline
        As for a :class:`Session`.
    """

    def __init__(self, uri: str, settings: Settings, deadline: Deadline) -> None:
        self.uri = uri
        self._session = Session(uri, settings, deadline)
        self._keep_alive()

    def search(
        self,
        deadline: Deadline,
        base: str,
        scope: int,
        search_filter: Filter,
        attributes: Sequence[str],
        page: Optional[Page],
    ) -> Answer:
        """Search, as :meth:`Session.search`, while nothing else is outstanding."""
        return self._session.search(deadline, base, scope, search_filter, attributes, page)

    def ask(
        self,
        base: str,
        scope: int,
        search_filter: Filter,
        attributes: Sequence[str],
        control: bytes = b"",
    ) -> int:
        """Send a search and return its message ID, which each message of the answer has.

        Raises
        ------
        DirectoryUnavailable
            If the connection is gone.
        """
        strategy = self._session.strategy
        strategy.deadline = Deadline(_SEND_SECONDS)
        try:
            [number] = strategy.ask(
                [Search(base, scope, search_filter, tuple(attributes))], control
            )
        except WIRE_ERRORS as error:
            raise self._broken(error) from error
        return number

    def receive(self, seconds: float) -> list[Opened]:
        """Return the messages that have arrived, waiting for them no longer than `seconds`.

        Returns
        -------
        list of Opened
            Whole messages; none if nothing, or only a part of one, has arrived.

        Raises
        ------
        DirectoryUnavailable
            If the connection is gone, or what arrived is not LDAP.
        """
        try:
            return self._session.strategy.listen(seconds)
        except WIRE_ERRORS as error:
            raise self._broken(error) from error

    def interrupt(self) -> None:
        """Wake the thread in :meth:`receive`, from another thread; the connection ends."""
        plain = self._session.strategy.connection.socket
        if plain is None:  # closed meanwhile
            return
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which would take its TLS away from under the other.
            socket.socket.shutdown(plain, socket.SHUT_RDWR)

    def close(self) -> None:
        """Unbind and close."""
        self._session.close()

    def drop(self) -> None:
        """Close without unbinding."""
        self._session.drop()

    def _broken(self, error: BaseException) -> DirectoryUnavailable:
        return DirectoryUnavailable(
            f"the directory at {self.uri} ended the connection: {error}", server=self.uri
        )

    def _keep_alive(self) -> None:
        plain = self._session.strategy.connection.socket
        if plain.family == socket.AF_UNIX:
            return
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE:
                if hasattr(socket, name):
                    plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

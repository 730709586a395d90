"""ldap3's connection, with a deadline for every octet and searches that do not wait for each other.

ldap3 opens the connection, negotiates StartTLS, binds, and makes every operation but a search,
whose messages are written and read by :mod:`ldapdb.protocol.codec`. ldap3's own socket handling is
replaced: its time-outs start anew with each packet, its buffer copies what it holds for each
message, and it waits for one answer at a time.

This is the only module that uses private names and inner modules of ldap3.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Collection, Sequence
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPExceptionError
from ldap3.core.results import RESULT_CODES
from ldap3.protocol.sasl.sasl import sasl_prep
from ldap3.strategy.base import RESPONSE_COMPLETE
from ldap3.strategy.sync import SyncStrategy
from ldap3.utils.asn1 import decode_message_fast
from ldap3.utils.log import BASIC, PROTOCOL, log, log_enabled

from ldapdb.client.addresses import connect
from ldapdb.client.deadline import Deadline
from ldapdb.client.tls import secure
from ldapdb.protocol.ber import BrokenAnswer
from ldapdb.protocol.codec import (
    END_TAG,
    Opened,
    Search,
    check_response,
    check_size,
    search_request,
    split,
)
from ldapdb.settings import Settings
from ldapdb.wellformed import one_line

__all__ = ["Connection", "Strategy", "prepare_password"]

_AT_ONCE, _MOST_AT_ONCE = 1 << 16, 1 << 20  # octets
_EXTENDED_RESPONSE = 0x78
# Which response answers a request (RFC 4511, section 4.2.2 and following), by ldap3's names.
_RESPONSES = {
    "bindRequest": 0x61,
    "modifyRequest": 0x67,
    "addRequest": 0x69,
    "delRequest": 0x6B,
    "modDNRequest": 0x6D,
    "compareRequest": 0x6F,
    "extendedReq": _EXTENDED_RESPONSE,
}


class Connection(ldap3.Connection):  # type: ignore[misc]  # ldap3 is untyped
    """ldap3's connection to one server, neither open nor told how to log in.

    Parameters
    ----------
    uri : str
        The server.
    settings : Settings
        How to connect.
    deadline : Deadline
        When the connection must be open.
    """

    strategy: Strategy

    def __init__(self, uri: str, settings: Settings, deadline: Deadline) -> None:
        super().__init__(
            _Server(uri, settings),
            client_strategy=ldap3.SYNC,
            auto_referrals=False,
            auto_escape=False,
            auto_encode=False,
            auto_range=False,
            check_names=False,
            return_empty_attributes=False,  # what is absent is absent
            raise_exceptions=False,
        )
        self.strategy = strategy = Strategy(self, uri, deadline, settings.max_answer_bytes)
        # ldap3 copies these from the strategy that it makes by `client_strategy`.
        self.send, self.open = strategy.send, strategy.open
        self.get_response = strategy.get_response
        self.post_send_single_response = strategy.post_send_single_response
        self.post_send_search = strategy.post_send_search


class _Server(ldap3.Server):  # type: ignore[misc]  # ldap3 is untyped
    def __init__(self, uri: str, settings: Settings) -> None:
        super().__init__(uri, get_info=ldap3.NONE, tls=_Tls(uri, settings))
        # ldap3 counts for all connections of the process, under a lock that a forked child
        # may inherit locked.
        self.next_message_id = itertools.count(1).__next__


class _Tls(ldap3.Tls):  # type: ignore[misc]  # ldap3 is untyped
    """TLS that always verifies, for ldaps:// and StartTLS alike."""

    def __init__(self, uri: str, settings: Settings) -> None:
        super().__init__()
        self._uri = uri
        self._settings = settings

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:  # noqa: ARG002 -- ldap3's
        strategy = connection.strategy
        strategy.check_nothing_received()
        connection.socket = secure(connection.socket, self._settings, self._uri, strategy.deadline)


class Strategy(SyncStrategy):  # type: ignore[misc]  # ldap3 is untyped
    """Sends and receives, by a deadline.

    Parameters
    ----------
    connection : Connection
        Whose strategy this is.
    uri : str
        The server.
    deadline : Deadline
        When the connection must be open.
    largest : int
        Octets that an answer may have.

    Attributes
    ----------
    deadline : Deadline
        When the present operation ends.
    heard : bool
        Whether anything has been received since this was set to False.
    """

    def __init__(self, connection: Any, uri: str, deadline: Deadline, largest: int) -> None:
        super().__init__(connection)
        self.deadline = deadline
        self.heard = False
        self._uri = uri
        self._largest = largest
        self._was_opened = False
        # The part of a message that has been received, and how many octets it must have before
        # it can be whole.
        self._begun = b""
        self._wanted = 1

    def open(self, reset_usage: bool = True, read_server_info: bool = True) -> None:  # noqa: ARG002 -- ldap3's
        """Open the connection, with TLS for ldaps://."""
        if self._was_opened:
            # To bind or to search, ldap3 would open a closed connection again: without TLS.
            raise ConnectionError("the connection was closed")
        self._was_opened = True
        self._outstanding: dict[int, Any] = {}
        self.connection.socket = connect(self._uri, self.deadline)
        self.connection.closed = False
        if self.connection.server.ssl:
            self.connection.server.tls.wrap_socket(self.connection, do_handshake=True)
        self._start_listen()

    # --- sending

    def sending(self, ldap_message: Any) -> None:
        """Send a message of ldap3's."""
        self.connection.socket.settimeout(self.deadline.remaining())
        super().sending(ldap_message)

    def ask(self, searches: Sequence[Search], control: bytes = b"") -> list[int]:
        """Send searches together, and return their message IDs.

        Parameters
        ----------
        control : bytes
            Goes with searches that ask for no page.
        """
        asked = {self.connection.server.next_message_id(): each for each in searches}
        if log_enabled(BASIC):
            for each in searches:
                log(BASIC, "SEARCH operation <%s> via <%s>", each, self.connection)
        self._outstanding.update(asked)
        self.connection.socket.settimeout(self.deadline.remaining())
        self.connection.socket.sendall(
            b"".join(
                search_request(number, *each, control=control) for number, each in asked.items()
            )
        )
        return list(asked)

    # --- receiving

    def answers(self, numbers: Collection[int]) -> dict[int, list[Opened]]:
        """Receive the whole answers to some searches, in whatever order the server sends them.

        Raises
        ------
        BrokenAnswer
            If something else arrives, or an answer is too large.
        ConnectionError
            If the server ends the connection.
        """
        found: dict[int, list[Opened]] = {number: [] for number in numbers}
        sizes = dict.fromkeys(numbers, 0)
        unfinished = set(numbers)
        while unfinished:
            for each in self._receive():
                if each.number not in unfinished:
                    raise _unexpected(each)
                found[each.number].append(each)
                sizes[each.number] += each.stop - each.begin
                check_size(sizes[each.number], self._largest)
                if each.tag == END_TAG:
                    unfinished.discard(each.number)
                    self._outstanding.pop(each.number)
        self.check_nothing_received()
        if log_enabled(PROTOCOL):
            log(PROTOCOL, "SEARCH responses received via <%s>", self.connection)
        return found

    def listen(self, seconds: float) -> list[Opened]:
        """Return the messages that arrive, whatever they answer.

        Parameters
        ----------
        seconds : float
            How long to wait for the next octets.

        Returns
        -------
        list of Opened
            None if nothing arrived in time, or only a part of a message.

        Raises
        ------
        BrokenAnswer
            If what arrives are not LDAP messages.
        ConnectionError
            If the server ends the connection.
        """
        self.connection.socket.settimeout(max(seconds, 0.001))  # 0 would not wait at all
        try:
            received = self._receive_some(_AT_ONCE)
        except (TimeoutError, socket.timeout):  # two errors before Python 3.10
            return []
        found = self._split(self._begun + received)
        for each in found:
            if each.tag == END_TAG:
                self._outstanding.pop(each.number, None)
        return found

    def check_nothing_received(self) -> None:
        """Reject octets that nobody has asked for.

        After the response to StartTLS they would be read as if they had been encrypted.

        Raises
        ------
        BrokenAnswer
            If there are any.
        """
        if self._begun:
            raise BrokenAnswer("something after the end of an answer")

    def _get_response(self, message_id: int, timeout: Any) -> list[Any]:  # noqa: ARG002 -- ldap3's
        """Receive the response to an operation that ldap3 makes."""
        response, *more = self._receive()
        request = self._outstanding[message_id]["type"]
        if response.number != message_id or response.tag != _RESPONSES[request] or more:
            raise _unexpected(response)
        code = check_response(response).code
        if code not in RESULT_CODES:  # ldap3 would raise KeyError
            raise BrokenAnswer(f"the unknown result code {code}")
        octets = response.octets[response.begin : response.stop]
        return [self.decode_response_fast(decode_message_fast(octets)), RESPONSE_COMPLETE]

    def _receive(self) -> list[Opened]:
        """Receive by the deadline what there is, and one whole message at least."""
        octets = self._begun
        while True:
            parts, missing = [octets], self._wanted - len(octets)
            while missing > 0:
                self.connection.socket.settimeout(self.deadline.remaining())
                parts.append(self._receive_some(min(max(missing, _AT_ONCE), _MOST_AT_ONCE)))
                missing -= len(parts[-1])
            octets = b"".join(parts)
            found = self._split(octets)
            if found:
                return found

    def _split(self, octets: bytes) -> list[Opened]:
        found, rest, self._wanted = split(octets, self._largest)
        self._begun = octets[rest:]
        return found

    def _receive_some(self, most: int) -> bytes:
        received: bytes = self.connection.socket.recv(most)
        if not received:
            raise ConnectionError("the server closed the connection")
        self.heard = True
        return received


def _unexpected(message: Opened) -> Exception:
    """Explain a message that answers no outstanding request (RFC 4511, section 4.4)."""
    if message.number == 0 and message.tag == _EXTENDED_RESPONSE:
        result = check_response(message)
        return ConnectionError(
            f"the server ended the connection (result code {result.code}: "
            f"{one_line(result.said) or 'no reason given'})"
        )
    return BrokenAnswer("an answer to another request")


def prepare_password(password: str) -> str:
    """Prepare a password (RFC 4013); empty if it has a character that none may have."""
    try:
        prepared: str = sasl_prep(password)
    except LDAPExceptionError:
        return ""
    return prepared

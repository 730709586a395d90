"""One bound connection to one server: TLS, log-in, and every byte under the deadline."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import Any, Optional, TypeVar

import ldap3

from ldapdb.ber import BrokenAnswer
from ldapdb.connection.addresses import connect
from ldapdb.connection.credentials import connection_class, credentials, refusal
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.results import SUCCESS, WIRE_ERRORS
from ldapdb.connection.tls import secure, tls_error
from ldapdb.connection.wire import DeadlineSocket
from ldapdb.entries import Entry
from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from ldapdb.filters import Filter
from ldapdb.searching import End, Page, Reference, read_answer, search_request
from ldapdb.settings import Settings

__all__ = ["Session"]

# An idle connection may have been cut by a firewall that sends nothing; younger than this
# it is used without asking.
_IDLE_SECONDS = 240.0

_Error = TypeVar("_Error", bound=BaseException)

_START_TLS = "1.3.6.1.4.1.1466.20037"  # RFC 4511, section 4.14


class Session:
    """One bound connection to one server, used by one thread at a time.

    Parameters
    ----------
    uri : str
        The server.
    settings : Settings
        How to connect.
    deadline : Deadline
        When it must be bound.

    Raises
    ------
    DirectoryUnavailable
        If the server cannot be reached.
    SettingsError
        If it refuses us, or we refuse its certificate.
    """

    def __init__(self, uri: str, settings: Settings, deadline: Deadline) -> None:
        self.uri = uri
        self.used_at = 0.0
        self._socket = DeadlineSocket(connect(uri, deadline), deadline)
        try:
            if uri.startswith("ldaps://"):
                self._socket.plain = secure(self._socket.plain, settings, uri, deadline)
            self._ldap = self._make(settings, deadline)
            if settings.start_tls and uri.startswith("ldap://"):
                self._start_tls(settings, deadline)
            self._bind(settings)
        except LDAPDBError as error:
            self.drop()
            raise _bare(error)  # noqa: B904 -- the same one
        except WIRE_ERRORS as error:
            self.drop()
            _bare(error)
            deadline.remaining()  # a socket's time-out is the deadline's
            raise self._broken(self._at_log_in(settings), error) from error
        except BaseException:
            self.drop()
            raise
        self._ldap.password = None  # so that nothing that prints the connection prints it

    @property
    def heard(self) -> bool:
        """Whether the server has said anything during the present or last operation."""
        return self._socket.heard

    def _make(self, settings: Settings, deadline: Deadline) -> Any:
        """Make ldap3's connection on the socket that is open."""
        made = connection_class(settings)(
            ldap3.Server(self.uri, get_info=ldap3.NONE),
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            auto_escape=False,
            auto_encode=False,
            auto_range=False,
            check_names=False,
            return_empty_attributes=False,  # what is absent is absent
            raise_exceptions=False,
            **credentials(settings, self.uri, deadline),
        )
        # What ldap3's own open() does, with our socket. It would look names up without end,
        # and a bind would open a closed connection again, without TLS.
        made.socket = self._socket
        made.closed = False
        made.strategy._outstanding = {}  # noqa: SLF001 -- as above
        made.strategy._start_listen()  # noqa: SLF001 -- as above
        made.strategy.open = self._open_again
        return made

    def _open_again(self, *_: Any, **__: Any) -> None:
        raise DirectoryUnavailable(f"the directory at {self.uri} broke off", server=self.uri)

    def _start_tls(self, settings: Settings, deadline: Deadline) -> None:
        _, result, _, _ = self._ldap.extended(_START_TLS)
        if result["result"] != SUCCESS:
            raise DirectoryUnavailable(
                f"the directory at {self.uri} refuses StartTLS (result code {result['result']}, "
                f"{result.get('message') or 'without a word'}), so it gets no log-in; give it a "
                "certificate, or see uri and start_tls",
                server=self.uri,
                result_code=result["result"],
            )
        self._socket.plain = secure(self._socket.plain, settings, self.uri, deadline)

    def _bind(self, settings: Settings) -> None:
        _, result, _, _ = self._ldap.bind(read_server_info=False)
        if result["result"] != SUCCESS:
            raise refusal(settings, self.uri, result)

    def run(self, deadline: Deadline, operation: Callable[[Any], tuple[Any, ...]]) -> Any:
        """Run an operation of ldap3's, any but a search, and return its result."""
        self._socket.deadline = deadline
        self._socket.heard = False
        try:
            _, result, _, _ = operation(self._ldap)
        except LDAPDBError as error:
            raise _bare(error)  # noqa: B904 -- the same one
        except WIRE_ERRORS as error:
            _bare(error)
            deadline.remaining()  # a socket's time-out is the deadline's
            raise self._broken("broke off", error) from error
        return result

    def search(
        self,
        deadline: Deadline,
        base: str,
        scope: int,
        search_filter: Filter,
        attributes: Sequence[str],
        page: Optional[Page],
    ) -> tuple[list[Entry], list[str], End]:
        """Search; return the entries, the URIs of other servers, and the answer's end.

        ldap3 has no part in this: see ``searching``.
        """
        self._socket.deadline = deadline
        self._socket.heard = False
        number = self._ldap.server.next_message_id()
        try:
            self._socket.sendall(
                search_request(number, base, scope, search_filter, attributes, page)
            )
            return self._answer(number)
        except (BrokenAnswer, OSError, UnicodeError) as error:
            deadline.remaining()  # a socket's time-out is the deadline's
            raise self._broken("broke off", error) from error

    def _answer(self, number: int) -> tuple[list[Entry], list[str], End]:
        entries: list[Entry] = []
        elsewhere: list[str] = []
        for octets, start, stop in self._socket.messages():
            answer = read_answer(octets, start, stop, number)
            if isinstance(answer, Entry):
                entries.append(answer)
            elif isinstance(answer, Reference):
                elsewhere += answer.uris
            elif stop == len(octets):
                return entries, elsewhere, answer
            else:
                raise BrokenAnswer("something after the end of an answer")
        raise ConnectionError("closed before the answer's end")

    def is_usable(self, now: float) -> bool:
        """Tell whether the server has neither closed the connection nor left it long ago."""
        if now - self.used_at > _IDLE_SECONDS:
            return False
        poll = select.poll()
        try:
            poll.register(self._socket.fileno(), select.POLLIN)
        except (OSError, ValueError):
            return False
        # Nobody is asked anything now: what can be read is a goodbye.
        return not poll.poll(0)

    def close(self) -> None:
        """Say goodbye to the server and close."""
        try:
            self._socket.deadline = Deadline(1.0)
            self._ldap.unbind()
        except (LDAPDBError, *WIRE_ERRORS):
            self.drop()

    def drop(self) -> None:
        """Close without a word: the connection is broken, or belongs to our parent process."""
        self._socket.plain.close()

    def _at_log_in(self, settings: Settings) -> str:
        """Say what it is to be broken off before the log-in is answered.

        With TLS 1.3 a server that wants a certificate, or another one, says so after the
        handshake, or, as slapd with GnuTLS (2.5.13), only closes.
        """
        if not (self.uri.startswith("ldaps://") or settings.start_tls):
            return "cannot be reached"
        return (
            "broke off after the TLS handshake; it may demand a certificate, from an authority "
            "that it trusts: see client_cert_file, and its log. It looked like this"
        )

    def _broken(self, what: str, error: BaseException) -> LDAPDBError:
        return tls_error(self.uri, error) or DirectoryUnavailable(
            f"the directory at {self.uri} {what}: {error}", server=self.uri
        )


def _bare(error: _Error) -> _Error:
    """Take the frames off an error and its causes: their variables hold what ldap3 sent.

    Error reporters print such variables, and a bind request has the password.
    """
    each: Optional[BaseException] = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error

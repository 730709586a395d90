"""One bound connection to one server: TLS, log-in, and every byte under the deadline."""

from __future__ import annotations

import itertools
import operator
import select
from collections.abc import Callable, Generator, Sequence
from ssl import SSLSocket
from typing import Any, Optional, TypeVar

from ldapdb.ber import BrokenAnswer
from ldapdb.connection.addresses import connect
from ldapdb.connection.credentials import rejection, simple_bind
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.logins import LOGINS
from ldapdb.connection.results import SUCCESS, WIRE_ERRORS
from ldapdb.connection.tls import secure, tls_error
from ldapdb.connection.wire import DeadlineSocket
from ldapdb.entries import Entry
from ldapdb.errors import CredentialsRejected, DirectoryUnavailable, LDAPDBError
from ldapdb.filters import Filter
from ldapdb.messages import POLICY_CONTROLS, UNBIND, Result, message, read_result
from ldapdb.searching import (
    END_TAG,
    End,
    Opened,
    Page,
    Reference,
    Search,
    open_answer,
    read_any_answer,
    read_opened,
    search_request,
)
from ldapdb.settings import Settings

__all__ = ["Answer", "Session"]

# An idle connection may have been cut by a firewall that sends nothing; younger than this
# it is used without asking.
_IDLE_SECONDS = 240.0

# Entries, URIs of other servers, and the end.
Answer = tuple[list[Entry], list[str], End]

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
    CredentialsRejected
        If it rejects the login, or has done so a short while ago.
    SettingsError
        If we refuse its certificate.
    """

    def __init__(self, uri: str, settings: Settings, deadline: Deadline) -> None:
        self.uri = uri
        self.used_at = 0.0
        self._settings = settings
        self._numbers = itertools.count(1)
        self._library: Any = None
        self._require_login()
        self._socket = DeadlineSocket(connect(uri, deadline), deadline)
        try:
            if uri.startswith("ldaps://"):
                self._socket.plain = secure(self._socket.plain, settings, uri, deadline)
            if settings.start_tls and uri.startswith("ldap://"):
                self._start_tls(deadline)
            self._bind(deadline)
        except BaseException as error:  # noqa: BLE001 -- an interrupt, too: what was sent has the password
            self.drop()
            raise _bare(error)  # noqa: B904 -- the same one

    @property
    def tls(self) -> Optional[SSLSocket]:
        """The connection's TLS; None if it has none."""
        return self._socket.plain if isinstance(self._socket.plain, SSLSocket) else None

    @property
    def account(self) -> str:
        """Whom we log in as, for errors: by the settings, or how if these do not say."""
        method = self._settings.authentication
        return str(self._settings.bind_dn) if method == "simple" else f"whom bind = {method} is"

    @property
    def heard(self) -> bool:
        """Whether the server has said anything during the present or last operation."""
        return self._socket.heard

    def _start_tls(self, deadline: Deadline) -> None:
        result = self.extended(deadline, _START_TLS, self._at_log_in)
        if result["result"] != SUCCESS:
            raise DirectoryUnavailable(
                f"the directory at {self.uri} refuses StartTLS (result code {result['result']}, "
                f"{result.get('message') or 'without a word'}), so it gets no log-in; give it a "
                "certificate, or see uri and start_tls",
                server=self.uri,
                result_code=result["result"],
            )
        self._socket.plain = secure(self._socket.plain, self._settings, self.uri, deadline)

    def _require_login(self) -> None:
        """See that a login may be sent, before the server is connected to."""
        LOGINS.require(self._settings, self.uri)

    def _bind(self, deadline: Deadline) -> None:
        LOGINS.send(self._settings, self.uri, deadline, lambda: self._log_in(deadline))

    def _log_in(self, deadline: Deadline) -> Optional[CredentialsRejected]:
        """Log in; return the rejection of a password that must not be sent again at once."""
        if self._settings.authentication in ("external", "gssapi"):
            told = self._by_library(deadline, _bind, self._at_log_in)
            result = Result(told["result"], told.get("message") or "")
        else:
            request = simple_bind(self._settings)
            result = self.exchange(deadline, request, self._at_log_in, POLICY_CONTROLS)
        error = rejection(self._settings, self.uri, result)
        if isinstance(error, CredentialsRejected) and error.judged:
            return error
        if error is not None:
            raise error
        return None

    def exchange(
        self, deadline: Deadline, request: bytes, broken: str = "broke off", controls: bytes = b""
    ) -> Result:
        """Send a request of ``messages``, and return the result that answers it.

        Parameters
        ----------
        broken : str
            What it is if the connection breaks, for the error.
        controls : bytes
            What goes along with the request.
        """
        self._socket.deadline = deadline
        self._socket.heard = False
        number = next(self._numbers)
        try:
            self._socket.sendall(message(number, request, controls))
            answer = self._socket.recv(0)
            if not answer:
                raise ConnectionError("closed before its answer")
            return read_result(answer, number, request)
        except WIRE_ERRORS as error:
            _bare(error)
            deadline.remaining()  # a socket's time-out is the deadline's
            raise self._broken(broken, error) from error

    def extended(self, deadline: Deadline, oid: str, broken: str = "broke off") -> Any:
        """Make an extended operation (RFC 4511, section 4.12); return ldap3's result."""
        return self._by_library(deadline, lambda library: library.extended(oid), broken)

    def _by_library(
        self, deadline: Deadline, operation: Callable[[Any], tuple[Any, ...]], broken: str
    ) -> Any:
        """Let ldap3 run an operation on this connection, and return its result."""
        from ldapdb.connection.library import LIBRARY_ERRORS, make  # noqa: PLC0415 -- slow to import

        self._socket.deadline = deadline
        self._socket.heard = False
        try:
            if self._library is None:
                self._library = make(self.uri, self._socket, self._settings, deadline)
                self._library.server.next_message_id = self._numbers.__next__
            _, result, _, _ = operation(self._library)
        except LDAPDBError as error:
            raise _bare(error)  # noqa: B904 -- the same one
        except LIBRARY_ERRORS as error:
            _bare(error)
            deadline.remaining()  # a socket's time-out is the deadline's
            raise self._broken(broken, error) from error
        return result

    def search(
        self,
        deadline: Deadline,
        base: str,
        scope: int,
        search_filter: Filter,
        attributes: Sequence[str],
        page: Optional[Page],
    ) -> Answer:
        """Search; return the entries, the URIs of other servers, and the answer's end."""
        search = Search(base, scope, search_filter, tuple(attributes), page)
        return self.search_together(deadline, (search,))[0]

    def pages(self, deadline: Deadline, search: Search) -> Generator[Answer, None, None]:
        """Search in pages (RFC 2696); yield what :meth:`search` would return of each.

        A page is taken off the wire whole and the next one is asked for before it is read, so
        that server and client work at the same time, and the server never waits for room to
        write. Whoever does not take all pages closes this, which ends the connection.
        """
        self._socket.deadline = deadline
        self._socket.heard = False
        asked: Optional[int] = None
        try:
            asked = self._send(search)
            while asked is not None:
                opened, end = self._page(asked)
                asked = None
                # What comes with a part that is elsewhere is not wanted, as a rule.
                if end.code == SUCCESS and end.cookie and all(map(_IS_ENTRY, opened)):
                    asked = self._send(_following(search, end))
                entries, elsewhere = _read(opened)
                yield entries, elsewhere, end
                if asked is None and end.cookie:
                    asked = self._send(_following(search, end))
        except WIRE_ERRORS as error:
            deadline.remaining()  # a socket's time-out is the deadline's
            raise self._broken("broke off", error) from error
        finally:
            if asked is not None:
                self.drop()

    def _send(self, search: Search) -> int:
        number = next(self._numbers)
        self._socket.sendall(search_request(number, *search))
        return number

    def _page(self, number: int) -> tuple[list[Opened], End]:
        """Receive a page; return the messages in it, and the last of them."""
        opened = []
        for octets, start, stop in self._socket.messages():
            each = open_answer(octets, start, stop)
            if each.number != number:
                raise BrokenAnswer("an answer to something else")
            if each.tag != END_TAG:
                opened.append(each)
                continue
            if stop != len(octets):
                raise BrokenAnswer("something after the end of an answer")
            end = read_opened(each)
            assert isinstance(end, End)  # noqa: S101 -- for mypy: so says its tag
            return opened, end
        raise ConnectionError("closed before the answer's end")

    def search_together(
        self, deadline: Deadline, searches: Sequence[Search], control: bytes = b""
    ) -> list[Answer]:
        """Send several searches at once; return what :meth:`search` would of each.

        The server answers them in any order, or all at a time. A `control` goes with those
        that ask for no page.
        """
        self._socket.deadline = deadline
        self._socket.heard = False
        asked = {next(self._numbers): each for each in searches}
        try:
            self._socket.sendall(
                b"".join(
                    search_request(number, *each, control=control) for number, each in asked.items()
                )
            )
            answers = self._answers(set(asked))
        except WIRE_ERRORS as error:
            deadline.remaining()  # a socket's time-out is the deadline's
            raise self._broken("broke off", error) from error
        return [answers[number] for number in asked]

    def _answers(self, open_numbers: set[int]) -> dict[int, Answer]:
        found: dict[int, tuple[list[Entry], list[str]]] = {each: ([], []) for each in open_numbers}
        ended: dict[int, Answer] = {}
        for octets, start, stop in self._socket.messages():
            number, answer = read_any_answer(octets, start, stop)
            if number not in open_numbers:
                raise BrokenAnswer("an answer to something else")
            if isinstance(answer, Entry):
                found[number][0].append(answer)
            elif isinstance(answer, Reference):
                found[number][1].extend(answer.uris)
            else:
                ended[number] = (*found[number], answer)
                open_numbers.discard(number)
            if not open_numbers:
                if stop != len(octets):
                    raise BrokenAnswer("something after the end of an answer")
                return ended
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
            self._socket.sendall(message(next(self._numbers), UNBIND))
        except (LDAPDBError, *WIRE_ERRORS):
            pass
        finally:
            self.drop()

    def drop(self) -> None:
        """Close without a word: the connection is broken, or belongs to our parent process."""
        self._socket.plain.close()

    @property
    def _at_log_in(self) -> str:
        """Say what it is to be broken off before the log-in is answered.

        With TLS 1.3 a server that wants a certificate, or another one, says so after the
        handshake, or, as slapd with GnuTLS (2.5.13), only closes.
        """
        if not (self.uri.startswith("ldaps://") or self._settings.start_tls):
            return "cannot be reached"
        return (
            "broke off after the TLS handshake; it may demand a certificate, from an authority "
            "that it trusts: see client_cert_file, and its log. It looked like this"
        )

    def _broken(self, what: str, error: BaseException) -> LDAPDBError:
        return tls_error(self.uri, error) or DirectoryUnavailable(
            f"the directory at {self.uri} {what}: {error}", server=self.uri
        )


_IS_ENTRY = operator.attrgetter("is_entry")


def _following(search: Search, end: End) -> Search:
    assert search.page is not None  # noqa: S101 -- for mypy: only pages follow each other
    return search._replace(page=search.page._replace(cookie=end.cookie))


def _read(opened: list[Opened]) -> tuple[list[Entry], list[str]]:
    entries: list[Entry] = []
    elsewhere: list[str] = []
    for each in opened:
        answer = read_opened(each)
        if isinstance(answer, Entry):
            entries.append(answer)
        elif isinstance(answer, Reference):
            elsewhere += answer.uris
    return entries, elsewhere


def _bind(library: Any) -> tuple[Any, ...]:
    answer: tuple[Any, ...] = library.bind(read_server_info=False)
    return answer


def _bare(error: _Error) -> _Error:
    """Take the frames off an error and its causes: their variables hold what was sent.

    Error reporters print such variables, and a bind request has the password.
    """
    each: Optional[BaseException] = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error

"""One bound connection to one server, whose errors are ours."""

from __future__ import annotations

import select
from collections.abc import Callable, Generator, Mapping, Sequence
from ssl import SSLSocket
from typing import Any, NoReturn, Optional, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPExceptionError
from pyasn1.error import PyAsn1Error

from ldapdb.client.credentials import log_in, rejection
from ldapdb.client.deadline import Deadline
from ldapdb.client.logins import LOGINS
from ldapdb.client.results import SUCCESS, WIRE_ERRORS
from ldapdb.client.strategy import Connection, Strategy
from ldapdb.client.tls import tls_error
from ldapdb.errors import CredentialsRejected, DirectoryUnavailable, LDAPDBError
from ldapdb.protocol.codec import End, Opened, Page, Result, Search, read_opened, read_whole_answer
from ldapdb.protocol.controls import PASSWORD_POLICY, read_policy_error
from ldapdb.protocol.entry import OBJECT_CLASS, Entry, Modification, Operation
from ldapdb.protocol.filters import Filter
from ldapdb.settings import Settings

__all__ = ["CLIENT_ERRORS", "Answer", "Session"]

# An idle connection may have been cut by a firewall that sends nothing; younger than this
# it is used without asking.
_IDLE_SECONDS = 240.0

# Entries, URIs of other servers, and the end.
Answer = tuple[list[Entry], list[str], End]

# What ldap3 2.9.1 and pyasn1 raise over a broken or hostile answer, beyond their own errors.
CLIENT_ERRORS = (
    *WIRE_ERRORS,
    LDAPExceptionError,
    PyAsn1Error,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
)
_MODIFICATIONS = {
    Operation.ADD: ldap3.MODIFY_ADD,
    Operation.DELETE: ldap3.MODIFY_DELETE,
    Operation.REPLACE: ldap3.MODIFY_REPLACE,
}

_BROKEN = "ended the connection"

_Error = TypeVar("_Error", bound=BaseException)


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
    bind : bool
        Whether to bind; whoever has not is nobody (RFC 4513, section 4).

    Raises
    ------
    DirectoryUnavailable
        If the server cannot be reached.
    CredentialsRejected
        If it rejects the login, or has done so a short while ago.
    SettingsError
        If we reject its certificate.
    """

    def __init__(
        self, uri: str, settings: Settings, deadline: Deadline, *, bind: bool = True
    ) -> None:
        self.uri = uri
        self.used_at = 0.0
        self._settings = settings
        self._connection: Optional[Connection] = None
        if bind:
            LOGINS.require(settings, uri)
        try:
            self._connection = Connection(uri, settings, deadline)
            self._open(deadline)
            if bind:
                LOGINS.send(settings, uri, deadline, lambda: self._log_in(deadline))
        except BaseException as error:  # noqa: BLE001 -- an interrupt, too: what was sent has the password
            self.drop()
            raise _bare(error)  # noqa: B904 -- the same one

    def __del__(self) -> None:
        """Close what nobody has closed: ldap3's connection is in a cycle, and would stay open."""
        self.drop()

    @property
    def strategy(self) -> Strategy:
        """How the connection sends and receives."""
        return self._opened.strategy

    @property
    def tls(self) -> Optional[SSLSocket]:
        """The connection's TLS; None if it has none."""
        return self._opened.socket if isinstance(self._opened.socket, SSLSocket) else None

    @property
    def account(self) -> str:
        """The account, for errors: by the settings, or how we log in if these do not say."""
        method = self._settings.authentication
        return (
            str(self._settings.bind_dn)
            if method == "simple"
            else f'the identity from bind = "{method}"'
        )

    @property
    def heard(self) -> bool:
        """Whether the server has sent anything during the present or last operation."""
        return self.strategy.heard

    @property
    def _opened(self) -> Connection:
        assert self._connection is not None  # noqa: S101 -- for mypy: no session without one
        return self._connection

    # --- opening

    def _open(self, deadline: Deadline) -> None:
        connection, broken = self._opened, self._at_log_in
        self._operate(deadline, lambda: connection.open(read_server_info=False), broken)
        if self._settings.start_tls and self.uri.startswith("ldap://"):
            self._operate(deadline, self._negotiate_tls, broken)

    def _log_in(self, deadline: Deadline) -> Optional[CredentialsRejected]:
        """Log in; return the rejection of a password that must not be sent again at once."""
        connection = self._opened
        for name, value in log_in(self._settings).items():
            setattr(connection, name, value)
        try:
            self._operate(deadline, lambda: self._bind(deadline), self._at_log_in)
        finally:
            connection.password = connection.request = None  # both have the password
        error = rejection(self._settings, self.uri, self._result(), self._policy_error())
        if isinstance(error, CredentialsRejected) and error.judged:
            return error
        if error is not None:
            raise error
        return None

    def _bind(self, deadline: Deadline) -> None:
        if self._settings.authentication == "gssapi":
            from ldapdb.client import kerberos  # noqa: PLC0415 -- for that alone

            kerberos.bind(self._opened, self._settings, self.uri, deadline)
        else:
            self._opened.bind(read_server_info=False, controls=[(PASSWORD_POLICY, False, None)])

    def _policy_error(self) -> Optional[int]:
        """Return the error of the server's password policy that came with the last result."""
        control = self._opened.result.get("controls", {}).get(PASSWORD_POLICY)
        return control and read_policy_error(control["value"] or b"")

    def _negotiate_tls(self) -> None:
        connection = self._opened
        try:
            connection.start_tls(read_server_info=False)
        except LDAPExceptionError as error:
            result = self._result()
            # ldap3 wraps what the handshake raises.
            if result.code == SUCCESS and isinstance(error.__context__, LDAPDBError):
                raise error.__context__ from error.__context__.__cause__
            raise DirectoryUnavailable(
                f"the directory at {self.uri} refuses StartTLS (result code {result.code}, "
                f"{result.said or 'without a reason'}), so it gets no log-in; give it a "
                "certificate, or see uri and start_tls",
                server=self.uri,
                result_code=result.code,
            ) from None

    @property
    def _at_log_in(self) -> str:
        """What a connection that breaks before the log-in is answered may mean.

        With TLS 1.3 a server that wants a certificate, or another one, says so after the
        handshake, or, as slapd with GnuTLS (2.5.13), only closes.
        """
        if not (self.uri.startswith("ldaps://") or self._settings.start_tls):
            return "cannot be reached"
        return (
            "ended the connection after the TLS handshake; it may demand a certificate, from an "
            "authority that it trusts: see client_cert_file, and its log. The error was"
        )

    # --- operations of ldap3's

    def add(self, deadline: Deadline, dn: str, attributes: Mapping[str, Sequence[str]]) -> Result:
        """Add an entry (RFC 4511, section 4.7)."""
        whole = {name: list(values) for name, values in attributes.items()}
        classes = whole.pop(OBJECT_CLASS)
        return self._write(deadline, lambda ldap: ldap.add(dn, classes, whole))

    def modify(self, deadline: Deadline, dn: str, modifications: Sequence[Modification]) -> Result:
        """Modify an entry (section 4.6)."""
        changes: dict[str, list[tuple[str, list[str]]]] = {}
        for each in modifications:
            change = _MODIFICATIONS[each.operation], list(each.values)
            changes.setdefault(each.attribute, []).append(change)
        return self._write(deadline, lambda ldap: ldap.modify(dn, changes))

    def delete(self, deadline: Deadline, dn: str) -> Result:
        """Delete an entry (section 4.8)."""
        return self._write(deadline, lambda ldap: ldap.delete(dn))

    def rename(self, deadline: Deadline, dn: str, rdn: str) -> Result:
        """Give an entry another RDN and remove the old one's values (section 4.9)."""
        return self._write(deadline, lambda ldap: ldap.modify_dn(dn, rdn))

    def extended(self, deadline: Deadline, oid: str) -> Mapping[str, Any]:
        """Make an extended operation (section 4.12); return ldap3's result."""
        self._operate(deadline, lambda: self._opened.extended(oid))
        result: Mapping[str, Any] = self._opened.result
        return result

    def _write(self, deadline: Deadline, operation: Callable[[Connection], Any]) -> Result:
        self._operate(deadline, lambda: operation(self._opened))
        return self._result()

    def _result(self) -> Result:
        result = self._opened.result
        return Result(result["result"], result["message"] or "")

    def _operate(
        self, deadline: Deadline, operation: Callable[[], Any], broken: str = _BROKEN
    ) -> None:
        """Have ldap3 make an operation.

        Parameters
        ----------
        broken : str
            What the server did if the connection breaks, for the error.
        """
        self._begin(deadline)
        try:
            operation()
        except LDAPDBError as error:  # SettingsError is a ValueError, too
            raise _bare(error)  # noqa: B904 -- the same one
        except CLIENT_ERRORS as error:
            self._fail(error, broken)

    # --- searches

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

    def search_together(
        self, deadline: Deadline, searches: Sequence[Search], control: bytes = b""
    ) -> list[Answer]:
        """Send several searches at once; return what :meth:`search` would of each.

        The server answers them in any order, or all at a time. A `control` goes with those
        that ask for no page.
        """
        self._begin(deadline)
        try:
            numbers = self.strategy.ask(searches, control)
            answers = self.strategy.answers(numbers)
            return [self._read(answers[number]) for number in numbers]
        except WIRE_ERRORS as error:
            self._fail(error)

    def pages(self, deadline: Deadline, search: Search) -> Generator[Answer, None, None]:
        """Search in pages (RFC 2696); yield what :meth:`search` would return of each.

        A page is received whole and the next one is asked for before it is read, so that
        server and client work at the same time, and the server never waits for room to
        write. Whoever does not take all pages closes this, which ends the connection.
        """
        self._begin(deadline)
        strategy = self.strategy
        number: Optional[int] = None
        try:
            [number] = strategy.ask([search])
            while number is not None:
                opened = strategy.answers([number])[number]
                number = None
                following = _following(search, opened[-1])
                # What comes with a part that is elsewhere is usually not wanted.
                only_entries = all(each.is_entry for each in opened[:-1])
                if following is not None and only_entries:
                    [number] = strategy.ask([following])
                yield self._read(opened)
                if following is not None and number is None:
                    [number] = strategy.ask([following])
        except WIRE_ERRORS as error:
            self._fail(error)
        finally:
            if number is not None:
                self.drop()

    def _read(self, opened: Sequence[Opened]) -> Answer:
        return read_whole_answer(opened, self._settings.max_answer_bytes)

    def _begin(self, deadline: Deadline) -> None:
        self.strategy.deadline = deadline
        self.strategy.heard = False

    # --- errors

    def _fail(self, error: BaseException, broken: str = _BROKEN) -> NoReturn:
        """Raise our error for one of ldap3's, the socket's or the codec's.

        Raises
        ------
        DeadlineExceeded
            If the time is over: a socket's time-out is the deadline's.
        LDAPDBError
            Otherwise.
        """
        _bare(error)
        self.strategy.deadline.remaining()
        failure = tls_error(self.uri, error) or DirectoryUnavailable(
            f"the directory at {self.uri} {broken}: {error}", server=self.uri
        )
        raise failure from error

    # --- the end

    def is_usable(self, now: float) -> bool:
        """Tell whether the server has neither closed the connection nor left it long ago."""
        if now - self.used_at > _IDLE_SECONDS:
            return False
        poll = select.poll()
        try:
            poll.register(self._opened.socket.fileno(), select.POLLIN)
        except (AttributeError, OSError, ValueError):  # ldap3 has closed it
            return False
        # Nothing is outstanding: what can be read is a notice of disconnection.
        return not poll.poll(0)

    def close(self) -> None:
        """Unbind and close."""
        self.strategy.deadline = Deadline(1.0)
        try:
            self._opened.unbind()
        except (LDAPDBError, *CLIENT_ERRORS):
            pass
        finally:
            self.drop()

    def drop(self) -> None:
        """Close without unbinding: the connection is broken, or belongs to the parent process."""
        if self._connection is not None and self._connection.socket is not None:
            self._connection.socket.close()


def _following(search: Search, last: Opened) -> Optional[Search]:
    """Return the search for the page after an answer's last message; None if there is none."""
    end = read_opened(last)
    if not isinstance(end, End) or not end.cookie or search.page is None:
        return None
    return search._replace(page=search.page._replace(cookie=end.cookie))


def _bare(error: _Error) -> _Error:
    """Take the frames off an error and its causes: their variables hold what was sent.

    Error reporters print such variables, and a bind request has the password.
    """
    each: Optional[BaseException] = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error

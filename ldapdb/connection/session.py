"""One bound connection to one server: TLS, log-in, and every byte under the deadline."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPInvalidFilterError

from ldapdb import errors
from ldapdb.connection.credentials import credentials
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.results import SUCCESS, WIRE_ERRORS, result_error
from ldapdb.connection.tls import VerifiedTls
from ldapdb.connection.wire import DeadlineSocket
from ldapdb.errors import DirectoryUnavailable, SettingsError
from ldapdb.settings import Settings

__all__ = ["Session"]

# An idle connection may have been cut by a firewall that sends nothing; younger than this
# it is used without asking.
_IDLE_SECONDS = 240.0


class Session:
    """One bound connection to one server, used by one thread at a time."""

    def __init__(self, uri: str, settings: Settings, deadline: Deadline) -> None:
        self.uri = uri
        self._tls = VerifiedTls(settings, urlsplit(uri).hostname or "")
        self._ldap = self._make(settings, deadline)
        self.used_at = 0.0
        try:
            self._open(settings, deadline)
        except BaseException:
            self.drop()
            raise

    def _make(self, settings: Settings, deadline: Deadline) -> Any:
        server = ldap3.Server(
            self.uri,
            get_info=ldap3.NONE,
            tls=self._tls,
            # A name may have an address of each kind, and each gets this long.
            connect_timeout=deadline.remaining() / 2,
            mode=ldap3.IP_V4_PREFERRED,
        )
        return ldap3.Connection(
            server,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            auto_escape=False,
            auto_encode=False,
            auto_range=False,
            check_names=False,
            return_empty_attributes=False,  # what is absent is absent
            raise_exceptions=False,
            **credentials(settings, self.uri),
        )

    def _open(self, settings: Settings, deadline: Deadline) -> None:
        try:
            self._ldap.open(read_server_info=False)
            self._ldap.socket = DeadlineSocket(self._ldap.socket, deadline)
            if settings.start_tls and self.uri.startswith("ldap://"):
                self._ldap.start_tls(read_server_info=False)
            _, result, _, _ = self._ldap.bind(read_server_info=False)
        except errors.LDAPDBError:
            raise
        except WIRE_ERRORS as error:
            if isinstance(self._tls.failure, errors.LDAPDBError):
                raise self._tls.failure from error
            raise self._broken("cannot be reached", error) from error
        code = result["result"]
        if code != SUCCESS:
            who = f" of {settings.bind_dn}" if settings.bind_dn else ""
            raise result_error(code, self.uri, f"binding{who}", None, result.get("message"))

    def run(
        self, deadline: Deadline, operation: Callable[[Any], tuple[Any, ...]]
    ) -> tuple[Any, Any]:
        """Run one operation and return its result and its entries."""
        self._ldap.socket.deadline = deadline
        try:
            _, result, response, _ = operation(self._ldap)
        except errors.LDAPDBError:
            raise
        except LDAPInvalidFilterError as error:
            raise SettingsError(f"ldap3 refuses a filter of the settings: {error}") from error
        except WIRE_ERRORS as error:
            deadline.remaining()  # a socket's time-out is the deadline's
            raise self._broken("broke off", error) from error
        return result, response

    def is_usable(self, now: float) -> bool:
        """Tell whether the server has neither closed the connection nor left it long ago."""
        if now - self.used_at > _IDLE_SECONDS:
            return False
        poll = select.poll()
        try:
            poll.register(self._ldap.socket.fileno(), select.POLLIN)
        except (AttributeError, OSError, ValueError):
            return False
        # Nobody is asked anything now: what can be read is a goodbye.
        return not poll.poll(0)

    def close(self) -> None:
        """Say goodbye to the server and close."""
        try:
            self._ldap.socket.deadline = Deadline(1.0)
            self._ldap.unbind()
        except (errors.LDAPDBError, *WIRE_ERRORS):
            self.drop()

    def drop(self) -> None:
        """Close without a word: the connection is broken, or belongs to our parent process."""
        plain = self._ldap.socket
        while isinstance(plain, DeadlineSocket):
            plain = plain.plain
        if plain is not None:
            plain.close()

    def _broken(self, what: str, error: BaseException) -> DirectoryUnavailable:
        return DirectoryUnavailable(f"the directory at {self.uri} {what}: {error}", server=self.uri)

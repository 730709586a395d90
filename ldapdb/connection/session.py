"""One bound connection to one server: TLS, log-in, and every byte under the deadline."""

from __future__ import annotations

import select
import ssl
from collections.abc import Callable
from typing import Any, Optional
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPInvalidFilterError

from ldapdb import errors
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.results import SUCCESS, WIRE_ERRORS, result_error
from ldapdb.errors import DirectoryUnavailable, SettingsError
from ldapdb.settings import Settings

__all__ = ["Session"]

# An idle connection may have been cut by a firewall that sends nothing; younger than this
# it is used without asking.
_IDLE_SECONDS = 240.0


class _DeadlineSocket:
    """A socket of which every receive and send ends by the deadline.

    ldap3's ``receive_timeout`` starts anew with each packet, so that a server which sends
    a byte a second is never too slow for it.
    """

    def __init__(self, plain: Any, deadline: Deadline) -> None:
        self.plain = plain
        self.deadline = deadline

    def recv(self, size: int) -> bytes:
        self.plain.settimeout(self.deadline.remaining())
        received: bytes = self.plain.recv(size)
        return received

    def sendall(self, data: bytes) -> None:
        self.plain.settimeout(self.deadline.remaining())
        self.plain.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


class _VerifiedTls(ldap3.Tls):  # type: ignore[misc]  # ldap3 is untyped
    """TLS as Python's own defaults have it, with the server's name checked by OpenSSL.

    ldap3's wrapper verifies nothing unless told, and its own name check does not know IP
    addresses from Python 3.12 on.
    """

    def __init__(self, settings: Settings, hostname: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._settings = settings
        self._hostname = hostname
        self.failure: Optional[BaseException] = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ARG002 -- ldap3's signature
        try:
            context = self._context()
        except OSError as error:  # ssl.SSLError is one
            raise self._note(
                SettingsError(f"ca_file, client_cert_file or client_key_file: {error}")
            ) from error
        wrapped = connection.socket
        deadline = None
        if isinstance(wrapped, _DeadlineSocket):
            deadline, wrapped = wrapped.deadline, wrapped.plain
            wrapped.settimeout(deadline.remaining())
        try:
            tls = context.wrap_socket(wrapped, server_hostname=self._hostname)
        except ssl.SSLCertVerificationError as error:
            raise self._note(
                errors.CertificateRefused(
                    f"the certificate of {self._hostname} was refused: {error.verify_message}; "
                    "check ca_file, the certificate, and that uri has the name it was made for",
                )
            ) from error
        connection.socket = tls if deadline is None else _DeadlineSocket(tls, deadline)

    def _context(self) -> ssl.SSLContext:
        settings = self._settings
        context = ssl.create_default_context(
            cafile=None if settings.ca_file is None else str(settings.ca_file)
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.client_cert_file is not None:
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file)
        return context

    def _note(self, failure: errors.LDAPDBError) -> errors.LDAPDBError:
        # ldap3 turns whatever is raised here into text; the connection looks here for it.
        self.failure = failure
        return failure


class Session:
    """One bound connection to one server, used by one thread at a time."""

    def __init__(self, uri: str, settings: Settings, deadline: Deadline) -> None:
        self.uri = uri
        self._tls = _VerifiedTls(settings, urlsplit(uri).hostname or "")
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
            **_credentials(settings),
        )

    def _open(self, settings: Settings, deadline: Deadline) -> None:
        try:
            self._ldap.open(read_server_info=False)
            self._ldap.socket = _DeadlineSocket(self._ldap.socket, deadline)
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
        while isinstance(plain, _DeadlineSocket):
            plain = plain.plain
        if plain is not None:
            plain.close()

    def _broken(self, what: str, error: BaseException) -> DirectoryUnavailable:
        return DirectoryUnavailable(f"the directory at {self.uri} {what}: {error}", server=self.uri)


def _credentials(settings: Settings) -> dict[str, Any]:
    method = settings.authentication
    if method == "simple":
        return {
            "authentication": ldap3.SIMPLE,
            "user": settings.bind_dn,
            "password": settings.password(),
        }
    if method == "external":
        return {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.EXTERNAL,
                "sasl_credentials": ""}  # fmt: skip
    if method == "gssapi":
        try:
            import gssapi  # noqa: F401, PLC0415 -- an extra; ldap3 fails without saying so
        except ImportError:
            raise SettingsError(
                "bind: gssapi needs the package gssapi; run: pip install 'ldapdb-remoteapp[gssapi]'"
            ) from None
        return {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.KERBEROS}
    return {"authentication": ldap3.ANONYMOUS}

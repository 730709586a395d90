"""TLS with the server's certificate and name verified, which ldap3 does not do by itself."""

from __future__ import annotations

import ssl
from typing import Any, Optional

import ldap3

from ldapdb import errors
from ldapdb.connection.wire import DeadlineSocket
from ldapdb.errors import SettingsError
from ldapdb.settings import Settings

__all__ = ["VerifiedTls"]


class VerifiedTls(ldap3.Tls):  # type: ignore[misc]  # ldap3 is untyped
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
        """Turn a connection's socket into one with TLS; ldap3 calls this.

        Raises
        ------
        SettingsError
            If a file of the settings cannot be used.
        CertificateRefused
            If the server's certificate is not trusted or is for another name.
        """
        try:
            context = self._context()
        except OSError as error:  # ssl.SSLError is one
            raise self._note(
                SettingsError(f"ca_file, client_cert_file or client_key_file: {error}")
            ) from error
        wrapped = connection.socket
        deadline = None
        if isinstance(wrapped, DeadlineSocket):
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
        connection.socket = tls if deadline is None else DeadlineSocket(tls, deadline)

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

"""TLS with the server's certificate and name verified, and what its failures mean."""

from __future__ import annotations

import re
import socket
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Optional, Union
from urllib.parse import urlsplit

from ldapdb.client.deadline import Deadline
from ldapdb.errors import (
    CertificateRefused,
    CredentialsRejected,
    DirectoryUnavailable,
    LDAPDBError,
    SettingsError,
)
from ldapdb.settings import Settings
from ldapdb.settings.private import check_private

__all__ = ["secure", "tls_error"]

_UNTRUSTED = "comes from an authority that is not trusted here; set ca_file to its certificate"
# OpenSSL's codes of verification (x509_vfy.h). The text follows "the certificate of <server> ".
_VERIFICATION = {
    9: "is not valid yet; check it and this machine's clock",
    10: "has expired; renew it, and check this machine's clock",
    18: "is self-signed and not trusted here; set ca_file to it, or have it issued by an authority",
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    62: "has not the name in uri among its subjectAltName, and a CN does not count (RFC 9525); "
    "write a name in uri that it has, or have it issued with that name",
    64: "is for another address; write a name in uri that it has",
}

_NO_TLS = (
    DirectoryUnavailable,
    (
        "answers, and not with TLS; check the port in uri (ldaps:// has 636 where none is given), "
        "or use ldap:// with start_tls = true"
    ),
)
_TOO_OLD = (
    DirectoryUnavailable,
    "speaks TLS older than 1.2 only, which is not safe; renew the server, or check the port in uri",
)
_NO_CIPHER = (
    DirectoryUnavailable,
    (
        "shares no method of TLS with this machine; see its TLS settings and its log, and the port "
        "in uri"
    ),
)
_CUT = (
    DirectoryUnavailable,
    (
        "closed the connection during the TLS handshake; check that the port in uri is one for TLS "
        "and that the server has a certificate"
    ),
)
_OUR_CERTIFICATE = (
    CredentialsRejected,
    (
        "refused our certificate, or the lack of one; check client_cert_file and client_key_file, "
        "and which authorities the server trusts"
    ),
)
# OpenSSL's reasons. The text follows "the directory at <server> ".
_REASONS = {
    "HTTP_REQUEST": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNKNOWN_PROTOCOL": _NO_TLS,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "BAD_KEY_SHARE": _NO_CIPHER,
    "DH_KEY_TOO_SMALL": _NO_CIPHER,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NO_CIPHER,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": _NO_CIPHER,
    "UNEXPECTED_EOF_WHILE_READING": _CUT,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OUR_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OUR_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _OUR_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OUR_CERTIFICATE,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OUR_CERTIFICATE,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _OUR_CERTIFICATE,
    "TLSV1_ALERT_ACCESS_DENIED": _OUR_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": _OUR_CERTIFICATE,
}
_REASON = re.compile(r"\[SSL: (\w+)\]")


def secure(plain: socket.socket, settings: Settings, uri: str, deadline: Deadline) -> ssl.SSLSocket:
    """Turn a connection into one with TLS, where the certificate has the name that uri has.

    Parameters
    ----------
    plain : socket
        An open connection to the server.
    settings : Settings
        Whom to trust, and our own certificate.
    uri : str
        The server.
    deadline : Deadline
        When the handshake must be over.

    Raises
    ------
    SettingsError
        If a file of the settings cannot be used.
    CertificateRefused
        If the server's certificate is not trusted or is for another name.
    DirectoryUnavailable
        If there is no handshake.
    """
    context = _context(settings)
    plain.settimeout(deadline.remaining())
    hostname = urlsplit(uri).hostname
    try:
        return context.wrap_socket(plain, server_hostname=hostname)
    except ssl.SSLCertVerificationError as error:
        wrong = _VERIFICATION.get(error.verify_code, "was refused; check it and ca_file")
        raise CertificateRefused(
            f"the certificate of {uri} {wrong}. OpenSSL says: {error.verify_message}", server=uri
        ) from error
    except (OSError, ValueError) as error:  # a name of impossible form is a ValueError
        deadline.remaining()  # a socket's time-out is the deadline's
        if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
            raise _meaning(_CUT, uri, error) from error
        raise (
            tls_error(uri, error)
            or DirectoryUnavailable(
                f"the TLS handshake with {uri} failed: {error}; see the server's log", server=uri
            )
        ) from error


def tls_error(uri: str, error: BaseException) -> Optional[LDAPDBError]:
    """Say what a failure means that TLS has a name for; None if it has none.

    Since TLS 1.3 a server refuses our certificate after the handshake, where ldap3, which
    logs in by SASL, keeps no more of the error than its text.
    """
    reason = _REASON.search(str(error))
    meaning = _REASONS.get(reason[1]) if reason else None
    return _meaning(meaning, uri, error) if meaning else None


def _meaning(meaning: tuple[type[LDAPDBError], str], uri: str, error: BaseException) -> LDAPDBError:
    kind, text = meaning
    return kind(f"the directory at {uri} {text} ({error})", server=uri)


def _context(settings: Settings) -> ssl.SSLContext:
    """Return what verifies by the settings' files, made once for each state that these have."""
    files = settings.ca_file, settings.client_cert_file, settings.client_key_file
    defaults = ssl.get_default_verify_paths()
    return _made(*files, tuple(map(_state, (*files, defaults.cafile, defaults.capath))))


def _state(path: Union[Path, str, None]) -> Optional[tuple[int, ...]]:
    """Return what changes when a file, or a folder of certificates, is replaced or protected."""
    try:
        found = None if path is None else Path(path).stat()
    except OSError:  # whoever reads it says why
        found = None
    return found and (found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)


@lru_cache(maxsize=8)
def _made(
    ca_file: Optional[Path],
    own: Optional[Path],
    key: Optional[Path],
    states: tuple[Optional[tuple[int, ...]], ...],  # noqa: ARG001 -- another one is another context
) -> ssl.SSLContext:
    """Make Python's own defaults, which verify, with what the settings say.

    Reading the authorities of a whole system takes tens of milliseconds.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f"ca_file {str(ca_file)!r}: {error}; it must be certificates as PEM"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525, section 6.4.4
    if own is not None:
        _load_own(context, own, key)
    return context


def _load_own(context: ssl.SSLContext, own: Path, key: Optional[Path]) -> None:
    if key is not None:
        check_private(key, "client_key_file")
    else:  # the certificate's file has the key as well
        check_private(own, "client_cert_file")

    def ask() -> str:
        # OpenSSL would ask at the terminal, and wait.
        raise SettingsError(
            f"client_key_file {str(key or own)!r} is encrypted; decrypt it "
            "(openssl pkey -in OLD -out NEW) and protect it by its mode, 0600"
        )

    try:
        context.load_cert_chain(own, key, password=ask)
    except OSError as error:
        raise SettingsError(
            f"client_cert_file {str(own)!r}"
            + (f" or client_key_file {str(key)!r}" if key else "")
            + f": {error}; they must be a certificate and its key as PEM"
        ) from error

"""Remedies that are the same for every kind of directory: commands to copy into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import urlsplit

__all__ = ["ping", "show_certificate"]


def ping(uri: str) -> str:
    """Write how to see whether anything answers at a server's address, without ldapdb."""
    parts = urlsplit(uri)
    if parts.scheme == "ldapi":
        return f"ldapsearch -x -H {shlex.quote(uri)} -LLL -b '' -s base vendorName"
    return f"nc -vz -w 3 {shlex.quote(parts.hostname or '')} {_port(uri)}"


def show_certificate(uri: str, *, start_tls: bool) -> str:
    """Write how to see a server's certificate, whether or not it is trusted."""
    host = urlsplit(uri).hostname or ""
    words: Sequence[str] = ["-connect", f"{host}:{_port(uri)}", "-servername", host]
    first = f"openssl s_client {shlex.join(words)}{' -starttls ldap' if start_tls else ''}"
    return f"{first} </dev/null | openssl x509 -noout -subject -issuer -dates -ext subjectAltName"


def _port(uri: str) -> int:
    parts = urlsplit(uri)
    return parts.port or (636 if parts.scheme == "ldaps" else 389)

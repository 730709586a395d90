"""What only a check of the connection asks: its TLS, and operations that change nothing.

Each function is one operation on one session, for :meth:`Directory.run`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ldapdb import ber
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.session import Answer, Session
from ldapdb.dn import DN
from ldapdb.messages import Result, delete_request
from ldapdb.searching import Search

__all__ = [
    "ASSERTION",
    "EFFECTIVE_RIGHTS",
    "Security",
    "delete_if",
    "rights_of",
    "search_once",
    "security",
]

ASSERTION = "1.3.6.1.1.12"  # RFC 4528
EFFECTIVE_RIGHTS = "1.3.6.1.4.1.42.2.27.9.5.2"  # draft-ietf-ldapext-acl-model
_CONTROLS, _BOOLEAN, _TRUE = 0xA0, 0x01, b"\xff"


@dataclass(frozen=True)
class Security:
    """The TLS of a connection.

    Parameters
    ----------
    version : str
        Such as ``TLSv1.3``.
    not_after : float
        When the server's certificate expires; seconds since the epoch.
    names : tuple of str
        The names and addresses that it is for.
    issuer : str
        Who has issued it.
    """

    version: str
    not_after: float
    names: tuple[str, ...]
    issuer: str


def security(session: Session, deadline: Deadline) -> Optional[Security]:  # noqa: ARG001 -- as all
    """Tell of a connection's TLS; None if it has none."""
    tls = session.tls
    if tls is None:
        return None
    certificate: Mapping[str, Any] = tls.getpeercert() or {}
    return Security(
        version=tls.version() or "TLS",
        not_after=float(ssl.cert_time_to_seconds(certificate["notAfter"])),
        names=tuple(name for _, name in certificate.get("subjectAltName", ())),
        issuer=", ".join(value for rdn in certificate.get("issuer", ()) for _, value in rdn),
    )


def search_once(session: Session, deadline: Deadline, search: Search) -> Answer:
    """Search, and return the answer whatever its end."""
    return session.search_together(deadline, (search,))[0]


def rights_of(session: Session, deadline: Deadline, search: Search, dn: str) -> Answer:
    """Search, and have the server tell what an account may do with each entry.

    Parameters
    ----------
    dn : str
        The account; that of the connection may ask for itself.
    """
    value = ber.element(f"dn: {dn}".encode())
    control = _critical(EFFECTIVE_RIGHTS, value)
    return session.search_together(deadline, (search,), control)[0]


def delete_if(session: Session, deadline: Deadline, dn: DN, assertion: bytes) -> Result:
    """Delete an entry if it matches a filter at that moment (RFC 4528).

    Parameters
    ----------
    assertion : bytes
        The filter, encoded.

    Returns
    -------
    Result
        122 if it does not match; 12 if the server does not know assertions.
    """
    control = _critical(ASSERTION, assertion)
    return session.exchange(deadline, delete_request(str(dn)), controls=_controls(control))


def _controls(*controls: bytes) -> bytes:
    return ber.sequence(*controls, tag=_CONTROLS)


def _critical(oid: str, value: Optional[bytes] = None) -> bytes:
    """Write a control that a server must not pass over."""
    parts = [ber.element(oid.encode()), ber.element(_TRUE, _BOOLEAN)]
    return ber.sequence(*parts, *([] if value is None else [ber.element(value)]))

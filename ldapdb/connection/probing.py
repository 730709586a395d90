"""What only a check of the connection asks: its TLS, and operations that change nothing.

Each function is one operation on one session, for :meth:`Directory.run`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ldapdb import ber
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.session import Answer, Session
from ldapdb.dn import DN
from ldapdb.entries import OBJECT_CLASS
from ldapdb.messages import Result, add_request, delete_request
from ldapdb.searching import Search

__all__ = [
    "ASSERTION",
    "EFFECTIVE_RIGHTS",
    "Security",
    "add_without_doing",
    "delete_if",
    "rights_of",
    "search_once",
    "security",
]

ASSERTION = "1.3.6.1.1.12"  # RFC 4528
EFFECTIVE_RIGHTS = "1.3.6.1.4.1.42.2.27.9.5.2"  # draft-ietf-ldapext-acl-model
# OpenLDAP's, draft-zeilenga-ldap-noop: checks all and does nothing. It is not listed in the
# root DSE. A server that does not know it refuses, because it is critical.
_NO_OPERATION = "1.3.6.1.4.1.4203.666.5.2"
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


def add_without_doing(
    session: Session,
    deadline: Deadline,
    dn: DN,
    object_classes: Sequence[str],
    attributes: Mapping[str, Sequence[str]],
) -> Result:
    """Ask OpenLDAP what it would answer to an addition, which it does not make.

    Returns
    -------
    Result
        16654 if all was well.
    """
    request = add_request(str(dn), {OBJECT_CLASS: object_classes, **attributes})
    return session.exchange(deadline, request, controls=_controls(_critical(_NO_OPERATION)))


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

"""What only a check of the connection asks: its TLS, and operations that change nothing.

Each function is one operation on one session, for :meth:`Directory.run`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ldapdb.client.deadline import Deadline
from ldapdb.client.directory import Directory
from ldapdb.client.session import Answer, Session
from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from ldapdb.protocol import ber
from ldapdb.protocol.codec import Search
from ldapdb.settings import Settings

__all__ = [
    "EFFECTIVE_RIGHTS",
    "Security",
    "answers",
    "rights_of",
    "search_once",
    "security",
]

EFFECTIVE_RIGHTS = "1.3.6.1.4.1.42.2.27.9.5.2"  # draft-ietf-ldapext-acl-model
_BOOLEAN, _TRUE = 0x01, b"\xff"
_SHORT_SECONDS = 5.0


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


def _critical(oid: str, value: Optional[bytes] = None) -> bytes:
    """Write a control that a server must not pass over."""
    parts = [ber.element(oid.encode()), ber.element(_TRUE, _BOOLEAN)]
    return ber.sequence(*parts, *([] if value is None else [ber.element(value)]))


def answers(settings: Settings) -> bool:
    """Tell whether a server answers a short question, with whatever it says."""
    seconds = min(settings.operation_timeout_seconds, _SHORT_SECONDS)
    directory = Directory(settings.model_copy(update={"operation_timeout_seconds": seconds}))
    try:
        directory.root_dse(directory.call(settings.uri))
    except DirectoryUnavailable:
        return False
    except LDAPDBError:
        return True
    finally:
        directory.close(wait=False)
    return True

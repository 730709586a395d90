"""ldap3, for what ``messages`` does not write: log-ins by SASL, and extended operations.

It takes a tenth of a second to import, so it is imported when the first of them is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPExceptionError
from ldap3.protocol.sasl.sasl import sasl_prep
from pyasn1.error import PyAsn1Error

from ldapdb.connection.deadline import Deadline
from ldapdb.connection.results import WIRE_ERRORS
from ldapdb.connection.wire import DeadlineSocket
from ldapdb.errors import DirectoryUnavailable, SettingsError
from ldapdb.settings import Settings

__all__ = ["LIBRARY_ERRORS", "make", "prepared"]

# What ldap3 2.9.1 and pyasn1 raise over a broken or hostile answer, beyond their own errors.
LIBRARY_ERRORS = (
    *WIRE_ERRORS,
    LDAPExceptionError,
    PyAsn1Error,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
)


def make(uri: str, socket: DeadlineSocket, settings: Settings, deadline: Deadline) -> Any:
    """Make ldap3's connection on a socket that is open; it is not bound.

    Parameters
    ----------
    settings : Settings
        How its ``bind`` is to log in.
    deadline : Deadline
        When a ticket of Kerberos must be there.

    Raises
    ------
    SettingsError
        If there is no ticket, or a package is missing.
    DirectoryUnavailable
        If no KDC answers.
    """
    kind: Any = ldap3.Connection
    if settings.authentication == "gssapi":
        from ldapdb.connection.kerberos import KerberosConnection  # noqa: PLC0415 -- for that alone

        kind = KerberosConnection
    made = kind(
        ldap3.Server(uri, get_info=ldap3.NONE),
        client_strategy=ldap3.SAFE_SYNC,
        auto_referrals=False,
        auto_escape=False,
        auto_encode=False,
        auto_range=False,
        check_names=False,
        return_empty_attributes=False,  # what is absent is absent
        raise_exceptions=False,
        **_log_in(settings, uri, deadline),
    )

    def open_again(*_: Any, **__: Any) -> None:
        raise DirectoryUnavailable(f"the directory at {uri} broke off", server=uri)

    # What ldap3's own open() does, with our socket. It would look names up without end,
    # and a bind would open a closed connection again, without TLS.
    made.socket = socket
    made.closed = False
    made.strategy._outstanding = {}  # noqa: SLF001 -- as above
    made.strategy._start_listen()  # noqa: SLF001 -- as above
    made.strategy.open = open_again
    return made


def _log_in(settings: Settings, uri: str, deadline: Deadline) -> Mapping[str, Any]:
    """Say how to bind, as keywords of ldap3's ``Connection``."""
    method = settings.authentication
    if method == "external":
        return {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.EXTERNAL,
                "sasl_credentials": ""}  # fmt: skip
    if method == "gssapi":
        from ldapdb.connection.kerberos import ticket  # noqa: PLC0415 -- as above

        return {
            "authentication": ldap3.SASL,
            "sasl_mechanism": ldap3.KERBEROS,
            # The name that uri has, and none that DNS makes of it; nobody else to act for.
            "sasl_credentials": (urlsplit(uri).hostname, None, ticket(settings, uri, deadline)),
        }
    return {"authentication": ldap3.ANONYMOUS}


def prepared(password: str) -> str:
    """Bring a password that is not of printable ASCII into its form on the wire (RFC 4013).

    Raises
    ------
    SettingsError
        If it has characters that no password may have, or nothing else.
    """
    try:
        prepared: str = sasl_prep(password)
    except LDAPExceptionError:
        prepared = ""
    if not prepared:
        raise SettingsError(
            "bind_password: has a character that RFC 4013 allows in no password; set another one"
        )
    return prepared

"""How a connection authenticates: what is sent, and what a rejection means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

import ldap3

from ldapdb.client.results import quoted, result_error
from ldapdb.client.strategy import prepare_password
from ldapdb.errors import CredentialsRejected, LDAPDBError, SettingsError
from ldapdb.protocol.codec import Result
from ldapdb.protocol.dn import DN
from ldapdb.rejections import Meaning, meaning_of
from ldapdb.settings import Settings

__all__ = ["log_in", "rejection"]

# authMethodNotSupported, inappropriateAuthentication, invalidCredentials (RFC 4511, 4.1.9).
_NOT_THIS_WAY = frozenset({7, 48, 49})
# What a server answers that takes names of accounts for broken DNs: invalidDNSyntax,
# invalidCredentials.
_NOT_A_DN = frozenset({34, 49})


def log_in(settings: Settings) -> Mapping[str, Any]:
    """Return how to bind, as attributes of ldap3's ``Connection``.

    A Kerberos login gets its credentials when the connection is open.

    Raises
    ------
    SettingsError
        If the password cannot be read, or has characters that no password may have.
    """
    method = settings.authentication
    if method == "simple":
        return {
            "authentication": ldap3.SIMPLE,
            "user": settings.bind_dn,
            "password": _prepared(settings.password()),
        }
    if method == "external":
        return {
            "authentication": ldap3.SASL,
            "sasl_mechanism": ldap3.EXTERNAL,
            "sasl_credentials": "",
        }
    if method == "gssapi":
        return {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.KERBEROS}
    return {"authentication": ldap3.ANONYMOUS}


def _prepared(password: str) -> str:
    """Bring a password that is not printable ASCII into its form on the wire (RFC 4013)."""
    if password.isascii() and password.isprintable():
        return password
    prepared = prepare_password(password)
    if not prepared:
        raise SettingsError(
            "bind_password: has a character that RFC 4013 allows in no password; set another one"
        )
    return prepared


def rejection(
    settings: Settings, uri: str, result: Result, policy: Optional[int] = None
) -> Optional[LDAPDBError]:
    """Return what a server's answer to the login means; None if it accepted it.

    Parameters
    ----------
    settings : Settings
        How we log in.
    uri : str
        The server.
    result : Result
        What it answered.
    policy : int, optional
        The error of its password policy that came with the answer.
    """
    method, code, said = settings.authentication, result.code, result.said
    meaning = meaning_of(code, said, policy)
    who = f"login of {settings.bind_dn}" if settings.bind_dn else f"login by {method}"
    if code in _NOT_THIS_WAY and method in {"external", "gssapi"}:
        text = f"rejected the login by {method}; {_advice(method, uri)}; see docs/authentication.md"
    elif meaning is not None:
        text = _said_of_name(settings, meaning, result)
    elif code:
        return result_error(code, uri, who, None, said)
    else:
        return None
    error = CredentialsRejected(
        f"the directory at {uri} {text} ({who}; result code {code}).{quoted(said)}",
        server=uri,
        result_code=code,
    )
    error.judged = meaning is not None and meaning.is_judged
    return error


def _said_of_name(settings: Settings, meaning: Meaning, result: Result) -> str:
    """Return a meaning in words; that of a name that is not a DN, if that is why."""
    name = settings.bind_dn or ""
    # Active Directory says more, so a plain 49 is another server's.
    if result.code not in _NOT_A_DN or not name or _is_dn(name) or "data" in result.said:
        return meaning.text
    return (
        f"rejected the login of {name!r}, which is not a DN; only Active Directory takes "
        "user@domain or DOMAIN\\user: write the account's whole DN into bind_dn"
    )


def _is_dn(text: str) -> bool:
    try:
        DN.parse(text)
    except ValueError:
        return False
    return True


def _advice(method: str, uri: str) -> str:
    if method == "gssapi":
        return (
            "check the ticket (klist): its account must be one of the directory's; after the "
            "server has got a new key, renew the login's ticket"
        )
    if uri.startswith("ldapi://"):
        return f"map processes of uid {os.geteuid()} to an account in the directory"
    return (
        "check client_cert_file, and that the server asks for certificates, trusts their issuer "
        "and maps them to an account"
    )

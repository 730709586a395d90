"""How a connection authenticates: the settings in ldap3's words, and what a refusal means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import ldap3

from ldapdb.connection.deadline import Deadline
from ldapdb.connection.kerberos import KerberosConnection, ticket
from ldapdb.connection.results import result_error
from ldapdb.errors import CredentialsRefused, LDAPDBError
from ldapdb.settings import Settings

__all__ = ["connection_class", "credentials", "refusal"]

# authMethodNotSupported, inappropriateAuthentication, invalidCredentials (RFC 4511, 4.1.9).
_NOT_THIS_WAY = frozenset({7, 48, 49})


def credentials(settings: Settings, uri: str, deadline: Deadline) -> dict[str, Any]:
    """Say how to bind, as keywords of ldap3's ``Connection``.

    Parameters
    ----------
    settings : Settings
        What to authenticate with.
    uri : str
        The server; Kerberos has a ticket for each by its name.
    deadline : Deadline
        When a ticket must be there.

    Raises
    ------
    SettingsError
        If the password cannot be read, or there is no ticket, or a package is missing.
    DirectoryUnavailable
        If no KDC answers.
    """
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
        return {
            "authentication": ldap3.SASL,
            "sasl_mechanism": ldap3.KERBEROS,
            # The name that uri has, and none that DNS makes of it; nobody else to act for.
            "sasl_credentials": (urlsplit(uri).hostname, None, ticket(settings, uri, deadline)),
        }
    return {"authentication": ldap3.ANONYMOUS}


def connection_class(settings: Settings) -> Any:
    """Return ldap3's class for connections that log in this way."""
    return KerberosConnection if settings.authentication == "gssapi" else ldap3.Connection


def refusal(settings: Settings, uri: str, result: Mapping[str, Any]) -> LDAPDBError:
    """Say what a server's refusal of the log-in means.

    Parameters
    ----------
    settings : Settings
        How we logged in.
    uri : str
        The server.
    result : mapping
        What it answered, as ldap3 has it.
    """
    method, code, said = settings.authentication, result["result"], result.get("message")
    if code not in _NOT_THIS_WAY or method not in {"external", "gssapi"}:
        who = f" of {settings.bind_dn}" if settings.bind_dn else ""
        return result_error(code, uri, f"binding{who}", None, said)
    if method == "gssapi":
        advice = (
            "look at the ticket (klist): its account must be one of the directory's; after the "
            "server has got a new key, make the log-in's ticket anew"
        )
    elif uri.startswith("ldapi://"):
        advice = f"let it take processes of uid {os.geteuid()} for an account"
    else:
        advice = (
            "check client_cert_file, and that the server asks for certificates, trusts who "
            "issued it and takes it for an account"
        )
    words = f' It said: "{said.strip()}"' if said and said.strip() else ""
    return CredentialsRefused(
        f"the directory at {uri} refused the log-in by {method} (result code {code}); {advice}; "
        f"docs/authentication.md has how.{words}",
        server=uri,
        result_code=code,
    )

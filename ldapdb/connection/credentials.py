"""How a connection authenticates: what is sent, and what a refusal means."""

from __future__ import annotations

import os

from ldapdb.connection.results import quoted, result_error
from ldapdb.errors import CredentialsRejected, LDAPDBError
from ldapdb.messages import Result, bind_request
from ldapdb.settings import Settings

__all__ = ["refusal", "simple_bind"]

# authMethodNotSupported, inappropriateAuthentication, invalidCredentials (RFC 4511, 4.1.9).
_NOT_THIS_WAY = frozenset({7, 48, 49})


def simple_bind(settings: Settings) -> bytes:
    """Write the request to log in by a password, or as nobody.

    Raises
    ------
    SettingsError
        If the password cannot be read.
    """
    if settings.authentication != "simple":
        return bind_request("", "")
    password = settings.password()
    if not (password.isascii() and password.isprintable()):
        from ldapdb.connection.library import prepared  # noqa: PLC0415 -- slow to import

        password = prepared(password)
    return bind_request(settings.bind_dn or "", password)


def refusal(settings: Settings, uri: str, result: Result) -> LDAPDBError:
    """Say what a server's refusal of the log-in means.

    Parameters
    ----------
    settings : Settings
        How we logged in.
    uri : str
        The server.
    result : Result
        What it answered.
    """
    method, code, said = settings.authentication, result.code, result.said
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
    return CredentialsRejected(
        f"the directory at {uri} refused the log-in by {method} (result code {code}); {advice}; "
        f"docs/authentication.md has how.{quoted(said)}",
        server=uri,
        result_code=code,
    )

"""Reaching a server: the connection, its TLS, the log-in."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from typing import Optional

from ldapdb.client.probing import Security, security
from ldapdb.errors import (
    CertificateRefused,
    CredentialsRejected,
    DirectoryUnavailable,
    LDAPDBError,
    SettingsError,
)
from ldapdb.settings.values import is_loopback
from ldapdb.store.checking.commands import ping, show_certificate
from ldapdb.store.checking.findings import Finding, ok, problem, warning
from ldapdb.store.checking.visiting import Visit
from ldapdb.syntaxes import said_time

__all__ = ["arrive", "judge_certificate"]

_DAY = 86_400.0
# strongerAuthRequired and confidentialityRequired.
_TLS_DEMANDED = frozenset({8, 13})
_SOON_DAYS = 30


def arrive(visit: Visit, now: float) -> Iterator[Finding]:
    """Connect to a server and log in; say how that went.

    Parameters
    ----------
    visit : Visit
        Not connected yet. It is up afterwards if the server let us in.
    now : float
        Seconds since the epoch.
    """
    began = time.perf_counter()
    try:
        found = visit.run(security)
        title = visit.profile.vendor.title
    except LDAPDBError as error:
        yield _refused(visit, error)
        return
    milliseconds = (time.perf_counter() - began) * 1000
    visit.is_up = True
    yield ok(
        "server",
        visit.uri,
        f"{title} lets us in and says what it is in {milliseconds:.0f} ms",
    )
    yield _plain(visit) if found is None else judge_certificate(visit, found, now)
    yield _account(visit)


def _refused(visit: Visit, error: LDAPDBError) -> Finding:
    uri, start_tls = visit.uri, visit.settings.start_tls
    if isinstance(error, CertificateRefused):
        return problem("tls", uri, str(error), show_certificate(uri, start_tls=start_tls))
    if isinstance(error, DirectoryUnavailable):
        return problem("server", uri, str(error), ping(uri))
    if isinstance(error, CredentialsRejected):
        return problem("account", uri, str(error), _log_in_by_hand(visit, error.result_code))
    if isinstance(error, SettingsError):
        return problem("settings", uri, str(error), "ldapdb settings")
    return problem("server", uri, str(error), ping(uri))


def judge_certificate(visit: Visit, found: Security, now: float) -> Finding:
    """Judge a certificate that is trusted by the days that it is good for."""
    days = int((found.not_after - now) // _DAY)
    text = (
        f"{found.version}; the certificate, by {found.issuer}, for {', '.join(found.names)}, is "
        f"good for {days} days more, until {said_time(found.not_after)}"
    )
    if days >= _SOON_DAYS:
        return ok("tls", visit.uri, text)
    remedy = show_certificate(visit.uri, start_tls=visit.settings.start_tls)
    return warning("tls", visit.uri, f"{text}; renew it", remedy)


def _plain(visit: Visit) -> Finding:
    if visit.uri.startswith("ldapi://"):
        return ok("tls", visit.uri, "none is needed: it is a socket of this machine")
    if is_loopback(visit.uri):
        return ok("tls", visit.uri, "none, and none is needed: nothing leaves this machine")
    what = "the password and all answers" if visit.settings.authentication == "simple" else "all"
    return problem(
        "tls",
        visit.uri,
        f"there is none, so that {what} can be read and changed on the way; use ldaps:// in uri, "
        "or StartTLS",
        "export LDAPDB_START_TLS=true",
    )


def _account(visit: Visit) -> Finding:
    method, said = visit.settings.authentication, visit.said_account
    if method == "anonymous" or said == "":
        return warning(
            "account",
            visit.uri,
            "nobody: we are not logged in, and see what everybody sees; give ldapdb an account",
            visit.kind.load("services.ldif"),
        )
    if said is not None:
        return ok("account", visit.uri, f"{said} ({method}; the server says so)")
    return ok("account", visit.uri, f"{visit.account or 'whoever has the ticket'} ({method})")


def _log_in_by_hand(visit: Visit, code: Optional[int]) -> str:
    settings, uri = visit.settings, shlex.quote(visit.uri)
    if code in _TLS_DEMANDED:
        return "export LDAPDB_START_TLS=true"
    if settings.authentication != "simple":
        mechanism = {"external": "EXTERNAL", "gssapi": "GSSAPI"}.get(settings.authentication, "")
        return f"ldapwhoami -Y {mechanism} -H {uri}" if mechanism else f"ldapwhoami -x -H {uri}"
    tls = " -ZZ" if settings.start_tls and visit.uri.startswith("ldap://") else ""
    return f"ldapwhoami -x{tls} -W -D {shlex.quote(settings.bind_dn or '')} -H {uri}"

"""Kerberos tickets, asked for in the time that a call has.

The library that asks the KDC waits for it for a minute and cannot be told otherwise, so a
thread asks, and the ticket for a server is there before ldap3 needs it. Tickets that come
of a keytab are kept in the memory of this process, and the library renews them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import urlsplit

from ldap3.core.exceptions import LDAPPackageUnavailableError

from ldapdb.client.deadline import Deadline
from ldapdb.errors import CredentialsRejected, DirectoryUnavailable, LDAPDBError, SettingsError
from ldapdb.settings import Settings
from ldapdb.settings.private import check_private
from ldapdb.shared import renew_in_children

__all__ = ["bind", "ticket"]

# Error codes of MIT Kerberos (krb5.h) as GSSAPI has them: without the base of their table.
_TABLE = -1765328384 % 2**32
_LOG_IN_AGAIN = "run kinit, or set keytab_file, with which ldapdb gets new ones by itself"
_UNREACHED = (
    DirectoryUnavailable,
    "no KDC answers; see [realms] in krb5.conf, and whether the KDC runs",
)
_NO_REALM = (
    DirectoryUnavailable,
    "no KDC is known for the realm; see [realms] in krb5.conf, or the name servers",
)
_NO_CREDENTIALS = (
    CredentialsRejected,
    (
        "there is no ticket of a log-in, and no key in a keytab to get one with, for this "
        "principal; check keytab_file and kerberos_principal (klist -k FILE), or run kinit"
    ),
)
# The text follows "no Kerberos ticket for <server>: ".
_MEANINGS = {
    6: (CredentialsRejected, "the KDC has no such account; check kerberos_principal"),
    7: (
        CredentialsRejected,
        (
            "the KDC knows no service ldap of that name; use in uri the name that the server has "
            "in Kerberos, or give the server that name (setspn -S ldap/NAME ACCOUNT)"
        ),
    ),
    18: (CredentialsRejected, "the account is disabled or locked; let it be enabled"),
    23: (CredentialsRejected, "the account's password has expired; set one, and make its keytab"),
    24: (CredentialsRejected, "the keytab's key is not the account's any more; make it anew"),
    29: _UNREACHED,
    32: (CredentialsRejected, f"the ticket of the log-in has expired; {_LOG_IN_AGAIN}"),
    37: (CredentialsRejected, "this machine's clock and the KDC's differ; set it right (NTP)"),
    141: _NO_CREDENTIALS,
    154: _NO_REALM,
    156: _UNREACHED,
    195: _NO_CREDENTIALS,
}


@dataclass
class _Asking:
    """One thread's talk with the KDC."""

    done: threading.Event = field(default_factory=threading.Event)
    credentials: Any = None
    error: Optional[Exception] = None


class _Turn:
    """One talks with the KDC at a time: whoever renews tickets takes the old ones away first."""

    def __init__(self) -> None:
        self.renew_after_fork()

    def renew_after_fork(self) -> None:
        """Forget who talks: in a forked child nobody does."""
        self.lock = threading.Lock()


_turn = _Turn()
renew_in_children(_turn)


def ticket(settings: Settings, uri: str, deadline: Deadline) -> Any:
    """Get a ticket for a server, from the KDC if there is no good one.

    Parameters
    ----------
    settings : Settings
        Whose ticket.
    uri : str
        The server; its name, as it is written there, is the service's.
    deadline : Deadline
        When the ticket must be there.

    Returns
    -------
    gssapi.Credentials
        With what the ticket can be found.

    Raises
    ------
    SettingsError
        If the package is missing, or others can read the keytab.
    CredentialsRejected
        If the KDC gives none.
    DirectoryUnavailable
        If no KDC answers in time.
    """
    try:
        import gssapi  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise SettingsError(
            "bind: gssapi needs the package gssapi; run: pip install '/path/to/ldapdb[gssapi]' "
            f"({error})"
        ) from None
    keytab = settings.keytab_file
    if keytab is not None:
        check_private(keytab, "keytab_file")
    asking = _ask(lambda: _initiate(gssapi, settings, uri), deadline)
    if asking is None:
        raise DirectoryUnavailable(
            f"no Kerberos ticket for the directory at {uri}: the KDC did not answer in time; see "
            "[realms] in krb5.conf, whether the KDC runs, and connect_timeout_seconds",
            server=uri,
        )
    if isinstance(asking.error, gssapi.exceptions.GSSError):
        raise _meaning(uri, asking.error) from asking.error
    if asking.error is not None:
        raise asking.error
    return asking.credentials


def _ask(question: Callable[[], Any], deadline: Deadline) -> Optional[_Asking]:
    """Let a thread ask; None if that takes longer than there is time."""
    lock, asking, seconds = _turn.lock, _Asking(), deadline.remaining()

    def ask() -> None:
        # In this thread, which no interrupt reaches: it would never be let go.
        if not lock.acquire(timeout=seconds):
            return
        try:
            asking.credentials = question()
        except Exception as error:  # noqa: BLE001 -- whoever waits raises it
            asking.error = error
        finally:
            lock.release()
            asking.done.set()

    threading.Thread(target=ask, name="ldapdb kerberos", daemon=True).start()
    return asking if asking.done.wait(deadline.remaining()) else None


def _initiate(gssapi: Any, settings: Settings, uri: str) -> Any:
    principal, keytab = settings.kerberos_principal, settings.keytab_file
    name = principal and gssapi.Name(principal, gssapi.NameType.kerberos_principal)
    store = keytab and {
        "client_keytab": str(keytab),
        "ccache": f"MEMORY:ldapdb {keytab} {principal or ''}",
    }
    credentials = gssapi.Credentials(usage="initiate", name=name, store=store)
    service = f"ldap@{urlsplit(uri).hostname}"
    # The first step asks for the ticket and keeps it where ldap3's own step finds it.
    gssapi.SecurityContext(
        name=gssapi.Name(service, gssapi.NameType.hostbased_service),
        creds=credentials,
        mech=gssapi.MechType.kerberos,
        usage="initiate",
    ).step()
    return credentials


def _meaning(uri: str, error: Any) -> LDAPDBError:
    # MIT's own words are for what is not known here: they may name a file of tickets.
    unknown = (CredentialsRejected, f"{str(error).rpartition('): ')[2]}; see krb5.conf and klist")
    kind, text = _MEANINGS.get(error.min_code % 2**32 - _TABLE, unknown)
    return kind(f"no Kerberos ticket for the directory at {uri}: {text}", server=uri)


def bind(connection: Any, settings: Settings, uri: str, deadline: Deadline) -> None:
    """Log in with Kerberos.

    Parameters
    ----------
    connection : ldap3.Connection
        An open connection, made for this mechanism.
    settings : Settings
        Whose ticket.
    uri : str
        The server.
    deadline : Deadline
        When the ticket must be there.

    Raises
    ------
    SettingsError
        If a package is missing.
    CredentialsRejected
        If there is no ticket, or it is not good enough for server or client.
    DirectoryUnavailable
        If no KDC answers in time.
    """
    # The name that uri has, and none that DNS makes of it; no other account to act for.
    connection.sasl_credentials = (urlsplit(uri).hostname, None, ticket(settings, uri, deadline))
    from gssapi.exceptions import GSSError  # noqa: PLC0415 -- an extra

    try:
        connection.bind(read_server_info=False)
    except LDAPPackageUnavailableError as error:
        raise SettingsError(
            f"bind: gssapi: {error}; run: pip install '/path/to/ldapdb[gssapi]'"
        ) from error
    except GSSError as error:
        raise CredentialsRejected(
            f"the directory at {uri} and Kerberos do not agree: {str(error).rpartition('): ')[2]}; "
            "check that uri has the server's own name, and the clocks",
            server=uri,
        ) from error

"""One server of the settings, asked by itself, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Optional, TypeVar

from ldapdb.client import Call, Deadline, Directory
from ldapdb.client.probing import search_once
from ldapdb.client.session import Session
from ldapdb.entries import read_dn
from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from ldapdb.protocol.codec import NO_ATTRIBUTES, SUBTREE, Page, Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.filters import Filter
from ldapdb.settings import SecretStr, Settings
from ldapdb.store.checking.commands import ping
from ldapdb.store.checking.findings import Finding, problem
from ldapdb.store.checking.kinds import Kind, kind_of
from ldapdb.store.profile import Profile
from ldapdb.store.sources import Noted

__all__ = ["Use", "Visit", "guarded"]

T = TypeVar("T")
Use = Callable[[Session, Deadline], T]

_SOME = 10

_NOBODY: dict[str, Any] = {
    "bind": "anonymous",
    "bind_dn": None,
    "bind_password": None,
    "bind_password_file": None,
    "kerberos_principal": None,
    "keytab_file": None,
}


class Visit:
    """A server, and what it says of itself.

    Parameters
    ----------
    settings : Settings
        How to connect; its servers do not count.
    uri : str
        The server.
    ldif : Path
        The folder of files for directories.

    Attributes
    ----------
    is_up : bool
        Whether it has answered last.
    """

    def __init__(self, settings: Settings, uri: str, ldif: Path) -> None:
        self.uri = uri
        self.settings = settings.model_copy(update={"uri": (uri,), "write_uri": ()})
        self.is_up = False
        self._ldif = ldif
        self._directory = Directory(self.settings)

    def call(self) -> Call:
        """Begin a call, which ends after ``operation_timeout_seconds``."""
        return self._directory.call((self.uri,))

    def run(self, use: Use[T]) -> T:
        """Make one operation of ``connection.probing``, or of a session itself."""
        return self._directory.run(self.call(), use)[1]

    def unbound(self, use: Use[T]) -> T:
        """Make one operation on a connection over which no bind was sent.

        That is to be nobody, too (RFC 4513, section 4), and a server that refuses an anonymous
        bind may answer there.
        """
        deadline = self.call().deadline
        session = Session(self.uri, self.settings, deadline, bind=False)
        try:
            return use(session, deadline)
        finally:
            session.drop()

    def as_nobody(self) -> Visit:
        """Visit the same server by an anonymous bind."""
        return Visit(self.settings.model_copy(update=_NOBODY), self.uri, self._ldif)

    def as_account(self, dn: DN, password: SecretStr) -> Visit:
        """Visit the same server by the simple bind of another account.

        Raises
        ------
        SettingsError
            If its password would be sent in clear.
        """
        return Visit(self.settings.as_account(str(dn), password), self.uri, self._ldif)

    def first(self, base: DN, wanted: Filter) -> Optional[DN]:
        """Name the first entry below a base that has a name which can be read."""
        search = Search(str(base), SUBTREE, wanted, NO_ATTRIBUTES, Page(_SOME))
        entries = self.run(partial(search_once, search=search))[0]
        return next(iter(Noted().readable(entries, read_dn)), None)

    def close(self) -> None:
        """Close all connections."""
        self._directory.close()

    @cached_property
    def profile(self) -> Profile:
        """Where and how this server is read."""
        return Profile.make(self.settings, self.call().root_dse())

    @cached_property
    def kind(self) -> Kind:
        """What it is asked, and what is advised, by the means of its kind."""
        return kind_of(self.profile.vendor, self)

    @cached_property
    def controls(self) -> frozenset[str]:
        """OIDs of the controls that it lists."""
        return self.call().root_dse().controls

    @cached_property
    def context(self) -> DN:
        """The naming context that the settings' base is in, or that base."""
        base = self.profile.base.dn
        holding = [each for each in self.call().root_dse().naming_contexts if base.is_under(each)]
        return max(holding, key=lambda each: len(each.rdns), default=base)

    @cached_property
    def said_account(self) -> Optional[str]:
        """Whom the server takes us for, empty for nobody; None if it does not say."""
        try:
            said = self.call().who_am_i()
        except DirectoryUnavailable:
            raise
        except LDAPDBError:
            return None
        # An authzId (RFC 4513, section 5.2.1.8): Active Directory says u:DOMAIN\name.
        return None if said is None else said.removeprefix("dn:").removeprefix("u:").strip()

    @property
    def account(self) -> str:
        """Whom the server takes us for: as it says itself, else as the settings have it."""
        said = self.said_account
        return said if said is not None else str(self.settings.bind_dn or "")

    @property
    def ldif(self) -> Path:
        """The folder of files for directories."""
        return self._ldif


def guarded(
    check: str, visit: Visit, look: Callable[[Visit], Iterable[Finding]]
) -> Iterator[Finding]:
    """Look at one thing on a server that is up; what keeps that from its end is a finding.

    Parameters
    ----------
    check : str
        What is looked at, for an error of the server.
    """
    if not visit.is_up:
        return
    try:
        yield from look(visit)
    except DirectoryUnavailable as error:
        visit.is_up = False
        yield problem("server", visit.uri, f"it stopped answering: {error}", ping(visit.uri))
    except LDAPDBError as error:
        remedy = visit.kind.search(visit.settings.base_dn, "(objectClass=*)", "dn")
        yield problem(check, visit.uri, str(error), remedy)

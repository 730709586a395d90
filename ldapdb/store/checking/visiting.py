"""One server of the settings, asked by itself, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Optional, TypeVar

from ldapdb.connection import Call, Deadline, Directory
from ldapdb.connection.session import Session
from ldapdb.dn import DN
from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from ldapdb.settings import Settings
from ldapdb.store.checking.kinds import Kind, kind_of
from ldapdb.store.profile import Profile

__all__ = ["Use", "Visit"]

T = TypeVar("T")
Use = Callable[[Session, Deadline], T]

_NOBODY: dict[str, Any] = {
    "bind": "anonymous",
    "bind_dn": None,
    "bind_password": None,
    "bind_password_file": None,
    "kerberos_principal": None,
    "keytab_file": None,
}


class _Unbound(Session):
    """A connection that sends no bind."""

    def _bind(self, deadline: Deadline) -> None:
        """Send nothing: whoever has not bound is nobody."""


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
        session = _Unbound(self.uri, self.settings, deadline)
        try:
            return use(session, deadline)
        finally:
            session.drop()

    def as_nobody(self) -> Visit:
        """Visit the same server by an anonymous bind."""
        return Visit(self.settings.model_copy(update=_NOBODY), self.uri, self._ldif)

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

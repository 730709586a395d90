"""What the doctor must know about every kind of directory."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Optional

from ldapdb.client.probing import search_once
from ldapdb.protocol import filters
from ldapdb.protocol.codec import SUBTREE, Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import OBJECT_CLASS, Entry
from ldapdb.protocol.filters import Filter
from ldapdb.store.checking.findings import Finding
from ldapdb.store.profile import Base
from ldapdb.vendors import Vendor

if TYPE_CHECKING:
    from ldapdb.store.checking.visiting import Visit

__all__ = ["PASSWORD", "Kind", "State"]

PASSWORD = "userPassword"  # noqa: S105 -- an attribute's name

# When each provider, by its number, was changed last; seconds since the epoch.
State = Mapping[str, float]


@dataclass(frozen=True)
class Kind(ABC):
    """One server, by the means of its kind: what it is asked, and what is advised.

    Advice is a command to copy into a shell, by the directory's own tools.

    Parameters
    ----------
    visit : Visit
        The server.

    Attributes
    ----------
    vendor : Vendor
        The kind.
    state_attribute : str, optional
        Attribute of the naming context by which servers are compared (see :meth:`state`);
        None where none can be.
    schema_prefix : str
        What stands before the names of definitions in the file of our schema.
    """

    visit: Visit

    vendor: ClassVar[Vendor]
    state_attribute: ClassVar[Optional[str]] = None
    schema_prefix: ClassVar[str] = ""

    # --- asking

    @abstractmethod
    def indexed(self, wanted: Iterable[str]) -> Optional[frozenset[str]]:
        """Return the attributes that have an index, in lower case; None if that is hidden.

        Parameters
        ----------
        wanted : iterable of str
            Those that are of interest.
        """

    @abstractmethod
    def refuses_writing(self, base: Base, object_class: str) -> Optional[str]:
        """Ask whether the account may write below a base, and write nothing.

        Returns
        -------
        str, optional
            A refusal in words, empty for a yes; None where it cannot be told.
        """

    def state(self) -> State:
        """Read how far the server is; nothing where it does not say."""
        return {}

    def providers(self) -> Sequence[Finding]:
        """Judge how the server takes changes from others, where several take writes."""
        return ()

    # --- advice: what is there

    def search(self, base: object, search_filter: str, *attributes: str, scope: str = "sub") -> str:
        """Write a search by the directory's administrator."""
        words = ["-LLL", "-b", str(base), "-s", scope, search_filter, *attributes]
        return f"ldapsearch {self._administrator} {shlex.join(words)}"

    @abstractmethod
    def show_indexes(self) -> str:
        """Write how the list of indexes is read."""

    @abstractmethod
    def show_state(self) -> str:
        """Write how an administrator sees how far the server is."""

    def show_following(self) -> str:
        """Write how to see why the server does not follow others."""
        return self.show_state()

    # --- advice: what to change

    def modify(self, dn: object, *lines: str) -> str:
        """Write a change of one entry by the directory's administrator."""
        record = shlex.join([f"dn: {dn}", "changetype: modify", *lines])
        return f"printf '%s\\n' {record} | ldapmodify {self._administrator}"

    def load(self, name: str, *, carry_on: bool = False) -> str:
        """Write how a file of ``ldif/`` is loaded, with the names of this directory in it."""
        path = shlex.quote(str(self.visit.ldif / name))
        tool = self._loader(name)
        options = f"{'-c ' if carry_on else ''}{self._administrator}"
        names = [
            ("ou=remoteapp,dc=example,dc=org", self.visit.profile.base.dn),
            ("dc=example,dc=org", self.visit.context),
        ]
        changes = [
            f"s/{theirs}/{_for_sed(str(ours))}/g" for theirs, ours in names if theirs != str(ours)
        ]
        if name.endswith("schema.ldif") or not changes:
            return f"{tool} {options} -f {path}"
        return f"sed {shlex.quote('; '.join(changes))} {path} | {tool} {options}"

    def load_schema(self) -> str:
        """Write how our schema is loaded where there is none of it."""
        return self.load(self.vendor.schema_file.removeprefix("ldif/"))

    def renew_schema(self) -> str:
        """Write how our schema is loaded where there is another release of it."""
        return self.load_schema()

    @abstractmethod
    def add_index(self, name: str) -> str:
        """Write how an attribute gets an index for equality."""

    @abstractmethod
    def lift_limits(self) -> str:
        """Write how the limits of searches are lifted for the account alone."""

    @abstractmethod
    def let_read(self, base: DN) -> str:
        """Write how the account gets the right to read below a base."""

    @abstractmethod
    def let_write(self, base: DN) -> str:
        """Write how the account gets the right to write below a base."""

    @abstractmethod
    def hide_passwords(self) -> str:
        """Write how the account is kept from what others log in with."""

    @abstractmethod
    def shut_out(self, base: DN) -> str:
        """Write how whoever has not logged in is kept from what is below a base."""

    @abstractmethod
    def hide_licences(self, base: DN, attribute: str) -> str:
        """Write how licences below a base are hidden from all accounts but ours.

        Parameters
        ----------
        attribute : str
            Where they are: in an attribute of their own, or in ``description``.
        """

    def tell_changes(self) -> str:
        """Write how the server is made to tell of changes, or how to see whether it does."""
        return self.search("", "(objectClass=*)", "supportedControl", scope="base")

    # --- for the kinds themselves

    @property
    @abstractmethod
    def _administrator(self) -> str:
        """Options by which the tools of OpenLDAP log in as the directory's administrator."""

    def _loader(self, name: str) -> str:
        """Name the tool by which a file of ``ldif/`` is loaded."""
        del name
        return "ldapmodify"

    def _seen(
        self, base: str, object_class: str, *attributes: str, also: Optional[Filter] = None
    ) -> list[Entry]:
        """Return the entries of a class below a base; none where they are hidden."""
        wanted = filters.equal(OBJECT_CLASS, object_class)
        if also is not None:
            wanted = filters.all_of(wanted, also)
        return self._found(Search(base, SUBTREE, wanted, attributes))

    def _found(self, search: Search) -> list[Entry]:
        """Return what a search finds, to the end of which nobody waits for pages."""
        return self.visit.run(lambda session, deadline: search_once(session, deadline, search))[0]


def _for_sed(text: str) -> str:
    return "".join(f"\\{each}" if each in "\\/&" else each for each in text)

"""Active Directory: administered by its own tools, from a machine of the domain."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Optional

from ldapdb.entries import DESCRIPTION
from ldapdb.errors import InvalidValue
from ldapdb.protocol import filters
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.store.checking.kinds.kind import PASSWORD, Kind
from ldapdb.store.profile import Base
from ldapdb.syntaxes import parse_integer
from ldapdb.vendors import ACTIVE_DIRECTORY

__all__ = ["ActiveDirectory"]

# Of searchFlags: an index over the whole domain, and one in each container.
_INDEXED = 1 | 2
# Only accounts with the right to "control access" read the attribute.
_CONFIDENTIAL = 128


class ActiveDirectory(Kind):
    """A domain controller, of Microsoft's or of Samba's."""

    vendor = ACTIVE_DIRECTORY

    def indexed(self, wanted: Iterable[str]) -> Optional[frozenset[str]]:
        """Read the definitions of the attributes; links have a table of their own."""
        names = filters.any_of(*(filters.equal("lDAPDisplayName", name) for name in wanted))
        attributes = ("lDAPDisplayName", "searchFlags", "linkID")
        return frozenset(
            (each.value("lDAPDisplayName") or "").lower()
            for each in self.visit.call().search(self._schema, names, attributes)
            if _flags(each) & _INDEXED or each.value("linkID")
        )

    def refuses_writing(self, base: Base, object_class: str) -> Optional[str]:
        """Read which classes may be added, which the server works out for the account."""
        del object_class
        wanted = "allowedChildClassesEffective"
        _, entries = self.visit.call().read(base.dn, (wanted,))
        allowed = {name.lower() for entry in entries for name in entry.values(wanted)}
        if self.visit.profile.group_object_class.lower() in allowed:
            return ""
        return f"this account may not add groups below '{base.dn}'"

    def show_indexes(self) -> str:
        """Search the definition of our attribute."""
        return self.search(self._schema, "(lDAPDisplayName=remoteAppImage)", "searchFlags")

    def show_state(self) -> str:
        """Ask for a summary: no attribute says it in a way that can be compared."""
        return "repadmin /replsummary || samba-tool drs showrepl"

    def load(self, name: str, *, carry_on: bool = False) -> str:
        """Write how a file is loaded by ``ldifde``, which puts the domain's name into it."""
        del carry_on
        path = shlex.quote(str(self.visit.ldif / name))
        return f"ldifde -i -k -f {path} -c DC=X {shlex.quote(str(self.visit.context))}"

    def add_index(self, name: str) -> str:
        """Set one bit of the flags: the others say who may read it, among other things."""
        return self._flag(name, _INDEXED)

    def _flag(self, name: str, bits: int) -> str:
        named = filters.equal("lDAPDisplayName", name)
        [entry] = self.visit.call().search(self._schema, named, ("searchFlags",))
        flags = _flags(entry) | bits
        return self.modify(entry.dn, "replace: searchFlags", f"searchFlags: {flags}")

    def lift_limits(self) -> str:
        """Show them: there are none for one account."""
        words = '"ldap policies" connections "connect to server localhost" quit "show values"'
        return f"ntdsutil {words}"

    def let_read(self, base: DN) -> str:
        """Give a right to all of the entries."""
        return f'dsacls "{base}" /I:T /G "{self.visit.account}:GR"'

    def let_write(self, base: DN) -> str:
        """Give a right to add and remove groups, and one to write them."""
        account = self.visit.account
        return f'dsacls "{base}" /I:T /G "{account}:CCDC;group" "{account}:GRGW;;group"'

    def hide_passwords(self) -> str:
        """Deny a right, for this account alone."""
        return f'dsacls "{self.visit.context}" /I:T /D "{self.visit.account}:RP;{PASSWORD}"'

    def shut_out(self, base: DN) -> str:
        """Deny all rights."""
        return f'dsacls "{base}" /I:T /D "ANONYMOUS LOGON:GA"'

    def hide_licences(self, base: DN, attribute: str) -> str:
        """Make the attribute confidential, which ``description`` cannot be made.

        Licences in descriptions have to be taken out of them: here it is shown where they are.
        """
        if attribute == DESCRIPTION:
            licensed = self.visit.profile.notation.licensed()
            return self.search(base, str(licensed), DESCRIPTION)
        return self._flag(attribute, _CONFIDENTIAL)

    @property
    def _administrator(self) -> str:
        dn = shlex.quote(f"CN=Administrator,CN=Users,{self.visit.context}")
        return f"-x -W -D {dn} -H {shlex.quote(self.visit.uri)}"

    @property
    def _schema(self) -> DN:
        """The container of all definitions."""
        return self.visit.call().root_dse().subschema.parent


def _flags(entry: Entry) -> int:
    """Read the flags of an attribute's definition.

    Raises
    ------
    InvalidValue
        If they are not a number: an index must not be set over flags that are not known.
    """
    value = entry.value("searchFlags") or "0"
    try:
        return parse_integer(value)
    except ValueError as error:
        raise InvalidValue(f"searchFlags of '{entry.dn}' is {value!r}: {error}") from None

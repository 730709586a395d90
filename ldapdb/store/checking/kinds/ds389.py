"""389 Directory Server: access rules are values of entries, the rest is for ``dsconf``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Optional

from ldapdb.client.probing import rights_of
from ldapdb.entries import IMAGE, MEMBER
from ldapdb.protocol import filters
from ldapdb.protocol.codec import BASE, SUBTREE, Search
from ldapdb.protocol.dn import DN
from ldapdb.store.checking.kinds.kind import PASSWORD, Kind, State
from ldapdb.store.profile import Base
from ldapdb.vendors import DS389 as VENDOR

__all__ = ["DS389", "read_ruv"]

_SUCCESS = 0
_INDEXES = "cn=ldbm database,cn=plugins,cn=config"
_RUV = "(&(objectClass=nstombstone)(nsuniqueid=ffffffff-ffffffff-ffffffff-ffffffff))"
# The last change of each replica: its number, then a change number that begins with its time.
_RUV_ELEMENT = re.compile(r"\{replica (\d+) [^}]*\}(?: [0-9a-f]+ ([0-9a-f]{8})[0-9a-f]+)?")


class DS389(Kind):
    """An ns-slapd."""

    vendor = VENDOR
    state_attribute = "nsds50ruv"

    def indexed(self, wanted: Iterable[str]) -> Optional[frozenset[str]]:
        """Read the entries of indexes."""
        del wanted
        entries = self._seen(_INDEXES, "nsIndex", "cn", "nsIndexType")
        names = [each.value("cn") for each in entries if "eq" in each.values("nsIndexType")]
        return frozenset(name.lower() for name in names if name) or None

    def refuses_writing(self, base: Base, object_class: str) -> Optional[str]:
        """Ask for the rights on an entry that there is not, which the server makes up for that."""
        del object_class
        wanted = (f"*@{self.visit.profile.group_object_class}:cn", MEMBER)
        search = Search(str(base.dn), BASE, filters.present("objectClass"), wanted)
        entries, _, end = self.visit.run(
            lambda session, deadline: rights_of(session, deadline, search, self.visit.account)
        )
        if end.code != _SUCCESS or not entries:
            return None
        rights = [entry for entry in entries if entry.dn.lower().startswith("cn=template")]
        entry = (rights or entries)[-1]
        on_entry = entry.value("entryLevelRights") or ""
        on_attributes = dict(
            each.strip().lower().partition(":")[::2]
            for each in (entry.value("attributeLevelRights") or "").split(",")
        )
        missing = [] if "a" in on_entry else ["add entries"]
        missing += [] if "w" in on_attributes.get(MEMBER, "") else [f"write {MEMBER}"]
        return f"this account may not {' nor '.join(missing)} below '{base.dn}'" if missing else ""

    def state(self) -> State:
        """Read the replica update vector, which is kept in a tombstone."""
        name = self.state_attribute
        search = Search(str(self.visit.context), SUBTREE, filters.parse(_RUV), (name,))
        return read_ruv([value for entry in self._found(search) for value in entry.values(name)])

    def show_indexes(self) -> str:
        """Search the entries of indexes."""
        return self.search(_INDEXES, "(objectClass=nsIndex)", "cn", "nsIndexType")

    def show_state(self) -> str:
        """Ask its monitor."""
        return "dsconf INSTANCE replication monitor"

    def add_index(self, name: str) -> str:
        """Add the entry of an index, and have the index made."""
        if name == IMAGE:
            return self.load("389ds/indexes.ldif", carry_on=True)
        # The server refuses writes until it has made the index, so the second one waits.
        index = "dsconf INSTANCE backend index"
        return (
            f"{index} add --attr {name} --index-type eq userRoot && "
            f"{index} reindex --attr {name} --wait userRoot"
        )

    def lift_limits(self) -> str:
        """Give the account limits of its own."""
        lines = [
            line
            for name in ("nsSizeLimit", "nsLookThroughLimit", "nsPagedSizeLimit")
            for line in (f"replace: {name}", f"{name}: -1", "-")
        ]
        return self.modify(self.visit.account, *lines)

    def let_read(self, base: DN) -> str:
        """Add an access control instruction, for all but passwords."""
        return self._add_rule(
            base,
            f'(targetattr!="{PASSWORD}")(version 3.0; acl "remoteapp: read {base}"; '
            f'allow (read,search,compare) userdn="ldap:///{self.visit.account}";)',
        )

    def let_write(self, base: DN) -> str:
        """Add an access control instruction."""
        return self._add_rule(
            base,
            f'(target="ldap:///cn=*,{base}")(targetattr="objectClass || cn || {MEMBER} || '
            'uniqueMember || description || displayName || remoteApp*")'
            f'(targetfilter="(&(!(userPassword=*))(!(aci=*)))")(version 3.0; acl "remoteapp: write '
            f'{base}"; allow (add,delete,write) userdn="ldap:///{self.visit.account}";)',
        )

    def hide_passwords(self) -> str:
        """Add an access control instruction."""
        return self._add_rule(
            self.visit.context,
            f'(targetattr="{PASSWORD}")(version 3.0; acl "remoteapp: no passwords"; '
            f'deny (read,search,compare) userdn="ldap:///{self.visit.account}";)',
        )

    def shut_out(self, base: DN) -> str:
        """Add an access control instruction."""
        return self._add_rule(
            base,
            '(targetattr="*")(version 3.0; acl "remoteapp: only who has logged in"; '
            'deny (all) userdn!="ldap:///all";)',
        )

    def hide_licences(self, base: DN, attribute: str) -> str:
        """Add an access control instruction."""
        return self._add_rule(
            base,
            f'(targetattr="{attribute}")(version 3.0; acl "remoteapp: licences"; '
            f'deny (read,search,compare) userdn!="ldap:///{self.visit.account}";)',
        )

    @property
    def _administrator(self) -> str:
        return f'-x -W -D "cn=Directory Manager" -H {shlex.quote(self.visit.uri)}'

    def _add_rule(self, base: DN, rule: str) -> str:
        if "*" in f"{self.visit.account}{base}":
            # 2.3.1 takes it as a wildcard, written as it is or as \2A.
            return (
                "# no command: in an access rule this server takes * for any characters; "
                "give the account and the base names without it"
            )
        return self.modify(base, "add: aci", f"aci: {rule}")


def read_ruv(values: Iterable[str]) -> State:
    """Read values of ``nsds50ruv``."""
    read = filter(None, map(_RUV_ELEMENT.match, values))
    return {element[1]: float(int(element[2] or "0", 16)) for element in read}

"""Members that a server sends a part at a time are looked at like others."""

from __future__ import annotations

from typing import Any, cast

from ldapdb.client import Call, RootDSE
from ldapdb.model import Grant, Policy
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.settings import load
from ldapdb.store.linting_members import Members, Row
from ldapdb.store.profile import Profile
from ldapdb.vendors import ACTIVE_DIRECTORY

BASE = DN.parse("ou=remoteapp,dc=example,dc=org")


class Parts:
    """Answers for two grants, of which one has its members in parts."""

    def search_all(self, *asked: Any) -> list[Any]:
        people = [f"cn=p{number},{BASE.parent}".encode() for number in range(3)]
        page = [
            Entry(f"cn=large,{BASE}", {"member;range=0-1": people[:2]}),
            Entry(f"cn=small,{BASE}", {"member": people[2:]}),
        ]
        kept: list[Any] = asked[-1](page)
        return kept

    def values(self, dn: DN, attribute: str) -> list[bytes]:
        assert (str(dn), attribute) == (f"cn=large,{BASE}", "member")
        return [f"cn=p{number},{BASE.parent}".encode() for number in range(3)]


def test_members_in_parts_count_and_are_looked_at() -> None:
    settings = load(uri="ldap://localhost", base_dn=str(BASE))
    root_dse = RootDSE(ACTIVE_DIRECTORY, (BASE.parent,), DN.parse("cn=x"), frozenset(), "")
    rows = {
        dn: Row(dn, Grant(dn, ("simphony/mayavi:1",), Policy()))
        for dn in (BASE.child("cn", "large"), BASE.child("cn", "small"))
    }
    asked: list[DN] = []

    def knows(dn: DN) -> bool:
        asked.append(dn)
        return True

    members = Members(Profile.make(settings, root_dse), rows, knows, bool, lambda _: "", 0.0)
    assert list(members.read(cast("Call", Parts()))) == []
    assert [row.members for row in rows.values()] == [3, 1]
    assert len(set(asked)) == 3

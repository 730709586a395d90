"""What check says of what is read, told by entries that stand here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from ldapdb.client import RootDSE
from ldapdb.errors import BaseNotFound
from ldapdb.matching import matches
from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.settings import load
from ldapdb.store.checking.contents import _baseless, check_contents
from ldapdb.store.checking.findings import Finding, Level
from ldapdb.store.checking.kinds import kind_of
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.profile import Base, Profile
from ldapdb.vendors import OPENLDAP

URI = "ldap://localhost"
Entries = dict[str, dict[str, list[bytes]]]
PEOPLE: Entries = {
    "uid=alice,ou=people,dc=x": {"objectclass": [b"person"], "uid": [b"alice"], "cn": [b"A"]},
    "uid=bob,ou=people,dc=x": {"objectclass": [b"person"], "uid": [b"bob"]},
}
OURS: Entries = {
    "cn=g,ou=grants,ou=r,dc=x": {
        "objectclass": [b"remoteAppGroup", b"remoteAppGrant"],
        "remoteappimage": [b"a/b:1"],
        "member": [b"uid=alice,ou=people,dc=x"],
    }
}
TEAM: Entries = {
    "cn=team,dc=x": {
        "objectclass": [b"groupOfNames"],
        "member": [b"uid=bob,ou=people,dc=x"],
    }
}


class Standing:
    """Answers as a call does, by entries."""

    def __init__(self, entries: Entries, dse: RootDSE) -> None:
        self._entries = entries
        self.root_dse = lambda: dse

    def found(self, base: DN, wanted: Filter) -> list[str]:
        return [
            dn
            for dn, attributes in self._entries.items()
            if DN.parse(dn).is_under(base)
            and matches(wanted, attributes, lambda _: None, NameMatching.EXACT)
        ]

    def sees(self, base: DN, wanted: Filter) -> bool:
        return bool(self.found(base, wanted))

    def search_all(
        self, base: DN, wanted: Filter, _attributes: Any, _size: int, take: Callable[[Any], Any]
    ) -> Any:
        return take([Entry(dn, self._entries[dn]) for dn in self.found(base, wanted)])

    def read(self, *_: Any) -> tuple[str, list[Any]]:
        return URI, []


def visit_to(monkeypatch: pytest.MonkeyPatch, entries: Entries, **settings: Any) -> Visit:
    given = load(**{"uri": URI, "base_dn": "ou=r,dc=x", "groups_base": "dc=x", **settings})
    dse = RootDSE(OPENLDAP, (DN.parse("dc=x"),), DN.parse("cn=s"), frozenset(), URI)
    visit = Visit(given, URI, Path())
    visit.__dict__["profile"] = Profile.make(given, dse)
    visit.__dict__["kind"] = kind_of(OPENLDAP, visit)
    visit.__dict__["context"] = DN.parse("dc=x")
    monkeypatch.setattr(visit, "call", lambda: Standing(entries, dse))
    return visit


def problems(visit: Visit) -> list[Finding]:
    return [each for each in check_contents(visit) if each.level is not Level.OK]


def test_shared_ids_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the users who have it."""
    people = {dn: {**values, "uidnumber": [b"0"]} for dn, values in PEOPLE.items()}
    alone = {"uid=carol,dc=x": {"objectclass": [b"person"], "uid": [b"c"], "uidnumber": [b"1"]}}
    visit = visit_to(monkeypatch, {**people, **alone}, user_id_attribute="uidNumber")
    [problem] = problems(visit)
    assert problem.check == "reading users"
    assert problem.text.startswith(f"{' and '.join(map(repr, people))} have the same uidNumber")
    assert problem.remedy.endswith(" uidNumber")


def test_users_count_who_have_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any of several attributes will do; whoever has none of them cannot log in."""
    users = next(iter(check_contents(visit_to(monkeypatch, PEOPLE, user_name_attribute="cn"))))
    assert users.text.startswith("1 below")
    assert problems(visit_to(monkeypatch, PEOPLE)) == []
    [problem] = problems(visit_to(monkeypatch, PEOPLE, user_name_attribute="ud,mail"))
    assert problem.check == "reading users"
    assert "is seen to have ud or mail (user_name_attribute)" in problem.text
    assert problem.remedy.endswith(" uid cn mail")
    [problem] = problems(visit_to(monkeypatch, OURS))
    assert "correct users_base or users_filter" in problem.text


@pytest.mark.parametrize(
    ("groups", "attribute", "wrong"),
    [
        (TEAM, "membr", True),
        (TEAM, "uniqueMember", True),
        (TEAM, "memberUid", True),
        (TEAM, "member", False),
        ({}, "uniqueMember", False),  # there is none of the company's
        (
            {"cn=u,dc=x": {"objectclass": [b"posixGroup"], "memberuid": [b"bob"]}},
            "memberUid",
            False,
        ),
    ],
)
def test_groups_have_members_where_the_settings_say(
    groups: Entries, attribute: str, wrong: Optional[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own entries always have member, and are not the company's groups."""
    entries = {**PEOPLE, **OURS, **groups}
    found = problems(visit_to(monkeypatch, entries, group_member_attribute=attribute))
    assert [each.check for each in found] == ["reading groups"] * bool(wrong)
    assert all(f"to have {attribute} (group_member" in each.text for each in found)


@pytest.mark.parametrize(
    ("setting", "entries", "remedy", "said"),
    [
        ("base_dn", OURS, "ldapsearch ", "elsewhere: correct base_dn"),
        ("grants_base", PEOPLE, "ldapdb init", "look at grants_base first"),
        ("users_base", OURS, "ldapsearch ", "`ldapdb init` does not make users_base"),
    ],
)
def test_no_tree_is_advised_where_a_base_is_mistyped(
    setting: str, entries: Entries, remedy: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = visit_to(monkeypatch, entries)
    found = _baseless(visit, Base(DN.parse("ou=q,dc=x"), setting), BaseNotFound("is not there"))
    assert found.remedy.startswith(remedy)
    assert said in found.text

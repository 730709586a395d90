"""Filters told without a server: yes, no, and what only a server can tell."""
# ruff: noqa: RUF001 -- letters that look like others are the point

from __future__ import annotations

from typing import Optional

import pytest

from ldapdb.matching import is_of_class, matches, pairs_of, values_of
from ldapdb.matching import key as key_by
from ldapdb.protocol.dn import NameMatching
from ldapdb.protocol.filters import Filter, parse

EXACT, PREPARED = NameMatching.EXACT, NameMatching.PREPARED


def key(attribute: str, value: bytes) -> object:
    return key_by(attribute, value, PREPARED)


ENTRY = {
    "objectclass": [b"inetOrgPerson", b"remoteAppGrant"],
    "uid": [b"Alice  Smith"],
    "cn;lang-de": ["Müller".encode()],
    "member": [b"uid=bob, ou=People,dc=x", b""],
    "remoteappimage": [b"simphony/Mayavi:1"],
    "description": [b"remoteapp grant  image=simphony/mayavi:1 home=TRUE"],
    "useraccountcontrol": [b"514"],
    "objectguid": [b"\xff\x00a"],
    "objectcategory": [b"CN=Person,CN=Schema,DC=x"],
}


def told(text: str, answer: Optional[bool] = None) -> Optional[bool]:
    return matches(parse(text), ENTRY, lambda _: answer, PREPARED)


@pytest.mark.parametrize(
    "text",
    [
        "(uid=alice smith)",
        "(UID=ALICE SMITH)",
        "(cn=müller)",
        "(cn=*)",
        "(cn;lang-de=müller)",
        "(member=UID=Bob,ou=people,dc=X)",
        "(remoteAppImage=simphony/Mayavi:1)",
        "(objectClass=person)",
        "(objectClass=TOP)",
        "(objectClass=remoteAppGrant)",
        "(objectCategory=person)",
        "(objectCategory=cn=person,cn=schema,dc=x)",
        "(userAccountControl:1.2.840.113556.1.4.803:=2)",
        "(userAccountControl:1.2.840.113556.1.4.804:=3)",
        "(objectGUID=\\ff\\00a)",
        "(description=remoteapp*)",
        "(description=REMOTEAPP*image=simphony*)",
        "(description=remoteapp*home=true)",
        "(description=*grant image*)",
        "(remoteAppImage=simphony/*:1)",
        "(&(uid=*)(!(uid=bob)))",
        "(|(uid=bob)(uid=alice smith))",
        "(!(|(uid=bob)(uid=carol)))",
        "(!(pwdAccountLockedTime=000001010000Z))",
        "(|(uid~=alice)(uid=*))",
    ],
)
def test_what_matches(text: str) -> None:
    assert told(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "(uid=alice)",
        "(cn;lang-fr=müller)",
        "(sn=*)",
        "(sn>=a)",
        "(member=uid=alice,ou=people,dc=x)",
        "(remoteAppImage=simphony/mayavi:1)",
        "(remoteAppImage=simphony/mayavi*)",
        "(objectClass=group)",
        "(objectCategory=group)",
        "(userAccountControl:1.2.840.113556.1.4.803:=16)",
        "(userAccountControl:1.2.840.113556.1.4.804:=16)",
        "(userAccountControl:1.2.840.113556.1.4.803:=3)",
        "(description=grant*)",
        "(description=*home)",
        "(description=remoteapp *image)",
        "(&(uid=*)(uid~=alice)(sn=x))",
        "(!(uid=*))",
    ],
)
def test_what_does_not_match(text: str) -> None:
    assert told(text) is False


@pytest.mark.parametrize(
    "text",
    [
        "(uid~=alice)",
        "(uid>=a)",
        "(member=uid=*)",
        "(member:1.2.840.113556.1.4.1941:=uid=bob,ou=people,dc=x)",
        "(ou:dn:=people)",
        "(uid:1.2.840.113556.1.4.803:=2)",
        "(userAccountControl:1.2.840.113556.1.4.803:=two)",
        "(&(uid=*)(uid~=alice))",
        "(|(sn=x)(uid~=alice))",
        "(!(uid~=alice))",
    ],
)
def test_what_only_a_server_can_tell_is_neither_yes_nor_no(text: str) -> None:
    assert told(text) is None


def test_only_the_item_that_cannot_be_told_is_asked() -> None:
    asked: list[Filter] = []

    def ask(item: Filter) -> bool:
        asked.append(item)
        return True

    assert matches(parse("(&(uid=*)(uid~=alice))"), ENTRY, ask, PREPARED) is True
    assert asked == [Filter("(uid~=alice)")]


def test_a_class_below_one_that_is_not_known_may_be_anything() -> None:
    corporate = {"objectclass": [b"corporateUser"]}
    assert is_of_class(corporate, "corporateUser") is True
    assert is_of_class(corporate, "person") is None
    assert is_of_class({"objectclass": [b"computer"]}, "organizationalPerson") is True
    assert is_of_class({}, "person") is False
    assert is_of_class({"objectclass": [b"\xff"]}, "person") is None


def test_values_are_the_same_by_their_attributes_rule() -> None:
    assert key("member", b"CN=A, dc=x") == key("member", b"cn=a,DC=x")
    assert key("member", b"no name") == b"no name"
    assert key("uid", b"A  b") == key("UID", b"a B")
    assert key("uid", b"\xff") == b"\xff"
    assert key("memberUid", b"A") != key("memberUid", b"a")
    assert key("description;lang-de", b"A") == key("description;lang-fr", b"a")


def test_text_is_compared_as_the_directory_does() -> None:
    """A full-width letter is a letter for OpenLDAP alone; runs of spaces count nowhere."""
    entry = {"cn": ["Ｂｏｂ  2".encode()], "member": [b"cn=a  b"]}

    def found(text: str, matching: NameMatching) -> Optional[bool]:
        return matches(parse(text), entry, lambda _: None, matching)

    assert [found("(cn=bob 2)", each) for each in (PREPARED, EXACT)] == [True, False]
    assert [found("(cn=ｂｏｂ*)", each) for each in (PREPARED, EXACT)] == [True, False]
    assert [found("(cn=Ｂｏｂ 2)", each) for each in (PREPARED, EXACT)] == [True, True]
    assert [found("(member=cn=a b)", each) for each in (PREPARED, EXACT)] == [True, False]


def test_options_are_asked_for_or_do_not_matter() -> None:
    attributes = {"cn": [b"a"], "cn;lang-de;x-y": [b"b"]}
    assert values_of(attributes, "cn") == [b"a", b"b"]
    assert values_of(attributes, "CN;lang-de") == [b"b"]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("(uid=Bob)", [("uid", b"bob")]),
        ("(cn;lang-de=Bob)", [("cn", b"bob")]),
        ("(&(objectClass=person)(|(uid=a)(cn=b)))", [("uid", b"a"), ("cn", b"b")]),
        ("(&(|(uid=a)(cn=b))(sn=c)(uid~=x))", [("sn", b"c")]),
        ("(|(uid=a)(cn=*))", None),
        ("(|(uid=a)(cn>=b))", None),
        ("(!(uid=a))", None),
        ("(&(objectClass=person)(objectCategory=x)(uid=a*))", None),
    ],
)
def test_values_without_which_nothing_matches_are_found(
    text: str, pairs: Optional[list[tuple[str, bytes]]]
) -> None:
    expected = None if pairs is None else {(name, key(name, value)) for name, value in pairs}
    assert pairs_of(parse(text), PREPARED) == expected

"""The oracle itself: its names, its times, and that it shares no code with ldapdb."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from oracle.entries import Entry, Place
from oracle.making import SHAPES, make
from oracle.names import dn_key
from oracle.rights import Right, World, moment, why_out

ORACLE = Path(__file__).resolve().parents[1] / "oracle"
NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
PLACE = Place("openldap", "", "", "", "o=x", "ou=people,o=x", "ou=groups,o=x", "ou=apps,o=x")


def imported(path: Path) -> set[str]:
    """Name the packages that a module imports, wherever it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            names.add(str(node.module).partition(".")[0])
    return names


def test_only_the_driver_imports_ldapdb() -> None:
    """The command starts servers with the tests' own package; nothing else does."""
    modules = sorted(ORACLE.rglob("*.py"))
    importing = {
        foreign: [each.name for each in modules if foreign in imported(each)]
        for foreign in ("ldapdb", "ldap3", "support", "servers")
    }
    assert importing == {
        "ldapdb": ["driver.py"],
        "ldap3": [],
        "support": ["__main__.py"],
        "servers": [],
    }


def test_oracle_code_imports_by_no_name() -> None:
    for path in ORACLE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "importlib" not in text
        assert "__import__" not in text


@pytest.mark.parametrize(
    ("left", "right", "vendors"),
    [
        ("uid=ann,o=x", "UID=Ann, O=X", {"openldap", "389ds", "ad"}),
        ("cn=Bell\\, Ann,o=x", "cn=Bell\\2C Ann,o=x", {"openldap", "389ds", "ad"}),
        ("cn=a+uid=b,o=x", "uid=b+cn=a,o=x", {"openldap", "389ds", "ad"}),
        ("cn=Zo\\C3\\AB,o=x", "cn=Zoë,o=x", {"openldap", "389ds", "ad"}),
        ("uid=ann,o=x", "userid=ann,o=x", {"openldap"}),
        ("cn=x²,o=x", "cn=x2,o=x", {"openldap"}),
        ("cn=a\\ ,o=x", "cn=b,o=x", set()),
    ],
)
def test_names_are_equal_where_the_server_says(left: str, right: str, vendors: set[str]) -> None:
    for vendor in ("openldap", "389ds", "ad"):
        assert (dn_key(left, vendor) == dn_key(right, vendor)) is (vendor in vendors)


def test_text_that_is_not_a_name() -> None:
    assert dn_key("ann", "ad") is None
    assert dn_key("", "ad") == ()


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026060112Z", 12),
        ("20260601120000.0Z", 12),
        ("202606011200+0200", 10),
        ("20261301Z", None),
    ],
)
def test_times_are_read(text: str, hour: int) -> None:
    at = moment(text)
    assert (at and at.astimezone(timezone.utc).hour) == hour


@pytest.mark.parametrize(
    ("name", "value", "is_out"),
    [
        ("userAccountControl", "514", True),
        ("userAccountControl", "512", False),
        ("accountExpires", "0", False),
        ("accountExpires", "9223372036854775807", False),
        ("accountExpires", "132000000000000000", True),
        ("shadowExpire", "-1", False),
        ("shadowExpire", "1", True),
        ("pwdAccountLockedTime", "000001010000Z", True),
        ("pwdAccountLockedTime", "20260101000000Z", False),
        ("pwdEndTime", "20260101000000Z", True),
        ("pwdStartTime", "20270101000000Z", True),
        ("krbPrincipalExpiration", "20270101000000Z", False),
        ("nsAccountLock", "TRUE", True),
        ("loginDisabled", "FALSE", False),
    ],
)
def test_accounts_that_have_ended(name: str, value: str, is_out: bool) -> None:
    entry = Entry("uid=ann,o=x", {name.lower(): [value.encode()]})
    assert (why_out(entry, NOW) == name) is is_out


def entry(dn: str, *classes: str, **values: str) -> Entry:
    attributes = {name.lower(): [value.encode()] for name, value in values.items()}
    return Entry(dn, {**attributes, "objectclass": [each.encode() for each in classes]})


def test_group_in_group_gives_the_right() -> None:
    """Not where groups in groups do not count, and not after its end."""
    ann = entry("uid=ann,ou=people,o=x", "inetOrgPerson", uid="ann", entryUUID="0-1")
    entries = [
        ann,
        entry("cn=in,ou=groups,o=x", "groupOfNames", member=ann.dn),
        entry("cn=out,ou=groups,o=x", "groupOfNames", member="cn=in,ou=groups,o=x"),
        entry("cn=a,ou=applications,ou=apps,o=x", "remoteAppApplication", remoteAppImage="a/b:1"),
        entry(
            "cn=g,ou=grants,ou=apps,o=x",
            "remoteAppGrant",
            remoteAppImage="a/b:1",
            member="cn=out,ou=groups,o=x",
            remoteAppNotAfter="20270101000000Z",
        ),
    ]
    ends = datetime(2027, 1, 1, tzinfo=timezone.utc)
    for settings, now, expected in (
        ({}, NOW, {Right("a/b:1"): ends}),
        ({"nested_groups": False}, NOW, {}),
        ({}, ends.replace(year=2028), {}),
    ):
        world = World(PLACE, settings, entries, now)
        assert world.rights(world.persons[0]) == expected


@pytest.mark.parametrize("vendor", ["openldap", "389ds", "ad"])
def test_seed_makes_one_directory(vendor: str) -> None:
    place = replace(PLACE, vendor=vendor)
    shapes = [each for each in SHAPES if each not in {"dates", "expired"}]
    first, second, other = (make(place, seed, shapes, 9) for seed in ("1", "1", "2"))
    assert first == second
    assert first.records != other.records

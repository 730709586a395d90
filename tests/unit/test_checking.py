"""What checks judge by, without a server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Optional, cast

import pytest

from ldapdb.client import Call, Deadline
from ldapdb.settings import load
from ldapdb.store.checking.advice import check_settings
from ldapdb.store.checking.arriving import _plain
from ldapdb.store.checking.clocks import judge_clock
from ldapdb.store.checking.definitions import differences, read_definitions
from ldapdb.store.checking.findings import Finding, Level, worst
from ldapdb.store.checking.kinds.ds389 import read_ruv
from ldapdb.store.checking.kinds.openldap import is_plain, read_csns, said_indexes
from ldapdb.store.checking.replicas import behind
from ldapdb.store.checking.visiting import Visit

URI = "ldap://a"


@pytest.mark.parametrize(
    ("told", "level"),
    [(1000, Level.OK), (1009, Level.OK), (1012, Level.WARNING), (988, Level.WARNING),
     (1302, Level.PROBLEM), (600, Level.PROBLEM)],
)  # fmt: skip
def test_clocks_are_compared_within_what_cannot_be_told(told: float, level: Level) -> None:
    """The server has cut off its second, and the answer took as long as it did."""
    assert judge_clock(URI, told, 1000.9, 1001.0).level is level


def test_a_server_is_behind_when_it_lacks_a_change_of_any_provider() -> None:
    first, second = 1000.0, 2000.0
    states = {
        "a": {"001": first, "002": second},
        "b": {"001": first},
        "c": {"001": first - 1, "002": second},
    }
    assert behind(states) == {"b": second, "c": first}
    assert behind({"a": states["a"], "d": states["a"]}) == {}


def test_the_states_of_servers_are_read_as_each_vendor_writes_them() -> None:
    csn = "20260101000001.500000Z#000000#00a#000000"
    ruv = [
        "{replicageneration} 5e5b8a1c000000010000",
        "{replica 1 ldap://a.example.org:389} 5e5b8a2d000000010000 5e5b8a2f000100010000",
        "{replica 2 ldap://b.example.org:389}",
    ]
    assert read_csns([csn]) == {"00a": 1767225601.5}
    assert read_ruv(ruv) == {"1": float(0x5E5B8A2F), "2": 0.0}
    assert read_csns(["nonsense"]) == read_ruv(["nonsense"]) == {}


def test_only_what_copies_changes_is_not_plain() -> None:
    assert is_plain('rid=001 provider=ldap://a searchbase="dc=x" type=refreshAndPersist')
    assert is_plain('rid=001 logbase="cn=accesslog" syncdata=default')
    assert not is_plain('rid=001 logbase="cn=accesslog" syncdata=accesslog')
    assert not is_plain("{0}rid=001 SYNCDATA=changelog")


def test_indexes_for_equality_are_told_from_others() -> None:
    said = ["{0}objectClass,uid eq", "cn pres, sub", "member", "mail pres,eq"]
    assert said_indexes(said[1:]) == {"member", "mail"}
    assert "uid" in said_indexes(said)


DEFINED = (
    "( 1.2.3 NAME ( 'one' 'uno' ) DESC 'may have ( ) and $ in it' EQUALITY caseExactMatch "
    "SYNTAX 1.3.6.1.4.1.1466.115.121.1.15{64} SINGLE-VALUE )"
)


@pytest.mark.parametrize(
    ("change", "to", "told"),
    [
        ("DESC 'may have ( ) and $ in it'", "DESC 'other' X-ORIGIN 'user defined'", []),
        (" SINGLE-VALUE", "", ["SINGLE-VALUE is absent instead of there"]),
        ("caseExact", "caseIgnore",
         ["EQUALITY is caseignorematch instead of caseexactmatch"]),
        ("1.2.3", "1.2.4", ["its number is 1.2.4"]),
    ],
)  # fmt: skip
def test_definitions_differ_by_what_matters(change: str, to: str, told: list[str]) -> None:
    ours = read_definitions([DEFINED])["one"]
    theirs = read_definitions([DEFINED.replace(change, to)])["one"]
    assert differences(ours, theirs) == told


def test_a_class_is_structural_unless_it_says_otherwise() -> None:
    plain, said = read_definitions(
        ["( 1.2 NAME 'plain' SUP top MUST ( a $ b ) )",
         "( 1.2 NAME 'said' SUP top STRUCTURAL MUST ( b $ a ) )"]
    ).values()  # fmt: skip
    assert differences(plain, said) == []


@pytest.mark.parametrize(
    ("uri", "level"),
    [("ldap://directory.example.org", Level.PROBLEM), ("ldap://localhost", Level.OK),
     ("ldapi://%2Fsocket", Level.OK)],
)  # fmt: skip
def test_plain_text_to_another_machine_is_a_problem(uri: str, level: Level) -> None:
    settings = load(
        uri=uri, base_dn="dc=x", bind_dn="cn=x", bind_password="x", allow_plaintext=True
    )
    assert _plain(Visit(settings, uri, Path())).level is level


@pytest.mark.parametrize("profiles", [None, 0, 2])
def test_the_remedy_for_a_password_in_the_settings_takes_it_out_of_them(
    profiles: Optional[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of the environment or the file, into one that its owner alone reads; then all is well."""
    config, kept = tmp_path / "ldapdb.toml", tmp_path / "password"
    lines = ['uri = "ldap://localhost"', 'base_dn = "dc=x"', 'bind_dn = "cn=x"']
    if profiles is None:
        monkeypatch.setenv("LDAPDB_BIND_PASSWORD", "secret")
    else:
        lines += ['bind_password = "secret"'] + ["[profiles.a]", 'bind_password = "b"'] * (
            profiles // 2
        )
    config.write_text("\n".join(lines))
    config.chmod(0o600)
    [finding] = check_settings(load(config_file=config))
    remedy = finding.remedy.replace("/etc/ldapdb.password", str(kept))
    if profiles == 2:  # of other accounts, perhaps
        assert remedy.endswith(f"&& ${{EDITOR:-vi}} {config}")
        return
    command = f"{remedy} && env"
    done = subprocess.run(
        ["bash", "-c", command], input="s p\n", capture_output=True, text=True, check=True
    )
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text() == "s p"
    now = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    monkeypatch.delenv("LDAPDB_BIND_PASSWORD", raising=False)
    assert "LDAPDB_BIND_PASSWORD" not in now
    given = now.get("LDAPDB_BIND_PASSWORD_FILE")
    settings = load(config_file=config, bind_password_file=given)
    assert [each.level for each in check_settings(settings)] == [Level.OK]


@pytest.mark.parametrize(
    ("said", "account"),
    [("dn:cn=x,dc=y", "cn=x,dc=y"), ("u:EXAMPLE\\reader", "EXAMPLE\\reader"), ("", ""),
     (None, "cn=x")],
)  # fmt: skip
def test_whom_a_server_takes_us_for_is_read_in_both_forms(
    said: Optional[str], account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 4513, section 5.2.1.8."""
    settings = load(uri="ldap://localhost", base_dn="dc=x", bind_dn="cn=x", bind_password="x")
    visit = Visit(settings, "ldap://localhost", Path())
    call = Call(cast("Any", None), (), Deadline(1.0))
    monkeypatch.setattr(call, "who_am_i", lambda: said)
    monkeypatch.setattr(visit, "call", lambda: call)
    assert visit.account == account


def test_levels_are_ordered_from_good_to_bad() -> None:
    lines = [Finding("a", "b", level, "") for level in Level]
    assert worst(lines) is Level.PROBLEM
    assert worst(lines[:2]) is Level.NOT_CHECKED
    assert worst([]) is Level.OK

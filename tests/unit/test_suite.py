"""The live suites' own machinery: markers, the table of differences, the report, the proxy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Optional

import pytest
from proxy import Requests

from support.columns import Choice, Live
from support.ldif import line
from support.matrix import Matrix
from support.policy import Said
from support.quirks import QUIRKS, Quirk, Quirks
from support.servers import COLUMNS, VENDORS, Column, parse_vendors


def marked(*vendors: str, **more: Any) -> Any:
    marker = SimpleNamespace(args=vendors, kwargs=more)
    return SimpleNamespace(nodeid="test_x.py::test_x", iter_markers=lambda _: iter([marker]))


# --- which tests run where


def test_a_test_for_everywhere_needs_no_reason() -> None:
    assert Live.of(marked(*VENDORS, stock=True)).columns == COLUMNS


@pytest.mark.parametrize(
    "holder",
    [
        marked("openldap", stock=True),
        marked(*VENDORS),
        marked("novell", reason="it is old"),
        marked(reason="nowhere"),
        SimpleNamespace(nodeid="test_x", iter_markers=lambda _: iter(())),
    ],
)
def test_a_test_that_leaves_something_out_without_a_reason_is_refused(holder: Any) -> None:
    with pytest.raises(pytest.UsageError, match="live"):
        Live.of(holder)


def test_a_reason_lets_a_test_leave_something_out() -> None:
    live = Live.of(marked("389ds", "ad", reason="others lock nobody"))
    assert [str(column) for column in live.columns] == ["389ds", "ad"]


def test_vendors_are_chosen_by_name() -> None:
    assert parse_vendors("ad, openldap") == ["ad", "openldap"]
    with pytest.raises(ValueError, match="novell"):
        parse_vendors("novell")


@pytest.mark.parametrize(
    ("ci", "skipped"), [("true", None), ("false", "it is not there"), (None, "it is not there")]
)
def test_a_server_that_is_missing_is_skipped_on_a_laptop_alone(
    monkeypatch: pytest.MonkeyPatch, ci: Optional[str], skipped: Optional[str]
) -> None:
    """In CI the test runs, and fails by what its server's fixture says."""
    monkeypatch.setattr(
        "support.columns.why_missing", {"ad": "it is not there", "openldap": None}.get
    )
    if ci is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", ci)
    choice = Choice(["openldap", "ad"])
    assert choice.skip(Column("ad", stock=True)) == skipped
    assert choice.skip(Column("openldap")) is None


# --- the table of differences


def quirks(monkeypatch: pytest.MonkeyPatch, parameter: str) -> Quirks:
    table = (
        Quirk("ad", "Samba", "it refuses a", {"test_x": ("a",)}, error="refused"),
        Quirk("ad", "Samba", "it counts on", key="counts", asks={"test_x"}),
    )
    monkeypatch.setattr("support.quirks.QUIRKS", table)
    item: Any = SimpleNamespace(
        name=f"test_x[{parameter}]",
        originalname="test_x",
        callspec=SimpleNamespace(params={"name": parameter}),
    )
    return Quirks(item, Column("ad"))


def report(outcome: Any) -> pytest.TestReport:
    return pytest.TestReport("test_x", ("", 0, ""), {}, outcome, None, "call")


def test_a_difference_lets_a_test_fail_with_its_error_only(monkeypatch: pytest.MonkeyPatch) -> None:
    concerning = quirks(monkeypatch, "a")
    said = report("failed")
    concerning.judge(said, RuntimeError("a was refused"))
    assert (said.outcome, said.wasxfail) == ("skipped", "quirk 1: it refuses a")
    other = report("failed")
    concerning.judge(other, RuntimeError("the server is down"))
    assert other.outcome == "failed"


def test_a_difference_that_is_gone_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = report("passed")
    quirks(monkeypatch, "a").judge(passed, None)
    assert passed.outcome == "failed"
    assert "not there any more" in str(passed.longrepr)


def test_a_difference_concerns_its_parameters_only(monkeypatch: pytest.MonkeyPatch) -> None:
    concerning = quirks(monkeypatch, "b")
    passed = report("passed")
    concerning.judge(passed, None)
    assert passed.outcome == "passed"
    assert concerning.asked_numbers == [2]
    assert concerning.asked("counts")
    with pytest.raises(KeyError):
        concerning.asked("something else")


def test_every_difference_is_of_a_vendor_and_names_its_server() -> None:
    for quirk in QUIRKS:
        assert quirk.vendor in VENDORS
        assert any(char.isdigit() for char in quirk.server)
        assert bool(quirk.error) == bool(quirk.fails)
        assert bool(quirk.key) == bool(quirk.asks)
        assert quirk.fails or quirk.asks


# --- the report


def test_the_table_leaves_no_hole_unexplained() -> None:
    matrix = Matrix()
    item: Any = SimpleNamespace(nodeid="tests/live/test_x.py::test_x[ad-1]", user_properties=[])
    live = Live.of(marked("openldap", "ad", reason="389 has no such thing"))
    matrix.expect(item, live, Column("ad"), [1])
    for outcome in ("passed", "passed", "failed"):
        said = report(outcome)
        said.nodeid, said.user_properties = item.nodeid, item.user_properties
        matrix.pytest_runtest_logreport(said)
    text = matrix.markdown({"ad": "Samba 4", "openldap": "not run: it is not there"})
    assert "| x | not run | - a | ✓ 2 [1], ✗ 1 | - a | - a | - a |" in text
    assert "- a: 389 has no such thing" in text
    assert "- openldap: not run: it is not there" in text
    assert matrix.summary({"ad": "Samba 4"})[0].endswith("2 passed, 1 failed, 0 differ")


# --- what is written


def test_policy_is_written_in_both_ways() -> None:
    said = Said(["a/b:1", "a/c:1"], licence="27000@x y", home=True, view="perhaps")
    assert said.attributes() == {
        "remoteAppImage": ["a/b:1", "a/c:1"],
        "remoteAppLicense": ["27000@x y"],
        "remoteAppAllowHome": ["TRUE"],
        "remoteAppAllowView": ["perhaps"],
    }
    assert said.line("application", "grant") == (
        "remoteapp application grant image=a/b:1 image=a/c:1 license='27000@x y' home=TRUE "
        "view=perhaps"
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b", "cn: a b\n"),
        ("", "cn:\n"),
        (" a", "cn:: IGE=\n"),
        ("a ", "cn:: YSA=\n"),
        (":a", "cn:: OmE=\n"),
        ("ü", "cn:: w7w=\n"),
        ("a\nb", "cn:: YQpi\n"),
    ],
)
def test_what_is_not_safe_in_ldif_is_written_in_base64(value: str, written: str) -> None:
    assert line("cn", value) == written


# --- the proxy

_BIND = bytes.fromhex("300c020101600702010304008000")
_UNBIND = bytes.fromhex("30050201024200")
# A delete whose DN needs a length of two bytes, with a message number of two.
_DELETE = bytes.fromhex("3081d5020200804a81ce") + b"x" * 206


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_operations_are_counted_however_the_bytes_are_cut(size: int) -> None:
    sent = _BIND + _DELETE + _UNBIND + _BIND
    requests = Requests()
    seen = []
    for start in range(0, len(sent), size):
        seen += requests.feed(sent[start : start + size])
    assert seen == ["BIND", "DEL", "BIND"]


def test_what_is_no_ldap_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="TLS"):
        Requests().feed(bytes.fromhex("160301"))

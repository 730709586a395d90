"""The documents say what the code does: every setting and every command is in them."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from ldapdb.settings import Settings
from ldapdb.vendors import VENDORS, Vendor

ROOT = Path(__file__).resolve().parents[2]


def rows_of_settings() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.*) \|$", text, re.MULTILINE)
    return {name: (default.strip("`"), words) for name, default, words in rows}


def test_the_reference_lists_exactly_the_settings_there_are() -> None:
    assert list(rows_of_settings()) == list(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_reference_has_each_settings_default_and_description(name: str) -> None:
    field = Settings.model_fields[name]
    default, words = rows_of_settings()[name]
    assert words.replace("`", "") == field.description
    if field.is_required():
        assert default == "required"
    elif field.default in (None, ()):
        assert default == ""
    elif isinstance(field.default, bool):
        assert default == str(field.default).lower()
    else:
        assert default.strip('"') == str(field.default)


def test_the_command_prints_the_defaults_of_the_reference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = pytest.importorskip("ldapdb.cli", reason="its libraries are an extra").run
    assert run(["settings", "--csv"]) == 0
    rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
    told = {row["SETTING"]: row["DEFAULT"] for row in rows}
    assert told == {name: default for name, (default, _) in rows_of_settings().items()}


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_the_reference_has_each_vendors_defaults(vendor: Vendor) -> None:
    """What is not set is described where the settings are, in the words of the record."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    section = re.split(r"^##", text.split(f"\n### {vendor.title}\n")[1], flags=re.MULTILINE)[0]
    said = {
        line.split("`")[1]: line.split("`")[3::2]
        for line in section.splitlines()
        if line.startswith("- ")
    }
    assert [each.lower() for each in said.pop("user_id_attribute")] == [
        name for name, _ in vendor.identifier_forms
    ]
    classes = [vendor.group_object_class]
    if vendor.stock_group_object_class != vendor.group_object_class:
        classes += ['schema = "stock"', vendor.stock_group_object_class]
    assert said == {
        "user_name_attribute": [vendor.user_name_attribute],
        "users_filter": [vendor.users_filter, vendor.lock_filter],
        "groups_filter": [vendor.groups_filter],
        "group_object_class": classes,
    }


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_a_table_has_what_ends_accounts(vendor: Vendor) -> None:
    """One table for each server, in the words of its record."""
    text = (ROOT / "docs" / "accounts.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split(f"\n## {vendor.title}\n")[1], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| .* \|$", section, re.MULTILINE)
    assert rows == [(rule.attribute, rule.form.value) for rule in vendor.account_rules]


def commands(group: Any, path: str) -> list[str]:
    from click import Context, Group

    found = []
    for name in group.list_commands(Context(group)):
        command = group.get_command(Context(group), name)
        is_group = isinstance(command, Group)
        found += commands(command, f"{path} {name}") if is_group else [f"{path} {name}"]
    return found


def test_the_readme_names_every_command() -> None:
    pytest.importorskip("click", reason="the command line's libraries are an extra")
    from ldapdb.cli import main

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in commands(main, "ldapdb"):
        assert command in readme or f"`{command.removeprefix('ldapdb ')}`" in readme, command


def test_the_readme_gives_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo && make test" in readme


def test_the_matrix_names_exactly_the_live_tests() -> None:
    """`make test` prints it; a test that came or went since is missed in the copy."""
    page = (ROOT / "docs" / "directories.md").read_text(encoding="utf-8")
    matrix = page.partition("\n## Which test holds where\n")[2]
    rows = set(re.findall(r"^\| ([^|]+?) \| [^|]*[✓-]", matrix, re.MULTILINE))
    names = {
        name.removeprefix("test_").replace("_", " ")
        for path in (ROOT / "tests" / "live").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert rows - {"---"} == names


def test_each_failure_of_the_operations_page_names_tests_that_there_are() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table, heading, _ = page.partition("\n## Several servers\n")
    assert heading
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    tests = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "live").glob("test_*.py")
    )
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        for name in named:
            assert f"def {name}(" in tests, name


def test_each_claim_beside_other_tools_names_tests_that_there_are() -> None:
    """What no test proves is not claimed."""
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| (?!point \|)", line)]
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(rows) > 20
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 9, row
        named = re.findall(r"`(test_\w+)`", cells[-1])
        assert named, row
        for name in named:
            assert f"def {name}(" in tests, name

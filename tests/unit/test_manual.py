"""The manual page and the reference: made from the code, and as new as it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the command line's libraries are an extra")

from ldapdb.settings import Settings
from support.reference import MANUAL, commands_page, manual_page, schema_page

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ROOT / ".cache" / "shells"


def test_the_manual_page_is_what_the_commands_say() -> None:
    """Whoever changes a command's help runs: make man."""
    assert MANUAL.read_text(encoding="utf-8") == manual_page(), "run: make man"


def test_the_manual_page_has_no_fault() -> None:
    """By mandoc, which is stricter than groff."""
    program = SHELLS / "usr/bin/mandoc"
    if not program.exists():
        if os.environ.get("CI") == "true" and (ROOT / ".ci").is_dir():  # not in the wheel's tests
            pytest.fail("mandoc is not in .cache/shells; run: bash .ci/prepare machine")
        pytest.skip("mandoc is not in .cache/shells")
    done = subprocess.run(
        [str(program), "-Tlint", "-Wwarning", str(MANUAL)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_reference_has_every_option_and_example() -> None:
    page, manual = commands_page(), manual_page().replace("\\-", "-")
    for said in ("## app grant", "`--allow-home`", "## explain", "Example: `ldapdb init`"):
        assert said in page
    for name in Settings.model_fields:
        assert f"LDAPDB_{name.upper()}\\fR" in manual
    assert "ldapdb completion {bash|zsh|fish}" in manual


def test_the_schema_page_has_all_attributes_and_classes() -> None:
    page = schema_page()
    assert page.count("\n| `remoteApp") == 8 + 3
    assert "| `remoteAppGrant` |" in page
    assert "`remoteAppAllowHome`, `remoteAppAllowView`" in page

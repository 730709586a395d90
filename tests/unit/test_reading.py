"""Warnings about entries: one line each, however an entry is written."""

from __future__ import annotations

import logging

import pytest

from ldapdb.store.reading import Warned


def test_no_entry_writes_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """A name or a value with a line break in it would forge a line of the log."""
    with caplog.at_level(logging.WARNING, "ldapdb"):
        Warned().skip("cn=x\nERROR forged,dc=org", "no \u2028 \x1b[31m \0")
    assert caplog.messages == [r"left out cn=x\nERROR forged,dc=org: no \u2028 \x1b[31m \x00"]


def test_no_entry_fills_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Nor the memory of what was said, which holds thousands of such texts."""
    warned = Warned()
    with caplog.at_level(logging.WARNING, "ldapdb"):
        warned.skip("cn=" + "x" * 1_000_000, "y" * 1_000_000)
    (line,) = caplog.messages
    assert len(line) < 2100
    assert "(1000003 characters)" in line
    assert sum(len(text) for key in warned._said.whole for text in key) < 2100

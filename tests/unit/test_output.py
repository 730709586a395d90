"""What is printed on a terminal of 80 columns: whole, and broken between words."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout

import pytest

pytest.importorskip("click", reason="the command line's libraries are an extra")

from ldapdb.cli.check import _print
from ldapdb.cli.output import counted, print_table
from ldapdb.store.checking.findings import problem


class Terminal(io.StringIO):
    """Whatever is written to it."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name, value in (("COLUMNS", "80"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    return Terminal()


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1000, "1000 entries")]
)
def test_what_is_counted_is_one_or_many(number: int, said: str) -> None:
    assert counted(number, "entry", "entries") == said
    assert counted(number, "user") == f"{number} user{'' if number == 1 else 's'}"


def test_no_cell_is_cut(terminal: Terminal) -> None:
    """Two DNs that end differently stay two."""
    dns = [f"cn=grant-{end},ou=grants,ou=remoteapp,dc=subsidiary,dc=example,dc=org" for end in "ab"]
    rows = [(dn, f"registry/{dn[:30]}", "1" * 39) for dn in dns]
    with redirect_stdout(terminal):
        print_table(("DN", "IMAGE", "ID"), rows)
    printed = terminal.getvalue()
    assert "…" not in printed
    cells = ["", "", ""]
    starts = [printed.splitlines()[1].index(name) for name in ("DN", "IMAGE", "ID")]
    for line in printed.splitlines()[3:]:
        for column, (start, end) in enumerate(zip(starts, [*starts[1:], None])):
            cells[column] += line[start:end].strip()
    assert cells[0] == "".join(dns)
    assert cells[2] == "1" * 78


def test_a_line_of_check_is_broken_between_words_and_its_remedy_is_not(terminal: Terminal) -> None:
    """What is copied is one line."""
    text = " ".join(f"word{number:02}" for number in range(40))
    with redirect_stdout(terminal):
        _print(problem("tree", "ldap://localhost", text, "ldapsearch " + "x" * 100))
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert re.findall(r"word\d\d", "\n".join(lines)) == text.split()
    assert lines[-1].strip() == "ldapsearch " + "x" * 100

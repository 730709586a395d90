"""The table of what was tested on what, as a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Optional

import pytest

from support.columns import Live
from support.quirks import QUIRKS
from support.servers import COLUMNS, Column

_LEGEND = """\
`✓ n`: passed with n sets of parameters. `[n]`: a difference between vendors, told below;
`m [n]`: m sets of parameters cannot be tried because of it, or fail as it says. `-`: the
test is not for this column; the letter tells why. `not run`: the server was not there, or
left out. `✗ n`: failed.
"""


@dataclass
class Cell:
    """How one test function went on one server."""

    outcomes: Counter[str] = field(default_factory=Counter)
    quirks: Counter[int] = field(default_factory=Counter)
    asked: set[int] = field(default_factory=set)

    def text(self) -> str:
        """Write it for the table."""
        parts = []
        if self.outcomes["passed"]:
            parts.append(" ".join([f"✓ {self.outcomes['passed']}", *_refer(self.asked)]))
        parts += [f"{count} [{number}]" for number, count in sorted(self.quirks.items())]
        if self.outcomes["failed"]:
            parts.append(f"✗ {self.outcomes['failed']}")
        if self.outcomes["skipped"] and not parts:
            return "not run"
        return ", ".join(parts)


def _refer(numbers: Iterable[int]) -> list[str]:
    return [f"[{number}]" for number in sorted(numbers)]


class Matrix:
    """Collects how each test function goes in each column.

    All that it knows it has from reports: where several processes share the tests, they alone
    come from one to the other.
    """

    def __init__(self) -> None:
        self._live: dict[str, Live] = {}
        self._lines: dict[str, int] = {}
        self._cells: dict[tuple[str, str], Cell] = {}

    @staticmethod
    def expect(item: pytest.Item, live: Live, column: Column, asked: Sequence[int]) -> None:
        """Let the reports of a test say where it runs, and what of the other columns."""
        columns = " ".join(map(str, live.columns))
        item.user_properties += [
            ("column", str(column)),
            ("asked", " ".join(map(str, asked))),
            ("live", f"{columns}:{live.reason}"),
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of how a test went, or one of its three phases."""
        properties = {name: str(value) for name, value in report.user_properties}
        if "column" not in properties or not _decides(report):
            return
        function = _function(report.nodeid)
        columns, _, reason = properties["live"].partition(":")
        names = columns.split()
        self._live[function] = Live(tuple(each for each in COLUMNS if str(each) in names), reason)
        self._lines[function] = report.location[1] or 0
        where = function, properties["column"]
        cell = self._cells.setdefault(where, Cell())
        quirk = _quirk_of(report)
        if quirk is not None:
            cell.quirks[quirk] += 1
            return
        cell.outcomes[report.outcome] += 1
        cell.asked.update(map(int, properties["asked"].split()))

    def ran(self) -> list[Column]:
        """List the columns in which something ran."""
        names = {column for (_, column), cell in self._cells.items() if cell.text() != "not run"}
        return [column for column in COLUMNS if str(column) in names]

    def summary(self, states: Mapping[str, str]) -> list[str]:
        """Write a line for each column."""
        lines = []
        for column in self.ran():
            cells = [cell for (_, name), cell in self._cells.items() if name == str(column)]
            passed, failed = (
                sum(cell.outcomes[outcome] for cell in cells) for outcome in ("passed", "failed")
            )
            quirks = sum(sum(cell.quirks.values()) for cell in cells)
            what = f"{passed} passed, {failed} failed, {quirks} differ"
            lines.append(f"{column!s:15} {states[column.vendor]}: {what}")
        return lines

    def markdown(self, states: Mapping[str, str]) -> str:
        """Write the whole table, of all that was to run."""
        files: dict[str, list[str]] = {}
        for function in sorted(self._live, key=self._place):
            files.setdefault(function.partition("::")[0], []).append(function)
        reasons: dict[str, str] = {}
        tables = [self._table(file, functions, reasons) for file, functions in files.items()]
        parts = [
            "# Tests and servers",
            _LEGEND.strip(),
            "\n".join(f"- {vendor}: {state}" for vendor, state in states.items()),
            *tables,
            "## Why not",
            "\n".join(f"- {letter}: {reason}" for reason, letter in reasons.items()),
            "## Differences",
            "\n".join(
                f"{number}. {quirk.server}: {quirk.what}."
                for number, quirk in enumerate(QUIRKS, start=1)
            ),
        ]
        return "\n\n".join(parts) + "\n"

    def _place(self, function: str) -> tuple[str, int]:
        return function.partition("::")[0], self._lines[function]

    def _table(self, file: str, functions: Sequence[str], reasons: dict[str, str]) -> str:
        lines = [f"## {file.rpartition('/')[2]}\n", *_head()]
        for function in functions:
            name = function.partition("::")[2].removeprefix("test_").replace("_", " ")
            cells = [self._text(function, column, reasons) for column in COLUMNS]
            lines.append(f"| {' | '.join([name, *cells])} |")
        return "\n".join(lines)

    def _text(self, function: str, column: Column, reasons: dict[str, str]) -> str:
        # A test may have a marker for each of its sets of parameters; what ran, ran.
        cell = self._cells.get((function, str(column)))
        if cell is not None:
            return cell.text()
        live = self._live[function]
        if column in live.columns:
            return "not run"
        return f"- {reasons.setdefault(live.reason, _letters(len(reasons)))}"


MATRIX = pytest.StashKey[Matrix]()


def _head() -> list[str]:
    names = [str(column) for column in COLUMNS]
    return [f"| test | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]


def _letters(number: int) -> str:
    """Count in letters: a to z, then aa."""
    return ascii_lowercase[number % 26] * (number // 26 + 1)


def _function(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _decides(report: pytest.TestReport) -> bool:
    """Tell whether a phase tells how the test went: its call, or what kept it from that."""
    return report.when == "call" or not report.passed


def _quirk_of(report: pytest.TestReport) -> Optional[int]:
    said = getattr(report, "wasxfail", "")
    return int(said.split()[1].rstrip(":")) if said.startswith("quirk ") else None

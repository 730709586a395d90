"""What stands at the end of the host's CSV file, and what says that it was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from ldapdb.errors import InvalidValue
from ldapdb.migrate.csv_source import HEADER, CSVSource
from ldapdb.migrate.rows import Row

RIGHT = "alice,a/b:1,,1,0,0,,,,0"


def read(tmp_path: Path, *lines: str) -> list[str]:
    file = tmp_path / "rights.csv"
    file.write_bytes("\n".join([",".join(HEADER), *lines]).encode())
    return [each.user_name for each in CSVSource(str(file)).rows() if isinstance(each, Row)]


@pytest.mark.parametrize(
    "end", [[], [""], ["", "", ""], ["\r", " \t"], [",,,,,,,,,", ""]], ids=repr
)
def test_blank_lines_at_the_end_say_nothing(tmp_path: Path, end: list[str]) -> None:
    """Editors and spreadsheets leave them there."""
    assert read(tmp_path, RIGHT, *end) == ["alice"]
    assert read(tmp_path, *end) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([RIGHT, "", RIGHT], "line 3: it is blank, and others follow"),
        ([RIGHT, "", "", "ali"], "line 3: it is blank"),
        ([RIGHT, "ali", ""], "line 3: 1 values, not 10; the file may be cut off"),
        ([RIGHT, RIGHT[:-1]], "line 3: policy.allow_startup_data is ''"),
    ],
)
def test_half_a_line_and_a_gap_are_refused(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        read(tmp_path, *lines)

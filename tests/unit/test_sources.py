"""What names another backend, and what was perhaps meant by what does not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ldapdb.errors import InvalidValue
from ldapdb.migrate.sources import open_source


def test_a_database_that_is_named_as_a_file_is_answered_with_its_url(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE a (b)")
    with pytest.raises(InvalidValue) as refused:
        open_source(str(file))
    assert str(refused.value).endswith(f"name it as sqlite:///{file}")


def test_a_url_with_two_slashes_is_answered_with_three() -> None:
    with pytest.raises(InvalidValue) as refused:
        open_source("sqlite://app.db?key=secret")
    assert str(refused.value) == "a path comes after three slashes: sqlite:///app.db"


@pytest.mark.parametrize("content", ["", "\ufeff", "\n"])
def test_an_empty_file_is_told_as_one(content: str, tmp_path: Path) -> None:
    file = tmp_path / "rights.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"line 1: it is empty; .* user\.name,"):
        list(open_source(str(file)).rows())

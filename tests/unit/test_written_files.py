"""Files that commands write: whole or not at all; what is no file stays what it is."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the command line's libraries are an extra")

from ldapdb.cli.files import writing_to


def test_a_file_is_replaced_when_all_is_written(tmp_path: Path) -> None:
    """It is its owner's alone."""
    file = tmp_path / "a.csv"
    file.write_text("old")
    with writing_to(file) as stream:
        stream.write("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "a.csv", tmp_path / "link.csv"
    file.write_text("old")
    link.symlink_to(file)
    with writing_to(link) as stream:
        stream.write("new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    """Such as /dev/stdout, which an administrator who is root could replace by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    with writing_to(pipe) as stream:
        stream.write("new")
    reader.join(5)
    assert read == ["new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)

"""The host's CSV file, as a source of rights."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Optional, Union

from ldapdb.errors import InvalidValue, LDAPDBError
from ldapdb.migrate.policies import BOOLEANS, COLUMNS, SINCE_2_2, policy_of
from ldapdb.migrate.rows import Problem, Row
from ldapdb.secrecy import wiped_methods

__all__ = ["HEADER", "CSVSource"]

_USER, _IMAGE = "user.name", "application.image"
# The columns that the host writes, in its order.
HEADER = (_USER, _IMAGE, *(f"policy.{name}" for name in COLUMNS))
_REQUIRED = tuple(name for name in HEADER if name.partition(".")[2] not in SINCE_2_2)


@wiped_methods
class CSVSource:
    """A file in the form of the host's CSV, of any of its releases.

    Parameters
    ----------
    path : str
        Where it is; ``-`` for standard input.
    """

    lists_all = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._copy: Optional[IO[bytes]] = None
        self.title = "standard input" if path == "-" else path

    def rows(self) -> Iterator[Union[Row, Problem]]:
        """Read all rows, from the beginning.

        Raises
        ------
        InvalidValue
            If it is no such file, with the line: then nothing of it can be relied on.
        LDAPDBError
            If it cannot be read.
        """
        for line, values in self._lines():
            where = f"line {line}"
            booleans = {
                name: self._boolean(line, f"policy.{name}", values[f"policy.{name}"])
                for name in COLUMNS
                if name in BOOLEANS and f"policy.{name}" in values
            }
            texts = {name: values.get(f"policy.{name}") for name in COLUMNS if name not in BOOLEANS}
            if not values[_USER] or not values[_IMAGE]:
                missing = _USER if not values[_USER] else _IMAGE
                yield Problem(where, f"{missing} is empty")
                continue
            try:
                policy = policy_of(booleans, texts)
            except InvalidValue as error:
                yield Problem(where, str(error))
                continue
            yield Row(values[_USER], values[_IMAGE], policy, where)

    def users(self) -> Iterator[str]:
        """List the names of all users: those who have a row."""
        return iter(dict.fromkeys(each.user_name for each in self.rows() if isinstance(each, Row)))

    def images(self) -> Iterator[str]:
        """List all images: those that have a row."""
        return iter(dict.fromkeys(each.image for each in self.rows() if isinstance(each, Row)))

    def _lines(self) -> Iterator[tuple[int, dict[str, str]]]:
        with self._opened() as file:
            reader = csv.reader(file, strict=True)
            try:
                header = self._header(next(reader, []))
                blank = 0
                for record in reader:
                    if not "".join(record).strip():  # an editor's last line, or a spreadsheet's
                        blank = blank or reader.line_num
                        continue
                    if blank:
                        raise self._wrong(blank, "it is blank, and others follow")
                    if len(record) != len(header):
                        what = f"{len(record)} values, not {len(header)}; the file may be cut off"
                        raise self._wrong(reader.line_num, what)
                    yield reader.line_num, dict(zip(header, record))
            except csv.Error as error:
                raise self._wrong(reader.line_num, str(error)) from error
            except UnicodeDecodeError as error:
                raise self._wrong(
                    reader.line_num + 1, f"it is not written in UTF-8 ({error.reason})"
                ) from error

    @contextmanager
    def _opened(self) -> Iterator[IO[str]]:
        try:
            file = self._standard_input() if self._path == "-" else _open(self._path)
        except OSError as error:
            raise LDAPDBError(f"{self.title} cannot be read: {error.strerror}") from error
        # Spreadsheets begin a file with a byte order mark.
        with file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            yield text

    def _standard_input(self) -> IO[bytes]:
        """Keep what comes but once, so that it can be read again."""
        if self._copy is None:
            self._copy = tempfile.TemporaryFile()  # noqa: SIM115 -- as long as this lives
            shutil.copyfileobj(sys.stdin.buffer, self._copy)
            self._copy.flush()
        again = os.fdopen(os.dup(self._copy.fileno()), "rb")
        again.seek(0)
        return again

    def _header(self, header: Sequence[str]) -> Sequence[str]:
        if not header:
            raise self._wrong(1, f"it is empty; there must be the columns {','.join(HEADER)}")
        missing = [name for name in _REQUIRED if name not in header]
        unknown = [name for name in header if name not in HEADER]
        twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
        for names, what in ((missing, "lacks"), (unknown, "has unknown"), (twice, "repeats")):
            if names:
                raise self._wrong(
                    1,
                    f"the header {what} {', '.join(map(repr, names))}; the columns are "
                    f"{','.join(HEADER)}",
                )
        return header

    def _boolean(self, line: int, column: str, value: str) -> bool:
        if value not in ("0", "1"):
            raise self._wrong(line, f"{column} is {value!r}; it must be 0 or 1")
        return value == "1"

    def _wrong(self, line: int, what: str) -> InvalidValue:
        return InvalidValue(f"{self.title}, line {line}: {what}")


def _open(path: str) -> IO[bytes]:
    return Path(path).open("rb")

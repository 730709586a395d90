"""Which kind of source a text names."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from ldapdb.errors import InvalidValue
from ldapdb.migrate.rows import Source

__all__ = ["open_source"]

# What a file of SQLite begins with.
_SQLITE = b"SQLite format 3\0"


def open_source(text: str) -> Source:
    """Open another backend.

    Parameters
    ----------
    text : str
        An SQLAlchemy URL, or the path of a CSV file; ``-`` for one on standard input.

    Raises
    ------
    InvalidValue, LDAPDBError
        If there is none, or what reads it is not installed.
    """
    _refuse_slip(text)
    if "://" in text:
        from ldapdb.migrate.sql_source import SQLSource  # noqa: PLC0415 -- needs an extra

        return SQLSource(text)
    from ldapdb.migrate.csv_source import CSVSource  # noqa: PLC0415 -- as above

    return CSVSource(text)


def _refuse_slip(text: str) -> None:
    """Show how a file of SQLite is named, where it is named as one would think."""
    two_slashes = re.match("sqlite://([^/?][^?]*)", text)
    if two_slashes is not None:
        path = two_slashes.group(1)
        raise InvalidValue(f"a path comes after three slashes: sqlite:///{path}")
    with suppress(OSError), Path(text).open("rb") as file:
        if file.read(len(_SQLITE)) == _SQLITE:
            raise InvalidValue(
                f"{text} is a database of SQLite and no CSV file; name it as sqlite:///{text}"
            )

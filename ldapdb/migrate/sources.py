"""Which kind of source a text names."""

from __future__ import annotations

from ldapdb.migrate.rows import Source

__all__ = ["open_source"]


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
    if "://" in text:
        from ldapdb.migrate.sql_source import SQLSource  # noqa: PLC0415 -- needs an extra

        return SQLSource(text)
    from ldapdb.migrate.csv_source import CSVSource  # noqa: PLC0415 -- as above

    return CSVSource(text)

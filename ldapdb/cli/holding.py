"""Warnings of servers that fail, kept back until it is known whether another one answered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HeldBack"]

# What says that a server has failed, and that none is left.
_LOGGERS = ("ldapdb.client.pool", "ldapdb.client.directory")


class HeldBack(logging.Filter):
    """Keeps what is logged of servers, for the end of a command: an error may say it all.

    Use it as a context manager; at the end of the block what was kept is logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record."""
        self._records.append(record)
        return False

    def drop(self) -> None:
        """Forget what was kept."""
        self._records.clear()

    def release(self) -> None:
        """Log what was kept, and keep no more."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self)
        for record in self._records:
            logging.getLogger(record.name).handle(record)
        self.drop()

    def __enter__(self) -> Self:
        """Begin to keep."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self)
        return self

    def __exit__(self, *raised: object) -> None:
        """Log what was kept."""
        self.release()

"""Which tests run on which servers: the ``live`` marker, ``--vendors``, what is installed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import pytest

from support.servers import COLUMNS, VENDORS, Column, server_class, why_missing


@dataclass(frozen=True)
class Live:
    """What a test's ``live`` marker says.

    Parameters
    ----------
    columns : tuple of Column
        Where it holds.
    reason : str
        Why nowhere else; empty if it holds everywhere.
    """

    columns: tuple[Column, ...]
    reason: str

    @classmethod
    def of(cls, holder: Any) -> Live:
        """Read the marker of an item, or of a function that is being parametrised.

        Raises
        ------
        pytest.UsageError
            If it is absent, names what there is not, or leaves out something without a reason.
        """
        marker = next(iter(holder.iter_markers("live")), None)
        if marker is None:
            raise pytest.UsageError(f"{holder.nodeid} needs @pytest.mark.live")
        return cls._read(holder.nodeid, *marker.args, **marker.kwargs)

    @classmethod
    def _read(cls, where: str, *vendors: str, stock: bool = False, reason: str = "") -> Live:
        columns = tuple(
            column for column in COLUMNS if column.vendor in vendors and (stock or not column.stock)
        )
        if not vendors or set(vendors) - set(VENDORS):
            raise pytest.UsageError(f"{where}: live takes {', '.join(VENDORS)}; got {vendors}")
        if len(columns) < len(COLUMNS) and not reason:
            left = ", ".join(str(column) for column in COLUMNS if column not in columns)
            raise pytest.UsageError(f"{where}: live leaves out {left} and needs a reason")
        return cls(columns, reason)


class Choice:
    """The vendors of this run.

    Parameters
    ----------
    vendors : sequence of str, optional
        Those of ``--vendors``.
    """

    def __init__(self, vendors: Optional[Sequence[str]]) -> None:
        self.vendors = vendors or VENDORS
        self.missing = {
            vendor: reason for vendor in self.vendors if (reason := why_missing(vendor)) is not None
        }

    def chosen(self, live: Live) -> list[Column]:
        """List where a test is to run, whether or not it can."""
        return [column for column in live.columns if column.vendor in self.vendors]

    def skip(self, column: Column) -> Optional[str]:
        """Say why a test is skipped: on a laptop servers may be missing, in CI they may not."""
        if os.environ.get("CI") == "true":
            return None
        return self.missing.get(column.vendor)

    def header(self) -> list[str]:
        """Say in a line for each vendor whether its tests run."""
        return [f"live tests on {vendor}: {state}" for vendor, state in self.states().items()]

    def states(self) -> dict[str, str]:
        """Tell for each vendor which server runs, or why none does."""
        return {vendor: self._state(vendor) for vendor in VENDORS}

    def _state(self, vendor: str) -> str:
        if vendor not in self.vendors:
            return "not run: left out by --vendors"
        if vendor in self.missing:
            return f"not run: {' '.join(self.missing[vendor].split())}"
        server = server_class(vendor)()
        return f"{server.title} {server.version}"


CHOICE = pytest.StashKey[Choice]()
COLUMN = pytest.StashKey[Column]()


def column_of(item: pytest.Item, live: Live) -> Optional[Column]:
    """Tell where a live test runs; None if nowhere, because of ``--vendors``.

    Raises
    ------
    pytest.UsageError
        If it holds for several servers and does not ask for one.
    """
    if "directory" in getattr(item, "fixturenames", ()):
        given = item.callspec.params["directory"]  # type: ignore[attr-defined]  # a function that is parametrised
        # The parameter of a test that is left out everywhere is no column.
        return given if isinstance(given, Column) else None
    if len(live.columns) > 1:
        raise pytest.UsageError(f"{item.nodeid} holds for several servers and asks for none")
    return live.columns[0]

"""The table of goals, and the same for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

__all__ = ["Row", "table", "write"]

_HEAD = ("what", "goal", "measured", "ratio", "met")


@dataclass(frozen=True)
class Row:
    """One goal, and how near we came.

    Parameters
    ----------
    what : str
        What was measured.
    goal : str
        What it should be.
    ratio : float, optional
        What the goal is about; None where there is nothing to compare with.
    limit : float
        What the ratio is to be at the most, or at the least.
    at_least : bool
        Which of the two.
    note : str
        The numbers behind it.
    seconds : dict of str to float
        Medians by subject, for machines.
    """

    what: str
    goal: str
    ratio: Optional[float]
    limit: float
    at_least: bool = False
    note: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def met(self) -> Optional[bool]:
        """Whether the goal is met; None where it was not measured."""
        if self.ratio is None:
            return None
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    def cells(self) -> tuple[str, ...]:
        """Write the row as text."""
        said = {True: "yes", False: "**no**", None: "–"}[self.met]
        ratio = "–" if self.ratio is None else f"{self.ratio:.3g}"
        times = ", ".join(f"{name} {_time(value)}" for name, value in self.seconds.items())
        return self.what, self.goal, "; ".join(filter(None, (times, self.note))), ratio, said


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(rows: Sequence[Row]) -> str:
    """Write a table in Markdown."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write(path: Path, rows: Sequence[Row], about: dict[str, Any]) -> None:
    """Write the rows and what they were measured on as JSON."""
    measured = [{**asdict(row), "met": row.met} for row in rows]
    path.write_text(
        json.dumps({"about": about, "rows": measured}, indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )

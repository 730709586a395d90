"""How many cases of each kind are to run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from typing import Optional

# The share of each kind.
_OF = {"entries": 0.55, "wire": 0.25, "names": 0.2}


@dataclass
class Budget:
    """How many cases of each kind are to run, and how many did.

    Parameters
    ----------
    total : int
        All cases.
    seed : int
        Decides what they are.
    only : int, optional
        The number of the one case on the wire that is to be repeated.
    """

    total: int
    seed: int
    only: Optional[int] = None
    ran: Counter[str] = field(default_factory=Counter)

    def of(self, kind: str) -> int:
        """Return the number of cases of a kind."""
        return ceil(self.total * _OF[kind])

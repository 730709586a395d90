"""Forked children: every store starts anew in them.

A lock that another thread held, or a load that it had under way, at the moment of a fork
would never be let go in the child, which has one thread. So would a connection shared with
the parent mix up two conversations.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["renew_in_children"]


class Renewable(Protocol):
    """What can start anew after a fork."""

    def renew_after_fork(self) -> None:
        """Start anew."""


_ALL: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_children(renewable: Renewable) -> None:
    """Let an object start anew in every forked child, for as long as it lives."""
    _ALL.add(renewable)


def _renew_all() -> None:
    for renewable in list(_ALL):
        renewable.renew_after_fork()


os.register_at_fork(after_in_child=_renew_all)

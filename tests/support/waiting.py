"""Asking again until something holds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from ldapdb import errors

__all__ = ["eventually"]


def eventually(holds: Callable[[], object], seconds: float = 8) -> bool:
    """Ask until it holds, as the host does; a server that is back is found in the background."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(errors.DirectoryUnavailable):
            if holds():
                return True
        time.sleep(0.05)
    return False

"""Instances that took long to make, kept for the next time.

One is in ``.cache/made`` under a name and a hash of all that decides what it is. Any
number of processes may ask at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .machine import CHECKOUT, MACHINE

_MADE = CHECKOUT / ".cache" / "made"


def copy(name: str, decides: Iterable[bytes], make: Callable[[Path], None], target: Path) -> None:
    """Fill a folder with a copy of an instance, which is made if it has to be.

    Parameters
    ----------
    name : str
        What it is called; an older one of the same name is removed.
    decides : iterable of bytes
        Everything that it depends on, besides the packages.
    make : callable
        Makes it in an empty folder.
    target : Path
        An empty folder.
    """
    digest = hashlib.sha256((MACHINE / "packages").read_bytes())
    digest.update((MACHINE / "made-by").read_bytes())
    digest.update(str(os.geteuid()).encode())  # whose the files are
    for part in decides:
        digest.update(hashlib.sha256(part).digest())
    kept = _MADE / f"{name}-{digest.hexdigest()[:16]}"
    with _locked(name):
        if not kept.is_dir():
            _make(name, make, kept)
        subprocess.run(["cp", "-a", f"{kept}/.", str(target)], check=True)


def _make(name: str, make: Callable[[Path], None], kept: Path) -> None:
    for old in [*_MADE.glob(f"{name}-{'[0-9a-f]' * 16}"), _MADE / f"{name}.partial"]:
        shutil.rmtree(old, ignore_errors=True)
    partial = _MADE / f"{name}.partial"
    partial.mkdir()
    make(partial)
    partial.rename(kept)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    _MADE.mkdir(parents=True, exist_ok=True)
    with (_MADE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

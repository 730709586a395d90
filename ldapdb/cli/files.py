"""Files that commands write: whole or not at all, and for their owner alone."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Optional

from ldapdb.errors import LDAPDBError

__all__ = ["writing_to"]


@contextmanager
def writing_to(file: Optional[Path]) -> Iterator[IO[str]]:
    """Open a file that is there, under its name, once all has been written.

    It is UTF-8, which every program reads, whatever this terminal does; line ends are as they
    are written. Only its owner may read the file.

    Parameters
    ----------
    file : Path, optional
        Standard output if None.

    Raises
    ------
    LDAPDBError
        If it cannot be written; what was there before is there still.
    """
    if file is None:
        yield from _standard_output()
        return
    if file.exists() and not file.is_file():  # such as /dev/null, which is no file to replace
        yield from _device(file)
        return
    file = file.resolve()  # a link stays one
    try:
        handle, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                yield stream
            os.replace(partial, file)  # noqa: PTH105 -- both are paths already
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)  # noqa: PTH108 -- as above
            raise
    except OSError as error:
        raise LDAPDBError(f"cannot write {file}: {error.strerror}") from error


def _device(file: Path) -> Iterator[IO[str]]:
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        raise LDAPDBError(f"cannot write {file}: {error.strerror}") from error


def _standard_output() -> Iterator[IO[str]]:
    try:
        sys.stdout.flush()
        out = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
        yield out
        out.detach()  # written out, and not closed
    except OSError as error:
        raise LDAPDBError(f"cannot write standard output: {error.strerror}") from error

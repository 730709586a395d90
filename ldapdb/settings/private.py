"""Files that nobody else may read: the password, and keys."""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Optional

from ldapdb.errors import SettingsError

__all__ = ["check_private", "fingerprint", "read_password"]

_LONGEST = 4096  # octets
_CREDENTIALS = "CREDENTIALS_DIRECTORY"


def read_password(path: Path, setting: str) -> str:
    """Read a password from a file's first line.

    Parameters
    ----------
    path : Path
        The file.
    setting : str
        The setting that names it, for errors.

    Raises
    ------
    SettingsError
        If it is not private, cannot be read, or has an empty first line.
    """
    password = _first_line(path, setting)
    if password is None:
        raise SettingsError(
            f"{setting} {str(path)!r}: its first line is not text in UTF-8, or has more than "
            f"{_LONGEST} octets"
        )
    if not password:
        raise SettingsError(f"{setting} {str(path)!r} has an empty first line")
    return password


def _first_line(path: Path, setting: str) -> Optional[str]:
    """Return None where it is no text: an error about that would carry the password along."""
    try:
        with path.open("rb") as file:
            check_private(path, setting, os.fstat(file.fileno()))
            line = file.readline(_LONGEST + 1)
    except OSError as error:
        raise SettingsError(f"{setting} {str(path)!r}: {error}") from error
    try:
        return line.decode("utf-8").rstrip("\r\n") if len(line) <= _LONGEST else None
    except UnicodeDecodeError:
        return None


def check_private(path: Path, setting: str, status: Optional[os.stat_result] = None) -> None:
    """Refuse a file that others may read, write or put another one in place of.

    The group may read what systemd hands to a service: it gives the right by an access
    control list, and the mode of such a file shows the list's mask as the group's rights
    (systemd.exec(5), under ``LoadCredential=``; acl(5)).

    Parameters
    ----------
    path : Path
        The file; a symbolic link is as good as what it leads to.
    setting : str
        The setting that names it, for errors.
    status : os.stat_result, optional
        What the system says of it; asked for by default.

    Raises
    ------
    SettingsError
        If so, with how to mend it; if it is not there.
    """
    try:
        _check_private(path, setting, status or path.stat())
    except OSError as error:
        raise SettingsError(f"{setting} {str(path)!r}: {error}") from error


def _check_private(path: Path, setting: str, status: os.stat_result) -> None:
    others = stat.S_IRWXG | stat.S_IRWXO
    if _is_credential(path):
        others &= ~stat.S_IRGRP
    if status.st_mode & others:
        raise SettingsError(
            f"{setting} {str(path)!r} can be read or changed by others; run: chmod 600 {path}"
        )
    for folder in {path.absolute().parent, path.resolve().parent}:
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise SettingsError(
                f"{setting} {str(path)!r} can be replaced by others; run: chmod o-w {folder}"
            )


def _is_credential(path: Path) -> bool:
    """Tell whether systemd has put a file there, which it names to the service alone."""
    folder = os.environ.get(_CREDENTIALS)
    return bool(folder) and path.resolve().parent == Path(str(folder)).resolve()


def fingerprint(path: Path) -> Hashable:
    """Return what changes when a file is written, replaced or touched; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

"""What the settings allow that they had better not."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from ldapdb.errors import SettingsError
from ldapdb.settings import Settings
from ldapdb.settings.private import check_private
from ldapdb.store.checking.findings import Finding, ok, problem, warning

__all__ = ["check_settings"]

_SETTINGS = "settings"


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Judge the settings by themselves, before any server is asked."""
    found = [*_of_secrets(settings), *_of_caches(settings)]
    yield from found or [ok(_SETTINGS, "all", "nothing in them is against advice")]


def _of_secrets(settings: Settings) -> Iterator[Finding]:
    if settings.allow_plaintext:
        yield warning(
            _SETTINGS,
            "allow_plaintext",
            "is on: the password may be sent in clear to another machine; take it away",
            "unset LDAPDB_ALLOW_PLAINTEXT",
        )
    if settings.bind_password is not None:
        yield from _of_password(settings)
    if settings.bind_password_file is not None:
        try:
            settings.password()
        except SettingsError as error:
            path = shlex.quote(str(settings.bind_password_file))
            yield problem(_SETTINGS, "bind_password_file", str(error), f"chmod 600 {path}")


def _of_password(settings: Settings) -> Iterator[Finding]:
    """Judge a password that is not in a file of its own."""
    file = settings.config_file
    if file is not None:
        try:
            check_private(file, "config_file")
        except SettingsError as error:
            yield problem(
                _SETTINGS,
                "config_file",
                f"a password may be in it, and {error}",
                f"chmod 600 {shlex.quote(str(file))}",
            )
            return
    yield warning(
        _SETTINGS,
        "bind_password",
        "is in the settings, where more programs see it than in a file of its own: set "
        "bind_password_file in its place",
        _in_a_file(file),
    )


def _in_a_file(config: Optional[Path]) -> str:
    """Write how the password gets into a file of its own, and out of where it is."""
    path = "/etc/ldapdb.password"
    write = f"read -rsp 'Password: ' word && (umask 077 && printf %s \"$word\" >{path})"
    line = r"^ *bind_password *=.*"
    said = [] if config is None else re.findall(line, config.read_text("utf-8"), re.MULTILINE)
    if config is None or not said:
        return f"{write} && unset LDAPDB_BIND_PASSWORD && export LDAPDB_BIND_PASSWORD_FILE={path}"
    if len(said) > 1:  # of several profiles, which have several accounts
        return f"{write} && ${{EDITOR:-vi}} {shlex.quote(str(config))}"
    script = f's|{line}|bind_password_file = "{path}"|'
    return f"{write} && sed -i {shlex.quote(script)} {shlex.quote(str(config))}"


def _of_caches(settings: Settings) -> Iterator[Finding]:
    if settings.cache_ttl_seconds == 0:
        yield warning(
            _SETTINGS,
            "cache_ttl_seconds",
            "is 0: each page of the host asks the directory, and nothing is served while it is "
            "down; 60 is the default, and watch = true shows changes at once",
            "export LDAPDB_CACHE_TTL_SECONDS=60 LDAPDB_WATCH=true",
        )

"""Where settings come from, and names in there that are no settings."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from ldapdb.errors import SettingsError
from ldapdb.settings.private import check_private

__all__ = [
    "CONFIG_FILE",
    "ENVIRONMENT_PREFIX",
    "environment_for_others",
    "refuse_unknown",
    "toml_source",
]

ENVIRONMENT_PREFIX = "LDAPDB_"
CONFIG_FILE = "config_file"


def refuse_unknown(
    model: type[BaseSettings],
    spellings: Iterable[str],
    where: str,
    name_of: Callable[[str], str] = str,
) -> None:
    """Refuse names that are no settings; pydantic-settings overlooks them in the environment.

    Raises
    ------
    SettingsError
        With the nearest name that is one.
    """
    for spelling in spellings:
        name = name_of(spelling)
        if name not in model.model_fields:
            near = difflib.get_close_matches(name, model.model_fields, n=1, cutoff=0.5)
            advice = f"did you mean {near[0]!r}?" if near else "`ldapdb settings` lists all"
            raise SettingsError(f"unknown setting {spelling!r} in the {where}; {advice}")


def toml_source(settings_cls: type[BaseSettings], config_file: Path) -> PydanticBaseSettingsSource:
    """Read a TOML file.

    Raises
    ------
    SettingsError
        If there is none, it is no TOML, or has a key that is no setting; if it has a password
        and is not private.
    """
    if not config_file.is_file():
        raise SettingsError(
            f"config_file {str(config_file)!r}: there is no such file; create it or "
            "correct the name"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic-settings warns of a key it reads itself
            source = TomlConfigSettingsSource(settings_cls, config_file)
    except (OSError, ValueError) as error:
        reason = str(error)  # and no more: the error's frames hold the file's text
    else:
        reason = ""
    if reason:
        raise SettingsError(f"config_file {str(config_file)!r}: {reason}")
    refuse_unknown(settings_cls, list(source.toml_data), f"file {str(config_file)!r}")
    if "bind_password" in source.toml_data:
        check_private(config_file, "config_file, which has bind_password,")
    return source


def environment_for_others() -> dict[str, str]:
    """Return the environment for programs that others wrote: without our password."""
    secret = f"{ENVIRONMENT_PREFIX}BIND_PASSWORD"
    return {name: value for name, value in os.environ.items() if name.upper() != secret}

"""Where settings come from, and names in there that are no settings."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
)

from ldapdb.errors import SettingsError
from ldapdb.settings.private import check_private

__all__ = [
    "CONFIG_FILE",
    "ENVIRONMENT_PREFIX",
    "PROFILE",
    "environment_for_others",
    "list_profiles",
    "refuse_unknown",
    "require_named",
    "require_no_profile",
    "toml_source",
]

ENVIRONMENT_PREFIX = "LDAPDB_"
CONFIG_FILE = "config_file"
PROFILE = "profile"
_PROFILES = "profiles"  # the table of the file that has them


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


def toml_source(
    settings_cls: type[BaseSettings], config_file: Path, profile: Optional[str] = None
) -> PydanticBaseSettingsSource:
    """Read a TOML file: what a profile says counts before what the file says for all.

    Raises
    ------
    SettingsError
        If there is none, it is no TOML, or has a key that is no setting; if it has a password
        and is not private; if it does not have the profile.
    """
    content = _read(settings_cls, config_file)
    profiles = _profiles(content, config_file)
    general = {name: value for name, value in content.items() if name != _PROFILES}
    refuse_unknown(settings_cls, general, f"file {str(config_file)!r}")
    if _has_password(content):
        check_private(config_file, "config_file, which has bind_password,")
    name = profile or general.get(PROFILE)
    chosen = _chosen(profiles, name, config_file) if name else {}
    refuse_unknown(settings_cls, chosen, f"profile {name!r} of file {str(config_file)!r}")
    return InitSettingsSource(settings_cls, {**general, **chosen})


def require_named(profile: Optional[str]) -> None:
    """Refuse a profile without a name: a variable that was not set would choose another directory.

    Raises
    ------
    SettingsError
        If it is empty.
    """
    if profile == "":
        raise SettingsError("profile: is empty; name one, or leave it out")


def require_no_profile(profile: Optional[str]) -> None:
    """Refuse a profile where there is no file that could have it.

    Raises
    ------
    SettingsError
        If there is one.
    """
    if profile:
        raise SettingsError(
            f"profile {profile!r}: is a table of config_file, which is not set; set it"
        )


def list_profiles(config_file: Optional[Path] = None) -> list[str]:
    """List the names of a file's profiles; of the one in the environment by default.

    Raises
    ------
    SettingsError
        If it cannot be read.
    """
    file = config_file or os.environ.get(f"{ENVIRONMENT_PREFIX}{CONFIG_FILE.upper()}")
    return sorted(_profiles(_read(BaseSettings, Path(file)), Path(file))) if file else []


def _read(settings_cls: type[BaseSettings], config_file: Path) -> dict[str, Any]:
    if not config_file.is_file():
        raise SettingsError(
            f"config_file {str(config_file)!r}: there is no such file; create it or "
            "correct the name"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic-settings warns of a key it reads itself
            return TomlConfigSettingsSource(settings_cls, config_file).toml_data
    except (OSError, ValueError) as error:
        reason = str(error)  # and no more: the error's frames hold the file's text
    raise SettingsError(f"config_file {str(config_file)!r}: {reason}")


def _profiles(content: Mapping[str, Any], config_file: Path) -> dict[str, Any]:
    profiles = content.get(_PROFILES, {})
    if not isinstance(profiles, dict) or not all(
        isinstance(each, dict) for each in profiles.values()
    ):
        raise SettingsError(
            f"config_file {str(config_file)!r}: profiles are tables; write [profiles.NAME] above "
            "the settings of each"
        )
    return profiles


def _chosen(profiles: Mapping[str, Any], name: Any, config_file: Path) -> dict[str, Any]:
    if not isinstance(name, str):  # a table, perhaps with a password in it
        raise SettingsError(
            f"profile: must be a name in config_file {str(config_file)!r}; profiles themselves "
            "are tables [profiles.NAME]"
        )
    if name not in profiles:
        there = ", ".join(map(repr, sorted(profiles))) or "none"
        raise SettingsError(
            f"profile {name!r}: config_file {str(config_file)!r} has no [profiles.{name}]; there "
            f"is: {there}"
        )
    chosen: dict[str, Any] = profiles[name]
    for each in (CONFIG_FILE, PROFILE):
        if each in chosen:
            raise SettingsError(
                f"{each}: stands in [profiles.{name}] of {str(config_file)!r}; remove it there"
            )
    return chosen


def _has_password(value: object) -> bool:
    """Tell whether a password stands anywhere, also where it has no business."""
    return isinstance(value, dict) and (
        "bind_password" in value or any(map(_has_password, value.values()))
    )


def environment_for_others() -> dict[str, str]:
    """Return the environment for programs that others wrote: without our password."""
    secret = f"{ENVIRONMENT_PREFIX}BIND_PASSWORD"
    return {name: value for name, value in os.environ.items() if name.upper() != secret}

"""Reading the settings, and saying in one message what is wrong with them."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Union

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from ldapdb.errors import SettingsError
from ldapdb.secrecy import wiped
from ldapdb.settings.model import SECRET, Settings
from ldapdb.settings.private import fingerprint
from ldapdb.settings.sources import ENVIRONMENT_PREFIX, refuse_unknown
from ldapdb.settings.values import NO_LOG_IN

__all__ = ["load"]


def load(**keywords: Any) -> Settings:
    """Read the settings from all sources.

    Parameters
    ----------
    **keywords
        Settings by name; a None is as if it were not given.

    Returns
    -------
    Settings
        All of them, checked.

    Raises
    ------
    SettingsError
        With one message for all that is wrong.
    """
    loaded = _loaded(keywords)
    # Error reporters print the variables of a call that fails.
    keywords.clear()
    if isinstance(loaded, str):
        raise SettingsError(loaded)
    return loaded


@wiped
def _loaded(keywords: dict[str, Any]) -> Union[Settings, str]:
    """Return the settings, or what is wrong with them: an error would hold what was given."""
    given = {name: value for name, value in keywords.items() if value is not None}
    given_by = _origin(given)
    if isinstance(given.get(SECRET), str):
        given[SECRET] = SecretStr(given[SECRET])
    try:
        refuse_unknown(Settings, given, "keyword arguments")
        refuse_unknown(
            Settings,
            [name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX)],
            "environment",
            lambda name: name[len(ENVIRONMENT_PREFIX) :].lower(),
        )
        settings = Settings(**given)
    except ValidationError as error:
        return _explain(error)
    except SettingsError as error:
        return str(error)
    settings.note_origin(given_by or _file_of(settings))
    return settings


def _origin(given: Mapping[str, Any]) -> Hashable:
    """Return where bind_password is given: what differs for another one, and says nothing of it."""
    password = given.get(SECRET)
    if password is not None:
        # The host gives the same object again and again.
        return SECRET, id(
            password.get_secret_value() if isinstance(password, SecretStr) else password
        )
    name = f"{ENVIRONMENT_PREFIX}{SECRET}".upper()
    return name if name in map(str.upper, os.environ) else None


def _file_of(settings: Settings) -> Hashable:
    return None if settings.config_file is None else fingerprint(settings.config_file)


def _explain(error: ValidationError) -> str:
    """Turn pydantic's errors into one message, without a password."""
    lines: dict[str, str] = {}  # the first complaint about a setting; the rest follow from it
    complaints = error.errors(include_url=False, include_context=True, include_input=True)
    with_log_in = _with_log_in(complaints)
    for each in complaints:
        location = each["loc"]
        name = str(location[0]) if location else ""
        message = _without_log_in(str(each.get("ctx", {}).get("error", each["msg"])))
        if not location:  # from _contradictions, which names the setting itself
            lines.setdefault(message, message)
        elif name in with_log_in:  # a password with a comma or a space in it makes several URIs
            lines.setdefault(name, f"{name}: '***@{with_log_in[name]}': {NO_LOG_IN}{_hint(name)}")
        elif each["type"] == "missing":
            lines.setdefault(
                name,
                f"{name}: is not set; give it as a keyword, as {ENVIRONMENT_PREFIX}"
                f"{name.upper()} or in the config_file",
            )
        else:
            shown = _shown(name, each["input"])
            value = f"{shown}: " if shown else ""
            if not shown and each["input"]:
                message = message.replace(str(each["input"]), "***")
            lines.setdefault(name, f"{name}: {value}{message}{_hint(name)}")
    return "wrong settings: " + "; ".join(lines.values())


def _with_log_in(complaints: Iterable[ErrorDetails]) -> dict[str, str]:
    """Return the server's name for each setting in which a log-in stands in front of one."""
    found: dict[str, str] = {}
    for each in complaints:
        name = str(each["loc"][0]) if each["loc"] else ""
        log_in, _, server = str(each["input"]).rpartition("@")
        if name.endswith("uri") and log_in:
            found[name] = found.get(name) or _server(server)
    return found


def _server(text: str) -> str:
    """Return a server's name with its port, or nothing if it is not only that."""
    return text if re.fullmatch(r"[\w.:\[\]-]*", text) else ""


def _shown(name: str, value: Any) -> str:
    """Write a wrong value; nothing if it may be a secret that was given in the wrong place."""
    if name.endswith("_file"):
        # A path, and not a password or a key: it begins as paths do.
        is_path = re.fullmatch(r"(~|\.{0,2})/[^\n]*", str(value)) is not None
        return repr(str(value)) if is_path else ""
    if name.startswith("bind"):
        return ""
    if value and not isinstance(value, (str, int, float)):
        return f"a {type(value).__name__}"  # whatever is in there
    return _without_log_in(repr(value))


def _without_log_in(text: str) -> str:
    """Take out what somebody may have put in front of a server as a log-in."""
    return re.sub(r"//.*@", "//***@", text)


def _hint(name: str) -> str:
    description = Settings.model_fields[name].description or ""
    return f" ({name} is: {description.rstrip('.')})"

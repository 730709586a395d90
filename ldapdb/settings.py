"""The settings: one frozen model, read once at the edge.

Keyword arguments count before environment variables (``LDAPDB_`` and the name), those
before the TOML file that ``config_file`` names, that before the defaults. Whatever is
wrong is said in one :class:`~ldapdb.errors.SettingsError` that names the setting, the
value and the remedy, and never a password: the host shows nothing but its log.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Optional
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ldapdb import filters
from ldapdb.dn import DN
from ldapdb.errors import SettingsError

__all__ = ["ENVIRONMENT_PREFIX", "Settings", "load"]

ENVIRONMENT_PREFIX = "LDAPDB_"
_CONFIG_FILE = "config_file"
_SECRET = "bind_password"  # noqa: S105 -- the setting's name
_URI = re.compile(r"(ldap|ldaps|ldapi)://\S*", re.IGNORECASE)


def _split_uris(value: Any) -> Any:
    """Accept one string with several URIs: no URI contains a space or a bare comma."""
    return tuple(re.split(r"[\s,]+", value.strip())) if isinstance(value, str) else value


def _check_uri(uri: str) -> str:
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError("must begin with ldap://, ldaps:// or ldapi:// and have no spaces")
    scheme = match[1].lower()  # as every question about plain text and TLS expects it
    if scheme != "ldapi" and "@" in uri:  # first, because urlsplit's errors quote what it is given
        raise ValueError("must not contain a user or a password; use bind_dn and bind_password")
    parts = urlsplit(uri)
    if scheme == "ldapi":
        if not unquote(parts.netloc).startswith("/"):
            raise ValueError("must name the socket with its slashes as %2F: ldapi://%2Frun%2Fldapi")
    elif not parts.hostname:
        raise ValueError("names no server")
    else:
        _ = parts.port  # raises ValueError where it is no port
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end after the server's name and port; use base_dn for the base")
    return scheme + uri[len(scheme) :].rstrip("/")


def _check_dn(text: str) -> str:
    if not DN.parse(text).rdns:
        raise ValueError("is empty")
    return text


def _check_filter(text: str) -> str:
    return str(filters.parse(text))


def _check_attribute(text: str) -> str:
    filters.present(text)
    return text


def _check_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("there is no such file, or it may not be read")
    return path


Uris = Annotated[
    tuple[Annotated[str, AfterValidator(_check_uri)], ...], NoDecode, BeforeValidator(_split_uris)
]
DNText = Annotated[str, AfterValidator(_check_dn)]
FilterText = Annotated[str, AfterValidator(_check_filter)]
Attribute = Annotated[str, AfterValidator(_check_attribute)]
File = Annotated[Path, AfterValidator(_check_file)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Timeout = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Settings(BaseSettings):
    """What the operator decides. Each description is the reference that the docs print."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        # The host's own `.env` file is none of our business.
        env_file=None,
    )

    config_file: Optional[Path] = Field(
        None, description="TOML file with settings, as top-level keys."
    )

    uri: Uris = Field(
        min_length=1,
        description="One or more servers, ldap://, ldaps:// or ldapi://, the preferred one first.",
    )
    write_uri: Uris = Field(
        (), description="Where writes go: one provider, and a second for when it is down. "
        "Default: uri."
    )  # fmt: skip
    vendor: Literal["auto", "openldap"] = Field(
        "auto", description="The kind of directory; auto asks the server."
    )

    bind: Optional[Literal["simple", "anonymous", "external", "gssapi"]] = Field(
        None,
        description="How to authenticate: simple (default with bind_dn), anonymous (default "
        "without), external (ldapi peer or client certificate), gssapi (Kerberos).",
    )
    bind_dn: Optional[DNText] = Field(None, description="The account's DN.")
    bind_password: Optional[SecretStr] = Field(
        None, description="Its password. Better: bind_password_file."
    )
    bind_password_file: Optional[File] = Field(
        None,
        description="A file with the password on its first line, readable by nobody else "
        "(mode 0600 or 0400).",
    )

    start_tls: bool = Field(False, description="Turn ldap:// into TLS before anything else.")
    ca_file: Optional[File] = Field(
        None, description="Certificates to trust instead of the system's (PEM)."
    )
    client_cert_file: Optional[File] = Field(
        None, description="Our own certificate (PEM), for bind = external."
    )
    client_key_file: Optional[File] = Field(
        None, description="Its key (PEM), if it is not in client_cert_file."
    )
    allow_plaintext: bool = Field(
        False, description="Send the password without TLS to another machine. Don't."
    )

    base_dn: DNText = Field(description="The entry below which applications and grants are kept.")
    applications_base: Optional[DNText] = Field(
        None, description="Where applications are searched. Default: ou=applications,<base_dn>."
    )
    grants_base: Optional[DNText] = Field(
        None, description="Where grants are searched. Default: ou=grants,<base_dn>."
    )
    group_object_class: Optional[Attribute] = Field(
        None, description="Structural class of new entries. Default: by vendor."
    )

    users_base: Optional[DNText] = Field(
        None, description="Where users are searched. Default: the naming context of base_dn."
    )
    users_filter: Optional[FilterText] = Field(
        None, description="What a user is. Default: by vendor."
    )
    user_name_attribute: Optional[Attribute] = Field(
        None, description="The attribute that the login name is in. Default: by vendor."
    )
    user_id_attribute: Optional[Attribute] = Field(
        None,
        description="The stable identifier that ids are made from: entryUUID (default) or "
        "uidNumber.",
    )

    groups_base: Optional[DNText] = Field(
        None, description="Where groups are searched. Default: the naming context of base_dn."
    )
    groups_filter: Optional[FilterText] = Field(
        None, description="What a group is. Default: by vendor."
    )
    group_member_attribute: Attribute = Field(
        "member", description="The attribute of a group that holds its members' DNs."
    )
    nested_groups: bool = Field(True, description="Whether groups in groups count, to any depth.")

    cache_ttl_seconds: Seconds = Field(60, description="How long an answer is good.")
    cache_negative_ttl_seconds: Seconds = Field(10, description='How long "no such user" is good.')
    cache_max_stale_seconds: Seconds = Field(
        600, description="How long past its TTL an answer may serve while no server answers."
    )
    cache_max_entries: Annotated[int, Field(ge=1)] = Field(
        10_000, description="How many answers each cache holds."
    )

    connect_timeout_seconds: Timeout = Field(
        2, description="How long a server may take to accept a connection and its log-in."
    )
    operation_timeout_seconds: Timeout = Field(
        5, description="How long one call may take in all, retries and failover included."
    )
    page_size: Annotated[int, Field(ge=1, le=100_000)] = Field(
        500, description="How many entries a server sends at a time."
    )
    watch: bool = Field(
        False, description="Follow changes as they happen. Not in this release: leave it off."
    )
    read_only: bool = Field(False, description="Never write, whatever the account may do.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the sources in order: keywords, environment, TOML file."""
        config_file = init_settings().get(_CONFIG_FILE) or env_settings().get(_CONFIG_FILE)
        if not config_file:
            return init_settings, env_settings
        return init_settings, env_settings, _toml_source(settings_cls, Path(config_file))

    @model_validator(mode="after")
    def _contradictions(self) -> Settings:
        for complaint in (*self._wrong_bind(), *self._wrong_tls(), *self._wrong_other()):
            raise ValueError(complaint)
        return self

    @property
    def authentication(self) -> str:
        """The bind method, with the default filled in."""
        return self.bind or ("simple" if self.bind_dn else "anonymous")

    @property
    def write_uris(self) -> tuple[str, ...]:
        """The servers for writes, with the default filled in."""
        return self.write_uri or self.uri

    def password(self) -> str:
        """Read the password from where it is kept.

        Raises
        ------
        SettingsError
            If its file is empty or open to others.
        """
        if self.bind_password is not None:
            return self.bind_password.get_secret_value()
        path = self.bind_password_file
        assert path is not None  # noqa: S101 -- simple bind has one of the two, see _wrong_bind
        try:
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise SettingsError(
                    f"bind_password_file {str(path)!r} can be read by others; run: chmod 600 {path}"
                )
            password = path.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"bind_password_file {str(path)!r}: {error}") from error
        if not password:
            raise SettingsError(f"bind_password_file {str(path)!r} has an empty first line")
        return password

    def _wrong_bind(self) -> list[str]:
        method, complaints = self.authentication, []
        passwords = [
            name for name in (_SECRET, "bind_password_file") if getattr(self, name) is not None
        ]
        if method == "simple":
            if self.bind_dn is None:
                complaints.append("bind: simple needs bind_dn; set it")
            if not passwords:
                complaints.append(
                    "bind_password_file: the simple bind of bind_dn needs a password; set "
                    "bind_password_file (better) or bind_password"
                )
            if self.bind_password is not None and not self.bind_password.get_secret_value():
                complaints.append(
                    "bind_password: is empty, which directories take for an anonymous bind; "
                    "set a password"
                )
        elif passwords or self.bind_dn is not None:
            given = ["bind_dn"] * (self.bind_dn is not None) + passwords
            complaints.append(
                f"bind: {method} takes no {' and no '.join(given)}; "
                f"remove {'it' if len(given) == 1 else 'them'} or set bind = 'simple'"
                + (" with bind_dn" if self.bind_dn is None else "")
            )
        if len(passwords) > 1:
            complaints.append("bind_password_file: contradicts bind_password; keep one of them")
        return complaints

    def _wrong_tls(self) -> list[str]:
        complaints = []
        uris = (*self.uri, *self.write_uri)
        if self.start_tls and not any(uri.startswith("ldap://") for uri in uris):
            complaints.append("start_tls: is for ldap:// and no server in uri has it; remove it")
        if self.client_key_file is not None and self.client_cert_file is None:
            complaints.append("client_key_file: needs client_cert_file; set it")
        if self.authentication == "external" and self.client_cert_file is None:
            complaints += [
                f"bind: external to {uri!r} needs client_cert_file; set it or use ldapi://"
                for uri in uris
                if not uri.startswith("ldapi://")
            ]
        if self.authentication == "simple" and not self.start_tls and not self.allow_plaintext:
            complaints += [
                f"uri: {uri!r} would carry the password in clear; use ldaps://, or set "
                "start_tls = true (or, against all advice, allow_plaintext = true)"
                for uri in uris
                if uri.startswith("ldap://") and not _is_loopback(uri)
            ]
        return complaints

    def _wrong_other(self) -> list[str]:
        complaints = []
        if self.watch:
            complaints.append("watch: this release cannot follow changes; set watch = false")
        if (
            "connect_timeout_seconds" in self.model_fields_set
            and self.connect_timeout_seconds > self.operation_timeout_seconds
        ):
            complaints.append(
                f"connect_timeout_seconds: {self.connect_timeout_seconds:g} is longer than "
                f"operation_timeout_seconds, {self.operation_timeout_seconds:g}, which it is "
                "part of; lower it"
            )
        return complaints


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
    given = {name: value for name, value in keywords.items() if value is not None}
    _refuse_unknown(given, "keyword arguments", str)
    _refuse_unknown(
        {name: "" for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX)},
        "environment",
        lambda name: name[len(ENVIRONMENT_PREFIX) :].lower(),
    )
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _refuse_unknown(given: Mapping[str, Any], where: str, name_of: Any) -> None:
    for spelling in given:
        name = name_of(spelling)
        if name not in Settings.model_fields:
            raise SettingsError(f"unknown setting {spelling!r} in the {where}{_nearest(name)}")


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else "; `ldapdb settings` lists all"


def _toml_source(settings_cls: type[BaseSettings], config_file: Path) -> PydanticBaseSettingsSource:
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
        raise SettingsError(f"config_file {str(config_file)!r}: {error}") from error
    _refuse_unknown(source.toml_data, f"file {str(config_file)!r}", str)
    return source


def _explain(error: ValidationError) -> str:
    """Turn pydantic's errors into one message, without a password."""
    lines: dict[str, str] = {}  # the first complaint about a setting; the rest follow from it
    for each in error.errors(include_url=False, include_context=True, include_input=True):
        location = each["loc"]
        name = str(location[0]) if location else ""
        message = str(each.get("ctx", {}).get("error", each["msg"]))
        if not location:  # from _contradictions, which names the setting itself
            lines.setdefault(message, message)
        elif each["type"] == "missing":
            lines.setdefault(
                name,
                f"{name}: is not set; give it as a keyword, as {ENVIRONMENT_PREFIX}"
                f"{name.upper()} or in the config_file",
            )
        else:
            value = "" if name == _SECRET else f"{_shown(name, each['input'])}: "
            lines.setdefault(name, f"{name}: {value}{message}{_hint(name)}")
    return "wrong settings: " + "; ".join(lines.values())


def _shown(name: str, value: Any) -> str:
    """Show a value, but never what somebody put in front of the server as a log-in."""
    text = repr(str(value) if isinstance(value, Path) else value)
    if "//" in text:
        return re.sub(r"//.*@", "//***@", text)
    return re.sub(r"^(.).*@", r"\1***@", text) if name.endswith("uri") else text


def _hint(name: str) -> str:
    description = Settings.model_fields[name].description or ""
    return f" ({name} is: {description.rstrip('.')})"


def _is_loopback(uri: str) -> bool:
    hostname = urlsplit(uri).hostname or ""
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"

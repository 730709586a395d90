"""The settings themselves, their defaults, and what contradicts what."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Optional

from pydantic import Field, PrivateAttr, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ldapdb.errors import SettingsError
from ldapdb.settings.private import fingerprint, read_password
from ldapdb.settings.sources import (
    CONFIG_FILE,
    ENVIRONMENT_PREFIX,
    PROFILE,
    require_named,
    require_no_profile,
    toml_source,
)
from ldapdb.settings.values import (
    ACCOUNT_NAME,
    Attribute,
    Attributes,
    BindName,
    DNText,
    DNTexts,
    File,
    FilterText,
    PrincipalText,
    Seconds,
    Timeout,
    Uris,
    is_loopback,
)
from ldapdb.vendors import possible

__all__ = ["SECRET", "Settings"]

SECRET = "bind_password"  # noqa: S105 -- the setting's name


with warnings.catch_warnings():
    # pydantic warns of a field with the name of its deprecated method BaseModel.schema, for
    # which it is no matter.
    warnings.simplefilter("ignore")

    class _Schema(BaseSettings):
        model_config = SettingsConfigDict(defer_build=True)  # never used by itself

        schema: Literal["remoteapp", "stock"] = Field(  # type: ignore[assignment]  # as above
            "remoteapp",
            description="How applications and grants are written: remoteapp, with the classes "
            "of ldif/; stock, as a line in the description of plain groups.",
        )


class Settings(_Schema):
    """What the operator decides. Each description is the reference that the docs print."""

    model_config = SettingsConfigDict(
        defer_build=False,
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
    profile: Optional[str] = Field(
        None,
        description="Which table [profiles.NAME] of config_file counts before its top-level keys.",
    )

    uri: Uris = Field(
        min_length=1,
        description="One or more servers, ldap://, ldaps:// or ldapi://, the preferred one first.",
    )
    write_uri: Uris = Field(
        (), description="Where writes go: one provider, and a second for when it is down. "
        "Default: uri."
    )  # fmt: skip
    vendor: Literal["auto", "openldap", "389ds", "ad"] = Field(
        "auto", description="The kind of directory; auto asks the server."
    )

    bind: Optional[Literal["simple", "anonymous", "external", "gssapi"]] = Field(
        None,
        description="How to authenticate: simple (default with bind_dn), anonymous (default "
        "without), external (ldapi peer or client certificate), gssapi (Kerberos).",
    )
    bind_dn: Optional[BindName] = Field(
        None,
        description="The account's DN; on Active Directory also user@domain or DOMAIN\\user.",
    )
    bind_password: Optional[SecretStr] = Field(
        None, description="Its password. Better: bind_password_file."
    )
    bind_password_file: Optional[File] = Field(
        None,
        description="A file with the password on its first line, readable by nobody else "
        "(mode 0600 or 0400). It is read at each log-in.",
    )

    kerberos_principal: Optional[PrincipalText] = Field(
        None,
        description="Whom bind = gssapi logs in. Default: whose ticket there is, or the first "
        "of keytab_file.",
    )
    keytab_file: Optional[File] = Field(
        None,
        description="A keytab with its key, readable by nobody else, with which tickets are got "
        "and renewed. Default: the tickets of kinit, or KRB5_CLIENT_KTNAME.",
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
    licences_in_description: bool = Field(
        False,
        description="Whether schema = stock may write licence keys into description, which most "
        "directories let all users read. See ldapdb check --as-user.",
    )
    group_object_class: Optional[Attribute] = Field(
        None, description="Structural class of new entries. Default: by vendor."
    )

    users_base: Optional[DNTexts] = Field(
        None,
        description="Where users are searched: a DN, or a list of them. Default: the naming "
        "context of base_dn.",
    )
    users_filter: Optional[FilterText] = Field(
        None, description="What a user is. Default: by vendor."
    )
    user_name_attribute: Optional[Attributes] = Field(
        None,
        description="The attribute that the login name is in, or several, the preferred one "
        "first. Default: by vendor.",
    )
    user_id_attribute: Optional[Attribute] = Field(
        None,
        description="The stable identifier that ids are made from. Default: by vendor; or "
        "uidNumber.",
    )

    groups_base: Optional[DNText] = Field(
        None, description="Where groups are searched. Default: the naming context of base_dn."
    )
    groups_filter: Optional[FilterText] = Field(
        None, description="What a group is. Default: by vendor."
    )
    group_member_attribute: Attribute = Field(
        "member",
        description="Where a group keeps its members: DNs, such as in member or uniqueMember, or "
        "login names in memberUid. member counts in any case.",
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
    max_answer_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 31)] = Field(
        1 << 26,
        description="How large an answer of a server, or a page of one, may be. A larger answer "
        "ends the connection. In memory it takes about four times as much.",
    )
    watch: bool = Field(
        False,
        description="Follow changes as they happen, so that an answer from memory is never older "
        "than the last change.",
    )
    watch_poll_seconds: Timeout = Field(
        2,
        description="How often a directory is asked that does not tell of changes by itself, such "
        "as Active Directory.",
    )
    watch_max_users: Annotated[int, Field(ge=0)] = Field(
        200_000,
        description="While changes are followed, the list of all users is kept up to date in "
        "memory, unless there are more than this.",
    )
    read_only: bool = Field(False, description="Never write, whatever the account may do.")

    # What was loaded, for copies that name one server alone, as for a check of each.
    _servers: frozenset[str] = PrivateAttr(frozenset())
    # Where bind_password was given: changes when it may be another one.
    _given_by: Hashable = PrivateAttr(None)

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
        config_file, profile = (
            init_settings().get(name) or env_settings().get(name) for name in (CONFIG_FILE, PROFILE)
        )
        require_named(init_settings().get(PROFILE))
        if not config_file:
            require_no_profile(profile)
            return init_settings, env_settings
        file = toml_source(settings_cls, Path(config_file), profile)
        return init_settings, env_settings, file

    @model_validator(mode="after")
    def _contradictions(self) -> Settings:
        for complaint in (
            *self._wrong_bind(), *self._wrong_kerberos(), *self._wrong_tls(), *self._wrong_other()
        ):  # fmt: skip
            raise ValueError(complaint)
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: that would write the password down.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError("settings may hold a password and are not pickled; load them again")

    @property
    def authentication(self) -> str:
        """The bind method, with the default filled in."""
        return self.bind or ("simple" if self.bind_dn else "anonymous")

    @property
    def write_uris(self) -> tuple[str, ...]:
        """The servers for writes, with the default filled in."""
        return self.write_uri or self.uri

    @property
    def servers(self) -> frozenset[str]:
        """All servers that were loaded, for reads and writes."""
        return self._servers or frozenset((*self.uri, *self.write_uri))

    def note_origin(self, given_by: Hashable) -> None:
        """Note where these settings come from; see :meth:`password_source`."""
        self._given_by = given_by
        self._servers = self.servers

    def password_source(self) -> Hashable:
        """Return what changes when the password may have changed; nothing is derived from it."""
        if self.bind_password_file is not None:
            return fingerprint(self.bind_password_file)
        return self._given_by

    def password(self) -> str:
        """Read the password from where it is kept, anew each time.

        Raises
        ------
        SettingsError
            If its file is empty or open to others.
        """
        if self.bind_password is not None:
            return self.bind_password.get_secret_value()
        assert self.bind_password_file is not None  # noqa: S101 -- simple bind has one of the two, see _wrong_bind
        return read_password(self.bind_password_file, "bind_password_file")

    def as_account(self, dn: str, password: SecretStr) -> Settings:
        """Return the same settings with the simple bind of another account.

        Raises
        ------
        SettingsError
            If its password would be sent in clear.
        """
        settings = self.model_copy(
            update={
                "bind": "simple",
                "bind_dn": dn,
                SECRET: password,
                "bind_password_file": None,
                "kerberos_principal": None,
                "keytab_file": None,
            }
        )
        for complaint in settings._wrong_tls():  # noqa: SLF001 -- of the same class
            raise SettingsError(complaint)
        return settings

    def _wrong_bind(self) -> list[str]:
        method, complaints = self.authentication, self._wrong_name()
        passwords = [
            name for name in (SECRET, "bind_password_file") if getattr(self, name) is not None
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

    def _wrong_name(self) -> list[str]:
        if self.bind_dn is None or not ACCOUNT_NAME.fullmatch(self.bind_dn):
            return []
        if any(vendor.takes_account_names for vendor in possible(self.vendor)):
            return []
        return [
            (
                f"bind_dn: {self.bind_dn!r} is not a DN; only Active Directory takes user@domain "
                "or DOMAIN\\user: write the account's whole DN"
            )
        ]

    def _wrong_kerberos(self) -> list[str]:
        if self.authentication != "gssapi":
            return [
                f"{name}: is for bind = 'gssapi'; remove it or set that"
                for name in ("kerberos_principal", "keytab_file")
                if getattr(self, name) is not None
            ]
        return [
            f"bind: gssapi to {uri!r} is not possible, Kerberos has tickets for names; use ldap:// "
            "or ldaps:// with the server's name, or bind = 'external'"
            for uri in (*self.uri, *self.write_uri)
            if uri.startswith("ldapi://")
        ]

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
                if uri.startswith("ldap://") and not is_loopback(uri)
            ]
        return complaints

    def _wrong_other(self) -> list[str]:
        complaints = []
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

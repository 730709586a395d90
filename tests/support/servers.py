"""The servers that tests run on: which there are, and one of each for the whole session."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Optional, Protocol

from ldapdb.embedded import SUFFIX, EmbeddedDirectory, Slapd
from ldapdb.errors import LDAPDBError

VENDORS = ("openldap", "389ds", "ad")


class Server(Protocol):
    """A private directory server, as ``ldapdb.embedded`` and ``servers`` have them."""

    @property
    def vendor(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def schema(self) -> bool: ...
    @property
    def uri(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def admin_dn(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def users_base(self) -> str: ...
    @property
    def groups_base(self) -> str: ...
    @property
    def base_dn(self) -> str: ...
    def database_kwargs(self) -> dict[str, Any]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def ldapmodify(self, ldif: str, *options: str) -> None: ...
    @classmethod
    def missing(cls) -> Optional[str]: ...


@dataclass
class OpenLDAP(EmbeddedDirectory):
    """OpenLDAP, as the demo starts it."""

    sample: bool = False

    vendor = "openldap"
    title = "OpenLDAP"
    suffix = SUFFIX

    @classmethod
    def missing(cls) -> Optional[str]:
        """Say why it cannot run here; None if it can."""
        try:
            Slapd.find()
        except LDAPDBError as error:
            return str(error)
        return None

    @cached_property
    def version(self) -> str:
        """Its version, as it says itself."""
        said = subprocess.run(
            [str(self._slapd.program), "-VV"], capture_output=True, text=True, check=False
        )
        return (said.stderr + said.stdout).partition("slapd ")[2].split()[0].partition("+")[0]


@dataclass(frozen=True)
class Column:
    """One server and one way of keeping policy: a column of the matrix."""

    vendor: str
    stock: bool = False

    def __str__(self) -> str:
        return f"{self.vendor}-stock" if self.stock else self.vendor


COLUMNS = tuple(Column(vendor, stock) for stock in (False, True) for vendor in VENDORS)


def server_class(vendor: str) -> Any:
    """Return the class that starts a vendor's server."""
    if vendor == "openldap":
        return OpenLDAP
    return getattr(importlib.import_module("servers"), {"389ds": "DS389", "ad": "SambaAD"}[vendor])


def why_missing(vendor: str) -> Optional[str]:
    """Say why a vendor's server cannot run here; None if it can."""
    try:
        reason: Optional[str] = server_class(vendor).missing()
    except ModuleNotFoundError as error:
        return str(error)
    return reason


def parse_vendors(text: str) -> Sequence[str]:
    """Read the value of ``--vendors``."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in VENDORS]
    if unknown or not names:
        raise ValueError(f"--vendors takes {', '.join(VENDORS)}, and not {text!r}")
    return names

"""The forms that the values of settings have."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from ldapdb.protocol import filters
from ldapdb.protocol.dn import DN

__all__ = [
    "ACCOUNT_NAME",
    "NO_LOG_IN",
    "Attribute",
    "Attributes",
    "BindName",
    "DNText",
    "DNTexts",
    "File",
    "FilterText",
    "PrincipalText",
    "Seconds",
    "Timeout",
    "Uris",
    "is_loopback",
]


# user@domain or DOMAIN\user, by which Active Directory knows accounts (MS-ADTS, 5.1.1.1.1).
ACCOUNT_NAME = re.compile(r"[^\s@\\=,]+@[^\s@\\=,]+|[^\s@\\=,/]+\\[^\s@\\=,/]+")
NO_LOG_IN = "must not contain a user or a password; use bind_dn and bind_password"
_URI = re.compile(r"(ldap|ldaps|ldapi)://\S*", re.IGNORECASE)


def _split(value: Any) -> Any:
    """Accept several in one string: no URI or attribute has a space or a bare comma in it."""
    return tuple(re.split(r"[\s,]+", value.strip())) if isinstance(value, str) else value


def _split_dns(value: Any) -> Any:
    """Accept one DN, or a JSON list where only text can be given, as in the environment."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return (value,)
    try:
        return tuple(json.loads(value))
    except ValueError as error:
        raise ValueError(f"is no JSON list of DNs: {error}") from None


def _check_uri(uri: str) -> str:
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError("must begin with ldap://, ldaps:// or ldapi:// and have no spaces")
    scheme: str = match[1].lower()  # as every question about plain text and TLS expects it
    if scheme != "ldapi" and "@" in uri:  # first, because urlsplit's errors quote what it is given
        raise ValueError(NO_LOG_IN)
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


def _check_name(text: str) -> str:
    return text if ACCOUNT_NAME.fullmatch(text) else _check_dn(text)


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
    tuple[Annotated[str, AfterValidator(_check_uri)], ...], NoDecode, BeforeValidator(_split)
]
DNText = Annotated[str, AfterValidator(_check_dn)]
BindName = Annotated[str, AfterValidator(_check_name)]
DNTexts = Annotated[tuple[DNText, ...], NoDecode, BeforeValidator(_split_dns), Field(min_length=1)]
PrincipalText = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f]+$")]
FilterText = Annotated[str, AfterValidator(_check_filter)]
Attribute = Annotated[str, AfterValidator(_check_attribute)]
Attributes = Annotated[
    tuple[Attribute, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)
]
File = Annotated[Path, AfterValidator(_check_file)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Timeout = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


def is_loopback(uri: str) -> bool:
    """Tell whether a URI's server is this machine."""
    hostname = urlsplit(uri).hostname or ""
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"

"""What is in a directory, as ``ldapsearch`` prints it, and changes for ``ldapmodify``."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Entry", "Place", "addition", "line", "read", "write"]

# Attributes that a server returns only when they are named.
_ASKED = ("*", "+", "nsUniqueId", "nsAccountLock", "entryUUID", "memberOf")


@dataclass(frozen=True)
class Place:
    """A server, its administrator, and where things are."""

    vendor: str
    uri: str
    admin_dn: str
    password: str
    suffix: str
    users_base: str
    groups_base: str
    base_dn: str

    @property
    def applications_base(self) -> str:
        return f"ou=applications,{self.base_dn}"

    @property
    def grants_base(self) -> str:
        return f"ou=grants,{self.base_dn}"


@dataclass(frozen=True)
class Entry:
    """One entry: attribute descriptions, options included, in small letters."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]

    def raw(self, name: str) -> list[bytes]:
        """Return the values of an attribute without options."""
        return list(self.attributes.get(name.lower(), ()))

    def texts(self, name: str) -> list[str]:
        """Return the values of an attribute that are text."""
        return [text for value in self.raw(name) if (text := _text(value)) is not None]

    @property
    def classes(self) -> frozenset[str]:
        return frozenset(each.lower() for each in self.texts("objectClass"))


def read(place: Place) -> list[Entry]:
    """Read all entries below the suffix.

    Raises
    ------
    RuntimeError
        If ldapsearch fails.
    """
    base = ["-b", place.suffix, "-s", "sub", "-E", "pr=500/noprompt"]
    options = ["-LLL", "-o", "ldif-wrap=no", "-M"]
    done = _run(place, "ldapsearch", *options, *base, "(objectClass=*)", *_ASKED)
    if done.returncode:
        raise RuntimeError(f"ldapsearch at {place.uri} failed: {done.stderr.decode()}")
    return list(_parsed(done.stdout.decode()))


def write(place: Place, records: Iterable[str]) -> None:
    """Apply change records; a server that rejects one gets the next."""
    _run(place, "ldapmodify", "-c", "-M", text="\n".join(records))


def line(attribute: str, value: str) -> str:
    """Write one line of LDIF."""
    is_safe = value.isascii() and value.isprintable() and value[:1] not in {" ", ":", "<"}
    if is_safe and not value.endswith(" "):
        return f"{attribute}: {value}\n"
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}\n"


def addition(dn: str, attributes: Mapping[str, Sequence[str]]) -> str:
    """Write the record of a new entry."""
    lines = (line(name, value) for name, values in attributes.items() for value in values)
    return f"{line('dn', dn)}changetype: add\n{''.join(lines)}"


def _run(
    place: Place, tool: str, *options: str, text: str = ""
) -> subprocess.CompletedProcess[bytes]:
    with tempfile.TemporaryDirectory(prefix="ldapdb-oracle-") as folder:
        password = Path(folder) / "password"
        password.touch(mode=0o600)
        password.write_text(place.password, encoding="utf-8")
        command = [tool, "-x", "-H", place.uri, "-D", place.admin_dn, "-y", str(password)]
        return subprocess.run(
            [*command, *options], input=text.encode(), capture_output=True, check=False
        )


def _parsed(text: str) -> Iterator[Entry]:
    for block in text.split("\n\n"):
        dn, attributes = "", dict[str, list[bytes]]()
        for each in block.splitlines():
            name, colon, rest = each.partition(":")
            if each.startswith("#") or not colon:
                continue
            value = (
                base64.b64decode(rest[1:]) if rest.startswith(":") else rest.lstrip(" ").encode()
            )
            if name == "dn":
                dn = value.decode()
            else:
                attributes.setdefault(name.lower(), []).append(value)
        if dn:
            yield Entry(dn, attributes)


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None

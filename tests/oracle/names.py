"""Distinguished names: parsing (RFC 4514), and equality as each server defines it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Optional

__all__ = ["Key", "avas", "dn_key", "is_below", "text_key"]

# The RDNs from the entry up, each as a set of attribute and value.
Key = tuple[frozenset[tuple[str, str]], ...]

# OpenLDAP knows an attribute type by all of its names (RFC 4519); the other two compare the text.
_SYNONYMS = {
    "userid": "uid",
    "0.9.2342.19200300.100.1.1": "uid",
    "commonname": "cn",
    "2.5.4.3": "cn",
    "surname": "sn",
    "2.5.4.4": "sn",
    "organizationalunitname": "ou",
    "2.5.4.11": "ou",
    "organizationname": "o",
    "2.5.4.10": "o",
    "domaincomponent": "dc",
    "0.9.2342.19200300.100.1.25": "dc",
}
_SPACES = re.compile(" +")
_HEX = re.compile("[0-9a-fA-F]{2}")


def text_key(text: str, vendor: str) -> str:
    """Return what equal values of a case-insensitive attribute have in common."""
    if vendor == "openldap":
        text = unicodedata.normalize("NFKC", text)
    return _SPACES.sub(" ", text).strip(" ").lower()


def dn_key(text: str, vendor: str) -> Optional[Key]:
    """Return what equal names have in common; None if the text is not a name."""
    try:
        rdns = list(_rdns(text))
    except ValueError:
        return None
    return tuple(
        frozenset((_type_key(name, vendor), text_key(value, vendor)) for name, value in rdn)
        for rdn in rdns
    )


def avas(text: str) -> list[tuple[str, str]]:
    """Return the attributes and values of the first RDN."""
    return next(_rdns(text), [])


def is_below(key: Key, base: Key) -> bool:
    """Return whether an entry is a base or below it."""
    return len(base) == 0 or key[-len(base) :] == base


def _type_key(name: str, vendor: str) -> str:
    lower = name.lower()
    return _SYNONYMS.get(lower, lower) if vendor == "openldap" else lower


def _rdns(text: str) -> Iterator[list[tuple[str, str]]]:
    if not text.strip():
        return
    for rdn in _split(text, ","):
        yield [_ava(each) for each in _split(rdn, "+")]


def _split(text: str, separator: str) -> list[str]:
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def _ava(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(text)
    return name.strip(), _value(value)


def _value(text: str) -> str:
    """Remove the spaces around a value, and its escapes."""
    text = text.lstrip(" ")
    found = bytearray()
    kept, position = 0, 0  # nothing is stripped before `kept`
    while position < len(text):
        char = text[position]
        if char != "\\":
            found += char.encode()
            position += 1
            continue
        escaped = text[position + 1 : position + 3]
        if _HEX.fullmatch(escaped):
            found.append(int(escaped, 16))
            position += 3
        else:
            found += text[position + 1 : position + 2].encode()
            position += 2
        kept = len(found)
    while len(found) > kept and found.endswith(b" "):
        del found[-1:]
    return found.decode()

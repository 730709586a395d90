"""LDIF text (RFC 2849): what ldapmodify takes, with every value safe."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

Values = Mapping[str, Sequence[str]]
# Add, delete or replace; an attribute; values.
Step = tuple[str, str, Sequence[str]]


def line(attribute: str, value: str) -> str:
    """Write one value; in base64 where plain text would not survive."""
    if _is_safe(value):
        return f"{attribute}:{' ' if value else ''}{value}\n"
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}\n"


def addition(dn: str, attributes: Values) -> str:
    """Write the record of a new entry."""
    lines = (line(*pair) for pair in _pairs(attributes))
    return f"{line('dn', dn)}changetype: add\n{''.join(lines)}\n"


def _pairs(attributes: Values) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, values in attributes.items() for value in values)


def _is_safe(value: str) -> bool:
    """Tell whether it is a SAFE-STRING; a space at the end would be lost on readers."""
    return (
        value.isascii()
        and value.isprintable()
        and not value.startswith((" ", ":", "<"))
        and not value.endswith(" ")
    )

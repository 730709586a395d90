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
    return _record(dn, "add", (line(*pair) for pair in _pairs(attributes)))


def modification(dn: str, *steps: Step) -> str:
    """Write a change of an entry."""
    lines = []
    for what, attribute, values in steps:
        lines += [f"{what}: {attribute}\n", *(line(attribute, value) for value in values), "-\n"]
    return _record(dn, "modify", lines)


def renaming(dn: str, newrdn: str, newsuperior: str | None) -> str:
    """Write the record that renames an entry, and moves it where a new superior is given."""
    lines = [line("newrdn", newrdn), "deleteoldrdn: 1\n"]
    if newsuperior is not None:
        lines.append(line("newsuperior", newsuperior))
    return _record(dn, "modrdn", lines)


def deletion(dn: str) -> str:
    """Write the record that removes an entry."""
    return _record(dn, "delete", ())


def _record(dn: str, change: str, lines: Iterable[str]) -> str:
    return f"{line('dn', dn)}changetype: {change}\n{''.join(lines)}\n"


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

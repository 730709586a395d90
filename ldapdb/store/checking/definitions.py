"""Definitions of attributes and classes, taken apart to be compared (RFC 4512, section 4.1).

Pure: what the server says and what ``ldif/`` says come as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Definition", "differences", "read_definitions", "read_ldif", "read_records"]

_TOKEN = re.compile(r"'([^']*)'|([()])|([^\s()']+)")
# What decides how values are kept and compared, and what an entry must have. Words, their
# order, and where a definition comes from (DESC, X-ORIGIN) do not.
_FLAGS = frozenset({"SINGLE-VALUE", "AUXILIARY", "STRUCTURAL", "ABSTRACT", "COLLECTIVE"})
_VALUES = frozenset({"NAME", "EQUALITY", "ORDERING", "SUBSTR", "SYNTAX", "SUP", "MUST", "MAY"})
_IGNORED = frozenset({"DESC", "USAGE"})

Said = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Definition:
    """One attribute or class.

    Parameters
    ----------
    name : str
        As it is spelled.
    oid : str
        Its number.
    said : mapping of str to frozenset of str
        All else that matters, in lower case, by keyword.
    """

    name: str
    oid: str
    said: Said


def read_definitions(texts: Iterable[str]) -> dict[str, Definition]:
    """Take definitions apart; return them by lower-case name."""
    read = map(_read, texts)
    return {each.name.lower(): each for each in read}


def read_ldif(text: str, attribute: str) -> list[str]:
    """Return the values of an attribute in an LDIF of ``ldif/``, unfolded."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    unfolded = re.sub(r"\n ", "", "\n".join(lines))
    return re.findall(rf"^{attribute}: (.*)$", unfolded, re.MULTILINE | re.IGNORECASE)


def read_records(text: str) -> list[dict[str, list[str]]]:
    """Return the entries of an LDIF, with their values by lower-case attribute."""
    unfolded = re.sub(r"\n ", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    records = []
    for block in re.split(r"\n\s*\n", unfolded.strip()):
        record: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            record.setdefault(name.lower(), []).append(value.lstrip(": "))
        records.append(record)
    return records


def differences(ours: Definition, theirs: Definition) -> list[str]:
    """Say in which keywords a server's definition differs from ours."""
    found = []
    if ours.oid != theirs.oid:
        found.append(f"its number is {theirs.oid}")
    for keyword in sorted({*ours.said, *theirs.said}):
        wanted, has = ours.said.get(keyword), theirs.said.get(keyword)
        if wanted != has:
            found.append(f"{keyword} is {_list(has)} instead of {_list(wanted)}")
    return found


def _list(values: frozenset[str] | None) -> str:
    if values is None:
        return "absent"
    return " ".join(sorted(values)) or "there"


def _read(text: str) -> Definition:
    tokens = [quoted or bracket or word for quoted, bracket, word in _TOKEN.findall(text)]
    inner = tokens[1:-1]  # without the outer brackets
    oid, rest = inner[0], inner[1:]
    name, said = oid, {}
    position = 0
    while position < len(rest):
        keyword = rest[position]
        position += 1
        if keyword in _FLAGS:
            said[keyword] = frozenset[str]()
            continue
        values, position = _values(rest, position)
        if keyword == "NAME":
            name = values[0]
        elif keyword in _VALUES:
            said[keyword] = frozenset(each.lower() for each in values)
    if "STRUCTURAL" not in said and not said.keys() & {"AUXILIARY", "ABSTRACT", "SYNTAX"}:
        said["STRUCTURAL"] = frozenset()  # the default of a class; no attribute is without SYNTAX
    return Definition(name, oid, said)


def _values(tokens: list[str], position: int) -> tuple[list[str], int]:
    if position < len(tokens) and tokens[position] == "(":
        end = tokens.index(")", position)
        return [each for each in tokens[position + 1 : end] if each != "$"], end + 1
    return tokens[position : position + 1], position + 1

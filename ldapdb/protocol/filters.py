"""Search filters that escape by construction (RFC 4515).

Nothing else in ldapdb writes a filter. A value can only enter through :func:`equal`,
:func:`matches`, :func:`starts_with` or :func:`at_least`, which escape it; text that an
administrator wrote enters through :func:`parse`, which checks its grammar.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Union

from ldapdb.protocol import ber

__all__ = [
    "Filter",
    "all_of",
    "any_of",
    "at_least",
    "attributes_of",
    "equal",
    "matches",
    "none_of",
    "parse",
    "present",
    "starts_with",
]

# Nearly every value there is: a name, an image, a DN.
_NOTHING_TO_ESCAPE = re.compile(r"[a-zA-Z0-9._~:/@,=-]+(?: [a-zA-Z0-9._~:/@,=-]+)*")
_DESCRIPTION = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*")
# The attribute of an item; whatever else stands behind a parenthesis is none.
_ASKED = re.compile(r"\(([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)[^()=]*=")
_CONTROLS = ("Cc", "Zl", "Zp")
_OID = re.compile(r"[0-9]+(?:\.[0-9]+)+")
# RFC 4515, section 3: an item is a description, an operator and a value; in an
# extensible match the description may be missing where a rule is named.
_ITEM = re.compile(
    r"(?:"
    r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9-]+)*"
    r"(?:(?::dn)?(?::[A-Za-z0-9.-]+)?:=|~=|>=|<=|=)"
    r"|(?::dn)?:[A-Za-z0-9.-]+:="
    r")"
    r"(?:[^()\\\0]|\\[0-9A-Fa-f]{2})*"
)


@dataclass(frozen=True)
class Filter:
    """A well-formed search filter.

    Parameters
    ----------
    text : str
        RFC 4515 text, parentheses included.
    """

    text: str

    def __str__(self) -> str:
        """Return the RFC 4515 text."""
        return self.text

    def encoded(self) -> bytes:
        """Return the filter as it goes over the wire (RFC 4511, section 4.5.1)."""
        return _encode(self.text, 0)[0]


def equal(attribute: str, value: Union[str, bytes]) -> Filter:
    """Match entries of which the attribute has the value.

    Parameters
    ----------
    attribute : str
        Attribute description, with options if any.
    value : str or bytes
        The value, not escaped.

    Raises
    ------
    ValueError
        If `attribute` is not an attribute description, or `value` not to be written in
        UTF-8.

    References
    ----------
    RFC 4515, section 3.
    """
    return Filter(f"({_description(attribute)}={_escape(value)})")


def matches(attribute: str, rule: str, value: Union[str, bytes]) -> Filter:
    """Match by a named matching rule (an extensible match).

    Parameters
    ----------
    attribute : str
        Attribute description.
    rule : str
        The matching rule's OID.
    value : str or bytes
        The assertion value, not escaped.

    Raises
    ------
    ValueError
        If `attribute` or `rule` is malformed.
    """
    if not _OID.fullmatch(rule):
        raise ValueError(f"{rule!r} is not the OID of a matching rule")
    return Filter(f"({_description(attribute)}:{rule}:={_escape(value)})")


def at_least(attribute: str, value: str) -> Filter:
    """Match entries of which the attribute has a value that is not less.

    Parameters
    ----------
    attribute : str
        Attribute description.
    value : str
        The value, not escaped.

    Raises
    ------
    ValueError
        If `attribute` is malformed.
    """
    return Filter(f"({_description(attribute)}>={_escape(value)})")


def attributes_of(search_filter: Filter) -> tuple[str, ...]:
    """List the attributes that decide whether an entry matches, without their options."""
    return tuple(dict.fromkeys(_ASKED.findall(search_filter.text)))


def starts_with(attribute: str, initial: str, containing: str = "") -> Filter:
    """Match values by how they begin, and by what comes later in them.

    Parameters
    ----------
    attribute : str
        Attribute description.
    initial, containing : str
        Parts of the value, not escaped.

    Raises
    ------
    ValueError
        As :func:`equal`.

    References
    ----------
    RFC 4511, section 4.5.1.7.2.
    """
    later = f"{_escape(containing)}*" if containing else ""
    return Filter(f"({_description(attribute)}={_escape(initial)}*{later})")


def present(attribute: str) -> Filter:
    """Match entries that have the attribute."""
    return Filter(f"({_description(attribute)}=*)")


def all_of(*filters: Filter) -> Filter:
    """Match what every filter matches.

    Raises
    ------
    ValueError
        If there is none: the empty conjunction matches everything, which nobody who
        builds a filter from a list has in mind.
    """
    return _join("&", filters)


def any_of(*filters: Filter) -> Filter:
    """Match what at least one filter matches.

    Raises
    ------
    ValueError
        If there is none.
    """
    return _join("|", filters)


def none_of(*filters: Filter) -> Filter:
    """Match what no filter matches, as far as that can be told of all of them.

    Raises
    ------
    ValueError
        If there is none.
    """
    return Filter(f"(!{any_of(*filters)})")


def parse(text: str) -> Filter:
    """Check a filter that somebody wrote.

    Parameters
    ----------
    text : str
        RFC 4515 text; white space around it is dropped.

    Returns
    -------
    Filter
        The same text, known to be one complete filter.

    Raises
    ------
    ValueError
        If it is not, with the position.
    """
    text = text.strip()
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"{text!r} cannot be written in UTF-8")
    end = _check(text, 0, 0)
    if end != len(text):
        raise ValueError(f"{text!r} goes on after a complete filter, at position {end}")
    return Filter(text)


def _join(operator: str, filters: tuple[Filter, ...]) -> Filter:
    if not filters:
        raise ValueError(f"a ({operator}…) filter needs at least one part")
    if len(filters) == 1:
        return filters[0]
    return Filter(f"({operator}{''.join(map(str, filters))})")


def _description(attribute: str) -> str:
    if not _DESCRIPTION.fullmatch(attribute):
        raise ValueError(f"{attribute!r} is not an attribute description")
    return attribute


def _escape(value: Union[str, bytes]) -> str:
    """Escape an assertion value.

    Bytes are escaped throughout. In text, beyond what RFC 4515 demands, spaces of all
    kinds at the ends are escaped, which a reader of the log would not see, and what would
    end a line of it or steer a terminal.
    """
    if isinstance(value, bytes):
        return _octets(value)
    if _NOTHING_TO_ESCAPE.fullmatch(value):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # here, where it is no fault of a connection
        raise ValueError(f"{value!r} cannot be written in UTF-8") from None
    last = len(value) - 1
    return "".join(
        _octets(char.encode())
        if char in "\\*()"
        or unicodedata.category(char) in _CONTROLS
        or (char.isspace() and position in (0, last))
        else char
        for position, char in enumerate(value)
    )


def _octets(octets: bytes) -> str:
    return "".join(f"\\{octet:02x}" for octet in octets)


_DEEPEST = 50


def _check(text: str, at: int, depth: int) -> int:
    """Return the position after the filter that starts at `at`."""
    if depth > _DEEPEST:
        raise ValueError(f"{text!r} is nested more than {_DEEPEST} deep")
    if text[at : at + 1] != "(":
        raise ValueError(f"{text!r} is not a filter: expected '(' at position {at}")
    at += 1
    if text[at : at + 1] in ("&", "|"):
        at = _check(text, at + 1, depth + 1)
        while text[at : at + 1] == "(":
            at = _check(text, at, depth + 1)
    elif text[at : at + 1] == "!":
        at = _check(text, at + 1, depth + 1)
    else:
        item = _ITEM.match(text, at)
        if item is None:
            raise ValueError(f"{text!r} is not a filter: expected attribute=value at position {at}")
        if "**" in item.group():  # RFC 4515: between two asterisks there is something
            raise ValueError(f"{text!r} is not a filter: two asterisks after position {at}")
        at = item.end()
    if text[at : at + 1] != ")":
        raise ValueError(f"{text!r} is not a filter: expected ')' at position {at}")
    return at + 1


_PARTS = re.compile(
    r"(?P<description>[^:~<>=]*)(?P<dn>:dn)?(?::(?P<rule>[A-Za-z0-9.-]+))?"
    r"(?P<operator>:=|~=|>=|<=|=)(?P<value>.*)",
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2})")
_JOINS = {"&": 0xA0, "|": 0xA1, "!": 0xA2}
_COMPARISONS = {"=": 0xA3, ">=": 0xA5, "<=": 0xA6, "~=": 0xA8}
_SUBSTRINGS, _PRESENT, _EXTENSIBLE = 0xA4, 0x87, 0xA9
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82
_RULE, _TYPE, _VALUE, _DN_ATTRIBUTES = 0x81, 0x82, 0x83, 0x84


def _encode(text: str, at: int) -> tuple[bytes, int]:
    """Encode the filter that starts at `at`; return where it ends, too."""
    at += 1
    tag = _JOINS.get(text[at])
    if tag is None:
        end = text.index(")", at)
        return _encode_item(text[at:end]), end + 1
    parts, at = [], at + 1
    while text[at] == "(":
        part, at = _encode(text, at)
        parts.append(part)
    return ber.sequence(*parts, tag=tag), at + 1


def _encode_item(text: str) -> bytes:
    item = _PARTS.fullmatch(text)
    assert item is not None  # noqa: S101 -- for mypy: every filter has been checked
    description, operator, value = item["description"].encode(), item["operator"], item["value"]
    if operator == ":=":
        return _encode_match(item)
    if operator != "=" or "*" not in value:
        tag = _COMPARISONS[operator]
        return ber.sequence(ber.element(description), ber.element(_value(value)), tag=tag)
    if value == "*":
        return ber.element(description, _PRESENT)
    first, *middle, last = value.split("*")
    tagged = [(_INITIAL, first), *((_ANY, each) for each in middle), (_FINAL, last)]
    parts = (ber.element(_value(each), tag) for tag, each in tagged if each)
    return ber.sequence(ber.element(description), ber.sequence(*parts), tag=_SUBSTRINGS)


def _encode_match(item: re.Match[str]) -> bytes:
    parts = [
        ber.element(each.encode(), tag)
        for tag, each in ((_RULE, item["rule"]), (_TYPE, item["description"]))
        if each
    ]
    parts.append(ber.element(_value(item["value"]), _VALUE))
    if item["dn"]:
        parts.append(ber.element(b"\xff", _DN_ATTRIBUTES))
    return ber.sequence(*parts, tag=_EXTENSIBLE)


def _value(text: str) -> bytes:
    return _ESCAPED.sub(lambda octet: bytes.fromhex(octet[1].decode()), text.encode())

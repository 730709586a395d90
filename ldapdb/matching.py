"""Whether an entry matches a filter, told here and not by a server (RFC 4511, section 4.5.1.7).

For entries that are not in the directory yet, or not as they are to be. Values are compared
by the rules of the attributes that ldapdb searches for. What cannot be told here is neither
yes nor no, and whoever asks has to ask elsewhere or to say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.filters import Filter

__all__ = ["Ask", "is_of_class", "key", "matches", "pairs_of", "values_of"]

# Told what cannot be told here: one item of the filter.
Ask = Callable[[Filter], Optional[bool]]
Attributes = Mapping[str, Sequence[bytes]]

_OBJECT_CLASS, _OBJECT_CATEGORY = "objectclass", "objectcategory"
# distinguishedNameMatch (RFC 4517, section 4.2.15)
_NAMES = frozenset(
    {
        "distinguishedname",
        "entrydn",
        "manager",
        "member",
        "memberof",
        "objectcategory",
        "owner",
        "roleoccupant",
        "secretary",
        "seealso",
        "uniquemember",
    }
)
# caseExactMatch and its kin, and octetStringMatch.
_EXACT = frozenset(
    {
        "jpegphoto",
        "memberuid",
        "objectguid",
        "objectsid",
        "remoteappimage",
        "remoteapplicense",
        "remoteappvolume",
        "unicodepwd",
        "usercertificate",
        "userpassword",
    }
)
# [MS-ADTS], section 3.1.1.3.4.4: all bits of the value are set, or one of them.
_BITS_ALL, _BITS_ANY = "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804"
# Superclasses (RFC 4512, section 2.4.1), of what users and groups mostly are.
_SUPERCLASSES = {
    "top": "",
    "account": "top",
    "alias": "top",
    "applicationprocess": "top",
    "computer": "user",
    "contact": "organizationalperson",
    "container": "top",
    "dcobject": "top",
    "device": "top",
    "domain": "top",
    "extensibleobject": "top",
    "group": "top",
    "groupofmembers": "top",
    "groupofnames": "top",
    "groupofuniquenames": "top",
    "groupofurls": "top",
    "inetorgperson": "organizationalperson",
    "inetuser": "top",
    "nestedgroup": "top",
    "nsaccount": "top",
    "nsmemberof": "top",
    "nsorgperson": "nsperson",
    "nsperson": "top",
    "organization": "top",
    "organizationalperson": "person",
    "organizationalrole": "top",
    "organizationalunit": "top",
    "person": "top",
    "posixaccount": "top",
    "posixgroup": "top",
    "remoteappapplication": "top",
    "remoteappgrant": "top",
    "remoteappgroup": "top",
    "securityprincipal": "top",
    "shadowaccount": "top",
    "simplesecurityobject": "top",
    "user": "organizationalperson",
}
_ITEM = re.compile(
    r"(?P<attribute>[^:~<>=]*)(?P<dn>:dn)?(?::(?P<rule>[A-Za-z0-9.-]+))?"
    r"(?P<operator>:=|~=|>=|<=|=)(?P<value>.*)",
    re.DOTALL,
)
_SPACES = re.compile(" +")
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2})")


def matches(
    search_filter: Filter, attributes: Attributes, ask: Ask, matching: NameMatching
) -> Optional[bool]:
    """Tell whether an entry matches.

    Parameters
    ----------
    search_filter : Filter
        The filter.
    attributes : mapping of str to sequence of bytes
        All attributes of the entry, by description in lower case. What is absent is absent.
    ask : callable
        Asked what cannot be told here.
    matching : NameMatching
        How the directory compares names and text.

    Returns
    -------
    bool or None
        None if it cannot be told; an entry that a server cannot tell this of is not found.
    """
    return _matches(search_filter.text, 0, _Entry(attributes, ask, matching))[0]


def pairs_of(
    search_filter: Filter, matching: NameMatching
) -> Optional[frozenset[tuple[str, Hashable]]]:
    """List attributes and values of which whatever matches has at least one.

    So that of many entries few have to be looked at.

    Returns
    -------
    frozenset of (str, Hashable) or None
        Attributes in lower case and without options, and values as :func:`key` has them;
        None where the filter names no such values.
    """
    return _pairs(search_filter.text, 0, matching)[0]


@lru_cache(maxsize=200_000)
def key(attribute: str, value: bytes, matching: NameMatching) -> Hashable:
    """Return what decides whether two values of an attribute are the same."""
    name = attribute.lower().partition(";")[0]
    if name in _EXACT:
        return value
    try:
        text = value.decode()
        if name in _NAMES:
            return DN.parse(text, matching).key
        return _text_key(text, matching)
    except ValueError:  # neither a name nor text: as it is
        return value


def values_of(attributes: Attributes, attribute: str) -> list[bytes]:
    """List the values of an attribute, with those that have options (RFC 4512, section 2.5)."""
    wanted, *options = attribute.lower().split(";")
    return [
        bytes(value)
        for name, values in attributes.items()
        for base, *given in [name.split(";")]
        if base == wanted and set(options) <= set(given)
        for value in values
    ]


def is_of_class(attributes: Attributes, object_class: str) -> Optional[bool]:
    """Tell whether an entry is of a class, itself or by a class below it; None if not known."""
    values = attributes.get(_OBJECT_CLASS, ())
    given = {bytes(value).lower().decode(errors="replace") for value in values}
    wanted, classes = object_class.lower(), set(given)
    for each in given:
        name = each
        while name := _SUPERCLASSES.get(name, ""):
            classes.add(name)
    if wanted in classes:
        return True
    return False if given <= set(_SUPERCLASSES) else None


class _Entry(NamedTuple):
    """What filters are applied to; as in :func:`matches`."""

    attributes: Attributes
    ask: Ask
    matching: NameMatching


def _text_key(text: str, matching: NameMatching) -> str:
    """Prepare a text; runs of spaces count as one in all directories (RFC 4518, 2.6.1)."""
    return _SPACES.sub(" ", matching.value_key(text)).strip(" ")


def _matches(text: str, at: int, entry: _Entry) -> tuple[Optional[bool], int]:
    """Tell whether the part that starts at `at` matches; return where it ends, too."""
    operator = text[at + 1]
    if operator not in "&|!":
        end = text.index(")", at)
        return _item_matches(text[at + 1 : end], entry), end + 1
    answers: list[Optional[bool]] = []
    at += 2
    while text[at] == "(":
        answer, at = _matches(text, at, entry)
        answers.append(answer)
    if operator == "!":
        return None if answers[0] is None else not answers[0], at + 1
    decisive = operator == "|"
    if decisive in answers:
        return decisive, at + 1
    return None if None in answers else not decisive, at + 1


def _pairs(
    text: str, at: int, matching: NameMatching
) -> tuple[Optional[frozenset[tuple[str, Hashable]]], int]:
    operator = text[at + 1]
    if operator not in "&|!":
        end = text.index(")", at)
        return _pair(text[at + 1 : end], matching), end + 1
    parts = []
    at += 2
    while text[at] == "(":
        part, at = _pairs(text, at, matching)
        parts.append(part)
    known = [part for part in parts if part is not None]
    found = None
    if operator == "&":
        found = min(known, key=len, default=None)
    elif operator == "|" and len(known) == len(parts):
        found = frozenset().union(*known)
    return found, at + 1


def _pair(text: str, matching: NameMatching) -> Optional[frozenset[tuple[str, Hashable]]]:
    item = _ITEM.fullmatch(text)
    assert item is not None  # noqa: S101 -- for mypy: every filter has been checked
    name, value = item["attribute"].lower().partition(";")[0], item["value"]
    if item["operator"] != "=" or "*" in value or name in (_OBJECT_CLASS, _OBJECT_CATEGORY):
        return None
    return frozenset({(name, key(name, _value(value), matching))})


def _item_matches(text: str, entry: _Entry) -> Optional[bool]:
    item = _ITEM.fullmatch(text)
    assert item is not None  # noqa: S101 -- for mypy: every filter has been checked
    attribute, operator, value = item["attribute"], item["operator"], item["value"]
    values = values_of(entry.attributes, attribute)
    answer: Optional[bool] = None
    if operator == ":=" and not item["dn"]:
        answer = _by_rule(item["rule"], values, value)
    elif operator == "=" and value == "*":
        answer = bool(values)
    elif not values and attribute and operator != ":=":
        answer = False
    elif operator == "=":
        answer = _is_among(attribute, values, value, entry)
    return entry.ask(Filter(f"({text})")) if answer is None else answer


def _is_among(attribute: str, values: list[bytes], value: str, entry: _Entry) -> Optional[bool]:
    """Tell whether a value, or one of its form where it has asterisks, is among some."""
    name = attribute.lower().partition(";")[0]
    if "*" in value:
        if name in _NAMES:  # names have no substrings
            return None
        pattern = _pattern(name, value, entry.matching)
        return any(pattern.search(_comparable(name, each, entry.matching)) for each in values)
    wanted = _value(value)
    if name == _OBJECT_CLASS:
        return is_of_class(entry.attributes, wanted.decode(errors="replace"))
    if name == _OBJECT_CATEGORY and b"=" not in wanted:
        # Active Directory takes the class's short name for its entry's.
        return any(_first_value(each) == wanted.lower() for each in values)
    wanted_key = key(name, wanted, entry.matching)
    return wanted_key in {key(name, each, entry.matching) for each in values}


def _by_rule(rule: Optional[str], values: list[bytes], value: str) -> Optional[bool]:
    if rule not in (_BITS_ALL, _BITS_ANY):
        return None
    try:
        bits, numbers = int(value), [int(each) for each in values]
    except ValueError:
        return None
    found = (number & bits for number in numbers)
    return any(each == bits for each in found) if rule == _BITS_ALL else any(found)


def _pattern(name: str, value: str, matching: NameMatching) -> re.Pattern[bytes]:
    given = map(_value, value.split("*"))
    parts = [re.escape(_comparable(name, part, matching, inner=True)) for part in given]
    return re.compile(b"^" + b".*".join(parts) + b"$", re.DOTALL)


def _comparable(name: str, value: bytes, matching: NameMatching, *, inner: bool = False) -> bytes:
    """Prepare text for substrings; `inner` keeps the spaces at its ends."""
    if name in _EXACT:
        return value
    text = value.decode("utf-8", "surrogateescape")
    begin = " " if inner and text[:1] == " " else ""
    end = " " if inner and text.strip() and text[-1:] == " " else ""
    prepared = f"{begin}{_text_key(text, matching)}{end}"
    return prepared.encode("utf-8", "surrogateescape")


def _first_value(name: bytes) -> bytes:
    _, _, value = name.partition(b"=")
    return value.partition(b",")[0].lower()


def _value(text: str) -> bytes:
    return _ESCAPED.sub(lambda octet: bytes.fromhex(octet[1].decode()), text.encode())

r"""Distinguished names: parse, build, escape, compare (RFC 4514).

A :class:`DN` is the only form in which names travel inside ldapdb; text appears at the
edges alone. Servers spell one name differently (OpenLDAP ``\2C``, Samba ``\,``), so DNs are
compared by their parsed values.

Directories also differ in which values they call equal. A :class:`DN` carries the rule of the
directory that it belongs to (:class:`NameMatching`). Without a rule it is compared by what all
directories agree on: two entries of one directory are never taken for one, and the price is
that two spellings of one entry may not be recognised.

This module knows nothing of schema: all values are compared by one rule, without regard to
case, which suits ``cn``, ``uid``, ``ou``, ``dc`` and ``mail``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, Optional

__all__ = ["AVA", "DN", "RDN", "NameMatching", "Subtree", "common_ancestor"]

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*")
_SPECIAL = frozenset('"+,;<>\\=')
# OCTET STRING, UTF8String, PrintableString, T61String, IA5String. A value of another type,
# or of more than 127 octets, in this form names no user or group.
_STRING_TAGS = (b"\x04", b"\x0c", b"\x13", b"\x14", b"\x16")
_LONGEST_SHORT_FORM = 127
# As most names are: one value an RDN, nothing escaped, no space where it would not count.
_PLAIN_RDN = r"[A-Za-z][A-Za-z0-9-]*=(?![ #])[^,+\"\\;<>=\ud800-\udfff]+(?<! )"
_PLAIN = re.compile(rf"{_PLAIN_RDN}(?:,{_PLAIN_RDN})*")
# Nearly every value there is.
_NOTHING_TO_ESCAPE = re.compile(r"[a-zA-Z0-9._~:/@-]+(?: [a-zA-Z0-9._~:/@-]+)*")
_LONGEST_PLAIN = 500  # characters; each RDN takes some of the stack
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")

# RFC 4514, section 3, and RFC 4519: other names of the same attribute type.
_SYNONYMS = {
    "2.5.4.3": "cn",
    "commonname": "cn",
    "2.5.4.7": "l",
    "localityname": "l",
    "2.5.4.8": "st",
    "stateorprovincename": "st",
    "2.5.4.10": "o",
    "organizationname": "o",
    "2.5.4.11": "ou",
    "organizationalunitname": "ou",
    "2.5.4.6": "c",
    "countryname": "c",
    "2.5.4.9": "street",
    "streetaddress": "street",
    "0.9.2342.19200300.100.1.25": "dc",
    "domaincomponent": "dc",
    "0.9.2342.19200300.100.1.1": "uid",
    "userid": "uid",
}

# Letters whose case all three directories ignore: Latin (to U+017D), Greek and Cyrillic, without
# those that one of them keeps apart. Measured; tests/live/test_names.py holds the servers to it.
_CASED = (
    (0x41, 0x5A),
    (0xC0, 0xDE),
    (0x100, 0x12F),
    (0x132, 0x17D),
    (0x386, 0x3AB),
    (0x401, 0x40C),
    (0x40E, 0x42F),
)
_LOWER = {code: chr(code).lower() for first, last in _CASED for code in range(first, last + 1)}
# OpenLDAP's tables are those of Unicode 3.2 (RFC 4518, section 2): later letters have no case.
_UNICODE = unicodedata.ucd_3_2_0
# Nor does it resolve the compatibility forms above the first 65,536 characters, and two within.
_NORMALISED = re.compile("[\0-\uf8ff\uf902-\uffff]+")
_SPACES = re.compile(" +")


class NameMatching(Enum):
    """How a directory decides whether two names are the same."""

    # 389 Directory Server and Active Directory: nothing but case is ignored. 389 keeps runs of
    # spaces apart too.
    EXACT = "exact"
    # OpenLDAP: strings are prepared (compatibility forms, runs of spaces), and other names of an
    # attribute type are known.
    PREPARED = "prepared"

    def attribute_key(self, attribute: str) -> str:
        """Return what decides whether two attribute types are the same."""
        lower = attribute.lower()
        return lower if self is NameMatching.EXACT else _SYNONYMS.get(lower, lower)

    def value_key(self, value: str) -> str:
        """Return what decides whether two values are the same."""
        if self is NameMatching.EXACT:
            return value.lower() if value.isascii() else value.translate(_LOWER)
        return _prepare(value)


class AVA(NamedTuple):
    """An attribute type and value, the smallest part of a DN (RFC 4514, section 2.3).

    Parameters
    ----------
    attribute : str
        A short name such as ``cn``, or a dotted OID.
    value : str
        The value, not escaped. It may be empty only in a parsed name.
    """

    attribute: str
    value: str

    def __str__(self) -> str:
        """Return ``attribute=value`` with the value escaped."""
        return f"{self.attribute}={_escape(self.value)}"

    def key(self, matching: NameMatching) -> tuple[str, str]:
        """Return what decides whether two are the same."""
        return matching.attribute_key(self.attribute), matching.value_key(self.value)


RDN = tuple[AVA, ...]
Key = tuple[frozenset[tuple[str, str]], ...]


@dataclass(frozen=True, eq=False)
class DN:
    """A distinguished name, from the entry's own RDN up to the naming context.

    Parameters
    ----------
    rdns : tuple of RDN
        Each RDN is a tuple of one or more :class:`AVA`.
    matching : NameMatching
        The rule of the directory that the name belongs to.
    """

    rdns: tuple[RDN, ...]
    matching: NameMatching = NameMatching.EXACT

    @classmethod
    def parse(cls, text: str, matching: NameMatching = NameMatching.EXACT) -> DN:
        """Read the string form of a DN.

        Parameters
        ----------
        text : str
            RFC 4514 text; spaces around ``,``, ``+`` and ``=`` are allowed, as people
            write them.
        matching : NameMatching
            The rule of the directory that the name belongs to.

        Returns
        -------
        DN
            The name. Empty text is the root's name.

        Raises
        ------
        ValueError
            If the text is not a DN.

        References
        ----------
        RFC 4514, section 3.
        """
        is_plain = len(text) <= _LONGEST_PLAIN and _PLAIN.fullmatch(text)
        return cls(_plain(text) if is_plain else _Parser(text).name(), matching)

    def __str__(self) -> str:
        r"""Return the RFC 4514 text, with every special character in ``\XX`` form."""
        return ",".join("+".join(map(str, rdn)) for rdn in self.rdns)

    def __repr__(self) -> str:
        """Return the text in a form that names the type."""
        return f"DN({str(self)!r})"

    @property
    def key(self) -> Key:
        """What decides whether two names are the same; computed once.

        Not by `functools.cached_property`: before Python 3.12 it holds a lock meanwhile, and a
        child that is forked in such a moment would wait for it for ever.
        """
        known: Optional[Key] = self.__dict__.get("_key")
        if known is None:
            own = (_rdn_key(rdn, self.matching) for rdn in self.rdns[:1])
            known = (*own, *_parent_key(self.rdns[1:], self.matching))
            self.__dict__["_key"] = known
        return known

    def __eq__(self, other: object) -> bool:
        """Compare as the names' directory does (distinguishedNameMatch, RFC 4517, 4.2.15)."""
        return self.key == other.key if isinstance(other, DN) else NotImplemented

    def __hash__(self) -> int:
        """Hash in agreement with equality."""
        return hash(self.key)

    @property
    def parent(self) -> DN:
        """The name one level up; the root's parent is the root."""
        return DN(self.rdns[1:], self.matching)

    def matched(self, matching: NameMatching) -> DN:
        """Return the same name, compared by another rule."""
        return self if matching is self.matching else DN(self.rdns, matching)

    def child(self, attribute: str, value: str) -> DN:
        """Name the entry one level below.

        Parameters
        ----------
        attribute : str
            Naming attribute of the new RDN, such as ``cn``.
        value : str
            Its value, not escaped.

        Returns
        -------
        DN
            The new RDN in front of this name.

        Raises
        ------
        ValueError
            If `value` is empty or `attribute` is no attribute type.

        References
        ----------
        RFC 4514, section 2.4.
        """
        if not value:
            raise ValueError(f"an RDN needs a value for {attribute!r}")
        if not _ATTRIBUTE.fullmatch(attribute):
            raise ValueError(f"{attribute!r} is not an attribute type")
        return DN(((AVA(attribute, value),), *self.rdns), self.matching)

    def is_under(self, base: DN) -> bool:
        """Tell whether this name is `base` or below it."""
        depth = len(base.rdns)
        return depth <= len(self.rdns) and self.key[len(self.rdns) - depth :] == base.key


class Subtree:
    """An entry and all entries below it, for names as a server spells them.

    Parameters
    ----------
    base : DN
        The entry.
    """

    def __init__(self, base: DN) -> None:
        self._base = base
        self._text = str(base).lower()

    def holds(self, text: str) -> bool:
        """Tell whether a name is the base or below it.

        Text that is not a DN counts as inside: whoever reads the entry rejects its name.
        """
        # Nearly every name ends as the base is written, and is not worth parsing.
        if text.isascii() and self._text.isascii():
            lower = text.lower()
            if lower == self._text or not self._text:
                return True
            # After a backslash the comma is a part of a value: below another entry, then.
            if lower.endswith(f",{self._text}") and lower[-len(self._text) - 2] != "\\":
                return True
        try:
            return DN.parse(text, self._base.matching).is_under(self._base)
        except ValueError:
            return True


def common_ancestor(first: DN, second: DN) -> Optional[DN]:
    """Find the lowest name that both names are under.

    Returns
    -------
    DN or None
        None where the two share nothing but the root.
    """
    ancestor = first
    while ancestor.rdns:
        if second.is_under(ancestor):
            return ancestor
        ancestor = ancestor.parent
    return None


def _escape(value: str) -> str:
    r"""Escape a value (RFC 4514, section 2.4), always in the ``\XX`` form.

    The form is the one that every server accepts for every character; control
    characters are escaped too, so that a name never breaks a log line.
    """
    if _NOTHING_TO_ESCAPE.fullmatch(value):
        return value
    last = len(value) - 1
    return "".join(
        _hex(char)
        if char in _SPECIAL
        or unicodedata.category(char) in ("Cc", "Zl", "Zp")
        or (char == " " and position in (0, last))
        or (char == "#" and position == 0)
        else char
        for position, char in enumerate(value)
    )


def _hex(char: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in char.encode())


def _prepare(value: str) -> str:
    """Prepare a value for comparison as OpenLDAP 2.5.13 does (RFC 4518).

    Capitals become small letters before compatibility forms are resolved, not after it:
    OpenLDAP keeps ``™`` and ``tm`` apart. Only the spaces of the result are insignificant; a
    tab is not. Small letters, not case folding: it keeps ``straße`` and ``strasse`` apart.
    """
    if value.isascii():
        prepared = value.lower()
    else:
        small = "".join(map(_small, value))
        prepared = _NORMALISED.sub(lambda part: _UNICODE.normalize("NFKC", part[0]), small)
    return _SPACES.sub(" ", prepared).strip(" ")


@lru_cache(maxsize=1000)
def _small(char: str) -> str:
    """Return a capital's small letter, where both are in Unicode 3.2."""
    lower = char.lower()
    is_capital = _UNICODE.category(char) in ("Lu", "Lt") and len(lower) == 1
    return lower if is_capital and _UNICODE.category(lower) != "Cn" else char


def _rdn_key(rdn: RDN, matching: NameMatching) -> frozenset[tuple[str, str]]:
    return frozenset(ava.key(matching) for ava in rdn)


@lru_cache(maxsize=1000)
def _parent_key(rdns: tuple[RDN, ...], matching: NameMatching) -> Key:
    # As with the names themselves: many entries have few parents.
    return tuple(_rdn_key(rdn, matching) for rdn in rdns)


def _short_length(content: bytes) -> Optional[bytes]:
    """Return the one octet of BER's short form, None for what is too long for it."""
    return bytes([len(content)]) if len(content) <= _LONGEST_SHORT_FORM else None


def _plain(text: str) -> tuple[RDN, ...]:
    """Split a plain name."""
    rdn, _, parent = text.partition(",")
    attribute, _, value = rdn.partition("=")
    return ((AVA(attribute, value),), *(_plain_parent(parent) if parent else ()))


# A hundred thousand users have a handful of parents; so they share them in memory, too.
_plain_parent = lru_cache(maxsize=1000)(_plain)


class _Parser:
    """One pass over the text of a DN."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def name(self) -> tuple[RDN, ...]:
        if not self._text.strip():
            return ()
        rdns = [self._rdn()]
        while self._at < len(self._text):
            self._expect(",")
            rdns.append(self._rdn())
        return tuple(rdns)

    def _rdn(self) -> RDN:
        avas = [self._ava()]
        while self._peek() == "+":
            self._expect("+")
            avas.append(self._ava())
        return tuple(avas)

    def _ava(self) -> AVA:
        self._spaces()
        match = _ATTRIBUTE.match(self._text, self._at)
        if match is None:
            raise self._error("an attribute type")
        self._at = match.end()
        self._spaces()
        self._expect("=")
        self._spaces()
        value = self._hex_value() if self._peek() == "#" else self._string_value()
        return AVA(match.group(), value)

    def _string_value(self) -> str:
        octets = bytearray()
        significant = 0  # trailing spaces that nobody escaped do not count
        while self._peek() not in ("", ",", "+"):
            char = self._peek()
            if char == "\\":
                octets += self._escaped()
                significant = len(octets)
                continue
            if char in '";<>':
                raise self._error(f"no unescaped {char}")
            octets += char.encode()
            self._at += 1
            if char != " ":
                significant = len(octets)
        return self._decode(bytes(octets[:significant]))

    def _escaped(self) -> bytes:
        pair = self._text[self._at + 1 : self._at + 3]
        if _HEX_PAIR.fullmatch(pair):
            self._at += 3
            return bytes.fromhex(pair)
        if pair[:1] in _SPECIAL | {" ", "#"} and pair:
            self._at += 2
            return pair[:1].encode()
        raise self._error("an escaped character after the backslash")

    def _hex_value(self) -> str:
        """Read ``#`` and the BER encoding of a string (RFC 4514, section 2.4)."""
        start = self._at + 1
        while self._peek() not in ("", ",", "+"):
            self._at += 1
        try:
            encoded = bytes.fromhex(self._text[start : self._at].strip())
        except ValueError:
            raise self._error("hexadecimal digits after #") from None
        tag, length, content = encoded[:1], encoded[1:2], encoded[2:]
        if tag not in _STRING_TAGS or not content or length != _short_length(content):
            raise self._error("the BER encoding of a string after #")
        return self._decode(content)

    def _decode(self, octets: bytes) -> str:
        try:
            return octets.decode()
        except UnicodeDecodeError:
            raise self._error("UTF-8 in the value") from None

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _spaces(self) -> None:
        while self._peek() == " ":
            self._at += 1

    def _expect(self, char: str) -> None:
        if self._peek() != char:
            raise self._error(repr(char))
        self._at += 1

    def _error(self, wanted: str) -> ValueError:
        return ValueError(f"{self._text!r} is not a DN: expected {wanted} at position {self._at}")

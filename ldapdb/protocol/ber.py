"""The part of the Basic Encoding Rules that LDAP uses (X.690; RFC 4511, section 5.1)."""

from __future__ import annotations

__all__ = [
    "ENUMERATED",
    "HEADER",
    "INTEGER",
    "LONG_FORM",
    "MOST_LENGTH_OCTETS",
    "OCTETS",
    "SEQUENCE",
    "SET",
    "BrokenAnswer",
    "Element",
    "children",
    "element",
    "head",
    "integer",
    "length_octets",
    "number",
    "sequence",
]

INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x0A, 0x30, 0x31

HEADER = 2  # a tag and the first octet of a length
LONG_FORM = 0x80
MOST_LENGTH_OCTETS = 4
_MOST_CHILDREN = 1 << 16
_MOST_NUMBER_OCTETS = 4  # RFC 4511, section 4.1.1: up to 2^31 - 1

Element = tuple[int, int, int]  # tag, where the content begins, where it ends


class BrokenAnswer(ValueError):
    """What a server sent is no LDAP message."""


# --- writing


def element(content: bytes, tag: int = OCTETS) -> bytes:
    """Write an element; an octet string unless another tag is given."""
    length = len(content)
    if length < LONG_FORM:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, LONG_FORM | len(octets))) + octets + content


def sequence(*parts: bytes, tag: int = SEQUENCE) -> bytes:
    """Write elements in one."""
    return element(b"".join(parts), tag)


def integer(value: int, tag: int = INTEGER) -> bytes:
    """Write a number that is not negative."""
    return element(value.to_bytes(value.bit_length() // 8 + 1, "big"), tag)


# --- reading


def head(octets: bytes, start: int, stop: int) -> Element:
    """Read the head of an element, which must end by `stop`.

    Raises
    ------
    BrokenAnswer
        If it does not.
    """
    if stop - start < HEADER:
        raise BrokenAnswer("an element without a length")
    tag, length = octets[start], octets[start + 1]
    start += HEADER
    if length >= LONG_FORM:
        count = length_octets(length)
        length = int.from_bytes(octets[start : start + count], "big")
        start += count
    end = start + length
    if end > stop:
        raise BrokenAnswer("an element that is longer than what it is in")
    return tag, start, end


def length_octets(first: int) -> int:
    """Tell how many octets of a length follow its first one.

    Raises
    ------
    BrokenAnswer
        If LDAP does not allow that form (RFC 4511, section 5.1), or it is absurd.
    """
    count = first - LONG_FORM
    if not 1 <= count <= MOST_LENGTH_OCTETS:
        raise BrokenAnswer("a length that LDAP does not allow")
    return count


def children(octets: bytes, start: int, stop: int) -> list[Element]:
    """Read the heads of the elements that fill the room from `start` to `stop`.

    Raises
    ------
    BrokenAnswer
        If they do not, or there are more than any part of an answer has but its values.
    """
    found = []
    while start < stop:
        each = head(octets, start, stop)
        found.append(each)
        if len(found) > _MOST_CHILDREN:
            raise BrokenAnswer(f"more than {_MOST_CHILDREN} elements in one")
        start = each[2]
    return found


def number(octets: bytes, start: int, stop: int) -> int:
    """Read the content of a number.

    Raises
    ------
    BrokenAnswer
        If it is longer than LDAP's numbers, which may keep Python busy for long.
    """
    if not 1 <= stop - start <= _MOST_NUMBER_OCTETS:
        raise BrokenAnswer(f"a number of {stop - start} octets")
    return int.from_bytes(octets[start:stop], "big", signed=True)

"""Answers as they come from a server: whole messages, looked at before ldap3 sees them.

ldap3 2.9.1 believes what an answer says of its own lengths: a number of a million digits
keeps it busy for minutes, sequences in sequences overflow its stack, and an element that is
longer or shorter than it says turns into a value or is dropped without a word. A message
that is not exactly as RFC 4511 has it is no answer.

This module opens no connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional, Union

__all__ = ["BrokenAnswer", "check", "missing"]

# Tags of BER (X.690), as RFC 4511 uses them.
_SEQUENCE, _SET, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x31, 0x02, 0x04, 0x0A
_ENTRY, _REFERENCE, _CONTROLS = 0x64, 0x73, 0xA0
_CONSTRUCTED = 0x20
_LONG_FORM = 0x80

_HEADER = 2  # a tag and the first octet of a length
_MOST_LENGTH_OCTETS = 4
_MOST_NUMBER_OCTETS = 4  # RFC 4511, section 4.1.1: up to 2^31 - 1
_DEEPEST = 6  # a control's value and a referral are less deep
# A group of a million members takes 100 MB; nothing that ldapdb asks for is longer.
_LONGEST = 1 << 28

# What may follow a result: referrals, and what the operation adds (RFC 4511, section 4.1.9
# and following). Nothing else is an answer.
_REFERRALS = 0xA3
_AFTER_RESULT = {
    0x61: (_REFERRALS, 0x87),  # bind
    0x65: (_REFERRALS,),  # the end of a search
    0x67: (_REFERRALS,),  # modify
    0x69: (_REFERRALS,),  # add
    0x6B: (_REFERRALS,),  # delete
    0x6D: (_REFERRALS,),  # modify DN
    0x6F: (_REFERRALS,),  # compare
    0x78: (_REFERRALS, 0x8A, 0x8B),  # extended
}

_Element = tuple[int, int, int]  # tag, where the content begins, where it ends


class BrokenAnswer(ValueError):
    """What a server sent is no LDAP message."""


def missing(octets: Union[bytes, bytearray]) -> int:
    """Tell how much of a message is still to come.

    Parameters
    ----------
    octets : bytes or bytearray
        The message's beginning, and nothing after it.

    Returns
    -------
    int
        Octets that belong to it for certain; 0 if it is whole.

    Raises
    ------
    BrokenAnswer
        If it is none, or longer than any answer is.
    """
    if octets and octets[0] != _SEQUENCE:
        raise BrokenAnswer(f"a message that begins with {octets[0]:#04x}")
    header = _HEADER
    if len(octets) >= header and octets[1] >= _LONG_FORM:
        header += _length_octets(octets[1])
    if len(octets) < header:
        return header - len(octets)
    length = octets[1] if header == _HEADER else int.from_bytes(octets[_HEADER:header], "big")
    if length > _LONGEST:
        raise BrokenAnswer(f"a message of {length} octets")
    return header + length - len(octets)


def check(message: bytes) -> None:
    """Refuse a whole message that is not as RFC 4511, section 4, has it.

    Raises
    ------
    BrokenAnswer
        With what is wrong.
    """
    ((_, start, stop),) = _children(message, 0, len(message))
    number, operation, *controls = _shaped(
        message, start, stop, (_INTEGER, None), more=(_CONTROLS,)
    )
    if len(controls) > 1:
        raise BrokenAnswer("two lists of controls")
    _walk(message, (number, *controls), 1)
    tag, start, stop = operation
    if tag == _ENTRY:
        _check_entry(message, start, stop)
    elif tag == _REFERENCE:
        _shaped(message, start, stop, (_OCTETS,), more=(_OCTETS,))
    elif tag in _AFTER_RESULT:
        result = (_ENUMERATED, _OCTETS, _OCTETS)
        _walk(message, _shaped(message, start, stop, result, more=_AFTER_RESULT[tag]), 2)
    else:
        raise BrokenAnswer(f"a message of kind {tag:#04x}")


def _length_octets(first: int) -> int:
    count = first - _LONG_FORM
    if not 1 <= count <= _MOST_LENGTH_OCTETS:
        raise BrokenAnswer("a length that LDAP does not allow")  # RFC 4511, section 5.1
    return count


def _children(message: bytes, start: int, stop: int) -> list[_Element]:
    """Read the elements that fill the room from `start` to `stop`."""
    children = []
    while start < stop:
        if stop - start < _HEADER:
            raise BrokenAnswer("an element without a length")
        tag, length = message[start], message[start + 1]
        start += _HEADER
        if length >= _LONG_FORM:
            count = _length_octets(length)
            length = int.from_bytes(message[start : start + count], "big")
            start += count
        if start + length > stop:
            raise BrokenAnswer("an element that is longer than what it is in")
        children.append((tag, start, start + length))
        start += length
    return children


def _check_entry(message: bytes, start: int, stop: int) -> None:
    _, attributes = _shaped(message, start, stop, (_OCTETS, _SEQUENCE))
    names = set()
    whole = _children(message, *attributes[1:])
    for tag, first, last in whole:
        if tag != _SEQUENCE:
            raise BrokenAnswer("an attribute that is no sequence")
        name, values = _shaped(message, first, last, (_OCTETS, _SET))
        if any(child[0] != _OCTETS for child in _children(message, *values[1:])):
            raise BrokenAnswer("a value that is no octet string")
        names.add(message[name[1] : name[2]].lower())
    if len(names) < len(whole):
        raise BrokenAnswer("an attribute that is there twice")  # ldap3 would take the last


def _shaped(
    message: bytes,
    start: int,
    stop: int,
    tags: tuple[Optional[int], ...],
    *,
    more: tuple[int, ...] = (),
) -> list[_Element]:
    """Read elements of given tags, and after them any of some others."""
    children = _children(message, start, stop)
    given = [child[0] for child in children]
    fits = len(given) >= len(tags) and all(
        wanted in (None, tag) for tag, wanted in zip(given, tags)
    )
    if not fits or not set(given[len(tags) :]) <= set(more):
        raise BrokenAnswer("elements that are not those of an answer")
    return children


def _walk(message: bytes, elements: Iterable[_Element], depth: int) -> None:
    """See that elements are whole to any depth, and that numbers are short."""
    for tag, start, stop in elements:
        if tag in (_INTEGER, _ENUMERATED) and not 1 <= stop - start <= _MOST_NUMBER_OCTETS:
            raise BrokenAnswer(f"a number of {stop - start} octets")
        if tag & _CONSTRUCTED:
            if depth >= _DEEPEST:
                raise BrokenAnswer(f"elements in elements, more than {_DEEPEST} deep")
            _walk(message, _children(message, start, stop), depth + 1)

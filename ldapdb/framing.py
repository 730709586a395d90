"""Answers as they come from a server: whole messages, looked at before anybody reads them.

ldap3, which still reads those to log-ins by SASL, believes in its release 2.9.1 what an answer
says of its own lengths: a number of a million digits keeps it busy for minutes, sequences in
sequences overflow its stack, and an element that is longer or shorter than it says turns into a
value or is dropped without a word. A message that is not exactly as RFC 4511 has it is no
answer.

This module opens no connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional, Union

from ldapdb import ber
from ldapdb.ber import BrokenAnswer

__all__ = ["check", "end_of", "missing"]

# Tags of BER (X.690), as RFC 4511 uses them.
_ENTRY, _REFERENCE, _CONTROLS = 0x64, 0x73, 0xA0
_CONSTRUCTED = 0x20

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
    if octets and octets[0] != ber.SEQUENCE:
        raise BrokenAnswer(f"a message that begins with {octets[0]:#04x}")
    header = ber.HEADER
    if len(octets) >= header and octets[1] >= ber.LONG_FORM:
        header += ber.length_octets(octets[1])
    if len(octets) < header:
        return header - len(octets)
    length = (
        octets[1] if header == ber.HEADER else int.from_bytes(octets[ber.HEADER : header], "big")
    )
    if length > _LONGEST:
        raise BrokenAnswer(f"a message of {length} octets")
    return header + length - len(octets)


def end_of(octets: bytes, start: int) -> int:
    """Tell where the message ends that begins at `start`.

    Returns
    -------
    int
        More than there are octets if it is not whole: then it ends there or later.

    Raises
    ------
    BrokenAnswer
        As :func:`missing`.
    """
    header = octets[start : start + ber.HEADER + ber.MOST_LENGTH_OCTETS]
    return start + len(header) + missing(header)


def check(message: bytes) -> None:
    """Refuse a whole message that is not as RFC 4511, section 4, has it.

    Raises
    ------
    BrokenAnswer
        With what is wrong.
    """
    ((_, start, stop),) = ber.children(message, 0, len(message))
    number, operation, *controls = _shaped(
        message, start, stop, (ber.INTEGER, None), more=(_CONTROLS,)
    )
    if len(controls) > 1:
        raise BrokenAnswer("two lists of controls")
    _walk(message, (number, *controls), 1)
    tag, start, stop = operation
    if tag == _ENTRY:
        _check_entry(message, start, stop)
    elif tag == _REFERENCE:
        _shaped(message, start, stop, (ber.OCTETS,), more=(ber.OCTETS,))
    elif tag in _AFTER_RESULT:
        result = (ber.ENUMERATED, ber.OCTETS, ber.OCTETS)
        _walk(message, _shaped(message, start, stop, result, more=_AFTER_RESULT[tag]), 2)
    else:
        raise BrokenAnswer(f"a message of kind {tag:#04x}")


def _check_entry(message: bytes, start: int, stop: int) -> None:
    _, attributes = _shaped(message, start, stop, (ber.OCTETS, ber.SEQUENCE))
    names = set()
    whole = ber.children(message, *attributes[1:])
    for tag, first, last in whole:
        if tag != ber.SEQUENCE:
            raise BrokenAnswer("an attribute that is no sequence")
        name, values = _shaped(message, first, last, (ber.OCTETS, ber.SET))
        if any(child[0] != ber.OCTETS for child in ber.children(message, *values[1:])):
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
) -> list[ber.Element]:
    """Read elements of given tags, and after them any of some others."""
    children = ber.children(message, start, stop)
    given = [child[0] for child in children]
    fits = len(given) >= len(tags) and all(
        wanted in (None, tag) for tag, wanted in zip(given, tags)
    )
    if not fits or not set(given[len(tags) :]) <= set(more):
        raise BrokenAnswer("elements that are not those of an answer")
    return children


def _walk(message: bytes, elements: Iterable[ber.Element], depth: int) -> None:
    """See that elements are whole to any depth, and that numbers are short."""
    for tag, start, stop in elements:
        if tag in (ber.INTEGER, ber.ENUMERATED):
            ber.number(message, start, stop)
        if tag & _CONSTRUCTED:
            if depth >= _DEEPEST:
                raise BrokenAnswer(f"elements in elements, more than {_DEEPEST} deep")
            _walk(message, ber.children(message, start, stop), depth + 1)

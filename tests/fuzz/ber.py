"""LDAP messages taken apart strictly, to tell an answer from what only looks like one.

Written from RFC 4511 and independent of ldap3. What this does not take is no answer,
whatever ldap3 makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE, SET, INTEGER, OCTETS, ENUMERATED, BOOLEAN = 0x30, 0x31, 0x02, 0x04, 0x0A, 0x01
ENTRY, REFERENCE, CONTROLS, REFERRAL = 0x64, 0x73, 0xA0, 0xA3
# Bind, searchResDone, modify, add, delete, modify DN, compare, extended.
RESULTS = frozenset({0x61, 0x65, 0x67, 0x69, 0x6B, 0x6D, 0x6F, 0x78})
_MORE = {0x61: (0x87,), 0x78: (0x8A, 0x8B)}
_LONG = 0x80
_MOST_LENGTH_OCTETS = 4


class NotAnswer(Exception):
    """The octets are no LDAP answer."""


@dataclass(frozen=True)
class Element:
    """A tag, where its content begins and ends, and where the tag itself stands."""

    tag: int
    at: int
    start: int
    stop: int


@dataclass(frozen=True)
class Answer:
    """A message of a server.

    Parameters
    ----------
    number : int
        The message's, which is that of the request.
    operation : int
        Tag of the protocolOp.
    code : int, optional
        Result code, where it is a result.
    """

    number: int
    operation: int
    code: int | None = None


def element(data: bytes, at: int, end: int) -> Element:
    """Read a tag and a definite length (RFC 4511, section 5.1).

    Raises
    ------
    NotAnswer
        If they are not whole, or the content goes beyond `end`.
    """
    if end - at < 2:
        raise NotAnswer("no room for a tag and a length")
    first, start = data[at + 1], at + 2
    length = first
    if first >= _LONG:
        octets = first - _LONG
        if not 1 <= octets <= _MOST_LENGTH_OCTETS or start + octets > end:
            raise NotAnswer("a length that is none")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    if start + length > end:
        raise NotAnswer("content beyond the end")
    return Element(data[at], at, start, start + length)


def elements(data: bytes, start: int, stop: int) -> Iterator[Element]:
    """Read what stands side by side, and fills the room."""
    while start < stop:
        each = element(data, start, stop)
        yield each
        start = each.stop


def headers(data: bytes) -> Iterator[Element]:
    """List all elements of a message, from the outermost on."""
    todo = [(0, len(data))]
    while todo:
        for each in elements(data, *todo.pop()):
            yield each
            if each.tag & 0x20:
                todo.append((each.start, each.stop))


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut octets into whole messages and a rest."""
    messages = []
    while data:
        try:
            whole = element(data, 0, len(data))
        except NotAnswer:
            break
        messages.append(data[: whole.stop])
        data = data[whole.stop :]
    return messages, data


def read(message: bytes) -> Answer:
    """Read one whole message of a server.

    Raises
    ------
    NotAnswer
        If it is not exactly as RFC 4511, section 4, has it.
    """
    outer = element(message, 0, len(message))
    parts = list(elements(message, outer.start, outer.stop))
    _is(outer.tag == SEQUENCE and outer.stop == len(message) and 2 <= len(parts) <= 3)
    number, operation, *controls = parts
    _is(number.tag == INTEGER and 1 <= number.stop - number.start <= 4)
    for each in controls:
        _is(each.tag == CONTROLS)
        _check_controls(message, each)
    found = int.from_bytes(message[number.start : number.stop], "big", signed=True)
    if operation.tag == ENTRY:
        _check_entry(message, operation)
        return Answer(found, ENTRY)
    if operation.tag == REFERENCE:
        _texts(message, operation)
        return Answer(found, REFERENCE)
    _is(operation.tag in RESULTS)
    return Answer(found, operation.tag, _code(message, operation))


def _is(condition: bool) -> None:
    if not condition:
        raise NotAnswer("not the grammar of an answer")


def _texts(data: bytes, parent: Element) -> None:
    for each in elements(data, parent.start, parent.stop):
        _is(each.tag == OCTETS)


def _check_entry(data: bytes, operation: Element) -> None:
    name, attributes = _exactly(data, operation, (OCTETS, SEQUENCE))
    del name
    for attribute in elements(data, attributes.start, attributes.stop):
        _is(attribute.tag == SEQUENCE)
        description, values = _exactly(data, attribute, (OCTETS, SET))
        _is(description.stop > description.start)
        _texts(data, values)


def _code(data: bytes, operation: Element) -> int:
    parts = list(elements(data, operation.start, operation.stop))
    _is([each.tag for each in parts[:3]] == [ENUMERATED, OCTETS, OCTETS])
    for each in parts[3:]:
        _is(each.tag == REFERRAL or each.tag in _MORE.get(operation.tag, ()))
        if each.tag == REFERRAL:
            _texts(data, each)
    code = data[parts[0].start : parts[0].stop]
    _is(len(code) >= 1)
    return int.from_bytes(code, "big", signed=True)


def _check_controls(data: bytes, parent: Element) -> None:
    for control in elements(data, parent.start, parent.stop):
        _is(control.tag == SEQUENCE)
        tags = [each.tag for each in elements(data, control.start, control.stop)]
        _is(tags[:1] == [OCTETS] and tags[1:] in ([], [BOOLEAN], [OCTETS], [BOOLEAN, OCTETS]))


def _exactly(data: bytes, parent: Element, tags: tuple[int, ...]) -> list[Element]:
    parts = list(elements(data, parent.start, parent.stop))
    _is(tuple(each.tag for each in parts) == tags)
    return parts


def made(tag: int, content: bytes) -> bytes:
    """Write an element."""
    length = len(content)
    if length < _LONG:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG + len(octets)]) + octets + content


def renumbered(message: bytes, number: int) -> bytes:
    """Write a message again with another number."""
    outer = element(message, 0, len(message))
    old = element(message, outer.start, outer.stop)
    digits = number.to_bytes(max(1, number.bit_length() // 8 + 1), "big")
    return made(outer.tag, made(INTEGER, digits) + message[old.stop : outer.stop])

"""Searches on the wire: the request, and the messages that answer it (RFC 4511, section 4.5).

ldap3 2.9.1 takes a millisecond to write a request and seventy microseconds to read an entry,
most of it for looking up its own configuration. A message that is not exactly as the RFC
has it is no answer: nothing in it is believed.

This module opens no connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional, Union

from ldapdb import ber, messages
from ldapdb.ber import BrokenAnswer
from ldapdb.entries import Entry
from ldapdb.filters import Filter

__all__ = [
    "BASE",
    "END_TAG",
    "LEVEL",
    "NO_ATTRIBUTES",
    "SUBTREE",
    "End",
    "Opened",
    "Page",
    "Reference",
    "Search",
    "open_answer",
    "read_answer",
    "read_any_answer",
    "read_opened",
    "search_request",
]

# Scopes (RFC 4511, section 4.5.1.2).
BASE, LEVEL, SUBTREE = 0, 1, 2
NO_ATTRIBUTES = ("1.1",)  # section 4.5.1.8

_REQUEST, _ENTRY, END_TAG, _REFERENCE = 0x63, 0x64, 0x65, 0x73
_CONTROLS, _REFERRALS, _BOOLEAN = 0xA0, 0xA3, 0x01
_REFERRALS_AT = 3
_PAGED_RESULTS = b"1.2.840.113556.1.4.319"  # RFC 2696
_NONE = ber.integer(0)
_PAGE_SHAPE = [ber.INTEGER, ber.OCTETS]


class Search(NamedTuple):
    """What is asked for.

    Parameters
    ----------
    base : str
        DN of the entry to begin at.
    scope : int
        `BASE`, `LEVEL` or `SUBTREE`.
    search_filter : Filter
        Which entries.
    attributes : tuple of str
        Which to return; ``1.1`` for none.
    page : Page, optional
        The part of the answer that is wanted; by default all of it at once.
    """

    base: str
    scope: int
    search_filter: Filter
    attributes: tuple[str, ...]
    page: Optional[Page] = None


class Page(NamedTuple):
    """Which page of an answer is asked for.

    Parameters
    ----------
    size : int
        Entries in it.
    cookie : bytes
        What came with the page before; empty for the first.
    """

    size: int
    cookie: bytes = b""


@dataclass(frozen=True)
class End(messages.Result):
    """The last message of an answer.

    Parameters
    ----------
    referrals : tuple of str
        URIs of other servers.
    cookie : bytes
        For the next page; empty after the last one.
    """

    referrals: tuple[str, ...]
    cookie: bytes


@dataclass(frozen=True)
class Reference:
    """A part of the answer that is elsewhere.

    Parameters
    ----------
    uris : tuple of str
        Where.
    """

    uris: tuple[str, ...]


def search_request(
    message_id: int,
    base: str,
    scope: int,
    search_filter: Filter,
    attributes: Sequence[str],
    page: Optional[Page] = None,
    control: bytes = b"",
) -> bytes:
    """Write a request.

    Aliases are never followed, and no limit is asked for.

    Parameters
    ----------
    message_id : int
        To be found in each message of the answer.
    base : str
        DN of the entry to begin at.
    scope : int
        `BASE`, `LEVEL` or `SUBTREE`.
    attributes : sequence of str
        Which to return; ``1.1`` for none.
    page : Page, optional
        The part of the answer that is wanted; by default all of it at once.
    control : bytes
        A control of another kind, as ``controls`` writes it, in the place of a page.
    """
    request = ber.sequence(
        ber.element(base.encode()),
        ber.integer(scope, ber.ENUMERATED),
        ber.integer(0, ber.ENUMERATED),  # neverDerefAliases
        _NONE,
        _NONE,
        ber.element(b"\0", _BOOLEAN),
        search_filter.encoded(),
        ber.sequence(*(ber.element(name.encode()) for name in attributes)),
        tag=_REQUEST,
    )
    if page is not None:
        control = _paged(page)
    controls = ber.sequence(control, tag=_CONTROLS) if control else b""
    return messages.message(message_id, request, controls)


def _paged(page: Page) -> bytes:
    value = ber.sequence(ber.integer(page.size), ber.element(page.cookie))
    return ber.sequence(ber.element(_PAGED_RESULTS), ber.element(value))


def read_answer(
    octets: bytes, start: int, stop: int, message_id: int
) -> Union[Entry, Reference, End]:
    """Read a message that answers a search.

    Parameters
    ----------
    octets : bytes
        Where it is in.
    start, stop : int
        Where it begins, and where it ends.
    message_id : int
        The request's.

    Raises
    ------
    BrokenAnswer
        If it is none, or answers something else.
    """
    number, answer = read_any_answer(octets, start, stop)
    if number != message_id:
        raise BrokenAnswer("an answer to something else")
    return answer


def read_any_answer(
    octets: bytes, start: int, stop: int
) -> tuple[int, Union[Entry, Reference, End]]:
    """Read a message that answers one of several searches; return that one's number, too.

    Raises
    ------
    BrokenAnswer
        If it is none.
    """
    opened = open_answer(octets, start, stop)
    return opened.number, read_opened(opened)


class Opened(NamedTuple):
    """A message of which no more is known than what it answers, and whether it is the last.

    Parameters
    ----------
    octets : bytes
        Where it is in.
    number : int
        Of the request.
    tag : int
        Of the operation.
    start, end : int
        Where the operation's content begins, and where it ends.
    stop : int
        Where the message ends.
    """

    octets: bytes
    number: int
    tag: int
    start: int
    end: int
    stop: int

    @property
    def is_entry(self) -> bool:
        """Whether it is an entry, by which an answer is not over."""
        return self.tag == _ENTRY


def open_answer(octets: bytes, start: int, stop: int) -> Opened:
    """Look at what a message is.

    Raises
    ------
    BrokenAnswer
        If it is none.
    """
    number, at = messages.number_of(octets, start, stop)
    return Opened(octets, number, *ber.head(octets, at, stop), stop)


def read_opened(opened: Opened) -> Union[Entry, Reference, End]:
    """Read the rest of a message that answers a search.

    Raises
    ------
    BrokenAnswer
        If it does not.
    """
    octets, _, tag, start, end, stop = opened
    cookie = _read_controls(octets, end, stop) if end != stop else b""
    if tag == _ENTRY:
        return _read_entry(octets, start, end)
    if tag == END_TAG:
        return _read_end(octets, start, end, cookie)
    if tag == _REFERENCE:
        return Reference(_strings(octets, start, end))
    raise BrokenAnswer(f"a message of kind {tag:#04x}")


def _read_entry(message: bytes, start: int, stop: int) -> Entry:
    head = ber.head
    tag, first, at = head(message, start, stop)
    if tag != ber.OCTETS:
        raise BrokenAnswer("an entry without a name")
    name = message[first:at]
    tag, at, end = head(message, at, stop)
    if tag != ber.SEQUENCE or end != stop:
        raise BrokenAnswer("an entry that is not one")
    attributes: dict[str, list[bytes]] = {}
    count = 0
    while at < end:
        tag, at, next_at = head(message, at, end)
        kind, first, last = head(message, at, next_at)
        what, start, stop = head(message, last, next_at)
        if (tag, kind, what, stop) != (ber.SEQUENCE, ber.OCTETS, ber.SET, next_at):
            raise BrokenAnswer("an attribute that is not one")
        values = []
        while start < stop:
            tag, begin, start = head(message, start, stop)
            if tag != ber.OCTETS:
                raise BrokenAnswer("a value that is no octet string")
            values.append(message[begin:start])
        attributes[message[first:last].decode("ascii").lower()] = values
        count += 1
        at = next_at
    if count != len(attributes):
        raise BrokenAnswer("an attribute that is there twice")
    return Entry(dn=name.decode("utf-8", "surrogateescape"), attributes=attributes)


def _read_end(message: bytes, start: int, stop: int, cookie: bytes) -> End:
    parts = ber.children(message, start, stop)
    told = messages.result(message, parts)
    more = parts[_REFERRALS_AT:]
    if [tag for tag, _, _ in more] not in ([], [_REFERRALS]):
        raise BrokenAnswer("a result that is not one")
    referrals = _strings(message, *more[0][1:]) if more else ()
    return End(told.code, told.said, referrals, cookie)


def _read_controls(message: bytes, start: int, stop: int) -> bytes:
    """Return the cookie of the next page; empty if there is none."""
    tag, start, end = ber.head(message, start, stop)
    if tag != _CONTROLS or end != stop:
        raise BrokenAnswer("elements that are not those of an answer")
    cookie = b""
    for tag, first, last in ber.children(message, start, stop):
        parts = ber.children(message, first, last)
        if tag != ber.SEQUENCE or not parts or parts[0][0] != ber.OCTETS:
            raise BrokenAnswer("a control that is not one")
        kind, begin, end = parts[-1]
        if message[parts[0][1] : parts[0][2]] == _PAGED_RESULTS and kind == ber.OCTETS:
            cookie = _read_page(message, begin, end)
    return cookie


def _read_page(message: bytes, start: int, stop: int) -> bytes:
    tag, first, end = ber.head(message, start, stop)
    parts = ber.children(message, first, end)
    if tag != ber.SEQUENCE or end != stop or [part[0] for part in parts] != _PAGE_SHAPE:
        raise BrokenAnswer("a page that is not one")
    return message[parts[1][1] : parts[1][2]]


def _strings(message: bytes, start: int, stop: int) -> tuple[str, ...]:
    parts = ber.children(message, start, stop)
    if not parts or any(tag != ber.OCTETS for tag, _, _ in parts):
        raise BrokenAnswer("referrals that are none")
    return tuple(message[first:last].decode("utf-8", "replace") for _, first, last in parts)

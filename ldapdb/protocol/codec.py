"""LDAP messages as octets: search requests, their answers, and where a message ends.

ldap3 encodes and decodes everything else. Its own way with searches takes a millisecond to
write a request and seventy microseconds to read an entry, and its decoder trusts the lengths
and numbers in an answer. So searches are read and written here, and every other message is
checked here before ldap3 decodes it. A message that differs from RFC 4511 is rejected whole.

This module opens no connection.

References
----------
RFC 4511, sections 4.1.1, 4.1.9, 4.5 and 5.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional, Union

from ldapdb.protocol import ber
from ldapdb.protocol.ber import BrokenAnswer
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter

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
    "Result",
    "Search",
    "check_response",
    "check_size",
    "read_opened",
    "read_whole_answer",
    "search_request",
    "split",
]

# Scopes (RFC 4511, section 4.5.1.2).
BASE, LEVEL, SUBTREE = 0, 1, 2
NO_ATTRIBUTES = ("1.1",)  # section 4.5.1.8

_REQUEST, _ENTRY, END_TAG, _REFERENCE = 0x63, 0x64, 0x65, 0x73
_CONTROLS, _REFERRALS, _BOOLEAN = 0xA0, 0xA3, 0x01
_CONSTRUCTED = 0x20
_PAGED_RESULTS = b"1.2.840.113556.1.4.319"  # RFC 2696
_NONE = ber.integer(0)
_PAGE_SHAPE = [ber.INTEGER, ber.OCTETS]
_RESULT_SHAPE = [ber.ENUMERATED, ber.OCTETS, ber.OCTETS]
_DEEPEST = 6  # a control's value and a referral are less deep
# What may follow a result (RFC 4511, section 4.1.9 and the operation's own).
_AFTER_RESULT = {
    0x61: (_REFERRALS, 0x87),  # bind
    0x67: (_REFERRALS,),  # modify
    0x69: (_REFERRALS,),  # add
    0x6B: (_REFERRALS,),  # delete
    0x6D: (_REFERRALS,),  # modify DN
    0x6F: (_REFERRALS,),  # compare
    0x78: (_REFERRALS, 0x8A, 0x8B),  # extended
}
_LARGEST_RESPONSE = 1 << 20  # octets; a Kerberos token has a tenth of that
# An element of two octets becomes an object of fifty, so an answer may have one for every so
# many octets of its limit.
_OCTETS_PER_ELEMENT = 32
_MOST_NAMES = 1000


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
class Result:
    """The outcome of an operation (RFC 4511, section 4.1.9).

    Parameters
    ----------
    code : int
        LDAP result code.
    said : str
        The server's diagnostic message.
    """

    code: int
    said: str


@dataclass(frozen=True)
class End(Result):
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


class Opened(NamedTuple):
    """A message whose number and operation are known, and nothing else yet.

    Parameters
    ----------
    octets : bytes
        What contains it.
    begin : int
        Where it begins.
    number : int
        Message ID; that of the request.
    tag : int
        The operation's tag.
    start, end : int
        Where the operation's content begins and ends.
    stop : int
        Where the message ends.
    """

    octets: bytes
    begin: int
    number: int
    tag: int
    start: int
    end: int
    stop: int

    @property
    def is_entry(self) -> bool:
        """Whether the message is an entry."""
        return self.tag == _ENTRY


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
        Another control, as `controls` writes it, instead of a page.
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
    return ber.sequence(ber.integer(message_id), request, controls)


def _paged(page: Page) -> bytes:
    value = ber.sequence(ber.integer(page.size), ber.element(page.cookie))
    return ber.sequence(ber.element(_PAGED_RESULTS), ber.element(value))


# --- framing


def split(octets: bytes, largest: int) -> tuple[list[Opened], int, int]:
    """Find the whole messages in what has been received.

    Parameters
    ----------
    octets : bytes
        Received octets, from the beginning of a message on.
    largest : int
        Octets that a message may have.

    Returns
    -------
    list of Opened
        The whole messages.
    int
        Where the rest begins: a part of a message, or nothing.
    int
        Octets that the rest must have before it can be a whole message.

    Raises
    ------
    BrokenAnswer
        If the octets are not LDAP messages, or a message is too large.
    """
    found: list[Opened] = []
    start, received = 0, len(octets)
    while start < received:
        if octets[start] != ber.SEQUENCE:
            raise BrokenAnswer(f"a message that begins with {octets[start]:#04x}")
        if received - start < ber.HEADER:
            break
        at, length = start + ber.HEADER, octets[start + 1]
        if length >= ber.LONG_FORM:
            count = ber.length_octets(length)
            if at + count > received:
                return found, start, ber.HEADER + count
            length = int.from_bytes(octets[at : at + count], "big")
            at += count
        check_size(length, largest)
        stop = at + length
        if stop > received:
            return found, start, stop - start
        found.append(_open(octets, start, at, stop))
        start = stop
    return found, start, ber.HEADER


def check_size(octets: int, largest: int) -> None:
    """Reject an answer that is too large.

    Raises
    ------
    BrokenAnswer
        If it has more octets than are allowed.
    """
    if octets > largest:
        raise BrokenAnswer(
            f"an answer of {octets:,} octets, more than the {largest:,} of max_answer_bytes; raise "
            "that setting if the directory has such entries"
        )


def _open(octets: bytes, begin: int, start: int, stop: int) -> Opened:
    tag, first, last = ber.head(octets, start, stop)
    if tag != ber.INTEGER:
        raise BrokenAnswer("a message without a number")
    number = ber.number(octets, first, last)
    return Opened(octets, begin, number, *ber.head(octets, last, stop), stop)


# --- answers to other requests, which ldap3 decodes


def check_response(opened: Opened) -> Result:
    """Check a message before ldap3 decodes it, and return its result.

    ldap3 2.9.1 believes what a message says of its own lengths: a number of a million digits
    keeps it busy for minutes, and nested sequences overflow its stack.

    Raises
    ------
    BrokenAnswer
        If it is not a response that RFC 4511 defines, or too large for one.
    """
    octets, begin, _, tag, start, end, stop = opened
    if tag not in _AFTER_RESULT:
        raise BrokenAnswer(f"a message of kind {tag:#04x}")
    if stop - begin > _LARGEST_RESPONSE:
        raise BrokenAnswer(f"a response of {stop - begin:,} octets")
    parts = ber.children(octets, start, end)
    if not {part[0] for part in parts[len(_RESULT_SHAPE) :]} <= set(_AFTER_RESULT[tag]):
        raise BrokenAnswer("elements that no response has")
    _check_nesting(octets, parts, 2)
    if end != stop:
        _read_controls(octets, end, stop)
        _check_nesting(octets, ber.children(octets, end, stop), 1)
    return _result(octets, parts)


def _check_nesting(octets: bytes, elements: Iterable[ber.Element], depth: int) -> None:
    """Check that elements are whole to any depth, and numbers short."""
    for tag, start, stop in elements:
        if tag in (ber.INTEGER, ber.ENUMERATED):
            ber.number(octets, start, stop)
        if tag & _CONSTRUCTED:
            if depth >= _DEEPEST:
                raise BrokenAnswer(f"elements nested more than {_DEEPEST} deep")
            _check_nesting(octets, ber.children(octets, start, stop), depth + 1)


def _result(octets: bytes, parts: Sequence[ber.Element]) -> Result:
    """Read what every result begins with."""
    if [tag for tag, _, _ in parts[: len(_RESULT_SHAPE)]] != _RESULT_SHAPE:
        raise BrokenAnswer("a malformed result")
    code, _, said = parts[: len(_RESULT_SHAPE)]
    return Result(
        ber.number(octets, code[1], code[2]), octets[said[1] : said[2]].decode("utf-8", "replace")
    )


# --- answers to searches


def read_whole_answer(opened: Sequence[Opened], largest: int) -> tuple[list[Entry], list[str], End]:
    """Read all messages of an answer.

    Parameters
    ----------
    opened : sequence of Opened
        Its messages.
    largest : int
        Octets that an answer may have. It limits the number of entries, attributes and values
        as well: the smallest ones fill memory the fastest.

    Returns
    -------
    list of Entry
        Entries.
    list of str
        URIs of other servers, which hold the rest.
    End
        The last message.

    Raises
    ------
    BrokenAnswer
        If one does not answer a search, or all together are too many.
    """
    entries: list[Entry] = []
    elsewhere: list[str] = []
    left = largest // _OCTETS_PER_ELEMENT
    for each in opened[:-1]:
        if each.tag == _ENTRY:
            if each.end != each.stop:
                _read_controls(each.octets, each.end, each.stop)
            entry, count = _read_entry(each.octets, each.start, each.end, left)
            entries.append(entry)
            left -= count
        else:
            answer = read_opened(each)
            assert isinstance(answer, Reference)  # noqa: S101 -- for mypy: an end ends an answer
            elsewhere += answer.uris
            left -= len(answer.uris) + 1
        _check_left(left)
    end = read_opened(opened[-1])
    assert isinstance(end, End)  # noqa: S101 -- for mypy: its tag says so
    return entries, elsewhere, end


def read_opened(opened: Opened) -> Union[Entry, Reference, End]:
    """Read the rest of a message that answers a search.

    Raises
    ------
    BrokenAnswer
        If it does not answer a search.
    """
    octets, _, _, tag, start, end, stop = opened
    cookie = _read_controls(octets, end, stop) if end != stop else b""
    if tag == _ENTRY:
        return _read_entry(octets, start, end, stop - start)[0]
    if tag == END_TAG:
        return _read_end(octets, start, end, cookie)
    if tag == _REFERENCE:
        return Reference(_strings(octets, start, end))
    raise BrokenAnswer(f"a message of kind {tag:#04x}")


def _check_left(elements: int) -> None:
    if elements < 0:
        raise BrokenAnswer(
            "an answer of too many entries, attributes and values; raise max_answer_bytes if the "
            "directory has such entries"
        )


class _Names(dict[bytes, str]):
    """Attribute descriptions in lower case, each decoded once."""

    def __missing__(self, octets: bytes) -> str:
        name = octets.decode("ascii").lower()
        if len(self) < _MOST_NAMES:
            self[octets] = name
        return name


_names = _Names()


def _read_entry(octets: bytes, start: int, stop: int, most: int) -> tuple[Entry, int]:
    """Read an entry of at most so many elements; return also how many it has."""
    tag, first, at = ber.head(octets, start, stop)
    if tag != ber.OCTETS:
        raise BrokenAnswer("an entry without a name")
    name = octets[first:at]
    tag, at, end = ber.head(octets, at, stop)
    if tag != ber.SEQUENCE or end != stop:
        raise BrokenAnswer("a malformed entry")
    attributes: dict[str, list[bytes]] = {}
    count, left = 0, most - 1
    while at < end:
        tag, at, next_at = ber.head(octets, at, end)
        kind, first, last = ber.head(octets, at, next_at)
        what, at, stop = ber.head(octets, last, next_at)
        if (tag, kind, what, stop) != (ber.SEQUENCE, ber.OCTETS, ber.SET, next_at):
            raise BrokenAnswer("a malformed attribute")
        values = _read_values(octets, at, stop, left)
        attributes[_names[octets[first:last]]] = values
        count += 1
        left -= len(values) + 1
        _check_left(left)
        at = next_at
    if count != len(attributes):
        raise BrokenAnswer("an attribute that occurs twice")
    return Entry(name.decode("utf-8", "surrogateescape"), attributes), most - left


def _read_values(octets: bytes, at: int, stop: int, most: int) -> list[bytes]:
    """Read an attribute's values.

    Short lengths are read here and not by :func:`ber.head`: nearly all values have one, and a
    call for each costs a third of the time to read an entry.
    """
    values: list[bytes] = []
    while at < stop:
        if octets[at] != ber.OCTETS or stop - at < ber.HEADER:
            raise BrokenAnswer("a value that is not an octet string")
        length = octets[at + 1]
        if length < ber.LONG_FORM:
            first = at + ber.HEADER
            at = first + length
            if at > stop:
                raise BrokenAnswer("a value that is longer than its attribute")
        else:
            _, first, at = ber.head(octets, at, stop)
        values.append(octets[first:at])
        if len(values) > most:
            _check_left(-1)
    return values


def _read_end(message: bytes, start: int, stop: int, cookie: bytes) -> End:
    parts = ber.children(message, start, stop)
    told = _result(message, parts)
    more = parts[len(_RESULT_SHAPE) :]
    if [tag for tag, _, _ in more] not in ([], [_REFERRALS]):
        raise BrokenAnswer("a malformed result")
    referrals = _strings(message, *more[0][1:]) if more else ()
    return End(told.code, told.said, referrals, cookie)


def _read_controls(message: bytes, start: int, stop: int) -> bytes:
    """Return the cookie of the next page; empty if there is none."""
    tag, start, end = ber.head(message, start, stop)
    if tag != _CONTROLS or end != stop:
        raise BrokenAnswer("elements that no answer has")
    cookie = b""
    for tag, first, last in ber.children(message, start, stop):
        parts = ber.children(message, first, last)
        if tag != ber.SEQUENCE or not parts or parts[0][0] != ber.OCTETS:
            raise BrokenAnswer("a malformed control")
        kind, begin, end = parts[-1]
        if message[parts[0][1] : parts[0][2]] == _PAGED_RESULTS and kind == ber.OCTETS:
            cookie = _read_page(message, begin, end)
    return cookie


def _read_page(message: bytes, start: int, stop: int) -> bytes:
    tag, first, end = ber.head(message, start, stop)
    parts = ber.children(message, first, end)
    if tag != ber.SEQUENCE or end != stop or [part[0] for part in parts] != _PAGE_SHAPE:
        raise BrokenAnswer("a malformed page")
    return message[parts[1][1] : parts[1][2]]


def _strings(message: bytes, start: int, stop: int) -> tuple[str, ...]:
    parts = ber.children(message, start, stop)
    if not parts or any(tag != ber.OCTETS for tag, _, _ in parts):
        raise BrokenAnswer("malformed referrals")
    return tuple(message[first:last].decode("utf-8", "replace") for _, first, last in parts)

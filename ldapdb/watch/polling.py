"""Asking again and again, where a directory allows nothing better.

Entries that were changed since the last time are found by when (``modifyTimestamp``), or by the
server's own count of its changes (``uSNChanged`` on Active Directory). What is gone, or was
replicated late under an earlier time, is found by comparing all there is with what there was;
that takes long where there is much, so it takes a twentieth of the time at the most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Optional

from ldapdb.client import Deadline, Stream
from ldapdb.client.results import result_error
from ldapdb.errors import AccessDenied, InvalidValue
from ldapdb.protocol import filters
from ldapdb.protocol.codec import BASE, SUBTREE, Page
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.syntaxes import format_time, parse_integer, parse_time
from ldapdb.watch.known import Known
from ldapdb.watch.protocol import Batch, Change, Patience, Scope

__all__ = ["Polling", "next_comparison", "pages", "rest_until", "value"]

_EVERYTHING = filters.present("objectClass")
_PAGE = 500
_ANSWER_SECONDS = 60.0
_SHARE = 20
# Times are of whole seconds, and servers' clocks differ a little.
_OVERLAP_SECONDS = 2.0
_COUNT = "highestCommittedUSN"


class Polling:
    """Asks for what was changed, and at times compares all there is.

    Parameters
    ----------
    scope : Scope
        What is watched.
    timer : callable
        Seconds of a monotonic clock.
    """

    mechanism = "polling"

    def __init__(self, scope: Scope, timer: Callable[[], float] = time.monotonic) -> None:
        self._scope = scope
        self._timer = timer
        self._identifier = scope.vendor.identifier_attribute
        self._stamp = scope.vendor.change_attribute
        self._known = Known()
        self._stamps: dict[bytes, bytes] = {}
        # When each version of an entry was found first; None if it need not be told any more.
        # Until the second of its time is over, it may be changed once more and look the same.
        self._found: dict[tuple[bytes, bytes], Optional[float]] = {}
        # What the server had counted to before it was last asked.
        self._counted = 0

    def follow(self, stream: Stream, patience: Patience) -> Iterator[Batch]:
        """Yield what changes; see :class:`~ldapdb.watch.Source`."""
        self._known.clear()
        self._stamps.clear()
        self._found.clear()
        full_at, everything = self._timer(), True
        while True:
            began = self._timer()
            changes = [] if everything else self._changed(stream)
            if began >= full_at:
                changes += self._compared(stream)
                full_at = next_comparison(began, self._timer(), self._scope.poll_seconds)
            yield Batch([] if everything else changes, everything=everything)
            everything = False
            yield from rest_until(
                began + self._scope.poll_seconds, stream, patience, self._timer
            )  # fmt: skip

    def _changed(self, stream: Stream) -> list[Change]:
        """Ask for what was changed since the last time."""
        since, began = self._since(), self._timer()
        self._count(stream)
        attributes = tuple(dict.fromkeys((*self._scope.attributes, self._identifier, self._stamp)))
        entries = list(self._search(stream, since, attributes))
        ended, found = self._timer(), {}
        changes = []
        for entry in filter(self._is_known_by, entries):
            version = value(entry, self._identifier), value(entry, self._stamp)
            first = self._found.get(version, ended)
            found[version] = None if first is None or began > first + 1 else first
            if first is not None:
                changes.append(Change(self._put(entry), entry))
        self._found = found
        return changes

    def _compared(self, stream: Stream) -> list[Change]:
        """Compare all there is with what there was."""
        changes, seen = [], set()
        if not self._stamps:
            self._count(stream)
        asked = self._identifier, self._stamp
        hidden, is_empty = list(asked), True
        for entry in self._search(stream, _EVERYTHING, asked):
            is_empty = False
            hidden = [each for each in hidden if not value(entry, each)]
            identifier, stamp = (value(entry, each) for each in asked)
            if not identifier:
                continue
            seen.add(identifier)
            is_same = self._stamps.get(identifier) == stamp
            before = self._put(entry)
            if not is_same or before != entry.dn:
                changes.append(Change(before, Entry(entry.dn, {})))
        if hidden and not is_empty:
            raise AccessDenied(
                f"the directory at {stream.uri} shows {hidden[0]} of no entry to this account, so "
                f"that changes are not seen; let it read {' and '.join(hidden)}",
                server=stream.uri,
            )
        for identifier in set(self._known).difference(seen):
            changes.append(Change(self._known.pop(identifier), None))
            self._stamps.pop(identifier, None)
        return changes

    def _put(self, entry: Entry) -> Optional[str]:
        identifier = value(entry, self._identifier)
        self._stamps[identifier] = value(entry, self._stamp)
        return self._known.put(identifier, entry.dn)

    def _since(self) -> Filter:
        if not self._stamps:
            return _EVERYTHING
        if self._scope.vendor.change_numbers:
            return filters.at_least(self._stamp, str(self._counted + 1))
        latest = max(self._stamps.values()).decode("ascii", "replace")
        try:
            moment = float(parse_time(latest)) - _OVERLAP_SECONDS
        except ValueError:
            raise InvalidValue(f"{self._stamp} is {latest!r} and must be a time") from None
        return filters.at_least(self._stamp, format_time(moment).replace(".0Z", "Z"))

    def _search(self, stream: Stream, wanted: Filter, attributes: Sequence[str]) -> Iterator[Entry]:
        """Search all bases in pages."""
        for base in self._scope.bases:
            yield from pages(stream, base, wanted, attributes)

    def _is_known_by(self, entry: Entry) -> bool:
        return bool(value(entry, self._identifier))

    def _count(self, stream: Stream) -> None:
        """Ask the server how many changes it has counted, before it is asked for them.

        Not by the greatest number found: what changes while pages come may be in none of them,
        and others that change after it may.
        """
        if self._scope.vendor.change_numbers:
            deadline, asked = Deadline(_ANSWER_SECONDS), (_COUNT,)
            entries, *_ = stream.search(deadline, "", BASE, _EVERYTHING, asked, None)
            told = next((value(each, _COUNT) for each in entries), b"") or b"0"
            try:
                self._counted = parse_integer(told.decode("ascii", "replace"))
            except ValueError:
                raise InvalidValue(f"{_COUNT} is {told!r} and must be a number") from None


def next_comparison(began: float, ended: float, poll_seconds: float) -> float:
    """Tell when to compare again, so that it takes a twentieth of the time at the most."""
    return ended + max(_SHARE * (ended - began), poll_seconds)


def rest_until(
    moment: float, stream: Stream, patience: Patience, timer: Callable[[], float]
) -> Iterator[Batch]:
    """Wait, awake for whoever is impatient and for the end of the connection."""
    while (left := moment - timer()) > 0:
        if stream.receive(min(left, patience())):
            continue  # nobody was asked: nothing that matters
        yield Batch()


def pages(stream: Stream, base: DN, wanted: Filter, attributes: Sequence[str]) -> Iterator[Entry]:
    """Search a subtree in pages (RFC 2696).

    Raises
    ------
    IncompleteResult, AccessDenied
        If the server does not send all.
    """
    cookie, is_last = b"", False
    while not is_last:
        deadline = Deadline(_ANSWER_SECONDS)
        page = Page(_PAGE, cookie)
        entries, _, end = stream.search(deadline, str(base), SUBTREE, wanted, attributes, page)
        if end.code:
            doing = "comparing all that is watched"
            raise result_error(end.code, stream.uri, doing, str(base), end.said)
        yield from entries
        cookie, is_last = end.cookie, not end.cookie


def value(entry: Entry, attribute: str) -> bytes:
    """Return an attribute's value, empty if it has none."""
    values = entry.attributes.get(attribute.lower(), ())
    return bytes(values[0]) if values else b""

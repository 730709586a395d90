"""DirSync: Active Directory tells what has changed since the last time it was asked.

It is asked for whole domains, because it takes no other base, and tells of removed entries by a
name in which they are marked as deleted. To an account without the right to replicate it does
not tell of those, so that at times all there is is compared with what there was. Of a changed
entry it tells only the attributes that have changed; which classes and names it has is
remembered here.

References
----------
[MS-ADTS], section 3.1.1.3.4.1.3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ldapdb.client import Stream
from ldapdb.client.results import result_error
from ldapdb.entries import MEMBER
from ldapdb.errors import DirectoryUnavailable
from ldapdb.protocol import filters
from ldapdb.protocol.ber import BrokenAnswer
from ldapdb.protocol.codec import SUBTREE, Reference
from ldapdb.protocol.controls import DirSynced, dirsync_request, read_dirsync
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import OBJECT_CLASS, Entry
from ldapdb.watch.known import Known
from ldapdb.watch.polling import next_comparison, pages, rest_until, value
from ldapdb.watch.protocol import Batch, Change, Patience, Scope

__all__ = ["DirSync"]

_EVERYTHING = filters.present("objectClass")
_GUID, _IS_DELETED = "objectGUID", "isDeleted"
# How the name of a deleted entry goes on after its own, a line feed and this mark.
_DELETED = ("\\0ADEL:", "\nDEL:")
_SILENCE_SECONDS = 30.0
_INSUFFICIENT_ACCESS_RIGHTS = 50


class DirSync:
    """Asks for changes, every few seconds.

    Parameters
    ----------
    scope : Scope
        What is watched.
    timer : callable
        Seconds of a monotonic clock.
    """

    mechanism = "DirSync"

    def __init__(self, scope: Scope, timer: Callable[[], float] = time.monotonic) -> None:
        domains = dict.fromkeys(
            max(
                (each for each in scope.naming_contexts if base.is_under(each)),
                key=lambda each: len(each.rdns),
                default=base,
            )
            for base in scope.bases
        )
        self._domains = [_Domain(each, scope, timer) for each in domains]
        self._seconds = scope.poll_seconds
        self._server = ""
        self._timer = timer

    def follow(self, stream: Stream, patience: Patience) -> Iterator[Batch]:
        """Yield what changes; see :class:`~ldapdb.watch.Source`."""
        if stream.uri != self._server:
            self._server = stream.uri
            for domain in self._domains:
                domain.forget()
        compare_at = self._timer()
        while True:
            began = self._timer()
            changes, everything = [], False
            for domain in self._domains:
                changes += domain.ask(stream)
                everything = everything or domain.everything
            took = self._timer() - began
            if began >= compare_at:
                for domain in self._domains:
                    changes += domain.compare(stream)
                compare_at = next_comparison(began, self._timer(), self._seconds)
            yield Batch([] if everything else changes, everything=everything)
            # So that the next answer is there when the time is over, and not asked for then only.
            rest = max(self._seconds - took, self._seconds / 2)
            yield from rest_until(began + rest, stream, patience, self._timer)


class _Domain:
    """One domain, as far as the server has told."""

    def __init__(self, name: DN, scope: Scope, timer: Callable[[], float]) -> None:
        self._name = name
        self._timer = timer
        # It tells of entries of which one of these has changed, and of no others.
        asked = (*scope.attributes, *scope.deciding, _GUID, _IS_DELETED, "name")
        self._attributes = tuple(dict.fromkeys(asked))
        self._lasting = [
            name
            for name in map(str.lower, scope.attributes)
            if name
            not in (MEMBER.lower(), _GUID.lower())  # the one is long, the other always there
        ]
        self._known = Known()
        # The attributes of each entry by which it is told what it is.
        self._last: dict[bytes, tuple[tuple[bytes, ...], ...]] = {}
        # Of classes there are few combinations, however many entries come and go.
        self._classes: dict[tuple[bytes, ...], tuple[bytes, ...]] = {}
        self._object_security = False
        self._cookie = b""
        # Whether the last answer was of all content, and not of what had changed.
        self.everything = True
        self._lost = False

    def forget(self) -> None:
        """Forget how far it was known."""
        self._cookie, self._lost = b"", False
        self._known.clear()
        self._last.clear()

    def ask(self, stream: Stream) -> list[Change]:
        """Ask what has changed.

        Raises
        ------
        AccessDenied, UnexpectedResult
            If it is not told to this account.
        """
        changes: list[Change] = []
        more, is_resumed = True, bool(self._cookie)
        self.everything = not is_resumed
        while more:
            entries, end = self._answer(stream)
            if end.end.code:
                self.forget()
                if is_resumed:  # by a cookie from before a restore, or of a replaced server
                    is_resumed, self.everything = False, True
                    continue
                if end.end.code == _INSUFFICIENT_ACCESS_RIGHTS and not self._object_security:
                    # Without the right to replicate, one is told what any search shows.
                    self._object_security = True
                    continue
                doing = "asking for changes"
                raise result_error(
                    end.end.code, stream.uri, doing, str(self._name), end.end.said
                )  # fmt: skip
            changes += [change for entry in entries for change in self._changes(entry)]
            self._cookie, more = end.cookie, end.more
            if self._lost:
                # Those below an entry that was renamed are not told of: all is asked for anew.
                self.forget()
                more = self.everything = True
        return changes

    def compare(self, stream: Stream) -> list[Change]:
        """Look what is not there any more, where removed entries are hidden from the account."""
        if not self._object_security:
            return []
        seen = {value(entry, _GUID) for entry in pages(stream, self._name, _EVERYTHING, (_GUID,))}
        gone = [each for each in self._known if each not in seen]
        for each in gone:
            self._last.pop(each, None)
        return [Change(self._known.pop(each), None) for each in gone]

    def _answer(self, stream: Stream) -> tuple[list[Entry], DirSynced]:
        control = dirsync_request(self._cookie, object_security=self._object_security)
        number = stream.ask(str(self._name), SUBTREE, _EVERYTHING, self._attributes, control)
        entries: list[Entry] = []
        heard = self._timer()
        while self._timer() - heard < _SILENCE_SECONDS:
            for message in stream.receive(1.0):
                heard = self._timer()
                try:
                    said = read_dirsync(message, number)
                except (BrokenAnswer, UnicodeError) as error:
                    raise DirectoryUnavailable(
                        f"the directory at {stream.uri} broke off: {error}", server=stream.uri
                    ) from error
                if isinstance(said, DirSynced):
                    return entries, said
                if not isinstance(said, Reference):
                    entries.append(said)
        raise DirectoryUnavailable(
            f"the directory at {stream.uri} has not answered for {_SILENCE_SECONDS:g} s",
            server=stream.uri,
        )

    def _changes(self, entry: Entry) -> list[Change]:
        [identifier] = map(bytes, entry.attributes.get(_GUID.lower(), [b""]))
        if not identifier:
            return []
        if any(mark in entry.dn for mark in _DELETED) or _is_true(entry):
            self._last.pop(identifier, None)
            return [Change(self._known.pop(identifier), None)]
        before = self._known.put(identifier, entry.dn)
        if before not in (None, entry.dn) and self._known.hold(str(before)):
            self._lost = True
        return [Change(before, self._whole(identifier, entry))]

    def _whole(self, identifier: bytes, entry: Entry) -> Entry:
        """Add the attributes that have not changed, and remember all for the next time."""
        last = self._last.get(identifier, ((),) * len(self._lasting))
        now = []
        for name, values in zip(self._lasting, last):
            given = entry.attributes.get(name)
            kept = values if given is None else tuple(map(bytes, given))
            if name == OBJECT_CLASS.lower():
                kept = self._classes.setdefault(kept, kept)
            now.append(kept)
        self._last[identifier] = tuple(now)
        lasting = {name: values for name, values in zip(self._lasting, now) if values}
        return Entry(entry.dn, {**entry.attributes, **lasting})


def _is_true(entry: Entry) -> bool:
    return list(map(bytes, entry.attributes.get(_IS_DELETED.lower(), ()))) == [b"TRUE"]

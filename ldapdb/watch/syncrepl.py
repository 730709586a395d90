"""Content synchronisation (RFC 4533): OpenLDAP with syncprov, 389 DS with its plug-in.

The server sends all content, or from a cookie on what has become of it, and then each change
as it happens. Once in step it costs no operation but a proof of life.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Optional

from ldapdb.client import Stream
from ldapdb.client.results import result_error
from ldapdb.errors import DirectoryUnavailable, IncompleteResult
from ldapdb.protocol import filters
from ldapdb.protocol.ber import BrokenAnswer
from ldapdb.protocol.codec import SUBTREE, Opened
from ldapdb.protocol.controls import (
    IdSet,
    NewCookie,
    PhaseEnd,
    Synced,
    SyncEnd,
    SyncState,
    read_sync,
    sync_request,
)
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.watch.known import Known
from ldapdb.watch.protocol import Batch, Change, Patience, Scope
from ldapdb.watch.pulse import Pulse

__all__ = ["SyncRepl"]

_EVERYTHING = filters.present("objectClass")
_SUCCESS, _REFRESH_REQUIRED = 0, 4096  # RFC 4533, section 2.6
# 389 DS 2.3.1 sends nsSizeLimit entries and then nothing at all, not even an error.
_SILENCE_SECONDS = 30.0


class SyncRepl:
    """Follows the content below some bases, each by a search of its own on one connection.

    Cookies are used again at the server that they are from, and nowhere else: what another
    one makes of them is not said anywhere.

    Parameters
    ----------
    scope : Scope
        What is watched.
    timer : callable
        Seconds of a monotonic clock.
    """

    mechanism = "content synchronisation"

    def __init__(self, scope: Scope, timer: Callable[[], float] = time.monotonic) -> None:
        self._contents = [_Content(base, scope) for base in scope.bases]
        self._server = ""
        self._timer = timer

    def follow(self, stream: Stream, patience: Patience) -> Iterator[Batch]:
        """Yield what changes; see :class:`~ldapdb.watch.Source`."""
        if stream.uri != self._server:
            self._server = stream.uri
            for content in self._contents:
                content.forget()
        pulse = Pulse(stream, self._timer)
        asked = {content.ask(stream): content for content in self._contents}
        progress = self._timer()
        while True:
            messages = stream.receive(min(patience(), pulse.due_in()))
            pulse.beat(alive=bool(messages))
            news = [each for each in messages if self._take(stream, asked, each)]
            in_step = not any(content.refreshing for content in self._contents)
            if news:
                progress = self._timer()
            elif not in_step and self._timer() - progress > _SILENCE_SECONDS:
                raise self._stuck(stream)
            yield self._batch(in_step=in_step)
            if any(content.lost for content in self._contents):
                return

    def _take(self, stream: Stream, asked: dict[int, _Content], message: Opened) -> bool:
        """Take a message in; False if it answers nothing but the proof of life."""
        try:
            said = read_sync(message)
        except (BrokenAnswer, UnicodeError) as error:
            raise DirectoryUnavailable(
                f"the directory at {stream.uri} broke off: {error}", server=stream.uri
            ) from error
        content = asked.get(message.number)
        if content is None:
            return False
        if isinstance(said, SyncEnd):
            del asked[message.number]
            content.end(said, stream.uri)
            asked[content.ask(stream)] = content
        else:
            content.take(said)
        return True

    def _batch(self, *, in_step: bool) -> Batch:
        changes: list[Change] = []
        everything = False
        for content in self._contents:
            changes += content.changes
            everything = everything or content.everything
            content.changes, content.everything = [], False
        return Batch(changes, everything=everything, in_step=in_step)

    def _stuck(self, stream: Stream) -> IncompleteResult:
        for content in self._contents:
            content.forget()
        return IncompleteResult(
            f"the directory at {stream.uri} sent a part of what is to be watched and then nothing "
            f"for {_SILENCE_SECONDS:g} s; lift the limits of this account (389 DS: nsSizeLimit: -1 "
            "in its entry)",
            server=stream.uri,
        )


class _Content:
    """The content below one base, as far as the server has told."""

    def __init__(self, base: DN, scope: Scope) -> None:
        self.base = base
        self.changes: list[Change] = []
        self.everything = False
        # Whether it has to be read anew, from the beginning, on a new connection.
        self.lost = False
        self.refreshing = True
        self._attributes = (*scope.attributes, scope.vendor.subordinates_attribute)
        self._subordinates = scope.vendor.subordinates_attribute.lower()
        self._doubts_silence = scope.vendor.resumes_in_silence
        self._known = Known()
        self._cookie: Optional[bytes] = None
        # What has been named since the present phase began; whether a cookie was sent, and
        # anything told since.
        self._named: set[bytes] = set()
        self._resumed = self._told = False

    def forget(self) -> None:
        """Forget how far it was known."""
        self._cookie = None
        self._known.clear()

    def ask(self, stream: Stream) -> int:
        """Ask for it, from the cookie on if there is one; return the request's number."""
        self.lost = False
        self.refreshing = True
        self._named = set()
        self._resumed, self._told = self._cookie is not None, False
        if not self._resumed:
            self._known.clear()
        control = sync_request(self._cookie)
        return stream.ask(str(self.base), SUBTREE, _EVERYTHING, self._attributes, control)

    def take(self, said: object) -> None:
        """Take in what the server says."""
        cookie = getattr(said, "cookie", None)
        self._told = self._told or isinstance(said, (Synced, IdSet))
        if isinstance(said, Synced):
            self._take_entry(said)
        elif isinstance(said, IdSet):
            self._take_set(said)
        elif isinstance(said, PhaseEnd):
            self._end_phase(said.deletes, said.done, cookie)
        elif not isinstance(said, NewCookie):
            return  # a reference to another server: what is there is not watched
        if cookie and not self.lost:
            self._cookie = cookie

    def end(self, said: SyncEnd, server: str) -> None:
        """Begin anew if the server forgot or refused the cookie; raise if it ends otherwise."""
        code = said.end.code
        # A search that began without a cookie and has not told all yet would begin so again.
        is_forgotten = code == _REFRESH_REQUIRED and not self.refreshing
        if is_forgotten or (code != _SUCCESS and self._resumed):
            self.forget()
        elif code == _SUCCESS:
            raise DirectoryUnavailable(
                f"the directory at {server} follows '{self.base}' no further", server=server
            )
        else:
            doing = "following all changes of the subtree"
            raise result_error(code, server, doing, str(self.base), said.end.said)

    def _take_entry(self, said: Synced) -> None:
        if said.state is SyncState.DELETE:
            self._remove(said.identifier)
            return
        self._named.add(said.identifier)
        if said.state is SyncState.PRESENT:
            return
        before = self._known.put(said.identifier, said.entry.dn)
        if self.refreshing and not self._resumed:
            return  # all of it is news
        self.changes.append(Change(before, said.entry))
        renamed = before is not None and before != said.entry.dn and self._known.hold(before)
        came = before is None and self._holds_others(said.entry)
        if renamed or came:
            self._lose()  # servers tell of the entry alone, not of those below it

    def _holds_others(self, entry: Entry) -> bool:
        values = entry.attributes.get(self._subordinates, ())
        return any(bytes(value).upper() not in (b"FALSE", b"0") for value in values)

    def _take_set(self, said: IdSet) -> None:
        for identifier in said.identifiers:
            if said.deletes:
                self._remove(identifier)
            else:
                self._named.add(identifier)

    def _remove(self, identifier: bytes) -> None:
        before = self._known.pop(identifier)
        self.changes.append(Change(before, None))
        if before is not None and not self.refreshing and self._known.hold(before):
            self._lose()  # moved out of sight, with all below it

    def _end_phase(self, deletes: bool, done: bool, cookie: Optional[bytes]) -> None:
        whole = not self._resumed
        if self._resumed and deletes and not cookie and self._named:
            # slapd takes a cookie that it does not understand for none, sends all content
            # and ends without one.
            whole, self._cookie = True, None
        if self._resumed and (whole or not deletes):
            self.changes += [Change(before, None) for before in self._known.keep(self._named)]
        silent = self._resumed and self._doubts_silence and not self._told
        if not self._known.hold_all(self._named):
            self._lose()  # it is there, unchanged, and we have never heard of it
        elif done and silent and cookie != self._cookie:
            self._lose()
        self._named = set()
        if done:
            self.everything = self.everything or whole
            self.refreshing = False

    def _lose(self) -> None:
        self.forget()
        self.everything = self.lost = True

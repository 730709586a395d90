"""The thread that keeps a source of changes connected."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from ldapdb.client import LOGINS, Deadline, Stream
from ldapdb.errors import (
    AccessDenied,
    CredentialsRejected,
    IncompleteResult,
    LDAPDBError,
    UnexpectedResult,
)
from ldapdb.failover import Servers
from ldapdb.secrecy import wipe
from ldapdb.settings import Settings
from ldapdb.watch.protocol import Batch, Patience, Source

__all__ = ["State", "Watch", "WatchInfo"]

log = logging.getLogger(__name__)

_LONGEST_WAIT_SECONDS = 1.0
# No account is locked for a rejected ticket or certificate, and somebody may be renewing it.
# When a rejected password is sent again is decided for all connections of the process.
_NO_TICKET_SECONDS = 30.0
# A server that is preferred is tried again so often, and no longer: changes wait meanwhile.
_LOOK_SECONDS = 30.0
_TRIAL_SECONDS = 0.5
# What was refused is tried again, at intervals that grow from the above to this.
_MOST_BETTER_SECONDS = 3600.0
# The server does not do it, or not for this account.
_NOT_DONE = (AccessDenied, IncompleteResult, UnexpectedResult)


class State(Enum):
    """Whether changes are seen."""

    OFF = "off"
    DOWN = "down"
    LIVE = "live"


@dataclass(frozen=True)
class WatchInfo:
    """What a watch has done since it was made.

    Parameters
    ----------
    state : State
        Whether changes are seen now. Answers are good for their TTL, and no longer, in any case.
    server : str
        The server that tells of them, or did last.
    mechanism : str
        How.
    changes : int
        Changed entries that it has told of.
    refreshes : int
        How often all was forgotten, because something may have been missed.
    outages : int
        How often changes were not seen any more.
    error : str
        Why that was, the last time.
    """

    state: State = State.OFF
    server: str = ""
    mechanism: str = ""
    changes: int = 0
    refreshes: int = 0
    outages: int = 0
    error: str = ""


class Watch:
    """Follows the changes of a directory in a daemon thread, on a connection of its own.

    Where the connection breaks it is made anew, from server to server in their order and at
    short intervals, and goes on where it was.

    Parameters
    ----------
    settings : Settings
        How to connect.
    sources : sequence of Source
        The best one first; the next serves where a server does not do what the one before asks.
    deliver : callable
        Takes each batch, in the thread.
    patience : callable
        Seconds until `deliver` wants to be called, with an empty batch if nothing happens.
    timer : callable
        Seconds of a monotonic clock.
    connected : callable, optional
        Told of each server that has accepted a connection and a log-in.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[Source],
        deliver: Callable[[Batch], None],
        patience: Patience,
        timer: Callable[[], float] = time.monotonic,
        connected: Optional[Callable[[str], None]] = None,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._deliver = deliver
        self._patience = patience
        self._timer = timer
        self._connected = connected
        self._tried_at = timer()
        self._servers = Servers(random.random)
        # When a server that rejected a login without a password may be asked again.
        self._rejected: dict[str, float] = {}
        # A database that is dropped closes this from wherever the garbage is collected.
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._stream: Optional[Stream] = None
        self._state = State.DOWN
        self._server = self._mechanism = self._error = ""
        self._changes = self._refreshes = self._outages = 0
        self._look_at = self._better_at = 0.0
        self._better_seconds = _LOOK_SECONDS
        self._complained = False
        self._thread = threading.Thread(target=self._run, name="ldapdb-watch", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def server(self) -> Optional[str]:
        """The server whose changes are seen now; None if none are."""
        return self._server if self._state is State.LIVE else None

    def info(self) -> WatchInfo:
        """Return the statistics."""
        return WatchInfo(
            state=self._state,
            server=self._server,
            mechanism=self._mechanism,
            changes=self._changes,
            refreshes=self._refreshes,
            outages=self._outages,
            error=self._error,
        )

    def close(self, *, wait: bool = True) -> None:
        """End it; `wait` for what is under way, up to ``connect_timeout_seconds``."""
        with self._lock:
            self._closed.set()
            if self._stream is not None:
                self._stream.interrupt()
        if wait and self._thread.is_alive():
            self._thread.join()
        self._state = State.OFF

    def leave_to_parent(self) -> None:
        """Drop the connection without a word: it belongs to the process that made it."""
        if self._stream is not None:
            self._stream.drop()

    # --- in the thread

    def _run(self) -> None:
        while not self._closed.is_set():
            now = self._timer()
            uris = [uri for uri in self._settings.uri if self._may_log_in(uri, now)]
            if not uris:
                self._closed.wait(_LONGEST_WAIT_SECONDS)
                continue
            due = self._servers.ready(uris) or [
                uri for uri in self._servers.due(now) if uri in uris
            ]
            if not due:
                next_due = self._servers.next_due(uris) or now
                # Nobody waits for it, but what it does not see is good for a TTL.
                latest = self._tried_at + _LONGEST_WAIT_SECONDS
                if now < latest:
                    self._closed.wait(max(min(next_due, latest) - now, 0.001))
                    continue
                due = uris
            self._tried_at = now
            try:
                self._follow(due[0])
            except LDAPDBError as error:
                self._failed(due[0], error)
            except Exception as error:  # this thread has to live on, whatever it is
                wipe(error)
                log.exception("following changes failed")
                self._failed(due[0], LDAPDBError(f"{due[0]}: {error}", server=due[0]))

    def _follow(self, uri: str) -> None:
        """Follow one server with the first source that it serves, until something ends."""
        for position, source in enumerate(self._sources):
            try:
                self._follow_with(source, uri)
            except _NOT_DONE as error:
                if position + 1 == len(self._sources):
                    raise
                log.info("%s; changes are watched in another way", error)
                if not position:
                    self._better_at = self._timer() + self._better_seconds
                    self._better_seconds = min(2 * self._better_seconds, _MOST_BETTER_SECONDS)
            else:
                return

    def _follow_with(self, source: Source, uri: str) -> None:
        stream = Stream(
            uri, self._settings, Deadline(self._settings.connect_timeout_seconds, self._timer)
        )
        try:
            with self._lock:
                if self._closed.is_set():
                    return
                self._stream = stream
            if self._connected is not None:
                self._connected(uri)
            for batch in source.follow(stream, self._patience):
                if self._closed.is_set():
                    return
                self._take(batch, source, uri)
                if self._is_preferred_back(uri) or self._is_better_due(source):
                    self._look_away(None)
                    return
            self._look_away(f"the directory at {uri} is asked for everything anew")
        except _NOT_DONE as error:
            self._look_away(str(error))
            raise
        finally:
            with self._lock:
                self._stream = None
            stream.drop()

    def _look_away(self, why: Optional[str]) -> None:
        """Say that nobody looks until somebody does again; what is answered meanwhile is old.

        Parameters
        ----------
        why : str, optional
            What is wrong. None: nothing, another way is about to be tried that may be better.
        """
        if self._state is not State.LIVE:
            return
        self._state = State.DOWN
        if why is not None:
            self._outages += 1
            self._complain(why)

    def _complain(self, why: str) -> None:
        self._error = why
        if not self._complained:
            self._complained = True
            log.warning(
                "changes are not seen for now: %s; until they are, answers may be "
                "cache_ttl_seconds old",
                why,
            )

    def _take(self, batch: Batch, source: Source, uri: str) -> None:
        now = uri, source.mechanism
        is_same = self._state is State.LIVE and now == (self._server, self._mechanism)
        if not batch.in_step:  # all is read anew, and what changes meanwhile comes after it
            self._look_away(f"the directory at {uri} tells everything anew")
        edge = batch.in_step and not is_same
        if edge:
            # What was answered meanwhile may be from a server that knows less than this one.
            batch = Batch(batch.changes, everything=True)
        self._deliver(batch)
        # Whoever sees these grow finds nothing from before any more.
        self._changes += len(batch.changes)
        self._refreshes += batch.everything
        if edge:
            self._server, self._mechanism = now
            self._state = State.LIVE  # now that nothing from before is left
            self._servers.succeeded(uri)
            self._rejected.pop(uri, None)
            if source is self._sources[0]:
                self._better_seconds = _LOOK_SECONDS
            self._complained = False
            log.info("changes are seen as they happen: %s by %s", uri, source.mechanism)

    def _is_better_due(self, source: Source) -> bool:
        """Tell whether to try again what was refused: 389 DS tells ten connections at a time."""
        return source is not self._sources[0] and self._timer() >= self._better_at

    def _is_preferred_back(self, uri: str) -> bool:
        """Try servers that are preferred to this one again, now and then."""
        now = self._timer()
        if uri == self._settings.uri[0] or now < self._look_at:
            return False
        self._look_at = now + _LOOK_SECONDS
        for preferred in self._settings.uri[: self._settings.uri.index(uri)]:
            if not self._may_log_in(preferred, now):
                continue
            try:
                Stream(preferred, self._settings, Deadline(_TRIAL_SECONDS, self._timer)).close()
            except CredentialsRejected as error:
                log.info("%s; changes are seen by %s meanwhile", error, uri)
                self._note_rejection(preferred)
            except LDAPDBError as error:
                log.debug("%s", error)
                self._servers.failed(preferred, now)
            else:
                self._servers.succeeded(preferred)
                return True
        return False

    def _failed(self, uri: str, error: LDAPDBError) -> None:
        if self._closed.is_set():
            return
        seconds = self._servers.failed(uri, self._timer())
        self._look_away(str(error))
        self._complain(str(error))
        log.debug("%s; next trial in %.1f s", error, seconds)
        if isinstance(error, CredentialsRejected):
            self._note_rejection(uri)

    def _note_rejection(self, uri: str) -> None:
        if self._settings.authentication != "simple":
            self._rejected[uri] = self._timer() + _NO_TICKET_SECONDS

    def _may_log_in(self, uri: str, now: float) -> bool:
        if now < self._rejected.get(uri, now):
            return False
        return not LOGINS.is_paused(self._settings, uri)

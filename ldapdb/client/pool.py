"""A bounded pool of connections to some servers, and what is known of each server."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Optional

from ldapdb.client.deadline import Deadline
from ldapdb.client.session import Session
from ldapdb.errors import (
    CertificateRefused,
    DeadlineExceeded,
    DirectoryUnavailable,
    LDAPDBError,
)
from ldapdb.failover import Servers
from ldapdb.settings import Settings
from ldapdb.shared import Places, Waiters

__all__ = ["Pool"]

log = logging.getLogger(__name__)

_SIZE = 8
# A server that says nothing within so much of a call's time, or of the time to connect, has failed.
# Less says more of the call, which had used up its time before.
_FAIR_SHARE = 0.25


class Pool:
    """Connections to the servers of one setting.

    Failed servers are tried again by a thread of its own, which lives as long as there is
    one: no call pays for that.

    Parameters
    ----------
    settings : Settings
        How to connect.
    timer : callable
        Seconds of a monotonic clock.
    """

    def __init__(self, settings: Settings, timer: Callable[[], float]) -> None:
        self._settings = settings
        self._timer = timer
        self._servers = Servers(random.random)
        self._why: dict[str, LDAPDBError] = {}
        self._idle: list[Session] = []
        self._places = Places(_SIZE)
        self._lock = threading.RLock()  # guards all of the above
        # Threads that want to know when a failed server has been tried again.
        self._waiters = Waiters()
        self._trying: Optional[threading.Thread] = None
        self._closed = False

    # --- which server

    def choose(
        self, uris: Sequence[str], asked: Collection[str], deadline: Deadline
    ) -> Optional[str]:
        """Return the server to ask next.

        Parameters
        ----------
        uris : sequence of str
            The preferred one first.
        asked : collection of str
            Those that this operation has asked already.

        Returns
        -------
        str or None
            None if none is left. While nobody has been asked yet and a server that has just
            failed is about to be tried again, this waits for the outcome.
        """
        chosen: list[str] = []

        def is_decided() -> bool:
            with self._lock:
                self._begin_trying()
                chosen[:] = self._servers.ready(uris, asked)[:1]
                is_last_word = asked or self._closed or not self._servers.are_undecided(uris)
                return bool(chosen or is_last_word)

        self._wait_for(is_decided, deadline)
        return chosen[0] if chosen else None

    def wait_for_any(self, uris: Sequence[str], deadline: Deadline) -> None:
        """Wait until one of some servers is not known to have failed.

        Raises
        ------
        DeadlineExceeded
            If none answers in time.
        """

        def is_any() -> bool:
            with self._lock:
                return self._closed or bool(self._servers.ready(uris))

        self._wait_for(is_any, deadline)

    def _wait_for(self, is_so: Callable[[], bool], deadline: Deadline) -> None:
        if not self._waiters.wait_for(is_so, deadline.remaining):
            deadline.remaining()  # raises

    def others(self, uris: Sequence[str], asked: Collection[str]) -> bool:
        """Tell whether there are servers left to ask."""
        with self._lock:
            return bool(self._servers.ready(uris, asked))

    def why(self, uris: Sequence[str]) -> list[LDAPDBError]:
        """Return why each server that may not be asked failed."""
        with self._lock:
            why = self._why.copy()
        return [why[uri] for uri in uris if uri in why]

    # --- its connections

    @contextlib.contextmanager
    def room(self, deadline: Deadline) -> Iterator[None]:
        """Hold one of the places for a connection.

        Raises
        ------
        DeadlineExceeded
            If none becomes free in time.
        """
        deadline.remaining()  # nothing is begun without time
        place = self._places.take(deadline.left)
        if place is None:
            raise DeadlineExceeded(
                f"all {_SIZE} connections were in use until this call's time was over; "
                "see whether the directory is slow"
            )
        try:
            yield
        finally:
            self._places.leave(place)

    def take(self, uri: str) -> Optional[Session]:
        """Take an idle connection to a server, the one used last; None if there is none."""
        while True:
            with self._lock:
                mine, _ = _apart(self._idle, uri)
                if not mine:
                    return None
                session = mine[-1]
                self._idle.remove(session)
            if session.is_usable(self._timer()):
                return session
            session.drop()

    def connect(self, uri: str, deadline: Deadline) -> Session:
        """Make a new connection to a server.

        Raises
        ------
        DeadlineExceeded
            If the call had so little time left that this says nothing about the server.
        DirectoryUnavailable, SettingsError
            If the server fails.
        """
        began = self._timer()
        connecting = deadline.within(self._settings.connect_timeout_seconds)
        seconds = connecting.left()
        try:
            session = Session(uri, self._settings, connecting)
        except DirectoryUnavailable as error:
            if not connecting.left() and not self.is_fair(seconds):
                raise DeadlineExceeded(
                    f"this call had {seconds:.2g} s left when it connected to the directory at "
                    f"{uri}, which was not enough: {error}",
                    server=uri,
                ) from error
            if not isinstance(error, DeadlineExceeded):
                raise
            raise DirectoryUnavailable(
                f"the directory at {uri} did not accept a connection and a log-in within "
                f"{self._timer() - began:.1f} s (see connect_timeout_seconds)",
                server=uri,
            ) from error
        log.debug("connected to %s in %.1f ms", uri, (self._timer() - began) * 1000)
        return session

    def give_back(self, session: Session) -> None:
        """Keep a sound connection for the next operation."""
        session.used_at = self._timer()
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(session)
                self._why.pop(session.uri, None)
                recovered = self._servers.succeeded(session.uri)
                self._waiters.wake()
        if not keep:
            session.close()
        elif recovered:
            log.info("the directory at %s answers again", session.uri)

    # --- failed servers

    def note_answer(self, uri: str) -> None:
        """Take a server back that has answered elsewhere."""
        with self._lock:
            self._why.pop(uri, None)
            recovered = self._servers.succeeded(uri)
            self._waiters.wake()
        if recovered:
            log.info("the directory at %s answers again", uri)

    def is_fair(self, seconds: float) -> bool:
        """Tell whether a server that says nothing for so long has failed."""
        of_a_call = _FAIR_SHARE * self._settings.operation_timeout_seconds
        return seconds >= min(self._settings.connect_timeout_seconds, of_a_call)

    def note_failure(self, uri: str, error: LDAPDBError) -> None:
        """Leave a server alone until it answers in the background.

        Connections to it that wait in the pool are dropped.
        """
        with self._lock:
            self._servers.failed(uri, self._timer())
            self._why[uri] = error
            suspect, self._idle = _apart(self._idle, uri)
            self._begin_trying()
            self._waiters.wake()
        for session in suspect:
            session.drop()
        log.warning("%s; it is left alone until it answers again", error)

    def _begin_trying(self) -> None:
        """Start the background's thread, unless it runs; whoever calls has the lock."""
        if self._closed or self._servers.next_due() is None:
            return
        if self._trying is not None and self._trying.is_alive():
            return
        thread = threading.Thread(target=self._try_again, name="ldapdb-failover", daemon=True)
        # Before it starts, so that an interrupt in between leaves none that nobody knows of.
        self._trying = thread
        try:
            thread.start()
        except RuntimeError as error:  # the system gives us none; the next call asks again
            self._trying = None
            log.warning("failed servers are not tried again for now: %s", error)

    def _try_again(self) -> None:
        while (uri := self._due()) is not None:
            self._try(uri)
        self._waiters.wake()

    def _due(self) -> Optional[str]:
        """Wait until a failed server is to be tried again; None when there is none any more."""
        due: list[str] = []

        def is_decided() -> bool:
            with self._lock:
                due[:] = self._servers.due(self._timer())[:1]
                if self._closed or self._servers.next_due() is None:
                    due.clear()
                    self._trying = None
                    return True
                return bool(due)

        def remaining() -> float:
            with self._lock:
                next_due = self._servers.next_due()
            return 0.001 if next_due is None else max(next_due - self._timer(), 0.001)

        while not self._waiters.wait_for(is_decided, remaining):
            pass
        return due[0] if due else None

    def _try(self, uri: str) -> None:
        deadline = Deadline(self._settings.connect_timeout_seconds, self._timer)
        try:
            session = self.connect(uri, deadline)
        except (DirectoryUnavailable, CertificateRefused) as error:
            self._note_trial(uri, error)
        except LDAPDBError as error:
            # It answers, if only to reject us; the next call gets the same error.
            if not error.logged:
                log.warning("%s", error)
            with self._lock:
                self._why.pop(uri, None)
                self._servers.succeeded(uri)
                self._waiters.wake()
        except Exception as error:  # noqa: BLE001 -- this thread has to live on, whatever it is
            self._note_trial(uri, DirectoryUnavailable(f"{uri}: {error}", server=uri))
        else:
            self.give_back(session)

    def _note_trial(self, uri: str, error: LDAPDBError) -> None:
        with self._lock:
            seconds = self._servers.failed(uri, self._timer())
            self._why[uri] = error
            self._waiters.wake()
        log.info("%s; next trial in %.1f s", error, seconds)

    # --- the end

    def close(self, *, wait: bool) -> None:
        """Close all idle connections; those in use close when they come back.

        Parameters
        ----------
        wait : bool
            Whether to wait for a trial under way, up to ``connect_timeout_seconds``. Its thread
            ends by itself otherwise, that much later.
        """
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            trying = self._trying
            self._waiters.wake()
        for session in idle:
            session.close()
        if trying is not None and wait:
            trying.join()

    def leave_to_parent(self) -> None:
        """Drop the connections without a word: they belong to the process that made them."""
        for session in self._idle:
            session.drop()


def _apart(sessions: Iterable[Session], uri: str) -> tuple[list[Session], list[Session]]:
    """Return the connections to a server, and the others."""
    own: list[Session] = []
    others: list[Session] = []
    for session in sessions:
        (own if session.uri == uri else others).append(session)
    return own, others

"""The servers of one setting, a bounded pool of connections, and calls on them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Optional, TypeVar

from ldapdb import errors
from ldapdb.connection.call import Call, RootDSE
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.session import Session
from ldapdb.dn import DN
from ldapdb.errors import DeadlineExceeded, DirectoryUnavailable
from ldapdb.failover import Servers
from ldapdb.settings import Settings
from ldapdb.vendors import ROOT_DSE_ATTRIBUTES, recognise

__all__ = ["Directory"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_POOL_SIZE = 8


class Directory:
    """The servers of one setting and the connections to them.

    Parameters
    ----------
    settings : Settings
        How to connect.
    uris : sequence of str
        Which servers, the preferred one first.
    timer : callable
        Seconds of a monotonic clock.
    """

    def __init__(
        self,
        settings: Settings,
        uris: Sequence[str],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._uris = uris
        self._timer = timer
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._servers = Servers(self._uris)
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_POOL_SIZE)
        self._idle: list[Session] = []
        self._root_dse: Optional[RootDSE] = None

    def call(self, deadline: Optional[Deadline] = None) -> Call:
        """Begin a call, with a deadline of its own or one that is running."""
        return Call(self, deadline or self.deadline())

    def deadline(self) -> Deadline:
        """Let the time of one call run from now."""
        return Deadline(self._settings.operation_timeout_seconds, self._timer)

    def close(self) -> None:
        """Close all idle connections; those in use close when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def renew_after_fork(self) -> None:
        """Start anew: the connections belong to the process that made them."""
        inherited = self._idle
        self._start()
        for session in inherited:
            session.drop()

    def run(self, deadline: Deadline, repeatable: bool, use: Callable[[Session, Deadline], T]) -> T:
        """Run an operation on the best server that answers.

        Parameters
        ----------
        deadline : Deadline
            When the call ends.
        repeatable : bool
            Whether the operation may be sent again after an answer was lost.
        use : callable
            The operation; ends by the deadline it is given.

        Raises
        ------
        DirectoryUnavailable
            If no server answered.
        """
        if not self._room.acquire(timeout=deadline.remaining()):
            raise DeadlineExceeded(
                f"all {_POOL_SIZE} connections were in use until this call's time was over; "
                "see whether the directory is slow"
            )
        try:
            return self._run(deadline, repeatable, use)
        finally:
            self._room.release()

    def _run(
        self, deadline: Deadline, repeatable: bool, use: Callable[[Session, Deadline], T]
    ) -> T:
        failures: list[DirectoryUnavailable] = []
        order = self._order()
        for position, uri in enumerate(order):
            left = deadline.remaining()
            is_last = position == len(order) - 1
            # A server that hangs leaves half of the time to those after it.
            attempt = deadline if is_last or not repeatable else deadline.within(left / 2)
            try:
                session = self._take(uri)
                if session is not None:
                    try:
                        return self._use(session, attempt, use)
                    except DeadlineExceeded:
                        raise
                    except DirectoryUnavailable:
                        # The server may have closed it a moment ago: that says little of
                        # the server, so it gets a new connection first.
                        if not repeatable:
                            raise
                session = self._connect(uri, attempt)
            except DirectoryUnavailable as error:
                self._note_failure(uri, error)
                failures.append(error)
                if session is not None and not repeatable:
                    raise
                continue
            try:
                return self._use(session, attempt, use)
            except DirectoryUnavailable as error:
                self._note_failure(uri, error)
                if not repeatable:
                    raise
                failures.append(error)
        raise self._none_left(failures)

    def _order(self) -> list[str]:
        with self._lock:
            return self._servers.order(self._timer())

    def _take(self, uri: str) -> Optional[Session]:
        """Take an idle connection, the one used last."""
        while True:
            with self._lock:
                mine = [session for session in self._idle if session.uri == uri]
                if not mine:
                    return None
                session = mine[-1]
                self._idle.remove(session)
            if session.is_usable(self._timer()):
                return session
            session.drop()

    def _use(
        self, session: Session, deadline: Deadline, use: Callable[[Session, Deadline], T]
    ) -> T:
        try:
            answer = use(session, deadline)
        except DirectoryUnavailable:
            session.drop()
            raise
        except errors.LDAPDBError:
            self._give_back(session)  # the server said no; the connection is sound
            raise
        except BaseException:
            session.drop()
            raise
        self._give_back(session)
        return answer

    def _give_back(self, session: Session) -> None:
        session.used_at = self._timer()
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(session)
                recovered = self._servers.succeeded(session.uri)
        if not keep:
            session.close()
        elif recovered:
            log.info("the directory at %s answers again", session.uri)

    def _connect(self, uri: str, deadline: Deadline) -> Session:
        began = self._timer()
        connecting = deadline.within(self._settings.connect_timeout_seconds)
        try:
            session = Session(uri, self._settings, connecting)
        except DeadlineExceeded as error:
            raise DirectoryUnavailable(
                f"the directory at {uri} did not accept a connection and a log-in within "
                f"{self._settings.connect_timeout_seconds:g} s (connect_timeout_seconds)",
                server=uri,
            ) from error
        milliseconds = (self._timer() - began) * 1000
        log.debug("connected to %s in %.1f ms", uri, milliseconds)
        return session

    def _note_failure(self, uri: str, error: Exception) -> None:
        with self._lock:
            seconds = self._servers.failed(uri, self._timer())
            suspect = [session for session in self._idle if session.uri == uri]
            self._idle = [session for session in self._idle if session.uri != uri]
        for session in suspect:
            session.drop()
        if len(self._uris) > 1:
            log.warning("%s; others are preferred for %g s", error, seconds)

    def _none_left(self, failures: Sequence[DirectoryUnavailable]) -> DirectoryUnavailable:
        said = "; ".join(map(str, failures))
        log.error("no server is left to ask: %s", said)
        if len(failures) == 1:
            return failures[0]
        return DirectoryUnavailable(f"no server of the setting uri could be used: {said}")

    def root_dse(self, call: Call) -> RootDSE:
        """Read the root DSE, once for all calls (RFC 4512, section 5.1)."""
        if self._root_dse is None:
            server, entries = call.read(DN(()), ROOT_DSE_ATTRIBUTES)
            if not entries:
                raise errors.AccessDenied(
                    f"the directory at {server} does not show its root DSE to this account; "
                    "allow everybody to read the entry with the empty DN",
                    server=server,
                )
            entry = entries[0]
            subschema = entry.value("subschemaSubentry")
            self._root_dse = RootDSE(
                vendor=recognise(entry, self._settings.vendor, server),
                naming_contexts=tuple(map(DN.parse, entry.values("namingContexts"))),
                subschema=DN.parse(subschema or "cn=Subschema"),
                controls=frozenset(entry.values("supportedControl")),
                server=server,
            )
        return self._root_dse

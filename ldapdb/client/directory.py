"""The servers of one setting, and operations on the best of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, Optional, TypeVar

from ldapdb.client.answers import RootDSE
from ldapdb.client.call import Call
from ldapdb.client.deadline import Deadline
from ldapdb.client.pool import Pool
from ldapdb.client.reads import Reads, Use
from ldapdb.client.session import Session
from ldapdb.errors import (
    AccessDenied,
    CertificateRefused,
    CredentialsRejected,
    DeadlineExceeded,
    DirectoryUnavailable,
    LDAPDBError,
    UnexpectedResult,
)
from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.entry import Entry
from ldapdb.settings import Settings
from ldapdb.vendors import ROOT_DSE_ATTRIBUTES, Vendor, recognise

__all__ = ["Directory"]

log = logging.getLogger(__name__)

# How often a write whose answer was lost goes to all servers again.
_ROUNDS = 3

T = TypeVar("T")


class Directory:
    """The servers of one setting.

    Parameters
    ----------
    settings : Settings
        Which they are, and how to connect.
    timer : callable
        Seconds of a monotonic clock.
    """

    def __init__(self, settings: Settings, timer: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._timer = timer
        self._root_dse: Optional[RootDSE] = None
        self._pool = Pool(settings, timer)

    def call(self, uris: Sequence[str], deadline: Optional[Deadline] = None) -> Call:
        """Begin a call.

        Parameters
        ----------
        uris : sequence of str
            The servers that it may ask, the preferred one first.
        deadline : Deadline, optional
            When it ends; by default one of its own runs from now.
        """
        return Call(self, uris, deadline or self.deadline())

    def deadline(self) -> Deadline:
        """Let the time of one call run from now."""
        return Deadline(self._settings.operation_timeout_seconds, self._timer)

    def close(self, *, wait: bool = True) -> None:
        """Close all idle connections; those in use close when they come back.

        Parameters
        ----------
        wait : bool
            Whether to wait for what is under way in the background.
        """
        self._pool.close(wait=wait)

    def note_answer(self, uri: str) -> None:
        """Take a server back that has answered elsewhere, before it is tried again."""
        self._pool.note_answer(uri)

    def renew_after_fork(self) -> None:
        """Start anew: the connections belong to the process that made them."""
        inherited, self._pool = self._pool, Pool(self._settings, self._timer)
        inherited.leave_to_parent()

    def run(self, call: Reads, use: Use[T]) -> tuple[str, T]:
        """Read from the best server that answers; return its URI and the answer.

        Parameters
        ----------
        call : Reads
            Which servers may be asked, and when it ends.
        use : callable
            The operation; ends by the deadline it is given. It is sent again, to another
            server, when the answer is lost.

        Raises
        ------
        DirectoryUnavailable
            If no server answered.
        """
        with self._pool.room(call.deadline):
            return _Operation(self._pool, call, use).run()

    def write(self, call: Reads, use: Use[None]) -> str:
        """Write to the best server that answers; return its URI.

        An answer that is lost leaves open whether the write was made. So it is sent again
        until the deadline, also to a server that comes back, and an error after a lost answer
        says so (``answer_lost``): what the server complains of may be the first one's doing.

        Parameters
        ----------
        call, use
            As :meth:`run`.
        """
        with self._pool.room(call.deadline):
            return _Operation(self._pool, call, use, is_write=True).run()[0]

    def root_dse(self, call: Reads) -> RootDSE:
        """Read the root DSE, once for all calls (RFC 4512, section 5.1)."""
        if self._root_dse is None:
            server, entries = call.read(DN(()), ROOT_DSE_ATTRIBUTES)
            if not entries:
                raise AccessDenied(
                    f"the directory at {server} does not show its root DSE to this account; "
                    "allow everybody to read the entry with the empty DN",
                    server=server,
                )
            vendor = recognise(entries[0], self._settings.vendor, server)
            self._root_dse = _read_root_dse(entries[0], vendor, server)
        return self._root_dse

    @property
    def name_matching(self) -> NameMatching:
        """How the directory compares names; the strictest way until its root DSE was read."""
        known = self._root_dse
        return NameMatching.EXACT if known is None else known.vendor.name_matching


def _read_root_dse(entry: Entry, vendor: Vendor, server: str) -> RootDSE:
    try:
        contexts = entry.values("namingContexts")
        return RootDSE(
            vendor=vendor,
            naming_contexts=tuple(DN.parse(each, vendor.name_matching) for each in contexts),
            subschema=DN.parse(entry.value("subschemaSubentry") or "cn=Subschema"),
            controls=frozenset(entry.values("supportedControl")),
            server=server,
        )
    except ValueError as error:  # InvalidValue is one
        raise UnexpectedResult(
            f"the directory at {server} says in its root DSE what is not valid: {error}; look at "
            "its namingContexts and subschemaSubentry",
            server=server,
        ) from error


class _Operation(Generic[T]):
    """One operation on its way from server to server."""

    def __init__(self, pool: Pool, call: Reads, use: Use[T], *, is_write: bool = False) -> None:
        self._pool = pool
        self._call = call
        self._uris = call.uris
        self._deadline = call.deadline
        self._use = use
        self._is_write = is_write
        self._asked: list[str] = []
        self._failures: list[LDAPDBError] = []
        self._rounds = 1
        self._lost: list[str] = []

    def run(self) -> tuple[str, T]:
        """Ask one server after the other; return the one that answered, and its answer."""
        try:
            while (uri := self._next()) is not None:
                self._asked.append(uri)
                try:
                    return uri, self._ask(uri)
                except (DirectoryUnavailable, CertificateRefused, CredentialsRejected) as error:
                    # Another server may accept a password that this one does not know yet.
                    self._failures.append(error)
            raise self._none_left() from next(iter(self._failures), None)
        except LDAPDBError as error:
            error.answer_lost = self._is_write and bool(self._lost)
            raise
        finally:
            if self._is_write:
                self._call.written += self._lost

    def _next(self) -> Optional[str]:
        uri = self._pool.choose(self._uris, self._asked, self._deadline)
        if uri is None and self._is_write and self._lost and self._rounds < _ROUNDS:
            self._rounds += 1
            try:
                self._pool.wait_for_any(self._uris, self._deadline)
            except DeadlineExceeded:
                return None
            self._asked.clear()
            return self._pool.choose(self._uris, (), self._deadline)
        return uri

    def _ask(self, uri: str) -> T:
        # A server that hangs leaves half of the time to those after it.
        attempt = self._deadline
        if self._pool.others(self._uris, self._asked):
            attempt = self._deadline.within(self._deadline.remaining() / 2)
        session = self._pool.take(uri)
        if session is not None:
            seconds = attempt.left()
            try:
                return self._try(session, attempt)
            except DeadlineExceeded as error:
                self._note_silence(session, error, seconds)
                raise
            except DirectoryUnavailable:
                # The server may have closed it a moment ago: that says little of the
                # server, so it gets a new connection first.
                pass
        try:
            session = self._pool.connect(uri, attempt)
        except DeadlineExceeded:
            raise  # this call had too little time: that says nothing of the server
        except (DirectoryUnavailable, CertificateRefused) as error:
            self._pool.note_failure(uri, error)
            raise
        seconds = attempt.left()
        try:
            return self._try(session, attempt)
        except DeadlineExceeded as error:
            self._note_silence(session, error, seconds)
            raise
        except DirectoryUnavailable as error:
            self._pool.note_failure(uri, error)
            raise

    def _try(self, session: Session, deadline: Deadline) -> T:
        try:
            answer = self._use(session, deadline)
        except DirectoryUnavailable as error:
            session.drop()
            # A result code says that it was not done.
            if error.result_code is None:
                self._lost.append(session.uri)
            raise
        except LDAPDBError:
            self._pool.give_back(session)  # the server said no; the connection is sound
            raise
        except BaseException:
            session.drop()
            raise
        self._pool.give_back(session)
        return answer

    def _note_silence(self, session: Session, error: DeadlineExceeded, seconds: float) -> None:
        """Suspect a server that said nothing in a fair time.

        One that was only slow is sound, for others, and so is one that had no time.
        """
        self._call.slow.add(session.uri)
        if not session.heard and self._pool.is_fair(seconds):
            self._pool.note_failure(session.uri, error)

    def _none_left(self) -> LDAPDBError:
        failures = self._failures or self._pool.why(self._uris)
        said = "; ".join(map(str, failures))
        is_logged = all(failure.logged for failure in failures)
        if self._failures:
            if not is_logged:
                log.error("no server is left to ask: %s", said)
        elif not failures:
            said = "they had failed, and one has come back this moment; try again"
        else:  # nobody was asked; the log has it from the call that asked
            said = f"{said}; it is tried again in the background"
        if len(failures) == 1:
            [failure] = failures
            error = failure.restated(said)
        else:
            error = _kind_of(failures)(f"no server could be used: {said}")
        error.logged = bool(failures) and is_logged
        return error


def _kind_of(failures: Sequence[LDAPDBError]) -> type[LDAPDBError]:
    """Choose the error for several failures: the one that says most about what to do."""
    if any(isinstance(failure, CredentialsRejected) for failure in failures):
        return CredentialsRejected
    if any(isinstance(failure, DeadlineExceeded) for failure in failures):
        return DeadlineExceeded  # more time, or less to do, may help
    refused = all(isinstance(failure, CertificateRefused) for failure in failures)
    return CertificateRefused if failures and refused else DirectoryUnavailable

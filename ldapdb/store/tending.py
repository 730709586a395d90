"""Keeps the list of all users up to date for those who ask for it now and then."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Optional

from ldapdb.client import Call, Deadline
from ldapdb.errors import DeadlineExceeded, LDAPDBError
from ldapdb.garbage import uncollected
from ldapdb.model import User
from ldapdb.protocol.dn import DN
from ldapdb.store.everybody import TENDED_SECONDS, Reader, Shared, UserList
from ldapdb.store.users import Users

__all__ = ["Sight", "Tending", "UserReader"]

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
# Whoever has not asked for so long waits for the next list, and costs nothing until then.
_ASKED_SECONDS = 600.0
_CLOSE_SECONDS = 2.0


@dataclass
class Sight:
    """Whether there was anybody at the last look: if nobody is now, he may be hidden."""

    of_users: bool = False


class UserReader:
    """Reads users in one call; see :class:`~ldapdb.store.everybody.Reader`.

    Parameters
    ----------
    call : Call
        The call.
    users : callable
        Returns what finds users.
    sight : Sight
        What was seen.
    """

    def __init__(self, call: Call, users: Callable[[], Users], sight: Sight) -> None:
        self._call = call
        self._users = users
        self._sight = sight

    def listed(self) -> list[User]:
        """List all users by name."""
        with uncollected():
            users = self._users().all(self._call)
        self._look(is_empty=not users)
        return users

    def all(self) -> Iterator[User]:
        """Read all users, in no order."""
        is_empty = True
        for user in self._users().each(self._call):
            is_empty = False
            yield user
        self._look(is_empty=is_empty)

    def again(self, dns: Collection[DN]) -> Collection[User]:
        """Read the users that some entries are now."""
        return self._users().again(self._call, dns)

    def warn(self, shared: Shared) -> None:
        """Warn of users who share a name or an id."""
        self._users().warn_of_sharing(shared)

    def _look(self, *, is_empty: bool) -> None:
        if is_empty and self._sight.of_users:
            self._users().confirm_nobody(self._call)
        self._sight.of_users = not is_empty


class _Background(Deadline):
    """The end of a call that nobody waits for: also when the database is closed."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__(TENDED_SECONDS)
        self._over = over

    def remaining(self) -> float:
        """Return the seconds left."""
        if self._over.is_set():
            raise DeadlineExceeded("the database was closed")
        return super().remaining()


class Tending:
    """A thread that reads what has changed, or all when it is due, before anybody asks.

    It runs from the first question on until nobody has asked for ten minutes.

    Parameters
    ----------
    users : UserList
        The list.
    reader : callable
        Returns what makes a reader for the time of one reading; None if its owner is gone.
    is_live : callable
        Whether changes are seen; nothing is read while they are not.
    """

    def __init__(
        self,
        users: UserList,
        reader: Callable[[], Optional[Callable[[Deadline], Reader]]],
        is_live: Callable[[], object],
    ) -> None:
        self._users = users
        self._reader = reader
        self._is_live = is_live
        self.renew_after_fork()

    def renew_after_fork(self) -> None:
        """Leave the thread to the parent."""
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._asked_at = 0.0

    def ask(self) -> None:
        """Note that somebody asks for the list; returns at once."""
        with self._lock:
            self._asked_at = time.monotonic()
            is_there = self._thread is not None and self._thread.is_alive()
            if is_there or self._over.is_set() or self._users.is_too_long:
                return
            # Weakly, so that a database that is dropped unclosed is not kept by its own thread.
            arguments = weakref.ref(self), self._over
            thread = threading.Thread(
                target=_run, args=arguments, name="ldapdb-list", daemon=True
            )  # fmt: skip
            # Before it starts, so that an interrupt leaves no thread that nobody knows of.
            self._thread = thread
            self._users.is_tended = True
            try:
                thread.start()
            except RuntimeError as error:  # the system gives us no thread: callers read
                self._thread = None
                self._users.is_tended = False
                log.debug("%s", error)

    def close(self, *, wait: bool) -> None:
        """End it for good; `wait` for what is under way."""
        self._over.set()
        thread = self._thread
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_SECONDS)

    def tend(self) -> bool:
        """Look once; return whether to go on."""
        make = self._reader()
        with self._lock:
            is_idle = time.monotonic() >= self._asked_at + _ASKED_SECONDS
            if make is None or is_idle or self._users.is_too_long:
                self._thread = None
                self._users.is_tended = False
                return False
        if self._is_live():
            try:
                self._users.tend(make(_Background(self._over)))
            except LDAPDBError as error:  # whoever asks next is told
                log.debug("the list of all users is not there any more: %s", error)
                self._users.drop()
        return True


def _run(tending: weakref.ref[Tending], over: threading.Event) -> None:
    while not over.wait(_LOOK_SECONDS):
        it = tending()
        if it is None or not it.tend():
            return
        del it

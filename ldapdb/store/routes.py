"""Which servers a call asks, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Optional

from ldapdb.connection import Call
from ldapdb.errors import DirectoryUnavailable
from ldapdb.settings import Settings

__all__ = ["Routes"]

# The least time for which a server may lag behind a write of ours at another one.
_LAG_SECONDS = 5.0


@dataclass(frozen=True)
class _Written:
    server: str
    until: float


@dataclass
class Routes:
    """The order of servers for reads and writes.

    Servers lag behind each other, so whatever was written here is for some time looked for
    first where it was written: a user's grants after a write about him, and everything
    after a write about an application. So do writes stay with the provider that took the
    last one, though a preferred one has come back: it may not know of that write yet.

    Parameters
    ----------
    settings : Settings
        The servers, and for how long answers are good.
    timer : callable
        Seconds of a monotonic clock.
    """

    settings: Settings
    timer: Callable[[], float]
    _of_users: dict[int, _Written] = field(default_factory=dict)
    _of_all: Optional[_Written] = None
    _last: Optional[_Written] = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reading(self) -> tuple[str, ...]:
        """Order servers for what is never written here: users."""
        return self.settings.uri

    def reading_applications(self) -> tuple[str, ...]:
        """Order servers for applications."""
        return self._first(self._of_all)

    def reading_grants(self, user_id: int) -> tuple[str, ...]:
        """Order servers for what reaches a user."""
        return self._first(self._of_users.get(user_id), self._of_all)

    def writing(self) -> tuple[str, ...]:
        """Order servers for a write, and for the look before it."""
        last = self._latest(self._last)
        return _unique((*((last.server,) if last else ()), *self.settings.write_uris))

    def note(self, call: Call, user_id: Optional[int] = None) -> None:
        """Note where a call has written, or may have written, if it has.

        Parameters
        ----------
        call : Call
            It is over.
        user_id : int, optional
            The user whom it is about; by default everybody.
        """
        if call.wrote_at is None:
            return
        now = self.timer()
        until = now + max(self.settings.cache_ttl_seconds, _LAG_SECONDS)
        written = _Written(call.wrote_at, until)
        with self._lock:
            self._last = written
            if user_id is None:
                self._of_all = written
            else:
                lasting = {key: at for key, at in self._of_users.items() if now < at.until}
                self._of_users = {**lasting, user_id: written}

    def require_known(self, call: Call, user_id: Optional[int] = None) -> None:
        """See that a write which had nothing to do asked a server that knows our last one.

        "He does not have it" and "he has it already", said by a server that lags behind
        another one which is down, would take an order for carried out that is not.

        Raises
        ------
        DirectoryUnavailable
            If the server that took the last write about the same was not asked.
        """
        of_user = None if user_id is None else self._of_users.get(user_id)
        written = self._latest(of_user, self._of_all)
        if call.wrote_at is None and written is not None and call.read_at != written.server:
            raise DirectoryUnavailable(
                f"nothing was done: the directory at {call.read_at} finds nothing to do, and may "
                f"not know of our last write, at {written.server}, which does not answer; try "
                "again when it does",
                server=call.read_at,
            )

    def renew_after_fork(self) -> None:
        """Drop what belongs to threads that a forked child does not have."""
        self._lock = threading.Lock()

    def _first(self, *written: Optional[_Written]) -> tuple[str, ...]:
        latest = self._latest(*written)
        if latest is None:
            return self.settings.uri
        return _unique((latest.server, *self.settings.write_uris, *self.settings.uri))

    def _latest(self, *written: Optional[_Written]) -> Optional[_Written]:
        """Return the last of some writes that servers may not know yet."""
        now = self.timer()
        recent = (each for each in written if each is not None and now < each.until)
        return max(recent, key=lambda each: each.until, default=None)


def _unique(uris: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(uris))

"""Which servers a call asks, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Optional

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
        written = self._of_users.get(user_id), self._of_all
        latest = max(filter(None, written), key=lambda each: each.until, default=None)
        return self._first(latest)

    def writing(self) -> tuple[str, ...]:
        """Order servers for a write, and for the look before it."""
        last = self._last
        if last is None or self.timer() >= last.until:
            return self.settings.write_uris
        return _unique((last.server, *self.settings.write_uris))

    def wrote(self, server: Optional[str], user_id: Optional[int] = None) -> None:
        """Note where something was written.

        Parameters
        ----------
        server : str, optional
            URI of the server that took it; None if none did for certain.
        user_id : int, optional
            The user whom it is about; by default everybody.
        """
        now = self.timer()
        until = now + max(self.settings.cache_ttl_seconds, _LAG_SECONDS)
        written = _Written(server or self.writing()[0], until)
        with self._lock:
            self._last = written
            if user_id is None:
                self._of_all = written
            else:
                lasting = {key: at for key, at in self._of_users.items() if now < at.until}
                self._of_users = {**lasting, user_id: written}

    def renew_after_fork(self) -> None:
        """Drop what belongs to threads that a forked child does not have."""
        self._lock = threading.Lock()

    def _first(self, written: Optional[_Written]) -> tuple[str, ...]:
        if written is None or self.timer() >= written.until:
            return self.settings.uri
        return _unique((written.server, *self.settings.write_uris, *self.settings.uri))


def _unique(uris: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(uris))

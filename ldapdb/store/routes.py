"""Which servers a call asks, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from ldapdb.client import Call
from ldapdb.errors import DirectoryUnavailable
from ldapdb.settings import Settings
from ldapdb.shared import LOCK

__all__ = ["Routes"]

# The least time for which a server may lag behind a write of ours at another one.
_LAG_SECONDS = 5.0
# Users whose writes are remembered one by one.
_MOST = 1000


@dataclass(frozen=True)
class _Written:
    """A write that servers other than its own may not know yet; about everybody without a user."""

    server: str
    user_id: Optional[int]
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
    watched : callable
        The server that tells of its changes, if one does: what it has told of is read there,
        because others may not know of it yet.
    """

    settings: Settings
    timer: Callable[[], float]
    watched: Callable[[], Optional[str]] = lambda: None
    _written: tuple[_Written, ...] = ()

    def reading(self) -> tuple[str, ...]:
        """Order servers for what is never written here: users."""
        watched = self.watched()
        return self.settings.uri if watched is None else _unique((watched, *self.settings.uri))

    def reading_applications(self) -> tuple[str, ...]:
        """Order servers for applications."""
        return self._first(self._recent(None))

    def reading_grants(self, user_id: int) -> tuple[str, ...]:
        """Order servers for what reaches a user."""
        return self._first(self._recent(user_id))

    def writing(self) -> tuple[str, ...]:
        """Order servers for a write, and for the look before it."""
        last = self._lasting()[-1:]
        return _unique((*(each.server for each in last), *self.settings.write_uris))

    def note(self, call: Call, user_id: Optional[int] = None) -> None:
        """Note where a call has written, or may have written, if it has.

        Parameters
        ----------
        call : Call
            It is over.
        user_id : int, optional
            The user whom it is about; by default everybody.
        """
        until = self.timer() + max(self.settings.cache_ttl_seconds, _LAG_SECONDS)
        with LOCK:
            for server in call.written:
                self._note(_Written(server, user_id, until))

    def _note(self, written: _Written) -> None:
        same = written.server, written.user_id
        others = [each for each in self._lasting() if (each.server, each.user_id) != same]
        self._written = (*others, written)
        if len(self._written) > _MOST:  # many users: the server is asked first for all
            latest = {each.server: _Written(each.server, None, each.until) for each in others}
            self._written = (*latest.values(), written)

    def require_known(
        self, call: Call, user_id: Optional[int] = None, *, everybody: bool = False
    ) -> None:
        """See that a write which had nothing to do asked a server that knows all our recent ones.

        "He does not have it" and "he has it already", said by a server that lags behind
        another one which is down, would take an order for carried out that is not.

        Parameters
        ----------
        call : Call
            It is over.
        user_id : int, optional
            The user whom it was about; by default an application.
        everybody : bool
            Whether it may have been about any user.

        Raises
        ------
        DirectoryUnavailable
            If another server than the one asked took a recent write about the same.
        """
        if call.written:
            return
        recent = self._lasting() if everybody else self._recent(user_id)
        elsewhere = [each.server for each in recent if {*call.asked} - {each.server}]
        if elsewhere:
            raise DirectoryUnavailable(
                f"nothing was done: the directory at {call.asked[-1]} finds nothing to do, and may "
                f"not know of what we wrote at {elsewhere[-1]} a moment ago; try again when that "
                "one answers, or in a minute",
                server=call.asked[-1],
            )

    def _recent(self, user_id: Optional[int]) -> list[_Written]:
        """Return writes about a user or about everybody, the last one last."""
        return [each for each in self._lasting() if each.user_id in (None, user_id)]

    def _lasting(self) -> tuple[_Written, ...]:
        now = self.timer()
        if self._written and self._written[0].until <= now:
            return tuple(each for each in self._written if now < each.until)
        return self._written

    def _first(self, written: Sequence[_Written]) -> tuple[str, ...]:
        if not written:
            return self.reading()
        latest = (each.server for each in reversed(written))
        return _unique((*latest, *self.settings.write_uris, *self.settings.uri))


def _unique(uris: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(uris))

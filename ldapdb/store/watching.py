"""Keeps the caches in step with the directory while its changes are seen."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Optional

from ldapdb.client import Call
from ldapdb.settings import Settings
from ldapdb.store.caches import Caches
from ldapdb.store.profile import Profile

if TYPE_CHECKING:
    from ldapdb.watch import Watch, WatchInfo

__all__ = ["Watching"]

log = logging.getLogger(__name__)


class Watching:
    """A watch from the first use to the end, where the setting asks for one.

    While changes are seen, reads prefer the server that tells of them: one that lags behind it
    would answer with what has just been forgotten. One that was asked all the same, because of
    a failure, a balancer or a write of ours, is why everything is forgotten once more a
    little later. While they are not seen, answers are good for their TTL as without a watch,
    and when they are seen again, all that was answered meanwhile is forgotten.

    A forked child has none at first; it starts its own when it first asks the directory, and has
    to ask at once: what its parent knew was good because changes were seen.

    Parameters
    ----------
    settings : Settings
        Whether to watch, and how to connect.
    caches : Caches
        What forgets.
    timer : callable
        Seconds of a monotonic clock.
    note_answer : callable
        Told of each server that answers.
    """

    def __init__(
        self,
        settings: Settings,
        caches: Caches,
        timer: Callable[[], float],
        note_answer: Callable[[str], None],
    ) -> None:
        self._note_answer = note_answer
        self._settings = settings
        self._caches = caches
        self._timer = timer
        self._lock = threading.RLock()
        self._watch: Optional[Watch] = None
        self._dropped: Optional[weakref.finalize[[], Watching]] = None
        self._is_over = not settings.watch

    def begin(self, profile: Profile, call: Call) -> None:
        """Start it, unless it runs, is not wanted or has been ended."""
        if self._is_over or (self._watch is not None and self._watch.is_running):
            return
        with self._lock:
            self._start(profile, call)

    def _start(self, profile: Profile, call: Call) -> None:
        # Whoever does not watch does not wait for them.
        from ldapdb.store.invalidation import Invalidation, scope_of  # noqa: PLC0415
        from ldapdb.watch import Watch, sources_for  # noqa: PLC0415

        if not self._is_over and (self._watch is None or not self._watch.is_running):
            any_class = self._settings.groups_filter is not None
            invalidation = Invalidation(self._caches, profile, self._timer, any_class=any_class)
            scope = scope_of(profile, call.root_dse(), self._settings.watch_poll_seconds)
            watch = Watch(
                self._settings,
                sources_for(scope),
                invalidation.take,
                invalidation.patience,
                self._timer,
                self._note_answer,
            )
            # The thread knows nothing of the database, which may be dropped unclosed. All this
            # before it starts, so that an interrupt leaves no thread that nobody knows of.
            self._watch = watch
            self._dropped = weakref.finalize(self, watch.close, wait=False)
            self._dropped.atexit = False
            try:
                watch.start()
            except RuntimeError as error:  # the system gives us no thread; the next call asks again
                self._watch = None
                self._dropped.detach()
                log.warning("changes are not seen for now: %s", error)

    def server(self) -> Optional[str]:
        """Return the server whose changes are seen now; None if none are."""
        return None if self._watch is None else self._watch.server

    def info(self) -> WatchInfo:
        """Return the statistics."""
        from ldapdb.watch import WatchInfo  # noqa: PLC0415 -- as above

        return WatchInfo() if self._watch is None else self._watch.info()

    def close(self, *, wait: bool) -> None:
        """End it for good."""
        with self._lock:
            self._is_over = True
        if self._watch is not None:
            self._watch.close(wait=wait)

    def renew_after_fork(self) -> None:
        """Leave the parent's to it."""
        self._lock = threading.RLock()
        inherited, self._watch = self._watch, None
        if self._dropped is not None:
            self._dropped.detach()
        if inherited is None:
            return
        if inherited.server is not None:
            self._caches.forget_everything()
        inherited.leave_to_parent()

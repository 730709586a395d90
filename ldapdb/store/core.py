"""What reads and writes have in common: servers, caches, one deadline, what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Optional
from weakref import WeakMethod

from ldapdb.cache import CacheInfo
from ldapdb.client import EVERYTHING, ROOT_DSE, Call, Deadline, Directory
from ldapdb.errors import ReadOnly
from ldapdb.model import Accounting
from ldapdb.protocol.codec import BASE, NO_ATTRIBUTES, Search
from ldapdb.settings import Settings
from ldapdb.shared import renew_in_children
from ldapdb.store.caches import Caches
from ldapdb.store.profile import Profile, stated_bases
from ldapdb.store.readers import Readers
from ldapdb.store.reading import Warned, require_base
from ldapdb.store.routes import Routes
from ldapdb.store.schema import likely_searches, require_schema
from ldapdb.store.tending import Sight, Tending, UserReader
from ldapdb.store.watching import Watching

if TYPE_CHECKING:
    from ldapdb.watch import WatchInfo

__all__ = ["READ_ONLY", "Core"]

READ_ONLY = "this connection never writes, because of the setting read_only"


class Core:
    """One directory, with what was learnt of it.

    Parameters
    ----------
    settings : Settings
        Where the directory is and how to read it. Nothing is connected yet.
    clock : callable
        Seconds since the epoch, for the time limits of grants.
    timer : callable
        Seconds of a monotonic clock, for caches and deadlines.
    form : callable, optional
        What is made of an accounting before it is kept and told.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        form: Optional[Callable[[Accounting], Accounting]] = None,
    ) -> None:
        self.settings = settings
        self._form = form
        self._clock = clock
        self._timer = timer
        self._directory = self._open(settings, timer)
        self._warned = Warned()
        self._readers: Optional[Readers] = None
        self._schema_seen = False
        self._sight = Sight()
        self._caches = Caches(settings, timer)
        self._watching = Watching(settings, self._caches, timer, self._directory.note_answer)
        self._routes = Routes(settings, timer, self._watching.server)
        self._tending = Tending(
            self._caches.user_list, WeakMethod(self._user_reader), self._watching.server
        )
        renew_in_children(self)

    def _open(self, settings: Settings, timer: Callable[[], float]) -> Directory:
        return Directory(settings, timer)

    def reading(self) -> tuple[Readers, Call]:
        """Begin a call that reads past the caches; return what reads, too."""
        call = self._directory.call(self._routes.reading_applications())
        return self._for(call), call

    def verify(self) -> None:
        """Connect, and see that the directory has what the settings name.

        Raises
        ------
        DirectoryUnavailable, CredentialsRejected, BaseNotFound, SchemaMissing, SettingsError
            Each with its own remedy.
        """
        call = self._directory.call(self._routes.reading())
        bases = stated_bases(self.settings)
        looks = [Search(str(each.dn), BASE, EVERYTHING, NO_ATTRIBUTES) for each in bases]
        schema = likely_searches(self.settings.vendor) if self.settings.schema != "stock" else []
        call.ask_ahead([ROOT_DSE, *looks, *schema])
        self._for(call)
        for each in bases:
            require_base(call, each)
        self._require_schema(call)

    def close(self, *, wait: bool = True) -> None:
        """Close all connections; `wait` for what is under way in the background."""
        self._tending.close(wait=wait)
        self._watching.close(wait=wait)
        self._directory.close(wait=wait)

    def renew_after_fork(self) -> None:
        """Start anew in a forked child, with what is known and without what is under way."""
        self._caches.user_list.renew_after_fork()
        self._tending.renew_after_fork()
        self._watching.renew_after_fork()
        self._directory.renew_after_fork()

    def deadline(self) -> Deadline:
        """Let the time of one call run from now, for several reads that are one call."""
        return self._directory.deadline()

    def cache_info(self) -> dict[str, CacheInfo]:
        """Return the statistics of each cache."""
        return self._caches.info()

    def watch_info(self) -> WatchInfo:
        """Return the statistics of the watch."""
        return self._watching.info()

    def _write_call(self) -> Call:
        if self.settings.read_only:
            raise ReadOnly(READ_ONLY)
        return self._directory.call(self._routes.writing())

    def _for(self, call: Call) -> Readers:
        """Return the readers, made from the root DSE at the first call."""
        if self._readers is None:
            profile = Profile.make(self.settings, call.root_dse())
            self._readers = Readers.make(profile, self._caches, self._warned, self._clock)
        self._watching.begin(self._readers.profile, call)
        return self._readers

    def _user_reader(self, deadline: Deadline) -> UserReader:
        call = self._directory.call(self._routes.reading(), deadline)
        return UserReader(call, lambda: self._for(call).users, self._sight)

    def _require_schema(self, call: Call) -> None:
        """See that an empty answer is not for want of the schema; once is enough.

        A server that does not know a class answers a search for it with nothing and success
        (RFC 4511, section 4.5.1.7).
        """
        if not self._schema_seen:
            if self._for(call).profile.notation.needs_schema:
                require_schema(call)
            self._schema_seen = True

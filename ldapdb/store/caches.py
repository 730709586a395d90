"""The caches in front of the directory, and what a write makes each of them forget."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Optional

from cachetools import LRUCache

from ldapdb.cache import Cache, CacheInfo, Lifetimes
from ldapdb.errors import CertificateRefused, CredentialsRejected, DirectoryUnavailable
from ldapdb.model import Application, Entitlements, Policy, User
from ldapdb.protocol.dn import DN
from ldapdb.settings import Settings
from ldapdb.shared import LOCK, Kept
from ldapdb.store.everybody import UserList

__all__ = ["Caches", "fold"]

# What answers have in common that say that there is nobody.
_NOBODY = object()


class Caches:
    """What the host asks for again and again.

    Parameters
    ----------
    settings : Settings
        How long and how much.
    timer : callable
        Seconds of a monotonic clock.
    """

    def __init__(self, settings: Settings, timer: Callable[[], float]) -> None:
        lifetimes = Lifetimes(
            ttl=settings.cache_ttl_seconds,
            negative_ttl=min(settings.cache_negative_ttl_seconds, settings.cache_ttl_seconds),
            max_stale=settings.cache_max_stale_seconds,
            wait=settings.operation_timeout_seconds,
        )
        # A server whose certificate does not verify, or that rejects our login, might as well
        # not be there.
        outage = (DirectoryUnavailable, CertificateRefused, CredentialsRejected)
        size = settings.cache_max_entries
        # The key is the name as it is asked for, never a folded form: two names that we
        # fold together and the directory tells apart would be one user.
        self.users_by_name: Cache[str, Optional[User]] = Cache(
            lifetimes,
            size,
            timer,
            outage,
            lambda key, user: (_NOBODY,) if user is None else (user.dn, fold(key)),
        )
        # Found by a search for the id, so that no other user has it.
        self.users_by_id: Cache[int, Optional[User]] = Cache(
            lifetimes, size, timer, outage, lambda key, user: (user.dn if user else _NOBODY, key)
        )
        # What is known of an entry has the entry for a key: other entries may have its id.
        self.users_by_entry: Cache[tuple[int, DN], Optional[User]] = Cache(
            lifetimes, size, timer, outage, lambda _, user: (user.dn if user else _NOBODY,)
        )
        self.entitlements: Cache[tuple[int, DN], Entitlements] = Cache(
            lifetimes, size, timer, outage, lambda _, held: held.made_from
        )
        self.applications: Cache[str, Application] = Cache(
            lifetimes, size, timer, outage, lambda _, each: (each.dn,)
        )
        self.application_list: Cache[None, tuple[Application, ...]] = Cache(
            lifetimes, 1, timer, outage, lambda _, all_of_them: [each.dn for each in all_of_them]
        )
        # Held only while changes are seen: a page of all users is rare, and a long answer.
        self.user_list = UserList(settings.cache_ttl_seconds, settings.watch_max_users, timer)
        # Told of users, by id, whom a change is known to concern.
        self.concerned: Callable[[AbstractSet[int]], object] = lambda _: None
        # What a mapping id that was handed out stands for. The id is a pure function of it,
        # so it never goes out of date; it only spares a search through all grants.
        self._issued: Kept[LRUCache[str, tuple[int, str, Policy]]] = Kept(lambda: LRUCache(size))

    def issue(self, identifier: str, user_id: int, image: str, policy: Policy) -> None:
        """Remember what a mapping id stands for."""
        meant = user_id, image, policy
        self._issued.change(lambda issued: issued.__setitem__(identifier, meant))

    def issued(self, identifier: str) -> Optional[tuple[int, str, Policy]]:
        """Return what a mapping id stands for, if it was handed out here."""
        with LOCK:
            return self._issued.whole.get(identifier)

    def forget_grants_of(self, user: User) -> None:
        """Forget what a user may start, also by an earlier DN."""
        self.entitlements.discard_tagged({user.id}, forget=True)

    def forget_applications(self) -> None:
        """Forget applications after a write, and with them what anybody may start."""
        self.applications.clear()
        self.application_list.clear()
        self.entitlements.clear()

    def outdate_applications(self) -> None:
        """Let applications be out of date, and with them what anybody may start.

        That there were some is remembered: whoever changed them, it was not this process, which
        may see none because it has lost its rights.
        """
        self.applications.outdate()
        self.application_list.outdate()
        self.entitlements.outdate()

    def forget_entries(
        self, entries: AbstractSet[DN], names: AbstractSet[str], ids: AbstractSet[int]
    ) -> None:
        """Forget users and applications whose entries have changed.

        Parameters
        ----------
        entries : set of DN
            The names of those entries.
        names : set of str
            What users of such an entry are called now, as :func:`fold` has them: somebody may
            be found by one of them who was not, or not be the only one any more.
        ids : set of int
            The ids that users of such an entry have now, which others may have as well.
        """
        nobody = {_NOBODY} if names else set[object]()
        self.users_by_name.discard_tagged({*entries, *names, *nobody})
        self.users_by_id.discard_tagged({*entries, *ids, *nobody})
        self.users_by_entry.discard_tagged({*entries, *nobody})
        self.applications.discard_tagged(entries)
        self.application_list.discard_tagged(entries)

    def forget_everything(self, *, again: bool = False) -> None:
        """Let all answers be out of date; that there were some is remembered.

        Parameters
        ----------
        again : bool
            Whether that was done when it mattered, a moment ago. Then a long list, which is
            read anew in the background, serves until it has been.
        """
        for cache in (
            self.users_by_name,
            self.users_by_id,
            self.users_by_entry,
            self.entitlements,
        ):
            cache.outdate()
        if again:
            self.user_list.outdate()
        else:
            self.user_list.drop()
        self.applications.outdate()
        self.application_list.outdate()

    def info(self) -> dict[str, CacheInfo]:
        """Return the statistics of each cache."""
        return {
            "users_by_name": self.users_by_name.info(),
            "users_by_id": self.users_by_id.info(),
            "users_by_entry": self.users_by_entry.info(),
            "accountings": self.entitlements.info(),
            "applications": self.applications.info(),
            "application_list": self.application_list.info(),
            "user_list": self.user_list.info(),
        }


@lru_cache(maxsize=20_000)
def fold(name: str) -> str:
    """Fold a name at least as much as any directory does that compares names."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(
        char for char in decomposed if not (char.isspace() or unicodedata.combining(char))
    )

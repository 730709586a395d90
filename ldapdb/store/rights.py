"""Who has gained and who has lost what, from one look to the next."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ldapdb.dn import DN
from ldapdb.errors import AmbiguousName, DirectoryUnavailable, LDAPDBError
from ldapdb.model import Entitlement, Policy, User
from ldapdb.store.reads import Reads
from ldapdb.watch import State

__all__ = ["RightChange", "Rights", "follow"]

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
# Time limits begin and end without a change in the directory.
_TIME_SECONDS = 1.0
# Looking takes a fifth of the time at the most.
_SHARE = 5.0


@dataclass(frozen=True)
class RightChange:
    """One application that a user has gained or lost.

    Parameters
    ----------
    gained : bool
        Or lost.
    at : float
        When that was seen, in seconds since the epoch.
    user : User
        Who.
    image : str
        What.
    policy : Policy
        How.
    mapping_id : str
        What labels his containers of it.
    grants : tuple of DN
        The grants that give it to him, or did.
    """

    gained: bool
    at: float
    user: User
    image: str
    policy: Policy
    mapping_id: str
    grants: tuple[DN, ...]


class Rights:
    """What everybody may start, as it was at the last look.

    Parameters
    ----------
    store : Reads
        With room in its caches for all users: what has not changed is looked up there.
    """

    def __init__(self, store: Reads) -> None:
        self._store = store
        self._held: dict[str, tuple[User, Entitlement]] = {}

    def look(self) -> list[RightChange]:
        """Look again; return what is different, losses first.

        Raises
        ------
        LDAPDBError
            If the directory does not say; then the last look stands.
        """
        now = {
            each.accounting.id: (user, each)
            for user in map(self._known, self._store.list_users())
            for each in self._store.list_entitlements(user)
        }
        before, self._held = self._held, now
        at = time.time()
        lost = [_change(*before[each], at, gained=False) for each in before.keys() - now.keys()]
        gained = [_change(*now[each], at, gained=True) for each in now.keys() - before.keys()]
        return [*sorted(lost, key=_order), *sorted(gained, key=_order)]

    def _known(self, user: User) -> User:
        # What somebody may start is kept no longer than who he is.
        try:
            return self._store.get_user_by_id(user.id) or user
        except AmbiguousName:  # what he may start is told all the same
            return user


def follow(store: Reads) -> Iterator[list[RightChange]]:
    """Yield what is different whenever changes are seen, for ever.

    The first list is empty and comes as soon as all rights are known and changes are seen. So
    is each list that comes when nothing is different.

    Raises
    ------
    LDAPDBError
        If the directory does not say at the beginning. Outages later are waited for.
    """
    rights = Rights(store)
    rights.look()
    while store.watch_info().state is not State.LIVE:
        time.sleep(_LOOK_SECONDS)
    yield []
    seen: tuple[int, ...] = ()
    ended = ready = time.monotonic()
    while True:
        info, began = store.watch_info(), time.monotonic()
        now = info.changes, info.refreshes
        is_due = now != seen or began >= ended + _TIME_SECONDS
        if info.state is not State.LIVE or not is_due or began < ready:
            time.sleep(_LOOK_SECONDS)
            continue
        try:
            changes = rights.look()
        except DirectoryUnavailable:
            pass  # it is down, which the watch will see
        except LDAPDBError as error:
            log.warning("who may start what cannot be told for now: %s", error)
        else:
            seen = now
            yield changes
        ended = time.monotonic()
        ready = ended + _SHARE * (ended - began)


def _change(user: User, entitlement: Entitlement, at: float, *, gained: bool) -> RightChange:
    accounting = entitlement.accounting
    return RightChange(
        gained=gained,
        at=at,
        user=user,
        image=accounting.application.image,
        policy=accounting.application_policy,
        mapping_id=accounting.id,
        grants=tuple(grant.dn for grant in entitlement.grants),
    )


def _order(change: RightChange) -> tuple[str, str, str]:
    return change.user.name, change.image, change.mapping_id

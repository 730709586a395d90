"""Who has gained and who has lost what, from one look to the next."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from queue import SimpleQueue

from ldapdb.errors import AmbiguousName, DirectoryUnavailable, LDAPDBError
from ldapdb.model import Entitlement, Policy, User
from ldapdb.protocol.dn import DN
from ldapdb.store.reads import Reads
from ldapdb.watch import State

__all__ = ["RightChange", "Rights", "follow"]

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
# Time limits begin and end without a change in the directory.
_TIME_SECONDS = 1.0
# Whom a change concerns waits no longer than a part of a look.
_PART_SECONDS = 0.1
# Looking at everybody takes a fifth of the time at the most.
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
        # Everybody by id, with what he may start by mapping id.
        self._held: dict[int, tuple[User, dict[str, Entitlement]]] = {}

    def look(self) -> Iterator[list[RightChange]]:
        """Look again; yield what is different, part by part, losses first in each.

        Raises
        ------
        LDAPDBError
            If the directory does not say; then the last look stands for whom it has not said.
        """
        users = self._store.list_users()
        gone = self._held.keys() - {user.id for user in users}
        yield sorted((change for each in gone for change in self._note_gone(each)), key=_order)
        changes: list[RightChange] = []
        began = time.monotonic()
        try:
            for user in users:
                changes += self._look_again(user)
                if time.monotonic() >= began + _PART_SECONDS:
                    yield sorted(changes, key=_order)
                    changes, began = [], time.monotonic()
        except LDAPDBError:
            yield sorted(changes, key=_order)  # they are noted, and would not be told any more
            raise
        yield sorted(changes, key=_order)

    def _look_again(self, user: User) -> list[RightChange]:
        """Look at who was listed; what he may start is kept no longer than who he is."""
        try:
            known = self._store.refresh_user(user)
        except AmbiguousName:  # what he may start is told all the same
            known = user
        return self._note_gone(user.id) if known is None else self._look_at(known)

    def look_at(self, user_ids: Iterable[int]) -> Iterator[list[RightChange]]:
        """Look at some users, as far as they are known; yield what is different of each.

        Raises
        ------
        LDAPDBError
            As :meth:`look`.
        """
        for each in sorted(self._held.keys() & user_ids):
            with contextlib.suppress(AmbiguousName):  # whether he is listed, the next look tells
                user = self._store.get_user_by_id(each)
                changes = self._note_gone(each) if user is None else self._look_at(user)
                yield sorted(changes, key=_order)

    def _look_at(self, user: User) -> list[RightChange]:
        now = {each.accounting.id: each for each in self._store.list_entitlements(user)}
        was, before = self._held.get(user.id, (user, {}))
        self._held[user.id] = user, now
        gained = [each for key, each in now.items() if key not in before]
        lost = [each for key, each in before.items() if key not in now]
        return [_change(user, each, gained=True) for each in gained] + [
            _change(was, each, gained=False) for each in lost
        ]

    def _note_gone(self, user_id: int) -> list[RightChange]:
        if user_id not in self._held:
            return []
        user, before = self._held.pop(user_id)
        return [_change(user, each, gained=False) for each in before.values()]


class _Concerned:
    """Users whom changes concern, noted by the thread that sees these."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[AbstractSet[int]] = SimpleQueue()
        self.note = self._queue.put

    def take(self) -> set[int]:
        """Return them, once."""
        user_ids: set[int] = set()
        while not self._queue.empty():
            user_ids |= self._queue.get()
        return user_ids


def follow(store: Reads) -> Iterator[list[RightChange]]:
    """Yield what is different whenever changes are seen, for ever.

    The first list is empty and comes as soon as all rights are known and changes are seen. So
    is each list that comes when nothing is different. Whom a change concerns, as far as that is
    known, is looked at before everybody is, and between the parts of that.

    Raises
    ------
    LDAPDBError
        If the directory does not say at the beginning. Outages later are waited for.
    """
    rights, concerned = Rights(store), _Concerned()
    store.tell_concerned(concerned.note)
    for _ in rights.look():
        pass
    while store.watch_info().state is not State.LIVE:
        time.sleep(_LOOK_SECONDS)
    yield []
    seen: tuple[int, ...] = ()
    ended = ready = time.monotonic()
    while True:
        info, began = store.watch_info(), time.monotonic()
        now = info.changes, info.refreshes
        is_due = (now != seen or began >= ended + _TIME_SECONDS) and began >= ready
        try:
            if info.state is State.LIVE:
                yield from rights.look_at(concerned.take())
            if info.state is not State.LIVE or not is_due:
                time.sleep(_LOOK_SECONDS)
                continue
            for changes in rights.look():
                told = time.monotonic()
                yield changes
                began += time.monotonic() - told  # what is done about it is no looking
                yield from rights.look_at(concerned.take())
        except DirectoryUnavailable:
            pass  # it is down, which the watch will see
        except LDAPDBError as error:
            log.warning("who may start what cannot be told for now: %s", error)
        else:
            seen = now
        ended = time.monotonic()
        ready = ended + _SHARE * (ended - began)


def _change(user: User, entitlement: Entitlement, *, gained: bool) -> RightChange:
    accounting = entitlement.accounting
    return RightChange(
        gained=gained,
        at=time.time(),
        user=user,
        image=accounting.application.image,
        policy=accounting.application_policy,
        mapping_id=accounting.id,
        grants=tuple(grant.dn for grant in entitlement.grants),
    )


def _order(change: RightChange) -> tuple[bool, str, str, str]:
    return change.gained, change.user.name, change.image, change.mapping_id

"""A store that changes nothing, and tells what it would change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ldapdb.client.overlay import Planned
from ldapdb.client.planned import PlannedDirectory
from ldapdb.model import User
from ldapdb.protocol.dn import DN
from ldapdb.protocol.ldif import Change
from ldapdb.settings import Settings
from ldapdb.store.writes import Store

__all__ = ["PlannedStore"]


class PlannedStore(Store):
    """A :class:`~ldapdb.store.Store` whose writes are planned.

    Each call answers and fails as it would if the planned changes had been made, as far as
    that can be told without making them; what cannot is in `doubts`. Whether the account may
    make the changes is not seen.

    Parameters
    ----------
    settings : Settings
        As for :class:`~ldapdb.store.core.Core`. Changes by others are not followed.
    """

    _directory: PlannedDirectory

    def __init__(self, settings: Settings, **given: Any) -> None:
        super().__init__(settings.model_copy(update={"watch": False}), **given)

    def _open(self, settings: Settings, timer: Callable[[], float]) -> PlannedDirectory:
        return PlannedDirectory(settings, timer)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What would be changed, in order; :func:`ldapdb.protocol.ldif.write` makes LDIF of it."""
        return tuple(self._directory.plan.changes)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What cannot be told without making the changes, in sentences."""
        return tuple(self._directory.plan.doubts)

    @property
    def touched(self) -> dict[DN, Planned]:
        """The entries that would be changed, by the names before and the names after."""
        return dict(self._directory.plan.entries)

    def makes_up(self, user: User) -> bool:
        """Tell whether a user's id will be another one: his entry is not there yet."""
        planned = self._directory.plan.entries.get(user.dn)
        if planned is None or planned.origin is not None:
            return False
        profile = self.reading()[0].profile
        made_up = profile.vendor.identifier_attribute.lower()
        return profile.user_id_attribute.lower() == made_up

    def apply(self, change: Change) -> None:
        """Plan a change of one's own.

        Raises
        ------
        LDAPDBError
            What a server would answer: see :meth:`~ldapdb.client.planned.PlannedCall.apply`.
        """
        call = self._directory.call(self._routes.writing())
        self._for(call)
        try:
            call.apply(change)
        finally:
            self._caches.forget_everything()

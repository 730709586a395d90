"""Who would gain and who would lose what, if changes were made."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Optional

from ldapdb.client import Call
from ldapdb.client.overlay import Planned
from ldapdb.entries import IMAGE, is_application, read_dn
from ldapdb.errors import (
    AmbiguousName,
    DirectoryUnavailable,
    InvalidValue,
    LDAPDBError,
    NoSuchEntry,
)
from ldapdb.model import Entitlement, Policy, User, Window
from ldapdb.protocol.codec import NO_ATTRIBUTES
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.ldif import Change
from ldapdb.settings import Settings
from ldapdb.store.caches import Caches
from ldapdb.store.doubts import doubts_of
from ldapdb.store.memberships import Members
from ldapdb.store.planning import PlannedStore
from ldapdb.store.sources import Sources
from ldapdb.store.writes import Store

__all__ = ["Effect", "Effects", "effects_of"]

Windows = tuple[Window, ...]

# What a change of these alone leaves to those who were members before and are after.
_MEMBERS_ONLY = frozenset({"member", "uniquemember", "memberuid"})


@dataclass(frozen=True)
class Effect:
    """One application that a user would gain or lose, or have at other times.

    Parameters
    ----------
    user : User
        Who.
    image : str
        What.
    policy : Policy
        How.
    mapping_id : str, optional
        What labels his containers of it; None for a user whose entry is not there yet.
    before, after : tuple of Window
        When he has it from now on, as it is and as it would be.
    grants : tuple of DN
        The grants that give it to him, or did.
    at : float
        What is now, in seconds since the epoch.
    """

    user: User
    image: str
    policy: Policy
    mapping_id: Optional[str]
    before: Windows
    after: Windows
    grants: tuple[DN, ...]
    at: float

    @property
    def kind(self) -> str:
        """``granted`` or ``revoked``, by what he may now; ``changed`` if it is by time only."""
        had, has = (
            any(window.contains(self.at) for window in windows)
            for windows in (self.before, self.after)
        )
        if had == has:
            return "changed"
        return "granted" if has else "revoked"


@dataclass(frozen=True)
class Effects:
    """What changes would bring about.

    Parameters
    ----------
    effects : tuple of Effect
        Losses first, by user and image.
    notes : tuple of str
        What is to be known besides: names that would belong to several users, and new members
        that are no entry.
    doubts : tuple of str
        What cannot be told, so that there may be more than is listed, or less.
    looked_at : int
        How many users were looked at.
    """

    effects: tuple[Effect, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    looked_at: int


def effects_of(
    settings: Settings,
    changes: Iterable[tuple[int, Change]],
    clock: Callable[[], float] = time.time,
) -> Effects:
    """Tell who would gain and who would lose what.

    Parameters
    ----------
    settings : Settings
        The directory.
    changes : iterable of (int, Change)
        In order, with the numbers of their lines, as :func:`ldapdb.protocol.ldif.parse` gives them.

    Raises
    ------
    LDAPDBError
        If a change does not fit the directory, with its line; or if the directory does not
        say.
    """
    still = settings.model_copy(update={"watch": False})
    with (
        closing(Store(still, clock=clock)) as store,
        closing(PlannedStore(still, clock=clock)) as planned,
    ):
        store.verify()
        records = list(changes)
        for line, change in records:
            try:
                planned.apply(change)
            except DirectoryUnavailable:
                raise
            except LDAPDBError as error:
                raise error.restated(
                    f"line {line}: the change does not fit the directory: {error}", LDAPDBError
                ) from error
        concerned = _Concerned(store, planned)
        names = concerned.names()
        now = clock()
        before, after = _Rights(store, names), _Rights(planned, names)
        shared = before.shared | after.shared
        for rights in (before, after):
            rights.tell_apart(shared)
        found = [
            _effect(each, before, after, planned, now)
            for each in dict.fromkeys((*before.held, *after.held))
        ]
        different = [each for each in found if each.before != each.after]
        different.sort(
            key=lambda each: (_ORDER[each.kind], each.user.name, each.image, str(each.grants))
        )
        notes = dict.fromkeys((*before.notes, *after.notes, *concerned.absent()))
        vendor = planned.reading()[0].profile.vendor
        doubts = (
            *planned.doubts,
            *doubts_of((each for _, each in records), links_follow=vendor.links_follow),
        )
        return Effects(tuple(different), tuple(notes), tuple(dict.fromkeys(doubts)), len(names))


_ORDER = {"revoked": 0, "changed": 1, "granted": 2}


# --- whom the changes may concern


@dataclass
class _Side:
    """One of the two directories: as it is, or as it would be."""

    store: Store
    members: dict[DN, Members] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Put together what reads; what it leaves out is warned of when rights are looked up."""
        profile = self.store.reading()[0].profile
        caches = Caches(self.store.settings, time.monotonic)
        self.sources = Sources.make(profile, caches, time.time)

    @property
    def call(self) -> Call:
        """A call of its own: there may be many, and each has its time."""
        return self.store.reading()[1]

    def has(self, dn: DN) -> bool:
        """Tell whether there is an entry of a name."""
        try:
            return bool(self.call.read(dn, NO_ATTRIBUTES)[1])
        except NoSuchEntry:
            return False

    def read(self, dns: Iterable[DN]) -> None:
        """Read the members of the groups and grants among some names, once."""
        new = {dn for dn in dns if dn.rdns} - set(self.members)
        found = self.sources.memberships.members_of_each(self.call, new)
        self.members.update({dn: found.get(dn, Members()) for dn in new})


class _Concerned:
    """The names of all users whom changes may concern, and perhaps of more."""

    def __init__(self, store: Store, planned: PlannedStore) -> None:
        self._touched = planned.touched
        self._sides = [_Side(each) for each in (store, planned)]
        self._people: set[DN] = set()

    def names(self) -> list[str]:
        """Find them: from the entries that are changed down to the users, before and after."""
        first = Members()
        images: set[str] = set()
        names: set[str] = set()
        for side in self._sides:
            side.read(self._touched)
            registered, named = self._read(side)
            images |= registered
            names |= named
        for dn, planned in self._touched.items():
            _join(first, self._directly(dn, planned))
        for side in self._sides:
            for image in images:
                first.dns |= set(_names(side.sources.grants.of_image(side.call, image)))
        everybody = self._walk_down(first)
        everybody.dns |= set(self._touched)
        users = [user for side in self._sides for user in _users(side, everybody)]
        self._people = {user.dn for user in users}
        return sorted({name for user in users for name in user.login_names} | names)

    def absent(self) -> Iterator[str]:
        """Say of members that would come what no entry has the name of; after :meth:`names`."""
        before, after = self._sides
        for dn, planned in self._touched.items():
            old = before.members.get(planned.origin or dn, Members()).dns
            for member in sorted(after.members.get(dn, Members()).dns - old, key=str):
                if member.rdns and member not in self._people and not after.has(member):
                    yield (
                        f"'{dn}' would get the member '{member}', and there is no such entry, or "
                        "it is hidden from this account"
                    )

    def _directly(self, dn: DN, planned: Planned) -> Members:
        """Return the members that a change may concern of an entry that it concerns itself."""
        before, after = (side.members.get(dn, Members()) for side in self._sides)
        concerned = Members()
        if planned.origin == dn and planned.changed <= _MEMBERS_ONLY and planned.attributes:
            concerned.dns = before.dns ^ after.dns
            concerned.names = before.names ^ after.names
        else:
            _join(concerned, before)
            _join(concerned, after)
        return concerned

    def _read(self, side: _Side) -> tuple[set[str], set[str]]:
        """Read the images that the entries concerned register, and all names they log in by.

        A further name may be another user's, who is then not to be told apart.
        """
        profile = side.sources.profile
        attributes = (*profile.notation.attributes, *profile.user_name_attributes)
        images: set[str] = set()
        names: set[str] = set()
        for dn in self._touched:
            with suppress(NoSuchEntry, InvalidValue):
                for entry in side.call.read(dn, attributes)[1]:
                    names.update(*map(entry.texts, profile.user_name_attributes))
                    said = profile.notation.read(entry)
                    images.update(said.values(IMAGE) if is_application(said) else ())
        return images, names

    def _walk_down(self, first: Members) -> Members:
        """Follow groups in groups; return all that is met on the way."""
        everybody, met = Members(), first
        while True:
            new = met.dns - everybody.dns
            _join(everybody, met)
            if not new:
                return everybody
            met = Members()
            for side in self._sides:
                side.read(new)
                for dn in new:
                    _join(met, side.members.get(dn, Members()))


def _join(members: Members, more: Members) -> None:
    members.dns |= more.dns
    members.names |= more.names
    members.groups |= more.groups


def _names(entries: Iterable[Entry]) -> list[DN]:
    found = []
    for entry in entries:
        try:
            found.append(read_dn(entry))
        except InvalidValue:  # which reaches nobody
            continue
    return found


def _users(side: _Side, members: Members) -> Iterable[User]:
    users = side.sources.users
    yield from users.by_dns(side.call, [dn for dn in members.dns if dn.rdns])
    yield from users.by_names(side.call, members.names)
    yield from users.by_primary_groups(side.call, members.groups)


# --- what they may start


# A mapping id, and the DN where several users have the same ids.
_Right = tuple[str, Optional[DN]]


class _Rights:
    """What some users may start, in one of the two directories."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        self.held: dict[_Right, tuple[User, Entitlement]] = {}
        self.notes: list[str] = []
        self._users: dict[DN, User] = {}
        self._store = store
        for name in names:
            try:
                user = store.get_user(name)
            except AmbiguousName as error:  # it finds none of them
                self.notes.append(str(error))
                continue
            if user is not None:
                self._users[user.dn] = user

    @property
    def shared(self) -> set[int]:
        """The ids that several of the users have."""
        counted = Counter(user.id for user in self._users.values())
        return {user_id for user_id, number in counted.items() if number > 1}

    def tell_apart(self, shared: Collection[int]) -> None:
        """Read what the users may start; those with a shared id are the same by DN alone."""
        for dn, user in self._users.items():
            place = dn if user.id in shared else None
            self.held.update(
                ((each.accounting.id, place), (user, each))
                for each in self._store.list_all_entitlements(user)
            )

    def windows(self, right: _Right, now: float) -> Windows:
        """Tell when somebody has something, from now on."""
        held = self.held.get(right)
        if held is None:
            return ()
        user, entitlement = held
        account = user.account.window
        return _joined((each.window.within(account) for each in entitlement.grants), now)


def _effect(
    right: _Right, before: _Rights, after: _Rights, planned: PlannedStore, now: float
) -> Effect:
    user, entitlement = after.held.get(right) or before.held[right]
    accounting = entitlement.accounting
    return Effect(
        user=user,
        image=accounting.application.image,
        policy=accounting.application_policy,
        mapping_id=None if planned.makes_up(user) else accounting.id,
        before=before.windows(right, now),
        after=after.windows(right, now),
        grants=tuple(grant.dn for grant in entitlement.grants),
        at=now,
    )


def _joined(windows: Iterable[Window], now: float) -> Windows:
    """Join times that overlap, and leave out what is over."""
    lasting = sorted(
        (
            now if each.not_before is None else max(each.not_before, now),
            float("inf") if each.not_after is None else each.not_after,
        )
        for each in windows
        if not each.is_over(now)
    )
    joined: list[tuple[float, float]] = []
    for begin, end in lasting:
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        elif begin < end:
            joined.append((begin, end))
    return tuple(
        Window(None if begin == now else begin, None if end == float("inf") else end)
        for begin, end in joined
    )

"""What a change in the directory makes the caches forget.

An answer is forgotten if it was made from an entry that has changed, or would be made from
it now. What a cached answer was made from is kept with it: the user, the groups that contain
him, the grants and applications. So an entry's members from before need not be known: whoever
was reached through it has it among what his answer was made from.

====================================  =====================================================
a change of                           makes forgotten
====================================  =====================================================
a user                                him, by id and by name, and in the list of all; that a name
                                      was not found; what he may start
a group or grant                      what those may start who were reached by way of it, and
                                      those who are, or are in a group that is, its member now
such an entry, its members hidden,    what anybody may start
made by the server, or very many
an application                        applications, and what anybody may start
whatever is not told apart            everything
====================================  =====================================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Optional

from ldapdb.client import RootDSE
from ldapdb.entries import MEMBER_UID, PRIMARY_GROUP_ID, is_application, is_grant, read_identifier
from ldapdb.errors import InvalidValue
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import OBJECT_CLASS, Entry
from ldapdb.protocol.filters import attributes_of
from ldapdb.store.caches import Caches, fold
from ldapdb.store.profile import Profile
from ldapdb.watch import Batch, Change, Scope

__all__ = ["Invalidation", "Touched", "scope_of"]

# A server that lags behind the watched one may have answered a moment after a change, with what
# was before it. So what a change touches is forgotten once more, later than servers lag.
_LAG_SECONDS = 5.0
# Attributes that say in which groups or roles somebody is.
_OF_GROUPS = frozenset({"memberof", "ismemberof", "nsrole", "tokengroups"})
_TICK_SECONDS = 1.0
# Changes that wait to be forgotten once more, one by one.
_MOST_RECENT = 1000
# More are not compared one by one: what anybody may start is forgotten.
_MOST_MEMBERS = 1000

_PEOPLE = frozenset((b"person", b"account", b"posixaccount", b"nsperson", b"user"))


@dataclass
class Touched:
    """What some changes are about.

    Attributes
    ----------
    everything, applications, anybody, users : bool
        Whether all is to be forgotten; all applications; what anybody may start; who there is.
    entries : set of DN
        Entries that have changed, by the names of before and after.
    members : set of DN or str
        Who is in groups and grants that have changed: DNs, and folded names from memberUid.
    names : set of str
        Folded names of users who have changed.
    ids : set of int
        Ids of users who have changed.
    """

    everything: bool = False
    applications: bool = False
    anybody: bool = False
    users: bool = False
    entries: set[DN] = field(default_factory=set)
    members: set[Hashable] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)

    def add(self, other: Touched) -> None:
        """Take in what other changes are about."""
        self.everything = self.everything or other.everything
        self.applications = self.applications or other.applications
        self.anybody = self.anybody or other.anybody
        self.users = self.users or other.users
        self.entries |= other.entries
        self.members |= other.members
        self.names |= other.names
        self.ids |= other.ids


class Invalidation:
    """Lets caches forget what changes touch, at once and once more a little later.

    Parameters
    ----------
    caches : Caches
        What forgets.
    profile : Profile
        Tells users, groups, grants and applications apart.
    timer : callable
        Seconds of a monotonic clock.
    any_class : bool
        Whether groups may be of any class, because the settings say what a group is.
    """

    def __init__(
        self, caches: Caches, profile: Profile, timer: Callable[[], float], *, any_class: bool
    ) -> None:
        self._caches = caches
        self._any_class = any_class
        self._profile = profile
        self._matching = profile.vendor.name_matching
        self._timer = timer
        # Servers compute who is in which group; a change of a group changes no user's entry.
        self._by_groups = any(
            each.lower() in _OF_GROUPS
            for wanted in (profile.users_filter, profile.groups_filter)
            for each in attributes_of(wanted)
        )
        self._recent: deque[tuple[float, Touched]] = deque()

    def take(self, batch: Batch) -> None:
        """Forget what a batch touches, and what has waited to be forgotten once more."""
        touched = Touched(everything=batch.everything)
        for change in batch.changes:
            touched.add(self._touched(change))
        now = self._timer()
        if touched != Touched():
            self._recent.append((now + _LAG_SECONDS, touched))
        due = self._due(now)
        if touched != Touched():
            forget(self._caches, touched, again=False)
        # By itself: where all is forgotten once more, a list serves until it is read anew, and
        # has to be told what has changed now.
        if due != Touched() and not touched.everything:
            forget(self._caches, due, again=True)

    def patience(self) -> float:
        """Return the seconds until :meth:`take` is to be called if nothing happens."""
        if not self._recent:
            return _TICK_SECONDS
        return max(min(self._recent[0][0] - self._timer(), _TICK_SECONDS), 0)

    def _due(self, now: float) -> Touched:
        due = Touched()
        if len(self._recent) > _MOST_RECENT:
            # A storm: all of it, when its first change is due, however long it goes on, and
            # when its last one is.
            times = self._recent[0][0], self._recent[-1][0]
            self._recent = deque((each, Touched(everything=True)) for each in times)
        while self._recent and self._recent[0][0] <= now:
            due.add(self._recent.popleft()[1])
        return due

    # --- what a change is about

    def _touched(self, change: Change) -> Touched:
        try:
            names = [text for text in (change.before, _name(change.entry)) if text is not None]
            touched = Touched(entries={DN.parse(each, self._matching) for each in names})
        except ValueError:
            return Touched(everything=True)  # a name that cannot be read might be anybody's
        if change.entry is None:
            # Nobody knows what is gone, or it may have been a group.
            touched.everything = change.before is None or self._by_groups
            touched.users = True
        else:
            self._look_into(change.entry, touched)
        return touched

    def _look_into(self, entry: Entry, touched: Touched) -> None:
        """Tell what an entry is now, and what it is thus about."""
        identifier = self._profile.user_id_attribute.lower()
        if not entry.attributes.keys() - {identifier}:  # found by comparing, which reads none
            touched.everything = True
            return
        names = [
            value.decode(errors="replace")
            for attribute in self._profile.user_name_attributes
            for value in entry.raw(attribute)
        ]
        touched.names.update(map(fold, names))
        with suppress(InvalidValue):  # then it is no user
            profile = self._profile
            touched.ids.add(read_identifier(entry, profile.user_id_attribute, profile.user_id_form))
        try:
            said = self._profile.notation.read(entry)
            touched.applications = is_application(said)
            grants = is_grant(said)
        except InvalidValue:
            touched.applications = grants = True
        is_group = grants or self._may_be_group(entry, names)
        if is_group:
            self._look_at_members(entry, touched)
            touched.everything = self._by_groups
        # An entry that is nothing known may have been a user until it lost its name.
        touched.users = bool(names) or not (is_group or touched.applications)

    def _may_be_group(self, entry: Entry, names: list[str]) -> bool:
        """Tell whether an entry may have members, seen or not."""
        classes = {bytes(each).lower() for each in entry.attributes.get(OBJECT_CLASS.lower(), ())}
        is_named_group = any(b"group" in each for each in classes)
        if is_named_group or any(self._members(entry)) or not classes:
            return True
        return self._any_class and not (names and classes & _PEOPLE)

    def _look_at_members(self, entry: Entry, touched: Touched) -> None:
        names, dns = self._members(entry)
        in_parts = any(";range=" in name for name in entry.attributes)
        if in_parts or not 0 < len(names) + len(dns) <= _MOST_MEMBERS:
            touched.anybody = True
            return
        touched.members.update(fold(bytes(name).decode(errors="replace")) for name in names)
        for value in dns:
            try:
                touched.members.add(_parse(bytes(value).decode(), self._matching))
            except ValueError:
                continue  # no user's name, and no group's

    def _members(self, entry: Entry) -> tuple[list[bytes], list[bytes]]:
        """Return the names and the DNs of members, also those with options: member;lang-en."""
        names, dns = list[bytes](), list[bytes]()
        of_dns = {each.lower() for each in self._profile.member_attributes}
        for name, values in entry.attributes.items():
            plain = name.partition(";")[0]
            if plain == MEMBER_UID.lower():
                names += values
            elif plain in of_dns:
                dns += values
        return names, dns


def forget(caches: Caches, touched: Touched, *, again: bool) -> None:
    """Let caches forget what some changes are about; everything perhaps once more."""
    if touched.everything:
        caches.forget_everything(again=again)
        return
    # In this order: what somebody may start is made from users and applications.
    caches.forget_entries(touched.entries, touched.names, touched.ids)
    caches.user_list.touch(touched.entries, may_be_users=touched.users)
    # A name that somebody else has got is no longer one user's alone, in memberUid either.
    tags = touched.entries | touched.members | touched.names
    concerned = caches.entitlements.discard_tagged(tags)
    if touched.applications:
        caches.outdate_applications()
    elif touched.anybody:
        caches.entitlements.outdate()
    caches.concerned({user_id for user_id, _ in concerned})


def _name(entry: Optional[Entry]) -> Optional[str]:
    return None if entry is None else entry.dn


# Most members of a group that changes were its members before.
_parse = lru_cache(maxsize=20_000)(DN.parse)


def attributes(profile: Profile) -> tuple[str, ...]:
    """List what a change must bring along."""
    wanted: Iterable[str] = (
        OBJECT_CLASS,
        *profile.user_name_attributes,
        profile.user_id_attribute,
        *profile.member_attributes,
        MEMBER_UID,
        *(() if profile.notation.needs_schema else profile.notation.attributes),
    )
    return tuple(dict.fromkeys(wanted))


def deciding(profile: Profile) -> tuple[str, ...]:
    """List what else decides about an answer."""
    wanted: Iterable[str] = (
        *profile.notation.attributes,
        *attributes_of(profile.users_filter),
        *attributes_of(profile.groups_filter),
        *profile.vendor.account_attributes,
        PRIMARY_GROUP_ID,
    )
    return tuple(dict.fromkeys(wanted))


def scope_of(profile: Profile, root_dse: RootDSE, poll_seconds: float) -> Scope:
    """Tell what has to be watched to see all that answers are made from."""
    bases = [profile.applications, profile.grants, profile.groups, *profile.users]
    return Scope(
        bases=tuple(_highest(base.dn for base in bases)),
        attributes=attributes(profile),
        deciding=deciding(profile),
        vendor=root_dse.vendor,
        naming_contexts=root_dse.naming_contexts,
        controls=root_dse.controls,
        poll_seconds=poll_seconds,
    )


def _highest(dns: Iterable[DN]) -> list[DN]:
    """Leave out names below others."""
    highest: list[DN] = []
    for dn in sorted(dns, key=lambda each: len(each.rdns)):
        if not any(dn.is_under(each) for each in highest):
            highest.append(dn)
    return highest

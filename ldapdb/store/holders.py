"""Who may start what: from the grants down to the users, through groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ldapdb.client import Call
from ldapdb.entries import GRANT_CLASS, MEMBER_UID, PRIMARY_GROUP_ID
from ldapdb.errors import AmbiguousName, NoSuchEntry
from ldapdb.model import Grant, Policy, User
from ldapdb.protocol import filters
from ldapdb.protocol.codec import NO_ATTRIBUTES
from ldapdb.protocol.dn import DN
from ldapdb.store.explaining import Holder, Link, Reason, Way, Who
from ldapdb.store.memberships import Members
from ldapdb.store.reading import require_base
from ldapdb.store.sources import Sources, servers_of
from ldapdb.store.ways import MOST_WAYS, links, longest_way
from ldapdb.store.why import in_time, not_registered, unreadable

__all__ = ["Holders", "Reached"]

# Members that stand for nobody, and are looked at for what they are instead.
_MOST_LOOKED_AT = 200


@dataclass(frozen=True)
class Reached:
    """An image under a policy, as everybody has it whom the same entries have as a member.

    Parameters
    ----------
    image : str
        Which; it may be registered nowhere.
    policy : Policy
        How it may be started.
    grants : tuple of Grant
        All that give it, now or at another time.
    ways : tuple of Way
        How they reach a user, the shortest way first; each grant has one at least.
    """

    image: str
    policy: Policy
    grants: tuple[Grant, ...]
    ways: tuple[Way, ...]

    def holds(self, now: float) -> bool:
        """Tell whether one of the grants holds at `now` (seconds since the epoch)."""
        return any(grant.window.contains(now) for grant in self.grants)


class Holders:
    """Finds everybody whom grants reach, by one walk down from all of them.

    Parameters
    ----------
    sources : Sources
        What is read.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._profile = sources.profile
        self._grants: dict[DN, Grant] = {}
        # Of each group or grant, what it has as members; and of each member, what has it.
        self._members: dict[DN, Members] = {}
        self._above: dict[DN, dict[DN, str]] = {}
        # Of groups alone: a grant elsewhere hands nothing on.
        self._groups_above: dict[DN, dict[DN, str]] = {}
        self._upward: dict[DN, dict[DN, list[tuple[Link, ...]]]] = {}
        self._reached: dict[frozenset[tuple[DN, str]], tuple[Reached, ...]] = {}
        self._users: dict[DN, tuple[User, dict[DN, str]]] = {}
        self._obstructed: dict[DN, str] = {}
        self._attribute = " or ".join(self._profile.member_attributes)

    def find(self, call: Call, image: str, now: float) -> Who:
        """Find the holders of an image; `now` in seconds since the epoch."""
        sources = self._sources
        self.require_bases(call)
        application = sources.applications.by_images(call, [image]).get(image)
        entries = sources.grants.of_image(call, image)
        grants = [each for each in sources.grants.readable(entries) if image in each.images]
        reasons = [not_registered(sources, call, image)] if application is None else []
        reasons += unreadable(sources, entries, image)
        reasons += in_time(grants, now)
        self.read(call, grants)
        reasons += unreadable(sources, entries, image)
        holders = []
        for user, obstacle, reached in self.each():
            for right in reached:
                if right.image == image:
                    holds = application is not None and not obstacle and right.holds(now)
                    holders.append(Holder(user, right.policy, holds, right.ways, obstacle))
        holders.sort(key=lambda each: (each.user.name.lower(), str(each.user.dn), *_order(each)))
        reasons += self.dangling(call)
        stated_in, servers = sources.stated_in, servers_of(call)
        return Who(image, application, tuple(holders), tuple(reasons), servers, now, stated_in)

    def require_bases(self, call: Call) -> None:
        """See that groups and grants are where they are searched.

        One search from above both does not tell that one is gone.
        """
        for base in (self._profile.groups, self._profile.grants):
            require_base(call, base)

    def read(self, call: Call, grants: Iterable[Grant]) -> None:
        """Read whom grants reach; once, for all grants that are asked about."""
        self._grants = {grant.dn: grant for grant in grants}
        self._walk_down(call, list(self._grants))
        self._users = self._find_users(call)
        self._obstructed = self._obstacles(call, [user for user, _ in self._users.values()])

    def each(self) -> Iterator[tuple[User, str, tuple[Reached, ...]]]:
        """List the users, each with why the host does not find him, and what reaches him."""
        for user, named_by in self._users.values():
            yield user, self._obstructed.get(user.dn, ""), self._reaching(named_by)

    def _walk_down(self, call: Call, grants: list[DN]) -> None:
        """Read the members of the grants and of the groups in them, level by level."""
        frontier, depth = grants, 0
        while frontier:
            read = self._sources.memberships.members_of_each(call, frontier)
            depth += 1
            self._members.update(read)
            for holder, members in read.items():
                for dn in members.dns:
                    self._above.setdefault(dn, {})[holder] = self._attribute
            named = {dn for members in read.values() for dn in members.dns} - set(self._members)
            goes_on = self._profile.nested_groups or depth == 1
            # What is read next is what of these is a group; the others are not answered.
            below = [dn for dn in named if self._profile.groups.holds(dn)]
            frontier = below if goes_on else []
        self._groups_above = {
            dn: holders
            for dn, holders in self._above.items()
            if dn in self._members and self._profile.groups.holds(dn)
        }

    # --- users

    def _find_users(self, call: Call) -> dict[DN, tuple[User, dict[DN, str]]]:
        """Find the users among all members, and for each what names him, and how."""
        users = self._sources.users
        dns = {dn for members in self._members.values() for dn in members.dns}
        found: dict[DN, tuple[User, dict[DN, str]]] = {}
        for user in users.by_dns(call, dns):
            found[user.dn] = user, dict(self._above[user.dn])
        for user, holder in self._named(call):
            found.setdefault(user.dn, (user, {}))[1].setdefault(holder, MEMBER_UID)
        sids = {sid: dn for dn, members in self._members.items() for sid in members.groups}
        for user in users.by_primary_groups(call, list(sids)):
            group = sids.get(user.primary_group or b"")
            if group is not None:
                found.setdefault(user.dn, (user, {}))[1].setdefault(group, PRIMARY_GROUP_ID)
        return found

    def _named(self, call: Call) -> Iterator[tuple[User, DN]]:
        """Find the users that memberUid names, each with the group or grant."""
        # In lower case, because the directory may spell a name in another way.
        named = {
            holder: {name.lower() for name in members.names}
            for holder, members in self._members.items()
            if members.names
        }
        names = {name for members in self._members.values() for name in members.names}
        users = self._sources.users.by_names(call, names)
        having = _having(users)
        for user in users:
            own = user.login_names
            if any(len(having[name.lower()]) > 1 for name in own):
                own, _ = self._sources.users.own_names(call, user)
            for holder, like in named.items():
                if any(name.lower() in like and self._is_named(call, name, holder) for name in own):
                    yield user, holder

    def _is_named(self, call: Call, name: str, holder: DN) -> bool:
        """Tell whether memberUid has a name; where cases differ, the directory decides."""
        if name in self._members[holder].names:
            return True
        is_member = filters.equal(MEMBER_UID, name)
        return bool(call.read(holder, NO_ATTRIBUTES, is_member)[1])

    def _obstacles(self, call: Call, users: list[User]) -> dict[DN, str]:
        """Say which users the host finds by none of their names, and why."""
        names = {user.name for user in users}
        let_in = _having(self._sources.users.by_names(call, names, logging_in=True))
        return {
            user.dn: obstacle
            for user in users
            if (obstacle := self._obstacle(call, user, let_in.get(user.name.lower(), set())))
        }

    def _obstacle(self, call: Call, user: User, named: set[DN]) -> str:
        if named == {user.dn}:
            return ""
        if user.dn not in named:
            not_within = f"not within users_filter {self._profile.users_filter}"
            return self._sources.users.ended(user) or not_within
        obstacles = []
        for name in user.login_names:
            try:
                found = self._sources.users.by_name(call, name)
            except AmbiguousName as error:
                obstacles.append(str(error))
                continue
            if found is not None and found.dn == user.dn:
                return ""
            obstacles.append(f"the name {name!r} finds another entry")
        return "; ".join(obstacles)

    # --- ways

    def _reaching(self, named_by: dict[DN, str]) -> tuple[Reached, ...]:
        """List what reaches a user; who has the same entries above him has the same."""
        key = frozenset(named_by.items())
        known = self._reached.get(key)
        if known is None:
            known = self._reached[key] = tuple(self._rights(named_by))
        return known

    def _rights(self, named_by: dict[DN, str]) -> Iterator[Reached]:
        ways = [
            Way((Link(holder, attribute), *further), self._grants[grant])
            for holder, attribute in named_by.items()
            for grant, each in self._ways_from(holder).items()
            for further in each
        ]
        ways.sort(key=lambda way: (len(way.links), str(way.grant.dn)))
        of_right: dict[tuple[str, Policy], list[Way]] = {}
        for way in ways:
            for image in way.grant.images:
                of_right.setdefault((image, way.grant.policy), []).append(way)
        for (image, policy), having in of_right.items():
            grants = tuple({way.grant.dn: way.grant for way in having}.values())
            yield Reached(image, policy, grants, _shown(having))

    def _ways_from(self, holder: DN) -> dict[DN, list[tuple[Link, ...]]]:
        """List the ways from a group, or from a grant itself, to each grant above it."""
        known = self._upward.get(holder)
        if known is None:
            longest = longest_way(self._profile)
            rest = None if longest is None else longest - 1
            above = self._closure(holder)
            found = {dn: links(above, holder, dn, rest) for dn in above if dn in self._grants}
            known = self._upward[holder] = {dn: ways for dn, ways in found.items() if ways}
        return known

    def _closure(self, holder: DN) -> dict[DN, dict[DN, str]]:
        """Cut out what is above an entry, to any height, with what has which as a member."""
        above: dict[DN, dict[DN, str]] = {}
        frontier = [holder]
        while frontier:
            dn = frontier.pop()
            if dn not in above:
                above[dn] = self._groups_above.get(dn, {})
                frontier += above[dn]
        return above

    # --- nobody

    def dangling(self, call: Call) -> list[Reason]:
        """Name the members that stand for nobody, and say why."""
        reasons: list[Reason] = []
        for dn, holders in self._above.items():
            if dn not in self._users and dn not in self._members:
                holder = next(iter(holders))
                kind, what = "dangling", "no user and no group"
                if len(reasons) < _MOST_LOOKED_AT:
                    kind, what = self._what(call, dn)
                text = f"the member '{dn}' of '{holder}' is {what}"
                reasons.append(Reason(kind, text, str(holder)))
        return reasons

    def _what(self, call: Call, dn: DN) -> tuple[str, str]:
        profile = self._profile
        groups = filters.any_of(profile.groups_filter, profile.notation.carrying(GRANT_CLASS))
        try:
            if call.read(dn, NO_ATTRIBUTES, groups)[1]:
                if not profile.groups.holds(dn):
                    return "outside", "a group that is not below groups_base"
                return "not-nested", "a group in a group, and nested_groups is false"
            is_there = bool(call.read(dn, NO_ATTRIBUTES)[1])
        except NoSuchEntry:
            return "dangling", "no entry"
        # Not every server says that there is none to whom it may not tell.
        none = "no user and no group" if is_there else "no entry that this account can see"
        return "dangling", none


def _having(users: Iterable[User]) -> dict[str, set[DN]]:
    """List the entries that have each login name, in lower case."""
    having: dict[str, set[DN]] = {}
    for user in users:
        for name in user.login_names:
            having.setdefault(name.lower(), set()).add(user.dn)
    return having


def _shown(ways: list[Way]) -> tuple[Way, ...]:
    """Leave out the longest of many ways, and of no grant the shortest."""
    first = {way.grant.dn: way for way in reversed(ways)}
    if len(ways) <= MOST_WAYS:
        return tuple(ways)
    room = MOST_WAYS - len(first)
    shown = []
    for way in ways:
        if first[way.grant.dn] is way:
            shown.append(way)
        elif room > 0:
            shown.append(way)
            room -= 1
    return tuple(shown)


def _order(holder: Holder) -> tuple[str, ...]:
    return tuple(map(str, holder.policy.key))

"""Who may start an image: from its grants down to the users, through groups."""

from __future__ import annotations

from collections.abc import Iterable

from ldapdb import filters
from ldapdb.connection import Call
from ldapdb.dn import DN
from ldapdb.entries import GRANT_CLASS, MEMBER_UID, PRIMARY_GROUP_ID
from ldapdb.errors import AmbiguousName, NoSuchEntry
from ldapdb.model import Grant, Policy, User
from ldapdb.searching import NO_ATTRIBUTES
from ldapdb.store.explaining import Holder, Link, Reason, Way, Who
from ldapdb.store.memberships import Members
from ldapdb.store.reading import require_base
from ldapdb.store.sources import Sources, servers_of
from ldapdb.store.ways import MOST_WAYS, links, longest_way
from ldapdb.store.why import in_time, not_registered, unreadable

__all__ = ["Holders"]


class Holders:
    """Finds everybody whom the grants of an image reach.

    Parameters
    ----------
    sources : Sources
        What is read.
    image : str
        Which.
    """

    def __init__(self, sources: Sources, image: str) -> None:
        self._sources = sources
        self._profile = sources.profile
        self._image = image
        # Of each group or grant, what it has as members; and of each group, what has it.
        self._members: dict[DN, Members] = {}
        self._above: dict[DN, dict[DN, str]] = {}
        # Without what is no group: a grant elsewhere hands nothing on.
        self._groups_above: dict[DN, dict[DN, str]] = {}
        self._ways_up: dict[tuple[DN, DN], list[tuple[Link, ...]]] = {}
        self._attribute = " or ".join(self._profile.member_attributes)

    def find(self, call: Call, now: float) -> Who:
        """Find them, by name and policy; `now` in seconds since the epoch."""
        sources = self._sources
        for base in (self._profile.groups, self._profile.grants):
            require_base(call, base)  # one search from above both does not tell that one is gone
        application = sources.applications.by_images(call, [self._image]).get(self._image)
        entries = sources.grants.of_image(call, self._image)
        grants = [each for each in sources.grants.readable(entries) if self._image in each.images]
        reasons = [not_registered(sources, call, self._image)] if application is None else []
        reasons += unreadable(sources, entries, self._image)
        reasons += in_time(grants, now)
        self._walk_down(call, [grant.dn for grant in grants])
        users = self._users(call)
        obstacles = self._obstacles(call, [user for user, _ in users.values()])
        holders = []
        for user, named_by in users.values():
            ways = self._ways(named_by, grants)
            for policy in dict.fromkeys(way.grant.policy for way in ways):
                obstacle = obstacles.get(user.dn, "")
                may = application is not None and not obstacle
                holders.append(_holder(user, policy, ways, now, may=may, obstacle=obstacle))
        holders.sort(key=lambda each: (each.user.name.lower(), str(each.user.dn), *_order(each)))
        reasons += self._dangling(call, {user.dn for user, _ in users.values()})
        servers = servers_of(call)
        return Who(
            self._image,
            application,
            tuple(holders),
            tuple(reasons),
            servers,
            now,
            sources.stated_in,
        )

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
            below = [dn for dn in named if dn.is_under(self._profile.groups.dn)]
            frontier = below if goes_on else []
        self._groups_above = {
            dn: holders
            for dn, holders in self._above.items()
            if dn.is_under(self._profile.groups.dn)
        }

    # --- users

    def _users(self, call: Call) -> dict[DN, tuple[User, dict[DN, str]]]:
        """Find the users among all members, and for each what names him, and how."""
        users = self._sources.users
        dns = {dn for members in self._members.values() for dn in members.dns}
        found: dict[DN, tuple[User, dict[DN, str]]] = {}
        for user in users.by_dns(call, dns):
            found[user.dn] = user, dict(self._above[user.dn])
        # Whose names may be a user's, written in another way.
        named = {
            holder: {name.lower() for name in members.names}
            for holder, members in self._members.items()
            if members.names
        }
        names = {name for members in self._members.values() for name in members.names}
        for user in users.by_names(call, names):
            for holder, like in named.items():
                if user.name.lower() in like and self._is_named(call, user, holder):
                    found.setdefault(user.dn, (user, {}))[1].setdefault(holder, MEMBER_UID)
        sids = {sid: dn for dn, members in self._members.items() for sid in members.groups}
        for user in users.by_primary_groups(call, list(sids)):
            group = sids.get(user.primary_group or b"")
            if group is not None:
                found.setdefault(user.dn, (user, {}))[1].setdefault(group, PRIMARY_GROUP_ID)
        return found

    def _is_named(self, call: Call, user: User, holder: DN) -> bool:
        """Tell whether memberUid names a user; where cases differ, the directory decides."""
        if user.name in self._members[holder].names:
            return True
        is_member = filters.equal(MEMBER_UID, user.name)
        return bool(call.read(holder, NO_ATTRIBUTES, is_member)[1])

    def _obstacles(self, call: Call, users: list[User]) -> dict[DN, str]:
        """Say whom the host does not find by his name, and why."""
        within = self._sources.users.by_names(call, {user.name for user in users}, logging_in=True)
        let_in: dict[str, set[DN]] = {}
        for user in within:
            let_in.setdefault(user.name.lower(), set()).add(user.dn)
        return {
            user.dn: obstacle
            for user in users
            if (obstacle := self._obstacle(call, user, let_in.get(user.name.lower(), set())))
        }

    def _obstacle(self, call: Call, user: User, named: set[DN]) -> str:
        if named == {user.dn}:
            return ""
        if user.dn not in named:
            return f"not within users_filter {self._profile.users_filter}"
        try:
            first = self._sources.users.by_name(call, user.name)
        except AmbiguousName as error:
            return str(error)
        if first is None or first.dn != user.dn:
            return f"the name {user.name!r} finds another entry"
        return ""

    # --- ways

    def _ways(self, named_by: dict[DN, str], grants: Iterable[Grant]) -> list[Way]:
        """List the ways from a user to the grants, the shortest first."""
        found = []
        for holder, attribute in named_by.items():
            first = Link(holder, attribute)
            for grant in grants:
                for following in self._further(holder, grant.dn):
                    found.append(Way((first, *following), grant))  # noqa: PERF401 -- three loops deep
        return sorted(found, key=lambda way: (len(way.links), str(way.grant.dn)))[:MOST_WAYS]

    def _further(self, group: DN, grant: DN) -> list[tuple[Link, ...]]:
        """List the ways from a group, or from the grant itself, to a grant."""
        known = self._ways_up.get((group, grant))
        if known is None:
            longest = longest_way(self._profile)
            rest = None if longest is None else longest - 1
            known = self._ways_up[group, grant] = links(self._groups_above, group, grant, rest)
        return known

    # --- nobody

    def _dangling(self, call: Call, users: set[DN]) -> list[Reason]:
        """Name the members that stand for nobody, and say why."""
        reasons = []
        for dn, holders in self._above.items():
            if dn not in users and dn not in self._members:
                holder = next(iter(holders))
                kind, what = self._what(call, dn)
                text = f"the member '{dn}' of '{holder}' is {what}"
                reasons.append(Reason(kind, text, str(holder)))
        return reasons

    def _what(self, call: Call, dn: DN) -> tuple[str, str]:
        profile = self._profile
        groups = filters.any_of(profile.groups_filter, profile.notation.carrying(GRANT_CLASS))
        try:
            if call.read(dn, NO_ATTRIBUTES, groups)[1]:
                if not dn.is_under(profile.groups.dn):
                    return "outside", "a group that is not below groups_base"
                return "not-nested", "a group in a group, and nested_groups is false"
            is_there = bool(call.read(dn, NO_ATTRIBUTES)[1])
        except NoSuchEntry:
            return "dangling", "no entry"
        # Not every server says that there is none to whom it may not tell.
        none = "no user and no group" if is_there else "no entry that this account can see"
        return "dangling", none


def _holder(
    user: User, policy: Policy, ways: Iterable[Way], now: float, *, may: bool, obstacle: str
) -> Holder:
    of_policy = tuple(way for way in ways if way.grant.policy == policy)
    holds = may and any(way.grant.window.contains(now) for way in of_policy)
    return Holder(user, policy, holds, of_policy, obstacle)


def _order(holder: Holder) -> tuple[str, ...]:
    return tuple(map(str, holder.policy.key))

"""Which ways lead from a user to a grant: through groups, the shortest way first."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import PRIMARY_GROUP_ID, is_grant, read_dn
from ldapdb.model import Grant, User
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.store.explaining import Link, Way
from ldapdb.store.memberships import Memberships
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned, batches

__all__ = ["MOST_WAYS", "Graph", "links", "longest_way", "walk"]

# Groups in groups can be put together in more ways than anybody can read.
MOST_WAYS = 100
# A user in a group that has the grant: that is all without nested_groups.
_FLAT = 2


@dataclass
class Graph:
    """What has whom as a member.

    Parameters
    ----------
    holders : dict
        Of each member, the entries that have it, and by which attribute.
    grants : dict of DN to Entry
        Entries that carry a grant, readable or not.
    groups : set of DN
        The groups among the entries.
    """

    holders: dict[DN, dict[DN, str]] = field(default_factory=dict)
    grants: dict[DN, Entry] = field(default_factory=dict)
    groups: set[DN] = field(default_factory=set)

    def ways(
        self, start: DN, grants: Iterable[Grant], longest: Optional[int] = None
    ) -> tuple[Way, ...]:
        """List the ways from a member to some grants, the shortest first."""
        found = [
            Way(each, grant)
            for grant in grants
            for each in links(self.holders, start, grant.dn, longest)
        ]
        return tuple(sorted(found, key=lambda way: len(way.links))[:MOST_WAYS])


def longest_way(profile: Profile) -> Optional[int]:
    """Return how many entries there may be between a user and what he has; None for any."""
    return None if profile.nested_groups else _FLAT


def walk(
    call: Call, profile: Profile, memberships: Memberships, warned: Warned, user: User
) -> Graph:
    """Walk up from a user, one entry at a time, to see what has which as a member.

    It comes to what :meth:`Memberships.reaching` finds, which asks for a level of groups at
    once and so does not learn that. The searches of a level go out together.
    """
    graph = Graph()
    frontier: dict[DN, Sequence[tuple[str, str]]] = {user.dn: memberships.of(call, user)}
    depth = 0
    while frontier:
        depth += 1
        goes_on = profile.nested_groups or depth == 1
        found = [
            (member, attribute, entry)
            for batch in batches(frontier.items())
            for member, attribute, entry in _naming(call, memberships, batch)
        ]
        if depth == 1:
            primary = memberships.primary_group(call, user)
            found += [(user.dn, PRIMARY_GROUP_ID, entry) for entry in primary]
        new: list[DN] = []
        for member, attribute, entry in found:
            for dn in warned.readable([entry], read_dn):
                carries = is_grant(entry)
                is_group = goes_on and profile.groups.holds(dn) and dn != user.dn
                if carries:
                    graph.grants[dn] = entry
                if is_group and dn not in graph.groups:
                    graph.groups.add(dn)
                    new.append(dn)
                if carries or is_group:
                    graph.holders.setdefault(member, {}).setdefault(dn, attribute)
        frontier = {
            dn: [(attribute, str(dn)) for attribute in profile.member_attributes] for dn in new
        }
    return graph


def _naming(
    call: Call,
    memberships: Memberships,
    members: Iterable[tuple[DN, Sequence[tuple[str, str]]]],
) -> list[tuple[DN, str, Entry]]:
    each = [(member, *pair) for member, pairs in members for pair in pairs]
    ahead = [search for _, *pair in each for search in memberships.asking(*pair)]
    if ahead:
        call.ask_ahead(ahead)
    return [
        (member, attribute, entry)
        for member, attribute, value in each
        for entry in memberships.naming(call, attribute, value)
    ]


def links(
    holders: Mapping[DN, Mapping[DN, str]], start: DN, goal: DN, longest: Optional[int] = None
) -> list[tuple[Link, ...]]:
    """List the ways from a member to an entry, the shortest first, none through one entry twice.

    Parameters
    ----------
    holders : mapping
        As :class:`Graph` has them.
    longest : int, optional
        How many links a way may have.

    Returns
    -------
    list of tuple of Link
        `MOST_WAYS` at the most.
    """
    distance = _distances(holders, goal)
    if start not in distance:
        return []
    found: list[tuple[Link, ...]] = []
    order = itertools.count()
    # What is nearest to its end is gone on with first, so that few ways are open at a time.
    heap: list[tuple[int, int, int, tuple[Link, ...]]] = [(distance[start], 0, next(order), ())]
    while heap and len(found) < MOST_WAYS:
        _, _, _, way = heapq.heappop(heap)
        end = way[-1].dn if way else start
        if end == goal:
            found.append(way)
            continue
        been = {start, *(link.dn for link in way)}
        for dn, attribute in holders.get(end, {}).items():
            length = len(way) + 1 + distance.get(dn, 0)
            if dn in distance and dn not in been and (longest is None or length <= longest):
                heapq.heappush(heap, (length, -len(way), next(order), (*way, Link(dn, attribute))))
    return found


def _distances(holders: Mapping[DN, Mapping[DN, str]], goal: DN) -> dict[DN, int]:
    """Tell of each member how far the entry is."""
    members: dict[DN, list[DN]] = {}
    for member, having in holders.items():
        for dn in having:
            members.setdefault(dn, []).append(member)
    distance, frontier = {goal: 0}, [goal]
    while frontier:
        following = []
        for dn in frontier:
            for member in members.get(dn, ()):
                if member not in distance:
                    distance[member] = distance[dn] + 1
                    following.append(member)
        frontier = following
    return distance

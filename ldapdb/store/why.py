"""Why a user may start an image, or what is missing.

The verdict is the accountant's, as the host gets it. What is read besides says how it comes
about. A :class:`~ldapdb.store.explaining.Reason` is of one of these kinds:

no-user
    Nobody has the name where users are.
not-a-user
    Somebody has it, and users_filter leaves him out.
locked
    The user's account is locked, disabled, has expired or has not begun.
not-registered
    No application has the image.
expired, not-begun
    A grant reaches him, at another time.
unreadable
    An entry that concerns him cannot be read, and so gives nothing.
not-nested
    He would have it if nested_groups were true.
outside
    He would have it if groups_base were the whole directory.
not-a-member
    A grant of the image does not reach him.
no-grant
    There is no grant of the image, or none reaches him.
dangling
    A member of a grant, or of a group in it, is nobody.
unseen
    A grant reaches him in a way that the account does not see.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Optional

from ldapdb.client import EVERYTHING, Call
from ldapdb.entries import IMAGE, is_grant, read_dn
from ldapdb.errors import AmbiguousName, LDAPDBError
from ldapdb.model import Entitlement, Entitlements, Grant, User
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.store.explaining import Explanation, Reason, Right, Way
from ldapdb.store.memberships import Memberships
from ldapdb.store.profile import Base, Profile
from ldapdb.store.reading import require_base
from ldapdb.store.sources import Sources, is_readable, servers_of
from ldapdb.store.users import Users
from ldapdb.store.ways import MOST_WAYS, Graph, longest_way, walk
from ldapdb.syntaxes import said_time

__all__ = ["Explainer", "in_time", "not_registered", "unreadable"]

# Grants, and groups of one, that an explanation names.
_MOST = 20


class Explainer:
    """Explains what one user may start.

    Parameters
    ----------
    sources : Sources
        What is read.
    image : str, optional
        The image that is asked about; None for all.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(self, sources: Sources, image: Optional[str], clock: Callable[[], float]) -> None:
        self._sources = sources
        self._profile = sources.profile
        self._image = image
        self._clock = clock

    # --- nobody

    def explain_absence(self, call: Call, name: str) -> Explanation:
        """Say why there is no user of a name."""
        reasons = list(self._absence(call, name))
        at = self._clock()
        servers, stated_in = servers_of(call), self._sources.stated_in
        return Explanation(name, self._image, None, (), tuple(reasons), (), servers, at, stated_in)

    def _absence(self, call: Call, name: str) -> Iterator[Reason]:
        found = [
            Reason("unreadable", f"'{dn}' has the name and is no user: {reason}", dn)
            for dn, reason in self._sources.noted.take()
        ]
        if found:
            yield from found
            return
        anybody = replace(self._profile, users_filter=EVERYTHING)
        try:
            user = Users(anybody, self._sources.noted, None).by_name(call, name)
        except AmbiguousName as error:
            yield Reason("not-a-user", f"of nobody within users_filter: {error}")
            return
        if user is None:
            places = " or ".join(f"'{base.dn}'" for base in self._profile.users)
            attributes = " or ".join(self._profile.user_name_attributes)
            text = f"nobody has the {attributes} {name!r} below {places}"
            yield Reason("no-user", text)
        else:
            text = f"'{user.dn}' is not within users_filter {self._profile.users_filter}"
            yield Reason("not-a-user", text, str(user.dn))

    # --- somebody

    def explain(self, call: Call, name: str, user: User, *, is_current: bool = True) -> Explanation:
        """Say what a user may start, and why; or what a locked or expired one might."""
        entitlements = [
            each
            for each in self._sources.accountant.entitlements(call, user)
            if self._image in (None, each.accounting.application.image)
        ]
        now = self._clock()
        self._sources.noted.take()  # the graph is read from the same entries
        graph = walk(call, self._profile, self._sources.memberships, self._sources.noted, user)
        told = {each.id for each in Entitlements(entitlements).at(now) if is_current}
        longest = longest_way(self._profile)
        rights = tuple(
            Right(
                each.accounting,
                each.accounting.id in told,
                graph.ways(user.dn, each.grants, longest),
            )
            for each in entitlements
        )
        reasons = [] if is_current else [self._ended(user)]
        reasons += self._unseen(rights, entitlements)
        if self._image is None or not told:
            reasons += self._lacks(call, user, graph, entitlements, told, now)
        groups = tuple(sorted(graph.groups, key=str))
        servers = servers_of(call)
        stated_in = self._sources.stated_in
        return Explanation(
            name, self._image, user, rights, tuple(reasons), groups, servers, now, stated_in
        )

    def _ended(self, user: User) -> Reason:
        return Reason("locked", self._sources.users.no_rights(user), str(user.dn))

    def _unseen(
        self, rights: Iterable[Right], entitlements: Iterable[Entitlement]
    ) -> Iterator[Reason]:
        for right, entitlement in zip(rights, entitlements):
            seen = {way.grant.dn for way in right.ways}
            for grant in entitlement.grants if len(right.ways) < MOST_WAYS else ():
                if grant.dn not in seen:
                    text = (
                        f"'{grant.dn}' reaches this user through groups that this account does not "
                        "see, or that have changed meanwhile"
                    )
                    yield Reason("unseen", text, str(grant.dn))

    def _lacks(
        self,
        call: Call,
        user: User,
        graph: Graph,
        entitlements: list[Entitlement],
        told: set[str],
        now: float,
    ) -> list[Reason]:
        """List what reaches him and gives him nothing; if nothing does, what does not."""
        if not told:
            # Groups and grants are searched from above both, which does not tell that one is gone.
            for base in (self._profile.groups, self._profile.grants):
                require_base(call, base)
        grants = self._sources.grants.readable(graph.grants.values())
        concerning = [each for each in grants if self._image in (None, *each.images)]
        images = {image for grant in concerning for image in grant.images}
        asked = {self._image} if self._image is not None else images
        registered = self._sources.applications.by_images(call, asked)
        reasons = [
            not_registered(self._sources, call, image) for image in sorted(asked - set(registered))
        ]
        for each in entitlements:
            if each.accounting.id not in told:
                reasons += in_time(each.grants, now)
        reasons += unreadable(self._sources, graph.grants.values(), self._image)
        if self._image is not None:
            reasons += self._otherwise(call, user, self._image, graph, now)
            if not concerning:
                reasons += self._without_grant(call, user, self._image, graph)
        if not reasons and not entitlements:
            reasons.append(self._nothing(call))
        return reasons

    # --- no grant

    def _without_grant(self, call: Call, user: User, image: str, graph: Graph) -> list[Reason]:
        """Say which grants of an image there are, and that he is not in them."""
        entries = self._sources.grants.of_image(call, image)
        dns = [
            dn for dn in self._sources.noted.readable(entries, read_dn) if dn not in graph.grants
        ]
        reasons = [self._not_a_member(call, user, dn) for dn in dns[:_MOST]]
        if len(dns) > _MOST:
            text = f"nor is this user in further grants of the image: {len(dns) - _MOST}"
            reasons.append(Reason("not-a-member", text))
        return reasons

    def _not_a_member(self, call: Call, user: User, dn: DN) -> Reason:
        memberships = self._sources.memberships
        members = memberships.members_of_each(call, [dn]).get(dn)
        dns = members.dns if members else set()
        groups = sorted(map(str, memberships.groups_among(call, dns)))
        named = ", ".join(f"'{group}'" for group in groups[:_MOST])
        more = f" and {len(groups) - _MOST} more" if len(groups) > _MOST else ""
        text = (
            f"'{dn}' grants it to the {'groups' if len(groups) > 1 else 'group'} {named}{more}, "
            f"and {user.name!r} is in none of them"
            if groups
            else f"'{dn}' grants it, and {user.name!r} is not a member"
        )
        return Reason("not-a-member", text, str(dn))

    def _otherwise(
        self, call: Call, user: User, image: str, graph: Graph, now: float
    ) -> Iterator[Reason]:
        """Try what other settings would give him."""
        nested = replace(self._profile, nested_groups=True, in_chain_rule=None)
        if not self._profile.nested_groups:
            for way in self._by(call, nested, user, image, graph, now):
                text = (
                    "nested_groups is false, and this user is in "
                    f"'{way.grant.dn}' by way of {_via(way)}"
                )
                yield Reason("not-nested", text, str(way.grant.dn))
                return
        context = self._context(call)
        if context is not None and context != self._profile.groups.dn:
            everywhere = replace(nested, groups=Base(context, "groups_base"))
            with suppress(LDAPDBError):  # what the settings do not ask for may be forbidden
                for way in self._by(call, everywhere, user, image, graph, now):
                    text = (
                        f"this user is in '{way.grant.dn}' by way of {_via(way)}, and not all of "
                        f"these groups are below groups_base '{self._profile.groups.dn}'"
                    )
                    yield Reason("outside", text, str(way.grant.dn))
                    return

    def _by(
        self, call: Call, profile: Profile, user: User, image: str, graph: Graph, now: float
    ) -> tuple[Way, ...]:
        """List the ways to further grants that there would be by another profile."""
        memberships = Memberships(
            profile, self._sources.users, self._sources.grants, self._sources.noted
        )
        other = walk(call, profile, memberships, self._sources.noted, user)
        further = [entry for dn, entry in other.grants.items() if dn not in graph.grants]
        holding = [
            each
            for each in self._sources.grants.readable(further)
            if image in each.images and each.window.contains(now)
        ]
        return other.ways(user.dn, holding)

    def _context(self, call: Call) -> Optional[DN]:
        """Return the naming context of groups_base."""
        holding = [
            each
            for each in call.root_dse().naming_contexts
            if self._profile.groups.dn.is_under(each)
        ]
        return max(holding, key=lambda each: len(each.rdns), default=None)

    def _nothing(self, call: Call) -> Reason:
        """Say that there is no grant, and whether any is to be seen at all."""
        base, what = self._profile.grants, "grant" if self._image is None else "grant of it"
        reaching = (
            "reaches this user, directly or by a group" if self._image is None else "is there"
        )
        text = f"no {what} {reaching}, below '{base.dn}' (grants_base)"
        if not self._sources.grants.all(call):
            text += "; this account sees no grant at all there: if there are any, let it read them"
        return Reason("no-grant", text, str(base.dn))


# --- reasons that hold for whoever asks


def not_registered(sources: Sources, call: Call, image: str) -> Reason:
    """Say that an image is registered nowhere, and which one may be meant."""
    base = sources.profile.applications
    text = f"the image {image!r} is not registered below '{base.dn}' (applications_base)"
    known = [application.image for application in sources.applications.all(call)]
    near = {each.lower(): each for each in known}
    for like in difflib.get_close_matches(image.lower(), near, 1, 0.8):
        text += f"; there is {near[like]!r}"
    return Reason("not-registered", text)


def in_time(grants: Iterable[Grant], now: float) -> list[Reason]:
    """Say of grants that do not hold now whether they have expired or have not begun."""
    reasons = []
    for grant in grants:
        window = grant.window
        if window.is_over(now) and window.not_after is not None:
            text = f"'{grant.dn}' has expired, on {said_time(window.not_after)}"
            reasons.append(Reason("expired", text, str(grant.dn)))
        elif window.is_before(now) and window.not_before is not None:
            text = f"'{grant.dn}' has not begun; it does on {said_time(window.not_before)}"
            reasons.append(Reason("not-begun", text, str(grant.dn)))
    return reasons


def unreadable(sources: Sources, entries: Iterable[Entry], image: Optional[str]) -> list[Reason]:
    """Say which entries were left out and why, as far as they may be about an image.

    Parameters
    ----------
    entries : iterable of Entry
        Those that say that they grant something.
    """
    by_name = {entry.dn: entry for entry in entries}
    return [
        Reason("unreadable", f"'{dn}' gives nothing: {reason}", dn)
        for dn, reason in sources.noted.take()
        if _may_be_about(by_name.get(dn), image)
    ]


def _may_be_about(entry: Optional[Entry], image: Optional[str]) -> bool:
    if image is None or entry is None or not is_grant(entry):
        return True
    if is_readable(entry):
        return False
    images = entry.raw(IMAGE)
    return image.encode() in images or not images


def _via(way: Way) -> str:
    return " and ".join(f"'{link.dn}'" for link in way.links[:-1]) or "no group"

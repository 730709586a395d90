"""Taking a grant from a user: whole, or with the reason why not."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import MEMBER, MEMBER_UID, is_grant, read_dn
from ldapdb.errors import HeldThroughGroup, InvalidValue, LDAPDBError, NoSuchEntry, NoSuchValue
from ldapdb.model import Grant, Policy, User, policy_half, user_half
from ldapdb.protocol.dn import DN
from ldapdb.store.grants import Grants
from ldapdb.store.memberships import Members, Memberships
from ldapdb.store.outcomes import Left
from ldapdb.store.profile import Profile
from ldapdb.store.users import Users

__all__ = ["Revoking"]

log = logging.getLogger(__name__)

# How often a revocation that other people's renames get in the way of is begun again.
_ATTEMPTS = 5


class Revoking:
    """Revokes by policy, by image, and by mapping id.

    Parameters
    ----------
    profile : Profile
        By which attributes grants name members.
    users : Users
        Finds the user of a mapping id.
    grants : Grants
        Finds and changes the grants.
    memberships : Memberships
        Finds what reaches a user, and whom a grant reaches.
    """

    def __init__(
        self, profile: Profile, users: Users, grants: Grants, memberships: Memberships
    ) -> None:
        self._profile = profile
        self._users = users
        self._grants = grants
        self._memberships = memberships

    def policies(self, call: Call, image: str, user: User) -> list[Policy]:
        """List the policies under which grants of an image name the user directly."""
        direct = self._grants.naming(call, image, self._memberships.of(call, user))
        return list(dict.fromkeys(grant.policy for grant, _, _ in direct))

    def memberships_of_group(self, group: DN) -> list[tuple[str, str]]:
        """List the attributes, and the values in them, by which grants name a group."""
        return [(attribute, str(group)) for attribute in self._profile.member_attributes]

    def policies_of_group(self, call: Call, image: str, group: DN) -> list[Policy]:
        """List the policies under which grants of an image name a group."""
        direct = self._grants.naming(call, image, self.memberships_of_group(group))
        return list(dict.fromkeys(grant.policy for grant, _, _ in direct))

    def refuse_group_in_group(
        self, call: Call, image: str, group: DN, policy: Optional[Policy], now: float
    ) -> None:
        """Raise if a group has an image because it is in another one; see `refuse_through_group`.

        Raises
        ------
        HeldThroughGroup
            Naming the other group and the grant.
        """
        for dn, grant in self._granted_above(call, group) if self._profile.nested_groups else ():
            if (
                dn != group
                and image in grant.images
                and policy in (None, grant.policy)
                and not grant.window.is_over(now)
            ):
                raise HeldThroughGroup(
                    f"the group '{group}' has {image!r} through the group '{dn}', which is "
                    f"a member of the grant '{grant.dn}'; nothing was revoked: take the "
                    "one group out of the other, or that out of the grant",
                    dn=str(dn),
                )

    def _granted_above(self, call: Call, group: DN) -> Iterator[tuple[DN, Grant]]:
        """Find what grants name a group, and the groups that it is in, each with that group."""
        seen = frontier = {group}
        while frontier:
            above: set[DN] = set()
            for dn in frontier:
                for grant in self._named_in(call, dn, above):
                    yield dn, grant
            frontier = above - seen if self._profile.nested_groups else set()
            seen = seen | frontier

    def _named_in(self, call: Call, dn: DN, groups: set[DN]) -> list[Grant]:
        """Find the grants that name a group; add the groups that do to `groups`."""
        grants = []
        for attribute, value in self.memberships_of_group(dn):
            for entry in self._memberships.naming(call, attribute, value):
                grants += self._grants.readable([entry]) if is_grant(entry) else []
                with suppress(InvalidValue):  # a name that cannot be read is no member of others
                    name = read_dn(entry)
                    groups.update([name] if self._profile.groups.holds(name) else [])
        return grants

    def revoke_group(self, call: Call, image: str, group: DN, policy: Policy) -> tuple[Left, ...]:
        """Take an image under a policy from a group; its members, and all others, stay.

        Returns
        -------
        tuple of Left
            As :meth:`revoke`.
        """
        left: dict[DN, Left] = {}
        for _ in range(_ATTEMPTS):
            direct = self._grants.naming(call, image, self.memberships_of_group(group))
            direct = [each for each in direct if each[0].policy == policy]
            gone = self._leave(call, image, group, direct, left)
            if not gone:
                return tuple(left.values())
        raise gone[-1]

    def revoke(
        self, call: Call, image: str, user: User, policy: Policy, now: float
    ) -> tuple[Left, ...]:
        """Take an image under a policy from a user; what he does not have is no error.

        Parameters
        ----------
        now : float
            Seconds since the epoch: what a group held that is over by now does not count.

        Returns
        -------
        tuple of Left
            The entries of somebody else that he was taken out of, with what else they give.

        Raises
        ------
        HeldThroughGroup
            If he has it through a group only. Nothing is changed then.
        LDAPDBError
            If others grant it as often as it is taken back here.
        """
        left: dict[DN, Left] = {}
        for _ in range(_ATTEMPTS):
            if self._take_out(call, image, user, policy, left):
                break
            if not self.refuse_through_group(call, image, user, policy, now):
                break
        else:
            raise LDAPDBError(
                f"the grants of {image!r} to '{user.dn}' were changed by others whenever they were "
                "looked at; revoke it again",
                dn=str(user.dn),
            )
        return tuple(left.values())

    def _take_out(
        self, call: Call, image: str, user: User, policy: Policy, left: dict[DN, Left]
    ) -> bool:
        """Take a user out of the grants that name him; False if there is none.

        A grant that is gone while it is changed may have been renamed, and so may the user,
        whose new name Active Directory writes into the grants itself. Another grant may have
        got its name. So both are looked for again, and only a search that finds nothing says
        that he is out.
        """
        held: Optional[User] = user
        for attempt in range(_ATTEMPTS):
            naming = self._memberships.of(call, held) if held is not None else []
            direct = self._grants.naming(call, image, naming)
            direct = [each for each in direct if each[0].policy == policy]
            if held is None or not direct:
                return attempt > 0
            gone = self._leave(call, image, held.dn, direct, left)
            if not gone:
                return True
            held = self._users.current(call, held)
        raise gone[-1]

    def _leave(
        self,
        call: Call,
        image: str,
        member: DN,
        direct: Sequence[tuple[Grant, str, str]],
        left: dict[DN, Left],
    ) -> list[LDAPDBError]:
        """Take a member out of grants that name it; return the errors by which some are gone.

        What it is taken out of that somebody else made is added to `left`.

        Where somebody else took the member out first, what was granted here for it to keep is
        taken back: it may just have been revoked, by the one who did that. Not if that one has
        left nothing of the image: then it was the image that was revoked, as here.
        """
        gone: list[LDAPDBError] = []
        for grant, attribute, value in direct:
            # Before: whatever fails here, nothing has been taken from him unsaid.
            besides = [] if self._grants.is_ours(grant) else [self._besides(call, grant.dn)]
            # What else the entry grants the member keeps, through entries of their own.
            kept = [
                self._grants.add_member(call, other, grant.policy, grant.window, member)
                for other in grant.images
                if other != image
            ]
            try:
                self._grants.remove_member(call, grant.dn, attribute, value)
            except (NoSuchEntry, NoSuchValue) as error:
                gone.append(error)
                # It may have been done here, and the answer lost.
                if not error.answer_lost and self._grants_directly(call, image, grant, member):
                    self._take_back(call, filter(None, kept), member)
            else:
                left.update({each.dn: each for each in besides})
        return gone

    def _grants_directly(self, call: Call, image: str, like: Grant, member: DN) -> bool:
        """Tell whether a grant names a member and says what another one does of an image."""
        found = self._grants.naming(call, image, [(MEMBER, str(member))])
        return any((each.policy, each.window) == (like.policy, like.window) for each, _, _ in found)

    def _take_back(self, call: Call, grants: Iterable[DN], member: DN) -> None:
        for dn in grants:
            with suppress(NoSuchEntry, NoSuchValue):
                self._grants.remove_member(call, dn, MEMBER, str(member))
            log.warning(
                "'%s' was taken out of '%s' again, because somebody else revoked one of its images "
                "at the same time; see that it has what it should",
                member,
                dn,
            )

    def _besides(self, call: Call, group: DN) -> Left:
        """Find what else a group gives its members that ldapdb knows of."""
        if not self._profile.groups.holds(group):
            return Left(group)  # what it is a member of reaches none of its own
        grants = {grant.dn: None for _, grant in self._granted_above(call, group)}
        return Left(group, tuple(grants))

    def refuse_through_group(
        self, call: Call, image: str, user: User, policy: Optional[Policy], now: float
    ) -> bool:
        """Raise if the user has an image through a group; any policy counts if it is None.

        A grant that reaches the user may name the user at one moment and not at the next, when
        somebody else revokes it, or may be gone. That is no group: everything is read again.

        Returns
        -------
        bool
            Whether a grant names the user directly, which is so only since it was looked for.

        Raises
        ------
        HeldThroughGroup
            Naming the group and the grant.
        LDAPDBError
            If others change the grant each time.
        """
        for _ in range(_ATTEMPTS):
            reach = self._memberships.reaching(call, user)
            held = [
                grant
                for grant in reach.grants
                if image in grant.images
                and policy in (None, grant.policy)
                and not grant.window.is_over(now)
            ]
            if not held:
                return False
            grant = held[0].dn
            members = self._memberships.members(call, [grant])
            own = {
                value
                for attribute, value in self._memberships.of(call, user)
                if attribute == MEMBER_UID
            }
            if user.dn in members.dns or own & members.names:
                return True
            through = sorted(map(str, members.dns & reach.groups))
            if through or self._memberships.is_through_group(call, grant, user, reach.groups):
                raise _held_through(image, user, grant, through)
        raise LDAPDBError(
            f"the grant '{grant}' was changed by others whenever it was looked at; nothing was "
            f"revoked from {user.name!r}: try again",
            dn=str(grant),
        )

    def by_id(self, call: Call, identifier: str) -> list[tuple[str, User, Policy]]:
        """Find what a mapping id stands for, by reading the grants and their members.

        Parameters
        ----------
        identifier : str
            Its first half names image and policy, its last the user.

        Returns
        -------
        list of (str, User, Policy)
            Image, user and policy; empty for an unknown id.

        Raises
        ------
        AmbiguousName
            If other entries have the user's id as well.
        """
        half = len(identifier) // 2
        first, last = identifier[:half], identifier[half:]
        found = []
        for (image, policy), grants in self._grants_of_half(call, first).items():
            holder = self._holder(call, grants, last)
            if holder is not None:
                found.append((image, holder, policy))
        return found

    def _grants_of_half(self, call: Call, half: str) -> dict[tuple[str, Policy], list[Grant]]:
        found: dict[tuple[str, Policy], list[Grant]] = {}
        for grant in self._grants.all(call):
            for image in grant.images:
                if policy_half(image, grant.policy) == half:
                    found.setdefault((image, grant.policy), []).append(grant)
        return found

    def _holder(self, call: Call, grants: list[Grant], half: str) -> Optional[User]:
        """Find the user of the last half among the members, level by level.

        No other entry may have the id, or this may not be the user whom it was handed out for.
        """
        seen: set[DN] = set()
        frontier = {grant.dn for grant in grants}
        while frontier:
            seen |= frontier
            members = self._memberships.members(call, frontier)
            members.dns -= seen
            frontier = members.dns
            for user in self._users_among(call, members):
                if user_half(user.id) == half:
                    return self._users.by_id(call, user.id, anybody=True)
        return None

    def _users_among(self, call: Call, members: Members) -> Iterator[User]:
        # Last those by number: of Domain Users that is everybody.
        users = self._users.of_any_kind()
        yield from users.by_dns(call, members.dns)
        yield from users.by_names(call, members.names)
        yield from users.by_primary_groups(call, members.groups)


def _held_through(image: str, user: User, grant: DN, through: Sequence[str]) -> HeldThroughGroup:
    groups = " and ".join(f"'{dn}'" for dn in through) or "whose name this account cannot see"
    return HeldThroughGroup(
        f"{user.name!r} has {image!r} through the group {groups}, which is a member of the "
        f"grant '{grant}'; nothing was revoked: take the user out of the group, or the "
        "group out of the grant",
        dn=through[0] if through else str(grant),
    )

"""What administrators change at once: several images, users, groups, times; renames."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Optional, Union

from ldapdb.client import Call
from ldapdb.errors import InvalidValue, NotFound
from ldapdb.model import Grant, Policy, User, Window, mapping_id
from ldapdb.protocol.dn import DN
from ldapdb.store.explaining import Explaining
from ldapdb.store.outcomes import Granted, Left, Renamed, Revoked, carry_out
from ldapdb.wellformed import check_image, check_text

if TYPE_CHECKING:
    from ldapdb.store.groups import Group

__all__ = ["Desk"]

# Between two looks for calls of others that were under way.
_PAUSE_SECONDS = 0.2
_ALWAYS = Window()


class Desk(Explaining):
    """Changes more than the host does; each image and member is a write of its own.

    All that is named is looked for before the first write. Whatever was broken off may be
    repeated: what is so already is no error.
    """

    def grant_several(
        self,
        images: Sequence[str],
        policy: Policy,
        window: Window = _ALWAYS,
        *,
        users: Sequence[str] = (),
        groups: Sequence[str] = (),
    ) -> list[Granted]:
        """Give users and groups some applications under a policy, within a time.

        The last word counts: a member that has the same at other times by entries that were
        made here has it in this window alone from then on. What groups give a user, and entries
        that somebody else made, goes on, and is told.

        Parameters
        ----------
        images : sequence of str
            Which.
        policy, window
            How and when; parts of seconds are left out.
        users, groups : sequence of str
            Names of users; names or DNs of groups.

        Raises
        ------
        InvalidValue, NotFound, AmbiguousName
            For what is malformed, not there or there twice. Nothing is written then.
        SettingsError
            As :meth:`require_licence_allowed`.
        """
        self.require_licence_allowed(policy)
        members = self._named(images, users, groups)
        window = window.whole()  # or no entry would be found to say the same

        def grant(image: str, member: Union[User, Group]) -> Granted:
            replaced, kept = self._grant_member(image, member, policy, window)
            if not isinstance(member, User):
                return Granted(image, member, policy, window, None, replaced, kept=kept)
            identifier = mapping_id(image, policy, member.id)
            own = {grant.dn for grant in kept}
            besides = self._besides(identifier, member, window)
            besides = tuple(grant for grant in besides if grant.dn not in own)
            return Granted(image, member, policy, window, identifier, replaced, besides, kept)

        return carry_out(images, members, grant, "granted")

    def revoke_several(
        self,
        images: Sequence[str],
        policy: Optional[Policy],
        *,
        users: Sequence[str] = (),
        groups: Sequence[str] = (),
    ) -> list[Revoked]:
        """Take applications from users and groups, under a policy or (None) under all.

        Raises
        ------
        InvalidValue, NotFound, AmbiguousName
            As :meth:`grant_several`.
        HeldThroughGroup
            If a user or a group has one through another group only. Nothing is written then.
        """
        members = self._named(images, users, groups, ended=True)
        for image in images:
            for member in members:
                self._refuse_through_group(image, member, policy)

        def revoke(image: str, member: Union[User, Group]) -> Revoked:
            call = self._write_call()
            held = self._policies(call, image, member)
            taken = tuple(each for each in held if policy in (None, each))
            if not taken:
                self._routes.require_known(call, everybody=True)
            left: list[Left] = []
            for each in taken:
                if isinstance(member, User):
                    left += self._revoke(call, image, member, each)
                else:
                    left += self._revoke_group(call, image, member.dn, each)
            others = () if taken else tuple(held)
            return Revoked(image, member, taken, tuple(left), others)

        return carry_out(images, members, revoke, "revoked")

    def rename_application(
        self,
        old: str,
        new: str,
        *,
        settle_seconds: Optional[float] = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> Renamed:
        """Let an application have another image, and its grants follow.

        Whoever has the old image has the new one before he loses the old one. Processes that
        began a call before a step may end it after: so each step is repeated for as long as
        a call may take. Whatever breaks it off, the same call finishes the work.

        Parameters
        ----------
        old, new : str
            The images.
        settle_seconds : float, optional
            For how long each step is repeated; by default `operation_timeout_seconds`.
        pause : callable
            Waits so many seconds.

        Raises
        ------
        InvalidValue, NotFound
            If one is no image reference, both are one, or the time is none; if the old one is
            not registered, or not any more when its turn comes: what was granted for it by then
            is taken back.
        Exists
            If both are registered, or entries grant the new one already, to others. Nothing is
            written then: whoever had the one would be given the other, which nobody can take back.
        SettingsError
            If a grant has a licence that may not be written again. Nothing is written then.
        """
        from ldapdb.store.renaming import Renaming  # noqa: PLC0415 -- the host does not rename

        wait = self.settings.operation_timeout_seconds if settle_seconds is None else settle_seconds
        if not 0 <= wait < math.inf:
            raise InvalidValue(f"{wait} seconds are no time to wait; give a number from 0 on")
        if check_image(old) == check_image(new):
            raise InvalidValue(f"both images are {old!r}; give another one to rename it to")
        call = self._write_call()
        readers = self._for(call)
        work = Renaming(
            readers.profile,
            readers.applications,
            readers.grants,
            readers.memberships,
            self._warned,
            old,
            new,
        )
        readers.grants.require_movable(call, old)
        registered = work.registered(call, self._clock())
        is_rest = new in registered and work.is_begun(call)
        if old not in registered and not is_rest:
            self._routes.require_known(call)
            raise NotFound(
                f"the application {old!r} is not registered{self.like_image(old)}"
                if new not in registered
                else f"the application {old!r} is not registered, and nothing says that {new!r} is "
                f"what it was renamed to; grant {new!r} to those who are to have it"
            )
        changed: set[DN] = set()
        if old in registered:
            changed |= self._repeat(work.grant_both, wait, pause)
            self._repeat(work.register, 0, pause)
        changed |= self._repeat(work.grant_new, wait, pause)
        # Last: by the application's name whoever repeats this sees that there is more to do.
        self._repeat(work.name_anew, 0, pause)
        return Renamed(old, new, tuple(sorted(changed, key=str)))

    def require_licence_allowed(self, policy: Policy) -> None:
        """See that the licence of a policy, if it has one, may be written to this directory.

        Raises
        ------
        SettingsError
            If it would be written where others may read it, and no setting allows that.
        """
        self.reading()[0].profile.notation.require_licence_allowed(policy.app_license)

    # --- what is named

    def _named(
        self,
        images: Sequence[str],
        users: Sequence[str],
        groups: Sequence[str],
        *,
        ended: bool = False,
    ) -> list[Union[User, Group]]:
        """Find all that is named, before anything is written; see :meth:`_user` for `ended`."""
        if not images or not (users or groups):
            raise InvalidValue("name at least one image, and a user or a group")
        for image in images:
            check_image(image)
        call = self._write_call()
        registered = self._for(call).applications.by_images(call, images)
        absent = [
            f"the application {image!r} is not registered{self.like_image(image)}"
            for image in images
            if image not in registered
        ]
        members: dict[DN, Union[User, Group]] = {}

        def find(one: Callable[[str], Union[User, Group]], names: Sequence[str]) -> None:
            for name in dict.fromkeys(names):
                try:
                    member = one(name)
                except NotFound as error:
                    absent.append(str(error))
                else:
                    members[member.dn] = member

        find(partial(self._user, ended=ended), users)
        find(self._group, groups)
        if absent:
            raise NotFound("; ".join(absent))
        return list(members.values())

    def _user(self, name: str, *, ended: bool) -> User:
        """Find a user; `ended` if a locked or expired one will do."""
        check_text(name, "user name")
        call = self._write_call()
        users = self._for(call).users
        user = users.by_name(call, name)
        if user is None and ended:
            user = users.with_ended().by_name(call, name)
        if user is None:
            raise NotFound(self.why_absent(name))
        return user

    def _group(self, name: str) -> Group:
        from ldapdb.store.groups import Groups  # noqa: PLC0415 -- the host grants to users
        from ldapdb.store.nearest import like_group  # noqa: PLC0415 -- for errors alone

        call = self._write_call()
        groups = Groups(self._for(call).profile, self._warned)
        try:
            return groups.find(call, name)
        except NotFound as error:
            raise error.restated(f"{error}{like_group(call, groups, name)}") from error

    def why_absent(self, name: str) -> str:
        """Say why a name finds no user: locked or expired, or perhaps another one was meant."""
        readers, call = self.reading()
        former = readers.users.with_ended().by_name(call, name)
        if former is not None:
            return readers.users.no_rights(former)
        return f"the user {name!r} is not in the directory{self.like_user(name)}"

    def like_user(self, name: str) -> str:
        """Ask whether another user was meant, or a group, to go on after an error's text."""
        from ldapdb.store.groups import Groups  # noqa: PLC0415 -- as above
        from ldapdb.store.nearest import like_user  # noqa: PLC0415 -- as above

        readers, call = self.reading()
        return like_user(call, readers.users, Groups(readers.profile, self._warned), name)

    def like_image(self, image: str) -> str:
        """Ask whether another image was meant, to go on after an error's text."""
        from ldapdb.store.nearest import like_image  # noqa: PLC0415 -- as above

        return like_image(image, [each.image for each in self.list_applications()])

    # --- writes about one member

    def _grant_member(
        self, image: str, member: Union[User, Group], policy: Policy, window: Window
    ) -> tuple[tuple[Window, ...], tuple[Grant, ...]]:
        from ldapdb.store.granting import grant_within  # noqa: PLC0415 -- the host has no windows

        call = self._write_call()
        readers = self._for(call)
        if isinstance(member, User):
            naming = readers.memberships.of(call, member)
        else:
            naming = readers.revoking.memberships_of_group(member.dn)
        try:
            done = grant_within(
                call,
                readers.grants,
                readers.memberships,
                image,
                policy,
                window,
                member.dn,
                naming,
                self._clock(),
            )
            if isinstance(member, User):
                self._routes.require_known(call, member.id)
            else:
                self._routes.require_known(call, everybody=True)
            return done
        finally:
            if isinstance(member, User):
                self._forget_grants_of(call, member)
            else:
                self._forget_everybody(call)

    def _besides(self, identifier: str, user: User, window: Window) -> tuple[Grant, ...]:
        """Find the grants through groups that reach a user beyond a window."""
        if window == _ALWAYS:
            return ()
        now = self._clock()
        return tuple(
            grant
            for each in self._entitlements(user, None).all
            if each.accounting.id == identifier
            for grant in each.grants
            if not window.covers(grant.window) and not grant.window.is_over(now)
        )

    def _refuse_through_group(
        self, image: str, member: Union[User, Group], policy: Optional[Policy]
    ) -> None:
        call = self._write_call()
        revoking = self._for(call).revoking
        now = self._clock()
        if any(policy in (None, each) for each in self._policies(call, image, member)):
            return
        if isinstance(member, User):
            revoking.refuse_through_group(call, image, member, policy, now)
        else:
            revoking.refuse_group_in_group(call, image, member.dn, policy, now)

    def _policies(self, call: Call, image: str, member: Union[User, Group]) -> list[Policy]:
        """List the policies under which grants of an image name a member."""
        revoking = self._for(call).revoking
        if isinstance(member, User):
            return revoking.policies(call, image, member)
        return revoking.policies_of_group(call, image, member.dn)

    def _revoke(self, call: Call, image: str, user: User, policy: Policy) -> tuple[Left, ...]:
        try:
            left = self._for(call).revoking.revoke(call, image, user, policy, self._clock())
            self._routes.require_known(call, user.id)
            return left
        finally:
            self._forget_grants_of(call, user)

    def _revoke_group(self, call: Call, image: str, group: DN, policy: Policy) -> tuple[Left, ...]:
        try:
            left = self._for(call).revoking.revoke_group(call, image, group, policy)
            self._routes.require_known(call, everybody=True)
            return left
        finally:
            self._forget_everybody(call)

    def _repeat(
        self, step: Callable[[Call], Optional[set[DN]]], wait: float, pause: Callable[[float], None]
    ) -> set[DN]:
        """Do a step until it has been done after so many seconds."""
        ends = self._timer() + wait
        changed: set[DN] = set()
        while True:
            left = ends - self._timer()
            call = self._write_call()
            try:
                changed |= step(call) or set()
            finally:
                self._forget_applications(call)
            if left <= 0:
                return changed
            pause(min(_PAUSE_SECONDS, left))

    # --- what is forgotten

    def _forget_grants_of(self, call: Call, user: User) -> None:
        self._routes.note(call, user.id)
        self._caches.forget_grants_of(user)

    def _forget_applications(self, call: Call) -> None:
        self._routes.note(call)
        self._caches.forget_applications()

    def _forget_everybody(self, call: Call) -> None:
        """Forget what anybody may start: a group's members are not known here."""
        self._routes.note(call)
        self._caches.entitlements.clear()

"""Many grants at once: for whoever moves in from another backend."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Optional, Union

from ldapdb.errors import (
    AmbiguousName,
    DeadlineExceeded,
    DirectoryUnavailable,
    LDAPDBError,
    NoSuchEntry,
    NotFound,
)
from ldapdb.model import Policy, User, Window
from ldapdb.protocol.dn import DN
from ldapdb.store.desk import Desk

__all__ = ["Bulk"]

# 389 DS 2.3.1 with memberOf takes 17 ms for each member of one modify: with so many, a write
# takes half of its time at the most.
_MEMBERS = 100
_NAMES = 200
# How long it is tried to learn what became of a write that took too long, and how often.
_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.2
_ALWAYS = Window()


class Bulk(Desk):
    """Grants one image to many users, in as few writes as their time allows."""

    def find_users(
        self, names: Iterable[str]
    ) -> Iterator[tuple[str, Union[User, AmbiguousName, NotFound, None]]]:
        """Find users as the host does, many names in one search.

        Yields
        ------
        (str, User or AmbiguousName or NotFound or None)
            Each name, in order, and whom it finds: nobody, or an error where it is several, or
            one whose account is locked or has expired.
        """
        names = iter(names)
        while batch := list(islice(names, _NAMES)):
            call = self._directory.call(self._routes.reading())
            named: dict[str, list[Optional[User]]] = {}
            for names_of_one, user in self._for(call).users.by_login_names(call, batch):
                for each in names_of_one:
                    named.setdefault(each, []).append(user)
            users: dict[str, Union[User, AmbiguousName, NotFound, None]] = {}
            for name in batch:
                found = named.get(name.lower(), [])
                only = found[0] if len(found) == 1 else None
                if only is None or only.name != name:
                    # Spelled otherwise, several have it, or nobody: the directory's rule decides.
                    users[name] = self._find_user(name)
                else:
                    users[name] = only
            users.update(self._ended([name for name, user in users.items() if user is None]))
            yield from users.items()

    def _ended(self, names: list[str]) -> Iterator[tuple[str, NotFound]]:
        """Say of names that find nobody which are those of locked or expired users."""
        call = self._directory.call(self._routes.reading())
        users = self._for(call).users
        former = users.with_ended().by_login_names(call, names) if names else []
        for names_of_one, user in former:
            for name in names if user is not None else ():
                if name.lower() in names_of_one and user is not None:
                    yield name, NotFound(users.no_rights(user), dn=str(user.dn))

    def _find_user(self, name: str) -> Union[User, AmbiguousName, None]:
        try:
            return self.get_user(name)
        except AmbiguousName as error:
            return error

    def members_granted(self, images: Iterable[str]) -> dict[tuple[str, Policy], dict[DN, Window]]:
        """List who is named by grants, and within which time, by image and policy.

        Of somebody whom several grants name, the widest time that one of them gives is told.
        """
        granted: dict[tuple[str, Policy], dict[DN, Window]] = {}
        same: dict[DN, DN] = {}  # a hundred thousand rights are those of a few thousand users
        for image in images:
            call = self._directory.call(self._routes.reading_applications())
            readers = self._for(call)
            for grant in readers.grants.readable(readers.grants.of_image(call, image)):
                if image not in grant.images:
                    continue
                # A call of its own: a long list of members may take all of its time.
                again = self._directory.call(self._routes.reading_applications())
                members = granted.setdefault((image, grant.policy), {})
                for dn in readers.memberships.members(again, [grant.dn]).dns:
                    if dn not in members or grant.window.covers(members[dn]):
                        members[same.setdefault(dn, dn)] = grant.window
        return granted

    def grant_many(self, image: str, policy: Policy, users: Sequence[User]) -> Iterator[int]:
        """Give users an image under a policy, a hundred in a write.

        Each write is whole, and may be repeated. Who turns out to have gone since he was found
        is left out, with a warning.

        Yields
        ------
        int
            How many have got it by then, after each write.

        Raises
        ------
        LDAPDBError
            If a write fails that has one member only; those that were told stay.
        """
        left, size, gone = list(users), _MEMBERS, 0
        while left:
            some = left[:size]
            began = self._timer()
            try:
                self._grant_some(image, policy, some)
            except NoSuchEntry:  # one of them has gone or has another name, which AD looks for
                found = self._find_again(some)
                if found == some:
                    raise
                gone += len(some) - len(found)
                left[: len(some)] = found
            except DirectoryUnavailable as error:  # too many for the time
                if len(some) == 1 or not _may_be_for_many(error):
                    raise
                size = len(some) // 2
                there = self._granted_by_now(image, policy)
                left = [user for user in left if user.dn not in there]
            else:
                left = left[len(some) :]
                if self._timer() - began > self.settings.operation_timeout_seconds / 2:
                    size = max(1, len(some) // 2)
            yield len(users) - len(left) - gone

    def _granted_by_now(self, image: str, policy: Policy) -> set[DN]:
        """Look who has it for ever, though the server may be at work on a write and not answer."""
        ends = self._timer() + _PATIENCE_SECONDS
        while True:
            try:
                members = self.members_granted([image]).get((image, policy), {})
            except DirectoryUnavailable:
                if self._timer() > ends:
                    raise
            else:
                return {dn for dn, window in members.items() if window == _ALWAYS}
            time.sleep(_PAUSE_SECONDS)

    def _find_again(self, users: Sequence[User]) -> list[User]:
        """Find users by their ids; who is not there any more is left out, with a warning."""
        found = []
        for user in users:
            call = self._write_call()
            again = self._for(call).users.current(call, user)
            if again is None:
                self._warned.skip(user.dn, f"the user {user.name!r} is not there any more")
            else:
                found.append(again)
        return found

    def _grant_some(self, image: str, policy: Policy, users: Sequence[User]) -> None:
        call = self._write_call()
        try:
            grants = self._for(call).grants
            grants.add_member(call, image, policy, _ALWAYS, *(user.dn for user in users))
        finally:
            # As of everybody: to note each of thousands takes longer than to write them.
            self._routes.note(call)
            for user in users:
                self._caches.forget_grants_of(user)


def _may_be_for_many(error: LDAPDBError) -> bool:
    """Tell whether fewer members may succeed; what was slow may be done or not."""
    return isinstance(error, DeadlineExceeded) or error.answer_lost

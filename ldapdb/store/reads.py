"""What is asked for: users, applications, and what a user may start; through the caches."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from typing import Optional

from ldapdb.client import Deadline
from ldapdb.model import ACTIVE, Accounting, Application, Entitlement, Entitlements, User
from ldapdb.store.caches import fold
from ldapdb.store.core import Core

__all__ = ["Reads"]

_LONGEST_NAME = 1000  # characters


class Reads(Core):
    """Answers, from memory where they are fresh."""

    def get_user(self, name: str, deadline: Optional[Deadline] = None) -> Optional[User]:
        """Find a user by name; `deadline` as :meth:`deadline` gives it."""
        cache = self._caches.users_by_name
        known = cache.hit(name)
        if known is not None:
            return self._current(known)
        ends = deadline or self.deadline()

        def load() -> Optional[User]:
            call = self._directory.call(self._routes.reading(), ends)
            generation = self._caches.users_by_entry.generation()
            users = self._for(call).users
            user = self._keep(users.by_name(call, name), generation)
            if user is None and cache.last(name) is not None:
                users.confirm_nobody(call)
            return user

        # Anybody may type a name: thousands of megabytes would be kept.
        found = cache.get(name, load, ends.remaining) if len(name) <= _LONGEST_NAME else load()
        return self._current(found)

    def get_user_by_id(self, user_id: int, deadline: Optional[Deadline] = None) -> Optional[User]:
        """Find a user by id."""
        cache = self._caches.users_by_id
        ends = deadline or self.deadline()

        def load() -> Optional[User]:
            call = self._directory.call(self._routes.reading(), ends)
            generation = self._caches.users_by_entry.generation()
            users = self._for(call).users
            user = self._keep(users.by_id(call, user_id), generation)
            if user is None and cache.last(user_id) is not None:
                users.confirm_nobody(call)
            return user

        return self._current(cache.get(user_id, load, ends.remaining))

    def _current(self, user: Optional[User]) -> Optional[User]:
        """Drop a user whose account has ended since it was read, however fresh the answer is."""
        if user is None or user.account is ACTIVE or user.account.holds(self._clock()):
            return user
        return None

    def refresh_user(self, user: User, deadline: Optional[Deadline] = None) -> Optional[User]:
        """Find a user again who was found before, also after a rename.

        Raises
        ------
        AmbiguousName
            If other entries have the same id and it cannot be told which of them it was.
        """
        cache = self._caches.users_by_entry
        ends = deadline or self.deadline()

        def load() -> Optional[User]:
            call = self._directory.call(self._routes.reading(), ends)
            generation = cache.generation()
            users = self._for(call).users
            found = self._keep(users.current(call, user), generation)
            if found is None and cache.last(user.entry) is not None:
                users.confirm_nobody(call)
            return found

        return self._current(cache.get(user.entry, load, ends.remaining))

    def _keep(self, user: Optional[User], generation: int) -> Optional[User]:
        """Keep a user that was just read; return it."""
        if user is not None:
            self._caches.users_by_entry.put(user.entry, user, generation)
        return user

    def list_users(self) -> list[User]:
        """List all users by name; from memory while changes are seen."""
        users, ends = self._caches.user_list, self.deadline()
        reader = self._user_reader(ends)
        if self._watching.server() is None or users.is_too_long:
            users.drop()
            return reader.listed()
        self._tending.ask()
        now = self._clock()
        return [user for user in users.get(reader, ends) if user.is_current(now)]

    def list_users_starting_with(self, beginning: str, most: int) -> list[User]:
        """List at most so many users whose names begin so, read from the directory."""
        call = self._directory.call(self._routes.reading())
        return self._for(call).users.starting_with(call, beginning, most)

    def list_applications(self, deadline: Optional[Deadline] = None) -> list[Application]:
        """List all applications, by image."""
        cache = self._caches.application_list
        ends = deadline or self.deadline()

        def load() -> tuple[Application, ...]:
            call = self._directory.call(self._routes.reading_applications(), ends)
            readers = self._for(call)
            applications = tuple(readers.applications.all(call))
            if not applications:
                self._require_schema(call)
                if cache.last(None):
                    readers.applications.confirm_none(call)
            return applications

        return list(cache.get(None, load, ends.remaining))

    def known_accountings(self, user: User) -> Optional[list[Accounting]]:
        """List what a user may start now, if it is in memory and fresh, and the user is."""
        known = self._caches.entitlements.hit(user.entry)
        return None if known is None else known.at(self._clock())

    def list_accountings(self, user: User, deadline: Optional[Deadline] = None) -> list[Accounting]:
        """List what a user may start now."""
        known = self.known_accountings(user)
        if known is not None:
            return known
        return self._entitlements(user, deadline).at(self._clock())

    def tell_concerned(self, tell: Callable[[AbstractSet[int]], object]) -> None:
        """Tell the ids of users whom a change concerns, while changes are seen.

        By the thread that sees them, so `tell` is to be quick. There may be more of them: it is not
        always known whom a change concerns.
        """
        self._caches.concerned = tell

    def list_entitlements(self, user: User) -> list[Entitlement]:
        """List what a user may start now, and the grants that it comes from."""
        now = self._clock()
        return [each for each in self.list_all_entitlements(user) if each.holds(now)]

    def list_all_entitlements(self, user: User) -> list[Entitlement]:
        """List what a user may start at any time, and the grants that it comes from."""
        return list(self._entitlements(user, None).all)

    def _entitlements(self, user: User, deadline: Optional[Deadline]) -> Entitlements:
        cache = self._caches.entitlements
        ends = deadline or self.deadline()

        def load() -> Entitlements:
            call = self._directory.call(self._routes.reading_grants(user.id), ends)
            readers = self._for(call)
            made_from: set[Hashable] = {user.id, *map(fold, user.login_names)}
            entitlements = readers.accountant.entitlements(call, user, made_from)
            if not entitlements:
                self._require_schema(call)
                if cache.last(user.entry):
                    readers.grants.confirm_none(call)
            return Entitlements(entitlements, self._form, made_from)

        def until() -> float:
            return self._caches.users_by_entry.fresh_until(user.entry)

        return cache.get(user.entry, load, ends.remaining, until)

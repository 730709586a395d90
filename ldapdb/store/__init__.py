"""The use cases, free of the host: who may start what, and changes to that.

A :class:`Store` keeps the caches, gives every call one deadline, and holds the order of
writes in which a crash leaves nothing half-done. Reads go through the caches; whatever
decides about a write is read from the directory, because a grant to the place where a user
was a minute ago would be lost without a word.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Optional

from ldapdb.cache import CacheInfo
from ldapdb.connection import EVERYTHING, ROOT_DSE, Call, Deadline, Directory
from ldapdb.dn import DN
from ldapdb.errors import AccessDenied, NotFound, ReadOnly
from ldapdb.model import (
    Accounting,
    Application,
    Entitlements,
    Policy,
    User,
    Window,
    mapping_id,
)
from ldapdb.searching import BASE, NO_ATTRIBUTES, Search
from ldapdb.settings import Settings
from ldapdb.store.caches import Caches, fold
from ldapdb.store.forking import renew_in_children
from ldapdb.store.profile import Profile
from ldapdb.store.readers import Readers
from ldapdb.store.reading import Warned, require_base
from ldapdb.store.routes import Routes
from ldapdb.store.schema import LIKELY, require_schema
from ldapdb.store.tree import create_tree
from ldapdb.store.watching import Watching
from ldapdb.wellformed import check_image, check_text

if TYPE_CHECKING:
    from ldapdb.watch import WatchInfo

__all__ = ["Store"]

_MAPPING_ID = re.compile(r"[0-9a-f]{32}")


class Store:
    """Users, applications and grants of one directory.

    Parameters
    ----------
    settings : Settings
        Where the directory is and how to read it. Nothing is connected yet.
    clock : callable
        Seconds since the epoch, for the time limits of grants.
    timer : callable
        Seconds of a monotonic clock, for caches and deadlines.
    form : callable, optional
        What is made of an accounting before it is kept and told.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        form: Optional[Callable[[Accounting], Accounting]] = None,
    ) -> None:
        self.settings = settings
        self._form = form
        self._clock = clock
        self._timer = timer
        self._directory = Directory(settings, timer)
        self._warned = Warned()
        self._readers: Optional[Readers] = None
        self._schema_seen = False
        self._caches = Caches(settings, timer)
        self._watching = Watching(settings, self._caches, timer)
        self._routes = Routes(settings, timer, self._watching.server)
        renew_in_children(self)

    def verify(self) -> None:
        """Connect, and see that the directory has what the settings name.

        Raises
        ------
        DirectoryUnavailable, CredentialsRefused, BaseNotFound, SchemaMissing, SettingsError
            Each with its own remedy.
        """
        call = self._directory.call(self._routes.reading())
        base = Search(str(DN.parse(self.settings.base_dn)), BASE, EVERYTHING, NO_ATTRIBUTES)
        likely = [] if self.settings.schema == "stock" else [LIKELY]
        call.ask_ahead([ROOT_DSE, base, *likely])
        require_base(call, self._for(call).profile.base)
        self._require_schema(call)

    def close(self, *, wait: bool = True) -> None:
        """Close all connections; `wait` for what is under way in the background."""
        self._watching.close(wait=wait)
        self._directory.close(wait=wait)

    def renew_after_fork(self) -> None:
        """Start anew in a forked child, with what is known and without what is under way."""
        self._caches.renew_after_fork()
        self._warned.renew_after_fork()
        self._routes.renew_after_fork()
        self._watching.renew_after_fork()
        self._directory.renew_after_fork()

    def deadline(self) -> Deadline:
        """Let the time of one call run from now, for several reads that are one call."""
        return self._directory.deadline()

    def create_tree(self) -> list[DN]:
        """Make the base entries that are missing.

        Returns
        -------
        list of DN
            What was made; empty if all was there.

        Raises
        ------
        NoSuchEntry
            If the entry above `base_dn` is not there.
        """
        call = self._write_call()
        profile = self._for(call).profile
        self._require_schema(call)
        return create_tree(call, profile)

    def cache_info(self) -> dict[str, CacheInfo]:
        """Return the statistics of each cache."""
        return self._caches.info()

    def watch_info(self) -> WatchInfo:
        """Return the statistics of the watch."""
        return self._watching.info()

    def get_user(self, name: str, deadline: Optional[Deadline] = None) -> Optional[User]:
        """Find a user by name; `deadline` as :meth:`deadline` gives it."""
        cache = self._caches.users_by_name
        known = cache.hit(name)
        if known is not None:
            return known
        ends = deadline or self.deadline()

        def load() -> Optional[User]:
            call = self._directory.call(self._routes.reading(), ends)
            generation = self._caches.users_by_id.generation()
            users = self._for(call).users
            user = users.by_name(call, name)
            if user is not None:
                self._caches.users_by_id.put(user.id, user, generation)
            elif cache.last(name) is not None:
                users.confirm_nobody(call)
            return user

        # Anybody may type a name: thousands of megabytes would be kept.
        return cache.get(name, load, ends.remaining) if len(name) <= _LONGEST_NAME else load()

    def get_user_by_id(self, user_id: int, deadline: Optional[Deadline] = None) -> Optional[User]:
        """Find a user by id."""
        cache = self._caches.users_by_id
        ends = deadline or self.deadline()

        def load() -> Optional[User]:
            call = self._directory.call(self._routes.reading(), ends)
            users = self._for(call).users
            user = users.by_id(call, user_id)
            if user is None and cache.last(user_id) is not None:
                users.confirm_nobody(call)
            return user

        return cache.get(user_id, load, ends.remaining)

    def list_users(self) -> list[User]:
        """List all users."""
        call = self._directory.call(self._routes.reading())
        return self._for(call).users.all(call)

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

    def create_application(self, image: str) -> Application:
        """Register an image.

        Raises
        ------
        InvalidValue, Exists
            If it is no image reference; if it is registered already.
        """
        check_image(image)
        call = self._write_call()
        try:
            created = self._for(call).applications.create(call, image)
        finally:
            self._forget_applications(call)
        return created

    def remove_application(self, image: str) -> None:
        """Remove an application and all its grants; an absent one is no error.

        The grants go first, so that whoever repeats it after a crash still finds what there
        is to finish.
        """
        self._remove_application(self._write_call(), image)

    def remove_application_by_id(self, application_id: int) -> None:
        """Remove the application of an id; see :meth:`remove_application`."""
        call = self._write_call()
        application = self._for(call).applications.by_id(call, application_id)
        if application is None:
            self._routes.require_known(call)
        else:
            self._remove_application(call, application.image)

    def _remove_application(self, call: Call, image: str) -> None:
        readers = self._for(call)
        try:
            readers.grants.remove_image(call, image)
            readers.applications.remove(call, image)
            self._routes.require_known(call)
        finally:
            self._forget_applications(call)

    def known_accountings(self, user_id: int) -> Optional[list[Accounting]]:
        """List what a user may start now, if it is in memory and fresh, and the user is."""
        known = self._caches.entitlements.hit(user_id)
        return None if known is None else known.at(self._clock())

    def list_accountings(self, user: User, deadline: Optional[Deadline] = None) -> list[Accounting]:
        """List what a user may start now."""
        known = self.known_accountings(user.id)
        if known is not None:
            return known
        cache = self._caches.entitlements
        ends = deadline or self.deadline()

        def load() -> Entitlements:
            call = self._directory.call(self._routes.reading_grants(user.id), ends)
            readers = self._for(call)
            made_from: set[Hashable] = {fold(user.name)}
            entitlements = readers.accountant.entitlements(call, user, made_from)
            if not entitlements:
                self._require_schema(call)
                if cache.last(user.id):
                    readers.grants.confirm_none(call)
            return Entitlements(entitlements, self._form, made_from)

        def until() -> float:
            return self._caches.users_by_id.fresh_until(user.id)

        return cache.get(user.id, load, ends.remaining, until).at(self._clock())

    def grant(self, image: str, user_name: str, policy: Policy) -> str:
        """Give a user an application under a policy.

        Where this connection may not write, a policy that is in effect already, directly or
        through a group, is enough: the host grants its demo applications at every start.

        Returns
        -------
        str
            The mapping id; the same however often it is granted.

        Raises
        ------
        InvalidValue, NotFound
            For an image or user that is malformed or not there.
        AccessDenied
            If it is not in effect and may not be written.
        """
        check_image(image)
        check_text(user_name, "user name")
        if self.settings.read_only:
            return self._in_effect(image, user_name, policy, ReadOnly(_READ_ONLY))
        call = self._write_call()
        readers = self._for(call)
        entry = readers.grants.asking(image, policy, Window())
        call.ask_ahead([*readers.asking(image, user_name), entry])
        user = readers.require(call, image, user_name)
        try:
            readers.grants.add_member(call, image, policy, Window(), user.dn)
            self._routes.require_known(call, user.id)
        except AccessDenied as error:
            self._caches.forget_grants_of(user)
            return self._in_effect(image, user_name, policy, error, call.deadline)
        finally:
            self._forget_grants_of(call, user)
        return mapping_id(image, policy, user.id)

    def revoke(self, image: str, user_name: str, policy: Policy) -> None:
        """Take an application under a policy from a user; what he does not have is no error.

        Raises
        ------
        InvalidValue, NotFound
            For an image or user that is malformed or not there.
        HeldThroughGroup
            If he has it through a group only. Nothing is changed then.
        """
        check_image(image)
        check_text(user_name, "user name")
        call = self._write_call()
        self._revoke(call, image, self._require(call, image, user_name), policy)

    def revoke_all(self, image: str, user_name: str) -> list[Policy]:
        """Take an application from a user under every policy that names him directly.

        Returns
        -------
        list of Policy
            What he had. Empty if he had nothing.

        Raises
        ------
        InvalidValue, NotFound, HeldThroughGroup
            As :meth:`revoke`; the last only if he has it in no other way.
        """
        check_image(image)
        check_text(user_name, "user name")
        call = self._write_call()
        user = self._require(call, image, user_name)
        revoking = self._for(call).revoking
        policies = revoking.policies(call, image, user)
        if not policies:
            revoking.refuse_through_group(call, image, user, None, self._clock())
            self._routes.require_known(call, user.id)
        for policy in policies:
            self._revoke(call, image, user, policy)
        return policies

    def revoke_by_id(self, identifier: str) -> None:
        """Take away what a mapping id stands for; an unknown id does nothing.

        Raises
        ------
        HeldThroughGroup
            As :meth:`revoke`.
        """
        if not _MAPPING_ID.fullmatch(identifier):
            return
        call = self._write_call()
        issued = self._caches.issued(identifier)
        if issued is not None:
            user_id, image, policy = issued
            user = self._for(call).users.by_id(call, user_id)
            if user is not None:
                self._revoke(call, image, user, policy)
                return
        meant = self._for(call).revoking.by_id(call, identifier)
        if not meant:
            self._routes.require_known(call, everybody=True)
        for image, holder, policy in meant:
            self._revoke(call, image, holder, policy)

    def _require(self, call: Call, image: str, user_name: str) -> User:
        readers = self._for(call)
        call.ask_ahead(readers.asking(image, user_name))
        return readers.require(call, image, user_name)

    def _revoke(self, call: Call, image: str, user: User, policy: Policy) -> None:
        try:
            self._for(call).revoking.revoke(call, image, user, policy, self._clock())
            self._routes.require_known(call, user.id)
        finally:
            self._forget_grants_of(call, user)

    def _in_effect(
        self,
        image: str,
        user_name: str,
        policy: Policy,
        refusal: AccessDenied,
        deadline: Optional[Deadline] = None,
    ) -> str:
        """Return the mapping id of what is in effect already, or raise the refusal."""
        ends = deadline or self.deadline()
        user = self.get_user(user_name, ends)
        if user is None:
            raise NotFound(f"the user {user_name!r} is not in the directory") from refusal
        wanted = mapping_id(image, policy, user.id)
        if any(accounting.id == wanted for accounting in self.list_accountings(user, ends)):
            return wanted
        if not any(each.image == image for each in self.list_applications(ends)):
            raise NotFound(f"the application {image!r} is not registered") from refusal
        raise refusal

    def _write_call(self) -> Call:
        if self.settings.read_only:
            raise ReadOnly(_READ_ONLY)
        return self._directory.call(self._routes.writing())

    def _for(self, call: Call) -> Readers:
        """Return the readers, made from the root DSE at the first call."""
        if self._readers is None:
            profile = Profile.make(self.settings, call.root_dse())
            self._readers = Readers.make(profile, self._caches, self._warned, self._clock)
        self._watching.begin(self._readers.profile, call)
        return self._readers

    def _require_schema(self, call: Call) -> None:
        """See that an empty answer is not for want of the schema; once is enough.

        A server that does not know a class answers a search for it with nothing and success
        (RFC 4511, section 4.5.1.7).
        """
        if not self._schema_seen:
            if self._for(call).profile.notation.needs_schema:
                require_schema(call)
            self._schema_seen = True

    def _forget_grants_of(self, call: Call, user: User) -> None:
        self._routes.note(call, user.id)
        self._caches.forget_grants_of(user)

    def _forget_applications(self, call: Call) -> None:
        self._routes.note(call)
        self._caches.forget_applications()


_LONGEST_NAME = 1000  # characters
_READ_ONLY = "this connection never writes, because of the setting read_only"

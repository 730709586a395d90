"""The host's interface on top of the store; the only importer of the host.

Which of the host's two generations it is follows from what is installed. Without the host
the same class stands on ABCs of our own shape, in the generation of 2.0. Our errors leave
as errors that are the host's as well, so that the host answers 404 and 409 where it should.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ldapdb import errors
from ldapdb.cache import CacheInfo
from ldapdb.interface import ABCDatabase
from ldapdb.model import Accounting, Application, Policy, User
from ldapdb.secrecy import wiped_methods
from ldapdb.settings import load
from ldapdb.store import Store
from ldapdb.store.outcomes import warn_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from ldapdb.watch import WatchInfo

try:
    from remoteappmanager.db import exceptions as host_exceptions
    from remoteappmanager.db import interfaces as host_interfaces
except ImportError:
    host_exceptions = host_interfaces = None

__all__ = ["LDAPDatabase", "PolicyOf20"]


_ABCDatabase: Any = ABCDatabase if host_interfaces is None else host_interfaces.ABCDatabase


@dataclass(frozen=True)
class PolicyOf20:
    """A policy with the fields and their order that the host's 2.0 and 2.1 know."""

    allow_home: bool = False
    allow_view: bool = False
    allow_common: bool = False
    volume_source: Optional[str] = None
    volume_target: Optional[str] = None
    volume_mode: Optional[str] = None


if host_interfaces is not None:
    host_interfaces.ABCApplicationPolicy.register(Policy)
    host_interfaces.ABCApplicationPolicy.register(PolicyOf20)
    host_interfaces.ABCApplication.register(Application)
    host_interfaces.ABCAccounting.register(Accounting)


def _both(own: type[errors.LDAPDBError]) -> type[errors.LDAPDBError]:
    """Make an error that is ours and, where the host is installed, the host's too."""
    theirs = getattr(host_exceptions, own.__name__, None)
    return own if theirs is None else type(own.__name__, (own, theirs), {"__doc__": own.__doc__})


_HOST_ERRORS = {
    own: _both(own) for own in (errors.NotFound, errors.Exists, errors.UnsupportedOperation)
}


@contextlib.contextmanager
def _host_errors() -> Iterator[None]:
    try:
        yield
    except tuple(_HOST_ERRORS) as error:
        raise error.restated(str(error), _HOST_ERRORS[type(error)]) from error


@wiped_methods
class _Database(_ABCDatabase):  # type: ignore[misc]  # the host's class, or ours, at run time
    """What both generations have in common."""

    # What the generation makes of an accounting, where that is not our own form.
    _form: Optional[Callable[[Accounting], Accounting]] = None

    def __init__(self, **database_kwargs: Any) -> None:
        """Connect to the directory.

        Parameters
        ----------
        **database_kwargs
            The settings.

        Raises
        ------
        ldapdb.errors.SettingsError
            If a setting is wrong, the log-in is refused, a base or the schema is missing.
        ldapdb.errors.DirectoryUnavailable
            If no server answers. The host tries again at its next request.
        """
        settings = load(**database_kwargs)
        self._store = Store(settings, form=self._form)
        try:
            self._store.verify()
        except BaseException:
            self._store.close(wait=False)  # the call has its deadline
            raise

    def __enter__(self) -> Self:
        """Return the database itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close all connections to the directory.

        While a server is down this may wait ``connect_timeout_seconds`` for its next trial to
        end. A database that was closed can be used all the same; it keeps no connection then.
        """
        self._store.close()

    def cache_info(self) -> dict[str, CacheInfo]:
        """Return hits, misses, stale answers, load failures and size of each cache."""
        return self._store.cache_info()

    def watch_info(self) -> WatchInfo:
        """Return whether changes are seen as they happen, and how (setting ``watch``)."""
        return self._store.watch_info()

    def get_user(self, *, user_name: Optional[str] = None, id: Optional[int] = None) -> Any:
        """Return the user of a name or an id, or None.

        Raises
        ------
        ValueError
            If not exactly one of the two is given.
        ldapdb.errors.AmbiguousName
            If several entries have the name or the id.
        """
        _strictly_one(user_name, id)
        if user_name is not None:
            return self._store.get_user(user_name)
        user_id = _number(id)
        return None if user_id is None else self._store.get_user_by_id(user_id)

    def get_accounting_for_user(self, user: Any) -> list[Accounting]:
        """List what a user may start now.

        Parameters
        ----------
        user : User, object with ``name``, or None
            The host passes its own objects, which have a name and no id.
        """
        if user is None:
            return []
        told = self._store.known_accountings(user) if isinstance(user, User) else None
        if told is not None:
            return told
        deadline = self._store.deadline()
        if isinstance(user, User):
            known = self._store.refresh_user(user, deadline)  # survives a rename meanwhile
        else:
            known = self._store.get_user(user.name, deadline)
        return [] if known is None else self._store.list_accountings(known, deadline)

    def create_user(self, user_name: str) -> None:
        """Refuse: users belong to the directory."""
        del user_name
        with _host_errors():
            raise errors.UnsupportedOperation(
                "users cannot be created here, they belong to the directory; "
                "turn auto_user_creation off"
            )

    def remove_user(self, *, user_name: Optional[str] = None, id: Optional[int] = None) -> None:
        """Refuse: users belong to the directory."""
        del user_name, id
        with _host_errors():
            raise errors.UnsupportedOperation(
                "users cannot be removed here, they belong to the directory"
            )

    def list_users(self) -> list[User]:
        """List all users of the directory."""
        return self._store.list_users()

    def create_application(self, app_name: str) -> int:
        """Register an image and return the application's id.

        Raises
        ------
        Exists
            If it is registered already; the host's where the host is installed.
        ValueError
            If it is not a Docker reference.
        """
        with _host_errors():
            return self._store.create_application(app_name).id

    def remove_application(
        self, *, app_name: Optional[str] = None, id: Optional[int] = None
    ) -> None:
        """Remove an application and its grants; an absent one is no error.

        Raises
        ------
        ValueError
            If not exactly one of the two is given.
        """
        _strictly_one(app_name, id)
        with _host_errors():
            if app_name is not None:
                self._store.remove_application(app_name)
                return
            application_id = _number(id)
            if application_id is not None:
                self._store.remove_application_by_id(application_id)

    def list_applications(self) -> list[Application]:
        """List all applications."""
        return self._store.list_applications()

    def revoke_access_by_id(self, mapping_id: str) -> None:
        """Take away what a mapping id stands for; an unknown id does nothing.

        Raises
        ------
        ldapdb.errors.HeldThroughGroup
            If the user has it through a group only, which is named.
        """
        with _host_errors():
            warn_of(*self._store.revoke_by_id(str(mapping_id)))

    def _grant(self, app_name: str, user_name: str, policy: Policy) -> str:
        with _host_errors():
            return self._store.grant(app_name, user_name, policy)

    def _revoke(self, app_name: str, user_name: str, policy: Policy) -> None:
        with _host_errors():
            warn_of(self._store.revoke(app_name, user_name, policy))


@wiped_methods
class _DatabaseOf20(_Database):
    """The interface of the host's 2.0 and 2.1."""

    @staticmethod
    def _form(accounting: Accounting) -> Accounting:
        policy = _policy_of_20(accounting.application_policy)
        return Accounting(accounting.id, accounting.user, accounting.application, policy)

    def grant_access(
        self,
        app_name: str,
        user_name: str,
        allow_home: bool,
        allow_view: bool,
        volume: Optional[str],
    ) -> str:
        """Give a user an application and return the mapping id.

        Raises
        ------
        NotFound
            For an unknown application or user; the host's where the host is installed.
        ValueError
            For a bad volume.
        """
        policy = Policy.of(allow_home=allow_home, allow_view=allow_view, volume=volume)
        return self._grant(app_name, user_name, policy)

    def revoke_access(
        self,
        app_name: str,
        user_name: str,
        allow_home: bool,
        allow_view: bool,
        volume: Optional[str],
    ) -> None:
        """Take an application from a user.

        Raises
        ------
        NotFound, ValueError
            As :meth:`grant_access`.
        ldapdb.errors.HeldThroughGroup
            If the user has it through a group only, which is named.
        """
        policy = Policy.of(allow_home=allow_home, allow_view=allow_view, volume=volume)
        self._revoke(app_name, user_name, policy)


@wiped_methods
class _DatabaseOf22(_Database):
    """The interface of the host's 2.2 and of its master."""

    def grant_access(
        self,
        app_name: str,
        user_name: str,
        app_license: Optional[str],
        allow_home: bool,
        allow_view: bool,
        volume: Optional[str],
        allow_startup_data: bool,
    ) -> str:
        """Give a user an application and return the mapping id.

        Raises
        ------
        NotFound
            For an unknown application or user; the host's where the host is installed.
        ValueError
            For a bad volume or licence.
        """
        policy = Policy.of(
            app_license=app_license,
            allow_home=allow_home,
            allow_view=allow_view,
            volume=volume,
            allow_startup_data=allow_startup_data,
        )
        return self._grant(app_name, user_name, policy)

    def revoke_access(
        self,
        app_name: str,
        user_name: str,
        app_license: Optional[str],
        allow_home: bool,
        allow_view: bool,
        volume: Optional[str],
        allow_startup_data: bool,
    ) -> None:
        """Take an application from a user.

        Raises
        ------
        NotFound, ValueError
            As :meth:`grant_access`.
        ldapdb.errors.HeldThroughGroup
            If the user has it through a group only, which is named.
        """
        policy = Policy.of(
            app_license=app_license,
            allow_home=allow_home,
            allow_view=allow_view,
            volume=volume,
            allow_startup_data=allow_startup_data,
        )
        self._revoke(app_name, user_name, policy)


def _is_of_22() -> bool:
    """Tell the generations apart by the interface itself, not by a version number."""
    return "app_license" in inspect.signature(_ABCDatabase.grant_access).parameters


_Generation: Any = _DatabaseOf22 if _is_of_22() else _DatabaseOf20


class LDAPDatabase(_Generation):  # type: ignore[misc]  # chosen by what is installed
    """The host's database on an LDAP directory.

    Parameters
    ----------
    **database_kwargs
        The settings; see the reference, or ``ldapdb settings``.
    """


def _policy_of_20(policy: Policy) -> Any:
    return PolicyOf20(
        allow_home=policy.allow_home,
        allow_view=policy.allow_view,
        allow_common=policy.allow_common,
        volume_source=policy.volume_source,
        volume_target=policy.volume_target,
        volume_mode=policy.volume_mode,
    )


def _strictly_one(name: object, id: object) -> None:
    if (name is None) == (id is None):
        raise ValueError("give a name or an id, and not both")


def _number(id: object) -> Optional[int]:
    """Read an id as the host passes it: a number, or the text of one from a URL."""
    try:
        return int(str(id))
    except ValueError:
        return None

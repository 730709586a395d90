"""Everything that works on one directory, made together once its kind is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ldapdb.client import Call
from ldapdb.errors import NotFound
from ldapdb.model import User
from ldapdb.protocol.codec import Search
from ldapdb.store.accounting import Accountant
from ldapdb.store.applications import Applications
from ldapdb.store.caches import Caches
from ldapdb.store.grants import Grants
from ldapdb.store.memberships import Memberships
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned
from ldapdb.store.revoking import Revoking
from ldapdb.store.users import Users

__all__ = ["Readers"]


@dataclass(frozen=True)
class Readers:
    """What the use cases are put together from; it holds no answers."""

    profile: Profile
    users: Users
    applications: Applications
    grants: Grants
    memberships: Memberships
    revoking: Revoking
    accountant: Accountant

    @classmethod
    def make(
        cls, profile: Profile, caches: Caches, warned: Warned, clock: Callable[[], float]
    ) -> Readers:
        """Put them together."""
        users, grants = Users(profile, warned, clock), Grants(profile, warned)
        memberships = Memberships(profile, users, grants, warned)
        applications = Applications(profile, warned)
        return cls(
            profile=profile,
            users=users,
            applications=applications,
            grants=grants,
            memberships=memberships,
            revoking=Revoking(profile, users.with_ended(), grants, memberships),
            accountant=Accountant(applications, memberships, caches, warned, clock),
        )

    def asking(self, image: str, user_name: str) -> list[Search]:
        """List the searches that :meth:`require` begins with."""
        return [self.applications.asking(image), *self.users.asking(user_name)]

    def require(self, call: Call, image: str, user_name: str, *, ended: bool = False) -> User:
        """Return the user, if he and the application are there now.

        Parameters
        ----------
        ended : bool
            Whether a locked or expired user will do, from whom something is revoked.

        Raises
        ------
        NotFound
            Naming the one that is not, or saying why the user has no rights.
        """
        if not self.applications.by_images(call, [image]):
            raise NotFound(f"the application {image!r} is not registered; create it first")
        user = self.users.by_name(call, user_name)
        if user is None:
            user = self.users.with_ended().by_name(call, user_name)
            if user is not None and not ended:
                raise NotFound(self.users.no_rights(user), dn=str(user.dn))
        if user is None:
            places = [f"'{base.dn}'" for base in self.profile.users]
            raise NotFound(
                f"the user {user_name!r} is not in the directory, below "
                f"{' or '.join(places)}, and within {self.profile.users_filter}"
            )
        return user

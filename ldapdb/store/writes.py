"""What is changed: applications and grants, in an order in which a crash leaves no half."""

from __future__ import annotations

import re
from typing import Optional

from ldapdb.client import Call, Deadline
from ldapdb.errors import (
    AccessDenied,
    LDAPDBError,
    NoSuchEntry,
    NotFound,
    ReadOnly,
    SettingsError,
)
from ldapdb.model import Application, Policy, User, Window, mapping_id
from ldapdb.protocol.dn import DN
from ldapdb.store.bulk import Bulk
from ldapdb.store.core import READ_ONLY
from ldapdb.store.outcomes import Listed, Revoked
from ldapdb.store.tree import create_tree
from ldapdb.wellformed import check_image, check_text

__all__ = ["Store"]

_MAPPING_ID = re.compile(r"[0-9a-f]{32}")


class Store(Bulk):
    """Users, applications and grants of one directory; see :class:`~ldapdb.store.core.Core`.

    What decides about a change is read from the directory, never from memory.
    """

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

    def list_grants_of(self, image: str) -> list[Listed]:
        """List the readable grants of an image, and how many each names, as removing it finds them.

        It is what :meth:`remove_application` takes along.
        """
        call = self._write_call()
        readers = self._for(call)
        found = readers.grants.readable(readers.grants.of_image(call, image))
        grants = [each for each in found if image in each.images]
        members = readers.memberships.members_of_each(call, {each.dn for each in grants})
        counts = (members.get(each.dn) for each in grants)
        return [
            Listed(grant, 0 if of_it is None else len(of_it.dns) + len(of_it.names))
            for grant, of_it in zip(grants, counts)
        ]

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
            For an image or user that is malformed or not there, or an account that has ended.
        AccessDenied
            If it is not in effect and may not be written.
        SettingsError
            If it is not in effect and its licence may not be written where others may read it.
        """
        check_image(image)
        check_text(user_name, "user name")
        if self.settings.read_only:
            return self._in_effect(image, user_name, policy, ReadOnly(READ_ONLY))
        call = self._write_call()
        readers = self._for(call)
        try:
            readers.profile.notation.require_licence_allowed(policy.app_license)
        except SettingsError as error:
            return self._in_effect(image, user_name, policy, error, call.deadline)
        entry = readers.grants.asking(image, policy, Window())
        call.ask_ahead([*readers.asking(image, user_name), entry])
        user = readers.require(call, image, user_name)
        try:
            readers.grants.add_member(call, image, policy, Window(), user.dn)
            self._routes.require_known(call, user.id)
        except AccessDenied as error:
            self._caches.forget_grants_of(user)
            return self._in_effect(image, user_name, policy, error, call.deadline)
        except NoSuchEntry as error:  # Active Directory looks for members
            raise error.restated(
                f"the user {user_name!r} has left the directory or moved in it since the search, "
                f"as '{user.dn}'; grant it again if the user is still there",
                NotFound,
                dn=str(user.dn),
            ) from error
        finally:
            self._forget_grants_of(call, user)
        identifier = mapping_id(image, policy, user.id)
        self._caches.issue(identifier, user.id, image, policy)
        return identifier

    def revoke(self, image: str, user_name: str, policy: Policy) -> Revoked:
        """Take an application under a policy from a user; what he does not have is no error.

        Also from one whose account is locked or has expired.

        Returns
        -------
        Revoked
            What was asked for, and the entries of somebody else that he was taken out of.

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
        user = self._require(call, image, user_name)
        return Revoked(image, user, (policy,), self._revoke(call, image, user, policy))

    def revoke_by_id(self, identifier: str) -> list[Revoked]:
        """Take away what a mapping id stands for; an unknown id does nothing.

        Returns
        -------
        list of Revoked
            What it stood for; empty for an unknown id.

        Raises
        ------
        HeldThroughGroup
            As :meth:`revoke`.
        AmbiguousName
            If several entries have the user's id: then it may be any of theirs.
        """
        if not _MAPPING_ID.fullmatch(identifier):
            return []
        call = self._write_call()
        issued = self._caches.issued(identifier)
        if issued is not None:
            user_id, image, policy = issued
            user = self._for(call).users.by_id(call, user_id, anybody=True)
            if user is not None:
                left = self._revoke(call, image, user, policy)
                return [Revoked(image, user, (policy,), left)]
        meant = self._for(call).revoking.by_id(call, identifier)
        if not meant:
            self._routes.require_known(call, everybody=True)
        return [
            Revoked(image, holder, (policy,), self._revoke(call, image, holder, policy))
            for image, holder, policy in meant
        ]

    def _require(self, call: Call, image: str, user_name: str) -> User:
        readers = self._for(call)
        call.ask_ahead(readers.asking(image, user_name))
        return readers.require(call, image, user_name, ended=True)

    def _in_effect(
        self,
        image: str,
        user_name: str,
        policy: Policy,
        refusal: LDAPDBError,
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

"""Why a user may start an image or may not, and who may: the answers, and who gives them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from ldapdb.client import Deadline
from ldapdb.entries import IMAGE
from ldapdb.errors import AmbiguousName
from ldapdb.model import Accounting, Application, Grant, Policy, User
from ldapdb.protocol.dn import DN
from ldapdb.store.caches import Caches
from ldapdb.store.outcomes import Listed
from ldapdb.store.reads import Reads
from ldapdb.wellformed import check_image

if TYPE_CHECKING:
    from ldapdb.store.reviewing import Review

__all__ = ["Explaining", "Explanation", "Holder", "Link", "Reason", "Right", "Way", "Who"]


@dataclass(frozen=True)
class Link:
    """An entry that has the one before it as a member.

    Parameters
    ----------
    dn : DN
        The entry's.
    attribute : str
        By which it has it; ``primaryGroupID`` if the member names the group.
    """

    dn: DN
    attribute: str


@dataclass(frozen=True)
class Way:
    """How a grant reaches a user.

    Parameters
    ----------
    links : tuple of Link
        The groups in between, from the user on, and last the grant.
    grant : Grant
        What it grants, and when.
    """

    links: tuple[Link, ...]
    grant: Grant


@dataclass(frozen=True)
class Right:
    """An image that a user has under a policy, now or at another time.

    Parameters
    ----------
    accounting : Accounting
        What the host is told while it holds.
    holds : bool
        Whether it does.
    ways : tuple of Way
        How it reaches him, the shortest way first.
    """

    accounting: Accounting
    holds: bool
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class Reason:
    """What is missing, or what is to be known besides.

    Parameters
    ----------
    kind : str
        For programs; see :mod:`ldapdb.store.why`.
    text : str
        For people, in a sentence.
    dn : str, optional
        The entry concerned.
    """

    kind: str
    text: str
    dn: Optional[str] = None


@dataclass(frozen=True)
class Explanation:
    """What a user may start, and why.

    Parameters
    ----------
    user_name : str
        As it was asked for.
    image : str, optional
        The image that was asked about; None for all.
    user : User, optional
        None if there is nobody of the name.
    rights : tuple of Right
        By image and policy.
    reasons : tuple of Reason
        Why he may not, and what gives him nothing.
    groups : tuple of DN
        The groups that contain him, to any depth.
    servers : tuple of str
        URIs of the servers that were read, not from memory.
    at : float
        When, in seconds since the epoch.
    stated_in : str
        The attribute in which grants state their images.
    """

    user_name: str
    image: Optional[str]
    user: Optional[User]
    rights: tuple[Right, ...]
    reasons: tuple[Reason, ...]
    groups: tuple[DN, ...]
    servers: tuple[str, ...]
    at: float
    stated_in: str = IMAGE

    @property
    def is_allowed(self) -> bool:
        """Whether he may start it now, or anything where no image was asked about."""
        return any(right.holds for right in self.rights)


@dataclass(frozen=True)
class Holder:
    """A user whom a grant of an image reaches.

    Parameters
    ----------
    user : User
        Who.
    policy : Policy
        How he may start it.
    holds : bool
        Whether he may now.
    ways : tuple of Way
        How it reaches him, the shortest way first.
    obstacle : str
        Why the host does not find him; empty if it does.
    """

    user: User
    policy: Policy
    holds: bool
    ways: tuple[Way, ...]
    obstacle: str = ""


@dataclass(frozen=True)
class Who:
    """Everybody whom grants of an image reach.

    Parameters
    ----------
    image : str
        Which.
    application : Application, optional
        None if it is registered nowhere: then nobody may start it.
    holders : tuple of Holder
        By name and policy.
    reasons : tuple of Reason
        What gives nobody anything: members that are nobody, grants that cannot be read.
    servers, at, stated_in
        As for :class:`Explanation`.
    """

    image: str
    application: Optional[Application]
    holders: tuple[Holder, ...]
    reasons: tuple[Reason, ...] = ()
    servers: tuple[str, ...] = ()
    at: float = 0.0
    stated_in: str = IMAGE

    @property
    def is_anybody(self) -> bool:
        """Whether anybody may start it now."""
        return any(holder.holds for holder in self.holders)


class Explaining(Reads):
    """Explains the answers of :class:`~ldapdb.store.reads.Reads`, by the code that gives them.

    Read from the directory, never from memory.
    """

    def explain(self, user_name: str, image: Optional[str] = None) -> Explanation:
        """Say what a user may start, or whether he may start an image, and why.

        Of a locked or expired user it says what enabling the account would give back.

        Raises
        ------
        InvalidValue
            If the image is no image reference.
        DirectoryUnavailable, IncompleteResult, AccessDenied, BaseNotFound
            Whatever cannot be read is an error, never a "no".
        AmbiguousName
            If more than one entry has the name.
        """
        from ldapdb.store.sources import Sources  # noqa: PLC0415 -- the host does not ask
        from ldapdb.store.why import Explainer  # noqa: PLC0415 -- as above

        if image is not None:
            check_image(image)
        ends = self.deadline()
        call = self._directory.call(self._routes.reading(), ends)
        profile = self._for(call).profile
        sources = Sources.make(profile, Caches(self.settings, self._timer), self._clock)
        user = sources.users.by_name(call, user_name)
        explainer = Explainer(sources, image, self._clock)
        is_current = user is not None
        if user is None:
            with suppress(AmbiguousName):  # of several that are none, explain_absence tells
                user = sources.users.with_ended().by_name(call, user_name)
        if user is None:
            return explainer.explain_absence(call, user_name)
        of_grants = self._directory.call(self._routes.reading_grants(user.id), ends)
        found = explainer.explain(of_grants, user_name, user, is_current=is_current)
        if not found.rights:
            self._require_schema(of_grants)
        return found

    def who(self, image: str) -> Who:
        """Say who may start an image, and by way of what.

        Raises
        ------
        InvalidValue, DirectoryUnavailable, IncompleteResult, AccessDenied, BaseNotFound
            As :meth:`explain`.
        """
        from ldapdb.store.holders import Holders  # noqa: PLC0415 -- the host does not ask
        from ldapdb.store.sources import Sources  # noqa: PLC0415 -- as above

        check_image(image)
        call = self._directory.call(self._routes.reading_applications())
        profile = self._for(call).profile
        sources = Sources.make(profile, Caches(self.settings, self._timer), self._clock)
        found = Holders(sources).find(call, image, self._clock())
        if not found.holders:
            self._require_schema(call)
        return found

    def list_grants(self) -> list[Listed]:
        """List all readable grants, by name, read from the directory."""
        call = self._directory.call(self._routes.reading_applications())
        readers = self._for(call)
        grants = readers.grants.all(call)
        if not grants:
            self._require_schema(call)
        members = readers.memberships.members_of_each(call, {grant.dn for grant in grants})
        listed = []
        for grant in sorted(grants, key=lambda grant: str(grant.dn)):
            of_it = members.get(grant.dn)
            count = len(of_it.dns) + len(of_it.names) if of_it is not None else 0
            listed.append(Listed(grant, count))
        return listed

    def review(self, seconds: float = 300) -> Review:
        """Say who may start what, and by way of what: everybody and everything at once.

        Parameters
        ----------
        seconds : float
            How long it may take; operation_timeout_seconds is for a host's calls.

        Raises
        ------
        DirectoryUnavailable, IncompleteResult, AccessDenied, BaseNotFound
            As :meth:`explain`.
        """
        from ldapdb.store.reviewing import review  # noqa: PLC0415 -- the host does not ask
        from ldapdb.store.sources import Sources  # noqa: PLC0415 -- as above

        ends = Deadline(seconds, self._timer)
        call = self._directory.call(self._routes.reading_applications(), ends)
        profile = self._for(call).profile
        sources = Sources.make(profile, Caches(self.settings, self._timer), self._clock)
        found = review(sources, call, self._clock(), self.settings.bind_dn)
        if not found.people:
            self._require_schema(call)
        return found

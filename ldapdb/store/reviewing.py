"""Everybody's rights at once, with the ways they come by: what an access review is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

from ldapdb.client import Call
from ldapdb.errors import LDAPDBError
from ldapdb.model import Accounting, Application, User, mapping_id
from ldapdb.protocol.dn import DN
from ldapdb.store.explaining import Reason
from ldapdb.store.holders import Holders, Reached
from ldapdb.store.sources import Sources, servers_of
from ldapdb.store.why import unreadable
from ldapdb.wellformed import one_line

__all__ = ["Review", "Reviewed", "review"]


@dataclass(frozen=True)
class Reviewed:
    """A user whom a grant reaches.

    Parameters
    ----------
    user : User
        Who.
    obstacle : str
        Why the host does not find him; empty if it does.
    rights : tuple of Reached
        By image and policy; one object for all who have the same.
    """

    user: User
    obstacle: str
    rights: tuple[Reached, ...]


@dataclass(frozen=True)
class Review:
    """Everybody whom a grant reaches.

    Parameters
    ----------
    applications : tuple of Application
        All that are registered, by image.
    people : tuple of Reviewed
        By name.
    reasons : tuple of Reason
        What could not be read, and what gives nobody anything.
    servers : tuple of str
        URIs of the servers that were read.
    base : DN
        The setting base_dn.
    account : str, optional
        Whom the directory takes us for, or, where it does not say, whom the settings name.
    at : float
        When the reading began, in seconds since the epoch.
    """

    applications: tuple[Application, ...]
    people: tuple[Reviewed, ...]
    reasons: tuple[Reason, ...]
    servers: tuple[str, ...]
    base: DN
    account: Optional[str]
    at: float

    def holds(self, who: Reviewed, right: Reached) -> bool:
        """Tell whether the host lets him start it, at the time of the review."""
        return right.image in self.images and not who.obstacle and right.holds(self.at)

    def accountings(self, who: Reviewed) -> list[Accounting]:
        """List what the host would be told of him, in its order."""
        found = [
            Accounting(
                mapping_id(right.image, right.policy, who.user.id),
                who.user,
                self._registered[right.image],
                right.policy,
            )
            for right in who.rights
            if self.holds(who, right)
        ]
        return sorted(found, key=lambda each: (each.application.image, each.id))

    @cached_property
    def images(self) -> frozenset[str]:
        """The images that are registered."""
        return frozenset(self._registered)

    @cached_property
    def _registered(self) -> dict[str, Application]:
        return {each.image: each for each in self.applications}


def review(sources: Sources, call: Call, now: float, account: Optional[str] = None) -> Review:
    """Read everybody's rights.

    One search for all grants, and from them down: the groups level by level, and the users,
    a few hundred in a search.

    Parameters
    ----------
    sources : Sources
        What is read.
    call : Call
        By which.
    now : float
        Seconds since the epoch.
    account : str, optional
        Whom the settings name, for servers that do not tell: Samba 4.17 knows no "Who am I?".
    """
    holders = Holders(sources)
    holders.require_bases(call)
    applications = sources.applications.all(call)
    entries = sources.grants.entries(call)
    grants = sources.grants.readable(entries)
    holders.read(call, grants)
    people = [Reviewed(*each) for each in holders.each()]
    people.sort(key=lambda each: (each.user.name.lower(), str(each.user.dn)))
    reasons = list(unreadable(sources, entries, None))
    images = {each.image for each in applications}
    reasons += _unregistered(sources, people, {i for g in grants for i in g.images} - images)
    reasons += _obstacles(people)
    reasons += holders.dangling(call)
    return Review(
        applications=tuple(applications),
        people=tuple(people),
        reasons=tuple(reasons),
        servers=servers_of(call),
        base=sources.profile.base.dn,
        account=_account(call) or account,
        at=now,
    )


def _unregistered(
    sources: Sources, people: Iterable[Reviewed], images: Iterable[str]
) -> Iterator[Reason]:
    reached = Counter(image for each in people for image in {right.image for right in each.rights})
    base = sources.profile.applications.dn
    for image in sorted(images):
        text = (
            f"the image {image!r} is granted (users: {reached[image]}), and is not registered "
            f"below '{base}' (applications_base)"
        )
        yield Reason("not-registered", text)


def _obstacles(people: Iterable[Reviewed]) -> Iterator[Reason]:
    for each in people:
        if each.obstacle:
            dn = str(each.user.dn)
            text = f"the host does not find '{dn}' by name: {each.obstacle}"
            yield Reason("not-found", text, dn)


def _account(call: Call) -> Optional[str]:
    with suppress(LDAPDBError):  # not every server tells, and the review is read by now
        who = call.who_am_i()
        if who is not None:
            return one_line(who.removeprefix("dn:").strip()) or "anonymous"
    return None

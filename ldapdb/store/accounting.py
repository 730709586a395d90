"""From the grants that reach a user to one accounting per image and policy."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Optional

from ldapdb.client import Call
from ldapdb.model import Accounting, Application, Entitlement, Grant, Policy, User, mapping_id
from ldapdb.store.applications import Applications
from ldapdb.store.caches import Caches
from ldapdb.store.memberships import Memberships
from ldapdb.store.reading import Warned

__all__ = ["Accountant"]


class Accountant:
    """Works out what a user may start.

    Parameters
    ----------
    applications : Applications
        Finds what the images are registered as.
    memberships : Memberships
        Finds what reaches a user.
    caches : Caches
        Spares look-ups of applications, and remembers what mapping ids stand for.
    warned : Warned
        Told of grants that give nothing.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(
        self,
        applications: Applications,
        memberships: Memberships,
        caches: Caches,
        warned: Warned,
        clock: Callable[[], float],
    ) -> None:
        self._applications = applications
        self._memberships = memberships
        self._caches = caches
        self._warned = warned
        self._clock = clock

    def entitlements(
        self, call: Call, user: User, made_from: Optional[set[Hashable]] = None
    ) -> list[Entitlement]:
        """Work out what a user may start, now or at another time, by image.

        Parameters
        ----------
        made_from : set, optional
            Gets the DNs of all entries that decided about it.
        """
        by_what: dict[tuple[str, Policy], list[Grant]] = {}
        reach = self._memberships.reaching(call, user)
        for grant in reach.grants:
            self._warn_of_time(grant)
            for image in grant.images:
                by_what.setdefault((image, grant.policy), []).append(grant)
        applications = self._registered(call, {image for image, _ in by_what})
        if made_from is not None:
            made_from.update({user.dn}, reach.groups, reach.sharing)
            made_from.update(grant.dn for grant in reach.grants)
            made_from.update(application.dn for application in applications.values())
        entitlements = []
        for (image, policy), grants in by_what.items():
            application = applications.get(image)
            if application is None:
                for grant in grants:
                    self._warned.skip(grant.dn, f"the image {image!r} is not registered")
                continue
            identifier = mapping_id(image, policy, user.id)
            self._caches.issue(identifier, user.id, image, policy)
            accounting = Accounting(identifier, user, application, policy)
            entitlements.append(Entitlement(accounting, tuple(grants)))
        entitlements.sort(key=lambda each: (each.accounting.application.image, each.accounting.id))
        return entitlements

    def _registered(self, call: Call, images: set[str]) -> dict[str, Application]:
        cache = self._caches.applications
        known = {image: cache.peek(image) for image in images}
        applications = {image: found for image, found in known.items() if found is not None}
        missing = images - set(applications)
        if missing:
            generation = cache.generation()
            found = self._applications.by_images(call, sorted(missing))
            for image, application in found.items():
                cache.put(image, application, generation)
            applications.update(found)
        return applications

    def _warn_of_time(self, grant: Grant) -> None:
        now = self._clock()
        if grant.window.is_over(now):
            self._warned.skip(grant.dn, "it has expired")
        elif grant.window.is_before(now):
            self._warned.skip(grant.dn, "its time has not begun")

"""An application moves to another image, and its grants follow.

In an order in which nobody who has the old image ever is without the new one, which a crash
may end anywhere, and which may be repeated:

1. every entry that grants the old image grants the new one too, which is not registered yet;
2. the application's entry changes its image, in one modify;
3. the entries stop granting the old image;
4. those of ours are named after the new one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import GRANT_CLASS, IMAGE, is_application, read_dn, read_grant
from ldapdb.errors import (
    AccessDenied,
    EntryExists,
    Exists,
    InvalidValue,
    LDAPDBError,
    NoSuchEntry,
    NoSuchValue,
    NotFound,
    ObjectClassViolation,
    ValueExists,
)
from ldapdb.model import Grant
from ldapdb.naming import application_cn, grant_cn
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry, Modification
from ldapdb.store.applications import (
    Applications,
    delete_or_strip,
    overtaken,
    until_settled,
)
from ldapdb.store.grants import NAMES, Grants
from ldapdb.store.memberships import Memberships
from ldapdb.store.outcomes import some
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned

__all__ = ["Renaming"]

log = logging.getLogger(__name__)

Changes = Sequence[Modification]


class Renaming:
    """Moves grants and applications from one image to another.

    Parameters
    ----------
    profile : Profile
        Where and how.
    applications, grants
        Find the entries.
    memberships
        Finds whose members they are.
    warned : Warned
        Told of entries that cannot be read.
    old, new : str
        The images.
    """

    def __init__(
        self,
        profile: Profile,
        applications: Applications,
        grants: Grants,
        memberships: Memberships,
        warned: Warned,
        old: str,
        new: str,
    ) -> None:
        self._profile = profile
        self._applications = applications
        self._grants = grants
        self._memberships = memberships
        self._warned = warned
        self._old, self._new = old, new
        self._given: set[DN] = set()

    def is_begun(self, call: Call) -> bool:
        """Tell whether a move to the new image, which is registered, is to be finished.

        So it is if the application has the old one's name, and else if there is something left
        that gives nobody anything: names, and grants that grant both.
        """
        if any(self._misnamed_application(call)):
            return True
        left = self._grants.of_image(call, self._old)
        if not left:
            return any(self._misnamed_grants(call))
        return all(self._new in entry.values(IMAGE) for entry in left)

    def registered(self, call: Call, now: float) -> set[str]:
        """Return which of the two images are registered; `now` in seconds since the epoch.

        Raises
        ------
        Exists
            If the old one is, and the new one is as well, or is granted to others.
        """
        # First: a grant has the new one alone only when a move is past the next look.
        widening = self._widening(call, now)
        found = self._applications.by_images(call, [self._old, self._new])
        if len(found) > 1:
            dn = str(found[self._new].dn)
            raise Exists(
                f"{self._new!r} is registered already, as '{dn}'; remove one of the two, or grant "
                f"{self._new!r} to those who are to have it",
                dn=dn,
            )
        if self._old in found and widening:
            by = some(f"'{each}'" for each in widening)
            raise Exists(
                f"{self._new!r} is granted already, though it is not registered, by {by}: whoever "
                f"is in there would be given it; `ldapdb app remove {self._new}` takes that away, "
                "and afterwards it can be granted to those who are to have it",
                dn=str(widening[0]),
            )
        return set(found)

    def _widening(self, call: Call, now: float) -> list[DN]:
        """Name the entries that would give somebody the new image who has not the old one by them.

        They give nothing while it is not registered, whoever left them behind. None is ours from
        a move that was broken off: what that lets grant the new image grants the old one too,
        until the application's entry has the new one.
        """
        entries = self._grants.of_image(call, self._new)
        alone = [entry for entry in entries if self._old not in entry.values(IMAGE)]
        return [each.dn for each in self._grants.readable(alone) if not each.window.is_over(now)]

    def grant_both(self, call: Call) -> set[DN]:
        """Let what grants the old image grant the new one too; return what was changed."""

        def wanted(entry: Entry, images: list[str]) -> Changes:
            # What registers the old image as well can have no second one: it changes later.
            if self._new in images or (is_application(entry) and len(images) == 1):
                return ()
            return self._profile.notation.with_images(entry, [*images, self._new])

        changed = self._change(call, wanted)
        self._given |= changed
        return changed

    def register(self, call: Call) -> None:
        """Let the application's entry have the new image instead of the old one.

        Raises
        ------
        NotFound
            If no entry registers either any more; the grants of the new one are taken back.
        LDAPDBError
            If several entries register the old image.
        """

        def attempt() -> list[LDAPDBError]:
            found = self._applications.registering(call, self._old)
            # By now it may be so: another process does the same, or the answer was lost.
            if not found and not self._applications.registering(call, self._new):
                self._take_back(call)
                raise NotFound(
                    f"{self._old!r} is not registered any more: somebody else has removed or "
                    f"renamed it meanwhile; nothing was renamed to {self._new!r}, and nobody has "
                    "lost anything by this; see `ldapdb app list`"
                )
            if len(found) > 1:
                dns = " and ".join(f"'{dn}'" for dn, _ in found)
                raise LDAPDBError(
                    f"{self._old!r} is registered by {dns}; take it off all but one of them",
                    dn=str(found[0][0]),
                )
            errors: list[LDAPDBError] = []
            for dn, entry in found:
                changes = self._profile.notation.with_images(entry, [self._new])
                errors += _overtaken(call, dn, changes)
            return errors

        until_settled(attempt)

    def grant_new(self, call: Call) -> set[DN]:
        """Let nothing grant the old image any more; return what was changed."""

        def wanted(entry: Entry, images: list[str]) -> Changes:
            if self._new in images:
                return self._profile.notation.without_image(entry, self._old)
            moved = [self._new if image == self._old else image for image in images]
            return self._profile.notation.with_images(entry, moved)

        return self._change(call, wanted)

    def _take_back(self, call: Call) -> None:
        """Let nothing grant the new image that we have let grant it, and nobody has registered."""

        def attempt() -> list[LDAPDBError]:
            errors: list[LDAPDBError] = []
            for entry in self._grants.of_image(call, self._new):
                names = self._warned.readable([entry], read_dn)
                if self._given.intersection(names):
                    errors += overtaken(partial(self._take_out, call, names[0], entry))
            return errors

        until_settled(attempt)

    def _take_out(self, call: Call, dn: DN, entry: Entry) -> None:
        if len(entry.values(IMAGE)) > 1:
            call.modify(dn, self._profile.notation.without_image(entry, self._new))
            return
        # Whoever removed the old image would have had this entry go, but for the new one.
        goes = self._is_misnamed(entry) and not self._is_member(call, dn)
        strip = self._profile.notation.without_class(entry, GRANT_CLASS)
        delete_or_strip(call, dn, entry, strip, dn if goes else None)

    def _change(self, call: Call, wanted: Callable[[Entry, list[str]], Changes]) -> set[DN]:
        changed: set[DN] = set()

        def attempt() -> list[LDAPDBError]:
            errors: list[LDAPDBError] = []
            for entry in self._grants.of_image(call, self._old):
                changes = wanted(entry, entry.values(IMAGE))
                for dn in self._warned.readable([entry], read_dn) if changes else ():
                    failed = _overtaken(call, dn, changes)
                    errors += failed
                    changed.update([] if failed else [dn])
            return errors

        until_settled(attempt)
        return changed

    # --- names

    def name_anew(self, call: Call) -> None:
        """Give our own entries the names that they would have been made with.

        So that an entry of the old image may be made again, and that removing the new one
        deletes them. Nothing else depends on it: they keep their names where the account may
        not rename them, and where groups or grants name them as members, which would go on
        doing so by the old name.
        """
        try:
            for dn, names in self._misnamed(call):
                if self._profile.vendor.links_follow or not self._is_member(call, dn):
                    _rename(call, dn, names)
        except AccessDenied as error:
            log.info("entries keep their names after %s: %s", self._old, error)

    def _misnamed(self, call: Call) -> list[tuple[DN, list[str]]]:
        """Find entries of the new image that are named after the old one, and their new names."""
        return [*self._misnamed_grants(call), *self._misnamed_application(call)]

    def _misnamed_grants(self, call: Call) -> Iterator[tuple[DN, list[str]]]:
        for entry in self._grants.of_image(call, self._new):
            if self._is_misnamed(entry):
                grant = read_grant(entry)
                yield grant.dn, _names(self._new, grant)

    def _is_misnamed(self, entry: Entry) -> bool:
        """Tell whether we would have made a grant of the new image alone for the old one."""
        try:
            grant = read_grant(entry)
        except InvalidValue:
            return False
        names = _names(self._old, grant)
        return grant.images == (self._new,) and _is_named(grant.dn, self._profile.grants.dn, names)

    def _is_member(self, call: Call, dn: DN) -> bool:
        if self._memberships.is_named(call, dn):
            log.info("'%s' keeps its name, by which it is a member of others", dn)
            return True
        return False

    def _misnamed_application(self, call: Call) -> Iterator[tuple[DN, list[str]]]:
        for dn, _ in self._applications.registering(call, self._new):
            if _is_named(dn, self._profile.applications.dn, [application_cn(self._old)]):
                yield dn, [application_cn(self._new)]


def _names(image: str, grant: Grant) -> list[str]:
    return [grant_cn(image, grant.policy, grant.window, each) for each in NAMES]


def _is_named(dn: DN, base: DN, names: Sequence[str]) -> bool:
    return any(dn == base.child("cn", name) for name in names)


def _rename(call: Call, dn: DN, names: Sequence[str]) -> None:
    """Give an entry the first of some names that is free."""
    for name in names:
        try:
            call.rename(dn, dn.parent.child("cn", name).rdns[0])
        except EntryExists:
            continue
        except NoSuchEntry:  # renamed by somebody else, or by us before a lost answer
            return
        return


def _overtaken(call: Call, dn: DN, changes: Changes) -> list[LDAPDBError]:
    """Make a change; return the error by which another process's change shows, if any."""
    error: Optional[LDAPDBError] = None
    try:
        call.modify(dn, changes)
    except (EntryExists, NoSuchEntry, NoSuchValue, ObjectClassViolation, ValueExists) as met:
        log.debug("%s; looking again", met)
        error = met
    return [] if error is None else [error]

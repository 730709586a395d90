"""An application moves to another image, and its grants follow.

In an order in which nobody who has the old image ever is without the new one, which a crash
may end anywhere, and which may be repeated:

1. every entry that grants the old image grants the new one too, which is not registered yet;
2. the application's entry changes its image, in one modify;
3. the entries stop granting the old image, and those of ours are named after the new one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Optional

from ldapdb.connection import Call
from ldapdb.dn import DN
from ldapdb.entries import (
    IMAGE,
    Entry,
    Modification,
    is_application,
    read_dn,
    read_grant,
)
from ldapdb.errors import (
    AccessDenied,
    EntryExists,
    InvalidValue,
    LDAPDBError,
    NoSuchEntry,
    NoSuchValue,
    ObjectClassViolation,
    ValueExists,
)
from ldapdb.naming import application_cn, grant_cn
from ldapdb.store.applications import Applications, until_settled
from ldapdb.store.grants import NAMES, Grants
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
        warned: Warned,
        old: str,
        new: str,
    ) -> None:
        self._profile = profile
        self._applications = applications
        self._grants = grants
        self._warned = warned
        self._old, self._new = old, new

    def is_begun(self, call: Call) -> bool:
        """Tell whether anything of the old image is left where the new one is registered."""
        return bool(self._grants.of_image(call, self._old) or self._misnamed(call))

    def grant_both(self, call: Call) -> set[DN]:
        """Let what grants the old image grant the new one too; return what was changed."""

        def wanted(entry: Entry, images: list[str]) -> Changes:
            # What registers the old image as well can have no second one: it changes later.
            if self._new in images or (is_application(entry) and len(images) == 1):
                return ()
            return self._profile.notation.with_images(entry, [*images, self._new])

        return self._change(call, wanted)

    def register(self, call: Call) -> None:
        """Let the application's entry have the new image instead of the old one.

        Raises
        ------
        LDAPDBError
            If several entries register the old image.
        """

        def attempt() -> list[LDAPDBError]:
            found = self._applications.registering(call, self._old)
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

        changed = self._change(call, wanted)
        self._name_anew(call)
        return changed

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

    def _name_anew(self, call: Call) -> None:
        """Give our own entries the names that they would have been made with.

        So that an entry of the old image may be made again, and that removing the new one
        deletes them. Nothing else depends on it: where the account may not, they stay.
        """
        try:
            for dn, names in self._misnamed(call):
                _rename(call, dn, names)
        except AccessDenied as error:
            log.info("entries keep their names after %s: %s", self._old, error)

    def _misnamed(self, call: Call) -> list[tuple[DN, list[str]]]:
        """Find entries of the new image that are named after the old one, and their new names."""
        return [*self._misnamed_grants(call), *self._misnamed_application(call)]

    def _misnamed_grants(self, call: Call) -> Iterator[tuple[DN, list[str]]]:
        for entry in self._grants.of_image(call, self._new):
            try:
                grant = read_grant(entry)
            except InvalidValue:
                continue
            before, after = (
                [grant_cn(image, grant.policy, grant.window, each) for each in NAMES]
                for image in (self._old, self._new)
            )
            if grant.images == (self._new,) and _is_named(
                grant.dn, self._profile.grants.dn, before
            ):
                yield grant.dn, after

    def _misnamed_application(self, call: Call) -> Iterator[tuple[DN, list[str]]]:
        for dn, _ in self._applications.registering(call, self._new):
            if _is_named(dn, self._profile.applications.dn, [application_cn(self._old)]):
                yield dn, [application_cn(self._new)]


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

"""Applications, as entries of class remoteAppApplication."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import (
    APPLICATION_CLASS,
    DISPLAY_NAME,
    IMAGE,
    is_application,
    read_application,
    read_dn,
)
from ldapdb.errors import (
    AmbiguousName,
    EntryExists,
    Exists,
    LDAPDBError,
    NoSuchEntry,
    NoSuchValue,
    ObjectClassViolation,
)
from ldapdb.model import Application
from ldapdb.naming import application_cn
from ldapdb.protocol import filters
from ldapdb.protocol.codec import Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry, Modification, Operation
from ldapdb.protocol.filters import Filter
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned, batches, query, search
from ldapdb.store.sight import confirm_nothing
from ldapdb.syntaxes import write_identifier

__all__ = ["Applications"]

log = logging.getLogger(__name__)

# How often a removal that other processes get in the way of is begun again.
_ATTEMPTS = 5


class Applications:
    """Finds, makes and removes applications.

    Parameters
    ----------
    profile : Profile
        Where and how.
    warned : Warned
        Told of entries that cannot be read.
    """

    def __init__(self, profile: Profile, warned: Warned) -> None:
        self._profile = profile
        self._warned = warned
        self._notation = profile.notation
        vendor = profile.vendor
        self._id_attribute = vendor.identifier_attribute
        form = vendor.identifier_form(vendor.identifier_attribute)
        assert form is not None  # noqa: S101 -- every record lists its own identifier
        self._id_form = form
        self._attributes = (*self._notation.attributes, self._id_attribute)

    def by_images(self, call: Call, images: Iterable[str]) -> dict[str, Application]:
        """Find the applications of some images, in one round trip for a few hundred."""
        wanted, found = set(images), []
        for batch in batches(sorted(wanted)):
            found += self._search(call, self._notation.of_images(APPLICATION_CLASS, batch))
        named = (application for application in found if application.image in wanted)
        return {application.image: application for application in self._unique(named)}

    def asking(self, image: str) -> Search:
        """Return the search that :meth:`by_images` makes for an image."""
        wanted = self._notation.of_images(APPLICATION_CLASS, [image])
        return query(self._profile.applications, wanted, self._attributes, self._profile.page_size)

    def by_id(self, call: Call, application_id: int) -> Optional[Application]:
        """Find an application by id.

        Raises
        ------
        AmbiguousName
            If entries of several images have the id.
        """
        identifier = write_identifier(application_id, self._id_form)
        if identifier is None:
            return None
        carrying = self._notation.carrying(APPLICATION_CLASS)
        wanted = filters.all_of(carrying, filters.equal(self._id_attribute, identifier))
        found = self._search(call, wanted)
        if len({each.image for each in found}) > 1:
            dns = " and ".join(f"'{each.dn}'" for each in found)
            raise AmbiguousName(
                f"the id {application_id} belongs to {len(found)} applications: {dns}; create all "
                "but one of these entries again, and use the images until then",
                dn=str(found[0].dn),
            )
        return found[0] if found else None

    def all(self, call: Call) -> list[Application]:
        """List all applications, by image."""
        found = self._search(call, self._notation.carrying(APPLICATION_CLASS))
        return sorted(self._unique(found), key=lambda application: application.image)

    def confirm_none(self, call: Call) -> None:
        """See that an empty list that had applications is not for want of rights.

        Raises
        ------
        AccessDenied
            If there are entries and the account is shown none any more.
        """
        wanted = self._notation.carrying(APPLICATION_CLASS)
        confirm_nothing(call, [self._profile.applications], wanted, "applications")

    def create(self, call: Call, image: str) -> Application:
        """Register an image.

        Two processes that do it at once derive one DN, so that one of them is told.

        Raises
        ------
        Exists
            If the image is registered already.
        NoSuchEntry
            If the entry is gone as it is made, or the account may not read what it writes.
        """
        self._refuse_registered(call, image)
        dn = self._profile.applications.dn.child("cn", application_cn(image))
        new = self._profile.new_group(dn, APPLICATION_CLASS, {IMAGE: [image]})
        try:
            call.add(dn, *new)
        except EntryExists as error:
            if error.answer_lost:
                # It may be our own of a moment ago, and what was asked for is so in any case.
                created = self.by_images(call, [image]).get(image)
                if created is not None:
                    return created
            self._refuse_registered(call, image)
            raise error.restated(
                f"cannot register {image!r}: the entry '{dn}' is there already and does not "
                "register it; rename that entry, or give it the class remoteAppApplication "
                "and the image",
                LDAPDBError,
                dn=str(dn),
            ) from error
        except NoSuchEntry as error:
            raise tree_missing(self._profile, error) from error
        created = self.by_images(call, [image]).get(image)
        if created is None:
            raise NoSuchEntry(
                f"the entry '{dn}' was made for {image!r} and cannot be read back: it was removed "
                "again at the same moment, or this account may not read what it writes",
                dn=str(dn),
            )
        return created

    def registering(self, call: Call, image: str) -> list[tuple[DN, Entry]]:
        """Find the entries that register an image, whether or not they have an identifier."""
        wanted = self._notation.of_images(APPLICATION_CLASS, [image])
        attributes = (*self._notation.attributes, DISPLAY_NAME)
        found = search(
            call, self._profile.applications, wanted, attributes, self._profile.page_size
        )
        registering = []
        for entry in self._warned.readable(found, self._notation.read):
            names = self._warned.readable([entry], read_dn) if is_application(entry) else []
            if names and self._warned.readable([entry], _image) == [image]:
                registering.append((names[0], entry))
        return registering

    def remove(self, call: Call, image: str) -> None:
        """Take an image off the register: our own entries go, others lose the class."""
        ours = self._profile.applications.dn.child("cn", application_cn(image))

        def attempt() -> list[LDAPDBError]:
            errors = []
            for dn, entry in self.registering(call, image):
                strip = self._notation.without_class(entry, APPLICATION_CLASS)
                errors += overtaken(partial(delete_or_strip, call, dn, entry, strip, ours))
            return errors

        until_settled(attempt)

    def _refuse_registered(self, call: Call, image: str) -> None:
        registered = self.by_images(call, [image]).get(image)
        if registered is not None:
            raise Exists(
                f"the application {image!r} exists already, as '{registered.dn}'",
                dn=str(registered.dn),
            )

    def _search(self, call: Call, wanted: Filter) -> list[Application]:
        found = search(
            call,
            self._profile.applications,
            wanted,
            self._attributes,
            self._profile.page_size,
        )
        entries = filter(is_application, self._warned.readable(found, self._notation.read))
        return self._warned.readable(
            entries, lambda entry: read_application(entry, self._id_attribute, self._id_form)
        )

    def _unique(self, found: Iterable[Application]) -> list[Application]:
        """Keep one application per image: where two entries register it, the lower id."""
        registered: dict[str, list[Application]] = defaultdict(list)
        for application in found:
            registered[application.image].append(application)
        for image, same in registered.items():
            same.sort(key=lambda application: (application.id, str(application.dn)))
            for double in same[1:]:
                self._warned.skip(double.dn, f"{image!r} is registered by '{same[0].dn}' too")
        return [same[0] for same in registered.values()]


def _image(entry: Entry) -> Optional[str]:
    return entry.value(IMAGE)


def overtaken(change: Callable[[], None]) -> list[LDAPDBError]:
    """Make a change; return the error by which another process's change shows, if any.

    "No such value", and an entry that would break its classes, do not say that the work is
    done, nor does "no such entry": it may have been renamed.
    """
    try:
        change()
    except (NoSuchEntry, NoSuchValue, ObjectClassViolation) as error:
        log.debug("%s; looking again", error)
        return [error]
    return []


def until_settled(attempt: Callable[[], Sequence[LDAPDBError]]) -> None:
    """Search and change, and again as long as other processes' changes come in between.

    Raises
    ------
    LDAPDBError
        What came in between last.
    """
    for _ in range(_ATTEMPTS):
        errors = attempt()
        if not errors:
            return
    raise errors[-1]


def tree_missing(profile: Profile, error: NoSuchEntry) -> LDAPDBError:
    """Say that the tree is not there to add an entry to."""
    return error.restated(
        f"'{error.dn}' cannot be added: the entry above it is missing; run `ldapdb init`, or "
        f"see base_dn '{profile.base.dn}'",
        LDAPDBError,
    )


def delete_or_strip(
    call: Call, dn: DN, entry: Entry, strip: Sequence[Modification], ours: Optional[DN]
) -> None:
    """Delete an entry that ldapdb made; take the class off one that somebody else made."""
    if dn == ours:
        call.delete(dn)
        return
    try:
        call.modify(dn, strip)
    except ObjectClassViolation:
        # Our class allows displayName; what class is left may not.
        if DISPLAY_NAME.lower() not in entry.attributes:
            raise
        call.modify(dn, [*strip, Modification(Operation.DELETE, DISPLAY_NAME)])

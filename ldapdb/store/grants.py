"""Grants, as group entries of class remoteAppGrant."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Optional

from ldapdb.client import EVERYTHING, Call
from ldapdb.entries import (
    GRANT_CLASS,
    IMAGE,
    LICENSE,
    MEMBER,
    grant_attributes,
    is_grant,
    read_dn,
    read_grant,
    read_images,
)
from ldapdb.errors import (
    AccessDenied,
    EntryExists,
    InvalidValue,
    LDAPDBError,
    NoSuchEntry,
    NoSuchValue,
    ObjectClassViolation,
)
from ldapdb.model import Grant, Policy, Window
from ldapdb.naming import grant_cn, is_made_here
from ldapdb.protocol import filters
from ldapdb.protocol.codec import BASE, NO_ATTRIBUTES, Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry, Modification, Operation
from ldapdb.protocol.filters import Filter
from ldapdb.store.applications import (
    delete_or_strip,
    overtaken,
    tree_missing,
    until_settled,
)
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned, search
from ldapdb.store.sight import confirm_nothing

__all__ = ["NAMES", "Grants"]

log = logging.getLogger(__name__)

# Which names are tried for a grant where the entry no longer says what its name says.
NAMES = range(1, 10)
# How often a member is added or removed again whom others remove and add meanwhile.
_MORE = 3


class Grants:
    """Finds and changes grants.

    Parameters
    ----------
    profile : Profile
        Where and how.
    warned : Warned
        Told of entries that cannot be read.
    """

    def __init__(self, profile: Profile, warned: Warned) -> None:
        self._profile = profile
        self._notation = profile.notation
        self._warned = warned

    def naming(
        self, call: Call, image: str, memberships: Iterable[tuple[str, str]]
    ) -> list[tuple[Grant, str, str]]:
        """Find the grants of an image that name a member directly.

        Returns
        -------
        list of (Grant, str, str)
            With the attribute and the value of `memberships` that names the member.
        """
        found: list[tuple[Grant, str, str]] = []
        of_image = self._notation.of_images(GRANT_CLASS, [image])
        for attribute, value in memberships:
            wanted = filters.all_of(of_image, filters.equal(attribute, value))
            found += [(grant, attribute, value) for grant in self._search(call, wanted)]
        return [each for each in found if image in each[0].images]

    def is_ours(self, grant: Grant) -> bool:
        """Tell whether an entry was made by :meth:`add_member`, and grants nothing else since."""
        name = grant.dn.rdns[0][0].value
        is_here = grant.dn.parent == self._profile.grants.dn
        return is_here and len(grant.images) == 1 and is_made_here(name)

    def all(self, call: Call) -> list[Grant]:
        """List all readable grants."""
        return self._search(call, self._notation.carrying(GRANT_CLASS))

    def entries(self, call: Call) -> list[Entry]:
        """List all entries that grant something, whether or not all that they say can be read."""
        return self._entries(call, self._notation.carrying(GRANT_CLASS))

    def of_image(self, call: Call, image: str) -> list[Entry]:
        """Find the entries that grant an image, whether or not all that they say can be read."""
        of_image = self._notation.of_images(GRANT_CLASS, [image])
        found = self._entries(call, of_image)
        self._warned.readable(found, read_images)
        return [entry for entry in found if image in _images(entry)]

    def confirm_none(self, call: Call) -> None:
        """See that a user who had grants and has none has not lost them for want of rights.

        Raises
        ------
        AccessDenied
            If there are entries and the account is shown none any more.
        """
        has_members = filters.any_of(*map(filters.present, self._profile.member_attributes))
        wanted = filters.all_of(self._notation.carrying(GRANT_CLASS), has_members)
        confirm_nothing(call, [self._profile.grants], wanted, "grants")

    def asking(self, image: str, policy: Policy, window: Window) -> Search:
        """Return the search that :meth:`add_member` begins with."""
        dn = self._profile.grants.dn.child("cn", grant_cn(image, policy, window, 1))
        return Search(str(dn), BASE, EVERYTHING, tuple(self._notation.attributes))

    def add_member(
        self, call: Call, image: str, policy: Policy, window: Window, *members: DN
    ) -> Optional[DN]:
        """Give a grant of one image to a member or several, in one write of one entry.

        The entry of the derived name is made, or gets the members. Where that entry was
        changed by hand and grants something else by now, the next name serves.

        Returns
        -------
        DN or None
            The entry; None if it named all of them already.

        Raises
        ------
        SettingsError
            If the policy has a licence that may not be written; nothing is written then.
        """
        self._notation.require_licence_allowed(policy.app_license)
        for attempt in NAMES:
            dn = self._profile.grants.dn.child("cn", grant_cn(image, policy, window, attempt))
            try:
                was_added = self._add_to(call, dn, image, policy, window, members)
            except EntryExists:  # made by another process since we looked, or hidden
                try:
                    was_added = self._add_to(call, dn, image, policy, window, members)
                except EntryExists as error:
                    raise error.restated(
                        f"the entry '{dn}' is there already and hidden from this account; let "
                        "the account read and write it, or set read_only",
                        AccessDenied,
                        dn=str(dn),
                    ) from error
            if was_added is not None:
                return dn if was_added else None
        raise LDAPDBError(
            f"none of the entries '{dn}' and before grants {image!r} as its name says; they were "
            "changed by hand: rename them",
            dn=str(dn),
        )

    def remove_member(self, call: Call, grant: DN, attribute: str, value: str) -> None:
        """Take a member out of a grant; the entry stays.

        Raises
        ------
        NoSuchEntry
            If it is not there by that name any longer. It may have been renamed.
        NoSuchValue
            If the entry of that name does not have the member. It may be another entry by
            now, and the one that was meant renamed.
        """
        removed = [self._remove_value(call, grant, attribute, value)]
        others = self._with_options(call, grant, attribute, value)
        removed += [self._remove_value(call, grant, name, value) for name in others]
        if True not in removed:
            error = NoSuchValue(f"{value!r} is no {attribute} of '{grant}'", dn=str(grant))
            error.answer_lost = None in removed
            raise error

    def _remove_value(self, call: Call, dn: DN, name: str, value: str) -> Optional[bool]:
        """Remove a value of an attribute description; as :meth:`_modify_member`."""
        removal = Modification(Operation.DELETE, name, (value,))
        try:
            return self._modify_member(call, dn, [removal])
        except ObjectClassViolation:
            # OpenLDAP's groupOfNames must keep one member. The empty DN, which names
            # nobody, goes in as the member goes out; in one modify, so that a member who is
            # added at the same time is not lost.
            placeholder = Modification(Operation.ADD, name.partition(";")[0], ("",))
            return self._modify_member(call, dn, [placeholder, removal])

    def _with_options(self, call: Call, dn: DN, attribute: str, value: str) -> list[str]:
        """List forms of an attribute with options, such as ``member;lang-fr``, that have a value.

        A search by the attribute finds them, and removing the value from the attribute leaves
        them as they are: the member would still have the right.
        """
        if not self._profile.vendor.attribute_options or not self._has(call, dn, attribute, value):
            return []
        _, entries = call.read(dn, (attribute,))
        start = f"{attribute.lower()};"
        names = (name for entry in entries for name in entry.attributes if name.startswith(start))
        return [name for name in names if self._has(call, dn, name, value)]

    def _has(self, call: Call, dn: DN, name: str, value: str) -> bool:
        return bool(call.read(dn, NO_ATTRIBUTES, filters.equal(name, value))[1])

    def _modify_member(
        self, call: Call, dn: DN, changes: Sequence[Modification], again: int = _MORE
    ) -> Optional[bool]:
        """Add or delete members, where what is asked for may be so already; False if it was.

        None if it was, and perhaps by this very request, because its first answer was lost.

        Servers say "already there" and "not there" by codes that also mean other things
        (68 and 53 on Active Directory), so that what they say is looked at, not believed. Where
        it is not so, somebody else may have changed it in between: then it is tried again.
        """
        vendor = self._profile.vendor
        try:
            call.modify(dn, changes)
        except LDAPDBError as error:
            last = changes[-1]
            wanted = last.operation is Operation.ADD
            if len(changes) > 1 and error.result_code in vendor.already_there:
                # The placeholder was put in by somebody else since, or by us before a lost answer.
                return self._modify_member(call, dn, changes[1:])
            codes = vendor.already_there if wanted else vendor.not_there
            if error.result_code not in codes:
                raise
            if len(last.values) > 1:
                # One of several: which, the server does not say.
                each = [replace(last, values=(value,)) for value in last.values]
                was_so = [not self._modify_member(call, dn, [one]) for one in each]
                return not all(was_so)
            if self._has(call, dn, last.attribute, last.values[0]) is wanted:
                return None if error.answer_lost else False
            if not wanted and self._with_options(call, dn, last.attribute, last.values[0]):
                return False  # it is in these alone
            if not again:
                raise
        else:
            return True
        return self._modify_member(call, dn, changes, again - 1)

    def remove_image(self, call: Call, image: str) -> None:
        """Take an image out of all grants; what can be repeated at any point.

        An entry of ours that grants nothing else is deleted; one that somebody else made
        loses the class and stays.
        """
        of_image = self._notation.of_images(GRANT_CLASS, [image])

        def attempt() -> list[LDAPDBError]:
            return [
                error
                for entry in self._entries(call, of_image)
                for error in overtaken(partial(self._take_out, call, entry, image))
            ]

        until_settled(attempt)

    def require_movable(self, call: Call, image: str) -> None:
        """See that every grant of an image may be written again with its licence.

        Raises
        ------
        SettingsError
            If not: then nothing is to be changed.
        """
        for entry in self.of_image(call, image):
            for licence in entry.raw(LICENSE):  # also where it makes the grant unreadable
                self._notation.require_licence_allowed(licence.decode(errors="replace"))

    def _take_out(self, call: Call, entry: Entry, image: str) -> None:
        dn = self._name(entry)
        images = [bytes(value) for value in entry.attributes.get(IMAGE.lower(), ())]
        if dn is None or image.encode() not in images:
            return
        if len(images) > 1:
            call.modify(dn, self._notation.without_image(entry, image))
        else:
            strip = self._notation.without_class(entry, GRANT_CLASS)
            delete_or_strip(call, dn, entry, strip, self._our_name(entry, image))

    def _add_to(
        self,
        call: Call,
        dn: DN,
        image: str,
        policy: Policy,
        window: Window,
        members: Sequence[DN],
        *,
        again: bool = True,
    ) -> Optional[bool]:
        """Add members to the entry, or make it; None if it grants something else.

        Otherwise returns whether any of them was not in it before.
        """
        entries = self._entry(call, dn)
        if not entries:
            said = {**grant_attributes([image], policy, window), MEMBER: list(map(str, members))}
            try:
                call.add(dn, *self._profile.new_group(dn, GRANT_CLASS, said))
            except NoSuchEntry as error:
                # Active Directory says so of a member, too.
                if self._entry(call, dn.parent):
                    raise
                raise tree_missing(self._profile, error) from error
            return True
        if not self._says(entries, image, policy, window):
            self._warned.skip(dn, "it does not grant what its name says; another entry serves")
            return None
        try:
            addition = Modification(Operation.ADD, MEMBER, tuple(map(str, members)))
            return bool(self._modify_member(call, dn, [addition]))
        except NoSuchEntry:  # removed since we looked
            if not again:
                raise
            return self._add_to(call, dn, image, policy, window, members, again=False)

    def _entry(self, call: Call, dn: DN) -> list[Entry]:
        """Read an entry that may not be there.

        389 DS tells "no such object" only to whom it may tell all of the entry above; others
        get success and nothing, for what is absent as for what is hidden. An add tells which.
        """
        try:
            return call.read(dn, self._notation.attributes)[1]
        except NoSuchEntry:
            return []

    def _name(self, entry: Entry) -> Optional[DN]:
        """Read an entry's name; None, with a warning, if it cannot be read."""
        names = self._warned.readable([entry], read_dn)
        return names[0] if names else None

    def _our_name(self, entry: Entry, image: str) -> Optional[DN]:
        """Return the name that we would have given to this grant."""
        try:
            grant = read_grant(entry)
        except InvalidValue:
            return None
        names = (grant_cn(image, grant.policy, grant.window, attempt) for attempt in NAMES)
        ours = (self._profile.grants.dn.child("cn", name) for name in names)
        return next((dn for dn in ours if dn == grant.dn), None)

    def _entries(self, call: Call, wanted: Filter) -> list[Entry]:
        """Search for entries that carry a grant."""
        profile = self._profile
        found = search(call, profile.grants, wanted, self._notation.attributes, profile.page_size)
        return [entry for entry in self.read(found) if is_grant(entry)]

    def _search(self, call: Call, wanted: Filter) -> list[Grant]:
        return self.readable(self._entries(call, wanted))

    def read(self, entries: Iterable[Entry]) -> list[Entry]:
        """Read what entries say; one that cannot be read is left as a group like any other."""
        read = []
        for entry in entries:
            try:
                read.append(self._notation.read(entry))
            except InvalidValue as error:
                self._warned.skip(entry.dn, error)
                read.append(replace(entry, attributes={}))
        return read

    def _says(self, entries: Iterable[Entry], image: str, policy: Policy, window: Window) -> bool:
        """Tell whether the entry that was read grants exactly this."""
        said = [entry for entry in self.read(entries) if is_grant(entry)]
        try:
            grants = [read_grant(entry) for entry in said]
        except InvalidValue:
            return False
        wanted = (image,), policy, window
        return [(grant.images, grant.policy, grant.window) for grant in grants] == [wanted]

    def readable(self, entries: Iterable[Entry]) -> list[Grant]:
        """Read the grants that entries carry, leaving out what cannot be read."""
        whole = list(entries)
        for entry in whole:
            for image in read_images(entry)[1] if _has_good_image(entry) else ():
                self._warned.skip(entry.dn, f"the image {image!r} is not a Docker reference")
        return self._warned.readable(whole, read_grant)


def _images(entry: Entry) -> list[str]:
    """List an entry's images; none where they cannot be read."""
    try:
        return entry.values(IMAGE)
    except InvalidValue:
        return []


def _has_good_image(entry: Entry) -> bool:
    try:
        return bool(read_images(entry)[0])
    except InvalidValue:
        return False

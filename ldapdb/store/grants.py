"""Grants, as group entries of class remoteAppGrant, and the groups that reach them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from ldapdb import filters
from ldapdb.connection import Call
from ldapdb.dn import DN, common_ancestor
from ldapdb.entries import (
    GRANT_ATTRIBUTES,
    GRANT_CLASS,
    IMAGE,
    MEMBER,
    OBJECT_CLASS,
    Entry,
    Modification,
    Operation,
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
    ValueExists,
)
from ldapdb.filters import Filter
from ldapdb.model import Grant, Policy, Window
from ldapdb.naming import grant_cn
from ldapdb.store.applications import delete_or_strip, tree_missing
from ldapdb.store.profile import Base, Profile
from ldapdb.store.reading import Warned, batches, search
from ldapdb.store.users import rdn_filter

__all__ = ["Grants", "Reach"]

log = logging.getLogger(__name__)

_IS_GRANT = filters.equal(OBJECT_CLASS, GRANT_CLASS)
# How often another name is tried for a grant whose entry no longer says what its name says.
_ATTEMPTS = 9


@dataclass(frozen=True)
class Reach:
    """What reaches a user.

    Parameters
    ----------
    grants : tuple of Grant
        Readable grants of which he, or a group that contains him, is a member.
    groups : frozenset of DN
        The groups that contain him, to any depth.
    """

    grants: tuple[Grant, ...]
    groups: frozenset[DN]


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
        self._warned = warned
        # A group is what groups_filter matches; an entry that carries a grant is a group too.
        self._is_member_entry = filters.any_of(profile.groups_filter, _IS_GRANT)
        self._bases = _bases(profile)

    def reaching(self, call: Call, user_dn: DN) -> Reach:
        """Find what reaches a user: one search, and one more per level of groups.

        Groups and grants are asked for together, level by level: first those that have the
        user as a member, then those that have one of these groups as a member, until no
        new group turns up. Members are never read, only filtered on.
        """
        grants: dict[DN, Entry] = {}
        groups: set[DN] = set()
        frontier, depth = [user_dn], 0
        while frontier:
            found: list[DN] = []
            for entry in self._having_member(call, frontier):
                dn = self._name(entry)
                if dn is None:
                    continue
                if is_grant(entry) and dn.is_under(self._profile.grants.dn):
                    grants[dn] = entry
                if dn.is_under(self._profile.groups.dn) and dn not in groups and dn != user_dn:
                    groups.add(dn)
                    found.append(dn)
            depth += 1
            # Without nesting, a group's grants count, and the groups it is in do not.
            frontier = found if self._profile.nested_groups or depth == 1 else []
        return Reach(tuple(self._readable(grants.values())), frozenset(groups))

    def of_member(self, call: Call, image: str, member: DN) -> list[tuple[Grant, str]]:
        """Find the grants of an image that name a member directly.

        Returns
        -------
        list of (Grant, str)
            With the attribute that names him.
        """
        found: list[tuple[Grant, str]] = []
        for attribute in self._profile.member_attributes:
            wanted = filters.all_of(
                _IS_GRANT, filters.equal(IMAGE, image), filters.equal(attribute, str(member))
            )
            entries = search(
                call, self._profile.grants, wanted, GRANT_ATTRIBUTES, self._profile.page_size
            )
            found += [(grant, attribute) for grant in self._readable(entries)]
        return [(grant, attribute) for grant, attribute in found if image in grant.images]

    def all(self, call: Call) -> list[Grant]:
        """List all readable grants."""
        return self._readable(
            search(call, self._profile.grants, _IS_GRANT, GRANT_ATTRIBUTES, self._profile.page_size)
        )

    def members(self, call: Call, dns: Iterable[DN]) -> set[DN]:
        """Read the members of the groups and grants among some DNs."""
        members: set[DN] = set()
        for batch in batches(dns):
            wanted = filters.all_of(self._is_member_entry, filters.any_of(*map(rdn_filter, batch)))
            for entry in self._in_bases(call, wanted, self._profile.member_attributes):
                if self._name(entry) in batch:
                    members.update(self._members_of(entry))
        return members

    def add_member(
        self, call: Call, image: str, policy: Policy, window: Window, member: DN
    ) -> None:
        """Give a grant of one image to a member, in one write of one entry.

        The entry of the derived name is made, or gets the member. Where that entry was
        changed by hand and grants something else by now, the next name serves.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            dn = self._profile.grants.dn.child("cn", grant_cn(image, policy, window, attempt))
            try:
                if self._add_to(call, dn, image, policy, window, member):
                    return
            except EntryExists:  # made by another process since we looked
                if self._add_to(call, dn, image, policy, window, member):
                    return
        raise LDAPDBError(
            f"none of the entries '{dn}' and before grants {image!r} as its name says; they were "
            "changed by hand: rename them",
            dn=str(dn),
        )

    def remove_member(self, call: Call, grant: Grant, attribute: str, member: DN) -> None:
        """Take a member out of a grant; the entry stays."""
        removal = Modification(Operation.DELETE, attribute, (str(member),))
        try:
            call.modify(grant.dn, [removal])
        except (NoSuchEntry, NoSuchValue):
            return  # gone already
        except ObjectClassViolation:
            # OpenLDAP's groupOfNames must keep one member. The empty DN, which names
            # nobody, goes in as he goes out; in one modify, so that a member who is added
            # at the same time is not lost.
            placeholder = Modification(Operation.ADD, attribute, ("",))
            try:
                call.modify(grant.dn, [placeholder, removal])
            except (NoSuchEntry, NoSuchValue):
                return
            except ValueExists:  # put in by somebody else since, or by us before a lost answer
                with contextlib.suppress(NoSuchEntry, NoSuchValue):
                    call.modify(grant.dn, [removal])

    def remove_image(self, call: Call, image: str) -> None:
        """Take an image out of all grants; what can be repeated at any point.

        An entry of ours that grants nothing else is deleted; one that somebody else made
        loses the class and stays.
        """
        wanted = filters.all_of(_IS_GRANT, filters.equal(IMAGE, image))
        for entry in search(
            call, self._profile.grants, wanted, GRANT_ATTRIBUTES, self._profile.page_size
        ):
            dn = self._name(entry)
            if dn is None:
                continue
            images = entry.attributes.get(IMAGE.lower(), ())
            try:
                if len(images) > 1:
                    call.modify(dn, [Modification(Operation.DELETE, IMAGE, (image,))])
                else:
                    ours = self._our_name(entry, image)
                    delete_or_strip(call, dn, entry, GRANT_CLASS, ours=ours)
            except (NoSuchEntry, NoSuchValue):
                continue  # somebody else was faster

    def _add_to(
        self,
        call: Call,
        dn: DN,
        image: str,
        policy: Policy,
        window: Window,
        member: DN,
        *,
        again: bool = True,
    ) -> bool:
        """Add a member to the entry, or make it; False if it grants something else."""
        try:
            _, entries = call.read(dn, GRANT_ATTRIBUTES)
        except NoSuchEntry:
            attributes = grant_attributes([image], policy, window)
            classes = [self._profile.group_object_class, GRANT_CLASS]
            try:
                call.add(dn, classes, {**attributes, MEMBER: [str(member)]})
            except NoSuchEntry as error:
                raise tree_missing(self._profile, error) from error
            return True
        if not _says(entries, image, policy, window):
            self._warned.skip(dn, "it does not grant what its name says; another entry serves")
            return False
        try:
            call.modify(dn, [Modification(Operation.ADD, MEMBER, (str(member),))])
        except ValueExists:
            pass
        except NoSuchEntry:  # removed since we looked
            if not again:
                raise
            return self._add_to(call, dn, image, policy, window, member, again=False)
        return True

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
        names = (
            grant_cn(image, grant.policy, grant.window, attempt)
            for attempt in range(1, _ATTEMPTS + 1)
        )
        ours = (self._profile.grants.dn.child("cn", name) for name in names)
        return next((dn for dn in ours if dn == grant.dn), None)

    def _having_member(self, call: Call, members: Sequence[DN]) -> list[Entry]:
        entries: list[Entry] = []
        for batch in batches(members):
            is_member = filters.any_of(
                *(
                    filters.equal(attribute, str(dn))
                    for dn in batch
                    for attribute in self._profile.member_attributes
                )
            )
            wanted = filters.all_of(self._is_member_entry, is_member)
            entries += self._in_bases(call, wanted, GRANT_ATTRIBUTES)
        return entries

    def _in_bases(self, call: Call, wanted: Filter, attributes: Sequence[str]) -> list[Entry]:
        """Search groups and grants, in one search where the account may."""
        bases, page_size = self._bases, self._profile.page_size
        try:
            return [
                entry
                for base in bases
                for entry in search(call, base, wanted, attributes, page_size)
            ]
        except LDAPDBError as error:
            if len(bases) > 1 or not _is_hidden(error):
                raise
        both = (self._profile.groups, self._profile.grants)
        entries = [
            entry for base in both for entry in search(call, base, wanted, attributes, page_size)
        ]
        self._bases = both
        log.info(
            "'%s' may not be searched; groups and grants are searched one after the other",
            bases[0].dn,
        )
        return entries

    def _members_of(self, entry: Entry) -> set[DN]:
        members: set[DN] = set()
        for attribute in self._profile.member_attributes:
            for value in entry.attributes.get(attribute.lower(), ()):
                try:
                    members.add(DN.parse(bytes(value).decode()))
                except ValueError as error:  # UnicodeDecodeError is one
                    self._warned.skip(entry.dn, f"a member that is no name: {error}")
        return {dn for dn in members if dn.rdns}

    def _readable(self, entries: Iterable[Entry]) -> list[Grant]:
        whole = list(entries)
        for entry in whole:
            for image in read_images(entry)[1] if _has_good_image(entry) else ():
                self._warned.skip(entry.dn, f"the image {image!r} is not a Docker reference")
        return self._warned.readable(whole, read_grant)


def _bases(profile: Profile) -> tuple[Base, ...]:
    """Where groups and grants are searched together, if they have an ancestor in common."""
    ancestor = common_ancestor(profile.groups.dn, profile.grants.dn)
    if ancestor is None:
        return profile.groups, profile.grants
    return (Base(ancestor, "groups_base and grants_base"),)


def _is_hidden(error: LDAPDBError) -> bool:
    return isinstance(error, AccessDenied) or isinstance(error.__cause__, NoSuchEntry)


def _says(entries: Sequence[Entry], image: str, policy: Policy, window: Window) -> bool:
    """Tell whether the entry that was read grants exactly this."""
    try:
        grant = read_grant(entries[0]) if entries and is_grant(entries[0]) else None
    except InvalidValue:
        return False
    return grant is not None and (grant.images, grant.policy, grant.window) == (
        (image,),
        policy,
        window,
    )


def _has_good_image(entry: Entry) -> bool:
    try:
        return bool(read_images(entry)[0])
    except InvalidValue:
        return False

"""What reaches a user: groups, and the grants that they or he are members of."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import (
    APPLICATION_CLASS,
    GRANT_CLASS,
    GROUP_CLASS,
    MEMBER_UID,
    OBJECT_SID,
    is_grant,
    read_dn,
    without_class,
)
from ldapdb.errors import (
    AccessDenied,
    BaseNotFound,
    IncompleteResult,
    LDAPDBError,
    NoSuchEntry,
)
from ldapdb.model import Grant, User
from ldapdb.protocol import filters
from ldapdb.protocol.codec import NO_ATTRIBUTES, Search
from ldapdb.protocol.dn import DN, common_ancestor
from ldapdb.protocol.entry import OBJECT_CLASS, Entry
from ldapdb.protocol.filters import Filter
from ldapdb.store.grants import Grants
from ldapdb.store.profile import Base, Profile
from ldapdb.store.reading import Warned, batches, query, require_base, search
from ldapdb.store.users import Users, rdn_filter

__all__ = ["Members", "Memberships"]

log = logging.getLogger(__name__)

_SIZE_LIMIT_EXCEEDED = 4
# Classes without memberUid (RFC 4519; `ldif/`). An entry of any other class may have it.
_BY_DN_ALONE = frozenset(
    each.lower().encode()
    for each in (
        "top", "groupOfNames", "groupOfUniqueNames", GROUP_CLASS, GRANT_CLASS, APPLICATION_CLASS
    )
)  # fmt: skip


@dataclass(frozen=True)
class Reach:
    """What reaches a user.

    Parameters
    ----------
    grants : tuple of Grant
        Readable grants of which he, or a group that contains him, is a member.
    groups : frozenset of DN
        The groups that contain him, to any depth.
    sharing : frozenset of DN
        Other entries with one of his login names, which therefore may not count.
    """

    grants: tuple[Grant, ...]
    groups: frozenset[DN]
    sharing: frozenset[DN] = frozenset()


@dataclass
class Members:
    """Who is in some groups.

    Parameters
    ----------
    dns : set of DN
        Users and groups.
    names : set of str
        Login names of users, from memberUid.
    groups : set of bytes
        objectSid of these groups, by which Active Directory has users in them whom they do
        not list; empty elsewhere.
    """

    dns: set[DN] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    groups: set[bytes] = field(default_factory=set)


class Memberships:
    """Finds who is in what, from the user up and from the grant down.

    Parameters
    ----------
    profile : Profile
        Where and how.
    users : Users
        Finds who else has a login name.
    grants : Grants
        Reads what entries grant.
    warned : Warned
        Told of entries that cannot be read.
    """

    def __init__(self, profile: Profile, users: Users, grants: Grants, warned: Warned) -> None:
        self._profile = profile
        self._users = users
        self._grants = grants
        self._warned = warned
        # A group is what groups_filter matches; an entry that carries a grant is a group too.
        self._is_grant = profile.notation.carrying(GRANT_CLASS)
        self._is_member_entry = filters.any_of(profile.groups_filter, self._is_grant)
        self._bases = _bases(profile)

    def reaching(self, call: Call, user: User) -> Reach:
        """Find what reaches a user: one search, and one more per level of groups.

        Groups and grants are asked for together, level by level: first those that have the
        user as a member, then those that have one of these groups as a member, until no
        new group turns up. Where the directory has a rule for it, it does so itself, in
        one search, after one for the user's primary group. Members are never read, only
        filtered on. Where a login name in memberUid may have decided, one more search tells
        whether it is this user's alone.
        """
        rule = self._profile.in_chain_rule
        grants: dict[DN, Entry] = {}
        groups: set[DN] = {user.dn}

        def take(entries: Iterable[Entry]) -> list[DN]:
            """Take in what was found, and return the groups among it that are new."""
            new = []
            for entry in entries:
                dn = self._name(entry)
                if dn is None:
                    continue
                if is_grant(entry):
                    grants[dn] = entry
                if self._profile.groups.holds(dn) and dn not in groups:
                    groups.add(dn)
                    new.append(dn)
            return new

        primary = take(self.primary_group(call, user))
        entries, sharing = self._direct(call, user, [] if rule is None else primary)
        found = take(entries) + primary  # which is one of the groups that the user is in
        # Without nesting, a group's grants count, and the groups it is in do not.
        goes_on = rule is None
        while found and goes_on:
            found = take(self._of_members(call, self._holding(found)))
            goes_on = self._profile.nested_groups
        readable = tuple(self._grants.readable(grants.values()))
        return Reach(readable, frozenset(groups - {user.dn}), sharing)

    def _direct(
        self, call: Call, user: User, primary: Iterable[DN]
    ) -> tuple[list[Entry], frozenset[DN]]:
        """Find what has a user as a member, and who shares a login name with the user."""
        rule = self._profile.in_chain_rule

        def naming(names: Iterable[str]) -> list[Entry]:
            members = self._profile.memberships(user.dn, names)
            wanted = [_is_member(*each, rule) for each in members]
            return self._of_members(call, wanted + self._holding(primary, rule))

        entries = naming(user.login_names)
        if not self._profile.member_names or not any(map(_may_list_names, entries)):
            return entries, frozenset()
        own, sharing = self._users.own_names(call, user)
        return entries if own == user.login_names else naming(own), sharing

    def of(self, call: Call, user: User) -> list[tuple[str, str]]:
        """List the attributes, and the values in them, that make a user a member."""
        names = self._users.own_names(call, user)[0] if self._profile.member_names else ()
        return self._profile.memberships(user.dn, names)

    def primary_group(self, call: Call, user: User) -> list[Entry]:
        """Find the group that a user of Active Directory is in by number."""
        if user.primary_group is None:
            return []
        return self._of_members(call, [filters.equal(OBJECT_SID, user.primary_group)])

    def naming(self, call: Call, attribute: str, value: str) -> list[Entry]:
        """Find the groups and grants that name a member in an attribute: no group in between.

        An entry that carries a grant outside grants_base is a group like any other here.
        """
        return self._of_members(call, [_is_member(attribute, value, None)])

    def is_through_group(self, call: Call, grant: DN, user: User, groups: Iterable[DN]) -> bool:
        """See whether a grant names one of a user's groups, and not the user.

        Asked in one filter, so that no change can come in between, and the members need not be
        read.

        Parameters
        ----------
        grant : DN
            The grant.
        user : User
            The user.
        groups : iterable of DN
            The groups that contain the user, as far as this account sees them.
        """
        memberships, rule = self.of(call, user), self._profile.in_chain_rule
        is_indirect = filters.none_of(*(filters.equal(*each) for each in memberships))
        naming = self._holding(groups)
        if rule is not None:  # which also knows groups that this account does not see
            naming += [_is_member(*each, rule) for each in memberships]
        for batch in batches(naming):
            wanted = filters.all_of(filters.any_of(*batch), is_indirect)
            with suppress(NoSuchEntry):
                if call.read(grant, NO_ATTRIBUTES, wanted)[1]:
                    return True
        return False

    def is_named(self, call: Call, dn: DN) -> bool:
        """Tell whether groups or grants name an entry as their member."""
        attributes = self._profile.member_attributes
        return any(self.naming(call, attribute, str(dn)) for attribute in attributes)

    def asking(self, attribute: str, value: str) -> list[Search]:
        """List the searches that :meth:`naming` begins with."""
        if self._profile.strict_groups or len(self._bases) > 1:
            return []
        wanted = filters.all_of(
            self._is_member_entry, filters.any_of(_is_member(attribute, value, None))
        )
        return [query(self._bases[0], wanted, self._profile.notation.attributes)]

    def groups_among(self, call: Call, dns: Iterable[DN]) -> list[DN]:
        """Find out which of some DNs are groups or grants."""
        found = []
        for batch in batches(dns):
            wanted = filters.any_of(*map(rdn_filter, batch))
            names = map(self._name, self._in_bases(call, wanted, NO_ATTRIBUTES))
            found += [dn for dn in names if dn is not None and dn in batch]
        return found

    def members(self, call: Call, dns: Iterable[DN]) -> Members:
        """Read the members of the groups and grants among some DNs."""
        members = Members()
        for each in self.members_of_each(call, dns).values():
            members.dns |= each.dns
            members.names |= each.names
            members.groups |= each.groups
        return members

    def members_of_each(self, call: Call, dns: Iterable[DN]) -> dict[DN, Members]:
        """Read the members of each of the groups and grants among some DNs."""
        found: dict[DN, Members] = {}
        attributes = (*self._profile.member_attributes, MEMBER_UID)
        if self._profile.vendor.primary_groups:
            attributes += (OBJECT_SID,)
        for batch in batches(dns):
            wanted = filters.any_of(*map(rdn_filter, batch))
            for entry in self._in_bases(call, wanted, attributes):
                dn = self._name(entry)
                if dn is not None and dn in batch:
                    self._read_members(call, entry, dn, found.setdefault(dn, Members()))
        return found

    def _holding(self, groups: Iterable[DN], rule: Optional[str] = None) -> list[Filter]:
        return [
            _is_member(attribute, str(dn), rule)
            for dn in groups
            for attribute in self._profile.member_attributes
        ]

    def _of_members(self, call: Call, members: Sequence[Filter]) -> list[Entry]:
        entries: list[Entry] = []
        for batch in batches(members):
            wanted = filters.any_of(*batch)
            entries += self._in_bases(call, wanted, self._profile.notation.attributes)
        return [self._as_inside(entry) for entry in self._grants.read(entries)]

    def _as_inside(self, entry: Entry) -> Entry:
        """Let an entry that was read be a grant only inside grants_base."""
        if not is_grant(entry):
            return entry
        dn = self._name(entry)
        if dn is not None and self._profile.grants.holds(dn):
            return entry
        return without_class(entry, GRANT_CLASS)

    def _in_bases(self, call: Call, wanted: Filter, attributes: Sequence[str]) -> list[Entry]:
        """Find groups inside groups_base, and grants inside grants_base.

        They are searched from above both, so that more may be found: a group that is inside
        neither, or one that is inside grants_base alone and carries no grant.
        """
        groups, grants = self._profile.groups, self._profile.grants
        if self._profile.strict_groups or groups.holds(grants.dn):  # then nothing else is found
            return self._search_bases(call, wanted, attributes)
        # What is not inside groups_base must be seen to be a grant.
        attributes = tuple(dict.fromkeys((*attributes, *self._profile.notation.attributes)))
        found = self._search_bases(call, wanted, attributes)
        return [entry for entry in found if self._is_inside(entry)]

    def _is_inside(self, entry: Entry) -> bool:
        dn = self._name(entry)
        if dn is None:
            return False
        if self._profile.groups.holds(dn):
            return True
        return self._profile.grants.holds(dn) and is_grant(self._grants.read([entry])[0])

    def _search_bases(self, call: Call, wanted: Filter, attributes: Sequence[str]) -> list[Entry]:
        """Search groups and grants, in one search where the account may."""
        groups, grants = self._profile.groups, self._profile.grants
        if self._profile.strict_groups:
            of_groups = filters.all_of(self._profile.groups_filter, wanted)
            of_grants = filters.all_of(self._is_grant, wanted)
            read = (*attributes, *self._profile.notation.attributes)
            return self._in_each(call, (groups,), of_groups, attributes) + [
                entry
                for entry in self._in_each(call, (grants,), of_grants, read)
                if is_grant(self._grants.read([entry])[0])
            ]
        wanted = filters.all_of(self._is_member_entry, wanted)
        bases = self._bases
        try:
            return self._in_each(call, bases, wanted, attributes)
        except LDAPDBError as error:
            if len(bases) > 1 or not _is_hidden(error):
                raise
        entries = self._in_each(call, (groups, grants), wanted, attributes)
        self._bases = groups, grants
        log.info(
            "'%s' may not be searched; groups and grants are searched one after the other",
            bases[0].dn,
        )
        return entries

    def _in_each(
        self, call: Call, bases: Sequence[Base], wanted: Filter, attributes: Sequence[str]
    ) -> list[Entry]:
        found = [entry for base in bases for entry in self._whole(call, base, wanted, attributes)]
        if not found and call.root_dse().vendor.hides_silently:
            for base in (self._profile.groups, self._profile.grants):
                if not base.is_visible:
                    require_base(call, base)
                    base.is_visible = True
        return found

    def _whole(
        self, call: Call, base: Base, wanted: Filter, attributes: Sequence[str]
    ) -> list[Entry]:
        """Search at once, and in pages only what is too much for that.

        OpenLDAP 2.5.13's dynlist finds nobody by the members that it makes when the search
        is a paged one.
        """
        try:
            return search(call, base, wanted, attributes)
        except IncompleteResult as error:
            if error.result_code != _SIZE_LIMIT_EXCEEDED:
                raise
        return search(call, base, wanted, attributes, self._profile.page_size)

    def _read_members(self, call: Call, entry: Entry, dn: DN, members: Members) -> None:
        for attribute in self._profile.member_attributes:
            for value in _values(call, entry, dn, attribute):
                try:
                    member = DN.parse(bytes(value).decode(), entry.matching)
                except ValueError as error:  # UnicodeDecodeError is one
                    self._warned.skip(dn, f"a member that is no name: {error}")
                    continue
                if member.rdns:
                    members.dns.add(member)
        if self._profile.member_names:
            names = _values(call, entry, dn, MEMBER_UID)
            members.names.update(bytes(value).decode(errors="replace") for value in names)
        members.groups.update(map(bytes, entry.attributes.get(OBJECT_SID.lower(), ())))

    def _name(self, entry: Entry) -> Optional[DN]:
        names = self._warned.readable([entry], read_dn)
        return names[0] if names else None


def _bases(profile: Profile) -> tuple[Base, ...]:
    """Where groups and grants are searched together, if they have an ancestor in common."""
    ancestor = common_ancestor(profile.groups.dn, profile.grants.dn)
    if ancestor is None:
        return profile.groups, profile.grants
    return (Base(ancestor, "groups_base and grants_base"),)


def _is_hidden(error: LDAPDBError) -> bool:
    return isinstance(error, (AccessDenied, BaseNotFound))


def _values(call: Call, entry: Entry, dn: DN, attribute: str) -> Sequence[bytes]:
    """Return an attribute's values; asks for them if the server sent a part only.

    With those that have options, such as ``member;lang-en``: a search for the attribute finds
    them, too (RFC 4511, section 4.5.1.7.1).
    """
    wanted = attribute.lower()
    if any(name.startswith(f"{wanted};range=") for name in entry.attributes):
        return call.values(dn, attribute)
    return entry.raw(attribute)


def _may_list_names(entry: Entry) -> bool:
    classes = {bytes(each).lower() for each in entry.attributes.get(OBJECT_CLASS.lower(), ())}
    return not classes or not classes <= _BY_DN_ALONE


def _is_member(attribute: str, value: str, in_chain_rule: Optional[str]) -> Filter:
    if in_chain_rule is None:
        return filters.equal(attribute, value)
    return filters.matches(attribute, in_chain_rule, value)

"""Groups as somebody names them: by DN, or by a name below groups_base."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import is_application, is_grant, read_dn
from ldapdb.errors import AmbiguousName, InvalidValue, NoSuchEntry, NotFound
from ldapdb.protocol import filters
from ldapdb.protocol.codec import NO_ATTRIBUTES
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned, search, search_in_pages
from ldapdb.wellformed import check_text

__all__ = ["Group", "Groups"]

_CN = "cn"


@dataclass(frozen=True)
class Group:
    """A group, as a member of grants.

    Parameters
    ----------
    name : str
        As it was asked for.
    dn : DN
        Where the entry is.
    """

    name: str
    dn: DN


class Groups:
    """Finds groups.

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
        account = profile.vendor.account_name_attribute
        self._names = (_CN,) if account is None else (_CN, account)

    def find(self, call: Call, name: str) -> Group:
        """Find a group by DN or by name.

        Raises
        ------
        NotFound
            If there is none.
        AmbiguousName
            If several have the name.
        InvalidValue
            If what the DN names is no group, or lies where groups are not looked for.
        """
        check_text(name, "group")
        try:
            dn = DN.parse(name, self._profile.vendor.name_matching)
        except ValueError:
            return self._by_name(call, name)
        return self._by_dn(call, name, dn)

    def starting_with(self, call: Call, beginning: str, most: int) -> list[str]:
        """List names of some groups that begin so, for whoever mistyped one."""
        named = filters.any_of(*(filters.starts_with(each, beginning) for each in self._names))
        found: list[str] = []

        def take(page: list[Entry]) -> list[str]:
            found.extend(
                value.decode(errors="replace") for entry in page for value in entry.raw(_CN)
            )
            if len(found) >= most:
                raise _EnoughError
            return found

        wanted = filters.all_of(self._profile.groups_filter, named)
        with contextlib.suppress(_EnoughError):
            search_in_pages(call, self._profile.groups, wanted, (_CN,), most, take)
        return found[:most]

    def _by_dn(self, call: Call, name: str, dn: DN) -> Group:
        groups = self._profile.groups
        found = self._read(call, dn, self._profile.groups_filter)
        if found is None:
            if self._read(call, dn, None) is None:
                raise NotFound(f"there is no entry '{dn}' that this account can see")
            raise InvalidValue(f"'{dn}' is no group: it is not within {self._a_group}")
        if not groups.holds(found):
            raise InvalidValue(
                f"the group '{found}' is not below groups_base '{groups.dn}', where groups are "
                "looked for: a grant to it would give nobody anything"
            )
        return Group(name, found)

    def _read(self, call: Call, dn: DN, wanted: Optional[Filter]) -> Optional[DN]:
        try:
            given = () if wanted is None else (wanted,)
            entries = call.read(dn, NO_ATTRIBUTES, *given)[1]
        except NoSuchEntry:
            return None
        names = self._warned.readable(entries, read_dn)
        return names[0] if names else None

    def _by_name(self, call: Call, name: str) -> Group:
        profile = self._profile
        named = filters.any_of(*(filters.equal(each, name) for each in self._names))
        wanted = filters.all_of(profile.groups_filter, named)
        found = search(call, profile.groups, wanted, profile.notation.attributes)
        dns = self._warned.readable(self._others(found), read_dn)
        if not dns:
            raise NotFound(
                f"there is no group {name!r} below '{profile.groups.dn}', within {self._a_group}"
            )
        if len(dns) > 1:
            places = " and ".join(f"'{dn}'" for dn in sorted(dns, key=str))
            raise AmbiguousName(
                f"the group name {name!r} belongs to {len(dns)} entries: {places}; give the DN",
                dn=str(dns[0]),
            )
        return Group(name, dns[0])

    def _others(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Leave out applications and grants, which are groups too, where there is another."""
        plain = []
        for entry in entries:
            try:
                said = self._profile.notation.read(entry)
            except InvalidValue:  # unreadable: a group like any other
                said = replace(entry, attributes={})
            if not is_application(said) and not is_grant(said):
                plain.append(entry)
        return plain or entries

    @property
    def _a_group(self) -> str:
        return f"groups_filter {self._profile.groups_filter}"


class _EnoughError(Exception):
    """Enough was read."""

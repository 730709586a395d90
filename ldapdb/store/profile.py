"""Settings and vendor brought together: where to search for what, on this directory."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ldapdb.client import RootDSE
from ldapdb.entries import MEMBER, MEMBER_UID
from ldapdb.errors import SettingsError
from ldapdb.naming import account_name
from ldapdb.notation import Notation, SchemaNotation
from ldapdb.protocol import filters
from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.filters import Filter
from ldapdb.settings import Settings
from ldapdb.stock import StockNotation
from ldapdb.syntaxes import IdentifierForm
from ldapdb.vendors import Vendor

__all__ = ["Base", "Profile", "stated_bases"]


@dataclass
class Base:
    """A search base and the setting it comes from, so that an error can name both.

    Parameters
    ----------
    dn : DN
        The entry to search from.
    setting : str
        Its name.
    is_visible : bool
        Whether the account was seen to see it; learnt where an empty answer may be a refusal.
    """

    dn: DN
    setting: str
    is_visible: bool = False

    def holds(self, dn: DN) -> bool:
        """Tell whether an entry is inside: the base itself, or anywhere below it.

        This is the only notion of "inside a base". It is that of the searches from it.
        """
        return dn.is_under(self.dn)


@dataclass(frozen=True)
class Profile:
    """Everything that the use cases need to know of settings and directory.

    Parameters
    ----------
    vendor : Vendor
        The kind of directory.
    notation : Notation
        How applications and grants are written.
    base, applications, grants, groups : Base
        Search bases.
    users : tuple of Base
        Search bases of users.
    users_filter, groups_filter : Filter
        Which users may log in, and what a group is. Users who are locked for good may not,
        whatever the settings say.
    people_filter : Filter
        Which users may log in, locked or not.
    any_user_filter : Filter
        What a user is, whether or not the user may log in: everything that matches
        people_filter, and everything that matches the vendor's default filter without its
        locks. Computers, contacts and groups that happen to have a login name match neither.
    strict_groups : bool
        Whether nothing but groups_filter makes a group: an administrator wrote it, and what
        else we search for with it, lines of description, anybody may have written.
    user_name_attributes : tuple of str
        Where a user's name is, the preferred attribute first.
    user_id_attribute : str
        Where a user's identifier is.
    user_id_form : IdentifierForm
        How the identifier is written.
    member_attributes : tuple of str
        Attributes that hold members' DNs: of a grant first, then of a group if it differs.
    member_names : bool
        Whether memberUid counts, which holds the login names of members.
    nested_groups : bool
        Whether groups in groups count.
    in_chain_rule : str, optional
        OID of the matching rule that finds all groups in one search. None where there is
        none, or where the settings say that not every group counts.
    group_object_class : str
        Structural class of new entries.
    page_size : int
        Entries in a page.
    """

    vendor: Vendor
    notation: Notation
    base: Base
    applications: Base
    grants: Base
    users: tuple[Base, ...]
    groups: Base
    users_filter: Filter
    people_filter: Filter
    any_user_filter: Filter
    groups_filter: Filter
    strict_groups: bool
    user_name_attributes: tuple[str, ...]
    user_id_attribute: str
    user_id_form: IdentifierForm
    member_attributes: tuple[str, ...]
    member_names: bool
    nested_groups: bool
    in_chain_rule: Optional[str]
    group_object_class: str
    page_size: int

    @classmethod
    def make(cls, settings: Settings, root_dse: RootDSE) -> Profile:
        """Fill what is not set from the vendor's record and the root DSE.

        Raises
        ------
        SettingsError
            If an attribute cannot identify users, or a base has no default.
        """
        vendor = root_dse.vendor
        matching = vendor.name_matching
        base = DN.parse(settings.base_dn, matching)
        id_attribute, id_form = _identifier(settings, vendor)
        context = _context_of(base, root_dse.naming_contexts)
        stock = settings.schema == "stock"
        people = filters.parse(settings.users_filter or vendor.users_filter)
        return cls(
            vendor=vendor,
            notation=_notation(settings),
            base=Base(base, "base_dn"),
            applications=_place(
                settings, root_dse, "applications_base", base.child("ou", "applications")
            ),
            grants=Base(_grants(settings, matching), "grants_base"),
            users=tuple(
                Base(DN.parse(each, matching), "users_base") for each in settings.users_base or ()
            )
            or (_place(settings, root_dse, "users_base", context),),
            groups=_place(settings, root_dse, "groups_base", context),
            users_filter=_unlocked(people, root_dse),
            people_filter=people,
            any_user_filter=filters.any_of(people, filters.parse(vendor.users_filter)),
            groups_filter=filters.parse(settings.groups_filter or vendor.groups_filter),
            strict_groups=stock and settings.groups_filter is not None,
            user_name_attributes=settings.user_name_attribute or (vendor.user_name_attribute,),
            user_id_attribute=id_attribute,
            user_id_form=id_form,
            member_attributes=_member_attributes(settings),
            member_names=_is_by_name(settings),
            nested_groups=settings.nested_groups,
            in_chain_rule=vendor.in_chain_rule if _counts_all_groups(settings) else None,
            group_object_class=settings.group_object_class
            or (vendor.stock_group_object_class if stock else vendor.group_object_class),
            page_size=settings.page_size,
        )

    def memberships(self, dn: DN, names: Iterable[str] = ()) -> list[tuple[str, str]]:
        """List the attributes, and the values in them, that make an entry a member.

        Parameters
        ----------
        dn : DN
            The entry.
        names : iterable of str
            Login names that are this entry's alone.
        """
        values = [(attribute, str(dn)) for attribute in self.member_attributes]
        return values + [(MEMBER_UID, name) for name in names if self.member_names]

    def new_group(
        self, dn: DN, object_class: str, attributes: Mapping[str, Sequence[str]]
    ) -> tuple[list[str], dict[str, list[str]]]:
        """Return the classes and the attributes of a new entry of ours.

        Parameters
        ----------
        dn : DN
            The entry's.
        object_class : str
            Which of our classes it is to be of.
        attributes : mapping of str to sequence of str
            What is to be said, by the names of ``entries``.
        """
        classes, written = self.notation.new(object_class, attributes)
        written.update({name: [value] for name, value in self.vendor.group_defaults})
        if self.vendor.account_name_attribute is not None:
            name = account_name(dn.rdns[0][0].value, uuid.uuid4().hex[:12])
            written[self.vendor.account_name_attribute] = [name]
        if self._must_have_member and MEMBER not in written:
            written[MEMBER] = [""]  # the empty DN, which names nobody
        return [self.group_object_class, *classes], written

    @property
    def _must_have_member(self) -> bool:
        return not self.notation.needs_schema and not self.vendor.empty_stock_groups


def stated_bases(settings: Settings) -> list[Base]:
    """List the bases that a server must be asked for by name, the one above the others first.

    Users and applications are searched from theirs, which tells that one is not there. Groups
    and grants are searched from above both, which does not. A base that is not stated is a
    naming context of the server's own.
    """
    settings_of = {DN.parse(settings.base_dn): "base_dn"}
    settings_of.setdefault(_grants(settings), "grants_base")
    if settings.groups_base is not None:
        settings_of.setdefault(DN.parse(settings.groups_base), "groups_base")
    return [Base(dn, setting) for dn, setting in settings_of.items()]


def _grants(settings: Settings, matching: NameMatching = NameMatching.EXACT) -> DN:
    if settings.grants_base is not None:
        return DN.parse(settings.grants_base, matching)
    return DN.parse(settings.base_dn, matching).child("ou", "grants")


def _identifier(settings: Settings, vendor: Vendor) -> tuple[str, IdentifierForm]:
    """Return the attribute that identifies users, and how it is written."""
    attribute = settings.user_id_attribute or vendor.identifier_attribute
    form = vendor.identifier_form(attribute)
    if form is None:
        known = ", ".join(name for name, _ in vendor.identifier_forms)
        raise SettingsError(
            f"user_id_attribute: {attribute!r} cannot identify users on "
            f"{vendor.title}; use one of {known}"
        )
    return attribute, form


def _is_by_name(settings: Settings) -> bool:
    """Tell whether groups name their members as they log in, and not by DN."""
    return settings.group_member_attribute.lower() == MEMBER_UID.lower()


def _member_attributes(settings: Settings) -> tuple[str, ...]:
    if _is_by_name(settings):
        return (MEMBER,)
    return tuple(dict.fromkeys((MEMBER, settings.group_member_attribute)))


def _counts_all_groups(settings: Settings) -> bool:
    """Tell whether a rule that follows every group there is follows none that does not count."""
    return (
        settings.nested_groups
        and not _is_by_name(settings)
        and settings.groups_filter is None
        and settings.groups_base is None
    )


def _place(settings: Settings, root_dse: RootDSE, setting: str, default: Optional[DN]) -> Base:
    given: Optional[str] = getattr(settings, setting)
    dn = default if given is None else DN.parse(given, root_dse.vendor.name_matching)
    if dn is None:
        raise SettingsError(
            f"{setting}: base_dn {settings.base_dn!r} is in none of the directory's "
            f"naming contexts ({_list(root_dse.naming_contexts)}); correct base_dn "
            f"or set {setting}"
        )
    return Base(dn, setting)


def _notation(settings: Settings) -> Notation:
    if settings.schema == "stock":
        return StockNotation(licences=settings.licences_in_description)
    return SchemaNotation()


def _unlocked(people: Filter, root_dse: RootDSE) -> Filter:
    """Leave out locked accounts, where the directory knows what locks them."""
    vendor = root_dse.vendor
    if vendor.lock_control is not None and vendor.lock_control not in root_dse.controls:
        return people
    return filters.all_of(people, filters.parse(vendor.lock_filter))


def _context_of(dn: DN, naming_contexts: Sequence[DN]) -> Optional[DN]:
    """Return the naming context that holds a DN: the longest, where one holds another."""
    holding = [context for context in naming_contexts if dn.is_under(context)]
    return max(holding, key=lambda context: len(context.rdns), default=None)


def _list(dns: Sequence[DN]) -> str:
    return ", ".join(map(str, dns)) or "it shows none"

"""Settings and vendor brought together: where to search for what, on this directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ldapdb import filters
from ldapdb.connection import RootDSE
from ldapdb.dn import DN
from ldapdb.entries import MEMBER
from ldapdb.errors import SettingsError
from ldapdb.filters import Filter
from ldapdb.settings import Settings
from ldapdb.syntaxes import IdentifierForm
from ldapdb.vendors import Vendor

__all__ = ["Base", "Profile"]


@dataclass(frozen=True)
class Base:
    """A search base and the setting it comes from, so that an error can name both."""

    dn: DN
    setting: str


@dataclass(frozen=True)
class Profile:
    """Everything that the use cases need to know of settings and directory.

    Parameters
    ----------
    vendor : Vendor
        The kind of directory.
    base, applications, grants, users, groups : Base
        Search bases.
    users_filter, groups_filter : Filter
        What a user and a group is.
    user_name_attribute, user_id_attribute : str
        Where a user's name and identifier are.
    user_id_form : IdentifierForm
        How the identifier is written.
    member_attributes : tuple of str
        Attributes that hold members: of a grant first, then of a group if it differs.
    nested_groups : bool
        Whether groups in groups count.
    group_object_class : str
        Structural class of new entries.
    page_size : int
        Entries in a page.
    """

    vendor: Vendor
    base: Base
    applications: Base
    grants: Base
    users: Base
    groups: Base
    users_filter: Filter
    groups_filter: Filter
    user_name_attribute: str
    user_id_attribute: str
    user_id_form: IdentifierForm
    member_attributes: tuple[str, ...]
    nested_groups: bool
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
        base = DN.parse(settings.base_dn)
        id_attribute = settings.user_id_attribute or vendor.identifier_attribute
        form = vendor.identifier_form(id_attribute)
        if form is None:
            known = ", ".join(name for name, _ in vendor.identifier_forms)
            raise SettingsError(
                f"user_id_attribute: {id_attribute!r} cannot identify users on "
                f"{vendor.title}; use one of {known}"
            )

        def place(setting: str, default: Optional[DN]) -> Base:
            given: Optional[str] = getattr(settings, setting)
            dn = default if given is None else DN.parse(given)
            if dn is None:
                raise SettingsError(
                    f"{setting}: base_dn {settings.base_dn!r} is in none of the directory's "
                    f"naming contexts ({_list(root_dse.naming_contexts)}); correct base_dn "
                    f"or set {setting}"
                )
            return Base(dn, setting)

        context = _context_of(base, root_dse.naming_contexts)
        return cls(
            vendor=vendor,
            base=Base(base, "base_dn"),
            applications=place("applications_base", base.child("ou", "applications")),
            grants=place("grants_base", base.child("ou", "grants")),
            users=place("users_base", context),
            groups=place("groups_base", context),
            users_filter=filters.parse(settings.users_filter or vendor.users_filter),
            groups_filter=filters.parse(settings.groups_filter or vendor.groups_filter),
            user_name_attribute=settings.user_name_attribute or vendor.user_name_attribute,
            user_id_attribute=id_attribute,
            user_id_form=form,
            member_attributes=tuple(dict.fromkeys((MEMBER, settings.group_member_attribute))),
            nested_groups=settings.nested_groups,
            group_object_class=settings.group_object_class or vendor.group_object_class,
            page_size=settings.page_size,
        )


def _context_of(dn: DN, naming_contexts: Sequence[DN]) -> Optional[DN]:
    """Return the naming context that holds a DN: the longest, where one holds another."""
    holding = [context for context in naming_contexts if dn.is_under(context)]
    return max(holding, key=lambda context: len(context.rdns), default=None)


def _list(dns: Sequence[DN]) -> str:
    return ", ".join(map(str, dns)) or "it shows none"

"""What differs between directories, as frozen records; nothing else asks for the vendor.

A record is chosen by the root DSE (RFC 4512, section 5.1) or by the ``vendor`` setting.
This release knows OpenLDAP. Another directory is refused by name rather than treated as
if it were one: where servers differ they differ silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ldapdb.entries import GROUP_CLASS, Entry
from ldapdb.errors import SettingsError
from ldapdb.syntaxes import IdentifierForm

__all__ = ["OPENLDAP", "ROOT_DSE_ATTRIBUTES", "VENDORS", "Vendor", "recognise"]

ROOT_DSE_ATTRIBUTES = (
    "objectClass",
    "vendorName",
    "vendorVersion",
    "namingContexts",
    "subschemaSubentry",
)


@dataclass(frozen=True)
class Vendor:
    """All that ldapdb has to know about a kind of directory.

    Parameters
    ----------
    name : str
        As the ``vendor`` setting spells it.
    title : str
        As its makers spell it.
    root_dse_class : str
        Object class of the root DSE by which the server is recognised.
    identifier_attribute : str
        The stable identifier of every entry.
    user_name_attribute : str
        Default of the setting of that name.
    users_filter, groups_filter : str
        Defaults of the settings of that name.
    group_object_class : str
        Structural class of the entries that ldapdb makes.
    identifier_forms : tuple of (str, IdentifierForm)
        How attributes that can identify a user are written, by lower-case name.
    """

    name: str
    title: str
    root_dse_class: str
    identifier_attribute: str
    user_name_attribute: str
    users_filter: str
    groups_filter: str
    group_object_class: str
    identifier_forms: tuple[tuple[str, IdentifierForm], ...]

    def identifier_form(self, attribute: str) -> Optional[IdentifierForm]:
        """Tell how an identifying attribute is written; None if it cannot identify."""
        return dict(self.identifier_forms).get(attribute.lower())


OPENLDAP = Vendor(
    name="openldap",
    title="OpenLDAP",
    root_dse_class="OpenLDAProotDSE",
    identifier_attribute="entryUUID",
    user_name_attribute="uid",
    users_filter="(|(objectClass=person)(objectClass=account))",
    groups_filter=(
        "(|(objectClass=groupOfNames)(objectClass=groupOfMembers)"
        "(objectClass=groupOfUniqueNames)(objectClass=remoteAppGroup))"
    ),
    # Its groupOfNames refuses to lose the last member (65).
    group_object_class=GROUP_CLASS,
    identifier_forms=(
        ("entryuuid", IdentifierForm.UUID_TEXT),
        ("uidnumber", IdentifierForm.INTEGER),
    ),
)

VENDORS = (OPENLDAP,)


def recognise(root_dse: Entry, setting: str, server: str) -> Vendor:
    """Choose the record for a server.

    Parameters
    ----------
    root_dse : Entry
        Read with :data:`ROOT_DSE_ATTRIBUTES`.
    setting : str
        The ``vendor`` setting: ``auto`` or a record's name.
    server : str
        The server's URI, for the error.

    Raises
    ------
    SettingsError
        If no record fits.
    """
    for vendor in VENDORS:
        if vendor.name == setting or (
            setting == "auto" and root_dse.has_class(vendor.root_dse_class)
        ):
            return vendor
    said = " ".join(root_dse.values("vendorName") + root_dse.values("vendorVersion"))
    known = ", ".join(vendor.name for vendor in VENDORS)
    raise SettingsError(
        f"the directory at {server} is of a kind that ldapdb does not know"
        f"{f' ({said})' if said else ''}; if it is compatible with one of {known}, "
        "set `vendor` to that name",
        server=server,
    )

"""The records of directories, and how one is recognised."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ldapdb.entries import GROUP_CLASS
from ldapdb.errors import SettingsError
from ldapdb.protocol import filters
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.settings import Settings
from ldapdb.syntaxes import IdentifierForm
from ldapdb.vendors import (
    ACTIVE_DIRECTORY,
    DS389,
    OPENLDAP,
    ROOT_DSE_ATTRIBUTES,
    VENDORS,
    SchemaLookup,
    Vendor,
    possible,
    recognise,
)

ROOT = Path(__file__).resolve().parents[2]
SERVER = "ldaps://directory.example.org"
EVERY_VENDOR = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)

IN_CHAIN = "1.2.840.113556.1.4.1941"
AD_CAPABILITY = b"1.2.840.113556.1.4.800"
AD_LDS_CAPABILITY = b"1.2.840.113556.1.4.1851"


def _root_dse(**attributes: list[bytes]) -> Entry:
    return Entry("", {name.lower(): values for name, values in attributes.items()})


# As the servers themselves send them: 2.5.13, 2.3.1 and Samba 4.17, in parts.
ROOT_DSES = {
    "openldap": _root_dse(
        objectClass=[b"top", b"OpenLDAProotDSE"],
        namingContexts=[b"dc=example,dc=org"],
        subschemaSubentry=[b"cn=Subschema"],
        supportedControl=[b"1.2.840.113556.1.4.319"],
    ),
    "389ds": _root_dse(
        objectClass=[b"top"],
        vendorName=[b"389 Project"],
        vendorVersion=[b"389-Directory/2.3.1 B2023.001.0000"],
        namingContexts=[b"dc=example,dc=org"],
        subschemaSubentry=[b"cn=schema"],
    ),
    "ad": _root_dse(
        vendorName=[b"Samba Team (https://www.samba.org)"],
        namingContexts=[b"DC=example,DC=org", b"CN=Configuration,DC=example,DC=org"],
        supportedCapabilities=[
            AD_CAPABILITY,
            b"1.2.840.113556.1.4.1670",
            b"1.2.840.113556.1.4.1791",
        ],
    ),
}


# -- recognition ----------------------------------------------------------------------------


@EVERY_VENDOR
def test_a_directory_is_recognised_by_its_root_dse(vendor: Vendor) -> None:
    """Each kind says in its own way what it is, and is taken for no other."""
    assert recognise(ROOT_DSES[vendor.name], "auto", SERVER) is vendor


@pytest.mark.parametrize(
    ("root_dse", "vendor"),
    [
        (_root_dse(objectClass=[b"openldaprootdse"]), OPENLDAP),
        (_root_dse(vendorName=[b"389 PROJECT"]), DS389),
        (_root_dse(supportedCapabilities=[AD_LDS_CAPABILITY, AD_CAPABILITY]), ACTIVE_DIRECTORY),
    ],
)
def test_a_directory_is_recognised_in_any_spelling(root_dse: Entry, vendor: Vendor) -> None:
    """Capitals and order are the server's own."""
    assert recognise(root_dse, "auto", SERVER) is vendor


@pytest.mark.parametrize(
    "root_dse",
    [
        _root_dse(objectClass=[b"top"]),
        _root_dse(vendorName=[b"389 Project and others"]),
        _root_dse(vendorName=[b"OpenLDAProotDSE"], objectClass=[b"389 Project"]),
        _root_dse(supportedCapabilities=[AD_LDS_CAPABILITY]),  # AD LDS has other rules
        _root_dse(supportedCapabilities=[AD_CAPABILITY + b"1"]),
        _root_dse(supportedControl=[AD_CAPABILITY]),
    ],
)
def test_what_only_resembles_a_directory_is_none(root_dse: Entry) -> None:
    """The whole value of the one attribute decides: where servers differ they differ silently."""
    with pytest.raises(SettingsError, match="does not know"):
        recognise(root_dse, "auto", SERVER)


@EVERY_VENDOR
def test_the_setting_overrules_the_root_dse(vendor: Vendor) -> None:
    """An administrator who names the vendor is believed, whatever the root DSE says."""
    assert recognise(_root_dse(), vendor.name, SERVER) is vendor
    for root_dse in ROOT_DSES.values():
        assert recognise(root_dse, vendor.name, SERVER) is vendor


@pytest.mark.parametrize("setting", ["auto", "edirectory"])
def test_an_unknown_directory_is_refused_by_name(setting: str) -> None:
    """The error says which server it is, what it calls itself and what is known."""
    root_dse = _root_dse(
        objectClass=[b"top"], vendorName=[b"ForgeRock"], vendorVersion=[b"OpenDJ 4.6"]
    )
    with pytest.raises(SettingsError) as caught:
        recognise(root_dse, setting, SERVER)
    message = str(caught.value)
    assert caught.value.server == SERVER
    for wanted in (SERVER, "(ForgeRock OpenDJ 4.6)", "openldap, 389ds, ad", "`vendor`"):
        assert wanted in message


def test_what_a_directory_says_of_itself_stays_within_its_line() -> None:
    with pytest.raises(SettingsError, match=r"\(Open\\nERROR forged \\x1b\[2J\)"):
        recognise(_root_dse(vendorName=[b"Open\nERROR forged \x1b[2J"]), "auto", SERVER)


def test_a_directory_that_says_nothing_is_refused_too() -> None:
    """Without a vendor's name the error has no empty brackets."""
    with pytest.raises(SettingsError, match="does not know; if"):
        recognise(_root_dse(), "auto", SERVER)


def test_a_vendor_that_is_named_is_not_guessed() -> None:
    """A name without a record is refused, whatever the root DSE looks like."""
    with pytest.raises(SettingsError, match="does not know"):
        recognise(ROOT_DSES["openldap"], "edirectory", SERVER)


def test_all_that_recognition_reads_is_asked_for() -> None:
    """The root DSE's attributes are operational: what is not named is not sent."""
    signatures = {vendor.signature[0] for vendor in VENDORS}
    assert {"vendorName", "vendorVersion", *signatures} <= set(ROOT_DSE_ATTRIBUTES)
    assert {"namingContexts", "subschemaSubentry", "supportedControl"} <= set(ROOT_DSE_ATTRIBUTES)


def test_the_setting_knows_every_vendor() -> None:
    """Each record can be chosen by name, and no name is without a record."""
    choices = Settings.model_json_schema()["properties"]["vendor"]["enum"]
    assert choices == ["auto", *(vendor.name for vendor in VENDORS)]


@EVERY_VENDOR
def test_the_setting_leaves_open_what_it_does_not_name(vendor: Vendor) -> None:
    """Before the root DSE is read it may be any of them, or the one that is named."""
    assert possible("auto") == VENDORS
    assert possible(vendor.name) == (vendor,)


# -- records --------------------------------------------------------------------------------


@EVERY_VENDOR
def test_a_record_holds_good_settings(vendor: Vendor) -> None:
    """Its filters and attributes would pass as settings, its identifier can identify."""
    for text in (vendor.users_filter, vendor.groups_filter, vendor.lock_filter):
        assert str(filters.parse(text)) == text
    names = [
        vendor.user_name_attribute,
        vendor.group_object_class,
        vendor.stock_group_object_class,
        vendor.identifier_attribute,
        *(name for name, _ in vendor.identifier_forms),
        *(name for name, _ in vendor.group_defaults),
    ]
    for attribute in names:
        filters.present(attribute)
    assert vendor.identifier_form(vendor.identifier_attribute) is not None
    assert all(name == name.lower() for name, _ in vendor.identifier_forms)


@EVERY_VENDOR
def test_locked_users_are_kept_out_by_what_is_no_user(vendor: Vendor) -> None:
    """An absent attribute locks nobody, unless every account has it, so that it is hidden."""
    said = vendor.lock_filter
    always = [rule.attribute for rule in vendor.account_rules if rule.is_always_there]
    assert bool(always) is vendor.negates_hidden
    assert said.startswith(
        "".join(["(&", *(f"({each}=*)" for each in always)]) if always else "(!("
    )
    negated = said.partition("(!(")[2]
    assert negated.startswith(vendor.account_attributes)


@EVERY_VENDOR
def test_new_groups_are_found_again(vendor: Vendor) -> None:
    """What ldapdb makes is a group by the default of groups_filter."""
    for made in (vendor.group_object_class, vendor.stock_group_object_class):
        assert f"(objectClass={made})" in vendor.groups_filter


@EVERY_VENDOR
def test_the_schema_to_load_is_there(vendor: Vendor) -> None:
    """The error about a missing schema names a file that is in the package."""
    assert (ROOT / vendor.schema_file).is_file()


@EVERY_VENDOR
def test_partitions_are_first_names_of_contexts(vendor: Vendor) -> None:
    """A partition is one RDN, written as it is compared."""
    for partition in vendor.partitions:
        assert partition == partition.lower()
        assert len(DN.parse(partition).rdns) == 1


@EVERY_VENDOR
def test_a_code_says_one_thing(vendor: Vendor) -> None:
    """No result code means both that a member is there and that he is not."""
    assert vendor.already_there >= {20}
    assert vendor.not_there >= {16}
    assert not vendor.already_there & vendor.not_there


def test_no_two_records_can_be_confused() -> None:
    """Names, titles and signatures tell the records apart, and a record is a value."""
    for field in ("name", "title", "signature"):
        assert len({getattr(vendor, field) for vendor in VENDORS}) == len(VENDORS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPENLDAP.name = "other"  # type: ignore[misc]  # it is frozen


@pytest.mark.parametrize(
    ("vendor", "attribute", "form"),
    [
        (OPENLDAP, "entryUUID", IdentifierForm.UUID_TEXT),
        (OPENLDAP, "ENTRYUUID", IdentifierForm.UUID_TEXT),
        (OPENLDAP, "uidNumber", IdentifierForm.INTEGER),
        (OPENLDAP, "nsUniqueId", None),
        (OPENLDAP, "mail", None),
        (DS389, "nsUniqueId", IdentifierForm.HEXADECIMAL),
        (DS389, "nsuniqueid", IdentifierForm.HEXADECIMAL),
        (DS389, "entryUUID", IdentifierForm.UUID_TEXT),
        (DS389, "uidNumber", IdentifierForm.INTEGER),
        (DS389, "objectGUID", None),
        (ACTIVE_DIRECTORY, "objectGUID", IdentifierForm.UUID_BYTES_LE),
        (ACTIVE_DIRECTORY, "uidNumber", IdentifierForm.INTEGER),
        (ACTIVE_DIRECTORY, "entryUUID", None),
    ],
)
def test_an_identifying_attribute_has_its_form(
    vendor: Vendor, attribute: str, form: IdentifierForm | None
) -> None:
    """Capitals are no matter; an attribute that cannot identify is told by None."""
    assert vendor.identifier_form(attribute) is form


# -- what is special ------------------------------------------------------------------------


def test_openldap_gets_groups_that_may_be_empty() -> None:
    """Its groupOfNames refuses to lose the last member, which revoking does."""
    assert OPENLDAP.group_object_class == GROUP_CLASS
    assert not OPENLDAP.empty_stock_groups
    assert DS389.empty_stock_groups
    assert ACTIVE_DIRECTORY.empty_stock_groups


def test_only_active_directory_follows_chains() -> None:
    """A server that does not know the rule finds nothing and says success: it is not asked."""
    assert ACTIVE_DIRECTORY.in_chain_rule == IN_CHAIN
    filters.matches("member", IN_CHAIN, "cn=x")
    assert OPENLDAP.in_chain_rule is None
    assert DS389.in_chain_rule is None


def test_only_active_directory_has_groups_by_number() -> None:
    """Elsewhere no user is in a group that does not list him."""
    assert [vendor for vendor in VENDORS if vendor.primary_groups] == [ACTIVE_DIRECTORY]


def test_only_active_directory_makes_accounts_of_groups() -> None:
    """What it adds to them itself is planned too; elsewhere an entry has what was said."""
    assert [vendor for vendor in VENDORS if vendor.makes_accounts] == [ACTIVE_DIRECTORY]


def test_only_active_directory_has_display_names_everywhere() -> None:
    """Elsewhere a group's classes have to allow one."""
    assert [vendor for vendor in VENDORS if vendor.display_names] == [ACTIVE_DIRECTORY]


def test_only_active_directory_wants_account_names() -> None:
    """A group of a domain is an account, and no security group."""
    assert ACTIVE_DIRECTORY.account_name_attribute == "sAMAccountName"
    assert dict(ACTIVE_DIRECTORY.group_defaults) == {"groupType": "4"}
    for vendor in (OPENLDAP, DS389):
        assert vendor.account_name_attribute is None
        assert not vendor.group_defaults


def test_only_389_hides_silently() -> None:
    """An empty answer of the others is empty; from 389 it may be a refusal."""
    assert [vendor for vendor in VENDORS if vendor.hides_silently] == [DS389]


def test_each_is_asked_for_its_schema_in_its_own_way() -> None:
    """There are as many ways as records, and every way has its record."""
    assert {vendor.schema_lookup for vendor in VENDORS} == set(SchemaLookup)

"""The records of directories, and how one is recognised."""

from __future__ import annotations

import pytest

from ldapdb import filters
from ldapdb.entries import GROUP_CLASS, Entry
from ldapdb.errors import SettingsError
from ldapdb.settings import Settings
from ldapdb.syntaxes import IdentifierForm
from ldapdb.vendors import OPENLDAP, ROOT_DSE_ATTRIBUTES, VENDORS, Vendor, recognise

SERVER = "ldaps://directory.example.org"


def _root_dse(**attributes: list[bytes]) -> Entry:
    return Entry("", {name.lower(): values for name, values in attributes.items()})


@pytest.mark.parametrize("object_class", [b"OpenLDAProotDSE", b"openldaprootdse"])
def test_openldap_is_recognised_by_its_root_dse(object_class: bytes) -> None:
    """OpenLDAP's root DSE has a class of its own."""
    root_dse = _root_dse(objectClass=[b"top", object_class])
    assert recognise(root_dse, "auto", SERVER) is OPENLDAP


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_setting_overrules_the_root_dse(vendor: Vendor) -> None:
    """An administrator who names the vendor is believed, even of a root DSE that hides it."""
    assert recognise(_root_dse(), vendor.name, SERVER) is vendor


@pytest.mark.parametrize("setting", ["auto", "389ds"])
def test_an_unknown_directory_is_refused_by_name(setting: str) -> None:
    """The error says which server it is, what it calls itself and what is known."""
    root_dse = _root_dse(
        objectClass=[b"top"], vendorName=[b"389 Project"], vendorVersion=[b"389-Directory/3.1"]
    )
    with pytest.raises(SettingsError) as caught:
        recognise(root_dse, setting, SERVER)
    message = str(caught.value)
    assert caught.value.server == SERVER
    for wanted in (SERVER, "(389 Project 389-Directory/3.1)", "openldap", "`vendor`"):
        assert wanted in message


def test_a_directory_that_says_nothing_is_refused_too() -> None:
    """Without a vendor's name the error has no empty brackets."""
    with pytest.raises(SettingsError, match="does not know; if"):
        recognise(_root_dse(), "auto", SERVER)


def test_a_vendor_that_is_named_is_not_guessed() -> None:
    """A name without a record is refused, whatever the root DSE looks like."""
    with pytest.raises(SettingsError, match="does not know"):
        recognise(_root_dse(objectClass=[b"OpenLDAProotDSE"]), "389ds", SERVER)


def test_all_that_recognition_reads_is_asked_for() -> None:
    """The root DSE's attributes are operational: what is not named is not sent."""
    assert {"objectClass", "vendorName", "vendorVersion"} <= set(ROOT_DSE_ATTRIBUTES)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_record_holds_good_settings(vendor: Vendor) -> None:
    """Its filters and attributes would pass as settings, its identifier can identify."""
    for text in (vendor.users_filter, vendor.groups_filter):
        assert str(filters.parse(text)) == text
    for attribute in (vendor.user_name_attribute, vendor.group_object_class):
        filters.present(attribute)
    assert vendor.identifier_form(vendor.identifier_attribute) is IdentifierForm.UUID_TEXT
    assert all(name == name.lower() for name, _ in vendor.identifier_forms)


def test_the_setting_knows_every_vendor() -> None:
    """Each record can be chosen by name, and no name is without a record."""
    choices = Settings.model_json_schema()["properties"]["vendor"]["enum"]
    assert choices == ["auto", *(vendor.name for vendor in VENDORS)]


def test_an_identifying_attribute_is_known_in_any_case() -> None:
    """An attribute that cannot identify is told by None."""
    assert OPENLDAP.identifier_form("uidNumber") is IdentifierForm.INTEGER
    assert OPENLDAP.identifier_form("ENTRYUUID") is IdentifierForm.UUID_TEXT
    assert OPENLDAP.identifier_form("mail") is None


def test_openldap_gets_groups_that_may_be_empty() -> None:
    """Its groupOfNames refuses to lose the last member, which revoking does."""
    assert OPENLDAP.group_object_class == GROUP_CLASS
    assert f"(objectClass={GROUP_CLASS})" in OPENLDAP.groups_filter

"""Settings and vendor brought together: what is searched for, and what is written."""

from __future__ import annotations

from typing import Any

import pytest

from ldapdb.client import RootDSE
from ldapdb.entries import APPLICATION_CLASS, DESCRIPTION, GRANT_CLASS, GROUP_CLASS, IMAGE, MEMBER
from ldapdb.errors import SettingsError
from ldapdb.model import User
from ldapdb.notation import SchemaNotation
from ldapdb.protocol.dn import DN
from ldapdb.settings import load
from ldapdb.stock import StockNotation
from ldapdb.store.profile import Profile
from ldapdb.syntaxes import IdentifierForm
from ldapdb.vendors import ACTIVE_DIRECTORY, DS389, OPENLDAP, VENDORS, Vendor

PPOLICY = "1.3.6.1.4.1.42.2.27.8.5.1"
EVERY_VENDOR = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
ALICE = User(1, "alice", DN.parse("uid=alice,ou=people,dc=x"))
NEW = DN.parse("cn=simphony/mayavi:0.5,ou=grants,ou=r,dc=x")


def _profile(vendor: Vendor, *, controls: tuple[str, ...] = (), **more: Any) -> Profile:
    settings = load(**{"uri": "ldaps://one", "base_dn": "ou=r,dc=x", **more})
    contexts = (DN.parse("dc=x"), DN.parse("dc=y"))
    return Profile.make(
        settings, RootDSE(vendor, contexts, DN.parse("cn=s"), frozenset(controls), "ldaps://one")
    )


@EVERY_VENDOR
def test_what_is_not_set_comes_from_the_vendor(vendor: Vendor) -> None:
    """Two settings are enough on each kind of directory."""
    profile = _profile(vendor)
    assert profile.user_name_attributes == (vendor.user_name_attribute,)
    assert profile.user_id_attribute == vendor.identifier_attribute
    assert profile.user_id_form is vendor.identifier_form(vendor.identifier_attribute)
    assert profile.in_chain_rule == vendor.in_chain_rule
    assert profile.group_object_class == vendor.group_object_class
    assert str(profile.groups_filter) == vendor.groups_filter
    assert isinstance(profile.notation, SchemaNotation)
    assert [str(base.dn) for base in profile.users] == ["dc=x"]
    assert str(profile.applications.dn) == "ou=applications,ou=r,dc=x"
    assert str(profile.grants.dn) == "ou=grants,ou=r,dc=x"


@EVERY_VENDOR
def test_without_our_schema_lines_are_read(vendor: Vendor) -> None:
    """The setting changes the way of writing and the class of new entries."""
    profile = _profile(vendor, schema="stock")
    assert isinstance(profile.notation, StockNotation)
    assert profile.group_object_class == vendor.stock_group_object_class
    assert _profile(vendor, schema="stock", group_object_class="x").group_object_class == "x"


def test_users_are_searched_below_each_base() -> None:
    """Each base knows the setting that it comes from; the order of names stays."""
    profile = _profile(
        OPENLDAP,
        users_base=["ou=people,dc=x", "ou=guests,dc=y"],
        user_name_attribute="uid mail",
    )
    assert [(str(base.dn), base.setting) for base in profile.users] == [
        ("ou=people,dc=x", "users_base"),
        ("ou=guests,dc=y", "users_base"),
    ]
    assert profile.user_name_attributes == ("uid", "mail")


@EVERY_VENDOR
def test_a_base_outside_every_context_is_an_error(vendor: Vendor) -> None:
    """Where users are cannot be guessed: the error names both settings."""
    with pytest.raises(SettingsError, match="users_base: base_dn 'ou=r,dc=z' is in none of"):
        _profile(vendor, base_dn="ou=r,dc=z")
    profile = _profile(vendor, base_dn="ou=r,dc=z", users_base="dc=x", groups_base="dc=x")
    assert [str(base.dn) for base in profile.users] == ["dc=x"]


@pytest.mark.parametrize(
    ("vendor", "controls", "locked"),
    [
        (OPENLDAP, (), False),
        (OPENLDAP, (PPOLICY,), True),
        (DS389, (), True),
        (ACTIVE_DIRECTORY, (), True),
    ],
)
def test_locked_users_are_none(vendor: Vendor, controls: tuple[str, ...], locked: bool) -> None:
    """Where the directory does not know the lock, its filter would match nobody."""
    users = str(_profile(vendor, controls=controls).users_filter)
    assert users == (
        f"(&{vendor.users_filter}{vendor.lock_filter})" if locked else vendor.users_filter
    )
    own = _profile(vendor, controls=controls, users_filter="(a=b)")
    assert str(own.users_filter) == (f"(&(a=b){vendor.lock_filter})" if locked else "(a=b)")
    assert str(own.people_filter) == "(a=b)"
    # Whoever is kept out by either is a user all the same.
    assert str(own.any_user_filter) == f"(|(a=b){vendor.users_filter})"


def test_an_attribute_that_cannot_identify_is_refused() -> None:
    """What identifies users on one directory may be nothing on another."""
    profile = _profile(DS389, user_id_attribute="entryUUID")
    assert profile.user_id_form is IdentifierForm.UUID_TEXT
    with pytest.raises(SettingsError, match="use one of objectguid, uidnumber"):
        _profile(ACTIVE_DIRECTORY, user_id_attribute="entryUUID")


@pytest.mark.parametrize(
    ("attribute", "attributes", "memberships"),
    [
        ("member", ("member",), [("member", str(ALICE.dn))]),
        (
            "uniqueMember",
            ("member", "uniqueMember"),
            [("member", str(ALICE.dn)), ("uniqueMember", str(ALICE.dn))],
        ),
        ("memberUid", ("member",), [("member", str(ALICE.dn)), ("memberUid", "alice")]),
        ("MEMBERUID", ("member",), [("member", str(ALICE.dn)), ("memberUid", "alice")]),
    ],
)
def test_members_are_named_by_dn_or_by_name(
    attribute: str, attributes: tuple[str, ...], memberships: list[tuple[str, str]]
) -> None:
    """DNs are DNs in any attribute; memberUid has login names, beside the DNs of member."""
    profile = _profile(OPENLDAP, group_member_attribute=attribute)
    assert profile.member_attributes == attributes
    assert profile.member_names is (attribute.lower() == "memberuid")
    assert profile.memberships(ALICE.dn, ALICE.login_names) == memberships


@pytest.mark.parametrize(
    "more",
    [
        {"nested_groups": False},
        {"groups_base": "ou=groups,dc=x"},
        {"groups_filter": "(objectClass=group)"},
        {"group_member_attribute": "memberUid"},
    ],
)
def test_the_rule_is_for_all_groups_or_for_none(more: dict[str, Any]) -> None:
    """The directory follows every group there is, so it is not asked where some do not count."""
    assert _profile(ACTIVE_DIRECTORY).in_chain_rule is not None
    assert _profile(ACTIVE_DIRECTORY, **more).in_chain_rule is None


@pytest.mark.parametrize(
    ("vendor", "group"),
    [(OPENLDAP, GROUP_CLASS), (DS389, "groupOfNames"), (ACTIVE_DIRECTORY, "group")],
)
def test_a_new_entry_has_two_classes(vendor: Vendor, group: str) -> None:
    """One is the vendor's, one is ours; nothing is put in that nobody asked for."""
    classes, said = _profile(vendor).new_group(NEW, APPLICATION_CLASS, {IMAGE: ["a"]})
    assert classes == [group, APPLICATION_CLASS]
    assert said.pop(IMAGE) == ["a"]
    assert MEMBER not in said
    assert set(said) == ({"groupType", "sAMAccountName"} if vendor is ACTIVE_DIRECTORY else set())


@pytest.mark.parametrize(
    ("vendor", "group", "members"),
    [
        (OPENLDAP, "groupOfNames", [""]),
        (DS389, "groupOfNames", None),
        (ACTIVE_DIRECTORY, "group", None),
    ],
)
def test_a_new_entry_without_our_schema_has_a_line(
    vendor: Vendor, group: str, members: list[str] | None
) -> None:
    """Where a group must have a member, the empty DN is one that names nobody."""
    profile = _profile(vendor, schema="stock")
    classes, said = profile.new_group(NEW, APPLICATION_CLASS, {IMAGE: ["a"]})
    assert classes == [group]
    assert said[DESCRIPTION] == ["remoteapp application image=a"]
    assert IMAGE not in said
    assert said.get(MEMBER) == members
    _, said = profile.new_group(NEW, GRANT_CLASS, {IMAGE: ["a"], MEMBER: ["uid=a,dc=x"]})
    assert said[MEMBER] == ["uid=a,dc=x"]


def test_a_new_account_has_a_name_of_its_own() -> None:
    """Two entries of one name, one of them renamed since, are two accounts."""
    profile = _profile(ACTIVE_DIRECTORY)
    names = set()
    for _ in range(20):
        _, said = profile.new_group(NEW, GRANT_CLASS, {IMAGE: ["a"]})
        (name,) = said["sAMAccountName"]
        assert name.startswith("simphony-mayavi-0.5-")
        assert said["groupType"] == ["4"]
        names.add(name)
    assert len(names) == 20

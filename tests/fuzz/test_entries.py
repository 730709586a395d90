"""Entries of any kind are read or refused, and give nothing that they do not say."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
from fuzz import literally, raw
from fuzz.budget import Budget
from fuzz.watch import Log, bounded
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from ldapdb.client import Call, RootDSE
from ldapdb.entries import is_application, is_grant, read_application
from ldapdb.errors import InvalidValue, SettingsError
from ldapdb.model import Grant
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.settings import load
from ldapdb.store.grants import Grants
from ldapdb.store.memberships import Members, Memberships
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned
from ldapdb.store.users import Users, rdn_filter
from ldapdb.syntaxes import IdentifierForm
from ldapdb.vendors import VENDORS, Vendor

SUFFIX = DN.parse("dc=example,dc=org")
LITERALLY = {
    IdentifierForm.UUID_TEXT: literally.hexadecimal,
    IdentifierForm.HEXADECIMAL: literally.hexadecimal,
    IdentifierForm.UUID_BYTES_LE: literally.little_endian,
    IdentifierForm.INTEGER: literally.whole_number,
}


class Reading:
    """The readers of one vendor and one way of keeping policy."""

    def __init__(self, vendor: Vendor, schema: str, **more: Any) -> None:
        given = {"schema": schema, "uri": "ldap://127.0.0.1", **more}
        root_dse = RootDSE(vendor, (SUFFIX,), DN(()), frozenset(), "ldap://127.0.0.1")
        self.profile = Profile.make(
            load(base_dn="ou=remoteapp,dc=example,dc=org", bind="anonymous",
                 allow_plaintext=True, **given),
            root_dse,
        )  # fmt: skip
        warned = Warned()
        self.warned = warned
        self.grants = Grants(self.profile, warned)
        self.users = Users(self.profile, warned, None)
        self.memberships = Memberships(self.profile, self.users, self.grants, warned)


def received(dn: str, attributes: dict[str, list[bytes]]) -> Entry:
    return Entry(dn, {name.lower(): values for name, values in attributes.items()})


def said(grant: Grant) -> literally.Said:
    policy, window = grant.policy, grant.window
    assert policy.allow_common is (policy.volume is not None)
    return literally.Said(
        grant.images, policy.app_license, policy.allow_home, policy.allow_view,
        policy.allow_startup_data, policy.volume, window.not_before, window.not_after,
    )  # fmt: skip


def read_grants(reading: Reading, entry: Entry, attributes: dict[str, list[bytes]]) -> None:
    entries = reading.grants.read([entry])
    found = reading.grants.readable(filter(is_grant, entries))
    for grant in found:
        assert str(grant.dn) == str(DN.parse(entry.dn))
        if reading.profile.notation.needs_schema:
            classes = [bytes(each).lower() for each in literally.of(attributes, "objectClass")]
            assert b"remoteappgrant" in classes
            literally.check(said(grant), attributes)
        else:
            literally.check(said(grant), literally.line(entry.attributes))
    form = reading.profile.vendor.identifier_form(reading.profile.vendor.identifier_attribute)
    assert form is not None
    identified = Entry(
        entry.dn, {**entries[0].attributes, "theid": [bytes(range(16)) if form is
                   IdentifierForm.UUID_BYTES_LE else raw.IDENTIFIERS[0]]},
    )  # fmt: skip
    for application in reading.warned.readable(
        [each for each in (identified,) if is_application(each)],
        lambda each: read_application(each, "theid", form),
    ):
        given_images = entries[0].attributes["remoteappimage"]
        assert list(given_images) == [application.image.encode()]


def read_members(reading: Reading, entry: Entry, attributes: dict[str, list[bytes]]) -> None:
    if any(";range=" in name for name in entry.attributes):
        return  # would be asked for, part by part
    members = Members(set(), set())
    no_call: Any = Call
    reading.memberships._read_members(no_call, entry, SUFFIX, members)
    named = [value.decode(errors="replace") for value in literally.of(attributes, "member")]
    for dn in members.dns:
        assert dn.rdns
        rdn_filter(dn)
        assert any(_is_dn(dn, text) for text in named)


def _is_dn(dn: DN, text: str) -> bool:
    try:
        return DN.parse(text) == dn
    except ValueError:
        return False


def read_person(reading: Reading, entry: Entry, attributes: dict[str, list[bytes]]) -> None:
    profile = reading.profile
    try:
        user = reading.users._read(entry)
    except (InvalidValue, SettingsError):
        return
    names = [literally.of(attributes, name) for name in profile.user_name_attributes]
    assert any(user.name.encode() in values for values in names)
    assert not set(user.name) & set("<>\n\0")
    (identifier,) = literally.of(attributes, profile.user_id_attribute)
    assert user.id == LITERALLY[profile.user_id_form](identifier)
    assert user.dn == DN.parse(entry.dn)
    if user.primary_group is not None:
        (sid,), (number,) = (
            literally.of(attributes, name) for name in ("objectSid", "primaryGroupID")
        )
        assert user.primary_group[:-4] == sid[:-4]
        assert user.primary_group[-4:] == literally.whole_number(number).to_bytes(4, "little")


KINDS = [(vendor, schema) for vendor in VENDORS for schema in ("remoteapp", "stock")]


@pytest.mark.parametrize(
    ("vendor", "schema"), KINDS, ids=[f"{vendor.name}-{schema}" for vendor, schema in KINDS]
)
def test_entries_give_nothing_that_they_do_not_say(
    vendor: Vendor, schema: str, budget: Budget, log: Log
) -> None:
    """Missing, doubled, huge, misspelled or damaged: refused with our error, or to the letter."""
    readings = [Reading(vendor, schema), Reading(vendor, schema, user_id_attribute="uidNumber")]
    name = readings[0].profile.user_name_attributes[0]
    kind = f"entries: {vendor.name}, {schema}"

    @seed(budget.seed)
    @settings(max_examples=ceil(budget.of("entries") / len(KINDS)), database=None)
    @given(st.data(), st.sampled_from(readings), st.integers(0, 3))
    def read(data: st.DataObject, reading: Reading, what: int) -> None:
        identifier = reading.profile.user_id_attribute
        dn, attributes = data.draw(raw.people(name, identifier) if what == 0 else raw.grants())
        reading.warned._said.renew()
        with bounded(kind, seconds=5, megabytes=200):
            entry = received(dn, attributes)
            if what == 0:
                read_person(reading, entry, attributes)
            else:
                read_grants(reading, entry, attributes)
                read_members(reading, entry, attributes)
        log.check()
        budget.ran[kind] += 1

    read()

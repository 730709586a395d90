"""Whether a directory knows our classes: told from its definitions, and said in one message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from ldapdb.client import Call, RootDSE
from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS, GROUP_CLASS
from ldapdb.errors import NoSuchEntry, SchemaMissing
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.store.schema import _LOOKUPS, _defines, require_schema
from ldapdb.vendors import VENDORS, SchemaLookup, Vendor

LDIF = Path(__file__).resolve().parents[2] / "ldif"
ARC = "1.2.840.113556.1.8000.2554.20202.47427.27932.19495.43781.38847.6802906"
SERVER = "ldaps://directory.example.org"

# As 389 Directory Server 2.3.1 sends them: on one line each, with an origin.
PERSON = (
    "( 2.5.6.6 NAME 'person' DESC 'Standard LDAP objectclass' SUP top STRUCTURAL "
    "MUST ( sn $ cn ) MAY ( userPassword $ telephoneNumber $ seeAlso $ description ) "
    "X-ORIGIN 'RFC 4519' )"
)
APPLICATION = (
    f"( {ARC}.2.1 NAME 'remoteAppApplication' DESC 'An application that can be started; has "
    "exactly one remoteAppImage' SUP top AUXILIARY MUST remoteAppImage MAY ( description $ "
    "displayName ) X-ORIGIN 'user defined' )"
)
GRANT = (
    f"( {ARC}.2.2 NAME 'remoteAppGrant' DESC 'A grant' SUP top AUXILIARY MUST remoteAppImage "
    "MAY ( remoteAppLicense $ remoteAppVolume ) X-ORIGIN 'user defined' )"
)


def _subschema(*definitions: str) -> Entry:
    return Entry("cn=schema", {"objectclasses": [each.encode() for each in definitions]})


@pytest.mark.parametrize(
    "definition",
    [
        GRANT,
        GRANT.replace("'remoteAppGrant'", "'REMOTEAPPGRANT'"),
        GRANT.replace("NAME 'remoteAppGrant'", "NAME ( 'remoteAppGrant' )"),
        GRANT.replace("NAME 'remoteAppGrant'", "NAME ( 'remoteAppGrant' 'raGrant' )"),
        GRANT.replace("NAME 'remoteAppGrant'", "NAME ( 'raGrant' 'remoteAppGrant' )"),
        GRANT.replace("NAME 'remoteAppGrant'", "NAME  ('raGrant'  'remoteAppGrant')"),
        GRANT.replace(" NAME ", "\n  NAME\n  "),
        f"( {ARC}.2.2 NAME 'remoteAppGrant' )",
    ],
)
def test_a_class_is_known_by_its_name(definition: str) -> None:
    """Capitals, further names and blanks are no matter (RFC 4512, section 4.1.1)."""
    assert _defines(_subschema(PERSON, definition), GRANT_CLASS)
    assert not _defines(_subschema(PERSON, definition), APPLICATION_CLASS)


@pytest.mark.parametrize(
    "definition",
    [
        PERSON,
        APPLICATION,
        GRANT.replace("'remoteAppGrant'", "'remoteAppGrants'"),
        GRANT.replace("'remoteAppGrant'", "'myremoteAppGrant'"),
        GRANT.replace("'remoteAppGrant'", "'my' DESC 'remoteAppGrant'"),
        GRANT.replace("'remoteAppGrant'", "'my' SUP remoteAppGrant"),
        GRANT.replace("'remoteAppGrant'", "( 'my' 'our' ) X-ORIGIN 'remoteAppGrant'"),
        GRANT.replace("'remoteAppGrant'", "( 'my' ) X-OTHER ( 'remoteAppGrant' )"),
        GRANT.replace("NAME 'remoteAppGrant'", "DESC 'remoteAppGrant'"),
        GRANT.replace("NAME 'remoteAppGrant'", ""),
        "remoteAppGrant",
        "",
    ],
)
def test_a_class_that_is_only_mentioned_is_not_known(definition: str) -> None:
    """A description, a parent or a longer name defines nothing."""
    assert not _defines(_subschema(PERSON, definition), GRANT_CLASS)


def test_a_directory_that_shows_no_definitions_knows_no_class() -> None:
    """What an account may not read is not there for it."""
    assert not _defines(Entry("cn=schema", {}), GRANT_CLASS)


@pytest.mark.parametrize("name", ["schema.ldif", "99remoteapp.ldif"])
def test_what_is_loaded_into_389_is_found_there(name: str) -> None:
    """The definitions of ldif/ are the ones that are looked for."""
    text = (LDIF / "389ds" / name).read_text(encoding="utf-8").replace("\n ", "")
    definitions = re.findall(r"^objectClasses: (.*)$", text, re.MULTILINE | re.IGNORECASE)
    for object_class in (APPLICATION_CLASS, GRANT_CLASS, GROUP_CLASS):
        assert _defines(_subschema(*definitions), object_class)
        assert not _defines(
            _subschema(*(each for each in definitions if f"'{object_class}'" not in each)),
            object_class,
        )


def test_every_way_of_asking_is_there() -> None:
    """No record asks in a way that is not written."""
    assert set(_LOOKUPS) == set(SchemaLookup)


# -- the answer -----------------------------------------------------------------------------


class _Answering:
    """A call that a directory answers with these entries, or with noSuchObject."""

    def __init__(self, vendor: Vendor, entries: list[Entry] | None) -> None:
        self._vendor, self._entries = vendor, entries
        self.asked: list[tuple[DN, str]] = []

    def root_dse(self) -> RootDSE:
        return RootDSE(self._vendor, (), DN.parse("cn=aggregate,cn=schema"), frozenset(), SERVER)

    def search(self, base: DN, search_filter: Filter, _attributes: Sequence[str]) -> list[Entry]:
        self.asked.append((base, str(search_filter)))
        if self._entries is None:
            raise NoSuchEntry("none", server=SERVER, dn=str(base), result_code=32)
        return self._entries

    def read(
        self, dn: DN, attributes: Sequence[str], search_filter: Filter | str = ""
    ) -> tuple[str, list[Entry]]:
        return SERVER, self.search(dn, cast("Filter", search_filter), attributes)


KNOWN = {
    SchemaLookup.FILTER: [Entry("cn=Subschema", {})],
    SchemaLookup.DEFINITIONS: [_subschema(PERSON, APPLICATION, GRANT)],
    SchemaLookup.ENTRIES: [Entry("cn=one,cn=schema", {}), Entry("cn=two,cn=schema", {})],
}
UNKNOWN: list[tuple[SchemaLookup, list[Entry] | None]] = [
    *((lookup, None) for lookup in SchemaLookup),
    *((lookup, []) for lookup in SchemaLookup),
    (SchemaLookup.DEFINITIONS, [_subschema(PERSON)]),
    (SchemaLookup.DEFINITIONS, [_subschema(APPLICATION)]),
    (SchemaLookup.DEFINITIONS, [_subschema(GRANT)]),
    (SchemaLookup.DEFINITIONS, [Entry("cn=schema", {})]),
    (SchemaLookup.ENTRIES, [Entry("cn=one,cn=schema", {})]),
]
BY_LOOKUP = {vendor.schema_lookup: vendor for vendor in VENDORS}


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_a_directory_with_our_classes_is_content(vendor: Vendor) -> None:
    """Where both classes are, nothing is said; one question was enough."""
    call = _Answering(vendor, KNOWN[vendor.schema_lookup])
    require_schema(cast("Call", call))
    assert len(call.asked) == 1


@pytest.mark.parametrize(("lookup", "entries"), UNKNOWN)
def test_a_directory_without_our_classes_says_what_to_do(
    lookup: SchemaLookup, entries: list[Entry] | None
) -> None:
    """The error names server, classes, the file to load and the way to do without."""
    vendor = BY_LOOKUP[lookup]
    with pytest.raises(SchemaMissing) as caught:
        require_schema(cast("Call", _Answering(vendor, entries)))
    message = str(caught.value)
    assert caught.value.server == SERVER
    for wanted in (SERVER, APPLICATION_CLASS, GRANT_CLASS, vendor.schema_file, "schema = 'stock'"):
        assert wanted in message


@pytest.mark.parametrize(
    ("lookup", "base", "question"),
    [
        (
            SchemaLookup.FILTER,
            "cn=aggregate,cn=schema",
            f"(&(objectClasses={APPLICATION_CLASS})(objectClasses={GRANT_CLASS}))",
        ),
        (SchemaLookup.DEFINITIONS, "cn=aggregate,cn=schema", ""),
        (
            SchemaLookup.ENTRIES,  # beside the subschema entry, by the name that LDAP uses
            "cn=schema",
            f"(|(lDAPDisplayName={APPLICATION_CLASS})(lDAPDisplayName={GRANT_CLASS}))",
        ),
    ],
)
def test_a_directory_is_asked_in_its_own_way(
    lookup: SchemaLookup, base: str, question: str
) -> None:
    """By what the subschema entry defines, for all of it, or for an entry of each class."""
    call = _Answering(BY_LOOKUP[lookup], KNOWN[lookup])
    require_schema(cast("Call", call))
    assert call.asked == [(DN.parse(base), question)]

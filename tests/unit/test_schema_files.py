"""The files in ``ldif/`` say what the code says."""

from __future__ import annotations

import base64
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ldapdb import entries
from ldapdb.entries import (
    APPLICATION_CLASS,
    GRANT_CLASS,
    GROUP_CLASS,
    IMAGE,
    is_application,
    is_grant,
    read_grant,
    read_images,
)
from ldapdb.errors import InvalidValue
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry

LDIF = Path(__file__).parents[2] / "ldif"
CLASSIC_SCHEMA = LDIF / "openldap" / "remoteapp.schema"
ACCESS_SDDL = LDIF / "ad" / "access.sddl"

ARC = "1.2.840.113556.1.8000.2554.20202.47427.27932.19495.43781.38847.6802906"
TEXT, BOOLEAN, TIME = (f"1.3.6.1.4.1.1466.115.121.1.{number}" for number in (15, 7, 24))

# docs/design.md, section 2. A number once used is never used again.
ATTRIBUTES = {
    1: (entries.IMAGE, TEXT, "caseExactMatch", False),
    2: (entries.LICENSE, TEXT, "caseExactMatch", True),
    3: (entries.ALLOW_HOME, BOOLEAN, "booleanMatch", True),
    4: (entries.ALLOW_VIEW, BOOLEAN, "booleanMatch", True),
    5: (entries.ALLOW_STARTUP_DATA, BOOLEAN, "booleanMatch", True),
    6: (entries.VOLUME, TEXT, "caseExactMatch", True),
    7: (entries.NOT_BEFORE, TIME, "generalizedTimeMatch", True),
    8: (entries.NOT_AFTER, TIME, "generalizedTimeMatch", True),
}
CLASSES = {
    1: (APPLICATION_CLASS, "AUXILIARY", {IMAGE}, {"description", "displayName"}),
    2: (GRANT_CLASS, "AUXILIARY", {IMAGE}, set(entries.POLICY_ATTRIBUTES)),
    3: (GROUP_CLASS, "STRUCTURAL", {"cn"}, {"member", "description", "owner", "seeAlso"}),
}

# What the sample uses of the standard schema (RFC 4519, RFC 2798).
STANDARD_CLASSES = {
    "dcObject": {"dc"},
    "groupOfNames": {"cn", "member", "description", "owner"},
    "inetOrgPerson": {"uid", "cn", "sn", "givenName", "displayName", "mail", "description"},
    "organization": {"o", "description"},
    "organizationalUnit": {"ou", "description"},
}


# -- reading the files ----------------------------------------------------------------------


@dataclass(frozen=True)
class Definition:
    """An attribute type or an object class (RFC 4512, section 4.1)."""

    oid: str
    words: frozenset[str]
    fields: tuple[tuple[str, tuple[str, ...]], ...]

    def __getitem__(self, keyword: str) -> tuple[str, ...]:
        return dict(self.fields).get(keyword, ())

    @property
    def name(self) -> str:
        return self["NAME"][0]


FLAGS = {"SINGLE-VALUE", "AUXILIARY", "STRUCTURAL", "ABSTRACT", "OBSOLETE", "COLLECTIVE"}


def _definition(text: str) -> Definition:
    """Read one definition, with its parentheses."""
    tokens = re.findall(r"'[^']*'|[()$]|[^\s()$']+", text)
    assert tokens[0] == "("
    assert tokens[-1] == ")"
    oid, rest = tokens[1], tokens[2:-1]
    fields, words = [], set()
    while rest:
        keyword = rest.pop(0)
        if keyword in FLAGS:
            words.add(keyword)
        elif rest[0] == "(":
            end = rest.index(")")
            fields.append((keyword, tuple(each for each in rest[1:end] if each != "$")))
            rest = rest[end + 1 :]
        else:
            fields.append((keyword, (rest.pop(0).strip("'"),)))
    return Definition(oid, frozenset(words), tuple(sorted(fields)))


def _lines(path: Path) -> Iterator[str]:
    """Return the logical lines: unfolded, without comments (RFC 2849, note 2)."""
    unfolded = re.sub(r"\n ", "", path.read_text(encoding="utf-8"))
    for line in unfolded.splitlines():
        if not line.startswith("#"):
            assert line.isascii(), f"{path.name} has to write this in base64: {line!r}"
            yield line


Schema = tuple[list[Definition], list[Definition]]


def _from_ldif(path: Path) -> Schema:
    """Read the definitions of OpenLDAP's cn=config or of cn=schema."""
    found: dict[str, list[Definition]] = defaultdict(list)
    for line in _lines(path):
        keyword, _, rest = line.partition(": ")
        if keyword in ("add", "changetype", "cn", "dn", "objectClass") or not rest:
            continue
        found[keyword.removeprefix("olc").lower()].append(_definition(rest))
    assert set(found) == {"attributetypes", "objectclasses"}
    return found["attributetypes"], found["objectclasses"]


def _from_classic() -> Schema:
    text = CLASSIC_SCHEMA.read_text(encoding="ascii")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    found: dict[str, list[Definition]] = defaultdict(list)
    for keyword, rest in re.findall(r"^(\w+) (\(.*(?:\n[ \t].*)*)", text, flags=re.MULTILINE):
        found[keyword].append(_definition(rest))
    assert set(found) == {"attributetype", "objectclass"}
    return found["attributetype"], found["objectclass"]


def _entries(path: Path) -> list[Entry]:
    """Read the entries of an LDIF file (RFC 2849)."""
    found: list[Entry] = []
    attributes: dict[str, list[bytes]] = {}
    for line in _lines(path):
        name, separator, rest = line.partition(":")
        if not separator:
            assert line.strip() in ("", "-"), f"{path.name} has a line that is no LDIF: {line!r}"
            continue
        value = base64.b64decode(rest[1:]) if rest.startswith(":") else rest.strip().encode()
        if name == "dn":
            attributes = {}
            found.append(Entry(value.decode(), attributes))
        else:
            attributes.setdefault(name, []).append(value)
    return found


SCHEMAS = {
    path.relative_to(LDIF).as_posix(): _from_ldif(path)
    for path in (
        LDIF / "openldap" / "schema.ldif",
        LDIF / "389ds" / "schema.ldif",
        LDIF / "389ds" / "99remoteapp.ldif",
    )
}
SCHEMAS["openldap/remoteapp.schema"] = _from_classic()
ATTRIBUTE_TYPES, OBJECT_CLASSES = SCHEMAS["openldap/schema.ldif"]
AD_SCHEMA = {
    value.decode(): entry
    for entry in _entries(LDIF / "ad" / "schema.ldif")
    for value in entry.attributes.get("lDAPDisplayName", [])
}
SAMPLE = _entries(LDIF / "sample.ldif")


def _lower(entry: Entry) -> Entry:
    """Return the entry as a search returns it."""
    return Entry(entry.dn, {name.lower(): values for name, values in entry.attributes.items()})


def _name(entry: Entry) -> str:
    return entry.dn.partition(",")[0]


# -- the schema -----------------------------------------------------------------------------


def test_the_attributes_are_those_of_the_code() -> None:
    """Name, number, syntax, equality and the count of values are the design's."""
    defined = {each.oid: each for each in ATTRIBUTE_TYPES}
    assert len(defined) == len(ATTRIBUTE_TYPES)
    assert set(defined) == {f"{ARC}.1.{number}" for number in ATTRIBUTES}
    for number, (name, syntax, equality, single) in ATTRIBUTES.items():
        attribute = defined[f"{ARC}.1.{number}"]
        assert attribute["NAME"] == (name,)
        assert attribute["SYNTAX"] == (syntax,)
        assert attribute["EQUALITY"] == (equality,)
        assert ("SINGLE-VALUE" in attribute.words) is single
        assert attribute["DESC"][0]


def test_the_classes_are_those_of_the_code() -> None:
    """Name, number, kind and attributes are the design's."""
    defined = {each.oid: each for each in OBJECT_CLASSES}
    assert len(defined) == len(OBJECT_CLASSES)
    assert set(defined) == {f"{ARC}.2.{number}" for number in CLASSES}
    for number, (name, kind, must, may) in CLASSES.items():
        object_class = defined[f"{ARC}.2.{number}"]
        assert object_class["NAME"] == (name,)
        assert object_class.words == {kind}
        assert object_class["SUP"] == ("top",)
        assert set(object_class["MUST"]) == must
        assert set(object_class["MAY"]) == may


def test_the_code_has_no_name_that_the_schema_lacks() -> None:
    """Every remoteApp constant is defined, and every definition is a constant."""
    constants = {
        value
        for value in vars(entries).values()
        if isinstance(value, str) and value.startswith("remoteApp")
    }
    assert constants == {each.name for each in (*ATTRIBUTE_TYPES, *OBJECT_CLASSES)}


def test_times_can_be_compared_and_images_searched() -> None:
    """Times have an ordering rule; images may be searched by parts."""
    defined = {each.name: each for each in ATTRIBUTE_TYPES}
    for name in (entries.NOT_BEFORE, entries.NOT_AFTER):
        assert defined[name]["ORDERING"] == ("generalizedTimeOrderingMatch",)
    assert defined[IMAGE]["SUBSTR"] == ("caseExactSubstringsMatch",)


@pytest.mark.parametrize("name", SCHEMAS)
def test_all_forms_of_the_schema_define_the_same(name: str) -> None:
    """What each file loads is the same, word for word and in the same order."""
    assert SCHEMAS[name] == (ATTRIBUTE_TYPES, OBJECT_CLASSES)


def test_the_file_of_the_schema_folder_has_no_empty_line() -> None:
    """389 DS 2.3.1 takes what stands before one for an entry, and then refuses the file."""
    assert "\n\n" not in (LDIF / "389ds" / "99remoteapp.ldif").read_text()


# -- the schema of Active Directory ---------------------------------------------------------


def _texts(entry: Entry, name: str) -> list[str]:
    return [value.decode() for value in entry.attributes.get(name, [])]


def test_active_directory_has_the_attributes_of_the_others() -> None:
    """Number, count of values and purpose are theirs; the syntax is AD's word for the same."""
    words = {TEXT: ("2.5.5.3", "27"), BOOLEAN: ("2.5.5.8", "1"), TIME: ("2.5.5.11", "24")}
    for attribute in ATTRIBUTE_TYPES:
        entry = AD_SCHEMA[attribute.name]
        single = "SINGLE-VALUE" in attribute.words
        assert _texts(entry, "attributeID") == [attribute.oid]
        assert _texts(entry, "isSingleValued") == [str(single).upper()]
        assert _texts(entry, "adminDescription") == list(attribute["DESC"])
        syntax = (*_texts(entry, "attributeSyntax"), *_texts(entry, "oMSyntax"))
        assert syntax == words[attribute["SYNTAX"][0]]


def test_active_directory_has_the_classes_of_the_others() -> None:
    """The image is allowed, not demanded: Samba 4.17 would take the class on no present group."""
    for object_class in OBJECT_CLASSES:
        if object_class.name == GROUP_CLASS:
            assert GROUP_CLASS not in AD_SCHEMA  # its own class, group, may be empty
            continue
        entry = AD_SCHEMA[object_class.name]
        assert _texts(entry, "governsID") == [object_class.oid]
        assert _texts(entry, "adminDescription") == list(object_class["DESC"])
        assert _texts(entry, "objectClassCategory") == ["3"]  # auxiliary
        assert _texts(entry, "subClassOf") == list(object_class["SUP"])
        assert _texts(entry, "mustContain") == []
        assert set(_texts(entry, "mayContain")) == {*object_class["MUST"], *object_class["MAY"]}


def test_active_directory_defines_nothing_else() -> None:
    """Every entry of the schema is one of those compared above."""
    names = {each.name for each in (*ATTRIBUTE_TYPES, *OBJECT_CLASSES)}
    assert set(AD_SCHEMA) == names - {GROUP_CLASS}


@pytest.mark.parametrize("name", AD_SCHEMA)
def test_active_directory_s_names_and_guids_follow_from_the_others(name: str) -> None:
    """The entry is named like the attribute; its GUID is made from its number."""
    entry = AD_SCHEMA[name]
    (oid,) = _texts(entry, "attributeID") + _texts(entry, "governsID")
    assert entry.dn == f"CN={name},CN=Schema,CN=Configuration,DC=X"
    assert _texts(entry, "cn") == _texts(entry, "adminDisplayName") == [name]
    assert entry.attributes["schemaIDGUID"] == [uuid.uuid5(uuid.NAMESPACE_OID, oid).bytes_le]


def test_active_directory_hides_the_licence_and_indexes_the_image() -> None:
    """SearchFlags: 128 is confidential, 1 is an index."""
    flags = {
        name: _texts(entry, "searchFlags")
        for name, entry in AD_SCHEMA.items()
        if "attributeID" in entry.attributes
    }
    assert flags.pop(entries.LICENSE) == ["128"]
    assert flags.pop(IMAGE) == ["1"]
    assert set(map(tuple, flags.values())) == {("0",)}


def test_the_access_rules_name_groups_and_no_attribute() -> None:
    """A right to one confidential attribute would let its reader write it on Samba 4.17."""
    rules = re.findall(
        r"^\(\w+;\w*;\w*;([^;]*);([^;]*);\w+\)$", ACCESS_SDDL.read_text(), re.MULTILINE
    )
    group = "bf967a9c-0de6-11d0-a285-00aa003049e2"
    assert rules == [("", ""), ("", ""), (group, ""), ("", group)]


@pytest.mark.parametrize("path", sorted(LDIF.rglob("*.*")), ids=lambda path: str(path.name))
def test_no_file_names_what_is_not_defined(path: Path) -> None:
    """A name of ours in any file, access rules and comments too, is one that there is."""
    known = {each.name for each in (*ATTRIBUTE_TYPES, *OBJECT_CLASSES)}
    assert set(re.findall(r"\bremoteApp[A-Z]\w*", path.read_text(encoding="utf-8"))) <= known


def test_both_trees_are_the_same() -> None:
    """The tree of Active Directory has the entries, names and words of the others' tree."""
    suffixes = ("dc=example,dc=org", "dc=x")
    plain, ad = (
        {
            entry.dn.lower().removesuffix(suffix): (
                entry.attributes["ou"],
                entry.attributes["description"],
            )
            for entry in _entries(path)
        }
        for path, suffix in zip((LDIF / "tree.ldif", LDIF / "ad" / "tree.ldif"), suffixes)
    )
    assert plain == ad


def test_the_access_rules_of_389_name_every_attribute() -> None:
    """Those who read and those who write may do so with all that there is."""
    rules = [
        value.decode()
        for entry in _entries(LDIF / "389ds" / "access.ldif")
        for value in entry.attributes.get("aci", [])
    ]
    for purpose in ("read", "write"):
        (rule,) = (each for each in rules if f'acl "remoteapp: {purpose}"' in each)
        named = re.findall(r"\w+", rule.partition("targetattr=")[2].partition(")")[0])
        assert {each.name for each in ATTRIBUTE_TYPES} <= set(named)


# -- the data -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sample.ldif", "services.ldif", "tree.ldif"])
def test_parents_come_before_children(name: str) -> None:
    """A file can be loaded from its beginning to its end; no entry stands twice."""
    dns = [DN.parse(entry.dn) for entry in _entries(LDIF / name)]
    assert dns
    assert len(set(dns)) == len(dns)
    suffix = DN.parse("dc=example,dc=org")
    for position, dn in enumerate(dns):
        assert dn.is_under(suffix)
        assert dn == suffix or dn.parent in {suffix, *dns[:position]}


@pytest.mark.parametrize("entry", SAMPLE, ids=_name)
def test_the_sample_uses_what_its_classes_allow(entry: Entry) -> None:
    """Every attribute is a known one that the entry's classes have; what they demand is there."""
    ours = {each.name: each for each in OBJECT_CLASSES}
    classes = [value.decode() for value in entry.attributes["objectClass"]]
    allowed = {"objectClass"}
    for name in classes:
        if name in ours:
            assert set(ours[name]["MUST"]) <= set(entry.attributes)
            allowed |= {*ours[name]["MUST"], *ours[name]["MAY"]}
        else:
            allowed |= STANDARD_CLASSES[name]
    assert set(entry.attributes) <= allowed


@pytest.mark.parametrize("entry", SAMPLE, ids=_name)
def test_the_sample_s_names_are_among_the_values(entry: Entry) -> None:
    """The RDN's value is a value of the entry, as a server demands."""
    for ava in DN.parse(entry.dn).rdns[0]:
        assert ava.value in [value.decode() for value in entry.attributes[ava.attribute]]


def test_the_sample_names_nobody_who_is_not_in_it() -> None:
    """Members and owners are entries of the sample."""
    known = {DN.parse(entry.dn) for entry in SAMPLE}
    for entry in SAMPLE:
        for name in ("member", "owner"):
            for value in entry.attributes.get(name, []):
                assert DN.parse(value.decode()) in known, entry.dn


def test_the_sample_grants_what_is_registered() -> None:
    """Every image of a grant is an application; the one broken grant is broken on purpose."""
    searched = [_lower(entry) for entry in SAMPLE]
    registered = {
        image for entry in searched if is_application(entry) for image in read_images(entry)[0]
    }
    broken = []
    for entry in filter(is_grant, searched):
        assert set(read_images(entry)[0]) <= registered
        assert not read_images(entry)[1]
        try:
            read_grant(entry)
        except InvalidValue:
            broken.append(_name(entry))
    assert broken == ["cn=alice-openfoam-broken"]


def test_the_sample_has_the_tree() -> None:
    """What tree.ldif makes is in the sample too, entry by entry."""
    sample = {DN.parse(entry.dn): _lower(entry).attributes for entry in SAMPLE}
    for entry in _entries(LDIF / "tree.ldif"):
        attributes = _lower(entry).attributes
        assert sample[DN.parse(entry.dn)]["objectclass"] == attributes["objectclass"]
        assert sample[DN.parse(entry.dn)]["ou"] == attributes["ou"]

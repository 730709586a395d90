"""Whether a directory has our schema, all of it, and as ``ldif/`` has it now."""

from __future__ import annotations

from collections.abc import Iterator

from ldapdb.errors import NoSuchEntry
from ldapdb.protocol import filters
from ldapdb.store.checking.definitions import (
    Definition,
    differences,
    read_definitions,
    read_ldif,
    read_records,
)
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked
from ldapdb.store.checking.visiting import Visit
from ldapdb.vendors import SchemaLookup

__all__ = ["check_schema"]

_CHECK = "schema"
_KINDS = ("attributeTypes", "objectClasses")
# What Active Directory keeps of a definition, each in an entry of its own.
_AD_NAME = "lDAPDisplayName"
_AD_NUMBER = ("attributeID", "governsID")
_AD_SAID = (
    "attributeSyntax",
    "oMSyntax",
    "isSingleValued",
    "searchFlags",
    "objectClassCategory",
    "mayContain",
    "mustContain",
)


def check_schema(visit: Visit) -> Iterator[Finding]:
    """Compare each of our definitions in the directory with the one of ``ldif/``."""
    if not visit.profile.notation.needs_schema:
        yield unchecked(_CHECK, visit.uri, "none of ours is needed: schema = 'stock'")
        return
    vendor = visit.profile.vendor
    in_entries = vendor.schema_lookup is SchemaLookup.ENTRIES
    wanted = _shipped(visit, in_entries=in_entries)
    try:
        has = _entries_of(visit, wanted) if in_entries else _subschema_of(visit)
    except NoSuchEntry:
        has = {}
    missing = [each.name for name, each in wanted.items() if name not in has]
    old = [
        f"{each.name}: {'; '.join(found)}"
        for name, each in wanted.items()
        if name in has and (found := differences(each, has[name]))
    ]
    if len(missing) == len(wanted):
        subschema = visit.call().root_dse().subschema
        text = f"our definitions are not there, or this account may not read '{subschema}'"
        yield problem(_CHECK, visit.uri, text, visit.kind.load_schema())
    elif missing or old:
        text = "; ".join([f"{name} is missing" for name in missing] + old)
        yield problem(_CHECK, visit.uri, f"not as {vendor.schema_file} has it: {text}",
                      visit.kind.renew_schema())  # fmt: skip
    else:
        yield ok(_CHECK, visit.uri, f"all {len(wanted)} definitions are as in "
                 f"{vendor.schema_file}")  # fmt: skip


def _shipped(visit: Visit, *, in_entries: bool) -> dict[str, Definition]:
    text = (visit.ldif.parent / visit.profile.vendor.schema_file).read_text(encoding="utf-8")
    if in_entries:
        records = [each for each in read_records(text) if _AD_NAME.lower() in each]
        return {each.name.lower(): each for each in map(_of_record, records)}
    prefix = visit.kind.schema_prefix
    return read_definitions(
        value for kind in _KINDS for value in read_ldif(text, f"{prefix}{kind}")
    )


def _subschema_of(visit: Visit) -> dict[str, Definition]:
    call = visit.call()
    _, entries = call.read(call.root_dse().subschema, _KINDS)
    texts = [text for entry in entries for kind in _KINDS for text in entry.values(kind)]
    return read_definitions(text for text in texts if "remoteApp" in text)


def _entries_of(visit: Visit, wanted: dict[str, Definition]) -> dict[str, Definition]:
    call = visit.call()
    names = filters.any_of(*(filters.equal(_AD_NAME, each.name) for each in wanted.values()))
    attributes = (_AD_NAME, *_AD_NUMBER, *_AD_SAID)
    found = call.search(call.root_dse().subschema.parent, names, attributes)
    read = [_of_record({name: entry.values(name) for name in entry.attributes}) for entry in found]
    return {each.name.lower(): each for each in read}


def _of_record(record: dict[str, list[str]]) -> Definition:
    def values(name: str) -> list[str]:
        return record.get(name.lower(), [])

    number = next(each for name in _AD_NUMBER for each in values(name))
    said = {name: frozenset(map(str.lower, values(name))) for name in _AD_SAID if values(name)}
    return Definition(values(_AD_NAME)[0], number, said)

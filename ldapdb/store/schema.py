"""Whether a directory knows our schema."""

from __future__ import annotations

import re

from ldapdb.client import Call
from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS
from ldapdb.errors import NoSuchEntry, SchemaMissing
from ldapdb.protocol import filters
from ldapdb.protocol.codec import BASE, NO_ATTRIBUTES, Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.vendors import SchemaLookup, possible

__all__ = ["likely_searches", "require_schema"]

_CLASSES = (APPLICATION_CLASS, GRANT_CLASS)
_DEFINITIONS = "objectClasses"


def require_schema(call: Call) -> None:
    """See that the directory has our classes (RFC 4512, section 4.2).

    Raises
    ------
    SchemaMissing
        If one is not defined, or the account may not see it.
    """
    root_dse = call.root_dse()
    vendor, subschema = root_dse.vendor, root_dse.subschema
    try:
        known = _LOOKUPS[vendor.schema_lookup](call, subschema)
    except NoSuchEntry:
        known = False
    if not known:
        raise SchemaMissing(
            f"the directory at {root_dse.server} does not know the object classes "
            f"{' and '.join(_CLASSES)}; load the schema ({vendor.schema_file}), let this account "
            f"read '{subschema}', or do without, by schema = 'stock'",
            server=root_dse.server,
            dn=str(subschema),
        )


# objectIdentifierFirstComponentMatch (RFC 4517, 4.2.26): the entry is found by what it
# defines, and its 80 kB of definitions stay where they are.
_BOTH = filters.all_of(*(filters.equal(_DEFINITIONS, name) for name in _CLASSES))
# Where a server that is asked so mostly has its schema.
_LIKELY = Search("cn=Subschema", BASE, _BOTH, NO_ATTRIBUTES)


def likely_searches(vendor: str) -> list[Search]:
    """List what :func:`require_schema` will most likely ask, before the root DSE is known.

    Parameters
    ----------
    vendor : str
        The setting of that name.
    """
    asked = any(each.schema_lookup is SchemaLookup.FILTER for each in possible(vendor))
    return [_LIKELY] if asked else []


def _found_by_definition(call: Call, subschema: DN) -> bool:
    return bool(call.read(subschema, NO_ATTRIBUTES, _BOTH)[1])


def _defined(call: Call, subschema: DN) -> bool:
    _, entries = call.read(subschema, (_DEFINITIONS,))
    return bool(entries) and all(_defines(entries[0], name) for name in _CLASSES)


def _defines(entry: Entry, name: str) -> bool:
    wanted = re.compile(rf"\bNAME\s+(\([^)]*)?'{name}'", re.IGNORECASE)
    return any(wanted.search(text) for text in entry.values(_DEFINITIONS))


def _found_as_entries(call: Call, subschema: DN) -> bool:
    any_of_them = filters.any_of(*(filters.equal("lDAPDisplayName", name) for name in _CLASSES))
    return len(call.search(subschema.parent, any_of_them, ("1.1",))) == len(_CLASSES)


_LOOKUPS = {
    SchemaLookup.FILTER: _found_by_definition,
    SchemaLookup.DEFINITIONS: _defined,
    SchemaLookup.ENTRIES: _found_as_entries,
}

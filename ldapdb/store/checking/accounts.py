"""Whether this account may read what ends a user's account.

A hidden attribute is read as an absent one, so that an expired user would keep the rights. Locks
are safe from that: users must match the vendor's lock_filter, which those with a hidden lock do
not, and :mod:`~ldapdb.store.checking.contents` reports that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Optional

from ldapdb.client.probing import search_once
from ldapdb.errors import NoSuchEntry
from ldapdb.protocol import filters
from ldapdb.protocol.codec import SUBTREE, Page, Search
from ldapdb.protocol.filters import Filter
from ldapdb.store.checking.findings import Finding, ok, unchecked, warning
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.profile import Base
from ldapdb.vendors import SchemaLookup

__all__ = ["check_accounts"]

_CHECK = "accounts"
_FIRST = Page(10)
_DEFINITIONS = "attributeTypes"
_AD_NAME = "lDAPDisplayName"


def check_accounts(visit: Visit) -> Iterator[Finding]:
    """See of each attribute that the server's schema has whether it can be read."""
    users = visit.profile.users_filter
    bases = [base for base in visit.profile.users if visit.call().sees(base.dn, users)]
    if not bases:
        return  # "reading users" says why
    defined = _defined(visit)
    if defined is None:
        names = ", ".join(visit.profile.vendor.account_attributes)
        text = f"this account may not read the schema, and so not see which of {names} there are"
        remedy = visit.kind.let_read(visit.call().root_dse().subschema)
        yield unchecked(_CHECK, visit.uri, text, remedy)
        return
    wrong = [
        finding
        for name in defined
        for base in bases
        if (finding := _look(visit, base, name)) is not None
    ]
    yield from wrong
    if not wrong:
        text = f"what ends a user's account is read: {', '.join(defined)}"
        yield ok(_CHECK, visit.uri, text)


def _look(visit: Visit, base: Base, name: str) -> Optional[Finding]:
    """Look at one attribute of the users below a base; None if it can be read."""
    call, vendor = visit.call(), visit.profile.vendor
    users, present = visit.profile.users_filter, filters.present(name)
    having = filters.all_of(users, present)
    what = f"whether {name} ends accounts of users below '{base.dn}'"
    # The right to search by an attribute does not bring the right to read it.
    if not _is_read(visit, base, having, name):
        text = f"this account may not read {what}: those would keep their rights"
        return warning(_CHECK, visit.uri, text, visit.kind.let_read(base.dn))
    if call.sees(base.dn, having):
        return None
    if vendor.negates_hidden:
        text = f"{what} cannot be told: no user has it, or it is hidden from this account"
        remedy = visit.kind.search(base.dn, str(having), name)
        return unchecked(_CHECK, visit.uri, text, remedy)
    # Neither is true of what may not be searched by (RFC 4511, section 4.5.1.7).
    told = filters.all_of(users, filters.any_of(present, filters.none_of(present)))
    if call.sees(base.dn, told):
        return None
    text = f"this account may not see {what}: those would keep their rights"
    return warning(_CHECK, visit.uri, text, visit.kind.let_read(base.dn))


def _is_read(visit: Visit, base: Base, having: Filter, name: str) -> bool:
    search = Search(str(base.dn), SUBTREE, having, (name,), _FIRST)
    entries = visit.run(partial(search_once, search=search))[0]
    return all(
        any(each.partition(";")[0] == name.lower() for each in entry.attributes)
        for entry in entries
    )


def _defined(visit: Visit) -> Optional[list[str]]:
    """List the attributes that the server's schema has; None if that is hidden."""
    wanted = visit.profile.vendor.account_attributes
    call = visit.call()
    subschema = call.root_dse().subschema
    try:
        if visit.profile.vendor.schema_lookup is SchemaLookup.ENTRIES:
            names = filters.any_of(*(filters.equal(_AD_NAME, name) for name in wanted))
            entries = call.search(subschema.parent, names, (_AD_NAME,))
            found = {name.lower() for entry in entries for name in entry.values(_AD_NAME)}
        else:
            _, entries = call.read(subschema, (_DEFINITIONS,))
            texts = [text for entry in entries for text in entry.values(_DEFINITIONS)]
            found = {name.lower() for text in texts for name in _names(text)}
    except NoSuchEntry:
        return None
    return [name for name in wanted if name.lower() in found] if found else None


def _names(definition: str) -> list[str]:
    """Return the names in a definition (RFC 4512, section 4.1.2)."""
    match = re.search(r"\bNAME\s+(?:\(([^)]*)\)|('[^']*'))", definition)
    return re.findall(r"'([^']*)'", match.group(0)) if match else []

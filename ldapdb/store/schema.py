"""Whether a directory knows our schema."""

from __future__ import annotations

from typing import Optional

from ldapdb import filters
from ldapdb.connection import Call
from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS
from ldapdb.errors import NoSuchEntry, SchemaMissing

__all__ = ["require_schema"]


def require_schema(call: Call) -> None:
    """Ask the subschema entry for our classes (RFC 4512, section 4.2).

    Raises
    ------
    SchemaMissing
        If one is not defined there.
    """
    subschema = call.root_dse().subschema
    # objectIdentifierFirstComponentMatch (RFC 4517, 4.2.26): the entry is found by what it
    # defines, and its 80 kB of definitions stay where they are.
    defines_both = filters.all_of(
        filters.equal("objectClasses", APPLICATION_CLASS),
        filters.equal("objectClasses", GRANT_CLASS),
    )
    server: Optional[str]
    try:
        server, entries = call.read(subschema, ("1.1",), defines_both)
    except NoSuchEntry as error:
        server, entries = error.server, []
    if not entries:
        raise SchemaMissing(
            f"the directory at {server} does not know the object classes {APPLICATION_CLASS} "
            f"and {GRANT_CLASS}; load the schema (ldif/openldap/schema.ldif), or let this "
            f"account read '{subschema}'",
            server=server,
            dn=str(subschema),
        )

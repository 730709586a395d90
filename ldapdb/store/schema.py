"""Whether a directory knows our schema."""

from __future__ import annotations

from ldapdb.connection import Call
from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS
from ldapdb.errors import SchemaMissing

__all__ = ["require_schema"]


def require_schema(call: Call) -> None:
    """Ask the subschema entry for our classes (RFC 4512, section 4.2).

    Raises
    ------
    SchemaMissing
        If one is not defined there.
    """
    subschema = call.root_dse().subschema
    server, entries = call.read(subschema, ("objectClasses",))
    defined = " ".join(
        definition for entry in entries for definition in entry.values("objectClasses")
    ).lower()
    missing = [
        name for name in (APPLICATION_CLASS, GRANT_CLASS) if f"'{name.lower()}'" not in defined
    ]
    if missing:
        raise SchemaMissing(
            f"the directory at {server} does not know the object class "
            f"{' and '.join(missing)}; load the schema (ldif/openldap/schema.ldif), or let "
            f"this account read '{subschema}'",
            server=server,
            dn=str(subschema),
        )

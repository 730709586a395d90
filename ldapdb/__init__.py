"""SimPhoNy-Remote on a company's LDAP directory.

The host is told ``database_class = "ldapdb.LDAPDatabase"`` and ``database_kwargs``. The
class is imported when it is asked for, because it brings ldap3 and pydantic-settings along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ldapdb.database import LDAPDatabase

__all__ = ["LDAPDatabase", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import :class:`LDAPDatabase` at first use (PEP 562)."""
    if name == "LDAPDatabase":
        from ldapdb.database import LDAPDatabase  # noqa: PLC0415 -- that is the point

        return LDAPDatabase
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

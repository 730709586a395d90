"""What the doctor asks and advises of each kind of directory, a module for each kind."""

from typing import TYPE_CHECKING

from ldapdb.store.checking.kinds.active_directory import ActiveDirectory
from ldapdb.store.checking.kinds.ds389 import DS389
from ldapdb.store.checking.kinds.kind import Kind, State
from ldapdb.store.checking.kinds.openldap import OpenLDAP
from ldapdb.vendors import Vendor

if TYPE_CHECKING:
    from ldapdb.store.checking.visiting import Visit

__all__ = ["Kind", "State", "kind_of"]

_KINDS = {each.vendor.name: each for each in (OpenLDAP, DS389, ActiveDirectory)}


def kind_of(vendor: Vendor, visit: "Visit") -> Kind:
    """Return what is asked and advised of the server of a visit."""
    return _KINDS[vendor.name](visit)

"""The entries that applications and grants are kept below."""

from __future__ import annotations

from ldapdb.client import Call
from ldapdb.errors import EntryExists
from ldapdb.protocol.dn import DN
from ldapdb.store.profile import Profile

__all__ = ["create_tree"]


def create_tree(call: Call, profile: Profile) -> list[DN]:
    """Make the base entries that are missing, from the top.

    Returns
    -------
    list of DN
        What was made; empty if all was there.

    Raises
    ------
    NoSuchEntry
        If the entry above `base_dn` is not there.
    """
    made = []
    for base in (profile.base, profile.applications, profile.grants):
        naming = base.dn.rdns[0][0]
        if naming.attribute.lower() != "ou":
            continue  # points at something of the company's own
        try:
            call.add(base.dn, ["organizationalUnit"], {naming.attribute: [naming.value]})
        except EntryExists:
            continue
        made.append(base.dn)
    return made

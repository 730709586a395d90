"""Whether a grant's entry may go: what speaks against it, and what this account cannot tell.

A directory does not say what it keeps from an account, so that what is not shown counts as
there. Removing nothing is the mistake that takes no rights from anybody.
"""

from __future__ import annotations

from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import MEMBER_UID
from ldapdb.errors import NoSuchEntry
from ldapdb.protocol import filters
from ldapdb.protocol.codec import NO_ATTRIBUTES
from ldapdb.protocol.dn import DN
from ldapdb.store.grants import Grants
from ldapdb.store.memberships import Memberships
from ldapdb.store.profile import Profile
from ldapdb.store.sources import Noted
from ldapdb.store.users import Users

__all__ = ["held_by", "surely_empty"]


def held_by(call: Call, profile: Profile, *dns: DN) -> Optional[str]:
    """Name a group or grant that has an entry as its member.

    Whoever is in the entry has what that one gives, although the entry itself may grant
    nothing any more.

    Parameters
    ----------
    dns : DN
        The names that the entry has, or had a moment ago.

    Returns
    -------
    str or None
        Its DN; None if there is none to be seen.
    """
    noted = Noted()
    memberships = Memberships(profile, Users(profile, noted, None), Grants(profile, noted), noted)
    for dn in dns:
        for attribute in profile.member_attributes:
            for entry in memberships.naming(call, attribute, str(dn)):
                return entry.dn
    return None


def surely_empty(call: Call, profile: Profile, dn: DN) -> bool:
    """Tell whether the server says that an entry has no member, rather than showing none.

    "Not (member is there)" is true only where this account may search by the attribute; what
    it may not is neither true nor false, and so is its negation (RFC 4511, section
    4.5.1.7). The empty DN is a value that names nobody, and one that is shown.

    Samba 4.17 says it is true of what it hides, too. On Active Directory members say themselves
    what they are in, by ``memberOf``, which has rights of its own.
    """
    attributes = (*profile.member_attributes, *([MEMBER_UID] * profile.member_names))
    try:
        if not all(_has_none(call, dn, attribute) for attribute in attributes):
            return False
        if not profile.vendor.negates_hidden:
            return True
        is_in = filters.equal("memberOf", str(dn))
        bases = (*profile.users, profile.groups, profile.grants)
        return not any(call.sees(base.dn, is_in) for base in bases)
    except NoSuchEntry:
        return False


def _has_none(call: Call, dn: DN, attribute: str) -> bool:
    values = call.values(dn, attribute)
    if values:
        return not any(values)
    return bool(call.read(dn, NO_ATTRIBUTES, filters.parse(f"(!({attribute}=*))"))[1])

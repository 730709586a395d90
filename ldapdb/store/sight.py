"""Telling "there is nothing any more" from "this account may not see it any more".

A directory does not say which: to an account that has lost its rights a search is simply
empty. Where an answer shrinks to nothing, this looks for what is left to be seen.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ldapdb.client import Call
from ldapdb.errors import AccessDenied
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.store.profile import Base

__all__ = ["confirm_nothing"]

log = logging.getLogger(__name__)


def confirm_nothing(call: Call, bases: Sequence[Base], wanted: Filter, what: str) -> None:
    """See whether an empty answer that was not empty before is for want of rights.

    Costs one short search where others' entries are still to be seen, as after a
    revocation; two or three otherwise.

    Parameters
    ----------
    bases : sequence of Base
        Where was searched.
    wanted : Filter
        What any answer of that kind would match: everybody's, not one user's.
    what : str
        Its name, for the message.

    Raises
    ------
    AccessDenied
        If the directory says that there are entries, and shows none.
    """
    if any(call.sees(base.dn, wanted) for base in bases):
        return
    for base in bases:
        if not call.sees_below(base.dn) and _has_entries(call, base):
            raise AccessDenied(
                f"there are entries below '{base.dn}' ({base.setting}), and this account, which "
                f"saw {what} there, is shown none of them any more: it has lost its right to read "
                "them; see ldif/ for access rules",
                dn=str(base.dn),
            )
    log.warning(
        "no %s to be seen below %s (%s) any more, and there were before: all have been "
        "removed, or this account has lost the right to see them; compare with what the "
        "directory's administrator sees",
        what, " or ".join(f"'{base.dn}'" for base in bases), bases[0].setting,
    )  # fmt: skip


def _has_entries(call: Call, base: Base) -> bool:
    """Ask the directory whether anything is below; some count, some say yes or no."""
    attribute = call.root_dse().vendor.subordinates_attribute
    _, entries = call.read(base.dn, (attribute,))
    return any(_says_yes(entry, attribute) for entry in entries)


def _says_yes(entry: Entry, attribute: str) -> bool:
    return (entry.value(attribute) or "0").upper() not in {"0", "FALSE"}

"""What no plan can tell of changes: what the directory itself makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ldapdb.protocol.dn import DN
from ldapdb.protocol.ldif import Add, Change, Delete, Modify, Rename

__all__ = ["doubts_of"]

# Out of these a directory works out who is a member, who is locked, and who may see what:
# OpenLDAP's dynlist, roles and access rules of 389 DS, access rules of Active Directory.
_WORKED_OUT_OF = frozenset(
    {"memberurl", "nsroledn", "nsrolefilter", "nsrolescopedn", "aci", "ntsecuritydescriptor"}
)


def doubts_of(changes: Iterable[Change], *, links_follow: bool) -> Iterator[str]:
    """Say in sentences what cannot be told of changes.

    Parameters
    ----------
    changes : iterable of Change
        In order.
    links_follow : bool
        Whether the directory itself keeps groups' members in step with names, as Active
        Directory does.
    """
    gone: set[DN] = set()
    for change in changes:
        for name in sorted(_named_in(change) & _WORKED_OUT_OF):
            yield (
                f"'{change.dn}' gets another {name}, out of which the directory works out rights; "
                "what comes of it cannot be told"
            )
        comes = change.new_dn if isinstance(change, Rename) else change.dn
        if isinstance(change, (Add, Rename)) and comes in gone and not links_follow:
            yield (
                f"'{comes}' goes and comes again; whether groups that name it do so still "
                "(referential integrity) cannot be told: it is taken as if they did"
            )
        if isinstance(change, (Delete, Rename)):
            gone.add(change.dn)


def _named_in(change: Change) -> set[str]:
    names: Iterable[str] = ()
    if isinstance(change, Add):
        names = change.attributes
    elif isinstance(change, Modify):
        names = (step.attribute for step in change.steps)
    return {name.lower().partition(";")[0] for name in names}

"""What answers to searches say, besides entries: root DSE, parts, referrals, errors."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

from ldapdb.client.results import NO_SUCH_OBJECT, result_error
from ldapdb.errors import IncompleteResult, LDAPDBError
from ldapdb.protocol.codec import BASE, End, Search
from ldapdb.protocol.dn import DN, NameMatching, Subtree
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import present
from ldapdb.vendors import ROOT_DSE_ATTRIBUTES, Vendor
from ldapdb.wellformed import one_line

__all__ = [
    "EVERYTHING",
    "INVALID_DN_SYNTAX",
    "ROOT_DSE",
    "RootDSE",
    "inside",
    "part_of",
    "partial",
    "search_error",
]

log = logging.getLogger(__name__)

EVERYTHING = present("objectClass")
INVALID_DN_SYNTAX = 34
_RANGE = re.compile(r"(?P<attribute>[a-z0-9-]+);range=[0-9]+-(?:(?P<end>[0-9]{1,18})|\*)")
# How :meth:`Directory.root_dse` reads it.
ROOT_DSE = Search("", BASE, EVERYTHING, ROOT_DSE_ATTRIBUTES)


@dataclass(frozen=True)
class RootDSE:
    """What a directory says of itself, and the vendor it was recognised as.

    Parameters
    ----------
    vendor : Vendor
        The record that fits.
    naming_contexts : tuple of DN
        The trees it holds.
    subschema : DN
        Where it keeps its schema.
    controls : frozenset of str
        OIDs of the controls that it knows.
    server : str
        URI of the server that said so.
    """

    vendor: Vendor
    naming_contexts: tuple[DN, ...]
    subschema: DN
    controls: frozenset[str]
    server: str


def search_error(end: End, server: str, base: str) -> LDAPDBError:
    """Turn the end of an answer that is no success into our error.

    A name that the server cannot read, because it is too long or has a type of attribute that
    is not in its schema, is no entry's: groups may have such members.
    """
    if end.code == INVALID_DN_SYNTAX:
        end = replace(end, code=NO_SUCH_OBJECT)
    doing = f"searching {base or 'the root DSE'}"
    return result_error(end.code, server, doing, base, end.said)


def inside(entries: Sequence[Entry], server: str, base: DN, scope: int) -> list[Entry]:
    """Keep the entries that are within a search's base and scope; warn about others.

    No sound server returns others (RFC 4511, section 4.5.1), since aliases are never
    dereferenced. One that rewrites names, or lies, must not make what is elsewhere count.
    """
    # By the widest rule: the server's own may not be known yet.
    subtree = Subtree(base.matched(NameMatching.PREPARED))
    found = [entry for entry in entries if subtree.holds(entry.dn)]
    if scope == BASE:
        found = [entry for entry in found if _is_named(entry, base)]
    if len(found) < len(entries):
        kept = set(map(id, found))
        other = next(entry.dn for entry in entries if id(entry) not in kept)
        log.warning(
            "the directory at %s answered a search of '%s' with entries from outside it, such as "
            "'%s'; they are ignored: look for a rewriting of names (slapo-rwm, a proxy)",
            server, base, one_line(other),
        )  # fmt: skip
    return found


def _is_named(entry: Entry, base: DN) -> bool:
    """Tell whether an entry at or below a base is the base; one of no readable name counts."""
    try:
        return len(DN.parse(entry.dn).rdns) == len(base.rdns)
    except ValueError:
        return True


def part_of(
    entries: Sequence[Entry], attribute: str
) -> tuple[Optional[Sequence[bytes]], Optional[str]]:
    """Return the values in an answer, None if there are none, and how to ask for those after.

    With those that have options, as a search finds them (:meth:`Entry.raw`).
    """
    attributes = entries[0].attributes if entries else {}
    for name, values in attributes.items():
        part = _RANGE.fullmatch(name)
        if part is not None and part["attribute"] == attribute.lower():
            following = f"{attribute};range={int(part['end']) + 1}-*" if part["end"] else None
            return values, following
    values = entries[0].raw(attribute) if entries else []
    return values or None, None


def partial(server: str, base: DN, elsewhere: Sequence[str]) -> IncompleteResult:
    """Say that a part of the answer is on other servers, which are never asked.

    A referral names a host, and whoever may write one could name his own.
    """
    where = one_line(", ".join(elsewhere))
    return IncompleteResult(
        f"the directory at {server} has a part of '{base}' elsewhere ({where}), and ldapdb does "
        "not follow referrals; use a server that holds all of it, or a base in uri's own part "
        "(users_base, groups_base, base_dn)",
        server=server,
        dn=str(base),
    )

"""Entries as they would be, if what is planned were done."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ldapdb.client.answers import EVERYTHING
from ldapdb.entries import read_dn
from ldapdb.errors import InvalidValue
from ldapdb.matching import key, pairs_of
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.protocol.ldif import Change

__all__ = ["LINKS", "Plan", "Planned", "chosen", "name_of"]

# Attributes by which groups name their members, in lower case.
LINKS = ("member", "uniquemember")


@dataclass
class Planned:
    """An entry as it would be.

    Parameters
    ----------
    dn : DN
        Its name then.
    attributes : dict of str to list of bytes, optional
        All that it would have, by description in lower case; None if it would be gone.
    origin : DN, optional
        Where the directory has it now; None if nowhere.
    changed : set of str
        The attributes that it would have other values of, in lower case.
    """

    dn: DN
    attributes: Optional[dict[str, list[bytes]]]
    origin: Optional[DN] = None
    changed: set[str] = field(default_factory=set)


@dataclass
class Plan:
    """What would be changed.

    Parameters
    ----------
    changes : list of Change
        In order.
    entries : dict of DN to Planned
        The entries concerned, by the name before and the name after.
    doubts : list of str
        What cannot be told here, in sentences.
    """

    changes: list[Change] = field(default_factory=list)
    entries: dict[DN, Planned] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    # Who has, or had, an attribute with a value: a search for one looks at these alone.
    _having: dict[tuple[str, Hashable], dict[DN, None]] = field(default_factory=dict)
    changes_members: bool = False

    def keep(
        self, planned: Planned, new: Optional[Iterable[tuple[str, Iterable[bytes]]]] = None
    ) -> None:
        """Keep an entry as it would be.

        Parameters
        ----------
        new : iterable of (str, iterable of bytes), optional
            The attributes and values that it has not had while it was kept; by default all.
        """
        dn = planned.dn
        known = self.entries.get(dn)
        if new is None or known is None or known.attributes is None:
            new = (planned.attributes or {}).items()
        self.entries[dn] = planned
        self.changes_members |= not planned.changed.isdisjoint(LINKS)
        for name, values in new:
            base = name.lower().partition(";")[0]
            for value in values:
                self._having.setdefault((base, key(base, value, dn.matching)), {})[dn] = None

    def doubt(self, text: str) -> None:
        """Note what cannot be told, once."""
        if text not in self.doubts:
            self.doubts.append(text)

    def below(self, dn: DN, search_filter: Filter = EVERYTHING) -> list[Planned]:
        """List the entries at a name and below it that would be there and may match."""
        pairs = pairs_of(search_filter, dn.matching)
        names: Iterable[DN] = self.entries
        if pairs is not None:  # in an order that is the same in every process
            having = (self._having.get(pair, {}) for pair in sorted(pairs, key=repr))
            names = dict.fromkeys(name for each in having for name in each)
        return [
            self.entries[name]
            for name in names
            if self.entries[name].attributes is not None and name.is_under(dn)
        ]


def name_of(entry: Entry) -> Optional[DN]:
    """Return an entry's name; None if it is none that a change could have."""
    try:
        return read_dn(entry)
    except InvalidValue:
        return None


def chosen(
    attributes: Mapping[str, Sequence[bytes]], wanted: Sequence[str]
) -> dict[str, Sequence[bytes]]:
    """Return the attributes asked for (RFC 4511, section 4.5.1.8)."""
    names = {name.lower() for name in wanted}
    if "*" in names:
        return dict(attributes)
    return {
        name: values
        for name, values in attributes.items()
        if values and (name in names or name.partition(";")[0] in names)
    }

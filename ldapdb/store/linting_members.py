"""Who is in grants, and what is wrong with that: nobody, no entry, or the same twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Union

from ldapdb.client import EVERYTHING, Call
from ldapdb.client.answers import part_of
from ldapdb.entries import GRANT_CLASS, MEMBER_UID, read_dn
from ldapdb.errors import InvalidValue, NoSuchEntry
from ldapdb.model import Grant, policy_half
from ldapdb.protocol.codec import BASE, NO_ATTRIBUTES, Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry, Operation
from ldapdb.protocol.ldif import Change, Delete, Modify, Step
from ldapdb.store.holders import Holders
from ldapdb.store.profile import Profile
from ldapdb.store.reading import search_in_pages
from ldapdb.store.users import Users

__all__ = ["Complaint", "Members", "Row", "shows"]

# Entries that are asked for at once, each by its name.
_AT_ONCE = 100


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong.

    Parameters
    ----------
    kind : str
        What sort of thing, in one word.
    dn : str
        The entry.
    text : str
        What is wrong with it, and what to do where `change` does not do it.
    change : Add, Modify, Delete or Rename, optional
        What is safe to do about it.
    """

    kind: str
    dn: str
    text: str
    change: Optional[Change] = None


@dataclass
class Row:
    """What is kept of an entry that carries a grant.

    Parameters
    ----------
    dn : DN
        The entry's.
    grant : Grant, optional
        What it says; None if that cannot be read.
    is_ours : bool
        Whether it has a name that ldapdb would have given it.
    members : int
        How many are in it.
    """

    dn: DN
    grant: Optional[Grant] = None
    is_ours: bool = False
    members: int = 0

    @property
    def removal(self) -> Optional[Change]:
        """How it goes; None if it belongs to somebody else."""
        return Delete(self.dn) if self.is_ours else None


class Members:
    """The members of all grants.

    Parameters
    ----------
    profile : Profile
        Where and how.
    rows : mapping of DN to Row
        The grants; each is told how many members it has.
    knows : callable
        Tells whether an entry is a user or a group.
    knows_name : callable
        Tells whether a user is called so, for those whom ``memberUid`` names.
    ended : callable
        Returns why the account of a DN or of a login name has ended; empty if it has not.
    now : float
        Seconds since the epoch.

    Attributes
    ----------
    are_shown : bool
        Whether this account was shown any member.
    """

    def __init__(
        self,
        profile: Profile,
        rows: Mapping[DN, Row],
        knows: Callable[[DN], bool],
        knows_name: Callable[[str], bool],
        ended: Callable[[Union[DN, str]], str],
        now: float,
    ) -> None:
        self._profile = profile
        self._rows = rows
        self._knows = knows
        self._knows_name = knows_name
        self._ended = ended
        self._now = now
        # Members who are neither a user nor a group, and the grants that they are in.
        self._strangers: dict[DN, list[tuple[Row, str, str]]] = defaultdict(list)
        self._nameless: dict[str, list[Row]] = defaultdict(list)
        self._former: list[Complaint] = []
        self._long: list[tuple[Row, str]] = []
        # Whether any value was shown, the empty DN, too: a directory does not say what it hides.
        self.are_shown = False

    def read(self, call: Call) -> Iterator[Complaint]:
        """Read who is in all grants; complain of ended accounts and of grants without members."""
        profile = self._profile
        wanted = profile.notation.carrying(GRANT_CLASS)
        search_in_pages(
            call, profile.grants, wanted, self._attributes, profile.page_size, self._take
        )
        for row, attribute in self._long:
            self._note(row, attribute, call.values(row.dn, attribute))
        for row in self._rows.values():
            if row.grant is not None and not row.members:
                text = "has no member, and gives nobody anything"
                yield Complaint("empty", str(row.dn), text, row.removal)
        yield from self._former

    @property
    def _attributes(self) -> list[str]:
        return [*self._profile.member_attributes, *([MEMBER_UID] * self._profile.member_names)]

    def _take(self, page: list[Entry]) -> list[None]:
        for entry in page:
            row = self._row(entry)
            if row is None:
                continue  # it has come meanwhile, or has no name that can be read
            for attribute in self._attributes:
                _, following = part_of([entry], attribute)
                if following is not None:  # Active Directory sends a part at a time
                    self._long.append((row, attribute))
                    continue
                for name, values in _described(entry, attribute):
                    self._note(row, name, values)
        return [None] * len(page)

    def _row(self, entry: Entry) -> Optional[Row]:
        try:
            return self._rows.get(read_dn(entry))
        except InvalidValue:
            return None

    def _note(self, row: Row, attribute: str, values: Sequence[bytes]) -> None:
        for value in values:
            self.are_shown = True
            member = bytes(value).decode("utf-8", "replace")
            if not member:
                continue  # the empty DN, which names nobody
            row.members += 1
            if attribute.partition(";")[0].lower() != MEMBER_UID.lower():
                self._look_at(row, attribute, member)
            elif why := "" if self._knows_name(member) else self._ended(member):
                self._note_ended(row, member, why)
            elif not self._knows_name(member):
                self._nameless[member].append(row)

    def _look_at(self, row: Row, attribute: str, member: str) -> None:
        """Note a member who is no user and no group."""
        try:
            dn = DN.parse(member, self._profile.vendor.name_matching)
        except ValueError:
            return
        if why := self._ended(dn):
            self._note_ended(row, member, why)
        elif not self._knows(dn):
            self._strangers[dn].append((row, attribute, member))

    def _note_ended(self, row: Row, member: str, why: str) -> None:
        text = (
            f"its member '{member}' has no rights: {why}; enabling the account would give back "
            "what it grants: run `ldapdb app revoke`, or take the member out"
        )
        self._former.append(Complaint("ended", str(row.dn), text))

    def overlaps(self, call: Call, holders: Holders) -> Iterator[Complaint]:
        """Complain of grants that give somebody, by whatever way, what another one gives."""
        shared = _sharing(self._rows, self._now)
        if not shared:
            return
        holders.read(call, shared)
        told: set[tuple[DN, DN]] = set()
        for user, _, rights in holders.each():
            for right in rights:
                first, *others = (each.dn for each in right.grants)
                for other in others:
                    if (first, other) not in told:
                        told.add((first, other))
                        text = (
                            f"gives {user.name!r}, and perhaps others, {right.image!r} as "
                            f"'{first}' does"
                        )
                        yield Complaint("overlap", str(other), text)

    def gone(self, call: Call, *, take_out: bool) -> Iterator[Complaint]:
        """Complain of members that are no entry, each asked for by its name.

        Parameters
        ----------
        take_out : bool
            Whether one may be taken out. A directory says the same of an entry that is gone
            and of one that it hides, so that this is for whoever knows the account to decide.
        """
        strangers = list(self._strangers)
        for start in range(0, len(strangers), _AT_ONCE):
            some = strangers[start : start + _AT_ONCE]
            call.ask_ahead([Search(str(dn), BASE, EVERYTHING, NO_ATTRIBUTES) for dn in some])
            for dn in some:
                if not shows(call, dn):
                    yield from self._dangling(dn, _shows_beside(call, dn), take_out=take_out)

    def nameless(self, call: Call, users: Users) -> Iterator[Complaint]:
        """Complain of login names that are nobody's, whether or not he may log in."""
        found = users.by_names(call, self._nameless)
        known = {name.lower() for user in found for name in user.login_names}
        for name, rows in self._nameless.items():
            for row in rows if name.lower() not in known else ():
                text = (
                    f"its {MEMBER_UID} {name!r} is no user's name, or that of one whom this "
                    "account may not see; take it out, or whoever gets the name gets the grant"
                )
                yield Complaint("dangling", str(row.dn), text)

    def _dangling(self, dn: DN, is_likely: bool, *, take_out: bool) -> Iterator[Complaint]:
        for row, attribute, member in self._strangers[dn]:
            text = f"its member '{member}' is no entry, or one that this account may not see"
            step = Step(Operation.DELETE, attribute, (member.encode(),))
            change = Modify(row.dn, (step,)) if row.is_ours and is_likely else None
            if change is not None and not take_out:
                text += "; if it sees all users and groups, --fix --dangling takes him out"
            yield Complaint("dangling", str(row.dn), text, change if take_out else None)


def _described(entry: Entry, attribute: str) -> Iterator[tuple[str, Sequence[bytes]]]:
    """List an attribute and its forms with options, as a value is removed from them."""
    wanted = attribute.lower()
    for name, values in entry.attributes.items():
        base, _, options = name.partition(";")
        if base == wanted:
            yield (attribute if not options or options.startswith("range=") else name), values


def _sharing(rows: Mapping[DN, Row], now: float) -> list[Grant]:
    """List the grants that give what another one gives."""
    given: dict[str, list[Grant]] = defaultdict(list)
    for row in rows.values():
        if row.grant is not None and not row.grant.window.is_over(now):
            for image in row.grant.images:
                given[policy_half(image, row.grant.policy)].append(row.grant)
    sharing = {each.dn: each for grants in given.values() if len(grants) > 1 for each in grants}
    return list(sharing.values())


def _shows_beside(call: Call, dn: DN) -> bool:
    """Tell whether the account is shown others where an entry would be: it may be gone, then."""
    if len(dn.rdns) < 2:  # noqa: PLR2004 -- beside it there are other directories
        return False
    try:
        return shows(call, dn.parent) and call.sees_below(dn.parent)
    except NoSuchEntry:
        return False


def shows(call: Call, dn: DN) -> bool:
    """Tell whether an entry is there, and to be seen."""
    try:
        call.read(dn, NO_ATTRIBUTES)
    except NoSuchEntry:
        return False
    return True  # 389 DS says success where it may not tell

"""What is wrong with what a directory says of applications, grants and users.

Everything is read once, a page at a time; of users and groups no more is kept than what
tells them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Union

from ldapdb.accounts import read_account
from ldapdb.client import Call, Deadline
from ldapdb.entries import (
    APPLICATION_CLASS,
    GRANT_CLASS,
    IMAGE,
    is_application,
    is_grant,
    read_dn,
    read_grant,
    read_images,
)
from ldapdb.errors import InvalidValue
from ldapdb.model import Grant
from ldapdb.naming import grant_cn
from ldapdb.protocol.codec import NO_ATTRIBUTES
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.protocol.ldif import Change, Delete
from ldapdb.store.caches import Caches
from ldapdb.store.grants import NAMES
from ldapdb.store.holders import Holders
from ldapdb.store.linting_doubt import held_by, surely_empty
from ldapdb.store.linting_members import Complaint, Members, Row
from ldapdb.store.linting_mend import SCRATCH, Mended, mend
from ldapdb.store.profile import Base, Profile
from ldapdb.store.reading import require_base, search_in_pages
from ldapdb.store.reads import Reads
from ldapdb.store.sources import Sources
from ldapdb.syntaxes import said_time
from ldapdb.wellformed import check_image

__all__ = ["Complaint", "Linting"]

Take = Callable[[list[Entry]], list[None]]


class Linting(Reads):
    """Looks for what is wrong, and mends what is safe to mend; see :class:`Reads`."""

    def lint(self, *, dangling: bool = False, seconds: float = 300) -> list[Complaint]:
        """Look at everything.

        Parameters
        ----------
        dangling : bool
            Whether members who are no entry are to be taken out. For an account that is shown
            all users and groups alone: one that is hidden looks like one that is gone.
        seconds : float
            How long it may take; operation_timeout_seconds is for a host's calls.

        Raises
        ------
        LDAPDBError
            If anything could not be read whole: a part would make entries out to be gone.
        """
        self.verify()
        call = self._directory.call(self._routes.writing(), Deadline(seconds, self._timer))
        profile = self._for(call).profile
        look = _Look(profile, self._clock())
        found = [*look.users(call), *look.applications(call)]
        found += look.grants(call)
        look.groups(call)
        members = Members(
            profile, look.rows, look.knows, look.knows_name, look.ended, self._clock()
        )
        found += members.read(call)
        found = [_settled(call, profile, each, members) for each in found]
        found += members.gone(call, take_out=dangling)
        sources = Sources.make(profile, Caches(self.settings, self._timer), self._clock)
        found += members.nameless(call, sources.users)
        found += members.overlaps(call, Holders(sources))
        return found

    def mend(self, change: Change) -> Mended:
        """Make a change that a complaint has; see :mod:`~ldapdb.store.linting_mend`."""
        call = self._write_call()
        profile = self._for(call).profile
        try:
            return mend(call, profile, change, self._clock())
        finally:
            self._routes.note(call)


def _settled(call: Call, profile: Profile, complaint: Complaint, members: Members) -> Complaint:
    """Let a removal stand only where it surely takes nothing from anybody."""
    change = complaint.change
    if not isinstance(change, Delete):
        return complaint
    holder = held_by(call, profile, change.dn)
    if holder is not None:
        why = f"stays, because '{holder}' has it as a member, and by it whoever is in it"
    elif not members.are_shown:
        why = "stays, because this account is shown no member of any grant, and may not see them"
    elif complaint.kind == "empty" and not surely_empty(call, profile, change.dn):
        why = "stays, because its members may be hidden from this account"
    else:
        return complaint
    return replace(complaint, text=f"{complaint.text}; {why}", change=None)


def _names(entry: Entry, attribute: str) -> list[str]:
    """List login names; what is not text is nobody's name, and must not hide others'."""
    return [value.decode(errors="replace") for value in entry.raw(attribute)]


def _note_names(
    entry: Entry, attributes: Sequence[str], named: Sequence[dict[str, list[str]]]
) -> None:
    """Note who has each login name: by attribute, an entry's own name as of the first one."""
    read = [_names(entry, attribute) for attribute in attributes]
    having = {n: names for n, names in enumerate(read) if names}
    for place, (number, names) in enumerate(having.items()):
        same = named[number if place else 0]
        for name in names:
            dns = same.setdefault(name.lower(), [])
            dns += [] if entry.dn in dns else [entry.dn]


class _Ids:
    """The users that have each id.

    Parameters
    ----------
    attribute : str
        Where the ids are.
    """

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute
        self._having: dict[bytes, list[str]] = {}

    def note(self, entry: Entry) -> None:
        """Note the id of an entry, which two bases may hold."""
        for value in entry.attributes.get(self._attribute.lower(), ()):
            dns = self._having.setdefault(bytes(value), [])
            dns += [] if entry.dn in dns else [entry.dn]

    def complaints(self) -> Iterator[Complaint]:
        """Complain of users who share an id."""
        for dns in self._having.values():
            if len(dns) > 1:
                text = (
                    f"its {self._attribute} is that of {' and '.join(map(repr, dns[1:]))} as well: "
                    "lists skip these users, the id finds none of them unless the accounts of all "
                    "others have ended, and nothing can be revoked by mapping id; change it in all "
                    "but one"
                )
                yield Complaint("shared-id", dns[0], text)


class _Look:
    """One look at everything.

    Parameters
    ----------
    profile : Profile
        Where and how.
    now : float
        Seconds since the epoch.
    """

    def __init__(self, profile: Profile, now: float) -> None:
        self._profile = profile
        self._notation = profile.notation
        self._now = now
        # Hashes of names: a hundred thousand names to compare by would take 50 MB.
        self._known: set[int] = set()
        self._user_names: frozenset[str] = frozenset()
        # Why accounts have ended: by the hash of the DN, and by lower-case name for memberUid.
        self._ended: dict[Union[int, str], str] = {}
        self._registered: dict[str, str] = {}
        self.rows: dict[DN, Row] = {}

    # --- users and groups

    def users(self, call: Call) -> Iterator[Complaint]:
        """Read all users; complain of names and ids that are not one user's."""
        profile = self._profile
        attributes = profile.user_name_attributes
        ids = _Ids(profile.user_id_attribute)
        # By each attribute; the first that an entry has, which names it, is as the first of all.
        named: list[dict[str, list[str]]] = [{} for _ in attributes]

        def take(page: list[Entry]) -> list[None]:
            for entry in page:  # ended ones, too: their ids are taken
                ids.note(entry)
            for entry in self._current(page):
                _note_names(entry, attributes, named)
            return [None] * len(page)

        for base in profile.users:
            read = (
                *attributes, profile.user_id_attribute, *profile.vendor.account_attributes
            )  # fmt: skip
            self._pages(call, base, profile.people_filter, read, take)
        if profile.member_names:
            self._user_names = frozenset(name for same in named for name in same)
        yield from ids.complaints()
        for number, same in enumerate(named):
            for name, dns in same.items():
                if len(dns) > 1 and not any(name in before for before in named[:number]):
                    text = (
                        f"the name {name!r} belongs to {' and '.join(map(repr, dns))}, so that "
                        "none of them is found by it, and memberUid counts for none; change it in "
                        "all but one"
                    )
                    yield Complaint("ambiguous-user", dns[0], text)

    def groups(self, call: Call) -> None:
        """Note all groups."""

        def take(page: list[Entry]) -> list[None]:
            for entry in page:
                self._note(entry)
            return [None] * len(page)

        profile = self._profile
        self._pages(call, profile.groups, profile.groups_filter, NO_ATTRIBUTES, take)

    def knows(self, dn: DN) -> bool:
        """Tell whether an entry is a user or a group."""
        return hash(dn) in self._known or dn in self.rows

    def knows_name(self, name: str) -> bool:
        """Tell whether a user is called so; case is the directory's matter."""
        return name.lower() in self._user_names

    def ended(self, member: Union[DN, str]) -> str:
        """Return why the account of a DN or of a login name has ended; empty if it has not."""
        key = hash(member) if isinstance(member, DN) else member.lower()
        return self._ended.get(key, "")

    def _current(self, page: list[Entry]) -> Iterator[Entry]:
        """Note all entries; yield those of users, as the name of another may be theirs."""
        rules = {rule.attribute.lower(): rule for rule in self._profile.vendor.account_rules}
        for entry in page:
            self._note(entry)
            why = read_account(entry, rules).obstacle(self._now)
            if why:
                self._note_ended(entry, why)
            else:
                yield entry

    def _note_ended(self, entry: Entry, why: str) -> None:
        with suppress(InvalidValue):  # nor can a member be named so
            self._ended[hash(read_dn(entry))] = why
        for attribute in self._profile.user_name_attributes:
            for name in _names(entry, attribute):
                self._ended[name.lower()] = why

    def _note(self, entry: Entry) -> None:
        with suppress(InvalidValue):  # nor can a member be named so
            self._known.add(hash(read_dn(entry)))

    # --- applications

    def applications(self, call: Call) -> Iterator[Complaint]:
        """Read all applications; complain of those that are unreadable or doubled."""
        found: list[Complaint] = []
        by_case: dict[str, dict[str, str]] = defaultdict(dict)

        def take(page: list[Entry]) -> list[None]:
            for raw in page:
                try:
                    entry = self._notation.read(raw)
                    if not is_application(entry):
                        continue
                    image = check_image(entry.value(IMAGE) or "")
                except InvalidValue as error:
                    found.append(Complaint("unreadable", raw.dn, f"registers nothing: {error}"))
                    continue
                first = self._registered.setdefault(image, raw.dn)
                if first != raw.dn:
                    text = f"registers {image!r}, as '{first}' does; remove one of them"
                    found.append(Complaint("doubled", raw.dn, text))
                by_case[image.lower()][image] = raw.dn
            return [None] * len(page)

        wanted = self._notation.carrying(APPLICATION_CLASS)
        self._pages(call, self._profile.applications, wanted, self._notation.attributes, take)
        yield from found
        for images in by_case.values():
            for image, dn in list(images.items())[1:]:
                other = next(iter(images))
                text = (
                    f"{image!r} differs from {other!r} in upper and lower case alone; is it meant?"
                )
                yield Complaint("same-but-case", dn, text)

    # --- grants

    def grants(self, call: Call) -> Iterator[Complaint]:
        """Read what all grants say; complain of what is wrong with that by itself."""
        found: list[Complaint] = []

        def take(page: list[Entry]) -> list[None]:
            for raw in page:
                found.extend(self._grant(raw))
            return [None] * len(page)

        wanted = self._notation.carrying(GRANT_CLASS)
        self._pages(call, self._profile.grants, wanted, self._notation.attributes, take)
        yield from found
        yield from self._doubled()

    def _grant(self, raw: Entry) -> Iterator[Complaint]:
        try:
            entry, dn = self._notation.read(raw), read_dn(raw)
        except InvalidValue as error:
            yield Complaint("unreadable", raw.dn, f"gives nothing: {error}")
            return
        if not is_grant(entry):
            return
        row = self.rows[dn] = Row(dn)
        try:
            row.grant = grant = read_grant(entry)
            row.is_ours = self._is_ours(grant)
        except InvalidValue as error:
            yield Complaint("unreadable", raw.dn, f"gives nothing: {error}")
            return
        for image in read_images(entry)[1]:
            yield Complaint("unreadable", raw.dn, f"{image!r} is not a Docker reference")
        for image in grant.images:
            if image not in self._registered:
                yield Complaint("unregistered", raw.dn, self._unregistered(image))
        if grant.window.is_over(self._now):
            at = said_time(grant.window.not_after or 0)
            yield Complaint("expired", raw.dn, f"has expired, at {at}", row.removal)

    def _unregistered(self, image: str) -> str:
        alike = [each for each in self._registered if each.lower() == image.lower()]
        hint = f"; {alike[0]!r} is" if alike else "; run: ldapdb app create, or remove the grant"
        return f"grants {image!r}, which is not registered{hint}"

    def _is_ours(self, grant: Grant) -> bool:
        base = self._profile.grants.dn
        if grant.dn.parent != base:
            return False
        if grant.dn.rdns[0][0].value.startswith(SCRATCH):
            return True
        names = (
            grant_cn(image, grant.policy, grant.window, attempt)
            for image in grant.images
            for attempt in NAMES
        )
        return any(base.child("cn", name) == grant.dn for name in names)

    def _doubled(self) -> Iterator[Complaint]:
        said: dict[tuple[object, ...], DN] = {}
        for row in self.rows.values():
            grant = row.grant
            if grant is None:
                continue
            key = (*sorted(grant.images), grant.policy, grant.window)
            first = said.setdefault(key, row.dn)
            if first != row.dn:
                text = f"says the same as '{first}'; put the members of one into the other"
                yield Complaint("duplicate", str(row.dn), text)

    # --- pages

    def _pages(
        self, call: Call, base: Base, wanted: Filter, attributes: Sequence[str], take: Take
    ) -> None:
        require_base(call, base)
        search_in_pages(call, base, wanted, attributes, self._profile.page_size, take)

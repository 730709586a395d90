"""Users, as the directory has them: read, never written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Optional

from ldapdb.accounts import read_account
from ldapdb.client import EVERYTHING, Call
from ldapdb.entries import MEMBER_UID, OBJECT_SID, PRIMARY_GROUP_ID, read_dn, read_user
from ldapdb.errors import AccessDenied, AmbiguousName, NoSuchEntry, SettingsError
from ldapdb.model import ACTIVE, User
from ldapdb.protocol import filters
from ldapdb.protocol.codec import BASE, Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.store.everybody import Shared, told_apart
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned, batches, query, search, search_in_pages
from ldapdb.store.sight import confirm_nothing
from ldapdb.syntaxes import write_identifier

__all__ = ["Users"]

# Searches that a server is sent at once. slapd closes a connection with 1,000 waiting ones.
_AT_ONCE = 100


class _EnoughError(Exception):
    """The rest is not wanted."""


class Users:
    """Finds users.

    Parameters
    ----------
    profile : Profile
        Where and how.
    warned : Warned
        Told of entries that cannot be read.
    clock : callable, optional
        Seconds since the epoch. Without one, expired accounts are found, too; see
        :meth:`with_ended`.
    """

    def __init__(
        self, profile: Profile, warned: Warned, clock: Optional[Callable[[], float]]
    ) -> None:
        self._profile = profile
        self._warned = warned
        self._clock = clock
        self._rules = {rule.attribute.lower(): rule for rule in profile.vendor.account_rules}
        self._names = profile.user_name_attributes
        self._attributes = (
            *self._names, profile.user_id_attribute, *profile.vendor.account_attributes
        )  # fmt: skip
        if profile.vendor.primary_groups:
            self._attributes += (OBJECT_SID, PRIMARY_GROUP_ID)

    def with_ended(self) -> Users:
        """Return what finds locked and expired users as well, to revoke or to explain.

        Nothing may be granted to them. Of whom the account may not read the lock is found, too.
        """
        profile = replace(self._profile, users_filter=self._profile.people_filter)
        return Users(profile, self._warned, None)

    def no_rights(self, user: User) -> str:
        """Say in a sentence why a user that :meth:`with_ended` finds has no rights."""
        why = self.ended(user) or (
            f"cannot be seen not to be locked, by {self._profile.vendor.lock_filter}"
        )
        return f"the user {user.name!r} ('{user.dn}') has no rights: {why}"

    def ended(self, user: User) -> str:
        """Say why a user's account is none now; empty if it is one."""
        return "" if self._clock is None else user.account.obstacle(self._clock())

    def by_name(self, call: Call, name: str) -> Optional[User]:
        """Find the user of a login name, in one search of each base.

        Where names may be in several attributes, the first that anybody has the name in
        decides.

        Returns
        -------
        User or None
            The same for every name of the entry; see :func:`~ldapdb.entries.read_user`.

        Raises
        ------
        AmbiguousName
            If more than one entry has the name.
        """
        if not name.strip() or not _is_utf8(name):
            return None
        wanted = [filters.equal(attribute, name) for attribute in self._names]
        entries = self._search(call, filters.any_of(*wanted))
        if len(entries) > 1 and len(wanted) > 1:
            preferred = (self._search(call, each) for each in wanted)
            entries = next(filter(None, preferred), [])
        if len(entries) > 1:
            dns = " and ".join(f"'{entry.dn}'" for entry in entries)
            raise AmbiguousName(
                f"the user name {name!r} belongs to {len(entries)} entries: {dns}; change "
                f"{' or '.join(self._names)} of all but one, or narrow users_base or users_filter",
                dn=entries[0].dn,
            )
        return next(iter(self._warned.readable(entries, self._read)), None)

    def asking(self, name: str) -> list[Search]:
        """List the searches that :meth:`by_name` begins with."""
        if not name.strip() or not _is_utf8(name):
            return []
        wanted = filters.any_of(*(filters.equal(attribute, name) for attribute in self._names))
        wanted = filters.all_of(self._profile.users_filter, wanted)
        return [query(base, wanted, self._attributes) for base in self._profile.users]

    def by_id(self, call: Call, user_id: int, *, anybody: bool = False) -> Optional[User]:
        """Find a user by id, in one search.

        Parameters
        ----------
        anybody : bool
            Whether to find entries that users_filter excludes as well.

        Raises
        ------
        AmbiguousName
            If more than one entry has the id.
        """
        identifier = write_identifier(user_id, self._profile.user_id_form)
        if identifier is None:
            return None
        wanted = filters.all_of(
            filters.equal(self._profile.user_id_attribute, identifier),
            self._is_named(),
        )
        entries = self._in_bases(call, wanted, 0) if anybody else self._search(call, wanted)
        users = [user for user in self._warned.readable(entries, self._read) if user.id == user_id]
        if len(users) > 1:
            dns = " and ".join(f"'{user.dn}'" for user in users)
            raise AmbiguousName(
                f"the id {user_id} belongs to {len(users)} entries: {dns}; change "
                f"{self._profile.user_id_attribute} of all but one, and use the names until then",
                dn=str(users[0].dn),
            )
        return users[0] if users else None

    def current(self, call: Call, user: User) -> Optional[User]:
        """Find the entry that a user was read from, also after a rename.

        It is found by the id. Where that is not enough, because other entries have the same id,
        it must still have its name and its DN.

        Raises
        ------
        AmbiguousName
            If it cannot be told which of several entries it was.
        """
        try:
            found = self.by_id(call, user.id)
            if found is not None and found.dn != user.dn:  # renamed, or another entry
                self.by_id(call, user.id, anybody=True)
        except AmbiguousName:
            found = self.by_name(call, user.name)
            if found is not None and found.entry != user.entry:
                raise
        return found

    def own_names(self, call: Call, user: User) -> tuple[tuple[str, ...], frozenset[DN]]:
        """Return the login names that find this user, and the entries that share one.

        A name that another entry has as well counts only for the one that :meth:`by_name` finds,
        or for none.
        """
        named = (
            filters.equal(attribute, name) for name in user.login_names for attribute in self._names
        )
        found = self._search(call, filters.any_of(*named))
        others = {dn for dn in self._warned.readable(found, read_dn) if dn != user.dn}
        if not others:
            return user.login_names, frozenset()
        own = (name for name in user.login_names if self._finds(call, name, user))
        return tuple(own), frozenset(others)

    def _finds(self, call: Call, name: str, user: User) -> bool:
        try:
            found = self.by_name(call, name)
        except AmbiguousName as error:
            self._warned.skip(f"{MEMBER_UID}: {name}", error)
            return False
        return found is None or found.dn == user.dn

    def all(self, call: Call) -> list[User]:
        """List all users by name; those who share a name or an id are skipped with a warning."""
        users, shared = told_apart(self.each(call))
        for several in shared:
            self.warn_of_sharing(several)
        return users

    def warn_of_sharing(self, shared: Shared) -> None:
        """Warn that users who share a name or an id are not in lists."""
        dns = " and ".join(f"'{user.dn}'" for user in shared.users)
        for user in shared.skipped:
            self._warned.skip(user.dn, f"{shared.what} belongs to {dns}")

    def again(self, call: Call, dns: Iterable[DN]) -> list[User]:
        """Read some entries again; return the users that :meth:`each` would find them to be.

        Each by its own name, which costs the same whatever is indexed, several in one round
        trip.
        """
        wanted = filters.all_of(self._profile.users_filter, self._is_named())
        within = [dn for dn in dns if any(base.holds(dn) for base in self._profile.users)]
        users: list[User] = []
        for start in range(0, len(within), _AT_ONCE):
            some = within[start : start + _AT_ONCE]
            call.ask_ahead([Search(str(dn), BASE, wanted, self._attributes) for dn in some])
            for dn in some:
                with suppress(NoSuchEntry, AccessDenied):  # gone, or hidden as from any search
                    found = call.read(dn, self._attributes, wanted)[1]
                    users += self._warned.readable(self._current(found), self._read)
        return users

    def each(self, call: Call) -> Iterator[User]:
        """Read all users, a page at a time; one that two bases hold comes twice."""
        wanted = filters.all_of(self._profile.users_filter, self._is_named())

        def take(page: list[Entry]) -> list[User]:
            return self._warned.readable(self._current(page), self._read)

        for base in self._profile.users:
            yield from search_in_pages(
                call, base, wanted, self._attributes, self._profile.page_size, take
            )

    def starting_with(self, call: Call, beginning: str, most: int) -> list[User]:
        """List some of the users whose names begin so, for whoever is typing one.

        Parameters
        ----------
        most : int
            Enough; who comes later is left out, and not searched.
        """
        found: dict[DN, User] = {}

        def take(page: list[Entry]) -> list[User]:
            users = [user for entry in self._current(page) for user in self._quietly(entry)]
            found.update((user.dn, user) for user in users)
            if len(found) >= most:
                raise _EnoughError
            return users

        if _is_utf8(beginning):
            named = (filters.starts_with(each, beginning) for each in self._names)
            wanted = filters.all_of(self._profile.users_filter, filters.any_of(*named))
            with suppress(_EnoughError):
                for base in self._profile.users:
                    search_in_pages(call, base, wanted, self._attributes, most, take)
        return list(found.values())[:most]

    def confirm_nobody(self, call: Call) -> None:
        """See that somebody who was there and is not found has not been hidden with all others.

        Raises
        ------
        AccessDenied
            If there are entries and the account is shown none any more.
        """
        anybody = filters.all_of(self._profile.users_filter, self._is_named())
        confirm_nothing(call, self._profile.users, anybody, "users")

    def by_dns(self, call: Call, dns: Iterable[DN]) -> list[User]:
        """Find the users among some DNs, also those who may not log in.

        Entries of other kinds are skipped: see :attr:`Profile.any_user_filter`.
        Asked by naming attribute, which directories index, and not by DN, which they
        do not.
        """
        users: list[User] = []
        for batch in batches(dns):
            entries = self._of_any(
                call, filters.any_of(*map(rdn_filter, batch)), self._profile.page_size
            )
            wanted = set(batch)
            for entry in entries:
                users += [
                    user
                    for user in self._quietly(entry)
                    if user.dn in wanted
                ]  # fmt: skip
        return users

    def of_any_kind(self) -> Users:
        """Return a reader whose :meth:`by_dns` and the like take any named entry for a user.

        For revoking by mapping id: an entry that was a user when its id was handed out may have
        lost the class since, and what it holds must still be revocable.
        """
        profile = replace(self._profile, any_user_filter=EVERYTHING)
        return Users(profile, self._warned, self._clock)

    def by_login_names(
        self, call: Call, names: Iterable[str]
    ) -> list[tuple[frozenset[str], Optional[User]]]:
        """Find who may log in by some names.

        Returns
        -------
        list of (frozenset of str, User or None)
            For each entry, all the names that it has, in lower case; no user if the entry
            cannot be read as one.
        """
        found: dict[str, Entry] = {}
        for batch in batches(names):
            wanted = (filters.equal(each, name) for name in batch for each in self._names)
            for entry in self._search(call, filters.any_of(*wanted), self._profile.page_size):
                found[entry.dn] = entry
        return [
            (frozenset(self._all_names(entry)), next(iter(self._quietly(entry)), None))
            for entry in found.values()
        ]

    def by_names(self, call: Call, names: Iterable[str], *, logging_in: bool = False) -> list[User]:
        """Find the users of some names, as groups have them in memberUid.

        Parameters
        ----------
        logging_in : bool
            Whether only users who may log in are found. Otherwise all are, as in
            :meth:`by_dns`.
        """
        find = self._search if logging_in else self._of_any
        users: list[User] = []
        for batch in batches(names):
            wanted = (filters.equal(each, name) for name in batch for each in self._names)
            entries = find(call, filters.any_of(*wanted), self._profile.page_size)
            for entry in entries:
                users += self._quietly(entry)
        return users

    def by_primary_groups(self, call: Call, sids: Collection[bytes]) -> list[User]:
        """Find the users of Active Directory who are in some groups by number.

        Also those who may not log in, as in :meth:`by_dns`.

        Parameters
        ----------
        sids : collection of bytes
            objectSid of the groups, of which primaryGroupID is the last part.
        """
        users: list[User] = []
        for batch in batches(sids):
            numbers = (str(int.from_bytes(sid[-4:], "little")) for sid in batch)
            wanted = filters.any_of(*(filters.equal(PRIMARY_GROUP_ID, each) for each in numbers))
            for entry in self._of_any(call, wanted, self._profile.page_size):
                # Another domain's group may have the same number.
                users += [user for user in self._quietly(entry) if user.primary_group in sids]
        return users

    def _is_named(self) -> Filter:
        return filters.any_of(*map(filters.present, self._names))

    def _search(self, call: Call, wanted: Filter, page_size: int = 0) -> list[Entry]:
        wanted = filters.all_of(self._profile.users_filter, wanted)
        return self._current(self._in_bases(call, wanted, page_size))

    def _current(self, entries: Iterable[Entry]) -> list[Entry]:
        """Leave out ended accounts; warn of those that cannot be read."""
        if self._clock is None:
            return list(entries)
        now, current = self._clock(), []
        for entry in entries:
            account = read_account(entry, self._rules)
            if account is ACTIVE or account.holds(now):
                current.append(entry)
            elif account.is_unreadable:
                self._warned.skip(entry.dn, f"the account is {account.lock}")
        return current

    def _of_any(self, call: Call, wanted: Filter, page_size: int) -> list[Entry]:
        """Search for users whether or not they may log in; never for anything else."""
        wanted = filters.all_of(self._profile.any_user_filter, wanted)
        return self._in_bases(call, wanted, page_size)

    def _in_bases(self, call: Call, wanted: Filter, page_size: int) -> list[Entry]:
        """Search all bases; an entry that two of them hold counts once."""
        found = {
            entry.dn: entry
            for base in self._profile.users
            for entry in search(call, base, wanted, self._attributes, page_size)
        }
        return list(found.values())

    def _read(self, entry: Entry) -> User:
        profile = self._profile
        if not self._has_name(entry):
            # It matched a filter on that attribute, so it has it: under another name (uid
            # for userid), or hidden. That is not the entry's fault, and no "not found".
            names = " or ".join(map(repr, self._names))
            raise SettingsError(
                f"user_name_attribute: the directory finds '{entry.dn}' by {names} and does not "
                "return that attribute; set the name that the directory returns it under, or let "
                "this account read it",
                dn=entry.dn,
            )
        user = read_user(entry, self._names, profile.user_id_attribute, profile.user_id_form)
        account = read_account(entry, self._rules)
        return user if account is ACTIVE else replace(user, account=account)

    def _has_name(self, entry: Entry) -> bool:
        return any(entry.raw(name) for name in self._names)

    def _all_names(self, entry: Entry) -> Iterator[str]:
        for attribute in self._names:
            for value in entry.raw(attribute):
                yield value.decode(errors="replace").lower()

    def _quietly(self, entry: Entry) -> list[User]:
        # A member without a login name cannot log in; that is not worth a warning.
        return self._warned.readable([entry], self._read) if self._has_name(entry) else []


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half a surrogate pair: no directory holds it
        return False
    return True


def rdn_filter(dn: DN) -> Filter:
    """Match entries with the same RDN as a DN."""
    return filters.all_of(*(filters.equal(ava.attribute, ava.value) for ava in dn.rdns[0]))

"""The list of all users, kept up to date: what has changed is read again, and nothing else."""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional, Protocol, Union

from ldapdb.cache import CacheInfo
from ldapdb.client import Deadline
from ldapdb.errors import DeadlineExceeded, DirectoryUnavailable
from ldapdb.model import User
from ldapdb.protocol.dn import DN, RDN, NameMatching
from ldapdb.shared import Places, Waiters

__all__ = ["Everybody", "Reader", "Shared", "UserList", "told_apart"]

# More changed entries than this are not read one by one.
_MOST_CHANGED = 5000
# Reading anew what is not out of date yet takes a twentieth of the time at the most.
_SHARE = 20
# Out of date, but being read anew by somebody who is at it for no longer than this.
TENDED_SECONDS = 60.0


class Reader(Protocol):
    """Reads users, and is told of those who are left out."""

    def all(self) -> Iterable[User]:
        """Read all users."""

    def again(self, dns: Collection[DN]) -> Collection[User]:
        """Read the users that some entries are now."""

    def warn(self, shared: Shared) -> None:
        """Take note of users who share a name or an id."""


@dataclass(frozen=True)
class Shared:
    """A name or an id that several users have.

    Parameters
    ----------
    what : str
        The name or the id, in words.
    users : tuple of User
        All users who have it.
    skipped : tuple of User
        Those who are not listed because of it.
    """

    what: str
    users: tuple[User, ...]
    skipped: tuple[User, ...]


def told_apart(users: Iterable[User]) -> tuple[list[User], list[Shared]]:
    """List users by name as :class:`Everybody` does, and what keeps others from the list.

    Once, in a tenth of the time: no DN is compared but those of users who share something.
    """
    first: dict[Hashable, User] = {}
    several: dict[Hashable, dict[DN, User]] = {}
    for user in users:
        for key in _identifying(user):
            other = first.setdefault(key, user)
            if other is not user and other.dn != user.dn:  # two bases may hold one entry
                several.setdefault(key, {other.dn: other})[user.dn] = user
    found = (_shared(key, holders.values()) for key, holders in several.items())
    shared = [each for each in found if each is not None]
    skipped = {user.dn for each in shared for user in each.skipped}

    def is_listed(user: User) -> bool:
        return several.keys().isdisjoint(_identifying(user)) or user.dn not in skipped

    listed = [user for key, user in first.items() if isinstance(key, int) and is_listed(user)]
    return sorted(listed, key=lambda user: user.name.lower()), shared


def _identifying(user: User) -> tuple[Hashable, ...]:
    """List what must be a user's alone: the id, and the names as they are compared."""
    if not user.aliases:
        return user.id, user.name.lower()
    return user.id, *dict.fromkeys(name.lower() for name in user.login_names)


def _found(name: str, users: Iterable[User]) -> Optional[User]:
    """Return the user whom a name finds: the only one in the preferred attribute."""
    ranked: dict[int, list[User]] = {}
    for user in users:
        having = [rank for rank, each in _ranked(user) if each.lower() == name]
        ranked.setdefault(min(having), []).append(user)
    first = ranked[min(ranked)]
    return first[0] if len(first) == 1 else None


def _ranked(user: User) -> tuple[tuple[int, str], ...]:
    return ((user.rank, user.name), *user.aliases)


def _shared(key: Hashable, holders: Iterable[User]) -> Optional[Shared]:
    """Tell who is not listed because several have a key; None if nobody is."""
    users = tuple(holders)
    if isinstance(key, int):
        return Shared(f"the id {key}", users, users)
    found = _found(str(key), users)
    skipped = tuple(each for each in users if each.name.lower() == key and each is not found)
    return Shared(f"the name {str(key)!r}", users, skipped) if skipped else None


class Everybody:
    """Users by name, who come and go.

    Those who share a name or an id are not listed, and are again when they do not any more.

    Parameters
    ----------
    users : iterable of User
        In any order; one that is there twice counts once.
    """

    def __init__(self, users: Iterable[User]) -> None:
        # Text, because the parts of a hundred thousand names to compare by take 50 MB.
        self._by_dn: dict[str, User] = {}
        # Who has an id or a name, by DN: one as it is, several as a tuple.
        self._having: dict[Hashable, Union[str, tuple[str, ...]]] = {}
        for user in users:
            key = _key(user.dn)
            if key not in self._by_dn:
                self._put_in(key, user)
        listed = {each.name.lower(): each for each in self._by_dn.values() if self._is_listed(each)}
        self._names = sorted(listed)
        self._users = [listed[name] for name in self._names]

    def __len__(self) -> int:
        """Return how many there are, listed or not."""
        return len(self._by_dn)

    def __contains__(self, dn: DN) -> bool:
        """Tell whether an entry is one of them."""
        return _key(dn) in self._by_dn

    def listed(self) -> list[User]:
        """List them by name."""
        return self._users.copy()

    def put(self, changed: Iterable[DN], users: Iterable[User]) -> list[Shared]:
        """Take users out, and put those in who are there now; return what they share."""
        touched = dict.fromkeys(each for key in map(_key, changed) for each in self._take_out(key))
        for user in users:
            key = _key(user.dn)
            touched.update(dict.fromkeys(self._take_out(key)))
            self._put_in(key, user)
            touched.update(dict.fromkeys(_identifying(user)))
        names = {each for each in touched if isinstance(each, str)}
        numbers = (each for each in touched if isinstance(each, int))
        names.update(user.name.lower() for each in numbers for user in self._users_having(each))
        for name in names:
            self._list(name)
        return self._shared(touched)

    def shared(self) -> list[Shared]:
        """Return what several users have, and keeps some of them from the list."""
        return self._shared(self._having)

    def _shared(self, keys: Iterable[Hashable]) -> list[Shared]:
        several = (key for key in keys if isinstance(self._having.get(key), tuple))
        found = (_shared(key, self._users_having(key)) for key in several)
        return [each for each in found if each is not None]

    def _holders(self, key: Hashable) -> tuple[str, ...]:
        having = self._having.get(key, ())
        return (having,) if isinstance(having, str) else having

    def _users_having(self, key: Hashable) -> list[User]:
        return [self._by_dn[each] for each in self._holders(key)]

    def _put_in(self, key: str, user: User) -> None:
        self._by_dn[key] = user
        for each in _identifying(user):
            others = self._holders(each)
            self._having[each] = (*others, key) if others else key

    def _take_out(self, key: str) -> tuple[Hashable, ...]:
        """Take a user out; return the id and the names."""
        user = self._by_dn.pop(key, None)
        if user is None:
            return ()
        identifying = _identifying(user)
        for each in identifying:
            others = tuple(other for other in self._holders(each) if other != key)
            if others:
                self._having[each] = others if len(others) > 1 else others[0]
            else:
                del self._having[each]
        return identifying

    def _is_listed(self, user: User) -> bool:
        if len(self._holders(user.id)) > 1:
            return False
        holders = self._users_having(user.name.lower())
        return len(holders) == 1 or _found(user.name.lower(), holders) is user

    def _list(self, name: str) -> None:
        """List the user whose own name this is, if there is one and it can be told which."""
        at = bisect_left(self._names, name)
        if at < len(self._names) and self._names[at] == name:
            del self._names[at], self._users[at]
        for user in self._users_having(name):
            if user.name.lower() == name and self._is_listed(user):
                self._names.insert(at, name)
                self._users.insert(at, user)


def _key(dn: DN) -> str:
    """Write a name so that two are the same where the names are."""
    # Not by DN.key, which every name would keep.
    return f"{_text(dn.rdns[:1], dn.matching)}{_above(dn.rdns[1:], dn.matching)}"


def _text(rdns: Sequence[RDN], matching: NameMatching) -> str:
    # As Python writes it, so that no value reads as the end of another.
    return repr([sorted(ava.key(matching) for ava in rdn) for rdn in rdns])


# Most users are below a few entries.
_above = lru_cache(maxsize=1000)(_text)


class UserList:
    """All users, from memory while changes are seen.

    Whoever asks reads what has changed since, and nothing else. Reading takes place outside
    of the lock, so that noting a change never waits for the directory. What takes longer than a
    caller has time is left to whoever tends the list, and callers wait for that.

    Parameters
    ----------
    ttl : float
        Seconds after which all is read anew.
    most : int
        More users are not kept.
    timer : callable
        Seconds of a monotonic clock.
    """

    def __init__(self, ttl: float, most: int, timer: Callable[[], float]) -> None:
        self._ttl = ttl
        self._most = most
        self._timer = timer
        self._held: Optional[Everybody] = None
        self._changed: set[DN] = set()
        # What changes while all is being read; one set for each that reads.
        self._meanwhile: weakref.WeakValueDictionary[int, set[DN]] = weakref.WeakValueDictionary()
        self._generation = self._outdated = 0
        self._due = self._rests_until = self._again_at = 0.0
        self._hits = self._misses = self._failures = 0
        # Whether somebody reads it anew when that is due, so that nobody has to wait for it.
        self.is_tended = False
        self.is_too_long = most == 0 or ttl == 0
        self._renew_locks()

    def _renew_locks(self) -> None:
        self._lock = threading.RLock()
        self._reading = Places(1)
        # Whether a caller has found no time to read all, and who waits until it was read.
        self._is_left = False
        self._waiters = Waiters()

    def renew_after_fork(self) -> None:
        """Drop what belongs to threads that a forked child does not have."""
        self._renew_locks()
        self._meanwhile = weakref.WeakValueDictionary()
        self.is_tended = False
        self.drop()

    def drop(self) -> None:
        """Forget all, also what is being read now."""
        with self._lock:
            self._drop()

    def outdate(self) -> None:
        """Let all be read anew; where somebody does that already, nobody else has to wait."""
        with self._lock:
            self._outdated += 1
            self._due = min(self._due, max(self._timer(), self._rests_until))

    def touch(self, entries: AbstractSet[DN], *, may_be_users: bool) -> None:
        """Note entries that have changed, by their names of before and after.

        Parameters
        ----------
        may_be_users : bool
            Whether one that was no user may be one now.
        """
        with self._lock:
            for meanwhile in list(self._meanwhile.values()):
                meanwhile.update(entries)
            held = self._held
            if held is not None:
                self._changed.update(each for each in entries if may_be_users or each in held)
            if len(self._changed) > _MOST_CHANGED:
                self._drop()

    def get(self, reader: Reader, deadline: Deadline) -> list[User]:
        """List all; read what has changed, or everything if that is not known.

        Parameters
        ----------
        reader : Reader
            Asks the directory.
        deadline : Deadline
            How long to wait for another thread that does.

        Raises
        ------
        DeadlineExceeded
            If that takes too long.
        LDAPDBError
            What reading raises.
        """
        with self._lock:
            if self._is_good() and not self._changed:
                return self._listed()
        place = None
        if self._waiters.wait_for(self._is_for_callers, deadline.left):
            place = self._reading.take(deadline.left)
        if place is None:
            raise DeadlineExceeded("another thread's reading of all users did not end in time")
        try:
            return self._patched(reader) or self._read_for_caller(reader)
        finally:
            self._reading.leave(place)

    def _read_for_caller(self, reader: Reader) -> list[User]:
        try:
            return self.refresh(reader)
        except DirectoryUnavailable:
            with self._lock:
                self._is_left = True
                self._again_at = min(self._again_at, max(self._timer(), self._rests_until))
            raise

    def tend(self, reader: Reader) -> None:
        """Do beforehand what :meth:`get` would have to, or had no time to.

        What could not be read is not read again before as much time is over as was spent on it.
        """
        began = self._timer()
        try:
            self._tend(reader)
        except BaseException:
            with self._lock:
                ended = self._timer()
                self._rests_until = self._again_at = ended + (ended - began)
            raise

    def _tend(self, reader: Reader) -> None:
        with self._lock:
            now, is_held = self._timer(), self._held is not None
            # Where any change makes all be forgotten, it would be read again and again.
            is_due = now >= (self._due if is_held else self._again_at)
            has_changed = is_held and bool(self._changed)
        if is_due and is_held:
            self.refresh(reader)
        elif (is_due or has_changed) and (place := self._reading.take(lambda: 0.0)) is not None:
            try:  # whoever asks meanwhile waits for this, and does not read all as well
                if self._patched(reader) is None:
                    self.refresh(reader)
            finally:
                self._reading.leave(place)

    def refresh(self, reader: Reader) -> list[User]:
        """Read all anew, and list it."""
        meanwhile: set[DN] = set()
        began = self._timer()
        with self._lock:
            self._misses += 1
            generation, outdated = self._generation, self._outdated
            self._meanwhile[id(meanwhile)] = meanwhile
        users = None
        try:
            users = Everybody(reader.all())
        finally:
            ended = self._timer()
            with self._lock:
                self._meanwhile.pop(id(meanwhile), None)
                self._is_left = False
                took = ended - began
                if users is None:
                    self._failures += 1
                else:
                    self._rests_until, self._again_at = ended + took, ended + _SHARE * took
                    if generation == self._generation and not self._exceeds(users):
                        self._held, self._changed = users, meanwhile
                        is_new = outdated == self._outdated
                        seconds = max(self._ttl, _SHARE * took) if is_new else took
                        self._due = ended + seconds
            self._waiters.wake()
        for several in users.shared():
            reader.warn(several)
        return users.listed()

    def info(self) -> CacheInfo:
        """Return the statistics."""
        with self._lock:
            size = int(self._held is not None)
            return CacheInfo(self._hits, self._misses, 0, self._failures, size)

    def _patched(self, reader: Reader) -> Optional[list[User]]:
        """Read what has changed, and list all; None if all has to be read."""
        with self._lock:
            held, generation = self._held, self._generation
            if held is None or not self._is_good():
                return None
            changed = self._changed.copy()
            if not changed:
                return self._listed()
            # Noted until they have been read, and what changes meanwhile after that as well.
            meanwhile: set[DN] = set()
            self._meanwhile[id(meanwhile)] = meanwhile
        users = reader.again(changed)
        with self._lock:
            del self._meanwhile[id(meanwhile)]
            if generation != self._generation:
                return None
            self._held = None  # while it changes: an interrupt leaves none, and all is read
            shared = held.put(changed, users)
            self._changed = self._changed - (changed - meanwhile)
            self._held = held
            self._exceeds(held)
            self._hits += 1
            listed = held.listed()
        for several in shared:
            reader.warn(several)
        return listed

    def _is_for_callers(self) -> bool:
        """Tell whether a caller may read what is missing: nobody else is about to."""
        with self._lock:
            return not (self._is_left and self.is_tended) or self._is_good()

    # --- with the lock held

    def _is_good(self) -> bool:
        until = self._due + (TENDED_SECONDS if self.is_tended else 0)
        return self._held is not None and self._timer() < until

    def _listed(self) -> list[User]:
        assert self._held is not None  # noqa: S101 -- for mypy: whoever calls has looked
        self._hits += 1
        return self._held.listed()

    def _drop(self) -> None:
        self._generation += 1
        self._held = None
        self._changed = set()

    def _exceeds(self, users: Everybody) -> bool:
        """Tell whether there are too many to be kept; then nobody is."""
        self.is_too_long = len(users) > self._most
        if self.is_too_long:
            self._drop()
        return self.is_too_long

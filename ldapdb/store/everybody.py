"""The list of all users, kept up to date: what has changed is read again, and nothing else."""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Optional, Protocol

from ldapdb.cache import CacheInfo
from ldapdb.connection import Deadline
from ldapdb.dn import DN
from ldapdb.errors import DeadlineExceeded, DirectoryUnavailable
from ldapdb.model import User
from ldapdb.shared import Places, Waiters

__all__ = ["Everybody", "Reader", "UserList"]

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

    def warn(self, users: Sequence[User]) -> None:
        """Take note of users who share a name."""


class Everybody:
    """Users by name, who come and go.

    Those who share a name are not listed, and are again when they do not any more.

    Parameters
    ----------
    users : iterable of User
        In any order; one that is there twice counts once.
    """

    def __init__(self, users: Iterable[User]) -> None:
        # Text, because the parts of a hundred thousand names to compare by take 50 MB.
        self._by_dn: dict[str, User] = {}
        self._by_name: dict[str, list[str]] = {}
        for user in users:
            key = _key(user.dn)
            if key not in self._by_dn:
                self._by_dn[key] = user
                self._by_name.setdefault(user.name.lower(), []).append(key)
        self._names = sorted(name for name, keys in self._by_name.items() if len(keys) == 1)
        self._users = [self._by_dn[self._by_name[name][0]] for name in self._names]

    def __len__(self) -> int:
        """Return how many there are, listed or not."""
        return len(self._by_dn)

    def __contains__(self, dn: DN) -> bool:
        """Tell whether an entry is one of them."""
        return _key(dn) in self._by_dn

    def listed(self) -> list[User]:
        """List them by name."""
        return self._users.copy()

    def put(self, changed: Iterable[DN], users: Iterable[User]) -> list[list[User]]:
        """Take users out, and put those in who are there now; return who shares a name."""
        names = [name for key in map(_key, changed) for name in self._take_out(key)]
        for user in users:
            key = _key(user.dn)
            names += self._take_out(key)
            self._by_dn[key] = user
            self._by_name.setdefault(user.name.lower(), []).append(key)
            names.append(user.name.lower())
        distinct = dict.fromkeys(names)
        for name in distinct:
            self._list(name)
        return self._shared(distinct)

    def shared(self) -> list[list[User]]:
        """Return those who share a name."""
        return self._shared(self._by_name)

    def _shared(self, names: Iterable[str]) -> list[list[User]]:
        keys = (self._by_name.get(name, ()) for name in names)
        return [[self._by_dn[key] for key in each] for each in keys if len(each) > 1]

    def _take_out(self, key: str) -> list[str]:
        """Take a user out; return his name."""
        user = self._by_dn.pop(key, None)
        if user is None:
            return []
        name = user.name.lower()
        self._by_name[name].remove(key)
        if not self._by_name[name]:
            del self._by_name[name]
        return [name]

    def _list(self, name: str) -> None:
        """List whom a name belongs to now, if it is one."""
        at = bisect_left(self._names, name)
        if at < len(self._names) and self._names[at] == name:
            del self._names[at], self._users[at]
        keys = self._by_name.get(name, [])
        if len(keys) == 1:
            self._names.insert(at, name)
            self._users.insert(at, self._by_dn[keys[0]])


def _key(dn: DN) -> str:
    """Write a name so that two are the same where the names are."""
    # Not by DN.key, which every name would keep.
    rdns = (sorted(ava.key for ava in rdn) for rdn in dn.rdns)
    return "\n".join("\r".join(map("=".join, rdn)) for rdn in rdns)


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

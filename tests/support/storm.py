"""Many changes at once, and what a database that watches knows of them at the end."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional
from unittest.mock import patch

from ldapdb import LDAPDatabase
from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from ldapdb.protocol.dn import DN
from ldapdb.watch import State
from support import ldif
from support.contents import Contents
from support.directory import Directory
from support.waiting import eventually

__all__ = ["Storm", "memory"]

_IMAGE, _NESTED = "simphony/storm:1", "simphony/storm:2"
_LASTING = {"watch": True, "cache_ttl_seconds": 3600, "cache_negative_ttl_seconds": 3600}
# What happens to each of them in turn: mostly members of grants come and go.
_TURNS = ("member",) * 5 + ("inner", "nest", "guest", "name", "group")
_WRITERS = {"openldap": 1, "389ds": 4, "ad": 2}


class Storm:
    """People who get and lose an application each, all the time, and groups in groups.

    Each has a guest who comes and goes, and a neighbour whose entry is renamed now and then, as
    is the outer one of his groups.

    Parameters
    ----------
    directory : Directory
        A directory that tells of its changes.
    people : int
        How many.
    settings
        Further settings of the database.
    """

    def __init__(self, directory: Directory, people: int, **settings: Any) -> None:
        self.directory = directory
        self._settings = settings
        self.names = [f"storm{number}" for number in range(people)]
        self._dns = [directory.person(name) for name in self.names]
        self._keeper = directory.person("keeper")
        for image in (_IMAGE, _NESTED):
            directory.application(image)
        self._grants = [
            directory.granted(name, images=[_IMAGE], members=[self._keeper]) for name in self.names
        ]
        self._inner, self._outer, self._guests, self._neighbours = (
            list(map(make, range(people)))
            for make in (self._add_inner, self._add_outer, self._guest, self._add_neighbour)
        )
        self._is_done = {(what, number): False for what in _TURNS for number in range(people)}
        self.everybody = [
            *self.names,
            *(f"{kind}{number}" for number in range(people) for kind in ("guest", "old", "new")),
        ]
        self.made = 0

    def _add_inner(self, number: int) -> str:
        return self.directory.group(f"inner{number}", self._keeper)

    def _add_outer(self, number: int) -> str:
        outer = self.directory.group(f"outer{number}", self._keeper)
        members = [outer, *self._where_any_name_may_be(_renamed(outer, f"other{number}"))]
        self.directory.granted(f"nested{number}", images=[_NESTED], members=members)
        return outer

    def _guest(self, number: int) -> str:
        guest = self.directory.dn_of(f"guest{number}")
        members = [self._keeper, *self._where_any_name_may_be(guest)]
        self.directory.granted(f"guests{number}", images=[_IMAGE], members=members)
        return guest

    def _add_neighbour(self, number: int) -> str:
        old = self.directory.person(f"old{number}")
        members = [old, *self._where_any_name_may_be(self.directory.dn_of(f"new{number}"))]
        self.directory.granted(f"neighbours{number}", images=[_IMAGE], members=members)
        return old

    def _where_any_name_may_be(self, dn: str) -> list[str]:
        """Return a name for a group's members, where they may be of nobody; AD follows them."""
        return [] if self.directory.vendor == "ad" else [dn]

    @contextlib.contextmanager
    def watching(self) -> Iterator[Any]:
        """Open a database that is in step.

        It forgets nothing once more, as for servers that lag behind: there is one, and what it has
        missed would be hidden.
        """
        kwargs = self.directory.database_kwargs(**{**_LASTING, **self._settings})
        lag = patch("ldapdb.store.invalidation._LAG_SECONDS", 3600.0)
        with lag, LDAPDatabase(**kwargs) as database:
            assert eventually(lambda: database.watch_info().state is State.LIVE)
            yield database

    @contextlib.contextmanager
    def asked(self, database: Any) -> Iterator[None]:
        """Ask for somebody's applications all the time, from two threads."""
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                with contextlib.suppress(Exception):  # the server may have been killed
                    self.has(database, random.choice(self.everybody))
                time.sleep(0.001)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(20)

    def rage(self, rate: int, seconds: float) -> None:
        """Make so many changes a second, as far as the server can, by programs beside us."""
        ends, some, server = time.monotonic() + seconds, min(rate, 50), self.directory.server
        writers = _WRITERS[self.directory.vendor]
        with ThreadPoolExecutor(writers) as pool:
            while (began := time.monotonic()) < ends:
                texts = [""] * writers
                for number, change in (self._change() for _ in range(some)):
                    texts[number % writers] += change  # those of one in their order
                list(pool.map(server.ldapmodify, filter(None, texts)))
                took = time.monotonic() - began
                time.sleep(max(some / rate - took, 0))
                some = max(min(rate, int(some / took)), writers)

    def _change(self) -> tuple[int, str]:
        """Write the next change, and tell whose it is."""
        people = len(self.names)
        number, what = self.made % people, _TURNS[self.made // people % len(_TURNS)]
        is_done = self._is_done[what, number] = not self._is_done[what, number]
        self.made += 1
        if what == "guest":
            entry = self.directory._person(f"guest{number}")
            guest = self._guests[number]
            return number, ldif.addition(guest, entry) if is_done else _record(guest, "delete")
        if what == "name":
            new = self.directory.dn_of(f"{'new' if is_done else 'old'}{number}")
            return number, _rename(self._neighbours, number, new)
        if what == "group":
            new = _renamed(self._outer[number], f"{'other' if is_done else 'outer'}{number}")
            return number, _rename(self._outer, number, new)
        group, member = {
            "member": (self._grants[number], self._dns[number]),
            "inner": (self._inner[number], self._dns[number]),
            "nest": (self._outer[number], self._inner[number]),
        }[what]
        lines = (f"{'add' if is_done else 'delete'}: member", f"member: {member}")
        return number, _record(group, "modify", *lines)

    def _toggle(self, contents: Contents, number: int) -> None:
        what = "delete" if self._is_done["member", number] else "add"
        contents.modify(self._grants[number], [(what, "member", [self._dns[number]])])
        self._is_done["member", number] = what == "add"

    def has(self, database: Any, name: str) -> Optional[list[str]]:
        """Tell what somebody has; None if there is nobody."""
        user = database.get_user(user_name=name)
        if user is None:
            return None
        return sorted(each.application.image for each in database.get_accounting_for_user(user))

    def truth(self) -> dict[str, Optional[list[str]]]:
        """Tell what everybody has, by a full read."""
        kwargs = self.directory.database_kwargs(cache_ttl_seconds=0)
        with LDAPDatabase(**kwargs) as database:
            return {name: self.has(database, name) for name in self.everybody}

    def is_known(self, database: Any, truth: dict[str, Optional[list[str]]]) -> bool:
        """Tell whether the database says of everybody what is so."""
        try:
            return {name: self.has(database, name) for name in self.everybody} == truth
        except DirectoryUnavailable:
            return False

    def revocations(self, database: Any, count: int) -> list[float]:
        """Return the seconds from the answer to a change until the database knows of it."""
        took = []
        with contextlib.closing(Contents(self.directory.server)) as contents:
            for number in range(count):
                at = number % len(self.names)
                before = self.has(database, self.names[at])
                self._toggle(contents, at)
                began = time.perf_counter()
                while self.has(database, self.names[at]) == before:
                    assert time.perf_counter() - began < 30
                    time.sleep(0.0002)  # so that there is room for others in this process
                took.append(time.perf_counter() - began)
        return took

    def killed(self, database: Any, seconds: float) -> float:
        """Kill the server during changes; return how long after its return all is seen again."""
        server: Any = self.directory.server
        broken = threading.Event()

        def change() -> None:
            while not broken.is_set():
                text = "".join(text for _, text in (self._change() for _ in range(20)))
                with contextlib.suppress(LDAPDBError):  # killed, or done before the last kill
                    server.ldapmodify(text, "-c")

        thread = threading.Thread(target=change, daemon=True)
        with self.asked(database):
            thread.start()
            time.sleep(seconds)
            server.halt(signal.SIGKILL)
        broken.set()
        thread.join(20)
        server.run()
        came = time.monotonic()
        while database.watch_info().state is not State.LIVE:
            assert time.monotonic() < came + 30
            time.sleep(0.005)
        took = time.monotonic() - came
        assert self.is_known(database, self.truth())
        return took


def _record(dn: str, *lines: str) -> str:
    return "\n".join([f"dn: {dn}", f"changetype: {lines[0]}", *lines[1:], "", ""])


def _rename(dns: list[str], number: int, new: str) -> str:
    """Write how an entry gets another name in its place, and note that it has it."""
    before, dns[number] = dns[number], new
    rdn = str(DN(DN.parse(new).rdns[:1]))
    return _record(before, "modrdn", f"newrdn: {rdn}", "deleteoldrdn: 1")


def _renamed(dn: str, name: str) -> str:
    return str(DN.parse(dn).parent.child("cn", name))


def memory() -> int:
    """Return the memory of this process that is in use, in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096

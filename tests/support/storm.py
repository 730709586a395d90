"""Many changes at once, and what a database that watches knows of them at the end."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ldapdb import LDAPDatabase
from ldapdb.errors import DirectoryUnavailable
from ldapdb.watch import State
from support.contents import Contents
from support.directory import Directory
from support.waiting import eventually

__all__ = ["Storm", "memory"]

_IMAGE = "simphony/storm:1"
_LASTING = {"watch": True, "cache_ttl_seconds": 3600, "cache_negative_ttl_seconds": 3600}


class Storm:
    """People who get and lose one application each, all the time.

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
        keeper = directory.person("keeper")
        directory.application(_IMAGE)
        self._grants = [
            directory.granted(name, images=[_IMAGE], members=[keeper]) for name in self.names
        ]
        self._has = [False] * people
        self.made = 0

    @contextlib.contextmanager
    def watching(self) -> Iterator[Any]:
        """Open a database that is in step."""
        kwargs = self.directory.database_kwargs(**{**_LASTING, **self._settings})
        with LDAPDatabase(**kwargs) as database:
            assert eventually(lambda: database.watch_info().state is State.LIVE)
            yield database

    @contextlib.contextmanager
    def asked(self, database: Any) -> Iterator[None]:
        """Ask for somebody's applications all the time, from two threads."""
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                with contextlib.suppress(Exception):  # the server may have been killed
                    self.has(database, random.choice(self.names))
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

    def rage(self, rate: int, seconds: int) -> None:
        """Make so many changes a second, as far as the server can, by a program beside us."""
        for _ in range(seconds):
            ends = time.monotonic() + 1
            self.directory.server.ldapmodify("".join(map(self._change, range(rate))))
            time.sleep(max(ends - time.monotonic(), 0))

    def _change(self, _: int) -> str:
        """Write the next change."""
        number = self.made % len(self.names)
        what = "delete" if self._has[number] else "add"
        self._has[number] = not self._has[number]
        self.made += 1
        return (
            f"dn: {self._grants[number]}\nchangetype: modify\n"
            f"{what}: member\nmember: {self._dns[number]}\n\n"
        )

    def _toggle(self, contents: Contents, number: int) -> None:
        what = "delete" if self._has[number] else "add"
        contents.modify(self._grants[number], [(what, "member", [self._dns[number]])])
        self._has[number] = not self._has[number]

    def has(self, database: Any, name: str) -> bool:
        """Tell whether somebody has the application."""
        return bool(database.get_accounting_for_user(database.get_user(user_name=name)))

    def truth(self) -> dict[str, bool]:
        """Tell who has it, by a full read."""
        kwargs = self.directory.database_kwargs(cache_ttl_seconds=0)
        with LDAPDatabase(**kwargs) as database:
            return {name: self.has(database, name) for name in self.names}

    def is_known(self, database: Any, truth: dict[str, bool]) -> bool:
        """Tell whether the database says of everybody what is so."""
        try:
            return {name: self.has(database, name) for name in self.names} == truth
        except DirectoryUnavailable:
            return False

    def revocations(self, database: Any, count: int) -> list[float]:
        """Return the seconds from the answer to a change until the database knows of it."""
        took = []
        with contextlib.closing(Contents(self.directory.server)) as contents:
            for number in range(count):
                at = number % len(self.names)
                self.has(database, self.names[at])
                self._toggle(contents, at)
                began = time.perf_counter()
                while self.has(database, self.names[at]) != self._has[at]:
                    assert time.perf_counter() - began < 30
                    time.sleep(0.0002)  # so that there is room for others in this process
                took.append(time.perf_counter() - began)
        return took

    def killed(self, database: Any, seconds: float) -> float:
        """Kill the server during changes; return how long after its return all is seen again."""
        server: Any = self.directory.server
        broken = threading.Event()

        def change() -> None:
            with contextlib.suppress(Exception), contextlib.closing(Contents(server)) as contents:
                while not broken.is_set():
                    for number in range(len(self.names)):
                        contents.modify(
                            self._grants[number],
                            [("replace", "member", [self._dns[number], self._dns[number - 1]])],
                        )
                        contents.modify(
                            self._grants[number], [("replace", "member", [self._dns[number - 1]])]
                        )

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


def memory() -> int:
    """Return the memory of this process that is in use, in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096

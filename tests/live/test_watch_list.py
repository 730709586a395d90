"""The list of all users is kept up to date: it is what a full read says, whatever changes."""

from __future__ import annotations

import gc
import random
import threading
import time
from functools import partial
from typing import Any

import pytest

from ldapdb import LDAPDatabase
from ldapdb.watch import State
from support import Directory
from support.waiting import eventually
from support.watched import directory

__all__ = ["directory"]

pytestmark = pytest.mark.live(
    *("openldap", "389ds", "ad"),
    reason="how a change is noticed does not depend on how policy is written",
)

SOON = 3.0
LASTING: dict[str, Any] = {"watch": True, "watch_poll_seconds": 0.1, "cache_ttl_seconds": 3600}


def follow(directory: Directory, **settings: Any) -> Any:
    database = directory.open(**{**LASTING, **settings})
    assert eventually(lambda: database.watch_info().state is State.LIVE)
    return database


def told(database: Any) -> list[tuple[int, str, str]]:
    """Return the list with all that is in it, in its order."""
    return [(user.id, user.name, str(user.dn).lower()) for user in database.list_users()]


def truth(directory: Directory) -> list[tuple[int, str, str]]:
    """Return the same from a full read."""
    with LDAPDatabase(**directory.database_kwargs(cache_ttl_seconds=0)) as database:
        return told(database)


def is_same(database: Any, true: object) -> bool:
    return told(database) == true


class Crowd:
    """People to whom anything may happen."""

    def __init__(self, directory: Directory, seed: int) -> None:
        self.directory = directory
        self.random = random.Random(seed)
        self.elsewhere = directory.unit("elsewhere")
        self.outside = directory.groups_base
        self.names = iter(f"Person{number}" for number in range(1000))
        self.dns = [self.come() for _ in range(12)]

    def come(self) -> str:
        return self.directory.person(next(self.names))

    def change(self) -> None:
        """Let one thing happen to one of them."""
        at = self.random.randrange(len(self.dns))
        dn, here = self.dns[at], self.directory
        what = self.random.choice(
            ["come", "go", "rename", "move", "recase", "lock", "unlock", "twin"]
        )
        if what == "come":
            self.dns.append(self.come())
        elif what == "go":
            here.delete(self.dns.pop(at))
            self.dns.append(self.come())
        elif what == "rename":
            self.dns[at] = here.rename_person(dn, next(self.names))
        elif what == "move":
            name = dn.split(",")[0].partition("=")[2]
            places = [here.users_base, self.elsewhere]
            self.dns[at] = here.rename_person(dn, name, self.random.choice(places))
        elif what == "recase":
            name = dn.split(",")[0].partition("=")[2]
            self.dns[at] = here.rename_person(dn, name.swapcase())
        elif what == "twin" and here.vendor != "ad":  # which has one of a name
            name = dn.split(",")[0].partition("=")[2]
            self.dns.append(here.person(name, rdn=f"cn=Twin of {next(self.names)}"))
        elif what in ("lock", "unlock"):
            self.lock(dn, locked=what == "lock")

    def lock(self, dn: str, *, locked: bool) -> None:
        here = self.directory
        if here.vendor == "ad":
            here._modify(dn, ("replace", "userAccountControl", ["546" if locked else "544"]))
        elif here.vendor == "389ds":
            here._modify(dn, ("replace", "nsAccountLock", ["true"] if locked else []))


def test_after_any_changes_the_list_is_as_a_full_read_says(directory: Directory) -> None:
    """Names, identifiers and order; and all was read once, at the beginning."""
    crowd = Crowd(directory, 1)
    database, began = follow(directory), time.monotonic()
    assert len(told(database)) >= len(crowd.dns)
    rounds = 25 if directory.vendor == "openldap" else 8
    for _ in range(rounds):
        for _ in range(4):
            crowd.change()
        true = truth(directory)
        assert eventually(partial(is_same, database, true), SOON), (true, told(database))
    info = database.cache_info()["user_list"]
    # All is forgotten once more when it has been watched for five seconds.
    assert info.misses <= 1 + (time.monotonic() - began > 4)
    assert info.hits >= rounds


@pytest.mark.live("openldap", reason="the thread does not depend on the directory")
@pytest.mark.lengthy
def test_a_list_that_is_out_of_date_is_read_before_anybody_asks(directory: Directory) -> None:
    """Whoever asks gets the one that is there, as changed; nobody waits for all users."""
    database = follow(directory, cache_ttl_seconds=0.5, counted=True)
    told(database)
    name = "Late"
    for _ in range(4):
        time.sleep(0.4)
        with directory.operations() as seen:
            told(database)
        assert seen == []
    assert database.cache_info()["user_list"].misses > 1
    directory.person(name)
    assert eventually(lambda: name in {each for _, each, _ in told(database)}, SOON)


@pytest.mark.live("openldap", reason="the thread does not depend on the directory")
def test_nothing_is_read_for_whom_nobody_asks(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some time after the last question the thread ends."""
    monkeypatch.setattr("ldapdb.store.tending._ASKED_SECONDS", 0.2)

    database = follow(directory)
    told(database)
    assert threads("ldapdb-list")
    assert eventually(lambda: not threads("ldapdb-list"))
    directory.person("late")
    assert eventually(lambda: "late" in {name for _, name, _ in told(database)}, SOON)


@pytest.mark.live("openldap", reason="the threads do not depend on the directory")
def test_of_a_database_that_is_dropped_unclosed_nothing_goes_on(directory: Directory) -> None:
    before = threads("ldapdb")
    list_and_drop(directory)
    assert eventually(lambda: threads("ldapdb") == before)
    gc.collect()  # Python would say here which sockets are still open


def threads(beginning: str) -> list[str]:
    """Name the threads that run."""
    return [each.name for each in threading.enumerate() if each.name.startswith(beginning)]


def list_and_drop(directory: Directory) -> None:
    """Leave a database unclosed."""
    database = LDAPDatabase(**directory.database_kwargs(**LASTING))
    assert eventually(lambda: database.watch_info().state is State.LIVE)
    told(database)
    assert {"ldapdb-list", "ldapdb-watch"} <= set(threads("ldapdb"))

"""One process of a soak: random calls, each written down before and after.

Usage: python -m soak.worker <worker> <life> <seed> <journal> <file with settings>
"""

from __future__ import annotations

import json
import logging
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ldapdb import LDAPDatabase
from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from soak.journal import Journal
from soak.world import (
    EVERYBODY,
    OWN,
    POLICY_OF,
    Key,
    keys_of,
    own_key,
    policy_text,
    settings_of,
)

# How often each is chosen.
_WEIGHTS = {
    "accounting": 30,
    "own_accounting": 12,
    "user": 8,
    "applications": 5,
    "grant": 14,
    "revoke": 11,
    "revoke_by_id": 5,
    "create": 3,
    "grant_own": 4,
    "remove": 3,
}
_PAUSE_SECONDS = 0.03
_RECENT = 4
_BEAT_SECONDS = 0.05
# From so much on, being late counts as not having been let run.
_STALL_SECONDS = 0.15


class Worker:
    """Calls at random, of what is this worker's to write and everybody's to read."""

    def __init__(self, number: int, database: Any, journal: Journal, choice: random.Random) -> None:
        self._number = number
        self._database = database
        self._journal = journal
        self._choice = choice
        self._keys = keys_of(number)
        self._own = own_key(number)
        self._ids: dict[Key, str] = {}
        self._recent: deque[Key] = deque(maxlen=_RECENT)

    def work(self) -> None:
        """Go on until the process is killed or told to stop by a closed input."""
        kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
        stopped = threading.Event()
        threading.Thread(target=_wait_for_end, args=(stopped,), daemon=True).start()
        while not stopped.is_set():
            [kind] = self._choice.choices(kinds, weights)
            getattr(self, f"_do_{kind}")()
            time.sleep(self._choice.expovariate(1 / _PAUSE_SECONDS))

    def _call(self, kind: str, about: tuple[str, ...], call: Callable[[], Any]) -> Any:
        """Make a call between two lines of the journal; None if it fails."""
        self._journal.note("call", do=kind, about=about)
        try:
            result = call()
        except Exception as error:
            self._journal.note("error", error=type(error).__name__, said=_said(error))
            return None
        self._journal.note("result", result=result)
        return result

    # --- reads

    def _do_accounting(self) -> None:
        self._account(self._choice.choice(EVERYBODY))

    def _do_own_accounting(self) -> None:
        self._account(self._choice.choice(self._keys)[0])

    def _account(self, name: str) -> None:
        def ask() -> list[tuple[str, str]]:
            accountings = self._database.get_accounting_for_user(_Named(name))
            return [(each.application.image, _told(each)) for each in accountings]

        self._call("accounting", (name,), ask)

    def _do_user(self) -> None:
        name = self._choice.choice([*EVERYBODY, "nobody"])

        def ask() -> Any:
            user = self._database.get_user(user_name=name)
            return None if user is None else user.name

        self._call("user", (name,), ask)

    def _do_applications(self) -> None:
        def ask() -> list[str]:
            return [each.image for each in self._database.list_applications()]

        self._call("applications", (), ask)

    # --- writes, each of them read back half of the times

    def _key(self, keys: Sequence[Key]) -> Key:
        """Choose a key; half of the times one that was written a moment ago.

        So that writes of one key follow each other while a server goes.
        """
        recent = [key for key in self._recent if key in keys]
        key = self._choice.choice(recent if recent and self._choice.random() < 0.5 else keys)
        self._recent.append(key)
        return key

    def _do_grant(self) -> None:
        self._grant(self._key(self._keys))

    def _do_grant_own(self) -> None:
        self._grant(self._own)

    def _grant(self, key: Key) -> None:
        user, image, policy = key
        mapping_id = self._call(
            "grant",
            key,
            lambda: self._database.grant_access(image, user, *POLICY_OF[policy]),
        )
        if mapping_id:
            self._ids[key] = mapping_id
        self._read_back(user)

    def _do_revoke(self) -> None:
        user, image, policy = key = self._key(self._keys)
        self._call(
            "revoke", key, lambda: self._database.revoke_access(image, user, *POLICY_OF[policy])
        )
        self._read_back(user)

    def _do_revoke_by_id(self) -> None:
        known = [key for key in self._keys if key in self._ids]
        if known:
            key = self._key(known)
            self._call(
                "revoke_by_id", key, lambda: self._database.revoke_access_by_id(self._ids[key])
            )
            self._read_back(key[0])

    def _do_create(self) -> None:
        image = OWN[self._number]
        self._call("create", (image,), lambda: self._database.create_application(image))

    def _do_remove(self) -> None:
        image = OWN[self._number]
        self._call("remove", (image,), lambda: self._database.remove_application(app_name=image))
        self._read_back(self._own[0])

    def _read_back(self, name: str) -> None:
        if self._choice.random() < 0.5:
            self._account(name)


class _Named:
    """A user as the host passes it."""

    def __init__(self, name: str) -> None:
        self.name = name


def _told(accounting: Any) -> str:
    policy = accounting.application_policy
    parts = policy.volume_source, policy.volume_target, policy.volume_mode
    volume = ":".join(parts) if policy.volume_source else None
    return policy_text(policy.allow_home, policy.allow_view, volume)


def _said(error: Exception) -> str:
    lost = getattr(error, "answer_lost", False)
    return f"{'answer lost: ' if lost else ''}{error}"[:600]


# What ldapdb logs as a warning, by the beginning of the logger's name.
_NOTED = {
    "ldapdb.store": "warning",  # an entry is left out of an answer
    "ldapdb.client.pool": "retry",  # a server does not answer, and the next is asked
    "ldapdb.cache": "stale",  # none answers, and an old answer serves
}
# What it tells of a revocation is as it is to be: whoever is in the company's group of this world
# leaves it, and nothing is left out.
_OF_REVOCATIONS = "ldapdb.store.outcomes"


class _Noted(logging.Handler):
    """Writes into the journal what ldapdb warns of."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _OF_REVOCATIONS:
            return
        for name, what in _NOTED.items():
            if record.name.startswith(name):
                self._journal.note(what, said=record.getMessage()[:300])


def _beat(journal: Journal) -> None:
    """Note when this process was not let run."""
    while True:
        due = time.monotonic() + _BEAT_SECONDS
        time.sleep(_BEAT_SECONDS)
        if time.monotonic() > due + _STALL_SECONDS:
            journal.note("stall", since=due)


def _wait_for_end(stopped: threading.Event) -> None:
    sys.stdin.read()
    stopped.set()


def _open(settings: dict[str, Any]) -> Any:
    """Open a database as a host's start script would: again until the directory answers."""
    while True:
        try:
            return LDAPDatabase(**settings)
        except DirectoryUnavailable:
            time.sleep(0.2)


def main() -> None:
    """Work until standard input is closed."""
    number, life, seed, journal_file, settings_file = sys.argv[1:]
    settings = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    with Journal(Path(journal_file)) as journal:
        journal.note("begin", process=f"{number}.{life}")
        logging.getLogger("ldapdb").addHandler(_Noted(journal))
        threading.Thread(target=_beat, args=(journal,), daemon=True).start()
        choice = random.Random(f"{seed} {number} {life}")
        try:
            with _open(settings_of(int(number), settings)) as database:
                Worker(int(number), database, journal, choice).work()
        except LDAPDBError as error:
            journal.note("failed", error=type(error).__name__, said=str(error))
            raise
        journal.note("end")


if __name__ == "__main__":
    main()

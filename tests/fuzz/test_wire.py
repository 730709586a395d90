"""A server whose answers are damaged on the way: an error in time, and never a wider right.

Without TLS nothing tells an answer with another value in it from the server's own. So what
is no answer at all must be an error or change nothing, and messages in another order, left
out or of another search must never give more than the server gave.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import ldap3
import pytest
from fuzz import ber
from fuzz.budget import Budget
from fuzz.tampering import FOREIGN, KINDS, ORDERS, Tamper
from fuzz.watch import Log, TookTooLong, bounded
from proxy import Proxy

from ldapdb import LDAPDatabase, failover
from ldapdb.errors import LDAPDBError
from support import Private

SECONDS = 0.3
# Two cores may be busy with something else; a wait that nothing ends takes much longer.
ALLOWANCE = 1.5
MEGABYTES = 150
CASES_A_PROXY = 400
WAITED_FOR = ("truncate", "drop", "delete")
NAMES = ("alice", "john.smith2", "heidi", "nobody")
WANTED = ("simphony/tutorial:2.0", "alice", True, False, "/fuzz:/fuzz:ro")
HELD = ("simphony/jupyter:LTS-2023", "kaoru", True, False, None)


class Rig:
    """A slapd, a proxy in front of it, and what the server says when nobody tampers."""

    def __init__(self, sample: Private) -> None:
        self._sample = sample
        self.kwargs = sample.database_kwargs(
            cache_ttl_seconds=0,
            cache_max_stale_seconds=0,
            operation_timeout_seconds=SECONDS,
            connect_timeout_seconds=SECONDS,
        )
        address = urlsplit(self.kwargs["uri"])
        self._address = address.hostname or "", address.port or 389
        self.plain = LDAPDatabase(**{**self.kwargs, "operation_timeout_seconds": 10})
        self._admin = ldap3.Connection(
            ldap3.Server(self.kwargs["uri"], get_info=ldap3.NONE),
            self.kwargs["bind_dn"],
            self.kwargs["bind_password"],
            auto_bind=True,
        )
        self.plain.grant_access(*HELD)
        self.users = {name: self.plain.get_user(user_name=name) for name in NAMES}
        self.truth = {
            "users": set(self.plain.list_users()),
            "applications": set(self.plain.list_applications()),
            **{name: self.accountings(self.plain, name) for name in NAMES},
        }
        self.foreign: list[bytes] = []
        with self.proxied() as (proxy, database):
            proxy.tamper = self._collect
            for name in NAMES:
                database.get_user(user_name=name)
                self.accountings(database, name)
        self.state = self.grants()

    def accountings(self, database: Any, name: str) -> set[Any]:
        return set(database.get_accounting_for_user(self.users[name]))

    def _collect(self, data: bytes) -> bytes:
        self.foreign += [each for each in ber.split(data)[0] if ber.read(each).operation != 0x61]
        return data

    def grants(self) -> set[tuple[str, str]]:
        """List what is said of each grant, by the server itself."""
        self._admin.search(f"ou=grants,{self._sample.base_dn}", "(cn=*)", attributes=["*"])
        return {
            (entry["dn"], f"{name}={value.decode()}")
            for entry in self._admin.response
            for name, values in entry["raw_attributes"].items()
            for value in values
        }

    def restore(self) -> None:
        """Undo what a case wrote."""
        for dn in {dn for dn, _ in self.grants()} - {dn for dn, _ in self.state}:
            self._admin.delete(dn)
        if self.grants() != self.state:
            self.plain.grant_access(*HELD)
        assert self.grants() == self.state

    def close(self) -> None:
        self._admin.unbind()
        self.plain.close()

    @contextlib.contextmanager
    def proxied(self) -> Iterator[tuple[Proxy, Any]]:
        proxy = Proxy(*self._address)
        try:
            with LDAPDatabase(**{**self.kwargs, "uri": proxy.uri}) as database:
                yield proxy, database
        finally:
            proxy.close()


def forget(database: Any) -> None:
    """Drop what is remembered of failures, and what the caches hold, as time would."""
    for cache in vars(database._store._caches).values():
        if hasattr(cache, "clear"):
            cache.clear()
    pool = database._store._directory._pool
    with pool._lock:
        pool._servers._failed.clear()
        pool._why.clear()
        pool._waiters.wake()


def connect(database: Any) -> None:
    """Wait until nothing of the last case is left: a trial in the background may still fail."""
    for _ in range(100):
        forget(database)
        with contextlib.suppress(LDAPDBError):
            database.get_user(user_name="alice")
            break
        time.sleep(0.005)
    forget(database)


class Case:
    """One call while answers are damaged.

    Parameters
    ----------
    rig : Rig
        Where.
    number, seed : int
        Decide everything else.
    """

    def __init__(self, rig: Rig, number: int, seed: int) -> None:
        self._rig = rig
        rng = random.Random(f"{seed}:{number}")
        self._number = number
        self.kind = KINDS[number % len(KINDS)]
        self._name = rng.choice(NAMES)
        calls = {  # with their weight, and about how many messages are an answer
            self._user: (70, 2),
            self._accountings: (12, 14),
            self._users: (1, 60),
            self._applications: (6, 9),
            self._grant: (3, 6),
            self._revoke: (3, 6),
            self._open: (5, 6),
        }
        self._ask = rng.choices(list(calls), [weight for weight, _ in calls.values()])[0]
        at = rng.randrange(calls[self._ask][1])
        # A wait is slow to test, so it is rare.
        hangs = rng.random() < (0.05 if self.kind in WAITED_FOR else 0.002)
        self.tamper = Tamper(self.kind, rng, rig.foreign, at=at, hangs=hangs)
        self._uri = ""

    def __str__(self) -> str:
        return f"case {self._number} ({self.kind}, {self._ask.__name__} of {self._name})"

    @property
    def _is_strict(self) -> bool:
        """Whether the call must fail or change nothing: what came was no answer."""
        return not self.tamper.changed or not self.tamper.misled

    @property
    def _is_bounded(self) -> bool:
        """Whether nothing may be had that the server did not say."""
        return self._is_strict or self.kind in (*ORDERS, FOREIGN[0], "other_code")

    def run(self, proxy: Proxy, database: Any) -> str:
        """Make the call; return how it ended."""
        self._uri = proxy.uri
        # A connection is there already, so that not only answers to log-ins are damaged.
        connect(database)
        proxy.tamper = self.tamper
        try:
            with bounded(
                self, seconds=SECONDS + ALLOWANCE, megabytes=MEGABYTES, timer=time.monotonic
            ):
                check = self._ask(database)
        except LDAPDBError:
            ended = "error" if self.tamper.changed else "untouched"
        else:
            ended = "answer" if self.tamper.changed else "untouched"
            check()
        finally:
            proxy.tamper = None
        if self._ask in (self._grant, self._revoke):
            self._check_written()
        return ended

    def _compare(self, found: Any, truth: Any) -> None:
        if self._is_strict:
            assert found == truth, self
        elif self._is_bounded and isinstance(found, set):
            assert found <= truth, self
        elif self._is_bounded:
            assert found in (None, truth), self

    def _user(self, database: Any) -> Callable[[], None]:
        user = database.get_user(user_name=self._name)
        return lambda: self._compare(user, self._rig.users[self._name])

    def _accountings(self, database: Any) -> Callable[[], None]:
        found = self._rig.accountings(database, self._name)
        return lambda: self._compare(found, self._rig.truth[self._name])

    def _users(self, database: Any) -> Callable[[], None]:
        found = set(database.list_users())
        return lambda: self._compare(found, self._rig.truth["users"])

    def _applications(self, database: Any) -> Callable[[], None]:
        found = set(database.list_applications())
        return lambda: self._compare(found, self._rig.truth["applications"])

    def _grant(self, database: Any) -> Callable[[], None]:
        database.grant_access(*WANTED)
        return lambda: None

    def _revoke(self, database: Any) -> Callable[[], None]:
        database.revoke_access(*HELD)
        return lambda: None

    def _open(self, database: Any) -> Callable[[], None]:
        del database
        with LDAPDatabase(**{**self._rig.kwargs, "uri": self._uri}) as new:
            return self._accountings(new)

    def _check_written(self) -> None:
        """See that nothing was given or taken but what was to be."""
        before, after = self._rig.state, self._rig.grants()
        if after == before:
            return
        try:
            if self._is_bounded and self._ask == self._revoke:
                (taken,) = before - after
                assert after < before, self
                assert taken[1] == "member=uid=kaoru,ou=people,dc=example,dc=org", self
            elif self._is_bounded:
                assert before < after, self
                assert len({dn for dn, _ in after - before}) == 1, self
                members = {said for _, said in after - before if said.startswith("member=")}
                assert members == {"member=uid=alice,ou=people,dc=example,dc=org"}, self
        finally:
            self._rig.restore()


def run_again_if_slow(case: Case, again: Case, proxy: Proxy, database: Any) -> str:
    """Run a case, once more if it took too long: machines are halted for seconds at times."""
    try:
        return case.run(proxy, database)
    except TookTooLong:
        forget(database)
        return again.run(proxy, database)


@pytest.fixture(scope="module")
def rig(sample: Private) -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        # A server that failed is tried again at once, not after a tenth of a second.
        patch.setattr(failover, "_FIRST_SECONDS", 0.001)
        made = Rig(sample)
        yield made
        made.close()


def test_damaged_answers_end_in_time_and_never_give_more(
    rig: Rig, budget: Budget, log: Log
) -> None:
    """Whatever comes from the wire is an error of ours in time, or nothing that was not there."""
    log.secrets = (rig.kwargs["bind_password"],)
    total, untouched = budget.of("wire"), 0
    chosen = range(total) if budget.only is None else (budget.only,)
    for start in range(0, len(chosen), CASES_A_PROXY):
        with rig.proxied() as (proxy, database):
            for number in chosen[start : start + CASES_A_PROXY]:
                case = Case(rig, number, budget.seed)
                try:
                    ended = run_again_if_slow(case, Case(rig, number, budget.seed), proxy, database)
                    log.check()
                except Exception as error:
                    raise AssertionError(
                        f"{case}: {error!r}; repeat it: python -m pytest tests/fuzz/test_wire.py "
                        f"--fuzz-seed {budget.seed} --fuzz-only {number}"
                    ) from error
                budget.ran[f"wire: {case.kind}: {ended}"] += 1
                untouched += ended == "untouched"
    # What is not damaged, because nothing was asked, is no case.
    assert len(chosen) == 1 or untouched < len(chosen) / 3

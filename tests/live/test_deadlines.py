"""Every call ends in its time, however its server misbehaves.

A call is allowed 0.3 s past its deadline, and by how much this machine wakes a thread too
late: a dozen calls end at the same moment. ldapdb itself adds nothing to it.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

import pytest
from proxy import Cut, Hang, Proxy

from ldapdb import LDAPDatabase, errors
from support import Directory

pytestmark = [
    pytest.mark.live(
        "openldap",
        reason="a proxy misbehaves in a server's place; what is behind it does not matter",
    ),
    pytest.mark.slow,
]

ALONE_SECONDS = 0.5
# Half of it is lost with the first server.
OF_TWO_SECONDS = 1.0
ALLOWANCE_SECONDS = 0.3


# --- how a server misbehaves


def refuses(proxy: Proxy) -> None:
    proxy.refuse()


def is_full(proxy: Proxy) -> None:
    """The queue of connections to accept is full, so that nothing answers a new one."""
    proxy.fill()


def hangs_up(proxy: Proxy) -> None:
    proxy.hangs_up = True


def says_nothing(proxy: Proxy) -> None:
    def asked(_: str) -> None:
        raise Hang

    proxy.asked = asked


def says_nothing_after_the_bind(proxy: Proxy) -> None:
    def asked(operation: str) -> None:
        if operation != "BIND":
            raise Hang

    proxy.asked = asked


def stops_midway(proxy: Proxy) -> None:
    def answered(operation: str, data: bytes) -> None:
        if operation != "BIND":
            raise Hang(data[: len(data) // 2])

    proxy.answered = answered


def closes_midway(proxy: Proxy) -> None:
    def answered(operation: str, data: bytes) -> None:
        if operation != "BIND":
            raise Cut(data[: len(data) // 2])

    proxy.answered = answered


def closes_after_the_request(proxy: Proxy) -> None:
    def asked(operation: str) -> None:
        if operation != "BIND":
            raise Cut

    proxy.asked = asked


def drips(proxy: Proxy) -> None:
    proxy.seconds_a_byte = 0.1


def sends_garbage(proxy: Proxy) -> None:
    proxy.tamper = lambda data: b"\xff\x00" * len(data)


def sends_what_is_not_ldap(proxy: Proxy) -> None:
    """A sequence of a number and a text, as BER has it."""
    proxy.tamper = lambda _: bytes.fromhex("3006020105040141")


def answers_somebody_else(proxy: Proxy) -> None:
    """The result of a search that is not this one's, by its number."""
    proxy.tamper = lambda _: bytes.fromhex("300d02027fff65070a010004000400")


def says_goodbye(proxy: Proxy) -> None:
    """The notice of disconnection of RFC 4511, section 4.4.1, and silence."""
    oid = b"1.3.6.1.4.1.1466.20036"
    notice = bytes.fromhex("780a0a01340400") + b"\x04\x00\x8a" + bytes((len(oid),)) + oid
    notice = notice[:1] + bytes((len(notice) - 2,)) + notice[2:]
    message = b"\x02\x01\x00" + notice

    def answered(*_: object) -> None:
        raise Hang(b"\x30" + bytes((len(message),)) + message)

    proxy.answered = answered


def is_slow(proxy: Proxy) -> None:
    proxy.answered = lambda *_: time.sleep(0.15)


Misbehaviour = Callable[[Proxy], None]
# What shows on new connections only, and what also strikes one that waits to be used again.
TO_NEW: list[Misbehaviour] = [refuses, is_full, hangs_up, says_nothing_after_the_bind]
TO_ALL: list[Misbehaviour] = [
    says_nothing,
    stops_midway,
    closes_midway,
    closes_after_the_request,
    drips,
    sends_garbage,
    sends_what_is_not_ldap,
    answers_somebody_else,
    says_goodbye,
    is_slow,
]


def cases(idle: Collection[Misbehaviour]) -> Iterator[Any]:
    """List each with new connections, and some with such as wait to be used again."""
    for each in (*TO_NEW, *TO_ALL):
        yield pytest.param(each, False, id=each.__name__)
        if each in idle:
            yield pytest.param(each, True, id=f"{each.__name__}-idle")


# --- the calls


@dataclass(frozen=True)
class Prepared:
    """What the calls find: for each its own image, and what alice is granted of it."""

    directory: Directory
    kwargs: dict[str, Any]
    alice: Any
    application_ids: dict[str, int]
    mapping_ids: dict[str, str]


@dataclass(frozen=True)
class Case:
    """One public call.

    Parameters
    ----------
    ask : callable
        The call, given what is prepared, the database, and an image of its own.
    is_right : callable
        Whether its answer, or what it did as another database sees it, is right.
    granted : bool, optional
        Whether the image is granted to alice before; None if it is not even registered.
    """

    ask: Callable[[Prepared, Any, str], Any]
    is_right: Callable[[Any, Any, str], bool]
    granted: Optional[bool] = False


def has(database: Any, image: str) -> bool:
    alice = database.get_user(user_name="alice")
    return image in [each.application.image for each in database.get_accounting_for_user(alice)]


def registers(database: Any, image: str) -> bool:
    return image in [each.image for each in database.list_applications()]


def opened(prepared: Prepared, _: Any, __: str) -> Any:
    return prepared.directory.open(**prepared.kwargs)


CALLS = {
    "open": Case(opened, lambda answer, *_: isinstance(answer, LDAPDatabase)),
    "user_by_name": Case(
        lambda _, database, __: database.get_user(user_name="alice"),
        lambda answer, *_: answer.name == "alice",
    ),
    "user_by_id": Case(
        lambda prepared, database, _: database.get_user(id=prepared.alice.id),
        lambda answer, *_: answer.name == "alice",
    ),
    "accounting": Case(
        lambda prepared, database, _: database.get_accounting_for_user(prepared.alice),
        lambda answer, _, image: image in [each.application.image for each in answer],
        granted=True,
    ),
    "users": Case(
        lambda _, database, __: database.list_users(),
        lambda answer, *_: [each.name for each in answer] == ["alice"],
    ),
    "applications": Case(
        lambda _, database, __: database.list_applications(),
        lambda answer, _, image: image in [each.image for each in answer],
    ),
    "create": Case(
        lambda _, database, image: database.create_application(image),
        lambda answer, seen, image: (
            answer in [each.id for each in seen.list_applications() if each.image == image]
        ),
        granted=None,
    ),
    "remove": Case(
        lambda _, database, image: database.remove_application(app_name=image),
        lambda _, seen, image: not registers(seen, image),
        granted=True,
    ),
    "remove_by_id": Case(
        lambda prepared, database, image: database.remove_application(
            id=prepared.application_ids[image]
        ),
        lambda _, seen, image: not registers(seen, image),
        granted=True,
    ),
    "grant": Case(
        lambda _, database, image: database.grant_access(image, "alice", True, False, None),
        lambda _, seen, image: has(seen, image),
    ),
    "revoke": Case(
        lambda _, database, image: database.revoke_access(image, "alice", True, False, None),
        lambda _, seen, image: registers(seen, image) and not has(seen, image),
        granted=True,
    ),
    "revoke_by_id": Case(
        lambda prepared, database, image: database.revoke_access_by_id(prepared.mapping_ids[image]),
        lambda _, seen, image: registers(seen, image) and not has(seen, image),
        granted=True,
    ),
}


def image_of(call: str) -> str:
    return f"simphony/{call}"


def prepare(directory: Directory, **settings: Any) -> Prepared:
    alice = directory.person("alice")
    for call, case in CALLS.items():
        if case.granted is not None:
            directory.application(image_of(call), name=call)
        if case.granted:
            directory.granted(call, images=[image_of(call)], members=[alice], home=True)
    database = directory.open()
    user = database.get_user(user_name="alice")
    return Prepared(
        directory,
        directory.database_kwargs(cache_ttl_seconds=0, cache_max_stale_seconds=0, **settings),
        user,
        {each.image: each.id for each in database.list_applications()},
        {each.application.image: each.id for each in database.get_accounting_for_user(user)},
    )


@pytest.fixture
def proxy(directory: Directory) -> Iterator[Proxy]:
    address = urlsplit(directory.server.uri)
    proxy = Proxy(str(address.hostname), address.port or 389)
    yield proxy
    proxy.close()


@dataclass(frozen=True)
class Outcome:
    seconds: float
    answer: Any = None
    error: Optional[BaseException] = None


def outcome(ask: Callable[[], Any]) -> Outcome:
    began = time.monotonic()
    try:
        answer = ask()
    except Exception as error:
        return Outcome(time.monotonic() - began, error=error)
    return Outcome(time.monotonic() - began, answer)


@contextlib.contextmanager
def lateness() -> Iterator[list[float]]:
    """Measure by how many seconds this machine wakes a thread too late."""
    late, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            due = time.monotonic() + 0.01
            over.wait(0.01)
            late[0] = max(late[0], time.monotonic() - due)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield late
    finally:
        over.set()
        watching.join()


def opened_soundly(prepared: Prepared) -> Any:
    """Open a database; on a machine that does much else this may take some trials."""
    for _ in range(5):
        with contextlib.suppress(errors.DirectoryUnavailable):
            return prepared.directory.open(**prepared.kwargs)
    return prepared.directory.open(**prepared.kwargs)


def ask_all(
    prepared: Prepared, misbehave: Callable[[], None], seconds: float
) -> dict[str, Outcome]:
    """Make all calls at the same time, each on a database of its own, which was sound."""
    databases = {call: opened_soundly(prepared) for call in CALLS}
    misbehave()
    with ThreadPoolExecutor(len(CALLS)) as pool:
        with lateness() as late:
            asked = {
                call: pool.submit(
                    outcome,
                    functools.partial(case.ask, prepared, databases[call], image_of(call)),
                )
                for call, case in CALLS.items()
            }
            outcomes = {call: each.result() for call, each in asked.items()}
        list(pool.map(lambda database: database.close(), databases.values()))
    for call, each in outcomes.items():
        assert each.seconds < seconds + ALLOWANCE_SECONDS + late[0], (call, each)
    return outcomes


def spoil(proxy: Proxy, misbehave: Misbehaviour, *, idle: bool) -> None:
    if not idle:
        proxy.cut()
    misbehave(proxy)


@pytest.mark.parametrize(("misbehave", "idle"), [*cases(TO_ALL)])
def test_every_call_ends_in_time(
    directory: Directory, proxy: Proxy, misbehave: Misbehaviour, idle: bool
) -> None:
    """With an error that says that the directory is unavailable, and never with a "no"."""
    prepared = prepare(
        directory,
        uri=proxy.uri,
        operation_timeout_seconds=ALONE_SECONDS,
        connect_timeout_seconds=ALONE_SECONDS,
    )
    seen = directory.open(cache_ttl_seconds=0)
    outcomes = ask_all(prepared, lambda: spoil(proxy, misbehave, idle=idle), ALONE_SECONDS)
    for call, each in outcomes.items():
        if misbehave is is_slow and each.error is None:
            assert CALLS[call].is_right(each.answer, seen, image_of(call)), (call, each)
        else:
            assert isinstance(each.error, errors.DirectoryUnavailable), (call, each)


@pytest.mark.parametrize(("misbehave", "idle"), [*cases([says_nothing, closes_midway])])
def test_a_sound_server_answers_in_place_of_any_other(
    directory: Directory, proxy: Proxy, misbehave: Misbehaviour, idle: bool
) -> None:
    """In time, and rightly, changes included."""
    prepared = prepare(
        directory,
        uri=f"{proxy.uri} {directory.server.uri}",
        operation_timeout_seconds=OF_TWO_SECONDS,
        connect_timeout_seconds=OF_TWO_SECONDS,
    )
    seen = directory.open(cache_ttl_seconds=0)
    outcomes = ask_all(prepared, lambda: spoil(proxy, misbehave, idle=idle), OF_TWO_SECONDS)
    for call, each in outcomes.items():
        if misbehave is is_slow and isinstance(each.error, errors.DirectoryUnavailable):
            continue  # what answers is not left for another one
        assert each.error is None, (call, each)
        assert CALLS[call].is_right(each.answer, seen, image_of(call)), (call, each)


def test_two_servers_that_say_nothing_cost_one_deadline(directory: Directory, proxy: Proxy) -> None:
    """The first is tried again in the background by then, and nobody waits for that."""
    address = urlsplit(proxy.uri)
    with contextlib.closing(Proxy(str(address.hostname), address.port or 389)) as second:
        prepared = prepare(
            directory,
            uri=f"{proxy.uri} {second.uri}",
            operation_timeout_seconds=OF_TWO_SECONDS,
            connect_timeout_seconds=OF_TWO_SECONDS,
        )

        def misbehave() -> None:
            for each in (proxy, second):
                spoil(each, says_nothing, idle=False)

        for call, each in ask_all(prepared, misbehave, OF_TWO_SECONDS).items():
            assert isinstance(each.error, errors.DirectoryUnavailable), (call, each)


# --- threads


def test_threads_that_wait_for_a_connection_end_by_their_own_deadlines(
    directory: Directory, proxy: Proxy
) -> None:
    """32 threads share the 8 connections to a server that says nothing any more."""
    directory.person("alice")
    database = directory.open(
        uri=proxy.uri,
        operation_timeout_seconds=ALONE_SECONDS,
        connect_timeout_seconds=ALONE_SECONDS,
    )
    says_nothing(proxy)
    with lateness() as late, ThreadPoolExecutor(32) as pool:
        asked = []
        for _ in range(32):
            asked.append(pool.submit(outcome, database.list_users))
            time.sleep(0.01)
        outcomes = [each.result() for each in asked]
    for each in outcomes:
        assert isinstance(each.error, errors.DirectoryUnavailable), each
        assert each.seconds < ALONE_SECONDS + ALLOWANCE_SECONDS + late[0], each


def test_waiting_for_what_another_thread_asks_counts_too(
    directory: Directory, proxy: Proxy
) -> None:
    """A call that waits for two loads of other threads in turn has one deadline for both."""
    alice = directory.person("alice")
    directory.application("simphony/mayavi")
    directory.granted("mayavi", images=["simphony/mayavi"], members=[alice])
    seconds = 1.0
    database = directory.open(
        uri=proxy.uri,
        cache_ttl_seconds=0,
        cache_max_stale_seconds=0,
        operation_timeout_seconds=seconds,
        connect_timeout_seconds=seconds,
    )
    user = database.get_user(user_name="alice")
    searches, go_on = [threading.Event() for _ in range(2)], threading.Event()
    waiting = iter(searches)

    def asked(operation: str) -> None:
        """Hold the first search for long, and the second one for good."""
        if operation != "SRCH":
            return
        event = next(waiting, None)
        if event is not None:
            event.set()
            go_on.wait(5)
        if event is searches[1]:
            raise Hang

    with ThreadPoolExecutor(3) as pool:
        proxy.asked = asked
        # The first one looks for alice; the last one waits for that answer, and then for the
        # second one's.
        first = pool.submit(outcome, lambda: database.get_user(user_name="alice"))
        assert searches[0].wait(5)
        last = pool.submit(
            outcome, lambda: database.get_accounting_for_user(type("Theirs", (), {"name": "alice"}))
        )
        time.sleep(0.7 * seconds)
        second = pool.submit(outcome, lambda: database._store.list_accountings(user))
        assert searches[1].wait(5)
        go_on.set()
        assert first.result().answer == user
        assert isinstance(second.result().error, errors.DirectoryUnavailable)
        assert isinstance(last.result().error, errors.DirectoryUnavailable)
        assert last.result().seconds < seconds + ALLOWANCE_SECONDS


@pytest.mark.parametrize("slow", ["BIND", "SRCH"])
def test_a_hasty_call_fails_alone(
    directory: Directory, proxy: Proxy, caplog: pytest.LogCaptureFixture, slow: str
) -> None:
    """A call with little time left takes no server, and no answer, from calls that have more."""
    directory.person("alice")
    database = directory.open(uri=proxy.uri)
    store = database._store

    def answered(operation: str, _: bytes) -> None:
        if operation == slow:
            time.sleep(0.3)

    if slow == "BIND":
        proxy.cut()
    proxy.answered = answered
    with pytest.raises(errors.DeadlineExceeded):
        store.get_user("alice", store.deadline().within(0.1))
    assert database.get_user(user_name="alice").name == "alice"
    assert "left alone" not in caplog.text

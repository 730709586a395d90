"""One database in many threads, one directory in many processes, and forks between them."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from proxy import Proxy

from ldapdb import LDAPDatabase, errors
from support import Another, Directory, Private

pytestmark = [
    pytest.mark.slow,
    # Python 3.12 and later warn of what these tests show to be sound.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
of_openldap = pytest.mark.live(
    "openldap", reason="what is shared is on this side; any server will do"
)

IMAGES = [f"simphony/shared:{number}" for number in range(6)]


@pytest.fixture
def proxy(directory: Directory) -> Iterator[Proxy]:
    address = urlsplit(directory.server.uri)
    proxy = Proxy(str(address.hostname), address.port or 389)
    yield proxy
    proxy.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --- threads


def work(database: Any, number: int) -> None:
    """Do this and that, and compare with what this thread knows to be so."""
    chance = random.Random(number)  # the same work in each run
    name = f"user{number}"
    mine = database.get_user(user_name=name)
    assert mine.name == name
    held: set[str] = set()
    for _ in range(12):
        image, somebody = chance.choice(IMAGES), f"user{chance.randrange(32)}"
        what = chance.randrange(5)
        if what == 0:
            database.grant_access(image, name, True, False, None)
            held.add(image)
        elif what == 1:
            database.revoke_access(image, name, True, False, None)
            held.discard(image)
        elif what == 2:
            theirs = database.get_user(user_name=somebody)
            assert theirs.name == somebody
            assert database.get_user(id=theirs.id) == theirs
        elif what == 3:
            assert [each.image for each in database.list_applications()] == IMAGES
        told = database.get_accounting_for_user(mine)
        assert {each.application.image for each in told} == held
        assert {each.user.name for each in told} <= {name}


@of_openldap
def test_32_threads_share_8_connections_and_leave_nothing(
    directory: Directory, proxy: Proxy
) -> None:
    """Each gets its own answers, and sees its own changes at once."""
    for number in range(32):
        directory.person(f"user{number}")
    for image in IMAGES:
        directory.application(image)
    threads, before = threading.active_count(), descriptors()
    with LDAPDatabase(
        **directory.database_kwargs(uri=proxy.uri, operation_timeout_seconds=60)
    ) as database:
        with ThreadPoolExecutor(32) as pool:
            for done in [pool.submit(work, database, number) for number in range(32)]:
                done.result()
        assert 4 < proxy.most <= 8
        assert descriptors() > before
    settle(lambda: proxy.connections == 0)
    settle(lambda: threading.active_count() <= threads)
    settle(lambda: descriptors() <= before)


def settle(is_so: Callable[[], bool]) -> None:
    """Wait until something is so: the proxy's threads and sockets end a moment later."""
    end = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@of_openldap
def test_a_closed_database_still_answers_and_keeps_no_connection(
    directory: Directory, proxy: Proxy
) -> None:
    """A thread of the host may be in a call when another one closes it."""
    directory.person("alice")
    database = directory.open(uri=proxy.uri, cache_ttl_seconds=0)
    database.close()
    settle(lambda: proxy.connections == 0)
    assert database.get_user(user_name="alice").name == "alice"
    settle(lambda: proxy.connections == 0)
    database.close()


# --- processes

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["ldapdb", "pytest"])
PROCESSES = 8


def create_and_grant(kwargs: dict[str, Any], number: int, barrier: Any, out: Any) -> None:
    """Create what the others create, and grant it to two users of its own."""
    created, error = 0, ""
    try:
        with LDAPDatabase(**kwargs) as database:
            for image in IMAGES[:2]:
                barrier.wait(60)
                try:
                    database.create_application(image)
                    created += 1
                except errors.Exists:
                    pass
                for user in (f"user{number}", f"user{number + PROCESSES}"):
                    database.grant_access(image, user, True, False, None)
    except BaseException as caught:
        barrier.abort()
        error = repr(caught)
    out.put((created, error))


@pytest.mark.live("openldap", "389ds", "ad", reason="written alike with and without our schema")
def test_8_processes_create_and_grant_the_same_and_nothing_is_lost(directory: Directory) -> None:
    users = [f"user{number}" for number in range(2 * PROCESSES)]
    for user in users:
        directory.person(user)
    barrier, out = _FORKS.Barrier(PROCESSES), _FORKS.Queue()
    kwargs = directory.database_kwargs(operation_timeout_seconds=60)
    processes = [
        _FORKS.Process(target=create_and_grant, args=(kwargs, number, barrier, out))
        for number in range(PROCESSES)
    ]
    for each in processes:
        each.start()
    results = [out.get(timeout=120) for _ in processes]
    for each in processes:
        each.join(30)
    assert [error for _, error in results if error] == []
    assert sum(created for created, _ in results) == 2
    database = directory.open()
    assert [each.image for each in database.list_applications()] == IMAGES[:2]
    for user in users:
        held = database.get_accounting_for_user(database.get_user(user_name=user))
        assert sorted(each.application.image for each in held) == IMAGES[:2]


# --- forks


def in_child(act: Callable[[], None]) -> int:
    """Do something in a forked child; return its exit code."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(20)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@of_openldap
def test_a_fork_while_threads_are_busy_disturbs_neither_side(
    directory: Directory, proxy: Proxy
) -> None:
    """The child has connections of its own, which it may close; the parent's go on."""
    directory.person("alice")
    database = directory.open(uri=proxy.uri, cache_ttl_seconds=0, operation_timeout_seconds=20)
    over = threading.Event()

    def ask() -> int:
        asked = 0
        while not over.is_set():
            assert database.get_user(user_name="alice").name == "alice"
            assert [each.name for each in database.list_users()] == ["alice"]
            asked += 1
        return asked

    def in_turn() -> None:
        for _ in range(3):
            assert database.get_user(user_name="alice").name == "alice"
        database.close()

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(8)]
        time.sleep(0.2)
        try:
            codes = [in_child(in_turn) for _ in range(4)]
        finally:
            over.set()
        assert min(each.result() for each in asking) > 0
    assert codes == [0] * 4
    with proxy.operations() as seen:
        assert database.get_user(user_name="alice").name == "alice"
    assert seen == ["SRCH"]  # on a connection from before
    settle(lambda: proxy.connections <= 8)


@of_openldap
def test_a_child_that_ends_leaves_its_parents_tls_open(
    another_directory: Another, tmp_path: Path
) -> None:
    """It sends no closing alert on what both have."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    issued.private_key_pem.write_to_path(tmp_path / "server.key")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with another_directory(
        certificate=tmp_path / "server.pem", key=tmp_path / "server.key"
    ) as secured:
        secured.person("alice")
        check_children_of(secured, tmp_path / "ca.pem")


def check_children_of(secured: Private, ca_file: Path) -> None:
    database = secured.open(uri=secured.server.tls_uri, ca_file=ca_file, cache_ttl_seconds=0)
    assert database.get_user(user_name="alice").name == "alice"

    def ask() -> None:
        assert database.get_user(user_name="alice").name == "alice"

    def ask_and_close() -> None:
        ask()
        database.close()

    for act in (lambda: None, database.close, ask, ask_and_close):
        assert in_child(act) == 0
        with secured.logged() as seen:
            assert database.get_user(user_name="alice").name == "alice"
        assert seen == ["SRCH"], "the parent had to connect again"


# --- interrupts


@of_openldap
def test_interrupts_cost_no_connection(
    directory: Directory, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any number of them, all connections can be used, and answers are right."""
    alice = directory.person("alice")
    directory.application(IMAGES[0])
    directory.granted("one", images=IMAGES[:1], members=[alice])
    database = directory.open(uri=proxy.uri, cache_ttl_seconds=0, operation_timeout_seconds=5)
    monkeypatch.setattr("sys.unraisablehook", lambda _: None)  # some come while garbage goes
    armed = caught = 0

    def interrupt(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = 0
            raise KeyboardInterrupt

    def ask() -> list[str]:
        user = database.get_user(user_name="alice")
        return [each.application.image for each in database.get_accounting_for_user(user)]

    before = signal.signal(signal.SIGALRM, interrupt)
    chance, end = random.Random(1), time.monotonic() + 2
    try:
        while time.monotonic() < end or caught < 50:
            try:
                armed = 1
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, 0.003))
                ask()
            except KeyboardInterrupt:
                caught += 1
            armed = 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(ask) for _ in range(64)]
        assert all(each.result() == IMAGES[:1] for each in answers)
    assert len(database._store._directory._pool._places._taken) <= 8
    assert proxy.most <= 8 + 1  # one that was interrupted may still be closing

"""Two processes that do the same thing, or its opposite, at the same time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from proxy import Proxy

from ldapdb import LDAPDatabase, errors
from support import Directory

pytestmark = [pytest.mark.live("openldap", "389ds", "ad", stock=True), pytest.mark.slow]

# As many as each server does in about a quarter of a minute.
ROUNDS = {"openldap": 1000, "389ds": 250, "ad": 150}
NAMES = ("alice", "bob")

Race = Callable[[LDAPDatabase, str, int, Any], int]


def run(race: Race, kwargs: dict[str, Any], name: str, rounds: int, barrier: Any, out: Any) -> None:
    """Run a race in step with the other process."""
    try:
        with LDAPDatabase(**kwargs) as database:
            out.put((race(database, name, rounds, barrier), ""))
    except BaseException as error:
        barrier.abort()
        out.put((0, repr(error)))
        raise


def race_of_two(directory: Directory, race: Race, rounds: int) -> list[int]:
    """Run a race in two processes, and return what each of them counted."""
    context = multiprocessing.get_context("spawn")
    barrier, out = context.Barrier(2), context.Queue()
    kwargs = directory.database_kwargs()
    racers = [
        context.Process(target=run, args=(race, kwargs, name, rounds, barrier, out))
        for name in NAMES
    ]
    for racer in racers:
        racer.start()
    results = [out.get(timeout=300) for _ in racers]
    for racer in racers:
        racer.join(30)
    assert [error for _, error in results if error] == []
    return [counted for counted, _ in results]


def create_and_grant(database: LDAPDatabase, name: str, rounds: int, barrier: Any) -> int:
    created = 0
    for number in range(rounds):
        image = f"simphony/race:{number}"
        barrier.wait(60)
        try:
            database.create_application(image)
            created += 1
        except errors.Exists:
            pass
        barrier.wait(60)
        database.grant_access(image, name, True, False, None)
    return created


def test_two_processes_create_one_application_and_lose_no_member(directory: Directory) -> None:
    rounds = ROUNDS[directory.vendor] // (5 if directory.stock else 1)
    for name in NAMES:
        directory.person(name)
    assert sum(race_of_two(directory, create_and_grant, rounds)) == rounds  # each by one of them
    database = directory.open(operation_timeout_seconds=60)
    images = {f"simphony/race:{number}" for number in range(rounds)}
    listed = [each.image for each in database.list_applications()]
    assert sorted(listed) == sorted(images)
    for name in NAMES:
        accountings = database.get_accounting_for_user(database.get_user(user_name=name))
        assert {each.application.image for each in accountings} == images
        assert len(accountings) == rounds


def remove_own(database: LDAPDatabase, name: str, rounds: int, barrier: Any) -> int:
    for number in range(rounds):
        barrier.wait(60)
        database.remove_application(app_name=f"simphony/{name}:{number}")
    return rounds


def test_two_processes_remove_two_images_of_one_grant(directory: Directory) -> None:
    """What is left of it grants nothing, however they come in each other's way."""
    rounds = 30
    alice = directory.person("alice")
    images = [[f"simphony/{name}:{number}" for name in NAMES] for number in range(rounds)]
    for number, both in enumerate(images):
        for image in both:
            directory.application(image)
        directory.granted(f"bundle{number}", images=both, members=[alice])
    race_of_two(directory, remove_own, rounds)
    database = directory.open()
    assert database.list_applications() == []
    for both in images:
        for image in both:
            database.create_application(image)
    held = database.get_accounting_for_user(database.get_user(user_name="alice"))
    assert [each.application.image for each in held] == []


# --- revocations, with another writer between two of their requests

IMAGE, OTHER_IMAGE = "simphony/race:a", "simphony/race:b"
POLICY: Any = (True, False, None)


@pytest.fixture
def proxy(directory: Directory) -> Iterator[Proxy]:
    address = urlsplit(directory.server.uri)
    proxy = Proxy(str(address.hostname), address.port or 389)
    yield proxy
    proxy.close()


class AtSearch:
    """Lets things happen before some of the searches that pass, by their numbers from 1."""

    def __init__(self, acts: Mapping[int, Callable[[], object]]) -> None:
        self._acts = acts
        self._count = 0

    def __call__(self, operation: str) -> None:
        if operation == "SRCH":
            self._count += 1
            self._acts.get(self._count, lambda: None)()


def images_of(database: LDAPDatabase, name: str) -> set[str]:
    user = database.get_user(user_name=name)
    return {each.application.image for each in database.get_accounting_for_user(user)}


def test_another_writer_is_no_group(directory: Directory, proxy: Proxy) -> None:
    """A grant that is made and revoked between any two searches of a revocation is not held."""
    alice = directory.person("alice")
    directory.application(IMAGE)
    other, database = directory.open(cache_ttl_seconds=0), directory.open(uri=proxy.uri)

    def grant() -> object:
        return other.grant_access(IMAGE, "alice", *POLICY)

    def revoke() -> object:
        return other.revoke_access(IMAGE, "alice", *POLICY)

    grant()
    revoke()
    with proxy.operations() as seen:
        proxy.asked = AtSearch({4: grant})
        database.revoke_access(IMAGE, "alice", *POLICY)
    searches = seen.count("SRCH")
    assert searches > 4
    assert images_of(other, "alice") == set()
    for number in range(4, searches):
        proxy.asked = AtSearch({number: grant, number + 1: revoke})
        database.revoke_access(IMAGE, "alice", *POLICY)
        proxy.behave()
        assert images_of(other, "alice") == set()
    staff = directory.group("staff", alice)
    directory.granted("staff", images=[IMAGE], members=[staff], home=True)
    with pytest.raises(errors.HeldThroughGroup, match=r"(?i)cn=staff"):
        database.revoke_access(IMAGE, "alice", *POLICY)


@pytest.mark.parametrize("done", [False, True])
def test_two_revocations_restore_nothing(directory: Directory, proxy: Proxy, done: bool) -> None:
    """Two images of one grant are revoked at once: neither revocation keeps the other's image."""
    alice, bob = directory.person("alice"), directory.person("bob")
    for image in (IMAGE, OTHER_IMAGE):
        directory.application(image)
    directory.granted("bundle", images=[IMAGE, OTHER_IMAGE], members=[alice, bob], home=True)
    other, database = directory.open(cache_ttl_seconds=0), directory.open(uri=proxy.uri)
    fault = proxy.at_write(1, lambda: other.revoke_access(IMAGE, "alice", *POLICY), done=done)
    database.revoke_access(OTHER_IMAGE, "alice", *POLICY)
    proxy.behave()
    assert fault.reached
    assert images_of(other, "alice") == set()
    assert images_of(other, "bob") == {IMAGE, OTHER_IMAGE}


@pytest.mark.parametrize("write", [1, 2, 3])
@pytest.mark.parametrize("done", [False, True])
def test_an_image_that_is_revoked_twice_takes_no_other_along(
    directory: Directory, proxy: Proxy, write: int, done: bool
) -> None:
    """Whoever comes second leaves what both have kept, whichever of them has written it."""
    alice = directory.person("alice")
    kept = {OTHER_IMAGE, "simphony/third:1"}
    for image in (IMAGE, *kept):
        directory.application(image)
    directory.granted("bundle", images=[IMAGE, *sorted(kept)], members=[alice], home=True)
    other, database = directory.open(cache_ttl_seconds=0), directory.open(uri=proxy.uri)
    fault = proxy.at_write(write, lambda: other.revoke_access(IMAGE, "alice", *POLICY), done=done)
    database.revoke_access(IMAGE, "alice", *POLICY)
    proxy.behave()
    assert fault.reached
    assert images_of(other, "alice") == kept

"""Two processes that do the same thing at the same time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest

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

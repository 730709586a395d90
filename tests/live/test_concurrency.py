"""Two processes that do the same thing at the same time."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

from ldapdb import LDAPDatabase, errors
from support import Directory

pytestmark = [
    pytest.mark.live(
        "openldap", "389ds", "ad", reason="what is raced for is the entry's name, in both ways"
    ),
    pytest.mark.slow,
]

# As many as each server does in about a quarter of a minute.
ROUNDS = {"openldap": 1000, "389ds": 300, "ad": 100}


def race(kwargs: dict[str, Any], user: str, rounds: int, barrier: Any, outcome: Any) -> None:
    """Create an application and grant it, in step with the other process."""
    created = 0
    try:
        with LDAPDatabase(**kwargs) as database:
            for number in range(rounds):
                image = f"simphony/race:{number}"
                barrier.wait(60)
                try:
                    database.create_application(image)
                    created += 1
                except errors.Exists:
                    pass
                barrier.wait(60)
                database.grant_access(image, user, True, False, None)
        outcome.put((user, created, ""))
    except BaseException as error:
        barrier.abort()
        outcome.put((user, created, repr(error)))
        raise


def test_two_processes_create_one_application_and_lose_no_member(directory: Directory) -> None:
    rounds = ROUNDS[directory.vendor]
    names = ("alice", "bob")
    for name in names:
        directory.person(name)
    context = multiprocessing.get_context("spawn")
    barrier, outcome = context.Barrier(2), context.Queue()
    racers = [
        context.Process(
            target=race, args=(directory.database_kwargs(), name, rounds, barrier, outcome)
        )
        for name in names
    ]
    for racer in racers:
        racer.start()
    results = [outcome.get(timeout=300) for _ in racers]
    for racer in racers:
        racer.join(30)
    assert [error for _, _, error in results if error] == []
    assert sum(created for _, created, _ in results) == rounds  # each by exactly one of them
    database = directory.open(operation_timeout_seconds=60)
    images = {f"simphony/race:{number}" for number in range(rounds)}
    listed = [each.image for each in database.list_applications()]
    assert sorted(listed) == sorted(images)
    for name in names:
        accountings = database.get_accounting_for_user(database.get_user(user_name=name))
        assert {each.application.image for each in accountings} == images
        assert len(accountings) == rounds

"""What reaches the server, counted in the server's own log."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support import Directory

pytestmark = pytest.mark.live("openldap")


def test_uncached_get_user_is_one_search(sample: Directory) -> None:
    database = sample.open()
    with sample.operations() as seen:
        assert database.get_user(user_name="alice").name == "alice"
    assert seen == ["SRCH"]


@pytest.mark.parametrize("levels", [0, 1, 2, 5])
def test_uncached_accounting_is_two_round_trips_and_one_more_per_level_of_groups(
    directory: Directory, levels: int
) -> None:
    """However many applications and grants there are."""
    alice = member = directory.person("alice")
    for level in range(levels):
        member = directory.group(f"level{level}", member)
        directory.group(f"beside{level}", member, alice)
    ldif = []
    for number in range(60):
        ldif.append(
            f"dn: cn=app{number},ou=applications,{directory.base_dn}\n"
            "objectClass: remoteAppGroup\nobjectClass: remoteAppApplication\n"
            f"cn: app{number}\nremoteAppImage: simphony/app:{number}\n"
        )
        ldif.append(
            f"dn: cn=grant{number},ou=grants,{directory.base_dn}\n"
            "objectClass: remoteAppGroup\nobjectClass: remoteAppGrant\n"
            f"cn: grant{number}\nremoteAppImage: simphony/app:{number}\nmember: {member}\n"
        )
    directory.add("\n".join(ldif))
    database = directory.open()
    user = database.get_user(user_name="alice")
    with directory.operations() as seen:
        assert len(database.get_accounting_for_user(user)) == 60
    # Groups beside the chain add one more level than the chain itself has.
    depth = levels + 1 if levels else 0
    assert len(seen) <= 2 + depth, seen


def test_cached_calls_send_nothing(sample: Directory) -> None:
    database = sample.open()

    def ask() -> list[Any]:
        user = database.get_user(user_name="alice")
        by_id = database.get_user(id=user.id)
        return [
            by_id,
            *database.get_accounting_for_user(user),
            *database.list_applications(),
            database.get_user(user_name="nobody"),
        ]

    first = ask()
    with sample.operations() as seen:
        assert ask() == first
    assert seen == []


def test_the_first_answer_takes_few_round_trips(sample: Directory) -> None:
    """Bind, root DSE, base, subschema; then the search itself."""
    with sample.operations() as seen:
        sample.open().get_user(user_name="alice")
    assert seen == ["BIND", "SRCH", "SRCH", "SRCH", "SRCH"]


def test_64_threads_that_ask_for_one_cold_key_cause_one_search(sample: Directory) -> None:
    database = sample.open()
    barrier = threading.Barrier(64)
    answers: list[Any] = []

    def ask() -> None:
        barrier.wait()
        answers.append(database.get_user(user_name="alice"))

    threads = [threading.Thread(target=ask) for _ in range(64)]
    with sample.operations() as seen:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(answers)) == 1
    assert seen.count("SRCH") == 1


def test_own_writes_are_seen_at_once(sample: Directory) -> None:
    database = sample.open()
    carol = database.get_user(user_name="carol")
    assert database.get_accounting_for_user(carol) == []
    image = "simphony/tutorial:2.0"
    mapping_id = database.grant_access(image, "carol", False, False, None)
    assert len(database.get_accounting_for_user(carol)) == 1
    database.revoke_access_by_id(mapping_id)
    assert database.get_accounting_for_user(carol) == []
    database.grant_access(image, "carol", False, False, None)
    database.remove_application(app_name=image)
    assert database.get_accounting_for_user(carol) == []
    assert image not in {each.image for each in database.list_applications()}

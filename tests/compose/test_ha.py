"""The profile ``ha``: two providers and a consumer, cut off from each other and joined again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from compose.stack import Stack
from ldapdb import LDAPDatabase
from ldapdb.errors import LDAPDBError

pytestmark = pytest.mark.compose("ha")

PORTS = {
    "provider1": "PROVIDER1_PORT",
    "provider2": "PROVIDER2_PORT",
    "consumer": "CONSUMER_PORT",
}
IMAGE = "simphony/cut-off:1.0"
IN_STEP_SECONDS = 30.0
PEOPLE = ("alice", "bob", "carol", "ines")


@pytest.fixture(scope="module")
def stack(site: Path, composer_of: dict[str, list[str]]) -> Iterator[Stack]:
    with Stack(site, composer_of["v1"], "ha", "client") as started:
        yield started


@pytest.fixture(scope="module")
def at(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Each server, as ldapdb sees it."""
    ca_file = stack.save_ca(tmp_path_factory.mktemp("ca") / "ca.pem")
    with ExitStack() as opened:
        yield {
            server: opened.enter_context(LDAPDatabase(**stack.database_kwargs(port, ca_file)))
            for server, port in PORTS.items()
        }


def holders(database: Any, image: str) -> set[str]:
    """Who may start an image, as one server has it."""
    users = [database.get_user(user_name=name) for name in PEOPLE]
    found = {user.name: database.get_accounting_for_user(user) for user in users}
    return {
        name
        for name, each in found.items()
        if image in [accounting.application.image for accounting in each]
    }


def wait_until(holds: Callable[[], bool]) -> bool:
    """Wait until something holds; False if it does not in time."""
    end = time.monotonic() + IN_STEP_SECONDS
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def everywhere(at: dict[str, Any], image: str, people: set[str]) -> bool:
    return wait_until(lambda: all(holders(each, image) == people for each in at.values()))


def test_a_consumer_refuses_writes_and_shows_what_a_provider_takes(at: dict[str, Any]) -> None:
    image = "simphony/replicated:1.0"
    with pytest.raises(LDAPDBError):
        at["consumer"].create_application(image)
    at["provider2"].create_application(image)
    at["provider2"].grant_access(image, "alice", True, False, None)
    assert everywhere(at, image, {"alice"})


def test_the_client_reads_at_the_consumer_and_writes_at_a_provider(
    stack: Stack, at: dict[str, Any]
) -> None:
    image = "simphony/from-the-client:1.0"
    for command in (["create", image, "--no-verify"], ["grant", image, "bob"]):
        status, text = stack.run("client", "ldapdb", "app", *command)
        assert status == 0, text
    assert everywhere(at, image, {"bob"})


def test_ldapdb_finds_nothing_wrong_with_the_cluster(stack: Stack) -> None:
    """Each of the three servers is looked at, and that they have the same."""
    status, text = stack.run("client", "ldapdb", "check")
    assert status == 0, text
    assert all(server in text for server in PORTS)


def test_grants_on_both_sides_of_a_cut_are_all_there_when_it_is_mended(
    stack: Stack, at: dict[str, Any]
) -> None:
    """One grant, one entry, gets members at both providers while neither hears the other."""
    at["provider1"].create_application(IMAGE)
    at["provider1"].grant_access(IMAGE, "alice", True, False, None)
    assert everywhere(at, IMAGE, {"alice"})
    network = stack.engine.networks.get(f"{stack.project}_replication")
    cut_off = stack.container("provider2")
    network.disconnect(cut_off)
    try:
        at["provider1"].grant_access(IMAGE, "bob", True, False, None)
        at["provider2"].grant_access(IMAGE, "carol", True, False, None)
        at["provider2"].create_application("simphony/made-while-cut-off:1.0")
        at["provider1"].grant_access(IMAGE, "ines", True, False, None)
        time.sleep(2)  # long enough that a cut which does not cut would show
        assert holders(at["provider1"], IMAGE) == {"alice", "bob", "ines"}
        assert holders(at["provider2"], IMAGE) == {"alice", "carol"}
    finally:
        network.connect(cut_off, aliases=["provider2.replication"])
    assert everywhere(at, IMAGE, set(PEOPLE))
    made = "simphony/made-while-cut-off:1.0"
    assert wait_until(
        lambda: all(made in [app.image for app in each.list_applications()] for each in at.values())
    )


def test_a_revocation_while_cut_off_holds_everywhere(stack: Stack, at: dict[str, Any]) -> None:
    """Nobody gets back what was taken, because the other side had it longer."""
    network = stack.engine.networks.get(f"{stack.project}_replication")
    image = "simphony/taken:1.0"
    at["provider1"].create_application(image)
    for name in ("alice", "bob"):
        at["provider1"].grant_access(image, name, True, False, None)
    assert everywhere(at, image, {"alice", "bob"})
    cut_off = stack.container("provider2")
    network.disconnect(cut_off)
    try:
        at["provider1"].revoke_access(image, "alice", True, False, None)
        at["provider2"].grant_access(image, "carol", True, False, None)
    finally:
        network.connect(cut_off, aliases=["provider2.replication"])
    assert everywhere(at, image, {"bob", "carol"})


def test_grants_made_at_once_at_both_providers_are_all_kept(at: dict[str, Any]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    image = "simphony/at-once:1.0"
    at["provider1"].create_application(image)
    assert wait_until(lambda: image in [each.image for each in at["provider2"].list_applications()])
    at["provider1"].grant_access(image, "alice", True, False, None)
    assert everywhere(at, image, {"alice"})
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(at[server].grant_access, image, name, True, False, None)
            for server, name in (("provider1", "bob"), ("provider2", "carol"))
        ]
    assert all(len(job.result()) == 32 for job in jobs)
    assert everywhere(at, image, {"alice", "bob", "carol"})


def test_a_provider_that_was_killed_gets_what_it_missed(stack: Stack, at: dict[str, Any]) -> None:
    """Writes go to the other one meanwhile, and the client needs no change for that."""
    image = "simphony/while-killed:1.0"
    stack.container("provider1").kill()
    for command in (["create", image, "--no-verify"], ["grant", image, "ines"]):
        status, text = stack.run("client", "ldapdb", "app", *command)
        assert status == 0, text
    stack.container("provider1").start()
    stack.wait_healthy()
    assert everywhere(at, image, {"ines"})

"""The profile ``ha``: a server that has lost its volume, and a copy that is put back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from compose.replicated import PORTS, everywhere, in_step, opened
from compose.stack import Stack
from support.waiting import eventually

pytestmark = pytest.mark.compose("ha")


@pytest.fixture(scope="module")
def at(cluster: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Each server, as ldapdb sees it."""
    with opened(cluster, tmp_path_factory.mktemp("ca")) as databases:
        yield databases


def images(database: Any) -> set[str]:
    return {each.image for each in database.list_applications()}


@contextmanager
def registering(database: Any, name: str) -> Iterator[set[str]]:
    """Register one image after the other meanwhile; fill the set with them."""
    made: set[str] = set()
    ended = threading.Event()

    def register() -> None:
        while not ended.wait(0.05):
            image = f"simphony/{name}:{len(made)}"
            database.create_application(image)
            made.add(image)

    thread = threading.Thread(target=register)
    thread.start()
    try:
        yield made
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    ("lost", "other"),
    [("provider1", "provider2"), ("provider2", "provider1"), ("consumer", "provider1")],
)
def test_a_server_that_lost_its_volume_copies_from_another(
    cluster: Stack, at: dict[str, Any], lost: str, other: str
) -> None:
    """Nothing goes from the others, nor what they take meanwhile; and it takes part again."""
    image = f"simphony/kept-without-{lost}:1.0"
    at[other].create_application(image)
    at[other].grant_access(image, "alice", True, False, None)
    assert everywhere(at, image, {"alice"})
    before = images(at[other])
    cluster.lose(lost)
    at[other].grant_access(image, "bob", True, False, None)
    with registering(at[other], f"while-{lost}-is-made") as made:
        cluster.compose("up", "--detach", "--no-build")
        cluster.wait_healthy()
    assert made
    assert in_step(at, before | made)
    assert everywhere(at, image, {"alice", "bob"})
    writes = lost if lost != "consumer" else other
    at[writes].grant_access(image, "carol", True, False, None)
    at[other].revoke_access(image, "alice", True, False, None)
    assert everywhere(at, image, {"bob", "carol"})
    ids = {each.get_user(user_name="alice").id for each in at.values()}
    assert len(ids) == 1


def test_a_lost_provider_waits_for_another_rather_than_begin_anew(
    cluster: Stack, at: dict[str, Any]
) -> None:
    """With sample data of its own it would be newer than the one that is down."""
    before = images(at["provider2"])
    cluster.lose("provider1")
    cluster.container("provider2").stop(timeout=2)
    cluster.compose("up", "--detach", "--no-build", "provider1")
    container = cluster.container("provider1")
    assert eventually(lambda: b"waiting for a server to copy from" in container.logs(), 30)
    assert b"filling" not in container.logs()
    cluster.container("provider2").start()
    cluster.wait_healthy()
    assert in_step(at, before)


def test_both_providers_come_back_from_the_consumer(
    cluster: Stack, at: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = "simphony/only-at-the-consumer:1.0"
    at["provider1"].create_application(image)
    at["provider1"].grant_access(image, "bob", True, False, None)
    assert everywhere(at, image, {"bob"})
    before = images(at["consumer"])
    for lost in ("provider1", "provider2"):
        cluster.lose(lost)
    monkeypatch.setitem(cluster.environment, "PROVIDER1_JOINS", "consumer.replication")
    cluster.compose("up", "--detach", "--no-build")
    cluster.wait_healthy()
    assert in_step(at, before)
    at["provider1"].grant_access(image, "alice", True, False, None)
    at["provider2"].grant_access(image, "ines", True, False, None)
    assert everywhere(at, image, {"alice", "bob", "ines"})


def test_a_copy_is_put_back_as_the_page_says(cluster: Stack, at: dict[str, Any]) -> None:
    """Grants that came after the copy are gone at all three, and new ones reach all three."""
    image = "simphony/in-the-copy:1.0"
    at["provider1"].create_application(image)
    at["provider1"].grant_access(image, "alice", True, False, None)
    copy = cluster.copy("provider1")
    before = images(at["provider1"])
    at["provider1"].create_application("simphony/after-the-copy:1.0")
    at["provider1"].grant_access(image, "bob", True, False, None)
    assert everywhere(at, image, {"alice", "bob"})
    cluster.compose("stop", "--timeout", "5", *PORTS)
    once = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "restore")
    with pytest.raises(RuntimeError, match="copy is empty"):
        cluster.compose(*once, "provider1")
    cluster.compose(*once, "provider1", text=copy)
    for lost in ("provider2", "consumer"):
        cluster.lose(lost)
    cluster.compose("up", "--detach", "--no-build")
    cluster.wait_healthy()
    assert in_step(at, before)
    assert everywhere(at, image, {"alice"})
    at["provider2"].grant_access(image, "ines", True, False, None)
    assert everywhere(at, image, {"alice", "ines"})

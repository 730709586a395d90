"""The profile ``ha``: two providers and a consumer, cut off from each other and joined again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from compose.replicated import COMPANY, PORTS, everywhere, holders, opened
from compose.stack import Stack
from ldapdb.errors import LDAPDBError
from support.waiting import eventually

pytestmark = pytest.mark.compose("ha")

IMAGE = "simphony/cut-off:1.0"


@pytest.fixture(scope="module")
def stack(cluster: Stack) -> Stack:
    return cluster


@pytest.fixture(scope="module")
def at(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Each server, as ldapdb sees it."""
    with opened(stack, tmp_path_factory.mktemp("ca")) as databases:
        yield databases


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
    assert everywhere(at, IMAGE, {"alice", "bob", "carol", "ines"})
    made = "simphony/made-while-cut-off:1.0"
    assert eventually(
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
    assert eventually(lambda: image in [each.image for each in at["provider2"].list_applications()])
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


def test_a_revocation_holds_for_readers_while_the_first_provider_is_down(
    stack: Stack, at: dict[str, Any]
) -> None:
    """The consumer, which the client asks first, takes what is done at the second meanwhile."""
    image = "simphony/revoked-meanwhile:1.0"
    at["provider1"].create_application(image)
    at["provider1"].grant_access(image, "alice", True, False, None)
    assert everywhere(at, image, {"alice"})
    stack.container("provider1").kill()
    try:
        status, text = stack.run("client", "ldapdb", "app", "revoke", image, "alice", "--all")
        assert status == 0, text
        assert eventually(lambda: holders(at["consumer"], image) == set())
        assert image not in stack.shown("alice")
    finally:
        stack.container("provider1").start()
        stack.wait_healthy()
    assert everywhere(at, image, set())


_SEARCH = """printf %s "$1" >/tmp/cert.pem && printf %s "$2" >/tmp/key.pem
export LDAPTLS_CACERT=/secrets/ca.pem LDAPTLS_CERT=/tmp/cert.pem LDAPTLS_KEY=/tmp/key.pem
ldapwhoami -Q -Y EXTERNAL -H ldaps://provider1.replication
ldapsearch -Q -Y EXTERNAL -H ldaps://provider1.replication -LLL -b dc=example,dc=org uid
"""


def test_a_certificate_of_the_companys_authority_is_no_account(stack: Stack) -> None:
    """Only the servers' own names read; by the rules alone everybody would who has logged in."""
    made = COMPANY.issue_cert("somebody.example.org", common_name="stranger")
    pems = (made.cert_chain_pems[0], made.private_key_pem)
    texts = [each.bytes().decode() for each in pems]
    _, said = stack.run("provider2", "sh", "-c", _SEARCH, "sh", *texts)
    assert "dn:cn=stranger," in said
    assert "No such object" in said
    assert "uid" not in said

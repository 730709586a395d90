"""Two providers and a consumer: the cluster that tests of failover stand on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from ldapdb import LDAPDatabase, errors
from support.cluster import Cluster
from support.servers import OpenLDAP

pytestmark = pytest.mark.live("openldap", reason="delta-syncrepl is OpenLDAP's")

IMAGE = "simphony/mayavi:0.5"
POLICY = (IMAGE, False, False, None)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        for name in ("alice", "bob"):
            running.add_person(name)
        running.wait_in_step()
        yield running


def at(cluster: Cluster, number: int) -> LDAPDatabase:
    """Open a database at one server alone."""
    uri = cluster.servers[number].uri
    return LDAPDatabase(**cluster.database_kwargs(uri=uri, write_uri=uri, cache_ttl_seconds=0))


def held(database: LDAPDatabase, name: str) -> list[str]:
    user = database.get_user(user_name=name)
    return [each.application.image for each in database.get_accounting_for_user(user)]


def grant(database: LDAPDatabase, name: str) -> None:
    database.grant_access(IMAGE, name, False, False, None)


@pytest.mark.parametrize(("writer", "reader"), [(0, 1), (1, 0), (0, 2), (1, 2)])
@pytest.mark.lengthy
def test_what_one_provider_takes_all_have(cluster: Cluster, writer: int, reader: int) -> None:
    image = f"from/{writer}:to-{reader}"
    with at(cluster, writer) as there, at(cluster, reader) as here:
        there.create_application(image)
        cluster.wait_in_step()
        assert image in [each.image for each in here.list_applications()]
        there.remove_application(app_name=image)
        cluster.wait_in_step()
        assert image not in [each.image for each in here.list_applications()]


@pytest.mark.lengthy
def test_unlogged_change_leaves_servers_in_step(cluster: Cluster) -> None:
    """A provider killed between a change and the log of it is behind no other for ever."""
    cluster.kill(1)
    second = cluster.providers[1]
    second.add_offline("cn=unlogged", {"objectClass": ["applicationProcess"], "cn": ["unlogged"]})
    cluster.restart(1)
    cluster.wait_in_step(30)
    assert second.context() == cluster.consumer.context()
    with second.connected() as connection:
        connection.delete(f"cn=unlogged,{second.base_dn}")
    cluster.wait_in_step(30)


def test_server_that_ended_is_named(cluster: Cluster) -> None:
    """At once, and not as one that is slow."""
    consumer = cluster.consumer
    consumer.signal(signal.SIGKILL)
    assert consumer._process is not None
    consumer._process.wait()
    try:
        with pytest.raises(RuntimeError, match=rf"{consumer.uri} ended by itself: exit code -9"):
            cluster.wait_in_step()
    finally:
        cluster.restart(2)


def test_of_two_members_added_at_once_at_two_providers_both_stay(cluster: Cluster) -> None:
    """As they would not with plain syncrepl, which copies whole entries."""
    with at(cluster, 0) as first, at(cluster, 1) as second:
        first.create_application(IMAGE)
        grant(first, "alice")
        cluster.wait_in_step()
        for _ in range(5):
            for name in ("alice", "bob"):
                first.revoke_access(IMAGE, name, False, False, None)
            cluster.wait_in_step()
            together = threading.Thread(target=grant, args=(second, "bob"))
            together.start()
            grant(first, "alice")
            together.join()
            cluster.wait_in_step()
            for number in range(3):
                with at(cluster, number) as database:
                    assert held(database, "alice") == held(database, "bob") == [IMAGE]
        contents = [server.contents() for server in cluster.servers]
        assert contents[0] == contents[1] == contents[2]


@pytest.mark.lengthy
def test_a_server_whose_port_is_taken_does_not_pass_for_started() -> None:
    """Or a provider would be the consumer, which has its port and its password."""
    with OpenLDAP() as first:
        second = OpenLDAP()
        second.port = first.port
        with pytest.raises(errors.LDAPDBError, match="ended at its start"):
            second.start()


def test_the_consumer_takes_no_change(cluster: Cluster) -> None:
    with at(cluster, 2) as database, pytest.raises(errors.LDAPDBError):
        database.create_application("not/here")


@pytest.mark.lengthy
def test_a_server_that_was_killed_or_frozen_catches_up(cluster: Cluster) -> None:
    for number in range(3):
        image = f"without/{number}"
        with at(cluster, 1 if number == 0 else 0) as database:
            cluster.kill(number)
            database.create_application(image)
            cluster.restart(number)
            cluster.freeze(number)
            database.create_application(f"{image}-too")
            cluster.thaw(number)
            cluster.wait_in_step()
        with at(cluster, number) as database:
            seen = [each.image for each in database.list_applications()]
            assert {image, f"{image}-too"} <= set(seen)

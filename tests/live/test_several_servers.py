"""Several servers: which is asked, when a failed one is again, and what was written where."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from proxy import Hang, Proxy

from ldapdb import LDAPDatabase, errors
from support import Another, Private
from support.cluster import Cluster
from support.waiting import eventually

pytestmark = pytest.mark.live("openldap", reason="its servers start in a tenth of a second")

IMAGE = "simphony/mayavi:0.5"
POLICY = (False, False, None)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many seconds a call took, and its answer or error."""
    began = time.monotonic()
    try:
        answer: Any = call()
    except errors.LDAPDBError as error:
        answer = error
    return time.monotonic() - began, answer


@dataclass
class Pair:
    """One directory behind two addresses, of which each can fail on its own."""

    first: Proxy
    second: Proxy
    directory: Private

    def open(self, **settings: Any) -> LDAPDatabase:
        given = {
            "uri": f"{self.first.uri} {self.second.uri}",
            "cache_ttl_seconds": 0,
            "cache_negative_ttl_seconds": 0,
            "cache_max_stale_seconds": 0,
            "connect_timeout_seconds": 0.4,
            "operation_timeout_seconds": 1.5,
        }
        database: LDAPDatabase = self.directory.open(**{**given, **settings})
        return database

    def asked(self, call: Callable[[], object]) -> tuple[list[str], list[str]]:
        """Return what reached each of the two while something was called."""
        with self.first.operations() as at_first, self.second.operations() as at_second:
            call()
        return at_first, at_second


@pytest.fixture
def pair(sample: Private) -> Iterator[Pair]:
    address = urlsplit(sample.server.uri)
    assert address.hostname is not None
    with ExitStack() as both:
        first, second = (Proxy(address.hostname, address.port or 389) for _ in range(2))
        both.callback(first.close)
        both.callback(second.close)
        yield Pair(first, second, sample)


def silence(proxy: Proxy) -> None:
    def hang(*_: object) -> None:
        raise Hang

    proxy.asked = hang


def slow(proxy: Proxy) -> None:
    proxy.seconds_a_byte = 0.05


def hang_up(proxy: Proxy) -> None:
    proxy.hangs_up = True
    proxy.cut()


@pytest.mark.parametrize("fail", [silence, slow, hang_up])
@pytest.mark.lengthy
def test_a_failed_server_is_left_alone_and_taken_back(
    pair: Pair, fail: Callable[[Proxy], None]
) -> None:
    """One call pays for the failure, and none for the return of the preferred server."""
    database = pair.open()
    ask = lambda: database.get_user(user_name="alice")  # noqa: E731 -- asked in many places
    assert pair.asked(ask) == (["SRCH"], [])
    fail(pair.first)
    seconds, alice = timed(ask)
    assert alice.name == "alice"
    assert seconds < 1.5
    if fail is slow:  # it is slow, and it answers: every call asks it first and gets on with it
        return
    for _ in range(5):
        seconds, alice = timed(ask)
        assert alice.name == "alice"
        assert seconds < 0.1
    pair.first.behave()
    assert eventually(lambda: pair.asked(ask)[0] == ["SRCH"])
    assert pair.asked(ask) == (["SRCH"], [])


@pytest.mark.slow
def test_while_all_are_down_calls_fail_at_once(pair: Pair) -> None:
    """The host's event loop waits for each of them."""
    database = pair.open()
    database.get_user(user_name="alice")
    silence(pair.first)
    silence(pair.second)
    seconds, error = timed(database.list_users)
    assert isinstance(error, errors.DirectoryUnavailable)
    assert 1 < seconds < 1.8
    time.sleep(1)  # both have been tried again, in the background
    for _ in range(5):
        seconds, error = timed(database.list_users)
        assert isinstance(error, errors.DirectoryUnavailable)
        assert pair.first.uri in str(error)
        assert pair.second.uri in str(error)
        assert "background" in str(error)
        assert seconds < 0.05
    pair.second.behave()
    assert eventually(database.list_users)


def test_whoever_has_no_other_server_waits_for_the_second_try(pair: Pair) -> None:
    """A server that restarts costs a moment, and no error."""
    database = pair.open(uri=pair.first.uri)
    database.get_user(user_name="alice")
    hang_up(pair.first)
    _, error = timed(lambda: database.get_user(user_name="bob"))
    assert isinstance(error, errors.DirectoryUnavailable)
    pair.first.behave()
    seconds, carol = timed(lambda: database.get_user(user_name="carol"))
    assert carol.name == "carol"
    assert seconds < 1


@pytest.mark.lengthy
def test_a_server_that_is_only_slow_is_not_given_up(pair: Pair) -> None:
    """What takes too long for one call may be a long list; the next one is answered at once."""
    database = pair.open(uri=pair.first.uri, operation_timeout_seconds=0.6)
    database.get_user(user_name="alice")
    pair.first.seconds_a_byte = 0.001
    seconds, error = timed(database.list_users)
    assert isinstance(error, errors.DeadlineExceeded)
    assert seconds < 0.9
    pair.first.behave()
    seconds, bob = timed(lambda: database.get_user(user_name="bob"))
    assert bob.name == "bob"
    assert seconds < 0.09  # no wait for a second try
    both = pair.open(uri=f"{pair.first.uri} {pair.second.uri}", operation_timeout_seconds=0.6)
    pair.first.seconds_a_byte = pair.second.seconds_a_byte = 0.001
    _, error = timed(both.list_users)
    assert isinstance(error, errors.DeadlineExceeded)  # more time would help, another try not


def test_an_untrusted_server_is_passed_over(
    pair: Pair, another_directory: Another, tmp_path: Path
) -> None:
    """A certificate that has expired on one of two servers is no outage, and never trusted."""
    issued = trustme.CA().issue_cert("localhost")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    with another_directory(certificate=certificate, key=key) as untrusted:
        tls_uri = untrusted.server.tls_uri
        database = pair.open(uri=f"{tls_uri} {pair.second.uri}")
        assert database.get_user(user_name="alice").name == "alice"
        with pytest.raises(errors.CertificateRefused):
            pair.open(uri=tls_uri)


def test_nothing_is_left_of_the_background_after_close(pair: Pair) -> None:
    database = pair.open()
    hang_up(pair.first)
    database.get_user(user_name="alice")
    assert "ldapdb-failover" in {thread.name for thread in threading.enumerate()}
    database.close()
    assert "ldapdb-failover" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.slow
def test_what_has_expired_is_over_in_an_outage_too(private: Private) -> None:
    """The answer is old, and time goes on."""
    alice = private.person("alice")
    private.application(IMAGE)
    end = datetime.now(timezone.utc) + timedelta(seconds=2)
    private.granted("soon", images=[IMAGE], members=[alice], not_after=f"{end:%Y%m%d%H%M%S}Z")
    database = private.open(cache_ttl_seconds=0.05)
    known = database.get_user(user_name="alice")
    assert len(database.get_accounting_for_user(known)) == 1
    private.server.halt()
    time.sleep(0.1)
    assert len(database.get_accounting_for_user(known)) == 1
    assert database.cache_info()["accountings"].stale == 1
    time.sleep(max(0.0, end.timestamp() - time.time()) + 0.05)
    assert database.get_accounting_for_user(known) == []


@pytest.mark.lengthy
def test_an_old_answer_serves_no_longer_than_it_may(sample: Private) -> None:
    database = sample.open(cache_ttl_seconds=0.05, cache_max_stale_seconds=1)
    alice = database.get_user(user_name="alice")
    before = database.get_accounting_for_user(alice)
    assert before
    sample.server.halt()
    time.sleep(0.1)
    assert database.get_accounting_for_user(alice) == before
    time.sleep(1.1)
    with pytest.raises(errors.DirectoryUnavailable):
        database.get_accounting_for_user(alice)


# --- two providers and a consumer


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        for name in ("alice", "bob"):
            running.add_person(name)
        running.wait_in_step()
        yield running


def held(database: LDAPDatabase, name: str) -> list[str]:
    known = database.get_user(user_name=name)
    return [each.application.image for each in database.get_accounting_for_user(known)]


@pytest.mark.slow
def test_own_writes_are_seen_though_the_consumer_lags(cluster: Cluster) -> None:
    """The provider that the consumer follows is killed, so that it learns of nothing more."""
    with LDAPDatabase(**cluster.database_kwargs(connect_timeout_seconds=1)) as database:
        database.create_application(IMAGE)
        cluster.wait_in_step()
        cluster.kill(0)
        database.grant_access(IMAGE, "alice", *POLICY)
        assert held(database, "alice") == [IMAGE]
        database.create_application("simphony/late:1")
        assert len(database.list_applications()) == 2
        database.revoke_access(IMAGE, "alice", *POLICY)
        assert held(database, "alice") == []
        consumer = {"uri": cluster.consumer.uri, "write_uri": cluster.consumer.uri}
        with LDAPDatabase(**cluster.database_kwargs(**consumer)) as lagging:
            assert len(lagging.list_applications()) == 1  # or the above would say nothing
        cluster.restart(0)
        cluster.wait_in_step()


@pytest.mark.slow
def test_writes_stay_where_the_last_one_was_made(cluster: Cluster) -> None:
    """The preferred provider is back, and has yet to learn what is to be taken away."""
    first, second = cluster.providers
    settings = cluster.database_kwargs(connect_timeout_seconds=1)
    with LDAPDatabase(**settings) as database:
        database.create_application(IMAGE)
        cluster.wait_in_step()
        cluster.kill(0)
        database.grant_access(IMAGE, "alice", *POLICY)
        cluster.freeze(1)  # so that the first one cannot learn of it
        cluster.restart(0)
        assert eventually(lambda: held(database, "bob") == [])
        with pytest.raises(errors.DirectoryUnavailable):  # and no "he does not have it"
            database.revoke_access(IMAGE, "alice", *POLICY)
        cluster.thaw(1)
        assert eventually(lambda: database.revoke_access(IMAGE, "alice", *POLICY) is None)
        assert held(database, "alice") == []
        cluster.wait_in_step()
    for each in (first, second, cluster.consumer):
        alone = {"uri": each.uri, "write_uri": each.uri}
        with LDAPDatabase(**cluster.database_kwargs(**alone)) as database:
            assert held(database, "alice") == []

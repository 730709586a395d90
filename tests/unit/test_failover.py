"""Which server is tried next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ldapdb.failover import Servers

ONE, TWO, THREE = "ldap://one", "ldap://two", "ldap://three"


def test_servers_are_tried_in_order_of_preference() -> None:
    """As long as nothing fails, the order is the setting's."""
    assert Servers([TWO, ONE, THREE]).order(0.0) == [TWO, ONE, THREE]


def test_a_failed_server_goes_to_the_end() -> None:
    """The others are tried before one that has just failed."""
    servers = Servers([ONE, TWO, THREE])
    servers.failed(ONE, 0.0)
    assert servers.order(0.0) == [TWO, THREE, ONE]
    assert servers.order(0.999) == [TWO, THREE, ONE]


def test_the_preferred_server_is_used_again_after_its_cool_down() -> None:
    """Failing over is not for ever."""
    servers = Servers([ONE, TWO])
    servers.failed(ONE, 10.0)
    assert servers.order(11.0) == [ONE, TWO]


def test_cool_downs_double_up_to_half_a_minute() -> None:
    """A server that stays down is asked less and less often, but is asked."""
    servers = Servers([ONE])
    now, seconds = 100.0, []
    for _ in range(20):
        seconds.append(servers.failed(ONE, now))
        now += seconds[-1]
    assert seconds == [1.0, 2.0, 4.0, 8.0, 16.0] + [30.0] * 15
    servers = Servers([ONE, TWO])
    for now in (0.0, 1.0, 100.0):
        servers.failed(ONE, now)
    assert servers.order(103.999) == [TWO, ONE]
    assert servers.order(104.0) == [ONE, TWO]


def test_several_threads_that_meet_one_outage_count_as_one_failure() -> None:
    """Otherwise eight of them would send a server away for half a minute at once."""
    servers = Servers([ONE])
    assert servers.failed(ONE, 0.0) == 1.0
    assert servers.failed(ONE, 0.25) == 0.75
    assert servers.failed(ONE, 1.0) == 2.0


def test_with_all_down_the_one_that_waited_longest_is_first() -> None:
    """A call with every server down still tries them all."""
    servers = Servers([ONE, TWO, THREE])
    servers.failed(TWO, 0.0)
    servers.failed(ONE, 0.2)
    servers.failed(THREE, 0.1)
    assert servers.order(0.5) == [TWO, THREE, ONE]


def test_an_answer_makes_a_server_good_again() -> None:
    """It is preferred at once, its next failure is its first, and the news is told once."""
    servers = Servers([ONE, TWO])
    for _ in range(4):
        servers.failed(ONE, 0.0)
    assert servers.succeeded(ONE) is True
    assert servers.succeeded(ONE) is False
    assert servers.order(0.0) == [ONE, TWO]
    assert servers.failed(ONE, 0.0) == 1.0


def test_servers_are_judged_one_by_one() -> None:
    """What happens to one server says nothing of another."""
    servers = Servers([ONE, TWO])
    servers.failed(ONE, 0.0)
    servers.succeeded(TWO)
    assert servers.failed(TWO, 0.0) == 1.0
    assert servers.failed(ONE, 1.0) == 2.0


@given(
    st.lists(
        st.tuples(st.sampled_from([ONE, TWO, THREE]), st.booleans(), st.floats(0, 10)), max_size=20
    )
)
def test_no_server_is_ever_lost(events: list[tuple[str, bool, float]]) -> None:
    """Whatever happened, every server stands in the order exactly once, the ready in front."""
    servers = Servers([ONE, TWO, THREE])
    retry_at = dict.fromkeys([ONE, TWO, THREE], 0.0)
    now = 0.0
    for uri, works, seconds in events:
        now += seconds
        if works:
            servers.succeeded(uri)
            retry_at[uri] = 0.0
        else:
            retry_at[uri] = now + servers.failed(uri, now)
        order = servers.order(now)
        assert sorted(order) == sorted([ONE, TWO, THREE])
        ready = [each for each in [ONE, TWO, THREE] if retry_at[each] <= now]
        assert order[: len(ready)] == ready

"""Which servers may be asked, and when a failed one is tried again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldapdb.failover import Servers

ONE, TWO, THREE = "ldap://one", "ldap://two", "ldap://three"
ALL = (ONE, TWO, THREE)


def servers(jitter: float = 0.5) -> Servers:
    """Make one without jitter, or with as much as the number says."""
    return Servers(lambda: jitter)


@dataclass(frozen=True)
class Row:
    """What has happened to the two servers of a setting, and what follows."""

    failed: tuple[str, ...]
    tried_again: tuple[str, ...]
    asked: tuple[str, ...]
    ready: tuple[str, ...]
    undecided: bool


BOTH = (ONE, TWO)
TABLE = {
    "all is well": Row((), (), (), (ONE, TWO), undecided=False),
    "the preferred one has been asked": Row((), (), (ONE,), (TWO,), undecided=False),
    "the preferred one has just failed": Row((ONE,), (), (), (TWO,), undecided=True),
    "the preferred one is down": Row((ONE,), (ONE,), (), (TWO,), undecided=False),
    "the second one has just failed": Row((TWO,), (), (), (ONE,), undecided=True),
    "one is down, the other was asked": Row((ONE,), (ONE,), (TWO,), (), undecided=False),
    "both have just failed": Row(BOTH, (), (), (), undecided=True),
    "one is down, the other has just failed": Row(BOTH, (ONE,), (), (), undecided=True),
    "both are down": Row(BOTH, BOTH, (), (), undecided=False),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_who_is_asked_and_whether_to_wait(row: Row) -> None:
    """The decision table: who may be asked, and whether a server is worth waiting for."""
    table = servers()
    for uri in row.failed:
        table.failed(uri, 0.0)
    for uri in row.tried_again:
        table.failed(uri, 1.0)
    assert table.ready(BOTH, row.asked) == list(row.ready)
    assert table.are_undecided(BOTH) is row.undecided


def test_the_order_is_that_of_who_asks() -> None:
    """Reads and writes have orders of their own, on one knowledge of the servers."""
    table = servers()
    table.failed(TWO, 0.0)
    assert table.ready((THREE, TWO, ONE)) == [THREE, ONE]
    assert table.ready((TWO,)) == []


def test_waits_double_up_to_five_seconds() -> None:
    """A server that stays down is tried less and less often, but is tried."""
    table, now, waits = servers(), 100.0, []
    for _ in range(9):
        waits.append(table.failed(ONE, now))
        now += waits[-1]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])
    for _ in range(2000):
        now += table.failed(ONE, now)
    assert table.failed(ONE, now) == 5.0


@pytest.mark.parametrize(("drawn", "first", "longest"), [(0.0, 0.075, 3.75), (1.0, 0.125, 6.25)])
def test_jitter_is_a_quarter_either_way(drawn: float, first: float, longest: float) -> None:
    """Processes that met one outage at the same moment do not come back in step."""
    table = servers(drawn)
    assert table.failed(ONE, 0.0) == pytest.approx(first)
    now = 0.0
    for _ in range(20):
        now += 10.0
        wait = table.failed(ONE, now)
    assert wait == pytest.approx(longest)


def test_several_threads_that_meet_one_outage_count_as_one_failure() -> None:
    """Otherwise eight of them would send a server away for long at once."""
    table = servers()
    assert table.failed(ONE, 0.0) == pytest.approx(0.1)
    assert table.failed(ONE, 0.04) == pytest.approx(0.06)
    assert table.are_undecided([ONE])
    assert table.failed(ONE, 0.1) == pytest.approx(0.2)
    assert not table.are_undecided([ONE])


def test_failed_servers_are_due_after_their_wait_the_longest_due_first() -> None:
    """Those that answer are not tried in the background, and nothing is due too early."""
    table = servers()
    assert table.next_due() is None
    assert table.due(1000.0) == []
    table.failed(TWO, 0.0)
    table.failed(ONE, 0.05)
    assert table.next_due() == pytest.approx(0.1)
    assert table.next_due([ONE]) == pytest.approx(0.15)
    assert table.next_due([]) is None
    assert table.due(0.09) == []
    assert table.due(0.11) == [TWO]
    assert table.due(0.2) == [TWO, ONE]


def test_an_answer_makes_a_server_good_again() -> None:
    """It has its old place at once, its next failure is its first, and the news is told once."""
    table = servers()
    for now in range(4):
        table.failed(ONE, float(now))
    assert table.succeeded(ONE) is True
    assert table.succeeded(ONE) is False
    assert table.ready(BOTH) == [ONE, TWO]
    assert table.next_due() is None
    assert table.failed(ONE, 9.0) == pytest.approx(0.1)


@given(
    st.lists(st.tuples(st.sampled_from(ALL), st.booleans(), st.floats(0, 10)), max_size=20),
    st.floats(0, 1),
)
def test_no_server_is_ever_lost(events: list[tuple[str, bool, float]], jitter: float) -> None:
    """Whatever happened, a server may be asked, or has a moment at which it is tried."""
    table, now = servers(jitter), 0.0
    for uri, works, seconds in events:
        now += seconds
        if works:
            table.succeeded(uri)
        else:
            assert 0 <= table.failed(uri, now) <= 6.25
        ready = table.ready(ALL)
        assert [uri for uri in ALL if uri in ready] == ready
        assert sorted([*ready, *table.due(now + 6.25)]) == sorted(ALL)

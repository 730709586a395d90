"""Which servers are asked, in which order, before and after writes of our own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ldapdb.errors import DirectoryUnavailable
from ldapdb.settings import load
from ldapdb.store.routes import Routes

NEAR, ONE, TWO = "ldap://near", "ldap://one", "ldap://two"
ALICE, BOB = 1, 2


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def read(server: str) -> Any:
    """Return a call that has read there and written nothing."""
    return SimpleNamespace(asked=[server], written=[])


def wrote(server: str) -> Any:
    """Return a call that has written there."""
    return SimpleNamespace(asked=[server], written=[server])


def routes(clock: Clock, **settings: Any) -> Routes:
    """Make one for a consumer that is near and two providers."""
    whole = {"uri": [NEAR, ONE], "write_uri": [ONE, TWO], "cache_ttl_seconds": 20, **settings}
    return Routes(load(base_dn="dc=x", **whole), clock)


def test_reads_go_to_uri_and_writes_to_write_uri() -> None:
    """Before the first write there is nothing to be behind."""
    new = routes(Clock())
    assert new.reading() == new.reading_applications() == new.reading_grants(ALICE) == (NEAR, ONE)
    assert new.writing() == (ONE, TWO)
    assert routes(Clock(), write_uri=[]).writing() == (NEAR, ONE)


def test_after_a_write_about_a_user_his_grants_are_read_where_it_was_made() -> None:
    """Whoever has just granted sees it, though the consumer lags; others are not moved."""
    new = routes(Clock())
    new.note(wrote(TWO), ALICE)
    assert new.reading_grants(ALICE) == (TWO, ONE, NEAR)
    assert new.reading_grants(BOB) == new.reading_applications() == (NEAR, ONE)


def test_after_a_write_about_an_application_everything_but_users_is_read_there() -> None:
    """Removing one takes grants from everybody. Users are never written."""
    new = routes(Clock())
    new.note(wrote(ONE))
    assert new.reading_grants(BOB) == new.reading_applications() == (ONE, TWO, NEAR)
    assert new.reading() == (NEAR, ONE)


def test_the_latest_write_decides() -> None:
    """One provider died between the two writes, and the other one took the second."""
    clock = Clock()
    new = routes(clock)
    new.note(wrote(ONE), ALICE)
    clock.now += 1
    new.note(wrote(TWO))
    assert new.reading_grants(ALICE) == (TWO, ONE, NEAR)
    clock.now += 1
    new.note(wrote(ONE), ALICE)
    assert new.reading_grants(ALICE) == (ONE, TWO, NEAR)


def test_writes_stay_with_the_provider_that_took_the_last_one() -> None:
    """The preferred one has come back, and may not know yet of what is to be changed."""
    clock = Clock()
    new = routes(clock)
    new.note(wrote(TWO), ALICE)
    assert new.writing() == (TWO, ONE)
    clock.now += 20
    assert new.writing() == (ONE, TWO)


def test_every_server_that_was_written_at_counts_and_not_the_last_one_alone() -> None:
    """A grant at one that died, another one elsewhere: only the first knows of the first."""
    clock = Clock()
    new = routes(clock)
    new.note(wrote(ONE), ALICE)
    clock.now += 1
    new.note(wrote(TWO), ALICE)
    assert new.reading_grants(ALICE) == (TWO, ONE, NEAR)
    for asked in (ONE, TWO):
        with pytest.raises(DirectoryUnavailable):
            new.require_known(read(asked), ALICE)
    clock.now += 19
    new.require_known(read(TWO), ALICE)


def test_a_call_that_wrote_nothing_changes_nothing() -> None:
    new = routes(Clock())
    new.note(read(ONE), ALICE)
    assert new.reading_grants(ALICE) == (NEAR, ONE)


@pytest.mark.parametrize("said_by", [ONE, NEAR])
def test_nothing_to_do_counts_only_from_whoever_knows_the_last_write(said_by: str) -> None:
    """Otherwise an order would be taken for carried out that another server has yet to undo."""
    clock = Clock()
    new = routes(clock)
    new.require_known(read(said_by), ALICE)
    new.note(wrote(TWO), ALICE)
    new.require_known(read(said_by), BOB)
    new.require_known(read(TWO), ALICE)
    new.require_known(wrote(said_by), ALICE)
    with pytest.raises(DirectoryUnavailable, match="try again"):
        new.require_known(read(said_by), ALICE)
    clock.now += 20
    new.require_known(read(said_by), ALICE)


@pytest.mark.parametrize(("ttl", "seconds"), [(20, 20), (0, 5)])
def test_it_ends_with_the_time_to_live_and_not_before_five_seconds(
    ttl: float, seconds: float
) -> None:
    """Without a cache the consumer needs its time all the same."""
    clock = Clock()
    new = routes(clock, cache_ttl_seconds=ttl)
    new.note(wrote(TWO), ALICE)
    new.note(wrote(TWO))
    clock.now += seconds - 0.01
    assert new.reading_grants(ALICE)[0] == TWO
    clock.now += 0.01
    assert new.reading_grants(ALICE) == new.reading_applications() == (NEAR, ONE)


def test_what_is_over_is_forgotten() -> None:
    """A process that grants to a million users does not keep them all."""
    clock = Clock()
    new = routes(clock)
    for user_id in range(50):
        new.note(wrote(ONE), user_id)
    clock.now += 60
    new.note(wrote(ONE), ALICE)
    assert [each.user_id for each in new._written] == [ALICE]


def test_after_very_many_writes_all_is_read_where_they_were_made() -> None:
    """An import of a hundred thousand grants is not held up by remembering each user."""
    new = routes(Clock())
    for user_id in range(1100):
        new.note(wrote(TWO), user_id)
    assert len(new._written) <= 1001
    assert new.reading_grants(5)[0] == new.reading_grants(1099)[0] == TWO


def test_every_server_that_may_have_taken_a_write_counts() -> None:
    """The answer of one was lost, another one took the write: both may hold it."""
    new = routes(Clock())
    both: Any = SimpleNamespace(asked=[ONE], written=[TWO, ONE])
    new.note(both, ALICE)
    assert new.reading_grants(ALICE) == (ONE, TWO, NEAR)
    with pytest.raises(DirectoryUnavailable):
        new.require_known(read(ONE), ALICE)


def test_an_order_that_may_be_about_anybody_asks_whoever_knows_of_all() -> None:
    """A mapping id that nothing is found for does not say whose it is."""
    new = routes(Clock())
    new.note(wrote(TWO), ALICE)
    new.require_known(read(ONE))
    with pytest.raises(DirectoryUnavailable):
        new.require_known(read(ONE), everybody=True)
    new.require_known(read(TWO), everybody=True)


def test_all_that_was_read_counts_and_not_the_last_read_alone() -> None:
    """Grants read at one that lags, the application at one that knows: the grants decide."""
    new = routes(Clock())
    new.note(wrote(TWO))
    call: Any = SimpleNamespace(asked=[ONE, TWO], written=[])
    with pytest.raises(DirectoryUnavailable):
        new.require_known(call)


def test_the_server_that_tells_of_its_changes_is_read_first() -> None:
    """Another may not know yet of what has just been forgotten. Writes go where they went."""
    watched = load(base_dn="dc=x", uri=[NEAR, ONE], write_uri=[TWO])
    new = Routes(watched, Clock(), lambda: ONE)
    assert new.reading() == new.reading_applications() == new.reading_grants(ALICE) == (ONE, NEAR)
    new.note(wrote(TWO), ALICE)
    assert new.reading_grants(ALICE)[0] == TWO
    assert new.writing() == (TWO,)

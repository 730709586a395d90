"""How soon changes are seen, and that none of many is missed; benchmarks/watch.py in short."""

from __future__ import annotations

import statistics
from functools import partial

import pytest

from support import Directory
from support.storm import Storm
from support.waiting import eventually
from support.watched import directory

__all__ = ["directory"]

pytestmark = pytest.mark.live(
    *("openldap", "389ds", "ad"),
    reason="how a change is noticed does not depend on how policy is written",
)

POLL_SECONDS = 0.2
# What each server makes in a second, on a machine with nothing else to do.
RATES = {"openldap": 1000, "389ds": 50, "ad": 10}


def test_a_revocation_is_seen_at_once(directory: Directory) -> None:
    """Half of them within 10 ms, 99 of 100 within 100; by polling within its interval."""
    storm = Storm(directory, 5, watch_poll_seconds=POLL_SECONDS)
    with storm.watching() as database:
        took = sorted(storm.revocations(database, 10 if directory.vendor == "ad" else 100))
    if directory.vendor == "ad":
        assert took[-1] < POLL_SECONDS + 1  # and the time that Samba takes to answer
    else:
        assert statistics.median(took) < 0.01
        assert took[-2] < 0.1


@pytest.mark.slow
def test_none_of_many_changes_is_missed(directory: Directory) -> None:
    """While many ask, so that there is always something in memory to be forgotten."""
    storm = Storm(directory, 10, watch_poll_seconds=POLL_SECONDS)
    with storm.watching() as database:
        with storm.asked(database):
            storm.rage(RATES[directory.vendor], 2)
        assert eventually(partial(storm.is_known, database, storm.truth()), 3)
        if directory.vendor != "ad":  # which tells what is so by then, and not all between
            assert eventually(lambda: database.watch_info().changes == storm.made, 3)

"""What a TTL costs: searches of real sessions, counted, beside what the formula says."""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import heapq
import random
import sys
import time
from typing import Any

from proxy import Proxy

from benchmarks.data import name_of
from benchmarks.site_model import Site, SiteSize
from benchmarks.site_requests import SiteDirectory, record, view
from ldapdb import LDAPDatabase

__all__ = ["measure"]

_TTLS = (1, 2, 4, 8)
_SESSIONS = 60
# Time runs faster than in a site: a view a second.
_VIEWS_A_MINUTE = 60.0
_PERIODS, _LEAST_SECONDS = 3, 12.0


def measure(size: SiteSize) -> list[dict[str, Any]]:
    """Let real sessions look at pages at random, and count their searches.

    Returns
    -------
    list of dict
        The TTL in seconds, searches a second as counted and as computed.
    """
    rows = []
    with SiteDirectory.of(size) as directory:
        of_a_view, _ = record(directory, 1)[0].searches()
        for ttl in _TTLS:
            site = Site(_VIEWS_A_MINUTE, ttl, session_minutes=60)
            computed = of_a_view * site.asking_views(_SESSIONS)
            counted = _count(directory, site)
            rows.append({"ttl": ttl, "counted": counted, "computed": computed})
            print(
                f"TTL {ttl} s: {counted:.1f} searches/s, {computed:.1f} computed", file=sys.stderr
            )
    return rows


def _count(directory: SiteDirectory, site: Site) -> float:
    """Return the searches a second of sessions that have all begun, at different times."""
    chance = random.Random(1)  # noqa: S311 -- it decides when a page is looked at
    proxy = Proxy("127.0.0.1", directory.port)
    settings = {**directory.database_kwargs(), "uri": proxy.uri}
    settings["cache_ttl_seconds"] = int(site.ttl_seconds)
    sessions = [LDAPDatabase(**settings) for _ in range(_SESSIONS)]
    try:
        users = [each.get_user(user_name=name_of(at)) for at, each in enumerate(sessions)]
        wait = 60 / site.views_a_minute
        began = time.monotonic()
        # The first views are spread over a period, as if they had begun long ago.
        due = [(began + chance.random() * site.period_seconds, at) for at in range(_SESSIONS)]
        heapq.heapify(due)
        seconds = max(_PERIODS * site.period_seconds, _LEAST_SECONDS)
        counting_from = began + 2 * site.period_seconds
        with proxy.operations() as seen:
            before = 0
            while due[0][0] < counting_from + seconds:
                when, at = due[0]
                if not before and when >= counting_from:
                    before = len(seen)
                time.sleep(max(when - time.monotonic(), 0))
                view(sessions[at], users[at])
                heapq.heapreplace(due, (when + chance.expovariate(1 / wait), at))
            return (len(seen) - before) / seconds
    finally:
        for session in sessions:
            session.close()
        proxy.close()

"""What the simulated site found, as the tables of ``docs/scaling.md``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.site_model import Site

__all__ = ["TTLS", "capacity", "connection_kib", "indexes", "planned", "tables", "ttl"]

# For which it is computed what a server carries, in seconds.
TTLS = (10, 30, 60, 300, 900)
_MS = 1000
_KIB = 1 << 10


def tables(result: dict[str, Any]) -> str:
    """Write all there are.

    Parameters
    ----------
    result : dict
        What ``benchmarks/site.py`` measured.
    """
    parts = [capacity(result), planned(result)]
    parts += [indexes(result["indexes"])] if "indexes" in result else []
    parts += [ttl(result["ttl"])] if "ttl" in result else []
    return "\n\n".join(parts)


def capacity(result: dict[str, Any]) -> str:
    """Tell what was carried by so many servers on one processor, at the most.

    Of several trials with as many sessions the best one is told: the others were disturbed.
    """
    rows = []
    for found in result["capacity"]:
        same = [each for each in found["trials"] if each["sessions"] == found["sessions"]]
        at = min(same, key=lambda each: float(each["views"]["p99"]))
        rows.append(
            (
                f"{found['replicas']}",
                f"{found['sessions']:,}",
                f"{at['searches_a_second']:,.0f}",
                f"{at['slapd_cpu']:.0%}",
                f"{at['cpu_seconds_a_search'] * _MS:.2f} ms",
                f"{at['views']['p50'] * _MS:.1f} ms",
                f"{at['views']['p99'] * _MS:.1f} ms",
            )
        )
    head = ("slapds", "sessions", "searches/s", "processor", "of that a search", "p50", "p99")
    return _table(head, rows)


def planned(result: dict[str, Any]) -> str:
    """Compute the sessions that servers with a processor each carry, by TTL, from those of one.

    The searches in a second that one server carries are measured; whose they are, is computed.
    """
    found, about = result["capacity"][0], result["about"]
    of_a_view, of_a_start = found["searches_of_a_view"], found["searches_of_a_start"]
    one = found["searches_a_second"] / found["replicas"]
    rows = []
    for seconds in TTLS:
        site = Site(about["views"], seconds, about["minutes"])
        sessions = site.sessions(one, of_a_view, of_a_start)
        searches = site.searches(1000, of_a_view, of_a_start)
        rows.append(
            (
                f"{seconds} s",
                f"{searches:.0f}",
                f"{_round(sessions):,}",
                f"{_round(3 * sessions):,}",
            )
        )
    head = ("TTL", "searches/s of 1,000 sessions", "sessions, one server", "three servers")
    return _table(head, rows)


def connection_kib(result: dict[str, Any]) -> float:
    """Compute slapd's memory for a connection that is open, from trials with few and many."""
    made = result["capacity"][0]["trials"]
    few = min(made, key=lambda each: int(each["connections"]))
    many = max(made, key=lambda each: int(each["connections"]))
    more = sum(many["slapd_anonymous_bytes"]) - sum(few["slapd_anonymous_bytes"])
    return float(more / max(many["connections"] - few["connections"], 1) / _KIB)


def indexes(found: Sequence[dict[str, Any]]) -> str:
    """Tell what each search takes without each of the indexes."""
    head = ("no index of", *found[0]["seconds"])
    return _table(
        head,
        (
            (
                f"`{each['without']}`" if each["without"] else "(all are there)",
                *(f"{seconds * _MS:.2f} ms" for seconds in each["seconds"].values()),
            )
            for each in found
        ),
    )


def ttl(found: Sequence[dict[str, Any]]) -> str:
    """Tell the searches that were counted beside those that the formula says."""
    head = ("TTL", "searches/s, counted", "by the formula")
    rows = (
        (f"{each['ttl']} s", f"{each['counted']:.0f}", f"{each['computed']:.0f}") for each in found
    )
    return _table(head, rows)


def _round(value: float) -> int:
    """Round to two digits: no more of them are known."""
    return int(float(f"{value:.2g}"))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

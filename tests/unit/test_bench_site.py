"""The arithmetic of the simulated site, and what it makes of answers and of numbers."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import site_tables as tables
from benchmarks.data import Size, ldif, name_of
from benchmarks.site_model import (
    Site,
    SiteSize,
    answer_length,
    most,
    of_another,
    percentile,
    requests_in,
)
from ldapdb.protocol import ber

SITE = Site(views_a_minute=2, ttl_seconds=60, session_minutes=30)


def message(tag: int, content: bytes) -> bytes:
    return ber.sequence(ber.integer(7), ber.element(content, tag))


ENTRY = message(0x64, ber.element(b"cn=a") + ber.sequence())
REFERENCE = message(0x73, ber.element(b"ldap://elsewhere.example.org"))


def end(code: int, tag: int = 0x65) -> bytes:
    return message(tag, ber.integer(code, ber.ENUMERATED) + ber.element(b"") * 2)


# --- the site


def test_a_session_asks_once_in_its_ttl_and_the_wait_for_the_next_view() -> None:
    assert SITE.period_seconds == 90
    assert SITE.asking_views(900) == 10


def test_for_each_session_that_ends_another_one_starts() -> None:
    assert SITE.starts(1800) == 1


def test_searches_are_those_of_views_and_of_starts() -> None:
    assert SITE.searches(1800, 3, 6) == 3 * 20 + 6 * 1


def test_so_many_sessions_make_so_many_searches() -> None:
    assert SITE.sessions(SITE.searches(1234, 3, 6), 3, 6) == pytest.approx(1234)


# --- the company


def test_with_five_applications_it_has_the_grants_of_make_bench() -> None:
    """Only the user of the longest page is not in them, who is never one of the site."""
    expected = [
        (
            each.number,
            each.image,
            each.volume,
            tuple(name for name in each.members if name != "page"),
        )
        for each in Size(1_000).iter_grants()
    ]
    found = [
        (each.number, each.image, each.volume, each.members)
        for each in SiteSize(1_000).iter_grants()
    ]
    assert found == expected


@pytest.mark.parametrize("applications", [1, 5, 40])
def test_every_user_has_so_many_applications(applications: int) -> None:
    size = SiteSize(1_000, applications)
    grants = list(size.iter_grants())
    assert len(grants) == size.grants
    images: dict[str, set[str]] = {}
    for grant in grants:
        for name in grant.members:
            images.setdefault(name, set()).add(grant.image)
    assert len(images) == size.entitled == 1_000
    assert {len(each) for each in images.values()} == {applications}


# --- messages


def test_a_request_is_rewritten_for_another_user() -> None:
    """Name and entryUUID are those that the generator of the company gives."""
    entries = "".join(ldif(Size(1_000))).split("\n\n")
    one, other = (
        "\n".join(line for line in entry.splitlines() if line.startswith(("uid:", "entryUUID:")))
        for entry in (
            next(each for each in entries if f"\nuid: {name_of(number)}\n" in each)
            for number in (41, 999)
        )
    )
    assert one != other
    assert of_another(one.encode(), 41, 999) == other.encode()


def test_requests_are_taken_apart() -> None:
    assert requests_in(ENTRY + end(0) + REFERENCE) == [ENTRY, end(0), REFERENCE]
    assert requests_in(b"") == []


def test_an_answer_is_there_when_its_last_message_is() -> None:
    whole = ENTRY * 3 + REFERENCE + end(0)
    assert answer_length(whole) == 5
    assert {answer_length(whole[:length]) for length in range(len(whole))} == {0}


def test_the_answer_to_a_bind_is_one_message() -> None:
    assert answer_length(end(0, tag=0x61)) == 1


def test_what_the_server_refuses_is_no_answer_to_be_timed() -> None:
    with pytest.raises(ValueError, match="result code 50"):
        answer_length(ENTRY + end(50))


# --- numbers


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (0.5, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, expected: int) -> None:
    assert percentile([*range(100, 0, -1)], percent) == expected


def test_of_one_value_every_percentile_is_that() -> None:
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0


@pytest.mark.parametrize("carried", [1_000, 1_999, 64_000, 87_654, 1_000_000])
def test_the_most_sessions_are_found_from_below(carried: int) -> None:
    """What is returned has been tried, and is near."""
    tried: list[int] = []

    def carries(sessions: int) -> bool:
        tried.append(sessions)
        return sessions <= carried

    found = most(carries, 1_000, 1_000_000)
    assert carried * 0.95 <= found <= carried
    assert found in tried
    assert len(tried) < 20
    assert max(tried) <= 1_000_000


def test_where_the_first_are_too_many_none_are_carried() -> None:
    assert most(lambda _: False, 1_000, 1_000_000) == 0


def test_no_more_sessions_are_tried_than_allowed() -> None:
    tried: list[int] = []

    def carries(sessions: int) -> bool:
        tried.append(sessions)
        return True

    found = most(carries, 1_000, 700_000)
    assert 700_000 * 0.95 <= found <= max(tried) <= 700_000


# --- tables


def trial(sessions: int, connections: int, kib: int, p99: float = 0.0456) -> dict[str, Any]:
    return {
        "sessions": sessions,
        "connections": connections,
        "slapd_anonymous_bytes": [kib << 10],
        "searches_a_second": sessions / 30,
        "slapd_cpu": 0.8,
        "cpu_seconds_a_search": 0.0004,
        "views": {"p50": 0.002, "p99": p99},
    }


RESULT: dict[str, Any] = {
    "about": {"views": 1, "minutes": 60},
    "capacity": [
        {
            "replicas": 1,
            "sessions": 60_000,
            "searches_a_second": 1_600.0,
            "searches_of_a_view": 3,
            "searches_of_a_start": 6,
            "trials": [
                trial(1_000, 1_000, 10_000, p99=0.001),
                trial(60_000, 5_000, 50_000, p99=0.2),
                trial(60_000, 5_000, 50_000),
            ],
        }
    ],
}


def test_the_table_has_the_best_trial_with_the_most_sessions() -> None:
    row = tables.capacity(RESULT).splitlines()[2]
    assert row == "| 1 | 60,000 | 2,000 | 80% | 0.40 ms | 2.0 ms | 45.6 ms |"


def test_sessions_are_computed_for_other_ttls() -> None:
    """At 60 s a session makes 3 searches in 120 s, and 6 in an hour."""
    rows = {line.split(" | ")[0]: line for line in tables.planned(RESULT).splitlines()}
    assert rows["| 60 s"] == "| 60 s | 27 | 60,000 | 180,000 |"
    assert rows["| 300 s"] == "| 300 s | 10 | 160,000 | 480,000 |"


def test_a_connection_takes_what_many_take_more_than_few() -> None:
    assert tables.connection_kib(RESULT) == 10


def test_an_index_that_is_missing_is_named() -> None:
    found = [
        {"without": "", "seconds": {"user": 0.0002}},
        {"without": "member", "seconds": {"user": 0.0234}},
    ]
    assert tables.indexes(found).splitlines() == [
        "| no index of | user |",
        "| --- | --- |",
        "| (all are there) | 0.20 ms |",
        "| `member` | 23.40 ms |",
    ]


def test_counted_and_computed_stand_side_by_side() -> None:
    rows = tables.ttl([{"ttl": 4, "counted": 35.4, "computed": 36.0}]).splitlines()
    assert rows[2] == "| 4 s | 35 | 36 |"


def test_all_tables_are_printed_that_there_are() -> None:
    assert tables.tables(RESULT).count("| --- |\n") == 2
    more = {**RESULT, "ttl": [{"ttl": 4, "counted": 35.4, "computed": 36.0}]}
    assert tables.tables(more) == f"{tables.tables(RESULT)}\n\n{tables.ttl(more['ttl'])}"

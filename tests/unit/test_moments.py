"""Times as people give them: what is read, and what is refused."""

from __future__ import annotations

import re

import pytest

from ldapdb.errors import InvalidValue
from ldapdb.model import Window
from ldapdb.moments import parse_moment, parse_window
from ldapdb.syntaxes import said_time

NOW = 1_800_000_000.7  # 2027-01-15 08:00:00 UTC, and a part of a second


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2027-01-31", "2027-01-31 00:00:00 UTC"),
        ("2027-01-31T18:00", "2027-01-31 18:00:00 UTC"),
        ("2027-01-31 18:00", "2027-01-31 18:00:00 UTC"),
        ("2027-01-31T18:00:05", "2027-01-31 18:00:05 UTC"),
        ("2027-01-31T18:00Z", "2027-01-31 18:00:00 UTC"),
        ("2027-01-31T18:00+01:00", "2027-01-31 17:00:00 UTC"),
        ("2027-01-31T18:00-05:30", "2027-01-31 23:30:00 UTC"),
        ("12h", "2027-01-15 20:00:00 UTC"),
        ("30d", "2027-02-14 08:00:00 UTC"),
        ("8w", "2027-03-12 08:00:00 UTC"),
        ("9999-12-31", "9999-12-31 00:00:00 UTC"),
    ],
)
def test_a_time_is_utc_where_it_names_no_zone(text: str, said: str) -> None:
    assert said_time(parse_moment(text, NOW)) == said


@pytest.mark.parametrize(
    "text",
    [
        "", "tomorrow", "2027-02-30", "2027-1-31", "31.1.2027", "2027-01-31T25:00", "30", "d",
        "-3d", "30m", "0000-01-01", "999999w", "2027-01-31T18", "2027-01-31T18:00 CET", "٣d",
        "30d\n", "9999-12-31T23:59-01:00", "2027-01-31T18:00+25:00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(repr(text))):
        parse_moment(text, NOW)


def test_a_day_counts_whole() -> None:
    """Until the 31st is until the 31st is over; from the 20th is from when it begins."""
    window = parse_window("2027-01-20", "2027-01-31", NOW)
    assert said_time(window.not_before or 0) == "2027-01-20 00:00:00 UTC"
    assert said_time(window.not_after or 0) == "2027-02-01 00:00:00 UTC"
    assert parse_window(None, None, NOW) == Window()


@pytest.mark.parametrize(
    ("not_before", "not_after", "reason"),
    [
        ("30d", "12h", "before it begins"),
        ("12h", "12h", "before it begins"),
        ("2027-01-20", "2027-01-19", "before it begins"),
        (None, "2027-01-14", "ended already"),
        ("2020-01-01", "2021-01-01", "ended already"),
        (None, "9999-12-31", "years"),
        (None, "soon", "is not a time"),
    ],
)
def test_a_window_in_which_nothing_holds_is_refused(
    not_before: str, not_after: str, reason: str
) -> None:
    with pytest.raises(InvalidValue, match=reason):
        parse_window(not_before, not_after, NOW)


@pytest.mark.parametrize(
    ("window", "other", "covered"),
    [
        (Window(), Window(), True),
        (Window(), Window(1, 2), True),
        (Window(1, None), Window(1, 2), True),
        (Window(1, 3), Window(1, 3), True),
        (Window(1, 3), Window(), False),
        (Window(1, 3), Window(0, 3), False),
        (Window(1, 3), Window(1, 4), False),
        (Window(None, 3), Window(1, None), False),
        (Window(1, None), Window(None, 3), False),
    ],
)
def test_a_window_covers_what_is_never_outside_of_it(
    window: Window, other: Window, covered: bool
) -> None:
    assert window.covers(other) is covered

"""Times as people give them on a command line: a day, a moment, a while from now.

This module reads no clock: `now` is given.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Optional

from ldapdb.errors import InvalidValue
from ldapdb.model import Window
from ldapdb.syntaxes import MOMENTS, said_time

__all__ = ["parse_moment", "parse_window"]

_DAY_SECONDS = 86_400
_UNITS = {"h": 3600, "d": _DAY_SECONDS, "w": 7 * _DAY_SECONDS}
_WHILE = re.compile(r"([0-9]{1,6})([hdw])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    rf"({_DAY.pattern}[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}})?)(Z|[+-][0-9]{{2}}:[0-9]{{2}})?"
)
_FORMS = "2027-01-31, 2027-01-31T18:00 (UTC), 2027-01-31T18:00+01:00, or 12h, 30d, 8w from now"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)


def parse_moment(text: str, now: float, *, end_of_day: bool = False) -> float:
    """Read a moment.

    Parameters
    ----------
    text : str
        A day or a moment (ISO 8601), which is UTC where it names no zone, or a while from now.
    now : float
        Seconds since the epoch.
    end_of_day : bool
        Whether a day stands for its end, as in "until the 31st"; otherwise for its beginning.

    Returns
    -------
    float
        Whole seconds since the epoch.

    Raises
    ------
    InvalidValue
        If it is none of these.
    """
    while_from_now = _WHILE.fullmatch(text)
    if while_from_now is not None:
        moment = int(now) + int(while_from_now[1]) * _UNITS[while_from_now[2]]
        if moment not in MOMENTS:
            raise InvalidValue(f"{text!r} from now is after the year 9999")
        return float(moment)
    given = _MOMENT.fullmatch(text)
    if given is None and not _DAY.fullmatch(text):
        raise InvalidValue(f"{text!r} is not a time; write {_FORMS}")
    try:
        read = datetime.fromisoformat(text if given is None else given[1] + _offset(given[2]))
        if read.tzinfo is None:
            read = read.replace(tzinfo=timezone.utc)
        moment = (read - _EPOCH) // _SECOND
    except ValueError as error:
        raise InvalidValue(f"{text!r} is not a time: {error}") from None
    if given is None and end_of_day:
        moment += _DAY_SECONDS
    if moment not in MOMENTS:
        raise InvalidValue(f"{text!r} is not within the years 1 to 9999")
    return float(moment)


def _offset(zone: Optional[str]) -> str:
    # datetime.fromisoformat knows Z from Python 3.11 on.
    return "+00:00" if zone == "Z" else zone or ""


def parse_window(not_before: Optional[str], not_after: Optional[str], now: float) -> Window:
    """Read when a grant is to hold.

    Parameters
    ----------
    not_before, not_after : str, optional
        See :func:`parse_moment`; a day counts whole in both. None is no limit.
    now : float
        Seconds since the epoch.

    Raises
    ------
    InvalidValue
        If one is no time, the end is not after the beginning, or it is over already.
    """
    begin = None if not_before is None else parse_moment(not_before, now)
    end = None if not_after is None else parse_moment(not_after, now, end_of_day=True)
    window = Window(begin, end)
    if end is not None and begin is not None and end <= begin:
        raise InvalidValue(
            f"the grant would end at {said_time(end)}, before it begins at {said_time(begin)}"
        )
    if end is not None and window.is_over(now):
        raise InvalidValue(f"the grant would have ended already, at {said_time(end)}")
    return window

"""Whether a server's clock and this machine's agree: grants begin and end by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Optional

from ldapdb.client.probing import search_once
from ldapdb.entries import GRANT_CLASS
from ldapdb.errors import InvalidValue, NoSuchEntry
from ldapdb.protocol.codec import BASE, Search
from ldapdb.protocol.filters import present
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked, warning
from ldapdb.store.checking.visiting import Visit
from ldapdb.syntaxes import parse_time, said_time

__all__ = ["check_clock", "judge_clock"]

_CHECK = "clock"
_WARNING_SECONDS = 10.0
# What Kerberos allows (RFC 4120, section 8.2).
_PROBLEM_SECONDS = 300.0
# Where servers tell the time: Active Directory, 389 DS, and OpenLDAP with back_monitor.
_TOLD = (
    ("", "currentTime"),
    ("cn=monitor", "currentTime"),
    ("cn=Current,cn=Time,cn=Monitor", "monitorTimestamp"),
)


def check_clock(visit: Visit, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Ask a server for its time, where it tells it."""
    for base, attribute in _TOLD:
        before = clock()
        told = _asked(visit, base, attribute)
        if told is not None:
            yield judge_clock(visit.uri, told, before, clock())
            return
    text = "the server does not tell this account its time; a write round trip does"
    if not _is_refused(visit):
        yield unchecked(_CHECK, visit.uri, text, "ldapdb check --write")
        return
    yield unchecked(
        _CHECK,
        visit.uri,
        f"{text}, by the account that grants and not by this one: put its DN in the place of "
        "WRITER, and the file with its password in that of FILE",
        "env -u LDAPDB_BIND_PASSWORD LDAPDB_READ_ONLY=false LDAPDB_BIND_DN=WRITER "
        "LDAPDB_BIND_PASSWORD_FILE=FILE ldapdb check --write",
    )


def _is_refused(visit: Visit) -> bool:
    """Tell whether it is known already that this account will not write."""
    if visit.settings.read_only:
        return True
    with suppress(NoSuchEntry):  # there is nothing to write below
        return bool(visit.kind.refuses_writing(visit.profile.grants, GRANT_CLASS))
    return False


def _asked(visit: Visit, base: str, attribute: str) -> Optional[float]:
    search = Search(base, BASE, present("objectClass"), (attribute,))
    entries, _, _ = visit.run(lambda session, deadline: search_once(session, deadline, search))
    try:
        values = [each for entry in entries for each in entry.values(attribute)]
        return float(parse_time(values[0])) if values else None
    except (InvalidValue, ValueError):
        return None


def judge_clock(uri: str, told: float, before: float, after: float) -> Finding:
    """Judge what a server said its time is.

    Parameters
    ----------
    told : float
        Seconds since the epoch, whole.
    before, after : float
        This machine's time when it was asked and when the answer was there.
    """
    # It said so between the two, and has cut off less than a second.
    ahead = max(told - after, before - told - 1, 0.0)
    if ahead < _WARNING_SECONDS:
        return ok(
            _CHECK, uri, f"{said_time(told)}; less than {max(ahead, 1):.0f} s apart from here"
        )
    text = (
        f"the server's clock says {said_time(told)} and this machine's {said_time(after)}, "
        f"{ahead:.0f} s apart: grants begin and end by this machine's; mend the wrong one"
    )
    judge = problem if ahead >= _PROBLEM_SECONDS else warning
    return judge(_CHECK, uri, text, "timedatectl set-ntp true && timedatectl status")

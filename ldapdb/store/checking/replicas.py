"""Whether several servers say the same, and take changes from each other without loss."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from ldapdb import filters
from ldapdb.connection.probing import search_once
from ldapdb.searching import SUBTREE, Search
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked, warning
from ldapdb.store.checking.visiting import Visit
from ldapdb.syntaxes import parse_time, said_time
from ldapdb.vendors import ACTIVE_DIRECTORY, DS389, OPENLDAP

__all__ = ["behind", "check_providers", "check_replicas", "is_plain", "read_states"]

_CHECK = "replication"
_STATE = {OPENLDAP.name: "contextCSN", DS389.name: "nsds50ruv"}
_RUV = "(&(objectClass=nstombstone)(nsuniqueid=ffffffff-ffffffff-ffffffff-ffffffff))"
_ASK_BY_HAND = {
    DS389.name: "dsconf INSTANCE replication monitor",
    ACTIVE_DIRECTORY.name: "repadmin /replsummary || samba-tool drs showrepl",
}
_TRIALS, _PAUSE_SECONDS = 10, 0.3
_PROBLEM_SECONDS = 60.0
_CSN = re.compile(r"(\d{14}\.\d+Z)#[0-9a-f]+#([0-9a-f]+)#[0-9a-f]+")
# The last change of each replica: its number, then a change number that begins with its time.
_RUV_ELEMENT = re.compile(r"\{replica (\d+) [^}]*\}(?: [0-9a-f]+ ([0-9a-f]{8})[0-9a-f]+)?")

# Whether a server that follows others takes changes itself; the second is its name before 2.5.
_BOTH_WAYS = ("olcMultiProvider", "olcMirrorMode")

# When each provider, by its number, was changed last; seconds since the epoch.
State = Mapping[str, float]


def check_replicas(visits: Sequence[Visit], clock: Callable[[], float]) -> Iterator[Finding]:
    """Compare how far the servers are; give one that is behind some time to follow."""
    if len(visits) < 2:  # noqa: PLR2004 -- one is never behind itself
        return
    vendor = visits[0].vendor
    if vendor.name not in _STATE:
        text = "domain controllers do not say how far they are in a way that can be compared"
        yield unchecked(_CHECK, "all servers", text, _ASK_BY_HAND[vendor.name])
        return
    for trial in range(_TRIALS):
        states = {visit.uri: _state(visit) for visit in visits}
        silent = [uri for uri, state in states.items() if not state]
        late = {} if silent else behind(states)
        if silent or not late:
            break
        if trial < _TRIALS - 1:
            time.sleep(_PAUSE_SECONDS)
    for visit in visits:
        yield _judge(visit, silent, late, clock())


def _judge(visit: Visit, silent: Sequence[str], late: Mapping[str, float], now: float) -> Finding:
    if silent:
        text = (
            f"{' and '.join(silent)} does not tell this account how far it is "
            f"({_STATE[visit.vendor.name]} of '{visit.context}'); ask each server"
        )
        return unchecked(_CHECK, visit.uri, text, _ask_by_hand(visit))
    waiting = late.get(visit.uri)
    if waiting is None:
        return ok(_CHECK, visit.uri, "has all changes that the other servers have")
    text = (
        f"lacks a change that another server has had since {said_time(waiting)}, "
        f"{now - waiting:.0f} s ago: what it answers is old; see why it does not follow"
    )
    judge = problem if now - waiting >= _PROBLEM_SECONDS else warning
    return judge(_CHECK, visit.uri, text, _follow(visit))


def behind(states: Mapping[str, State]) -> dict[str, float]:
    """Find the servers that lack a change that another one has.

    Returns
    -------
    dict of str to float
        For each of them, when the newest such change was made.
    """
    newest: dict[str, float] = {}
    for state in states.values():
        for provider, changed in state.items():
            newest[provider] = max(changed, newest.get(provider, changed))
    found = {}
    for uri, state in states.items():
        lacking = [at for provider, at in newest.items() if state.get(provider, -1.0) < at]
        if lacking:
            found[uri] = max(lacking)
    return found


def read_states(values: Sequence[str]) -> State:
    """Read values of ``contextCSN`` (OpenLDAP) or ``nsds50ruv`` (389 DS)."""
    state: dict[str, float] = {}
    for value in values:
        csn, element = _CSN.fullmatch(value), _RUV_ELEMENT.match(value)
        if csn is not None:
            state[csn[2]] = float(parse_time(csn[1]))
        elif element is not None:
            state[element[1]] = float(int(element[2] or "0", 16))
    return state


def _state(visit: Visit) -> State:
    name = _STATE[visit.vendor.name]
    wanted = filters.parse(_RUV) if visit.vendor is DS389 else filters.present("objectClass")
    scope = SUBTREE if visit.vendor is DS389 else 0
    search = Search(str(visit.context), scope, wanted, (name,))
    entries, _, _ = visit.run(lambda session, deadline: search_once(session, deadline, search))
    return read_states([value for entry in entries for value in entry.values(name)])


def _ask_by_hand(visit: Visit) -> str:
    known = _ASK_BY_HAND.get(visit.vendor.name)
    return known or visit.tools.search(visit.context, "(objectClass=*)", "contextCSN", scope="base")


def _follow(visit: Visit) -> str:
    if visit.vendor is OPENLDAP:
        return "journalctl -u slapd --since -1h | grep -i syncrepl"
    return _ask_by_hand(visit)


# --- two providers


def check_providers(visits: Sequence[Visit], write_uris: Sequence[str]) -> Iterator[Finding]:
    """See that no two OpenLDAP providers take whole entries from each other.

    Of two members that are added to one group at the same time, one at each provider, plain
    syncrepl loses one: it copies entries, and delta-syncrepl copies changes.
    """
    writers = [each for each in visits if each.uri in write_uris and each.vendor is OPENLDAP]
    if len(writers) < 2:  # noqa: PLR2004 -- all writes go to one
        return
    for visit in writers:
        yield _provider(visit)


def _provider(visit: Visit) -> Finding:
    check = "two providers"
    wanted = filters.present("olcSyncrepl")
    search = Search("cn=config", SUBTREE, wanted, ("olcSyncrepl", *_BOTH_WAYS))
    entries, _, _ = visit.run(lambda session, deadline: search_once(session, deadline, search))
    values = [value for entry in entries for value in entry.values("olcSyncrepl")]
    show = visit.tools.search("cn=config", "(olcSyncrepl=*)", "olcSyncrepl")
    if not values:
        text = (
            "this account may not read cn=config, so that it cannot be told whether the providers "
            "use delta-syncrepl; each olcSyncrepl must have syncdata=accesslog"
        )
        return unchecked(check, visit.uri, text, show)
    if not any("TRUE" in entry.values(name) for entry in entries for name in _BOTH_WAYS):
        return ok(check, visit.uri, "is a consumer, and takes no changes but its provider's")
    if any(map(is_plain, values)):
        return problem(
            check,
            visit.uri,
            "takes changes of other providers by plain syncrepl, by which one of two grants that "
            "are made at the same time is lost; use delta-syncrepl (docs/check.md), and until then "
            "write to one provider alone",
            f"export LDAPDB_WRITE_URI={visit.uri}",
        )
    return ok(check, visit.uri, "takes changes of other providers by delta-syncrepl")


def is_plain(olc_syncrepl: str) -> bool:
    """Tell whether a value of ``olcSyncrepl`` copies entries instead of changes."""
    return not re.search(r"\bsyncdata=\"?(accesslog|changelog)\b", olc_syncrepl, re.IGNORECASE)

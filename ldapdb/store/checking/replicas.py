"""Whether several servers say the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from ldapdb.store.checking.findings import Finding, ok, problem, unchecked, warning
from ldapdb.store.checking.kinds import State
from ldapdb.store.checking.visiting import Visit, guarded
from ldapdb.syntaxes import said_time

__all__ = ["behind", "check_replicas"]

_CHECK = "replication"
_TRIALS, _PAUSE_SECONDS = 10, 0.3
_PROBLEM_SECONDS = 60.0
_SEVERAL = 2  # one is never behind itself


def check_replicas(visits: Sequence[Visit], clock: Callable[[], float]) -> Iterator[Finding]:
    """Compare how far the servers are; give one that is behind some time to follow.

    One that dies meanwhile is told as that, and the others are compared.
    """
    if len(visits) < _SEVERAL:
        return
    if visits[0].kind.state_attribute is None:
        text = "domain controllers do not say how far they are in a way that can be compared"
        yield unchecked(_CHECK, "all servers", text, visits[0].kind.show_state())
        return
    for trial in range(_TRIALS):
        states: dict[str, State] = {}
        for visit in visits:
            yield from guarded(_CHECK, visit, partial(_note, states=states))
        visits = [each for each in visits if each.uri in states]
        if len(visits) < _SEVERAL:
            return
        silent = [uri for uri, state in states.items() if not state]
        late = {} if silent else behind(states)
        if silent or not late:
            break
        if trial < _TRIALS - 1:
            time.sleep(_PAUSE_SECONDS)
    for visit in visits:
        yield _judge(visit, silent, late, clock())


def _note(visit: Visit, *, states: dict[str, State]) -> Iterable[Finding]:
    states[visit.uri] = visit.kind.state()
    return ()


def _judge(visit: Visit, silent: Sequence[str], late: Mapping[str, float], now: float) -> Finding:
    if silent:
        text = (
            f"{' and '.join(silent)} does not tell this account how far it is "
            f"({visit.kind.state_attribute} of '{visit.context}'); ask each server"
        )
        return unchecked(_CHECK, visit.uri, text, visit.kind.show_state())
    waiting = late.get(visit.uri)
    if waiting is None:
        return ok(_CHECK, visit.uri, "has all changes that the other servers have")
    text = (
        f"lacks a change that another server has had since {said_time(waiting)}, "
        f"{now - waiting:.0f} s ago: what it answers is old; see why it does not follow"
    )
    judge = problem if now - waiting >= _PROBLEM_SECONDS else warning
    return judge(_CHECK, visit.uri, text, visit.kind.show_following())


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

"""Holds what a soak's journals say against what may have been true; see ``history``.

Kinds of violation:

=============  ======================================================================
``lost``       at the end a key is at no server as its last answered write left it
``half``       at the end an entry, or a set of entries, that no whole write leaves
``wider``      an answer with what was not granted at any time it may have been from
``narrower``   an answer without what was granted at all times it may have been from
``unread``     a process that does not see what it has itself just written
``late``       a call that took longer than its deadline
``failed``     a call that failed though all servers were well, a read though one was, or
               any in a way it must not
=============  ======================================================================

Servers that differ at the end, though each says that it has all changes of the others, are
counted and no violation: a client writes to one of them, and what they make of each
other's changes is theirs. OpenLDAP 2.5.13 does it now and then, when both were away
one after the other. A key or an entry is then wrong only if it is so at each of them.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Optional

from soak.history import LAG_SECONDS, Faults, Step, any_in, possible
from soak.journal import Operation, Record, Stall

__all__ = ["Checker", "Final", "Rules", "State", "Violation", "is_of_time"]

Key = tuple[str, str, str]
Subject = tuple[str, ...]

# What a call may take besides its deadline: what Python needs to notice it. Times in which the
# process was not let run at all are measured (Stall) and come on top.
ALLOWANCE_SECONDS = 0.5
# For so long after it has come back a server may be taken for absent: ldapdb tries it again
# each five seconds, a quarter more or less, and then takes up to a second to log in.
_NOTICED_SECONDS = 7.5
# "Just written": ldapdb reads at the server that took a write for five seconds.
_READ_BACK_SECONDS = 2.0


@dataclass(frozen=True)
class Violation:
    """What must not be, and the lines of the journal that show it."""

    kind: str
    said: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What is in one server at the end.

    Parameters
    ----------
    held : frozenset of (str, str, str)
        User, image and policy.
    registered : frozenset of str
        Images.
    faults : frozenset of str
        What is wrong with the entries, in words.
    """

    held: frozenset[Key]
    registered: frozenset[str]
    faults: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Final:
    """What is in the directory at the end.

    Parameters
    ----------
    states : tuple of State
        One of each server.
    faults : tuple of str
        What ldapdb makes of any of them that is not so, in words.
    """

    states: tuple[State, ...]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What a soak promises of each worker.

    Parameters
    ----------
    deadline_seconds : float
        The time that a call may take.
    ttl_seconds, stale_seconds : mapping of int to float
        By worker: how old an answer of its cache may be, and how much older in an outage.
    own : mapping of str to (str, str, str)
        The images that come and go, and the one key in each.
    """

    deadline_seconds: float
    ttl_seconds: Mapping[int, float]
    stale_seconds: Mapping[int, float]
    own: Mapping[str, Key]


def is_of_time(warning: str) -> bool:
    """Tell whether a grant was left out as it is to be: it is over, or has not begun."""
    return "it has expired" in warning or "its time has not begun" in warning


class Checker:
    """Checks one soak.

    Parameters
    ----------
    record : Record
        All journals.
    rules : Rules
        What must hold.
    """

    def __init__(self, record: Record, rules: Rules) -> None:
        self._record = record
        self._rules = rules
        self._faults = Faults(record.faults)
        self._held = {tuple(key) for key in record.setup["held"]}
        self._registered = set(record.setup["registered"])
        self._limits: Mapping[str, list[Optional[float]]] = record.setup["limits"]
        self._steps = self._histories()
        self._stalls: dict[str, list[Stall]] = defaultdict(list)
        for stall in record.stalls:
            self._stalls[stall.process].append(stall)
        subjects: set[Subject] = {*self._steps, *self._held}
        subjects |= {(image,) for image in self._registered}
        self._subjects = sorted(subjects)
        self._spans = {
            (subject, value): possible(value, self._initial(subject), self._steps[subject])
            for subject in subjects
            for value in (True, False)
        }

    def check(self, final: Optional[Final]) -> list[Violation]:
        """List all violations.

        Parameters
        ----------
        final : Final, optional
            What is in the directory at the end; None where that is not known.
        """
        found = [Violation("half", "left out of an answer", (each,)) for each in self._warnings()]
        if final is not None:
            found += [Violation("half", each) for each in final.faults]
            found += self._at_the_end(final)
        for operation in self._record.operations:
            found += self._of_call(operation)
            if operation.acknowledged:
                found += self._of_answer(operation)
        found += self._read_back()
        return found

    # --- histories

    def _initial(self, subject: Subject) -> bool:
        return subject in self._held if len(subject) == 3 else subject[0] in self._registered

    def _histories(self) -> dict[Subject, list[Step]]:
        """Sort the writes by what they concern: a key, or the image of one's own."""
        steps: dict[Subject, list[Step]] = defaultdict(list)
        for operation in sorted(self._record.operations, key=lambda each: each.began):
            if operation.error in ("NotFound", "Exists"):
                continue  # it was told so before it wrote
            kind, about = operation.kind, operation.about
            if kind in ("grant", "revoke", "revoke_by_id"):
                steps[about].append(self._faults.step(operation, kind == "grant"))
            elif kind in ("create", "remove"):
                steps[about].append(self._faults.step(operation, kind == "create"))
            if kind == "remove":
                steps[self._rules.own[about[0]]].append(self._faults.step(operation, False))
        return steps

    def _may_be(self, subject: Subject, value: bool, began: float, ended: float) -> bool:
        spans = self._spans.get((subject, value), [] if value else [(float("-inf"), float("inf"))])
        return any_in(spans, began, ended)

    def _lines(self, subject: Subject, began: float, ended: float) -> tuple[str, ...]:
        """Return what a reader needs: the writes of a key around a time, and the faults."""
        steps = [
            step.operation for step in self._steps.get(subject, []) if step.operation.began <= ended
        ]
        recent = [each for each in steps if each.ended >= began] or []
        earlier = [each for each in steps if each.ended < began][-3:]
        faults = [
            f"{fault.began:.3f} to {fault.ended:.3f}: {fault.kind} of {fault.target}"
            for fault in self._record.faults
            if fault.began <= ended and began - 10 <= fault.ended
        ]
        return (*faults, *(line for each in (*earlier, *recent[-6:]) for line in each.lines))

    # --- the end

    def _at_the_end(self, final: Final) -> Iterator[Violation]:
        infinity = float("inf")
        for each in sorted(frozenset.intersection(*(state.faults for state in final.states))):
            yield Violation("half", each)
        for subject in self._subjects:
            places = [subject in _subjects_of(state) for state in final.states]
            if not any(self._may_be(subject, place, infinity, infinity) for place in places):
                said = f"{' '.join(subject)} is {'there' if places[0] else 'not there'} at the end"
                yield Violation("lost", said, self._lines(subject, infinity, infinity))
        everywhere = frozenset.intersection(*map(_subjects_of, final.states))
        for subject in sorted(everywhere.difference(self._subjects)):
            yield Violation("half", f"{' '.join(subject)} is there, which nobody wrote")

    def _warnings(self) -> list[str]:
        """List the entries that were left out, and should not have been.

        A grant of an image that comes and goes is left out by who reads the grants before and the
        applications after its removal.
        """
        return [
            each
            for each in self._record.warnings
            if not is_of_time(each) and not any(image in each for image in self._rules.own)
        ]

    # --- each call

    def _of_call(self, call: Operation) -> Iterator[Violation]:
        stalled = sum(
            min(stall.ended, call.ended) - max(stall.began, call.began)
            for stall in self._stalls[call.process]
            if stall.began < call.ended and call.began < stall.ended
        )
        allowed = self._rules.deadline_seconds + ALLOWANCE_SECONDS + stalled
        if call.error != "killed" and call.ended - call.began > allowed:
            took = call.ended - call.began
            said = f"{call.kind} took {took:.2f} s, of which the process did not run {stalled:.2f}"
            yield Violation("late", said, call.lines)
        if call.error in ("", "killed"):
            return
        if call.error in ("DirectoryUnavailable", "DeadlineExceeded"):
            times = call.began - _NOTICED_SECONDS, call.ended
            if self._faults.all_well(*times):
                yield Violation("failed", f"{call.kind} failed, with all servers well", call.lines)
            elif not call.is_write and self._faults.one_provider_well(*times):
                yield Violation("failed", f"{call.kind} failed, with a server well", call.lines)
        elif call.error == "Exists" and call.kind == "create":
            yield from self._told(call, call.about, True)
        elif call.error == "NoSuchEntry" and call.kind == "create":
            # A removal that a provider which was frozen or down passes on late may undo it at once.
            yield from self._told(call, call.about, False)
        elif call.error == "NotFound" and call.kind in ("grant", "revoke"):
            yield from self._told(call, (call.about[1],), False)
        else:
            yield Violation("failed", f"{call.kind} failed by {call.error}", call.lines)

    def _told(self, call: Operation, subject: Subject, value: bool) -> Iterator[Violation]:
        """See that an error which says how things are was true at some time."""
        since = self._horizon(call)
        if not self._may_be(subject, value, since, call.ended):
            said = f"{call.kind} was told {call.error}, which was not so"
            lines = self._lines(subject, since, call.ended)
            yield Violation("wider" if value else "narrower", said, (*lines, *call.lines))

    def _horizon(self, call: Operation) -> float:
        ttl = self._rules.ttl_seconds.get(call.worker, 0.0)
        stale = self._rules.stale_seconds.get(call.worker, 0.0)
        # An answer is made of two, a user or application and his grants, one older than the other.
        return self._faults.horizon(call.began - 2 * ttl, stale + 2 * ttl)

    def _of_answer(self, call: Operation) -> Iterator[Violation]:
        if call.kind == "user":
            wanted = None if call.about[0] == "nobody" else call.about[0]
            if call.result != wanted:
                kind = "narrower" if call.result is None else "wider"
                yield Violation(kind, f"asked for {call.about[0]}: {call.result}", call.lines)
        elif call.kind == "applications":
            told: set[Subject] = {(image,) for image in call.result}
            yield from self._compare(
                call, told, [each for each in self._subjects if len(each) == 1]
            )
        elif call.kind == "accounting":
            name = call.about[0]
            told = {(name, image, policy) for image, policy in call.result}
            yield from self._compare(
                call, told, [each for each in self._subjects if each[0] == name]
            )

    def _compare(
        self, call: Operation, told: set[Subject], subjects: Iterable[Subject]
    ) -> Iterator[Violation]:
        since = self._horizon(call)
        for subject in told:
            if not self._may_be(subject, True, since, call.ended) or not self._in_time(
                subject, call, at_all_times=False
            ):
                yield self._violation("wider", call, subject, since)
        for subject in subjects:
            if (
                subject not in told
                and not self._may_be(subject, False, since, call.ended)
                and (len(subject) < 3 or not self._may_be(subject[1:2], False, since, call.ended))
                and self._in_time(subject, call, at_all_times=True)
            ):
                yield self._violation("narrower", call, subject, since)

    def _violation(self, kind: str, call: Operation, subject: Subject, since: float) -> Violation:
        said = f"{call.kind} at {call.began:.3f} {'has' if kind == 'wider' else 'lacks'} "
        said += f"{' '.join(subject)} (of {since:.3f} or later)"
        return Violation(kind, said, (*self._lines(subject, since, call.ended), *call.lines))

    def _in_time(self, subject: Subject, call: Operation, *, at_all_times: bool) -> bool:
        """Tell whether a grant's limits let it be in an answer; a cache must heed them, too."""
        if len(subject) < 3:
            return True
        begins, ends = self._limits.get(subject[1], (None, None))
        first, last = (call.began, call.ended) if at_all_times else (call.ended, call.began)
        # Both clocks are read a moment apart.
        slack = 0.01 if not at_all_times else -0.01
        return (begins is None or begins <= first + slack) and (
            ends is None or last <= ends + slack
        )

    # --- one's own writes

    def _read_back(self) -> Iterator[Violation]:
        """See that who has just written something sees it, while the server that took it lives."""
        answers = defaultdict(list)
        for each in self._record.operations:
            if each.kind == "accounting" and each.acknowledged:
                answers[each.process, each.about[0]].append(each)
        for subject, steps in self._steps.items():
            if len(subject) < 3:
                continue
            for position, step in enumerate(steps):
                later = steps[position + 1].operation.began if position + 1 < len(steps) else None
                found = self._first_after(answers[step.operation.process, subject[0]], step)
                if found is None or (later is not None and later < found.ended):
                    continue
                if self._shows_otherwise(found, subject, steps[: position + 1]):
                    lines = self._lines(subject, step.operation.began, found.ended)
                    said = f"{' '.join(subject)} was written and is not seen"
                    yield Violation("unread", said, (*lines, *found.lines))

    def _first_after(self, answers: list[Operation], step: Step) -> Optional[Operation]:
        written = step.operation
        position = bisect.bisect_left([each.began for each in answers], written.ended)
        if position == len(answers) or not written.acknowledged:
            return None
        found = answers[position]
        return found if found.began - written.ended < _READ_BACK_SECONDS else None

    def _shows_otherwise(self, answer: Operation, subject: Subject, steps: list[Step]) -> bool:
        *earlier, step = steps
        if self._faults.provider_fails_in(step.operation.began - LAG_SECONDS, answer.ended):
            return False
        if any(each.value is not step.value and each.may_follow(step) for each in earlier):
            return False
        is_told = list(subject[1:]) in [list(each) for each in answer.result]
        if step.value and not is_told:
            # The application may have been removed since, or may be gone.
            return not self._may_be(subject[1:2], False, step.operation.began, answer.ended)
        return is_told is not step.value


def _subjects_of(state: State) -> frozenset[Subject]:
    return frozenset({*state.held, *((image,) for image in state.registered)})

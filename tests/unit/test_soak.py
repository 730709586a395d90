"""The soak's checker finds each kind of violation, and excuses what no client can help."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import pytest
import soak.__main__ as soak_command
from soak.chaos import plan
from soak.checker import Checker, Final, Rules, State, Violation
from soak.history import Faults, any_in, possible
from soak.journal import Fault, Journal, Operation, Record, Stall, read
from soak.table import table

KEY = ("alice", "shared/first:1", "plain")
OWN = ("alice", "own/worker-0:1", "plain")
RULES = Rules(
    deadline_seconds=3,
    ttl_seconds={0: 0, 1: 0.5},
    stale_seconds={0: 0, 1: 3},
    own={OWN[1]: OWN},
)


def call(
    kind: str,
    about: tuple[str, ...],
    began: float,
    ended: Optional[float] = None,
    *,
    result: Any = None,
    error: str = "",
    process: str = "0.1",
) -> Operation:
    """Make a call that took a hundredth of a second."""
    ended = began + 0.01 if ended is None else ended
    return Operation(process, kind, about, began, ended, result, error, (f"{kind} at {began}",))


def grant(began: float, ended: Optional[float] = None, **said: Any) -> Operation:
    return call("grant", KEY, began, ended, **said)


def revoke(began: float, ended: Optional[float] = None, **said: Any) -> Operation:
    return call("revoke", KEY, began, ended, **said)


def answer(began: float, *held: tuple[str, str, str], **said: Any) -> Operation:
    told = [[image, policy] for _, image, policy in held]
    return call("accounting", ("alice",), began, result=told, **said)


def checked(
    *operations: Operation,
    faults: Sequence[Fault] = (),
    held: Sequence[tuple[str, str, str]] = (),
    at_end: Sequence[tuple[str, str, str]] = (),
    registered: Sequence[str] = (KEY[1],),
    registered_at_end: Optional[Sequence[str]] = None,
    wrong: Sequence[str] = (),
    elsewhere: Sequence[State] = (),
    misread: Sequence[str] = (),
    warnings: Sequence[str] = (),
    stalls: Sequence[Stall] = (),
    limits: Optional[dict[str, Any]] = None,
) -> list[str]:
    """Check a soak, and list the kinds of violation."""
    setup = {"held": held, "registered": registered, "limits": limits or {}}
    record = Record(setup, list(operations), list(faults), list(stalls), list(warnings))
    images = registered if registered_at_end is None else registered_at_end
    state = State(frozenset(at_end), frozenset(images), frozenset(wrong))
    final = Final((state, *elsewhere), tuple(misread))
    return [each.kind for each in Checker(record, RULES).check(final)]


KILL = Fault("kill", "provider 1", 20, 24)
FREEZE = Fault("freeze", "provider 1", 20, 24)
AWAY = Fault("kill", "consumer", 20, 24)


def test_what_all_calls_say_is_no_violation() -> None:
    assert checked(grant(1), answer(2, KEY), revoke(3), answer(4), grant(5), at_end=[KEY]) == []


@pytest.mark.parametrize(
    ("operations", "at_end"),
    [
        ([grant(1)], []),
        ([grant(1), revoke(2)], [KEY]),
        ([], []),
        # What failed may have been done or not, but does not undo what was answered later.
        ([revoke(1, error="killed"), grant(3)], []),
        ([revoke(1), grant(2, error="killed"), revoke(4, process="0.2")], [KEY]),
    ],
)
def test_an_answered_write_that_is_not_there_at_the_end_is_lost(
    operations: list[Operation], at_end: list[tuple[str, str, str]]
) -> None:
    held = [] if operations else [KEY]
    assert checked(*operations, held=held, at_end=at_end) == ["lost"]


@pytest.mark.parametrize("at_end", [[], [KEY]])
@pytest.mark.parametrize("error", ["DirectoryUnavailable", "killed"])
def test_a_failed_write_may_be_there_or_not(error: str, at_end: list[tuple[str, str, str]]) -> None:
    assert checked(grant(20.5, error=error), faults=[KILL], at_end=at_end) == []


def test_an_application_that_was_registered_or_removed_stays_so() -> None:
    create, remove = call("create", OWN[1:2], 1), call("remove", OWN[1:2], 3)
    assert checked(create) == ["lost"]
    both = (KEY[1], OWN[1])
    assert checked(create, registered_at_end=both) == []
    assert checked(create, remove, registered_at_end=both) == ["lost"]
    assert checked(create, call("grant", OWN, 2), remove, at_end=[OWN]) == ["lost"]


def test_a_frozen_provider_does_late_what_it_was_sent() -> None:
    under_way = grant(19.9, 20.1), revoke(20.5)
    assert checked(*under_way, faults=[FREEZE], at_end=[KEY]) == []
    assert checked(*under_way, faults=[FREEZE]) == []
    # Another revocation after all is over settles it.
    assert checked(*under_way, revoke(26), faults=[FREEZE], at_end=[KEY]) == ["lost"]
    # The fault is long over, or not yet there.
    assert checked(grant(30), revoke(31), faults=[FREEZE], at_end=[KEY]) == ["lost"]
    assert checked(grant(10), revoke(11), faults=[FREEZE], at_end=[KEY]) == ["lost"]


def test_what_a_killed_provider_alone_knows_shows_again_to_who_has_forgotten_it() -> None:
    """For some seconds a process knows where it wrote, and takes no other's word for it."""
    kill = Fault("kill", "provider 1", 20, 28)
    before = grant(19.9, 20.1)
    assert checked(before, faults=[kill]) == checked(before, faults=[kill], at_end=[KEY]) == []
    assert checked(before, faults=[Fault("freeze", "provider 1", 20, 28)]) == ["lost"]
    assert checked(before, revoke(24), faults=[kill], at_end=[KEY]) == ["lost"]
    assert checked(before, revoke(26), faults=[kill], at_end=[KEY]) == []
    assert checked(before, revoke(24, process="0.2"), faults=[kill], at_end=[KEY]) == []
    assert checked(before, revoke(30), faults=[kill], at_end=[KEY]) == ["lost"]


def test_a_server_that_is_behind_makes_that_time_longer() -> None:
    kill = Fault("kill", "provider 1", 20, 28)
    behind = Fault("behind", "lag of provider 2", 14, 29)
    writes = grant(15), revoke(22)
    assert checked(*writes, faults=[kill], at_end=[KEY]) == ["lost"]
    assert checked(*writes, faults=[kill, behind], at_end=[KEY]) == []
    assert checked(grant(15), faults=[kill]) == ["lost"]
    assert checked(grant(15), faults=[kill, behind]) == []
    seen = answer(18, KEY, process="0.2")
    assert checked(grant(1), revoke(16), seen, faults=[behind]) == []
    assert checked(grant(1), revoke(12), seen, faults=[behind]) == ["wider"]


def test_during_a_kill_one_provider_takes_all_in_order() -> None:
    assert checked(grant(21), revoke(22), faults=[KILL], at_end=[KEY]) == ["lost"]
    assert checked(grant(21), revoke(22), faults=[FREEZE], at_end=[KEY]) == []


def test_a_consumer_that_is_away_excuses_no_lost_write() -> None:
    assert checked(grant(19.9, 20.1), revoke(20.5), faults=[AWAY], at_end=[KEY]) == ["lost"]


def test_a_successor_may_not_know_where_the_last_write_went() -> None:
    """It may go back to a provider that has just come back."""
    same = grant(23.9), revoke(24.2)
    other = grant(23.9), revoke(24.2, process="0.2")
    assert checked(*same, faults=[KILL], at_end=[KEY]) == ["lost"]
    assert checked(*other, faults=[KILL], at_end=[KEY]) == []


def test_an_answer_with_what_was_revoked_is_wider() -> None:
    assert checked(grant(1), revoke(2), answer(9, KEY)) == ["wider"]
    assert checked(answer(1, KEY)) == ["wider"]
    # By another process just after, at a server that lags.
    assert checked(grant(1), revoke(2), answer(2.5, KEY, process="1.1")) == []
    # While the server may have been away, it shows what was when that began.
    assert checked(grant(1), revoke(21), answer(23, KEY, process="1.1"), faults=[AWAY]) == []
    assert checked(grant(1), revoke(10), answer(23, KEY, process="1.1"), faults=[AWAY]) == ["wider"]


def test_a_cache_may_be_as_old_as_its_settings_say() -> None:
    answers = [answer(3.8, KEY, process=process) for process in ("0.1", "1.1")]
    assert checked(grant(1), revoke(2), answers[0]) == ["wider", "unread"]
    assert checked(grant(1), revoke(2), answers[1]) == []


def test_an_answer_without_what_is_granted_is_narrower() -> None:
    assert checked(answer(5), held=[KEY], at_end=[KEY]) == ["narrower"]
    assert checked(grant(1), answer(2.5), at_end=[KEY]) == ["narrower", "unread"]
    assert checked(grant(1), answer(1.5, process="1.1"), at_end=[KEY]) == []


def test_time_limits_hold_at_each_answer() -> None:
    def seen(*answers: Operation, limits: list[Optional[float]]) -> list[str]:
        return checked(*answers, held=[KEY], at_end=[KEY], limits={KEY[1]: limits})

    assert seen(answer(5, KEY), limits=[None, 4]) == ["wider"]
    assert seen(answer(5), limits=[None, 4]) == []
    assert seen(answer(5, KEY), limits=[6, None]) == ["wider"]
    assert seen(answer(5), limits=[4, 6]) == ["narrower"]
    assert seen(answer(5, KEY), limits=[4, 6]) == []


def test_lists_of_applications_and_users_are_held_to_the_same() -> None:
    assert checked(call("applications", (), 5, result=[])) == ["narrower"]
    assert checked(call("applications", (), 5, result=[KEY[1], "no/such:1"])) == ["wider"]
    assert checked(call("user", ("alice",), 5, result="alice")) == []
    assert checked(call("user", ("alice",), 5, result=None)) == ["narrower"]
    assert checked(call("user", ("nobody",), 5, result="alice")) == ["wider"]


def test_a_process_sees_what_it_has_written() -> None:
    assert checked(grant(1), answer(1.1), at_end=[KEY]) == ["unread"]
    assert checked(grant(1), revoke(2), answer(2.1, KEY)) == ["unread"]
    assert checked(grant(1), answer(1.1, KEY), at_end=[KEY]) == []
    # Not while a provider goes.
    assert checked(grant(19.99), answer(20.1), faults=[KILL], at_end=[KEY]) == []
    # The consumer's going is no excuse.
    assert checked(grant(19.99), answer(20.1), faults=[AWAY], at_end=[KEY]) == ["unread"]


def test_a_call_ends_by_its_deadline() -> None:
    assert checked(answer(1)) == []
    slow = call("user", ("alice",), 1, 4.6, result="alice")
    assert checked(slow) == ["late"]
    assert checked(slow, stalls=[Stall("0.1", 2, 2.2)]) == []
    assert checked(slow, stalls=[Stall("0.2", 2, 2.2)]) == ["late"]
    assert checked(call("user", ("alice",), 1, 9, error="killed")) == []


def test_calls_fail_for_no_other_reason_than_servers() -> None:
    other = Fault("kill", "provider 2", 25, 26)
    reading = call("accounting", ("alice",), 27, error="DirectoryUnavailable")
    assert checked(reading) == checked(reading, faults=[AWAY, KILL]) == ["failed"]
    assert checked(reading, faults=[KILL, other]) == []
    writing = grant(27, error="DirectoryUnavailable")
    assert checked(writing) == ["failed"]
    assert checked(writing, faults=[AWAY]) == []
    broken = call("accounting", ("alice",), 22, error="KeyError")
    assert checked(broken, faults=[AWAY]) == ["failed"]


def test_not_found_and_exists_are_answers_too() -> None:
    assert checked(grant(5, error="NotFound")) == ["narrower"]
    assert checked(call("grant", OWN, 5, error="NotFound")) == []
    create = [call("create", OWN[1:2], at, error=error) for at, error in ((1, ""), (5, "Exists"))]
    assert checked(create[1]) == ["wider"]
    assert checked(*create, registered_at_end=(KEY[1], OWN[1])) == []


def test_what_is_gone_as_it_is_made_was_not_there_at_some_time() -> None:
    gone = call("create", OWN[1:2], 5, error="NoSuchEntry")
    assert checked(gone) == []
    assert checked(call("create", KEY[1:2], 5, error="NoSuchEntry")) == ["narrower"]
    assert checked(call("remove", OWN[1:2], 5, error="NoSuchEntry")) == ["failed"]


def test_what_no_whole_write_leaves_is_half() -> None:
    assert checked(wrong=["cn=x is no whole grant"]) == ["half"]
    assert checked(at_end=[("alice", "shared/first:1", "home")]) == ["half"]
    assert checked(registered_at_end=[KEY[1], "no/such:1"]) == ["half"]
    assert checked(warnings=["left out cn=x: the volume cannot be read"]) == ["half"]
    assert checked(warnings=["left out cn=x: it has expired"]) == []
    assert checked(warnings=[f"left out cn=x: the image '{OWN[1]}' is not registered"]) == []


def test_what_one_server_has_is_not_lost_though_another_lacks_it() -> None:
    """Each says that it has all changes: what they make of them is not the client's doing."""
    with_it, without = State(frozenset([KEY]), frozenset(KEY[1:2])), State(frozenset(), frozenset())
    assert checked(grant(1), elsewhere=[with_it]) == []
    assert checked(grant(1), at_end=[KEY], elsewhere=[without]) == []
    assert checked(grant(1), elsewhere=[State(frozenset(), frozenset(KEY[1:2]))]) == ["lost"]
    assert checked(grant(1), revoke(2), at_end=[KEY], elsewhere=[with_it]) == ["lost"]


def test_what_is_wrong_at_one_server_alone_is_its_own() -> None:
    one = State(frozenset(), frozenset(KEY[1:2]), frozenset(["cn=x is no whole grant"]))
    assert checked(elsewhere=[one]) == []
    assert checked(wrong=["cn=x is no whole grant"], elsewhere=[one]) == ["half"]


def test_what_ldapdb_makes_of_a_server_must_be_what_it_has() -> None:
    assert checked(misread=["ldapdb at ldap://a tells otherwise"]) == ["half"]


def test_a_violation_shows_the_calls_and_the_faults() -> None:
    record = Record(
        {"held": [], "registered": [KEY[1]], "limits": {}},
        [grant(1), revoke(21)],
        [AWAY],
    )
    found = Checker(record, RULES).check(Final((State(frozenset([KEY]), frozenset([KEY[1]])),)))
    assert found == [
        Violation(
            "lost",
            "alice shared/first:1 plain is there at the end",
            ("grant at 1", "revoke at 21"),
        )
    ]


def test_two_states_are_possible_while_a_write_may_come_late() -> None:
    faults = Faults([FREEZE])
    steps = [faults.step(grant(21), True), faults.step(revoke(22), False)]
    assert possible(True, False, steps) == [(21, float("inf"))]
    assert possible(False, False, steps) == [(float("-inf"), 21.01), (22, float("inf"))]
    calm = [Faults([]).step(each.operation, each.value) for each in steps]
    assert possible(True, False, calm) == [(21, 22.01)]
    assert possible(False, False, calm) == [(float("-inf"), 21.01), (22, float("inf"))]


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "worker.jsonl") as journal:
        journal.note("begin", process="3.1")
        journal.note("call", do="grant", about=KEY)
        journal.note("stall", since=0)
        journal.note("retry", said="gone")
        journal.note("stale", said="old")
        journal.note("result", result="id")
        journal.note("call", do="revoke", about=KEY)
        journal.note("begin", process="3.2")
        journal.note("call", do="user", about=["alice"])
        journal.note("error", error="DirectoryUnavailable", said="gone")
        journal.note("call", do="applications", about=[])
    with Journal(tmp_path / "chaos.jsonl") as journal:
        journal.note("setup", held=[], registered=[], limits={})
        journal.note("fault", kind="kill", target="consumer")
        journal.note("over", target="consumer")
        journal.note("fault", kind="freeze", target="provider 2")
    with (tmp_path / "worker.jsonl").open("a") as half:
        half.write('{"t": 1, "what": "ca')
    record = read(sorted(tmp_path.glob("*.jsonl")))
    told = [(each.process, each.kind, each.error) for each in record.operations]
    assert told == [
        ("3.1", "grant", ""),
        ("3.1", "revoke", "killed"),
        ("3.2", "user", "DirectoryUnavailable"),
        ("3.2", "applications", "killed"),
    ]
    assert [json.loads(line)["what"] for line in record.operations[0].lines] == ["call", "result"]
    assert [(each.kind, each.target, each.ended < 1e9) for each in record.faults] == [
        ("kill", "consumer", True),
        ("freeze", "provider 2", False),
    ]
    assert len(record.stalls) == record.retries == record.stale == 1
    assert record.setup["held"] == []


def test_a_seed_makes_one_plan() -> None:
    first, second, other = plan(1, 900, 8), plan(1, 900, 8), plan(2, 900, 8)
    assert first == second != other
    kinds = {each.kind for track in first.values() for each in track}
    assert kinds == {"kill", "freeze", "restart"}
    for track in first.values():
        assert sum(each.after + each.lasts for each in track) <= 900
    # Between two faults of providers, both catch up.
    assert min(each.after for each in first["providers"]) >= 4


def test_the_table_counts_what_was_done_and_what_must_not_be() -> None:
    operations = [grant(1), grant(2, error="killed"), call("user", ("alice",), 3, 4.25)]
    record = Record({}, operations, [KILL], retries=5)
    said = table(record, [Violation("lost", "x")], ["cn=x differs"], 7, 120)
    lines = [line.split() for line in said.splitlines()]
    assert ["grant", "2", "1"] in lines
    assert ["killed", "1"] in lines
    assert ["provider", "1", "kill", "1"] in lines
    assert ["slowest", "call", "1.25", "s"] in lines
    assert ["retries", "5"] in lines
    assert ["servers", "that", "disagree", "1"] in lines
    assert ["lost", "1"] in lines
    assert ["wider", "0"] in lines


def run_soak(monkeypatch: pytest.MonkeyPatch, temporary: Path, *, play: Any) -> int:
    """Run the command with other servers and workers than its own: none."""
    monkeypatch.setattr(soak_command, "play", play)
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: str(temporary))
    monkeypatch.setattr("sys.argv", ["soak", "--seed", "7"])
    return soak_command.main()


def test_early_end_prints_table_and_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It exits with 1, and the journals and logs stay where it says."""

    def play(seed: int, seconds: float, folder: Path, workers: object) -> None:
        with Journal(folder / "chaos.jsonl") as journal:
            journal.note("setup", held=[], registered=[KEY[1]], limits={})
            journal.note("begin", process="0.1")
            journal.note("call", do="user", about=["alice"])
            journal.note("result", result="alice")
        (folder / "server-0.log").write_text("slapd starting")
        raise TimeoutError(f"servers not in step: {seed} {seconds} {workers}")

    assert run_soak(monkeypatch, tmp_path, play=play) == 1
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert ["user", "1", "1"] in lines
    assert ["failed", "1"] in lines
    assert "the soak ended early: TimeoutError('servers not in step: 7" in said.out
    assert str(tmp_path) in said.out.splitlines()[-1]
    assert (tmp_path / "server-0.log").exists()
    assert "Traceback" in said.err


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_early_end_before_any_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[BaseException]
) -> None:
    def play(*given: object) -> None:
        raise error(given)

    assert run_soak(monkeypatch, tmp_path, play=play) == 1


def test_success_removes_journals_and_logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def play(_seed: int, _seconds: float, folder: Path, _workers: object) -> Any:
        with Journal(folder / "chaos.jsonl") as journal:
            journal.note("setup", held=[], registered=[], limits={})
        return Final((State(frozenset(), frozenset()),)), []

    assert run_soak(monkeypatch, tmp_path, play=play) == 0
    assert not tmp_path.exists()


def test_times_overlap_at_their_ends_too() -> None:
    spans = [(0.0, 2.0), (5.0, 6.0), (8.0, float("inf"))]
    for began, ended in ((2, 3), (-1, 0), (3, 5), (5.5, 5.6), (1, 9), (100, 101)):
        assert any_in(spans, began, ended)
    for began, ended in ((2.1, 4.9), (-2, -1), (6.1, 7.9)):
        assert not any_in(spans, began, ended)
    assert not any_in([], 0, 1)


def test_long_outage_reaches_back_to_its_start() -> None:
    """A thousand faults, each of which begins before the one before it is over."""
    faults = [Fault("behind", "lag of x", at, at + 1.5) for at in range(10, 1010)]
    horizon = Faults(faults).horizon
    assert horizon(1000, 0) == pytest.approx(8.999)
    assert horizon(500, 3) == pytest.approx(11 - 1 - 3 - 1e-3)
    assert horizon(5, 0) == 4
    assert horizon(1020, 0) == 1019

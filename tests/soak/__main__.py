"""Runs a soak: ``PYTHONPATH=tests python -m soak --seconds 120``."""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Optional

from soak.chaos import Chaos, plan
from soak.checker import Checker, Final, Rules, Violation
from soak.final import look
from soak.journal import Journal, read
from soak.lag import LagMonitor
from soak.table import table
from soak.world import OPERATION_SECONDS, OWN, WORKERS, own_key, prepare, settings_of
from support.cluster import Cluster

# Calls go on before the first fault and after the last one, and the check takes its time.
_BEFORE_SECONDS, _AFTER_SECONDS, _CHECK_SECONDS = 2.0, 5.0, 12.0
_SHOWN = 5
# What is in the directory at the end, and where servers differ; None if a run does not come to it.
Found = Optional[tuple[Final, list[str]]]


class Workers:
    """The processes that call, and their lives."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lives = [0] * WORKERS
        self.wrong: list[str] = []

    def start(self, number: int) -> None:
        self._lives[number] += 1
        arguments = [str(number), str(self._lives[number]), str(self._seed)]
        arguments += [str(self._folder / f"worker-{number}.jsonl"), str(self._folder / "settings")]
        with (self._folder / f"worker-{number}.err").open("ab") as errors:
            self._processes[number] = subprocess.Popen(
                [sys.executable, "-m", "soak.worker", *arguments],
                stdin=subprocess.PIPE,
                stderr=errors,
            )

    def kill(self, number: int, seconds: float) -> None:
        """Kill one, and start it again later."""
        process = self._processes[number]
        self._see_that_it_runs(number)
        process.send_signal(signal.SIGKILL)
        self._reap(process)
        time.sleep(seconds)
        self.start(number)

    def stop(self) -> None:
        """Let all end after the call that they are in."""
        for number, process in self._processes.items():
            self._see_that_it_runs(number)
            assert process.stdin is not None
            process.stdin.close()
        for number, process in self._processes.items():
            try:
                process.wait(OPERATION_SECONDS + 10)
            except subprocess.TimeoutExpired:
                self.wrong.append(f"worker {number} did not end")
                process.kill()
                process.wait()

    def _see_that_it_runs(self, number: int) -> None:
        if self._processes[number].poll() is not None:
            said = (self._folder / f"worker-{number}.err").read_text(encoding="utf-8")
            self.wrong.append(f"worker {number} ended by itself: {said[-2000:]}")

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def soak(seed: int, seconds: float, folder: Path) -> list[Violation]:
    """Run for so long, check, and print the table; return what must not be.

    A run that ends early is checked as far as it came, and is a violation.
    """
    began = time.monotonic()
    workers = Workers(folder, seed)
    found: Found = None
    early = []
    try:
        found = play(seed, seconds, folder, workers)
    except (Exception, KeyboardInterrupt) as error:
        traceback.print_exc()
        early = [Violation("failed", f"the soak ended early: {error!r}")]
    final, differences = found or (None, [])
    record = read(sorted(folder.glob("*.jsonl")))
    # First what explains the rest.
    violations = [*early, *(Violation("failed", each) for each in workers.wrong)]
    violations += Checker(record, rules()).check(final) if record.setup else []
    print(table(record, violations, differences, seed, time.monotonic() - began))
    for difference in differences:
        print(f"\nthe servers disagree, each of which says that it has all changes: {difference}")
    return violations


def play(seed: int, seconds: float, folder: Path, workers: Workers) -> Found:
    """Run servers, workers and chaos, and return what is in the directory at the end."""
    began = time.monotonic()
    with Cluster(logs=folder) as cluster, Journal(folder / "chaos.jsonl") as journal:
        setup = prepare(cluster)
        cluster.wait_in_step()
        (folder / "settings").touch(mode=0o600)
        (folder / "settings").write_text(json.dumps(cluster.database_kwargs()), encoding="utf-8")
        journal.note("setup", **setup)
        chaos = Chaos(cluster, journal, workers.kill)
        lag = LagMonitor(cluster, journal)
        try:
            starting = [threading.Thread(target=workers.start, args=(n,)) for n in range(WORKERS)]
            for each in starting:
                each.start()
            for each in starting:
                each.join()
            time.sleep(_BEFORE_SECONDS)
            lasting = seconds - _AFTER_SECONDS - _CHECK_SECONDS - (time.monotonic() - began)
            chaos.run(plan(seed, lasting, WORKERS), lasting)
            time.sleep(_AFTER_SECONDS)
        finally:
            workers.stop()
            lag.stop()
            workers.wrong += [f"the chaos ended: {each!r}" for each in chaos.errors]
        cluster.wait_in_step()
        return look(cluster, setup["limits"])


def rules() -> Rules:
    """Return what is promised to the workers."""
    settings = {number: settings_of(number, {}) for number in range(WORKERS)}
    return Rules(
        deadline_seconds=OPERATION_SECONDS,
        ttl_seconds={number: each["cache_ttl_seconds"] for number, each in settings.items()},
        stale_seconds={
            number: each["cache_max_stale_seconds"] for number, each in settings.items()
        },
        own={OWN[number]: own_key(number) for number in range(WORKERS)},
    )


def show(violations: list[Violation]) -> None:
    """Print the first of each kind, with the lines that show it."""
    shown: dict[str, int] = {}
    for each in violations:
        shown[each.kind] = shown.get(each.kind, 0) + 1
        if shown[each.kind] <= _SHOWN:
            print(f"\n{each.kind}: {each.said}")
            for line in each.lines:
                print(f"    {line}")


def main() -> int:
    """Read the arguments, and exit with 1 on any violation."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=900.0, help="in all (default: 900)")
    parser.add_argument("--seed", type=int, help="of a plan of faults to repeat")
    parser.add_argument(
        "--folder",
        type=Path,
        help="where journals and logs stay (default: only after a failure)",
    )
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"soak: seed {seed}, {arguments.seconds:g} s", flush=True)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="ldapdb-soak-"))
    folder.mkdir(exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty: the journals of two soaks make no history")
    violations = soak(seed, arguments.seconds, folder)
    show(violations)
    print(f"\nsoak: {'no violation' if not violations else f'{len(violations)} violations'}")
    if violations:
        print(f"journals and servers' logs: {folder}")
    elif arguments.folder is None:
        shutil.rmtree(folder)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

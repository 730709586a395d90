"""``ldapdb watch``, as a process: who gains and who loses what."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ldapdb.store import Store
from ldapdb.store.rights import follow
from ldapdb.watch import State, Watch
from support import Directory
from support.waiting import eventually
from support.watched import directory

__all__ = ["directory"]

pytestmark = pytest.mark.live(
    *("openldap", "389ds", "ad"), reason="the command only compares what the store says"
)

IMAGE = "simphony/mayavi:0.5"


@contextlib.contextmanager
def watching(directory: Directory, *options: str) -> Iterator[Any]:
    """Start the command, and yield it as soon as it watches."""
    kwargs = directory.database_kwargs(watch_poll_seconds=0.2)
    settings = {f"LDAPDB_{key.upper()}": str(value) for key, value in kwargs.items() if value}
    command = [sys.executable, "-m", "ldapdb", "watch", *options]
    with subprocess.Popen(
        command,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            said = process.stderr.readline()
            assert said == "watching\n", said + process.stderr.read()
            yield process
        finally:
            process.kill()


def test_each_gain_and_loss_is_a_line(directory: Directory) -> None:
    """Also what reaches somebody through a group; nothing else, whatever changes besides."""
    alice, bob = directory.person("alice"), directory.person("bob")
    staff = directory.group("staff", bob)
    directory.application(IMAGE)
    grant = directory.granted("lab", images=[IMAGE], members=[alice, staff], home=True)
    with watching(directory) as process:
        directory.remove_member(grant, alice)
        lines = [process.stdout.readline()]
        directory.person("carol")
        directory.group("others", alice)
        directory.add_members(staff, alice)
        lines.append(process.stdout.readline())
        directory.delete(bob)
        lines.append(process.stdout.readline())
    said = [line.rstrip("\n").lower().split(" ", 3) for line in lines]
    assert [each[1:] for each in said] == [
        ["revoked", "alice", f"{IMAGE} ({grant.lower()})"],
        ["granted", "alice", f"{IMAGE} ({grant.lower()})"],
        ["revoked", "bob", f"{IMAGE} ({grant.lower()})"],
    ]
    assert all(each[0].endswith("z") and "t" in each[0] for each in said)


@pytest.mark.live("openldap", reason="the thread does not depend on the directory")
def test_watching_is_said_when_changes_are_seen(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not as soon as they are looked for: a script may begin to make changes then."""
    start = Watch.start

    def late(watch: Watch) -> None:
        threading.Timer(0.5, start, [watch]).start()

    monkeypatch.setattr(Watch, "start", late)
    with contextlib.closing(Store(directory.settings(watch=True))) as store:
        store.verify()
        assert next(follow(store)) == []
        assert store.watch_info().state is State.LIVE


@pytest.mark.live("openldap", reason="the thread does not depend on the directory")
def test_whom_a_change_concerns_does_not_wait_for_everybody(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are many, all are looked at now and then only, which takes its time."""
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.application(IMAGE)
    grant = directory.granted("lab", images=[IMAGE], members=[alice])
    monkeypatch.setattr("ldapdb.store.rights._SHARE", 1e9)
    told: list[tuple[bool, str]] = []

    def tell(store: Store) -> None:
        for changes in follow(store):
            told.extend((each.gained, each.user.name) for each in changes)
            looked.set()
            if over.is_set():
                return

    looked, over = threading.Event(), threading.Event()
    with contextlib.closing(Store(directory.settings(watch=True, cache_ttl_seconds=60))) as store:
        store.verify()
        thread = threading.Thread(target=tell, args=(store,), daemon=True)
        thread.start()
        assert looked.wait(5)
        directory.remove_member(grant, alice)
        assert eventually(lambda: told == [(False, "alice")], 3)
        directory.add_members(grant, bob)
        assert eventually(lambda: told[1:] == [(True, "bob")], 3)
        directory.delete(bob)
        assert eventually(lambda: told[2:] == [(False, "bob")], 3)
        over.set()
        directory.add_members(grant, alice)
        thread.join(5)


@pytest.mark.live("openldap", reason="what is done with a line does not depend on the directory")
def test_a_program_is_run_for_each_change(directory: Directory, tmp_path: Path) -> None:
    """With what it needs to find a container; one that fails ends nothing. No licence is told."""
    program, log = tmp_path / "stop", tmp_path / "log"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\ncat >> {log}\necho >> {log}\nexit 3\n')
    program.chmod(0o755)
    alice = directory.person("alice")
    directory.application(IMAGE)
    grant = directory.granted("lab", images=[IMAGE], members=[alice], licence="SECRET")
    # When the last grant of all goes, a warning asks whether that can be.
    directory.granted("other", images=[IMAGE], members=[directory.person("bob")])
    [held] = directory.open().get_accounting_for_user(directory.open().get_user(user_name="alice"))
    with watching(directory, "--json", "--exec", str(program)) as process:
        directory.delete(grant)
        told = json.loads(process.stdout.readline())
        again = directory.granted("lab", images=[IMAGE], members=[alice], licence="SECRET")
        assert json.loads(process.stdout.readline())["change"] == "granted"
        assert "ended with 3" in process.stderr.readline()
    assert again == grant
    assert told["id"] == held.id
    assert told["user_id"] == held.user.id
    assert (told["change"], told["user"], told["image"]) == ("revoked", "alice", IMAGE)
    arguments, given = log.read_text().splitlines()[:2]
    assert arguments == f"revoked alice {IMAGE} {held.id}"
    assert json.loads(given) == told
    assert "SECRET" not in log.read_text()

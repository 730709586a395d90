"""What ``ldapdb import`` says before it does anything, whom it asks, and what it leaves alone."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ldapdb.cli import run
from ldapdb.migrate.importing import apply, make_plan
from ldapdb.migrate.sources import open_source
from ldapdb.model import Policy, Window
from ldapdb.store import Store
from ldapdb.syntaxes import format_time
from support import Directory
from support.moving import csv_file, database, ldapdb, rights, row
from support.planned import hold_plan
from support.terminal import Terminal

pytestmark = pytest.mark.live("openldap", reason="how it is printed is no matter of the directory")
everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)

MAYAVI, NOTEBOOK = "simphony/mayavi:0.5", "simphony/notebook:1.1"
HOME = Policy.of(allow_home=True)
PAST, LATER = 1_577_836_800.0, 4_200_000_000.0  # 2020-01-01, 2103


def on_a_terminal(directory: Directory, *arguments: str) -> Any:
    """Start a command before which somebody sits."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    kwargs = directory.database_kwargs()
    settings = {f"LDAPDB_{name.upper()}": str(value) for name, value in kwargs.items() if value}
    return Terminal.running([sys.executable, "-m", "ldapdb", *arguments], {**kept, **settings})


@everywhere
def test_a_time_that_was_stated_is_not_undone(directory: Directory, tmp_path: Path) -> None:
    """Nor one that is over; who was given nothing for a time gets what the source says."""
    for name in ("alice", "bob", "carol", "dave"):
        directory.person(name)
    rows = [row(name, MAYAVI, allow_home="1") for name in ("alice", "bob", "carol")]
    first = csv_file(tmp_path / "first.csv", rows)
    again = csv_file(tmp_path / "a.csv", [*rows, row("alice", MAYAVI), row("dave", NOTEBOOK)])
    over, dave = format_time(PAST), directory.dn_of("dave")
    directory.granted("over", images=[NOTEBOOK], members=[dave], not_after=over)
    soon, late = Window(None, PAST + 10), Window(LATER - 20, LATER - 10)
    with closing(Store(directory.settings(), clock=lambda: PAST)) as store:
        assert list(apply(store, make_plan(store, open_source(first)))) == [3]
        for name, window in (("alice", soon), ("bob", late)):
            store.grant_several([MAYAVI], HOME, window, users=[name])
        plan = make_plan(store, open_source(again))
        limited = {user.name: window for each in plan.grants for user, window in each.limited}
        assert limited == {"alice": soon, "bob": late, "dave": Window(None, PAST)}
        assert [user.name for each in plan.grants for user in each.users] == ["alice"]
        assert [each.there for each in plan.grants] == [0, 3, 1]
        assert list(apply(store, plan)) == [1]
    with closing(Store(directory.settings(), clock=lambda: LATER)) as store:
        has = {user.name: store.list_accountings(user) for user in store.list_users()}
    policies = {name: [each.application_policy for each in held] for name, held in has.items()}
    assert policies == {"alice": [Policy()], "bob": [], "carol": [HOME], "dave": []}


def test_the_plan_names_whose_time_stays(directory: Directory, tmp_path: Path) -> None:
    alice = directory.person("alice")
    directory.application(MAYAVI)
    directory.granted("g", images=[MAYAVI], members=[alice], not_after=format_time(PAST))
    path = csv_file(tmp_path / "a.csv", [row("alice", MAYAVI)])
    done = ldapdb(directory, "import", path, "--json")
    assert done.returncode == 0
    said = "skip user 'alice' there: has it until 2020-01-01 00:00:00 UTC already, and that time"
    assert said in done.stderr
    [granted] = json.loads(done.stdout)["granted"]
    assert granted["limited"] == [{"user": "alice", "not_after": "2020-01-01T00:00:00Z"}]


@pytest.mark.lengthy
def test_what_one_user_is_called_in_several_ways_is_told(
    directory: Directory, tmp_path: Path
) -> None:
    """The source has two users, the directory one, who would get what both have."""
    dn = directory.person("alice")
    directory.person("bob")
    url = database(
        tmp_path / "a.db", [("Alice", MAYAVI, {}), ("alice", NOTEBOOK, {}), ("bob", MAYAVI, {})]
    )
    done = ldapdb(directory, "import", url)
    assert f"take 'Alice' and 'alice' for one user, 'alice' ({dn}), who gets" in done.stdout
    said = json.loads(ldapdb(directory, "import", url, "--yes", "--json").stdout)
    assert said["merged_users"] == [{"user": "alice", "dn": dn, "names": ["Alice", "alice"]}]
    assert set(rights(directory)["alice"]) == {MAYAVI, NOTEBOOK}


@pytest.mark.lengthy
def test_programs_get_the_plan_that_nobody_confirmed(directory: Directory, tmp_path: Path) -> None:
    directory.person("alice")
    path = csv_file(tmp_path / "a.csv", [row("alice", MAYAVI)])
    done = ldapdb(directory, "import", path, "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["applied"], said["registered"]) == (False, [MAYAVI])
    assert f"register {MAYAVI}\n" in done.stderr
    assert "add --yes" in done.stderr
    assert rights(directory) == {"alice": {}}
    assert json.loads(ldapdb(directory, "import", path, "--yes", "--json").stdout)["applied"]
    assert json.loads(ldapdb(directory, "import", path, "--json").stdout)["applied"]


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["in words", "as JSON"])
@pytest.mark.lengthy
def test_nobody_is_asked_about_a_plan_that_is_not_shown(
    directory: Directory, tmp_path: Path, form: list[str]
) -> None:
    """Who says no has changed nothing, and who says yes sees how far it is."""
    directory.person("alice")
    path = csv_file(tmp_path / "a.csv", [row("alice", MAYAVI)])
    with on_a_terminal(directory, "import", path, *form) as terminal:
        seen = terminal.wait_for(r"Do this\? \[y/N\]: ")
        assert f"grant {MAYAVI} to 1 users" in seen
        assert "alice" not in seen
        terminal.type("n\n")
        seen = terminal.rest()
        assert "nothing was changed" in seen
        assert ('"applied": false' in seen) is bool(form)
    assert rights(directory) == {"alice": {}}
    with on_a_terminal(directory, "import", path, *form) as terminal:
        terminal.wait_for(r"Do this\? \[y/N\]: ")
        terminal.type("y\n")
        seen = terminal.rest()
    assert rights(directory)["alice"].keys() == {MAYAVI}
    assert "granting" in seen
    assert "100%" in seen


@pytest.fixture
def interrupted(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody press Ctrl-C once the first application is registered."""
    for name, value in directory.database_kwargs().items():
        if value:
            monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))
    create = Store.create_application

    def create_and_stop(store: Store, image: str) -> None:
        create(store, image)
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "create_application", create_and_stop)


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("form", ["--dry-run", "--ldif"])
def test_a_plan_that_is_broken_off_says_nothing_of_grants(
    directory: Directory, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    directory.person("alice")
    path = csv_file(tmp_path / "a.csv", [row("alice", MAYAVI)])
    before = directory.entries()
    assert run(["import", path, form]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "into grants" not in printed.err
    assert printed.err.endswith("ldapdb: interrupted\n")
    assert directory.entries() == before


def test_a_dry_run_names_everybody(directory: Directory, tmp_path: Path) -> None:
    names = [f"user{number:03}" for number in range(90)]
    for name in names:
        directory.person(name)
    path = csv_file(tmp_path / "a.csv", [row(name, MAYAVI) for name in names])
    done = ldapdb(directory, "import", path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert [name for name in names if directory.dn_of(name) not in done.stdout] == []
    assert done.stdout.count("\n") == 2


@everywhere
def test_the_ldif_of_an_import_gives_the_same_directory(
    directory: Directory, tmp_path: Path
) -> None:
    """Some of it is there, some is not; applied by ldapmodify, all is as after the import."""
    path = csv_file(
        tmp_path / "a.csv",
        [
            row("alice", MAYAVI, allow_home="1"),
            row("bob", MAYAVI, allow_home="1"),
            row("bob", NOTEBOOK, app_license="the key's", allow_view="1"),
            row("mueller k", NOTEBOOK, app_license="the key's", allow_view="1"),
        ],
    )

    def prepare() -> None:
        directory.person("mueller k", rdn="cn=Müller\\, K")
        for name in ("alice", "bob"):
            directory.person(name)
        with closing(Store(directory.settings())) as store:
            store.create_application(MAYAVI)
            store.grant(MAYAVI, "alice", HOME)

    def work(store: Store) -> None:
        plan = make_plan(store, open_source(path))
        assert plan.members == list(apply(store, plan))[-1] == 3

    hold_plan(directory, prepare, work)

"""What ``ldapdb import`` says before it does anything, whom it asks, and what it leaves alone."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ldapdb import ldif_text
from ldapdb.cli import run
from ldapdb.migrate.importing import apply, make_plan
from ldapdb.migrate.sources import open_source
from ldapdb.model import Policy
from ldapdb.store import Store
from ldapdb.store.planning import PlannedStore
from support import Directory
from support.moving import csv_file, ldapdb, rights, row
from support.terminal import Terminal

pytestmark = pytest.mark.live("openldap", reason="how it is printed is no matter of the directory")
everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)

MAYAVI, NOTEBOOK = "simphony/mayavi:0.5", "simphony/notebook:1.1"
HOME = Policy.of(allow_home=True)


def on_a_terminal(directory: Directory, *arguments: str) -> Any:
    """Start a command before which somebody sits."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    kwargs = directory.database_kwargs()
    settings = {f"LDAPDB_{name.upper()}": str(value) for name, value in kwargs.items() if value}
    return Terminal.running([sys.executable, "-m", "ldapdb", *arguments], {**kept, **settings})


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

    prepare()
    before = directory.entries()
    with closing(PlannedStore(directory.settings())) as planned:
        work(planned)
        assert not planned.doubts
        text = ldif_text.write(planned.changes, "by a test")
    assert directory.entries() == before
    directory.server.ldapmodify(text)
    applied = directory.entries()
    assert applied != before
    directory.clear()
    prepare()
    with closing(Store(directory.settings())) as store:
        work(store)
    assert directory.entries() == applied

"""``ldapdb export`` and ``ldapdb compare``: the way back, and that both ways lose nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ldapdb.migrate.csv_source import HEADER
from support import Directory

pytestmark = pytest.mark.live("openldap", reason="what is read is tried on all by the reviews")
everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)

MAYAVI, NOTEBOOK = "simphony/mayavi:0.5", "simphony/notebook:1.1"
PAST, FUTURE = "20200102030405.0Z", "20990102030405.0Z"


def ldapdb(directory: Directory, *arguments: str) -> subprocess.CompletedProcess[str]:
    kwargs = directory.database_kwargs()
    settings = {f"LDAPDB_{key.upper()}": value for key, value in kwargs.items() if value}
    return subprocess.run(
        [sys.executable, "-m", "ldapdb", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def fill(directory: Directory) -> None:
    """Rights of every kind: direct, through a group, with an end, over, of nobody."""
    alice, bob = directory.person("alice"), directory.person("bob")
    staff = directory.group("staff", alice)
    directory.application(MAYAVI)
    directory.application(NOTEBOOK)
    directory.granted(
        "one", images=[MAYAVI, NOTEBOOK], members=[staff, bob], licence='K"E,Y', home="TRUE"
    )
    directory.granted(
        "two", images=[NOTEBOOK], members=[bob], volume="/data:/mnt:ro", not_after=FUTURE
    )
    directory.granted("over", images=[MAYAVI], members=[alice], view="TRUE", not_after=PAST)


def answers(directory: Directory) -> dict[str, set[tuple[str, object]]]:
    """Return what the host is told of everybody."""
    database = directory.open()
    return {
        user.name: {
            (each.application.image, each.application_policy)
            for each in database.get_accounting_for_user(user)
        }
        for user in database.list_users()
    }


@everywhere
@pytest.mark.slow
def test_what_is_exported_as_csv_gives_the_same_when_it_is_imported(
    directory: Directory, tmp_path: Path
) -> None:
    """As the host is told; and what a row cannot tell is said."""
    fill(directory)
    done = ldapdb(directory, "export")
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert tuple(rows[0]) == HEADER
    assert rows[1:] == [
        ["alice", MAYAVI, 'K"E,Y', "1", "0", "0", "", "", "", "0"],
        ["alice", NOTEBOOK, 'K"E,Y', "1", "0", "0", "", "", "", "0"],
        ["bob", MAYAVI, 'K"E,Y', "1", "0", "0", "", "", "", "0"],
        ["bob", NOTEBOOK, 'K"E,Y', "1", "0", "0", "", "", "", "0"],
        ["bob", NOTEBOOK, "", "0", "0", "1", "/data", "/mnt", "ro", "0"],
    ]
    assert "2 rights come through groups" in done.stderr
    assert "1 rights end some day" in done.stderr
    assert "1 rights are not in effect now" in done.stderr
    file = tmp_path / "rights.csv"
    file.write_text(done.stdout, encoding="utf-8", newline="")
    before = answers(directory)
    same = ldapdb(directory, "compare", str(file))
    assert (same.returncode, same.stdout) == (0, "identical\n"), same.stdout + same.stderr
    directory.clear()
    directory.person("alice")
    directory.person("bob")
    assert ldapdb(directory, "import", str(file), "--yes").returncode == 0
    assert answers(directory) == before


@everywhere
@pytest.mark.slow
def test_what_is_exported_as_ldif_can_be_added_again(directory: Directory) -> None:
    """With ldapadd: entries of ours and of others, with their times, groups and names."""
    fill(directory)
    done = ldapdb(directory, "export", "--to", "ldif")
    assert done.returncode == 0, done.stderr
    assert "5 entries" in done.stderr
    before, told = directory.entries(), answers(directory)
    names = [each for base in ("applications", "grants") for each in entries_of(directory, base)]
    assert len(names) == 5
    for dn in names:
        directory.delete(dn)
    assert answers(directory) == {"alice": set(), "bob": set()}
    directory.add(done.stdout)
    assert answers(directory) == told
    assert directory.entries() == before


def entries_of(directory: Directory, base: str) -> list[str]:
    parent = f"ou={base},{directory.base_dn}"
    return [dn for dn in directory.below(parent) if dn.lower() != parent.lower()]


def test_older_hosts_get_their_columns(directory: Directory) -> None:
    fill(directory)
    done = ldapdb(directory, "export", "--release", "2.1")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert "policy.app_license" not in rows[0]
    assert "policy.allow_startup_data" not in rows[0]
    assert rows[1] == ["alice", MAYAVI, "1", "0", "0", "", "", ""]
    assert "4 rights lose their licence" in done.stderr


def test_programs_get_json(directory: Directory) -> None:
    assert json.loads(ldapdb(directory, "export", "--json").stdout) == []
    fill(directory)
    said = json.loads(ldapdb(directory, "export", "--to", "json").stdout)
    assert [each["user"] for each in said] == ["alice", "bob"]
    ends = [right["not_after"] for right in said[1]["rights"]]
    assert ends == [None, None, "2099-01-02T03:04:05+00:00"]
    assert said[1]["rights"][2]["policy"]["volume_source"] == "/data"


@pytest.mark.parametrize(
    "arguments", [("--to", "csv", "--json"), ("--to", "ldif", "--release", "2.1"), ("--to", "xml")]
)
def test_options_that_contradict_each_other_are_refused(
    directory: Directory, arguments: tuple[str, ...]
) -> None:
    done = ldapdb(directory, "export", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_differences_from_the_host_s_database_are_told(
    directory: Directory, tmp_path: Path
) -> None:
    """Who lacks what and why, who has what besides; no licence is shown."""
    fill(directory)
    directory.person("carol")
    with sqlite3.connect(tmp_path / "remoteapp.db") as connection:
        connection.executescript(
            f"""
            CREATE TABLE user (id INTEGER PRIMARY KEY, name VARCHAR);
            CREATE TABLE application (id INTEGER PRIMARY KEY, image VARCHAR);
            CREATE TABLE application_policy (id INTEGER PRIMARY KEY, app_license VARCHAR,
                allow_home BOOLEAN, allow_common BOOLEAN, allow_view BOOLEAN,
                volume_source VARCHAR, volume_target VARCHAR, volume_mode VARCHAR,
                allow_startup_data BOOLEAN);
            CREATE TABLE accounting (id CHAR(32) PRIMARY KEY, user_id INTEGER,
                application_id INTEGER, application_policy_id INTEGER);
            INSERT INTO user VALUES (1, 'Alice'), (2, 'carol'), (3, 'gone'), (4, 'idle');
            INSERT INTO application VALUES (1, '{MAYAVI}'), (2, '{NOTEBOOK}'), (3, 'a/b:1');
            INSERT INTO application_policy VALUES
                (1, 'K"E,Y', 1, 0, 0, '', '/left/over', NULL, 0),
                (2, 'OTHER', 1, 0, 0, NULL, NULL, NULL, 0);
            INSERT INTO accounting VALUES ('a', 1, 1, 1), ('b', 1, 2, 2), ('c', 3, 1, 1),
                ('d', 1, 1, 1);
            """
        )
    connection.close()
    url = f"sqlite:///{tmp_path / 'remoteapp.db'}"
    done = ldapdb(directory, "compare", url)
    assert done.returncode == 1, done.stderr
    licensed = "policy: home, licence (not shown)"
    assert done.stdout.splitlines() == [
        "a/b:1: not registered in the directory",
        f"Alice: lacks {NOTEBOOK}, {licensed}",
        f"Alice: has besides {NOTEBOOK}, {licensed}",
        f"bob: has besides {MAYAVI}, {licensed}",
        f"bob: has besides {NOTEBOOK}, {licensed}",
        f"bob: has besides {NOTEBOOK}, policy: volume /data:/mnt:ro",
        f"gone: lacks {MAYAVI}, {licensed} (not in the directory)",
        "4 differences",
    ]
    said = json.loads(ldapdb(directory, "compare", url, "--json").stdout)
    assert not said["identical"]
    assert [each["user"] for each in said["differences"]] == ["Alice", "bob", "gone"]
    assert "OTHER" not in str(said) + done.stdout + done.stderr

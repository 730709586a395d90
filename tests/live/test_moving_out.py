"""``ldapdb export`` and ``ldapdb compare``: the way back, and that both ways lose nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import IO, Union

import pytest

from ldapdb.migrate.comparing import Comparison, compare
from ldapdb.migrate.csv_source import HEADER, CSVSource
from ldapdb.migrate.exporting import write_csv
from ldapdb.migrate.importing import apply, make_plan
from ldapdb.model import Policy
from ldapdb.settings import load
from ldapdb.store import Store
from support import Directory

pytestmark = pytest.mark.live("openldap", reason="what is read is tried on all by the reviews")
everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)

MAYAVI, NOTEBOOK = "simphony/mayavi:0.5", "simphony/notebook:1.1"
PAST, FUTURE = "20200102030405.0Z", "20990102030405.0Z"


def ldapdb(
    directory: Directory,
    *arguments: str,
    stdout: Union[int, IO[bytes]] = subprocess.PIPE,
    before: str = ":",
) -> subprocess.CompletedProcess[str]:
    kwargs = directory.database_kwargs()
    settings = {f"LDAPDB_{key.upper()}": value for key, value in kwargs.items() if value}
    return subprocess.run(
        ["sh", "-c", f'{before}; exec "$@"', "-", sys.executable, "-m", "ldapdb", *arguments],
        env={**os.environ, **settings},
        stdout=stdout,
        stderr=subprocess.PIPE,
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
    assert done.stderr.splitlines() == [
        "rights that are not in effect now, and are left out: 1",
        "rights that come through groups, and are written as the users' own: 2",
        "rights that end some day, which is not written: 1",
        "5 rights of 2 users",
    ]
    file = tmp_path / "rights.csv"
    file.write_text(done.stdout, encoding="utf-8", newline="")
    before = answers(directory)
    assert compared(directory, file).is_identical
    directory.clear()
    directory.person("alice")
    directory.person("bob")
    with opened(directory) as store:
        plan = make_plan(store, CSVSource(str(file)))
        assert list(apply(store, plan))[-1] == 5
    assert compared(directory, file).is_identical
    assert answers(directory) == before


@everywhere
@pytest.mark.slow
def test_what_is_exported_as_ldif_can_be_added_again(directory: Directory) -> None:
    """With ldapadd: entries of ours and of others, with their times, groups, names and branches."""
    fill(directory)
    branch = f"ou=physics,ou=grants,{directory.base_dn}"
    directory.add(f"dn: {branch}\nobjectClass: organizationalUnit\ndescription: Second floor\n")
    far = directory.granted("far", images=[NOTEBOOK], members=[directory.person("zoe")])
    directory.move(far, "cn=far", branch)
    done = ldapdb(directory, "export", "--to", "ldif")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "7 entries\n"
    before, told = directory.entries(), answers(directory)
    names = [each for base in ("applications", "grants") for each in entries_of(directory, base)]
    assert len(names) == 7
    for dn in sorted(names, key=len, reverse=True):
        directory.delete(dn)
    assert answers(directory) == {"alice": set(), "bob": set(), "zoe": set()}
    directory.add(done.stdout)
    assert answers(directory) == told
    assert directory.entries() == before


def entries_of(directory: Directory, base: str) -> list[str]:
    parent = f"ou={base},{directory.base_dn}"
    return [dn for dn in directory.below(parent) if dn.lower() != parent.lower()]


def test_older_hosts_get_their_columns(directory: Directory) -> None:
    """And what these cannot say is said, as is what no host's file can."""
    fill(directory)
    directory.application("c/d:1")
    directory.granted("broken", images=[MAYAVI], volume="nonsense")
    done = ldapdb(directory, "export", "--release", "2.1")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert "policy.app_license" not in rows[0]
    assert "policy.allow_startup_data" not in rows[0]
    assert rows[1] == ["alice", MAYAVI, "1", "0", "0", "", "", ""]
    assert "rights that lose their licence or their startup data: 4" in done.stderr
    assert "applications that nobody may start, and that are left out: 1" in done.stderr
    assert "grants that cannot be read, and are left out (see `ldapdb lint`): 1" in done.stderr


@pytest.mark.lengthy
def test_a_file_is_there_whole_or_not_at_all(directory: Directory, tmp_path: Path) -> None:
    """Its owner alone may read it, since licences are in it."""
    fill(directory)
    file = tmp_path / "rights.csv"
    file.write_text("last week's")
    # As on a full disk: no file may have a byte.
    cut_off = ldapdb(directory, "export", "--output", str(file), before="ulimit -f 0")
    assert cut_off.returncode == 1
    assert cut_off.stderr == f"ldapdb: cannot write {file}: File too large\n"
    assert file.read_text() == "last week's"
    assert [each.name for each in tmp_path.iterdir()] == ["rights.csv"]
    done = ldapdb(directory, "export", "--output", str(file))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().startswith(",".join(HEADER).encode() + b"\r\nalice,")
    assert [each.name for each in tmp_path.iterdir()] == ["rights.csv"]
    for arguments in (("--output", str(tmp_path / "none" / "rights.csv")), ("--to", "ldif")):
        with Path("/dev/full").open("wb") as full:
            failed = ldapdb(directory, "export", *arguments, stdout=full)
        assert failed.returncode == 1
        assert len(failed.stderr.splitlines()) == 1
        assert "cannot write" in failed.stderr


@pytest.mark.lengthy
def test_what_a_spreadsheet_would_reckon_is_a_name(directory: Directory, tmp_path: Path) -> None:
    """It is written and read as it is, and so is what is not ASCII."""
    names = ["=1+2", "+cmd", "@sum", "-x", 'J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg, "J"']
    people = [directory.person(name, rdn=f"cn=n{i}") for i, name in enumerate(names)]
    directory.application(MAYAVI)
    directory.granted("all", images=[MAYAVI], members=people, licence="=1,2\\\"'")
    file = tmp_path / "rights.csv"
    assert ldapdb(directory, "export", "--output", str(file)).returncode == 0
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["user.name"] for row in rows} == set(names)
    assert {row["policy.app_license"] for row in rows} == {"=1,2\\\"'"}
    same = ldapdb(directory, "compare", str(file))
    assert (same.returncode, same.stdout) == (0, "identical\n"), same.stdout + same.stderr
    file.write_text(file.read_text(encoding="utf-8").replace("=1+2", "'=1+2"), encoding="utf-8")
    assert ldapdb(directory, "compare", str(file)).returncode == 1


def test_programs_get_json(directory: Directory) -> None:
    assert json.loads(ldapdb(directory, "export", "--json").stdout) == []
    fill(directory)
    done = ldapdb(directory, "export", "--to", "json")
    said = json.loads(done.stdout)
    assert done.stderr.splitlines() == [
        "rights that are not in effect now, and are left out: 1",
        "rights that come through groups, and are written as the users' own: 2",
        "5 rights of 2 users",
    ]
    assert [each["user"] for each in said] == ["alice", "bob"]
    ends = [right["not_after"] for right in said[1]["rights"]]
    assert ends == [None, None, "2099-01-02T03:04:05+00:00"]
    assert said[1]["rights"][2]["policy"]["volume_source"] == "/data"


@pytest.mark.parametrize(
    "arguments", [("--to", "csv", "--json"), ("--to", "ldif", "--release", "2.1"), ("--to", "xml")]
)
@pytest.mark.lengthy
def test_options_that_contradict_each_other_are_refused(
    directory: Directory, arguments: tuple[str, ...]
) -> None:
    done = ldapdb(directory, "export", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.lengthy
def test_differences_from_the_host_s_database_are_told(
    directory: Directory, tmp_path: Path
) -> None:
    """Who lacks what and why, who has what besides; no licence is shown."""
    fill(directory)
    directory.person("carol")
    directory.application("c/d:1")
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
                (2, 'OTHER', 1, 0, 0, NULL, NULL, NULL, 0),
                (3, NULL, 1, 1, 0, '/data', NULL, 'ro', 0);
            INSERT INTO accounting VALUES ('a', 1, 1, 1), ('b', 1, 2, 2), ('c', 3, 1, 1),
                ('d', 1, 1, 1), ('e', 1, 1, 3);
            """
        )
    connection.close()
    url = f"sqlite:///{tmp_path / 'remoteapp.db'}"
    done = ldapdb(directory, "compare", url)
    assert done.returncode == 1, done.stderr
    licensed = "home, licence (not shown)"
    lacks, has = "lacks", "has besides"
    missing = (
        "accounting e: allow_common is true, and of volume_source, volume_target and volume_mode "
        "one is missing"
    )
    rows = [
        ["", lacks, "a/b:1", "", "not registered in the directory"],
        ["", has, "c/d:1", "", "registered in the directory alone"],
        ["", lacks, "", "", missing],
        ["Alice", lacks, NOTEBOOK, licensed, ""],
        ["Alice", has, NOTEBOOK, licensed, ""],
        ["bob", has, MAYAVI, licensed, ""],
        ["bob", has, NOTEBOOK, licensed, ""],
        ["bob", has, NOTEBOOK, "volume /data:/mnt:ro", ""],
        ["gone", lacks, MAYAVI, licensed, "not in the directory"],
    ]
    header = ["USER", "IN LDAPDB", "IMAGE", "POLICY", "WHY"]
    assert [line.split("\t") for line in done.stdout.splitlines()] == [header, *rows]
    assert done.stderr.splitlines() == [
        "not in the directory, and without any right: 'idle'",
        "4 users, 4 rights compared; differences: 9",
    ]
    table = ldapdb(directory, "compare", url, "--csv", "--no-decoration")
    assert (table.returncode, list(csv.reader(io.StringIO(table.stdout)))) == (1, rows)
    said = json.loads(ldapdb(directory, "compare", url, "--json").stdout)
    assert not said["identical"]
    assert [each["user"] for each in said["differences"]] == ["Alice", "bob", "gone"]
    assert (said["images"], said["further_images"]) == (["a/b:1"], ["c/d:1"])
    assert (said["idle_users"], said["rights"]) == (["idle"], 4)
    assert "OTHER" not in str(said) + done.stdout + done.stderr


@pytest.mark.parametrize(
    "change", ["member", "group", "ended", "application", "gone", "unreadable"]
)
def test_a_right_that_is_taken_away_is_seen(
    directory: Directory, tmp_path: Path, change: str
) -> None:
    """Whatever takes it away, and of whom it was; users without any other are not forgotten."""
    alice, bob = directory.person("alice"), directory.person("bob")
    staff = directory.group("staff", alice)
    application = directory.application(MAYAVI)
    grant = directory.granted("one", images=[MAYAVI], members=[staff, bob], home="TRUE")
    file = tmp_path / "rights.csv"
    with opened(directory) as store, file.open("w", encoding="utf-8", newline="") as out:
        assert write_csv(store.review(60), out) == 2
    assert compared(directory, file).is_identical
    if change == "member":
        directory.remove_member(grant, bob)
    elif change == "group":
        directory.delete(staff)
    elif change == "ended":
        directory.change(grant, "add: remoteAppNotAfter", f"remoteAppNotAfter: {PAST}")
    elif change == "application":
        directory.delete(application)
    elif change == "gone":
        directory.delete(bob)
    else:
        directory.change(grant, "add: remoteAppVolume", "remoteAppVolume: nonsense")
    lost = {"member": ["bob"], "group": ["alice"], "gone": ["bob"]}.get(change, ["alice", "bob"])
    found = compared(directory, file)
    assert not found.is_identical
    assert [each.user_name for each in found.differences] == lost
    for each in found.differences:
        assert each.missing == ((MAYAVI, Policy.of(allow_home=True)),)
        assert each.added == ()
    assert found.images == ([MAYAVI] if change == "application" else [])


def opened(directory: Directory) -> AbstractContextManager[Store]:
    return closing(Store(load(**directory.database_kwargs())))


def compared(directory: Directory, file: Path) -> Comparison:
    with opened(directory) as store:
        return compare(store, CSVSource(str(file)))

"""``ldapdb import``: the host's SQL database and CSV file, as it writes them."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.moving import measure
from ldapdb.migrate.csv_source import HEADER
from ldapdb.settings import load
from ldapdb.store import Store
from support import Directory
from support.moving import Right, csv_file, database, ldapdb, rights, row
from support.postgresql import copied, postgresql

pytestmark = pytest.mark.live("openldap", reason="it grants as the other suites try")
everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)

MAYAVI, NOTEBOOK = "simphony/mayavi:0.5", "simphony/notebook:1.1"


@everywhere
@pytest.mark.lengthy
def test_what_the_host_s_database_says_is_granted(directory: Directory, tmp_path: Path) -> None:
    """And what cannot be, is named with its place; the second time there is nothing to do."""
    for name in ("alice", "bob"):
        directory.person(name)
    url = database(
        tmp_path / "remoteapp.db",
        [
            ("alice", MAYAVI, {"allow_home": 1, "app_license": "KEY"}),
            ("alice", NOTEBOOK, {"app_license": ""}),
            (
                "bob",
                MAYAVI,
                {
                    "allow_common": 1,
                    "volume_source": "/data",
                    "volume_target": "/mnt",
                    "volume_mode": "ro",
                    "allow_startup_data": 1,
                },
            ),
            ("bob", NOTEBOOK, {"allow_common": 1, "volume_source": "/data"}),
            ("nobody", MAYAVI, {}),
            ("bob", "<img>", {}),
        ],
    )
    done = ldapdb(directory, "import", url, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["registered"] == [MAYAVI, NOTEBOOK]
    assert said["unknown_users"] == ["nobody"]
    left_out = [f"accounting {number:032x}" for number in (4, 6)]
    assert [each["where"] for each in said["skipped"]] == [*left_out, "application"]
    assert rights(directory) == {
        "alice": {
            MAYAVI: "('KEY', True, False, None, False)",
            NOTEBOOK: "(None, False, False, None, False)",
        },
        "bob": {MAYAVI: "(None, False, False, '/data:/mnt:ro', True)"},
    }
    again = json.loads(ldapdb(directory, "import", url, "--yes", "--json").stdout)
    assert again["registered"] == []
    assert [each["users"] for each in again["granted"]] == [[], [], []]
    assert [each["there"] for each in again["granted"]] == [1, 1, 1]


def test_a_database_of_a_release_before_2_2_has_fewer_columns(
    directory: Directory, tmp_path: Path
) -> None:
    directory.person("alice")
    url = database(tmp_path / "old.db", [("alice", MAYAVI, {"allow_view": 1})], release="2.1")
    assert ldapdb(directory, "import", url, "--yes").returncode == 0
    assert rights(directory)["alice"] == {MAYAVI: "(None, False, True, None, False)"}


@pytest.mark.slow
def test_the_host_s_database_may_be_in_postgresql(directory: Directory, tmp_path: Path) -> None:
    """Where `user` is a word of the language and a boolean no number; its errors are one line."""
    common = {"allow_common": 1, "volume_source": "/d", "volume_target": "/d", "volume_mode": "ro"}
    everybody: list[Right] = [("alice", MAYAVI, {"allow_home": 1}), ("Zoë", NOTEBOOK, common)]
    everybody += [(f"user{number:03}", MAYAVI, {"app_license": "KEY"}) for number in range(50)]
    for name, _, _ in everybody:
        directory.person(name)
    lite = database(tmp_path / "lite.db", everybody)
    with postgresql(tmp_path) as url:
        done = ldapdb(directory, "import", copied(lite, url), "--yes")
        assert (done.returncode, "52 of 52\n" in done.stderr) == (0, True), done.stderr
        assert ldapdb(directory, "compare", url).stdout == "identical\n"
        refused = ldapdb(directory, "compare", url.replace("se7ret", "s3cret"))
    gone = ldapdb(directory, "compare", url)
    for done, said in ((refused, "password"), (gone, "connect")):
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert re.search(f"/postgres cannot be read: .*{said}", done.stderr)
        assert not re.search("s[e3].ret", done.stderr)
    assert ldapdb(directory, "compare", lite).stdout == "identical\n"


def test_a_csv_file_is_read_in_both_its_forms(directory: Directory, tmp_path: Path) -> None:
    directory.person("alice")
    new = csv_file(tmp_path / "new.csv", [row("alice", MAYAVI, app_license='K"E,Y')])
    assert ldapdb(directory, "import", new, "--yes").returncode == 0
    header = tuple(
        n for n in HEADER if n.partition(".")[2] not in {"app_license", "allow_startup_data"}
    )
    old_row = {name: value for name, value in row("alice", NOTEBOOK).items() if name in header}
    text = Path(csv_file(tmp_path / "old.csv", [old_row], header)).read_text(encoding="utf-8")
    done = ldapdb(directory, "import", "-", "--yes", typed="\ufeff" + text)
    assert done.returncode == 0, done.stderr
    assert rights(directory)["alice"] == {
        MAYAVI: "('K\"E,Y', False, False, None, False)",
        NOTEBOOK: "(None, False, False, None, False)",
    }


def test_without_anybody_to_ask_only_the_plan_is_printed(
    directory: Directory, tmp_path: Path
) -> None:
    """It says who is left out, and no licence."""
    directory.person("alice")
    file = csv_file(
        tmp_path / "a.csv", [row("alice", MAYAVI, app_license="KEY-7"), row("zoe", MAYAVI)]
    )
    done = ldapdb(directory, "import", file)
    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert f"register {MAYAVI}" in done.stdout
    assert f"grant {MAYAVI} to 1 users, policy: licence (not shown)" in done.stdout
    assert "skip user 'zoe': not in the directory" in done.stdout
    assert "KEY-7" not in done.stdout + done.stderr
    assert rights(directory) == {"alice": {}}


def test_the_changes_can_be_had_as_ldif(directory: Directory, tmp_path: Path) -> None:
    directory.person("alice")
    file = csv_file(tmp_path / "a.csv", [row("alice", MAYAVI, allow_home="1")])
    done = ldapdb(directory, "import", file, "--ldif")
    assert done.returncode == 0, done.stderr
    assert rights(directory) == {"alice": {}}
    directory.server.ldapmodify(done.stdout)
    assert rights(directory)["alice"] == {MAYAVI: "(None, True, False, None, False)"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user.name,application.image\nalice,x\n", "line 1: the header lacks 'policy.allow_home'"),
        (",".join((*HEADER, "colour")) + "\n", "line 1: the header has unknown 'colour'"),
        (",".join(HEADER) + "\nalice,a/b:1,,yes,0,0,,,,0\n", "line 2: policy.allow_home is 'yes'"),
        (",".join(HEADER) + "\nalice,a/b:1,,1,0,0,,,,0\nalice,a/b", "line 3: 2 values, not 10"),
        (",".join(HEADER) + '\nalice,"a/b:1,,1,0,0,,,,0\n', "line 2: "),
        ("", "line 1: it is empty; there must be the columns"),
    ],
)
@pytest.mark.lengthy
def test_a_csv_file_that_is_none_is_refused_whole(
    directory: Directory, tmp_path: Path, text: str, said: str
) -> None:
    """The line is named, the exit code is 2, and the good rows before it are not taken either."""
    directory.person("alice")
    file = tmp_path / "bad.csv"
    file.write_text(text, encoding="utf-8")
    done = ldapdb(directory, "import", str(file), "--yes")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert rights(directory) == {"alice": {}}


def test_a_file_in_another_encoding_is_refused(directory: Directory, tmp_path: Path) -> None:
    file = tmp_path / "latin.csv"
    file.write_bytes((",".join(HEADER) + "\nJ\xf6rg,a/b:1,,1,0,0,,,,0\n").encode("latin-1"))
    done = ldapdb(directory, "import", str(file), "--yes")
    assert done.returncode == 2
    assert "UTF-8" in done.stderr


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("sqlite:////nonexistent/remoteapp.db", 2, "no such file"),
        ("nonsense://user:se7ret@server/name", 1, "no driver"),
        ("postgresql://user:se7ret@127.0.0.1:1/name", 1, "postgresql://user:***@127.0.0.1:1/name"),
        ("my db://user:se7ret@server", 2, "URL of the database"),
        ("nonsense:///db?user=u&password=se7ret", 1, "nonsense:///db: no driver"),
        ("sqlite:////nonexistent?password=se7ret", 2, "sqlite:////nonexistent: there is no"),
        ("/nonexistent.csv", 1, "cannot be read"),
    ],
)
@pytest.mark.lengthy
def test_a_source_that_cannot_be_read_is_one_line(
    directory: Directory, source: str, code: int, said: str
) -> None:
    """Without the password of its URL."""
    done = ldapdb(directory, "import", source, "--yes")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "se7ret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_another_database_is_refused(directory: Directory, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE user (id INTEGER)")
    connection.close()
    done = ldapdb(directory, "import", f"sqlite:///{tmp_path / 'other.db'}", "--yes")
    assert done.returncode == 2
    assert "no table 'application'" in done.stderr


@everywhere
@pytest.mark.slow
def test_many_members_are_added_in_few_writes(directory: Directory, tmp_path: Path) -> None:
    """Some are in it already; those are found, and the others come a hundred at a time."""
    names = [f"user{number:03}" for number in range(160)]
    for name in names:
        directory.person(name)
    first = csv_file(tmp_path / "first.csv", [row(name, MAYAVI) for name in names[:30]])
    assert ldapdb(directory, "import", first, "--yes").returncode == 0
    whole = csv_file(tmp_path / "whole.csv", [row(name, MAYAVI) for name in names])
    with directory.operations() as operations:
        done = ldapdb(directory, "import", whole, "--yes", counted=True)
    assert done.returncode == 0, done.stderr
    assert "30 have it already" in done.stdout
    assert "130 of 130" in done.stderr
    assert operations.count("MOD") == 2
    assert all(MAYAVI in each for each in rights(directory).values())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc tells of memory here")
def test_more_rows_take_little_more_memory(directory: Directory, tmp_path: Path) -> None:
    """None of them is kept: of each right there is a name, and its place in the plan."""
    names = [f"user{number:03}" for number in range(100)]
    for name in names:
        directory.person(name)
    images = [f"simphony/app:{number}" for number in range(150)]
    common = {"allow_common": 1, "volume_source": "/d", "volume_target": "/d", "volume_mode": "ro"}
    rows = [(name, image, common) for image in images for name in names]
    few = database(tmp_path / "few.db", rows[: len(names)])
    many = database(tmp_path / "many.db", rows)
    settings = directory.database_kwargs()
    before = measure("few", settings, "import", few, "--yes")
    after = measure("many", settings, "import", many, "--yes")
    assert " to grant, 100 there already" in measure("few", settings, "import", few, "--yes").said
    grown = 1_000_000 * (after.megabytes - before.megabytes) / (len(rows) - len(names))
    assert grown < 400, (before, after)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let what a test starts hear SIGINT, which a shell ignores for what is in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_what_was_broken_off_goes_on(directory: Directory, tmp_path: Path) -> None:
    """Ctrl-C in the middle says how to go on; what was granted by then is whole."""
    names = [f"user{number:03}" for number in range(300)]
    for name in names:
        directory.person(name)
    images = [f"simphony/app:{number}" for number in range(20)]
    file = csv_file(tmp_path / "many.csv", [row(name, image) for name in names for image in images])
    kwargs = directory.database_kwargs()
    environment = {f"LDAPDB_{key.upper()}": value for key, value in kwargs.items() if value}
    process = subprocess.Popen(
        [sys.executable, "-m", "ldapdb", "import", file, "--yes"],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if " of 6000" in line and line.startswith("1"):
            process.send_signal(signal.SIGINT)
            break
    left = process.stderr.read()
    assert process.wait(30) == 1
    process.stderr.close()
    assert "give the same command again to go on" in left
    began = time.monotonic()
    again = ldapdb(directory, "import", file, "--yes", "--json")
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - began < 60
    assert sum(each["there"] for each in json.loads(again.stdout)["granted"]) >= 1000
    assert {len(each) for each in rights(directory).values()} == {len(images)}


def test_a_name_that_two_have_is_not_taken_for_either(directory: Directory, tmp_path: Path) -> None:
    """Also where it is a further name of one of them, who is imported himself, too."""
    for name in ("alice", "bob"):
        directory.person(name)
    directory.change(directory.dn_of("bob"), "add: uid", "uid: alice")
    directory.application(MAYAVI)
    path = csv_file(tmp_path / "rights.csv", [row("alice", MAYAVI), row("bob", MAYAVI)])
    done = ldapdb(directory, "import", path, "--yes")
    assert "the user name 'alice' belongs to 2 entries" in done.stdout + done.stderr
    with closing(Store(load(**directory.database_kwargs()))) as store:
        (listed,) = store.list_grants()
    assert listed.members == 1

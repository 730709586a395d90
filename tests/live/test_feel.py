"""How the command line feels: completion in real shells, colours, CSV, profiles."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ldapdb import LDAPDatabase
from support import Directory
from support.moving import csv_file, row
from support.terminal import Terminal

pytestmark = pytest.mark.live(
    "openldap",
    reason="no shell or terminal knows which directory it is; the search for users has its own",
)

IMAGE = "simphony/mayavi:0.5"
ROOT = Path(__file__).resolve().parents[2]
SHELLS = ROOT / ".cache" / "shells"
SCRIPTS = str(Path(sys.executable).parent)


def settings_of(directory: Any) -> dict[str, str]:
    """Write a directory's settings as variables."""
    kwargs = directory.database_kwargs()
    return {f"LDAPDB_{key.upper()}": str(value) for key, value in kwargs.items() if value}


def environment(directory: Any, **more: str) -> dict[str, str]:
    """Name `ldapdb` on PATH, its directory and nothing else."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = f"{SCRIPTS}:/usr/local/bin:/usr/bin:/bin"
    return {**kept, "PATH": path, **settings_of(directory), **more}


def ldapdb(directory: Any, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ldapdb", *arguments],
        env=environment(directory, **more),
        capture_output=True,
        text=True,
        check=False,
    )


def completed(directory: Any, line: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Ask for the completions of a line as the script for bash does."""
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_WORDBREAKS": " :="}
    return ldapdb(directory, _LDAPDB_COMPLETE="bash_complete", **asked, **more)


def unpacked(name: str) -> str:
    """Find a shell that .ci/shells has fetched; on a laptop it may be missing."""
    for folder in (SHELLS / "bin", SHELLS / "usr/bin"):
        if (folder / name).exists():
            return str(folder / name)
    if os.environ.get("CI") == "true" and (ROOT / ".ci").is_dir():  # not in the wheel's tests
        pytest.fail(f"{name} is not in .cache/shells; run: bash .ci/prepare machine")
    pytest.skip(f"{name} is not in .cache/shells")


@pytest.fixture
def company(directory: Directory) -> Directory:
    """Fill a directory with three people and two images."""
    for name in ("alice", "bob", "bobby"):
        directory.person(name)
    directory.application(IMAGE)
    directory.application("simphony/notebook:1.0")
    return directory


# --- completion


@pytest.fixture
def bash(company: Directory) -> Iterator[Terminal]:
    """Start a bash that completes."""
    program = shutil.which("bash")
    assert program is not None
    arguments = [program, "--norc", "--noprofile", "-i"]
    with Terminal.running(arguments, environment(company, PS1="READY> ")) as shell:
        shell.type('eval "$(ldapdb completion bash)"; echo is"on"\n')
        shell.wait_for("ison")
        yield shell


@pytest.mark.slow
def test_bash_completes_what_is_typed(bash: Terminal) -> None:
    """Users in any case, images up to and behind their colon, commands, options, files."""
    for typed, shown in (
        ("ldapdb explain AL\t", "ldapdb explain ALice "),
        ("ldapdb who simphony/may\t", f"ldapdb who {IMAGE} "),
        ("ldapdb who simphony/mayavi:\t", f"ldapdb who {IMAGE} "),
        ("ldapdb app grant --allow-h\t", "ldapdb app grant --allow-home "),
        ("ldapdb --config-file /etc/nsswitch.con\t", "ldapdb --config-file /etc/nsswitch.conf "),
    ):
        bash.clear()
        bash.type(typed)
        assert shown in re.sub("[\x07\r\n]", "", bash.wait_for(re.escape(shown)))
        bash.type("\x15")  # the line is gone
    bash.clear()
    bash.type("ldapdb user show bob\t\t")
    assert re.search(r"bob +bobby", bash.wait_for("bobby"))


@pytest.mark.slow
def test_zsh_completes_what_is_typed(company: Directory, tmp_path: Path) -> None:
    program = unpacked("zsh")
    modules = next((SHELLS / "usr/lib").glob("*/zsh/*"))
    functions = f"{SHELLS}/usr/share/zsh/functions"
    (tmp_path / ".zshrc").write_text(
        f"module_path=({modules})\nfpath=({functions}/**/*(/N))\n"
        "autoload -U compinit\ncompinit -u -D\nPS1='READY> '\n"
        'eval "$(ldapdb completion zsh)"; echo is"on"\n'
    )
    more = environment(company, ZDOTDIR=str(tmp_path), HOME=str(tmp_path))
    with Terminal.running([program, "-i"], more) as shell:
        shell.wait_for("ison")
        for typed, added in (("explain AL\t", "ice"), ("who simphony/may\t", "avi:0.5")):
            shell.clear()
            shell.type(f"ldapdb {typed}")
            shell.wait_for(re.escape(added))
            shell.type("\x15")


@pytest.mark.lengthy
def test_fish_completes_what_is_typed(company: Directory, tmp_path: Path) -> None:
    program = unpacked("fish")
    libraries = ":".join(str(each) for each in (SHELLS / "usr/lib").glob("*-linux-*"))
    more = {"HOME": str(tmp_path), "LD_LIBRARY_PATH": libraries}
    for line, found in (
        ("ldapdb user show bo", ["bob", "bobby"]),
        ("ldapdb who simphony/mayavi:", [IMAGE]),
    ):
        script = f"ldapdb completion fish | source; complete -C '{line}'"
        done = subprocess.run(
            [program, "-c", script],
            env=environment(company, **more),
            capture_output=True,
            text=True,
            check=True,
        )
        assert (done.stdout.split(), done.stderr) == (found, "")


@pytest.mark.live("openldap", "389ds", "ad", stock=True)
@pytest.mark.lengthy
def test_users_are_completed_by_the_start_of_their_name(directory: Directory) -> None:
    """By a search, in any case, with what may stand in a name."""
    for name in ("alice", "bob", "bobby"):
        directory.person(name)
    for typed, found in (("bo", "bob bobby"), ("BOBB", "BOBBy"), ("*", "")):
        done = completed(directory, f"ldapdb user show {typed}")
        assert (" ".join(done.stdout.split()), done.stderr, done.returncode) == (found, "", 0)


def test_what_a_shell_would_not_take_for_a_name_is_not_offered(company: Directory) -> None:
    """Nobody gets a command into an administrator's line by how he is called."""
    for name in ("eve;reboot", "eve$(reboot)", "eve`reboot`", "eve reboot", "eve*", "eve-2.x@y"):
        company.person(name, rdn="cn")
    company.person("bill", attributes={"mail": ["zed@example.org"]})
    assert completed(company, "ldapdb user show eve").stdout == "eve-2.x@y\n"
    done = completed(company, "ldapdb user show zed", LDAPDB_USER_NAME_ATTRIBUTE="uid,mail")
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_no_more_users_are_offered_than_a_terminal_holds(company: Directory) -> None:
    for number in range(60):
        company.person(f"many{number:03}")
    assert len(completed(company, "ldapdb user show many").stdout.split()) == 50


@pytest.mark.slow
def test_whatever_fails_is_no_completion_and_no_word(company: Directory, tmp_path: Path) -> None:
    """No server, a wrong setting, a wrong file: silence, and a second later at most."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()  # and never answers
    file = tmp_path / "ldapdb.toml"
    file.write_text("profiles = 5\n")
    began = time.monotonic()
    assert completed(company, "ldapdb user show al").stdout == "alice\n"
    usual = time.monotonic() - began
    with silent:
        for more in (
            {"LDAPDB_URI": "ldap://127.0.0.1:1"},
            {"LDAPDB_URI": f"ldap://127.0.0.1:{silent.getsockname()[1]}"},
            {"LDAPDB_PAGE_SIZE": "many"},
            {"LDAPDB_BIND_PASSWORD": "wrong"},
            {"LDAPDB_CONFIG_FILE": str(file)},
        ):
            began = time.monotonic()
            done = completed(company, "ldapdb user show al", **more)
            assert (done.stdout.strip(), done.stderr, done.returncode) == ("", "", 0), more
            assert time.monotonic() - began < 2 * usual + 1.5, more
    done = completed(company, "ldapdb --profile x", LDAPDB_CONFIG_FILE=str(file))
    assert (done.stdout.strip(), done.stderr) == ("", "")


# --- profiles


@pytest.mark.slow
def test_profiles_choose_the_directory_and_are_completed(
    company: Directory, tmp_path: Path
) -> None:
    """Each has its own server; a completion asks the one that stands in the line."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in company.database_kwargs().items()]
    uri = next(line for line in lines if line.startswith("uri"))
    lines.remove(uri)
    file = tmp_path / "ldapdb.toml"
    file.touch(mode=0o600)
    dead = 'uri = "ldap://127.0.0.1:1"'
    file.write_text("\n".join([*lines, "[profiles.prod]", uri, "[profiles.proof]", dead]))
    bare = settings_of(company)

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        kept = environment(company)
        given = {name: value for name, value in kept.items() if name not in bare}
        return subprocess.run(
            [sys.executable, "-m", "ldapdb", *arguments],
            env={**given, "LDAPDB_CONFIG_FILE": str(file), **more},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("--profile", "prod", "user", "show", "alice").returncode == 0
    assert run("--profile", "proof", "user", "show", "alice").returncode == 3
    with LDAPDatabase(config_file=str(file), profile="prod") as database:
        assert database.get_user(user_name="alice").name == "alice"
    unknown = run("--profile", "pord", "user", "show", "alice")
    assert unknown.returncode == 2
    assert unknown.stderr.endswith("there is: 'prod', 'proof'\n")
    for line, found in (
        ("ldapdb --profile pro", "prod proof"),
        ("ldapdb --profile prod user show al", "alice"),
    ):
        asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_WORDBREAKS": " :="}
        done = run(_LDAPDB_COMPLETE="bash_complete", **asked)
        assert (" ".join(done.stdout.split()), done.stderr) == (found, "")


# --- forms


@pytest.mark.lengthy
def test_no_cell_is_cut(company: Directory, tmp_path: Path) -> None:
    """However long what the directory or another backend says, in a table as in CSV."""
    deep = company.groups_base
    for letter in "abcdef":
        deep = company.unit(letter * 200, deep)
    gone = f"uid=gone,{deep}"
    team = company.group("team", company.dn_of("alice"), parent=deep)
    grant = company.granted("g", images=[IMAGE], members=[team, gone])
    volume = f"/{'v' * 1100}:/mnt:ro".split(":")
    parts = dict(zip(("volume_source", "volume_target", "volume_mode"), volume))
    path = csv_file(tmp_path / "other.csv", [row("alice", IMAGE, allow_common="1", **parts)])
    for command, column, cell in (
        (["who", IMAGE], "THROUGH", f"{team} > {grant}"),
        (["lint"], "WHY", gone),
        (["compare", path], "POLICY", f"volume {':'.join(volume)}"),
    ):
        table = csv.DictReader(io.StringIO(ldapdb(company, *command, "--csv").stdout, newline=""))
        assert [each for each in table if cell in each[column]], command
        assert cell in ldapdb(company, *command).stdout


def test_csv_is_what_json_is(company: Directory) -> None:
    """Cells with commas and quotes come back whole (RFC 4180); lines end with CR LF."""
    company.person('o\'neil,"x"', rdn="cn")
    table = ldapdb(company, "user", "list", "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    as_json = json.loads(ldapdb(company, "user", "list", "--json").stdout)
    assert [(row["USER"], row["ID"]) for row in rows] == [
        (each["name"], str(each["id"])) for each in as_json
    ]
    assert len(rows) == 4


@pytest.mark.lengthy
def test_grants_and_what_explains_them_have_csv_too(company: Directory) -> None:
    """What was revoked has the rows of what was granted, and a "no" has none."""
    grant = ("app", "grant", IMAGE, "alice", "bob", "--csv")
    granted = ldapdb(company, *grant).stdout
    assert granted.splitlines()[0] == "IMAGE,MEMBER,ID"
    told = json.loads(ldapdb(company, "explain", "alice", IMAGE, "--json").stdout)
    assert granted.splitlines()[1] == f"{IMAGE},alice,{told['rights'][0]['id']}"
    [row] = csv.DictReader(io.StringIO(ldapdb(company, "explain", "alice", IMAGE, "--csv").stdout))
    [way] = told["rights"][0]["ways"]
    assert (row["IMAGE"], row["MAY"], row["THROUGH"]) == (IMAGE, "yes", way["grant"])
    assert ldapdb(company, "app", "revoke", IMAGE, "alice", "bob", "--csv").stdout == granted
    no = ldapdb(company, "explain", "alice", IMAGE, "--csv")
    assert (no.returncode, no.stdout) == (1, "IMAGE,MAY,POLICY,TIME,THROUGH\n")
    assert "is not a member" in no.stderr
    refused = ldapdb(company, *grant, "--ldif")
    assert (refused.returncode, "choose one" in refused.stderr) == (2, True)


@pytest.mark.lengthy
def test_csv_has_a_header_unless_it_is_not_wanted(company: Directory) -> None:
    company.granted("g", images=[IMAGE], members=[company.dn_of("alice")])
    for arguments, header in (
        (("user", "list", "--show-apps"), "USER,IMAGE,POLICY"),
        (("who", IMAGE), "USER,MAY,POLICY,TIME,THROUGH"),
    ):
        whole = ldapdb(company, *arguments, "--csv").stdout.splitlines()
        assert whole[0] == header
        assert len(whole) > 1
        bare = ldapdb(company, *arguments, "--csv", "--no-decoration").stdout.splitlines()
        assert bare == whole[1:]


@pytest.mark.lengthy
def test_colours_are_for_a_terminal_that_wants_them(company: Directory) -> None:
    """NO_COLOR (no-color.org) takes them away, and so does a pipe."""
    company.granted("g", images=[IMAGE], members=[company.dn_of("alice")])
    arguments = [sys.executable, "-m", "ldapdb", "explain", "alice", IMAGE]
    colour = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    with Terminal.running(arguments, environment(company)) as terminal:
        assert colour.search(terminal.rest())
    with Terminal.running(arguments, environment(company, NO_COLOR="1")) as terminal:
        seen = terminal.rest()
    assert "yes: alice may start" in seen
    assert not colour.search(seen)
    assert "\x1b" not in ldapdb(company, "explain", "alice", IMAGE).stdout

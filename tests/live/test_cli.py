"""The command line and the demo, as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from support import Directory

pytestmark = pytest.mark.live(
    "openldap",
    reason="commands only call the store, which the other suites try",
)

everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE = "simphony/mayavi:0.5"


def ldapdb(directory: Any, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kwargs = directory.database_kwargs() if directory else {}
    settings = {f"LDAPDB_{key.upper()}": value for key, value in kwargs.items() if value}
    return subprocess.run(
        [sys.executable, "-m", "ldapdb", *arguments],
        env={**os.environ, **settings, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@everywhere
@pytest.mark.slow
def test_an_administrators_day(directory: Directory) -> None:
    """Register, grant, look, revoke, remove: each command prints what is needed next."""
    directory.person("alice")
    created = ldapdb(directory, "app", "create", IMAGE, "--no-verify")
    assert created.returncode == 0, created.stderr
    assert created.stdout.strip().isdecimal()
    volume = "/data:/mnt:ro"
    policy = ("--allow-home", "--app_license", "KEY", "--volume", volume, "--allow-startup-data")
    granted = ldapdb(directory, "app", "grant", IMAGE, "alice", *policy)
    assert granted.returncode == 0, granted.stderr
    shown = json.loads(ldapdb(directory, "user", "show", "alice").stdout)
    assert shown["accounting"] == [
        {
            "id": granted.stdout.strip(),
            "image": IMAGE,
            "policy": {
                "app_license": "KEY",
                "allow_home": True,
                "allow_view": False,
                "allow_common": True,
                "volume_source": "/data",
                "volume_target": "/mnt",
                "volume_mode": "ro",
                "allow_startup_data": True,
            },
        }
    ]
    told = ldapdb(directory, "user", "list", "--show-apps", "--json", "--show-licences")
    listed = json.loads(told.stdout)
    assert listed == [shown]
    assert ldapdb(directory, "app", "list", "--no-decoration").stdout.split("\t")[0] == IMAGE
    revoked = ldapdb(directory, "app", "revoke", IMAGE, "alice", "--revoke-all", "--json")
    assert json.loads(revoked.stdout)["revoked"] == [granted.stdout.strip()]
    assert json.loads(ldapdb(directory, "user", "show", "alice").stdout)["accounting"] == []
    removed = ldapdb(directory, "app", "remove", IMAGE, "--json")
    assert json.loads(removed.stdout) == {"image": IMAGE, "removed": True}


@everywhere
@pytest.mark.slow
def test_init_makes_the_tree_and_may_be_repeated(directory: Directory) -> None:
    base = f"ou=other,{directory.suffix}"
    environment = {"LDAPDB_BASE_DN": base}
    first = ldapdb(directory, "init", **environment)
    assert first.stdout.splitlines() == [
        base,
        f"ou=applications,{base}",
        f"ou=grants,{base}",
    ]
    again = ldapdb(directory, "init", "--json", **environment)
    assert json.loads(again.stdout) == {"created": []}
    assert ldapdb(directory, "app", "create", IMAGE, "--no-verify", **environment).returncode == 0


@pytest.mark.parametrize(
    ("code", "arguments", "environment"),
    [
        (1, ("app", "grant", IMAGE, "alice"), {}),
        (1, ("user", "show", "nobody"), {}),
        (2, ("app", "create", "NOT AN IMAGE", "--no-verify"), {}),
        (2, ("app", "grant", IMAGE, "alice", "--volume", "/a"), {}),
        (2, ("user", "frobnicate"), {}),
        (2, ("user", "list"), {"LDAPDB_CACHE_TLL_SECONDS": "5"}),
        (2, ("user", "list"), {"LDAPDB_BIND_PASSWORD": "hunter2"}),
        (2, ("--config-file", "/nonexistent.toml", "user", "list"), {}),
        (3, ("user", "list"), {"LDAPDB_URI": "ldap://127.0.0.1:1"}),
    ],
)
@pytest.mark.lengthy
def test_exit_codes(
    directory: Directory, code: int, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    """0 done, 1 failed, 2 misused, 3 no server; the reason on standard error alone."""
    done = ldapdb(directory, *arguments, **environment)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_a_base_of_grants_that_is_mistyped_does_not_look_like_no_applications(
    directory: Directory,
) -> None:
    directory.person("alice")
    done = ldapdb(
        directory, "user", "show", "alice", LDAPDB_GRANTS_BASE=f"ou=grant,{directory.base_dn}"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "grants_base" in done.stderr


def test_a_duplicate_create_fails(directory: Directory) -> None:
    directory.application(IMAGE)
    done = ldapdb(directory, "app", "create", IMAGE, "--no-verify")
    assert done.returncode == 1
    assert "exists already" in done.stderr


def test_settings_come_from_a_toml_file(directory: Directory, tmp_path: Any) -> None:
    kwargs = directory.database_kwargs()
    file = tmp_path / "ldapdb.toml"
    file.touch(mode=0o600)
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in kwargs.items()))
    assert ldapdb(None, "--config-file", str(file), "user", "list").returncode == 0


def test_create_without_a_docker_engine_says_what_to_do(directory: Directory) -> None:
    done = ldapdb(directory, "app", "create", IMAGE, DOCKER_HOST="unix:///nonexistent.sock")
    assert done.returncode == 1
    assert "--no-verify" in done.stderr
    assert json.loads(ldapdb(directory, "app", "list", "--json").stdout) == []


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    from click import Context, Group

    from ldapdb.cli import main, run

    def visit(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        found = [path]
        if isinstance(command, Group):
            for name in command.list_commands(Context(command)):
                found += visit(command.get_command(Context(command), name), (*path, name))
        return found

    paths = visit(main, ())
    assert len(paths) >= 12
    for path in paths:
        assert run([*path, "--help"]) == 0, path
        assert "Example: ldapdb" in capsys.readouterr().out, path


@pytest.mark.slow
def test_the_demo_plays_through_and_leaves_nothing(tmp_path: Any) -> None:
    done = ldapdb(None, "demo", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "it has turned over: 0 left" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.lengthy
def test_the_kept_demo_says_where_it_is_and_ends_cleanly(tmp_path: Any, ending: int) -> None:
    from ldapdb import LDAPDatabase

    demo = subprocess.Popen(
        [sys.executable, "-m", "ldapdb", "demo", "--keep", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    try:
        said = json.loads(demo.stdout.readline())
        assert set(said) == {"database_kwargs", "admin", "base_dn", "users_base", "groups_base"}
        assert set(said["admin"]) == {"uri", "bind_dn", "bind_password"}
        with LDAPDatabase(**said["database_kwargs"]) as database:
            assert len(database.list_users()) == 60
    finally:
        demo.send_signal(ending)
        code = demo.wait(10)
    assert code == 0
    assert demo.stdout.read() == ""
    demo.stdout.close()
    end = time.monotonic() + 5
    while list(tmp_path.iterdir()):
        assert time.monotonic() < end


def test_where_slapd_is_missing_the_demo_says_what_to_install() -> None:
    program = (
        "import ldapdb.embedded as embedded, sys; embedded._SERVER_FOLDERS = ();"
        "from ldapdb.cli import run; sys.exit(run(['demo']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for system in ("Debian", "Fedora", "macOS"):
        assert system in done.stderr

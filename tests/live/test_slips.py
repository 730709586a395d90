"""What whoever is new to the command line types wrong, and what the answer is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from support import Directory
from support.openldap import Another

pytestmark = pytest.mark.live(
    "openldap",
    reason="commands only call the store, which the other suites try",
)

IMAGE, OTHER = "simphony/mayavi:0.5", "simphony/paraview:1.0"


def ldapdb(directory: Any, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kwargs = directory.database_kwargs()
    settings = {f"LDAPDB_{key.upper()}": str(value) for key, value in kwargs.items() if value}
    return subprocess.run(
        [sys.executable, "-m", "ldapdb", *arguments],
        env={**os.environ, **settings, **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def company(directory: Directory) -> Directory:
    """Fill a directory with two people, a group and two images."""
    alice = directory.person("alice")
    bob = directory.person("bob")
    team = directory.group("staff", alice, bob)
    for image in (IMAGE, OTHER):
        directory.application(image)
    directory.granted("one", images=[IMAGE], members=[alice], home="TRUE")
    directory.granted("two", images=[IMAGE, OTHER], members=[team, bob])
    return directory


@pytest.mark.lengthy
def test_what_is_not_revoked_is_said_with_what_there_is(company: Directory) -> None:
    """Under another policy than was meant, and how all are taken."""
    done = ldapdb(company, "app", "revoke", IMAGE, "alice", "--allow-view")
    assert done.returncode == 0
    assert "nothing was revoked; has it under: home" in done.stderr
    assert "--all" in done.stderr
    done = ldapdb(company, "app", "revoke", IMAGE, "alice", "--allow-view", "--json")
    assert [each["allow_home"] for each in json.loads(done.stdout)["others"]] == [True]
    done = ldapdb(company, "app", "revoke", OTHER, "alice", "--all")
    assert "has it under" not in done.stderr


@pytest.mark.lengthy
def test_removing_an_application_says_what_goes_along(company: Directory) -> None:
    """Before, with --dry-run, and when it is done; a slip is answered with what may be meant."""
    slip = ldapdb(company, "app", "remove", "simphony/mayavy:0.5")
    assert slip.returncode == 0
    assert slip.stderr == f"simphony/mayavy:0.5 was not registered; did you mean {IMAGE!r}?\n"
    for options in (["--dry-run"], []):
        done = ldapdb(company, "app", "remove", IMAGE, *options)
        assert done.returncode == 0
        assert f"2 grants of {IMAGE} go with it, to 3 users and groups" in done.stderr
    done = ldapdb(company, "app", "remove", OTHER)
    assert f"1 grant of {OTHER} goes with it, to 2 users and groups" in done.stderr
    assert ldapdb(company, "app", "remove", OTHER).stderr == f"{OTHER} was not registered\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("user", "show", "alicee"), "did you mean 'alice'?"),
        (("explain", "alcie"), "did you mean 'alice'?"),
        (("user", "show", "staff"), "'staff' is a group"),
        (("app", "grant", IMAGE, "staff"), "take by --group"),
        (("app", "grant", "simphony/Mayavi:0.5", "alice"), "its name must not have capitals"),
    ],
)
@pytest.mark.lengthy
def test_a_name_that_there_is_not_is_answered_with_what_was_perhaps_meant(
    company: Directory, line: tuple[str, ...], said: str
) -> None:
    done = ldapdb(company, *line)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_account_that_may_not_write_is_named(another_directory: Another) -> None:
    """The file of settings that the pages begin with has the reader's."""
    everybody_reads = "olcAccess: to * by users read by anonymous auth by * none\n"
    with another_directory(access=everybody_reads) as directory:
        directory.person("reader", attributes={"userPassword": ["reads-only"]})
        reader = directory.dn_of("reader")
        given = {"LDAPDB_BIND_DN": reader, "LDAPDB_BIND_PASSWORD": "reads-only"}
        done = ldapdb(directory, "app", "create", IMAGE, "--no-verify", **given)
    assert done.returncode == 1
    assert f" as {reader}; result code 50)" in done.stderr
    assert "the writer of ldif/services.ldif" in done.stderr


@pytest.mark.usefixtures("interruptible")
@pytest.mark.lengthy
def test_a_rename_that_is_broken_off_says_how_far_it_is_and_how_it_goes_on(
    company: Directory,
) -> None:
    new = "simphony/mayavi:0.6"
    kwargs = company.database_kwargs()
    settings = {f"LDAPDB_{key.upper()}": str(value) for key, value in kwargs.items() if value}
    process = subprocess.Popen(
        [sys.executable, "-m", "ldapdb", "app", "rename", IMAGE, new, "--settle", "30"],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "twice 30 s (--settle 30)" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(30) == 1
    process.stderr.close()
    assert f"{IMAGE} is registered still" in said
    assert f"`ldapdb app rename {IMAGE} {new}` finishes it" in said
    assert ldapdb(company, "app", "rename", IMAGE, new, "--settle", "0").returncode == 0
    assert new in ldapdb(company, "app", "list").stdout


def test_a_server_that_is_down_is_said_once(company: Directory) -> None:
    """With what to do; what another server made good is a warning."""
    down = "ldap://127.0.0.1:9"
    done = ldapdb(company, "user", "show", "alice", LDAPDB_URI=down)
    assert done.returncode == 3
    assert done.stderr.count("127.0.0.1:9") == 1
    assert "`ldapdb check`" in done.stderr
    done = ldapdb(company, "user", "show", "alice", LDAPDB_URI=f"{down} {company.server.uri}")
    assert done.returncode == 0
    assert done.stderr.startswith("WARNING: ")
    assert done.stderr.count("\n") == 1


def test_a_tag_that_there_is_not_is_answered_with_those_of_the_same_application(
    company: Directory,
) -> None:
    company.application("simphony/mayava:05")
    done = ldapdb(company, "app", "grant", "simphony/mayavi:05", "alice")
    assert f"did you mean {IMAGE!r}?" in done.stderr
    assert "mayava" not in done.stderr

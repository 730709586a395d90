"""What whoever is new to the command line types wrong, and what the answer is."""

from __future__ import annotations

import json
import os
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


def test_removing_an_application_says_what_goes_along(company: Directory) -> None:
    """Before, with --dry-run, and when it is done; a slip is answered with what may be meant."""
    slip = ldapdb(company, "app", "remove", "simphony/mayavy:0.5")
    assert slip.returncode == 0
    assert slip.stderr == f"simphony/mayavy:0.5 was not registered; did you mean {IMAGE!r}?\n"
    for options in (["--dry-run"], []):
        done = ldapdb(company, "app", "remove", IMAGE, *options)
        assert done.returncode == 0
        assert "2 grants go along, to 3 users and groups" in done.stderr
    done = ldapdb(company, "app", "remove", OTHER)
    assert "1 grant goes along, to 2 users and groups" in done.stderr
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


def test_a_tag_that_there_is_not_is_answered_with_those_of_the_same_application(
    company: Directory,
) -> None:
    company.application("simphony/mayava:05")
    done = ldapdb(company, "app", "grant", "simphony/mayavi:05", "alice")
    assert f"did you mean {IMAGE!r}?" in done.stderr
    assert "mayava" not in done.stderr

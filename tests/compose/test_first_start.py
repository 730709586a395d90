"""Other first starts: README's commands, an own name without the sample, one that is killed."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from compose.stack import CHECKOUT, Stack
from support.waiting import eventually

pytestmark = pytest.mark.compose("openldap")

SUFFIX = "dc=mycompany,dc=com"


def commands() -> list[str]:
    """README's commands that try the stack."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```sh\n(make wheel\n.*?)```", readme, flags=re.DOTALL)
    return str(found).splitlines()


def at_terminal(command: str, stack: Stack) -> str:
    """Run a command as a person does, who has a terminal; return what it printed."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            command,
            shell=True,
            cwd=stack.site,
            env=stack.environment,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_the_commands_of_the_readme_show_a_user(
    site: Path, composer_of: dict[str, list[str]], generation: str
) -> None:
    """One after the other without a wait in between; the first has made the wheel in dist/."""
    wheel, *others = commands()
    assert wheel == "make wheel"
    assert list((site / "dist").glob("ldapdb_remoteapp-*.whl"))
    composer = composer_of[generation]
    with closing(Stack(site, composer, "openldap", "client")) as stack:
        stack.environment["COMPOSE_PROJECT_NAME"] = stack.project
        said = [
            at_terminal(command.replace("docker compose", " ".join(composer)), stack)
            for command in others
        ]
    assert len(said) == 2
    assert "simphony/mayavi:0.5" in said[-1]


@pytest.fixture
def own(site: Path, composer_of: dict[str, list[str]]) -> Iterator[Stack]:
    """A stack that is not started yet, under a name of its own and without the sample."""
    with closing(Stack(site, composer_of["v2"], "openldap", "client")) as stack:
        stack.environment.update(DIRECTORY_SUFFIX=SUFFIX, DIRECTORY_SAMPLE="no")
        yield stack


def test_a_first_start_that_was_killed_is_made_anew_under_an_own_name(own: Stack) -> None:
    """What the first attempt left is not served, and nobody of the made-up company is there."""
    own.compose("up", "--detach", "--no-build")
    container = own.container("openldap")
    assert eventually(lambda: b"filling" in container.logs(), 30)
    container.kill()
    assert b"serving" not in container.logs()
    container.start()
    own.wait_healthy()
    copy = own.copy("openldap")
    assert container.logs().count(b"filling") == 2
    assert f"dn: ou=people,{SUFFIX}\n" in copy
    assert "uid=alice" not in copy
    assert "dc=example" not in copy

"""What the command line asks the Docker engine for, with a real one."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from ldapdb.embedded import EmbeddedDirectory
from ldapdb.engine import Engine, Labels
from ldapdb.settings import load
from ldapdb.store import Store

pytestmark = pytest.mark.compose("openldap")

IMAGE, ABSENT = "simphony/ldapdb-labelled:1", "simphony/ldapdb-absent:1"
_DOCKERFILE = b"""FROM scratch
LABEL eu.simphony-project.docker.ui_name="Mayavi 4.4" \\
      eu.simphony-project.docker.description="Draws [bold]things[/bold]"
"""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Build an image of nothing but labels, as the host reads them."""
    client = _client()
    if client is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Docker engine answers")
        pytest.skip("no Docker engine answers; `.ci/docker make compose-test` starts one as root")
    client.images.build(fileobj=io.BytesIO(_DOCKERFILE), tag=IMAGE)
    yield IMAGE
    client.images.remove(IMAGE)
    client.close()


def _client() -> Any:
    with contextlib.suppress(docker.errors.DockerException):
        return docker.from_env()
    with warnings.catch_warnings():  # docker 7 leaves the socket of its trial open
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return None


@pytest.fixture(scope="module")
def directory(image: str) -> Iterator[EmbeddedDirectory]:
    """Register that image and another one."""
    with EmbeddedDirectory() as running:
        store = Store(load(**running.database_kwargs()))
        for each in [*(found.image for found in store.list_applications()), image, ABSENT]:
            store.remove_application(each)
        for each in (image, ABSENT):
            store.create_application(each)
        store.close()
        yield running


def ldapdb(directory: EmbeddedDirectory, *arguments: str) -> subprocess.CompletedProcess[str]:
    given: dict[str, Any] = directory.database_kwargs()
    settings = {f"LDAPDB_{name.upper()}": str(value) for name, value in given.items()}
    return subprocess.run(
        [sys.executable, "-m", "ldapdb", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_labels_are_read_as_the_host_reads_them(image: str) -> None:
    with Engine() as engine:
        assert engine.labels(image) == Labels("Mayavi 4.4", "Draws [bold]things[/bold]")
        assert engine.labels(ABSENT) is None
        assert (engine.has(image), engine.has(ABSENT)) == (True, False)


def test_applications_are_listed_with_their_labels(directory: EmbeddedDirectory) -> None:
    listed = ldapdb(directory, "app", "list", "--images", "--no-decoration")
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert [(row[0], *row[2:]) for row in rows] == [
        (ABSENT, "no", "", ""),
        (IMAGE, "yes", "Mayavi 4.4", "Draws [bold]things[/bold]"),
    ]
    told = json.loads(ldapdb(directory, "app", "list", "--images", "--json").stdout)
    assert told[1]["ui_name"] == "Mayavi 4.4"
    assert (told[0]["local"], told[0]["icon_128"]) == (False, "")


def test_lint_names_what_docker_lacks(directory: EmbeddedDirectory) -> None:
    done = ldapdb(directory, "lint", "--images", "--json")
    absent = [each for each in json.loads(done.stdout) if each["kind"] == "not-in-engine"]
    assert done.returncode == 1
    assert [ABSENT in each["text"] for each in absent] == [True]


def test_create_verifies_the_image(directory: EmbeddedDirectory, image: str) -> None:
    other = "simphony/ldapdb-nowhere:1"
    done = ldapdb(directory, "app", "create", other)
    assert done.returncode == 1
    assert f"does not have {other!r}" in done.stderr
    assert ldapdb(directory, "app", "remove", image).returncode == 0
    assert ldapdb(directory, "app", "create", image).returncode == 0

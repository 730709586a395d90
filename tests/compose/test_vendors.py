"""The profiles ``389ds`` and ``ad``: the same stack around another directory."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compose.stack import Stack
from ldapdb import LDAPDatabase

IMAGE = "simphony/in-a-container:1.0"
SETTINGS: dict[str, dict[str, Any]] = {
    "ds389": {},
    "ad": {
        "bind_dn": "CN=remoteapp-writer,CN=Users,DC=example,DC=org",
        "base_dn": "OU=remoteapp,DC=example,DC=org",
        "users_base": "OU=people,DC=example,DC=org",
        "groups_base": None,
    },
}
PORTS = {"ds389": "DS389_PORT", "ad": "AD_PORT"}


@dataclass(frozen=True)
class Running:
    """A started profile, and the host's side of it."""

    server: str
    stack: Stack
    database: Any
    arguments: set[bytes]
    """Command lines of all processes of this machine while the stack was started."""


@contextlib.contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """Look at what every user of this machine may see, ten times a second."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):  # the process has ended
                    seen.add(path.read_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("389ds", "ds389"), marks=pytest.mark.compose("389ds"), id="389ds"),
        pytest.param(("ad", "ad"), marks=pytest.mark.compose("ad"), id="ad"),
    ],
)
def running(
    request: pytest.FixtureRequest,
    site: Path,
    composer_of: dict[str, list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    profile, server = request.param
    with contextlib.ExitStack() as left:
        with command_lines() as arguments:
            stack = left.enter_context(Stack(site, composer_of["v2"], profile, "client"))
        ca_file = stack.save_ca(tmp_path_factory.mktemp("ca") / "ca.pem")
        settings = stack.database_kwargs(PORTS[server], ca_file, **SETTINGS[server])
        with LDAPDatabase(**settings) as database:
            yield Running(server, stack, database, arguments)


def test_what_is_granted_from_outside_is_seen_inside_and_revoked_again(running: Running) -> None:
    """Both sides use TLS with the stack's own authority, and passwords in files."""
    running.database.create_application(IMAGE)
    running.database.grant_access(IMAGE, "bob", True, False, None)
    assert IMAGE in running.stack.shown("bob")
    assert IMAGE not in running.stack.shown("alice")
    running.database.revoke_access(IMAGE, "bob", True, False, None)
    assert IMAGE not in running.stack.shown("bob")
    running.database.remove_application(app_name=IMAGE)


def test_ldapdb_finds_nothing_wrong_with_the_stack(running: Running) -> None:
    status, text = running.stack.run("client", "ldapdb", "check", "--write")
    assert status == 0, text


def test_the_sample_reaches_its_people_through_groups(running: Running) -> None:
    assert "simphony/mayavi:0.5" in running.stack.shown("alice")


def test_what_was_acknowledged_outlives_a_kill(running: Running) -> None:
    """Killed without warning and started again, the server has every grant it confirmed."""
    image = "simphony/killed:1.0"
    running.database.create_application(image)
    mapping_id = running.database.grant_access(image, "bob", True, True, None)
    container = running.stack.container(running.server)
    container.kill()
    container.start()
    running.stack.wait_healthy()
    bob = running.database.get_user(user_name="bob")
    assert mapping_id in [each.id for each in running.database.get_accounting_for_user(bob)]


def test_no_password_is_in_what_the_engine_tells(running: Running) -> None:
    names = ("admin", "reader", "writer")
    passwords = [running.stack.read(running.server, f"/secrets/{name}.pw") for name in names]
    containers = [running.stack.container(name) for name in (running.server, "client")]
    told = json.dumps([each.attrs for each in containers])
    told += "".join(each.logs().decode() for each in containers)
    assert [password for password in passwords if password in told] == []


def test_no_password_is_in_the_arguments_of_a_process(running: Running) -> None:
    """The first start makes accounts while everybody on the host can list its processes."""
    shown = b"\n".join(running.arguments).decode(errors="replace")
    if "/usr/local/bin/start" not in shown:
        pytest.skip("the engine's processes are not this machine's")
    for name in ("admin", "reader", "writer"):
        assert running.stack.read(running.server, f"/secrets/{name}.pw") not in shown, name


def test_the_administrator_has_the_password_of_the_file(running: Running) -> None:
    name = {"ds389": "cn=Directory Manager", "ad": "CN=Administrator,CN=Users,DC=example,DC=org"}
    search = ["env", "LDAPTLS_CACERT=/secrets/ca.pem", "ldapsearch", "-x", "-b", "", "-s", "base"]
    search += ["-H", "ldaps://localhost", "-D", name[running.server], "-y"]
    status, text = running.stack.run(running.server, *search, "/secrets/admin.pw")
    assert status == 0, text
    assert running.stack.run(running.server, *search, "/secrets/reader.pw")[0] != 0


def test_a_server_that_cannot_be_asked_is_not_healthy(running: Running) -> None:
    """The check is a search as the reader: it fails where there is nothing to find."""
    status, text = running.stack.run(running.server, "healthy")
    assert status == 0, text
    other = ("env", "SUFFIX=dc=other,dc=org", "REALM=OTHER.ORG", "healthy")
    assert running.stack.run(running.server, *other)[0] != 0

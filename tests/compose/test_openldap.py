"""The profile ``openldap``: one server, and ldapdb beside it and outside."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.stack import Stack
from ldapdb import LDAPDatabase
from ldapdb.errors import LDAPDBError

pytestmark = pytest.mark.compose("openldap")

IMAGE = "simphony/in-a-container:1.0"
SERVER = "openldap"


@pytest.fixture
def database(openldap: Stack, ca_file: Path) -> Iterator[Any]:
    opened = LDAPDatabase(**openldap.database_kwargs("OPENLDAP_PORT", ca_file))
    yield opened
    opened.close()


def test_what_is_granted_from_outside_is_seen_inside_and_revoked_again(
    openldap: Stack, database: Any
) -> None:
    """Both sides use TLS with the stack's own authority, and passwords in files."""
    database.create_application(IMAGE)
    try:
        mapping_id = database.grant_access(IMAGE, "dieter", True, False, None)
        dieter = database.get_user(user_name="dieter")
        assert mapping_id in [each.id for each in database.get_accounting_for_user(dieter)]
        assert IMAGE in openldap.shown("dieter")
        database.revoke_access(IMAGE, "dieter", True, False, None)
        assert IMAGE not in openldap.shown("dieter")
    finally:
        database.remove_application(app_name=IMAGE)


def test_the_client_finds_the_sample_and_may_write(openldap: Stack) -> None:
    assert "simphony/mayavi:0.5" in openldap.shown("alice")
    status, text = openldap.run("client", "ldapdb", "app", "create", "simphony/b:1", "--no-verify")
    assert status == 0, text
    status, text = openldap.run("client", "ldapdb", "app", "remove", "simphony/b:1")
    assert status == 0, text


def test_ldapdb_finds_nothing_wrong_with_the_stack(openldap: Stack) -> None:
    """Servers, TLS, rights, schema, indexes and limits are as ldapdb wants them."""
    status, text = openldap.run("client", "ldapdb", "check", "--write", "--strict")
    assert status == 0, text


def test_the_server_has_the_indexes_and_the_limits(openldap: Stack) -> None:
    """Whoever runs a program as the server's account reads its configuration without a password."""
    socket = "ldapi://%2Frun%2Fslapd%2Fldapi"
    search = ["ldapsearch", "-Q", "-Y", "EXTERNAL", "-H", socket, "-LLL", "-o", "ldif-wrap=no"]
    status, text = openldap.run(SERVER, *search, "-b", "olcDatabase={1}mdb,cn=config")
    assert status == 0, text
    for attribute in ("objectClass", "uid", "member", "entryUUID", "remoteAppImage"):
        assert f"olcDbIndex: {attribute} eq\n" in text
    assert text.count("size.prtotal=unlimited") == 2


def test_nobody_gets_in_without_the_stacks_own_authority(openldap: Stack) -> None:
    """A certificate is checked: the machine's own authorities do not know the server."""
    settings = openldap.database_kwargs("OPENLDAP_PORT", system_authorities())
    with pytest.raises(LDAPDBError, match=r"(?i)certificate"):
        LDAPDatabase(**settings).list_users()


def system_authorities() -> Path:
    """The file of certificates that this machine trusts."""
    paths = ssl.get_default_verify_paths()
    return Path(paths.cafile or paths.openssl_cafile)


def test_no_password_is_in_the_file_or_in_what_the_engine_tells(openldap: Stack) -> None:
    names = ("admin", "reader", "writer")
    passwords = [openldap.read(SERVER, f"/secrets/{name}.pw") for name in names]
    assert all(len(password) > 20 for password in passwords)
    assert len(set(passwords)) == len(names)
    containers = [openldap.container(name) for name in (SERVER, "client", "secrets")]
    told = openldap.compose("config") + json.dumps([each.attrs for each in containers])
    told += "".join(each.logs().decode() for each in containers)
    assert [password for password in passwords if password in told] == []


def test_each_container_has_what_it_needs_and_no_more(openldap: Stack) -> None:
    """The client has no administrator's password, and nobody runs as root or keeps a key."""
    assert openldap.run("client", "ls", "/secrets") == (0, "ca.pem\nreader.pw\nwriter.pw\n")
    for name in (SERVER, "client"):
        attributes = openldap.container(name).attrs
        assert openldap.run(name, "id", "-u")[1].strip() not in ("", "0")
        assert attributes["HostConfig"]["CapDrop"] == ["ALL"]
        assert attributes["HostConfig"]["ReadonlyRootfs"] is True
        assert openldap.run(name, "touch", "/secrets/x")[0] != 0
        assert [
            each["Destination"] for each in attributes["Mounts"] if "author" in each["Source"]
        ] == []


def test_every_volume_has_a_name(openldap: Stack) -> None:
    """One without would stay behind, unseen, at each "down"."""
    services = (SERVER, "client", "secrets")
    mounts = [each for name in services for each in openldap.container(name).attrs["Mounts"]]
    volumes = [each["Name"] for each in mounts if each["Type"] == "volume"]
    assert [each for each in volumes if not each.startswith(f"{openldap.project}_")] == []


def test_the_port_is_open_on_the_loopback_address_only(openldap: Stack) -> None:
    (published,) = openldap.container(SERVER).ports["636/tcp"]
    assert published["HostIp"] == "127.0.0.1"


def test_a_server_that_cannot_be_asked_is_not_healthy(openldap: Stack) -> None:
    """The check is a search as the reader: it fails where its password is wrong."""
    status, _ = openldap.run(SERVER, "healthy")
    assert status == 0
    status, text = openldap.run(SERVER, "env", "SUFFIX=dc=other,dc=org", "healthy")
    assert status != 0, text


def test_what_was_acknowledged_outlives_a_kill(openldap: Stack, database: Any) -> None:
    """Killed without warning and started again, the server has every grant it confirmed."""
    database.create_application(IMAGE)
    mapping_ids = {database.grant_access(IMAGE, name, True, True, None) for name in ("bob", "ines")}
    container = openldap.container(SERVER)
    container.kill()
    with pytest.raises(LDAPDBError):
        database.list_users()
    container.start()
    openldap.wait_healthy()
    users = [database.get_user(user_name=name) for name in ("bob", "ines")]
    found = {each.id for user in users for each in database.get_accounting_for_user(user)}
    assert mapping_ids <= found
    database.remove_application(app_name=IMAGE)


def test_secrets_and_data_stay_when_everything_is_made_anew(openldap: Stack, database: Any) -> None:
    """Down and up again: the same passwords, the same certificates, the same entries."""
    before = openldap.read(SERVER, "/secrets/cert.pem"), database.get_user(user_name="alice").id
    openldap.compose("down", "--timeout", "2")
    openldap.compose("up", "--detach", "--no-build")
    openldap.wait_healthy()
    after = openldap.read(SERVER, "/secrets/cert.pem"), database.get_user(user_name="alice").id
    assert after == before

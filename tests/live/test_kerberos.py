"""bind = "gssapi": tickets of a keytab or of kinit, what ends them, and a KDC that hangs."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.columns import CHOICE
from support.kerberos import Realm, running, why_no_gssapi

pytestmark = pytest.mark.live(
    "ad",
    reason="the ticket is MIT Kerberos' matter, and Samba is the one of the three with a KDC",
)

_TICKET_SECONDS = 7


@pytest.fixture(scope="module")
def realm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Realm]:
    """A domain controller whose name is dc1.example.org, with a certificate for it."""
    missing = request.config.stash[CHOICE].missing.get("ad") or why_no_gssapi()
    if missing is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    folder = tmp_path_factory.mktemp("kerberos")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("dc1.example.org")
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    issued.private_key_pem.write_to_path(folder / "server.key")
    with running(folder, certificate=folder / "server.pem", key=folder / "server.key") as made:
        yield made


@pytest.mark.parametrize("way", ["plain", "StartTLS", "TLS"])
def test_a_keytab_is_all_that_a_log_in_needs(realm: Realm, way: str) -> None:
    """Over TLS the log-in is bound to the connection, as Active Directory may demand."""
    name = realm.server.name
    settings: dict[str, Any] = {
        "plain": {},
        "StartTLS": {"start_tls": True, "ca_file": realm.folder / "ca.pem"},
        "TLS": {"uri": f"ldaps://{name}", "ca_file": realm.folder / "ca.pem"},
    }[way]
    answer = realm.answer(realm.environment(), keytab_file=realm.keytab, **settings)
    assert answer == "alice"


def test_the_principal_is_the_one_that_is_named(realm: Realm) -> None:
    """A keytab may have several keys; without a name the first one counts."""
    settings: dict[str, Any] = {"keytab_file": realm.keytab}
    environment = realm.environment()
    assert realm.answer(environment, kerberos_principal="svc@EXAMPLE.ORG", **settings) == "alice"
    for principal in ("alice", "svc@ELSEWHERE.ORG"):
        answer = realm.answer(environment, kerberos_principal=principal, **settings)
        assert answer.startswith(
            "CredentialsRejected: no Kerberos ticket for the directory at ldap:"
        )
        assert "check keytab_file and kerberos_principal" in answer


def test_tickets_of_kinit_and_the_environments_keytab_serve_too(realm: Realm) -> None:
    """Without keytab_file it is as for every program that uses Kerberos."""
    keytab = realm.environment(KRB5_CLIENT_KTNAME=str(realm.keytab), KRB5CCNAME="MEMORY:")
    assert realm.answer(keytab) == "alice"
    tickets = realm.environment(KRB5CCNAME=f"FILE:{realm.folder / 'mine'}")
    refused = realm.answer(tickets)
    assert refused.startswith("CredentialsRejected")
    assert "run kinit" in refused
    realm.kinit(tickets)
    assert realm.answer(tickets) == "alice"


@pytest.mark.slow
def test_a_process_outlives_its_tickets_with_a_keytab_alone(realm: Realm) -> None:
    """A connection that is new after their end needs new ones.

    Samba's KDC takes a ticket that has less than two minutes left for expired, so the clients'
    clock is ahead of it.
    """
    environment = realm.ahead(
        150,
        f"ticket_lifetime = {_TICKET_SECONDS}s",
        KRB5CCNAME=f"FILE:{realm.folder / 'brief'}",
    )
    realm.kinit(environment)
    with (
        realm.start(environment, keytab_file=realm.keytab) as first,
        realm.start(environment) as second,
    ):
        clients = (first, second)
        assert [_line(client) for client in clients] == ["ready", "ready"]
        assert [_line(client, "alice") for client in clients] == ["alice", "alice"]
        ends = time.monotonic() + _TICKET_SECONDS
        realm.server.halt()
        realm.server.run()
        # Kerberos counts in whole seconds, and at the edge of one says other things.
        time.sleep(max(0.0, ends - time.monotonic()) + 2)
        with_keytab, with_kinit = (_line(client, "alice") for client in clients)
        for client in clients:
            client.communicate(timeout=30)
    assert with_keytab == "alice"
    assert "the ticket of the log-in has expired; run kinit, or set keytab_file" in with_kinit


def _line(client: subprocess.Popen[str], question: str = "") -> str:
    """Read what a client says next, after a question where there is one."""
    assert client.stdin is not None
    assert client.stdout is not None
    if question:
        client.stdin.write(f"{question}\n")
        client.stdin.flush()
    return client.stdout.readline().strip()


def test_clocks_that_differ_are_named(realm: Realm) -> None:
    """Kerberos allows five minutes."""
    answer = realm.answer(realm.ahead(3600), keytab_file=realm.keytab)
    assert answer.startswith("CredentialsRejected")
    assert "this machine's clock and the KDC's differ; set it right (NTP)" in answer


@pytest.fixture
def silent(realm: Realm) -> Iterator[str]:
    """The address of a KDC that takes everything and says nothing."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket() as streams,
    ):
        streams.bind((realm.server.host, 0))
        streams.listen()
        address = streams.getsockname()
        datagrams.bind(address)
        yield f"{address[0]}:{address[1]}"


@pytest.mark.slow
def test_a_silent_kdc_holds_no_call_longer_than_its_deadline(realm: Realm, silent: str) -> None:
    """Left alone, the library waits for it for a minute."""
    environment = realm.environment(kdc=silent)
    began = time.monotonic()
    answer = realm.answer(
        environment,
        keytab_file=realm.keytab,
        connect_timeout_seconds=1,
        operation_timeout_seconds=2,
    )
    assert time.monotonic() - began < 5  # with the start of the process
    assert answer.startswith("DirectoryUnavailable: no Kerberos ticket for the directory at ldap:")
    assert "the KDC did not answer in time; see [realms] in krb5.conf" in answer


def test_a_kdc_that_is_not_there_is_an_outage(realm: Realm) -> None:
    """Whoever can be asked nothing has not said no."""
    answer = realm.answer(realm.environment(kdc=f"{realm.server.host}:1"), keytab_file=realm.keytab)
    assert answer.startswith("DirectoryUnavailable")
    assert "no KDC answers; see [realms] in krb5.conf" in answer


def test_a_server_without_that_name_in_kerberos_is_named(realm: Realm) -> None:
    """An address has no ticket unless somebody has registered it."""
    answer = realm.answer(
        realm.environment(), keytab_file=realm.keytab, uri=f"ldap://{realm.server.host}"
    )
    assert answer.startswith("CredentialsRejected")
    assert "the KDC knows no service ldap of that name; use in uri the name" in answer


def test_what_became_of_an_account_is_told(realm: Realm) -> None:
    """Locked, or with another password than when the keytab was made."""
    tool = realm.server.tool
    tool("samba-tool", "user", "create", "gone", "Gone-pw-1")
    keytab = realm.make_keytab("gone")
    tool("samba-tool", "user", "setpassword", "gone", "--newpassword=Gone-pw-2")
    answer = realm.answer(realm.environment(), keytab_file=keytab)
    assert answer.startswith("CredentialsRejected")
    assert "the keytab's key is not the account's any more; make it anew" in answer
    keytab = realm.make_keytab("gone")
    assert realm.answer(realm.environment(), keytab_file=keytab) == "alice"
    tool("samba-tool", "user", "disable", "gone")
    assert "the account is disabled or locked" in realm.answer(
        realm.environment(), keytab_file=keytab
    )


def test_a_keytab_that_others_can_read_is_refused(realm: Realm) -> None:
    """It is as good as a password."""
    path: Path = realm.folder / "open.keytab"
    path.write_bytes(realm.keytab.read_bytes())
    path.chmod(0o640)
    answer = realm.answer(realm.environment(), keytab_file=path)
    assert answer.startswith(
        f"SettingsError: keytab_file '{path}' can be read or changed by others"
    )


@pytest.mark.parametrize(
    ("package", "advice"),
    [
        ("gssapi", "pip install '/path/to/ldapdb[gssapi]'"),
        ("cryptography", "package cryptography missing"),
    ],
)
def test_a_missing_package_is_named(realm: Realm, package: str, advice: str) -> None:
    """Both come with the extra gssapi."""
    answer = realm.answer(
        realm.environment(),
        package,
        keytab_file=realm.keytab,
        uri=f"ldaps://{realm.server.name}",
        ca_file=realm.folder / "ca.pem",
    )
    assert answer.startswith("SettingsError")
    assert advice in answer

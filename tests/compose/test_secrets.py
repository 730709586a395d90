"""What "secrets" makes and hands out: own authorities, certificates that end, passwords."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import trustme

from support.waiting import eventually

pytestmark = pytest.mark.compose("openldap")

AUTHORITY, SERVER, CLIENT = (f"/volumes/{name}" for name in ("authority", "openldap", "client"))


class Secrets:
    """A container in which "make-secrets" is run, with folders in place of the volumes."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self.must("mkdir", "-p", "/given", AUTHORITY, SERVER, CLIENT)

    def run(self, *command: str) -> tuple[int, str]:
        done = self._container.exec_run(list(command), user="0:0")
        return done.exit_code, done.output.decode()

    def must(self, *command: str) -> str:
        status, text = self.run(*command)
        assert status == 0, text
        return text

    def put(self, path: str, text: str) -> None:
        self.must("sh", "-c", 'printf %s "$1" > "$2"', "sh", text, path)

    def make(self) -> str:
        return self.must("make-secrets")

    def is_pair(self) -> bool:
        """Tell whether the server's certificate is of its key and of its authority."""
        of_key = self.must("openssl", "pkey", "-in", f"{SERVER}/key.pem", "-pubout")
        of_certificate = self.must(
            "openssl", "x509", "-in", f"{SERVER}/cert.pem", "-noout", "-pubkey"
        )
        signed, _ = self.run(
            "openssl", "verify", "-CAfile", f"{SERVER}/ca.pem", f"{SERVER}/cert.pem"
        )
        return of_key == of_certificate and signed == 0

    def let_certificate_end(self) -> None:
        """Put a certificate for the same key in place that is good for ten days more."""
        authority = f"-CA {AUTHORITY}/ca.pem -CAkey {AUTHORITY}/ca.key"
        request = "openssl req -new -key key.pem -subj /O=ldapdb/CN=openldap"
        sign = f"openssl x509 -req -days 10 {authority} -out cert.pem"
        self.must("sh", "-c", f"cd {SERVER} && {request} | {sign}")


@pytest.fixture
def secrets(site: Path) -> Iterator[Secrets]:  # noqa: ARG001 -- the image is built with it
    with_engine = docker.from_env()
    container = with_engine.containers.run(
        "ldapdb-openldap",
        entrypoint=["sleep", "infinity"],
        hostname="openldap",
        network_mode="none",
        init=True,
        detach=True,
    )
    yield Secrets(container)
    container.remove(force=True, v=True)
    with_engine.close()


def give_authority(secrets: Secrets, *, key: bool = True) -> trustme.CA:
    authority = trustme.CA()
    secrets.put("/given/ca.pem", authority.cert_pem.bytes().decode())
    if key:
        secrets.put("/given/ca.key", authority.private_key_pem.bytes().decode())
    return authority


def test_an_own_authority_and_own_passwords_are_taken(secrets: Secrets) -> None:
    authority = give_authority(secrets)
    secrets.put("/given/writer.pw", "an own one\n")
    secrets.make()
    assert secrets.must("cat", f"{CLIENT}/ca.pem") == authority.cert_pem.bytes().decode()
    assert secrets.must("cat", f"{CLIENT}/writer.pw") == "an own one"
    assert secrets.is_pair()


def test_an_authority_without_its_key_is_said_and_mended(secrets: Secrets) -> None:
    """Nothing is left that stands in the way when the key is there."""
    authority = give_authority(secrets, key=False)
    status, text = secrets.run("make-secrets")
    assert (status, "put the key beside it" in text) == (1, True), text
    secrets.put("/given/ca.key", trustme.CA().private_key_pem.bytes().decode())
    status, text = secrets.run("make-secrets")
    assert (status, "is not the key of ca.pem" in text) == (1, True), text
    secrets.put("/given/ca.key", authority.private_key_pem.bytes().decode())
    secrets.make()
    assert secrets.is_pair()


def test_a_certificate_that_ends_soon_is_made_anew_and_another_is_left_alone(
    secrets: Secrets,
) -> None:
    secrets.make()
    first = secrets.must("cat", f"{SERVER}/cert.pem")
    assert secrets.make() == ""
    assert secrets.must("cat", f"{SERVER}/cert.pem") == first
    secrets.let_certificate_end()
    assert "making a certificate for openldap" in secrets.make()
    secrets.must("openssl", "x509", "-checkend", "60000000", "-in", f"{SERVER}/cert.pem")
    assert secrets.is_pair()


def test_a_renewal_that_fails_says_why_and_leaves_the_pair(secrets: Secrets) -> None:
    """The server can still be started until its certificate ends."""
    secrets.make()
    secrets.let_certificate_end()
    secrets.put(f"{AUTHORITY}/ca.key", "spoilt")
    status, text = secrets.run("make-secrets")
    assert (status, "the certificate of openldap could not be made" in text) == (1, True), text
    assert secrets.is_pair()


def test_a_certificate_that_is_not_of_the_key_is_made_anew(secrets: Secrets) -> None:
    """As after a stop between the two halves."""
    secrets.make()
    secrets.must("openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{SERVER}/key.pem")
    assert not secrets.is_pair()
    secrets.make()
    assert secrets.is_pair()


_SPY = """#!/bin/sh
printf '%s\\n' "$0 $*" >>/tmp/arguments
exec /usr/bin/env PATH=/usr/local/bin:/usr/bin:/usr/sbin "${0##*/}" "$@"
"""


def test_neither_a_password_nor_its_hash_is_an_argument_of_a_process(secrets: Secrets) -> None:
    """Everybody on the host can list the processes of the first start."""
    secrets.make()
    secrets.must("sh", "-c", f"cp -r {SERVER}/* /secrets/ && mkdir -p /tmp/spies /run/slapd")
    secrets.must("chown", "-R", "openldap", "/secrets", "/run/slapd")
    programs = ("sed", "slappasswd", "slapadd", "slapd", "ldapmodify", "ldapwhoami", "find", "rm")
    for name in programs:
        secrets.put(f"/tmp/spies/{name}", _SPY)
    secrets.must("chmod", "-R", "+x", "/tmp/spies")
    start = "PATH=/tmp/spies:$PATH setpriv --reuid openldap --clear-groups --regid openldap start"
    secrets.must("sh", "-c", f"{start} >/tmp/log 2>&1 &")
    assert eventually(lambda: secrets.run("healthy")[0] == 0, 60), secrets.must("cat", "/tmp/log")
    shown = secrets.must("cat", "/tmp/arguments")
    assert all(f"/tmp/spies/{name} " in shown for name in programs)
    passwords = [
        secrets.must("cat", f"/secrets/{name}.pw") for name in ("admin", "reader", "writer")
    ]
    assert [each for each in [*passwords, "{SSHA}"] if each in shown] == []

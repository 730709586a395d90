"""The host's hub with the files of compose/host/: from a password to what somebody may start."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import SambaAD
from servers.machine import CHECKOUT

from support.benches import (
    ALICE,
    IMAGE,
    PASSWORD,
    READER,
    WRITER,
    ADBench,
    Bench,
    OpenLDAPBench,
    grant_lines,
)
from support.hub import HUB, Answer, Hub, need_hub, running_hub
from support.provider import Provider, signing_on
from support.servers import OpenLDAP

pytestmark = [
    pytest.mark.slow,
    pytest.mark.live("openldap", reason="the hub does not know which directory it is"),
]

HOST = CHECKOUT / "compose" / "host"
LDAP1, LOGIN = "ldap1.example.org", "login.example.org"
ADMIN = "renate"
# Of those who have an account on the hub's machine.
UIDS = {ALICE: 70001, ADMIN: 70002}


@dataclass
class _At(OpenLDAP):
    """A slapd with TLS at the port and the address that the files mean."""

    schema: bool = False
    address: str = ""

    @property
    def tls_uri(self) -> str:
        return f"ldaps://{self.address}:636"


@dataclass
class Company:
    """A directory with two people, one of them with an application, and its addresses."""

    bench: Bench
    authority: trustme.CA
    network: str
    addresses: dict[str, str]
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10))

    @contextlib.contextmanager
    def hub(self, name: str, files: dict[str, str]) -> Iterator[Hub]:
        """Run a hub with files of compose/host/, of which the first is its configuration."""
        folder = self.folder / name
        folder.mkdir()
        # One for each: another may run.
        addresses = {**self.addresses, HUB: f"{self.network}.{next(self.numbers)}"}
        with running_hub(
            folder,
            addresses,
            self.authority,
            {**files, **self.files},
            socket_file=path if (path := self.bench.server.folder / "ldapi").exists() else None,
            accounts=UIDS,
        ) as hub:
            yield hub

    @property
    def files(self) -> dict[str, str]:
        """Certificates and secrets, where the files say that they are."""
        return {
            "remoteapp/ca.pem": self.authority.cert_pem.bytes().decode(),
            **{f"remoteapp/{each}.pw": f"{PASSWORD}\n" for each in ("reader", "writer")},
            "jupyterhub/reader.pw": f"{PASSWORD}\n",
            "jupyterhub/oidc-secret": "only-for-tests\n",
        }

    def log_ins(self) -> int:
        """Count the attempts that the directory's log tells of."""
        text: str = self.bench.server.log_file.read_text(errors="replace")
        return text.count(" BIND dn=")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    need_hub()
    folder = tmp_path_factory.mktemp("company")
    authority = trustme.CA()
    network = f"127.{random.randint(100, 250)}.{random.randint(1, 250)}"
    with _At(address=f"{network}.1", **issued(folder, authority)) as server:
        bench = OpenLDAPBench(server)
        _fill(bench)
        addresses = {LDAP1: f"{network}.1", LOGIN: f"{network}.2"}
        yield Company(bench, authority, network, addresses, folder)


def issued(folder: Path, authority: trustme.CA) -> dict[str, Any]:
    """Write the directory's certificate and key; return them as a server's settings."""
    made = authority.issue_cert(LDAP1)
    made.cert_chain_pems[0].write_to_path(folder / "server.pem")
    made.private_key_pem.write_to_path(folder / "server.key")
    return {"certificate": folder / "server.pem", "key": folder / "server.key"}


def _fill(bench: Bench) -> None:
    bench.set_up()
    for account in (READER, WRITER, ALICE):
        bench.account(account)
    renate = bench.dn(ALICE).replace(ALICE, ADMIN)
    mail = ("add: mail", "mail: Alice@Example.org")
    for record in (
        [f"dn: {bench.dn(ALICE)}", "changetype: modify", *mail],
        [f"dn: {renate}", "changetype: add", "objectClass: inetOrgPerson", "cn: Renate", "sn: R"],
        *(_posix(bench.dn(ALICE).replace(ALICE, name), uid) for name, uid in UIDS.items()),
        [
            f"dn: cn=notebook,ou=applications,ou=remoteapp,{bench.suffix}",
            "changetype: add",
            "objectClass: groupOfNames",
            "objectClass: remoteAppApplication",
            f"remoteAppImage: {IMAGE}",
            f"member: {renate}",
        ],
        grant_lines(bench, "alices"),
    ):
        assert bench.admin.change(*record) == 0, record
    assert bench.admin.run("ldappasswd", "-s", PASSWORD, renate).returncode == 0


def _posix(dn: str, uid: int) -> list[str]:
    """Write what gives a person a number on machines."""
    return [
        *(f"dn: {dn}", "changetype: modify"),
        *("add: objectClass", "objectClass: posixAccount", "-"),
        *("add: uidNumber", f"uidNumber: {uid}", "-"),
        *("add: gidNumber", f"gidNumber: {uid}", "-"),
        *("add: homeDirectory", "homeDirectory: /nowhere"),
    ]


def read(name: str) -> str:
    return (HOST / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hub(company: Company) -> Iterator[Hub]:
    files = {"jupyterhub/jupyterhub_ldap.py": read("jupyterhub_ldap.py")}
    with company.hub("ldap", files) as running:
        yield running


def test_who_logs_in_with_the_directorys_password_sees_what_is_granted(hub: Hub) -> None:
    page = hub.visitor().log_in(ALICE, PASSWORD)
    assert page.status == 200, hub.log
    assert page.url == f"https://{HUB}/user/alice/"
    assert IMAGE in page.text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (ALICE, "wrong"),
        (ALICE, ""),
        ("nobody", PASSWORD),
        ("*", PASSWORD),
        ("alice,ou=people", PASSWORD),
        (READER, PASSWORD),
    ],
)
def test_others_are_refused(hub: Hub, name: str, password: str) -> None:
    page = hub.visitor().log_in(name, password)
    assert page.url.startswith(f"https://{HUB}/hub/login"), hub.log
    assert "Invalid username or password" in page.text


def test_a_user_is_given_the_reader_and_an_administrator_the_writer(
    hub: Hub, company: Company
) -> None:
    """Each asks to write, as an administrator's page does; one process has an account that may."""
    made = f"cn=simphony/made:1,ou=applications,ou=remoteapp,{company.bench.suffix}"
    for name, status in ((ALICE, 500), (ADMIN, 201)):
        visitor = hub.visitor()
        page = visitor.log_in(name, PASSWORD)
        assert page.url == f"https://{HUB}/user/{name}/", hub.log
        written = visitor.post(f"{page.url}applications", b"simphony/made:1")
        assert written.status == status, written
        shown = company.bench.admin.read(made, "(objectClass=*)", scope="base")
        assert bool(shown) is (status == 201)


def test_a_server_that_is_not_the_directory_is_told_no_password(hub: Hub, company: Company) -> None:
    """Its certificate is of another authority: that is an error, and nobody logs in."""
    trusted = hub.etc("remoteapp/ca.pem")
    trusted.write_bytes(trustme.CA().cert_pem.bytes())
    before = company.log_ins()
    page = hub.visitor().log_in(ALICE, PASSWORD)
    assert page.status == 500
    assert "CERTIFICATE_VERIFY_FAILED" in hub.log
    assert company.log_ins() == before
    trusted.write_bytes(company.authority.cert_pem.bytes())
    assert hub.visitor().log_in(ALICE, PASSWORD).status == 200
    assert company.log_ins() > before


def test_by_the_block_for_addresses_people_log_in_by_their_address(company: Company) -> None:
    files = {
        "jupyterhub/jupyterhub_ldap.py": with_block(read("jupyterhub_ldap.py"), "# By address"),
        **by_mail(),
    }
    with company.hub("by-address", files) as hub:
        page = hub.visitor().log_in("alice@example.org", PASSWORD)
        assert page.url == f"https://{HUB}/user/alice@example.org/", hub.log
        assert IMAGE in page.text
        for name in (ALICE, "nobody@example.org", "*@example.org"):
            page = hub.visitor().log_in(name, PASSWORD)
            assert page.url.startswith(f"https://{HUB}/hub/login"), hub.log


@pytest.mark.live("ad", reason="the others have no UPN")
def test_by_the_block_for_upns_people_log_in_as_active_directory_names_them(
    tmp_path: Path,
) -> None:
    need_hub()
    authority = trustme.CA()
    with SambaAD(schema=False, **issued(tmp_path, authority)) as server:
        bench = ADBench(server)
        bench.set_up()
        for record in (
            [
                f"dn: CN=notebook,OU=applications,OU=remoteapp,{bench.suffix}",
                "changetype: add",
                "objectClass: group",
                "objectClass: remoteAppApplication",
                "sAMAccountName: notebook",
                f"remoteAppImage: {IMAGE}",
            ],
            grant_lines(bench, "alices"),
        ):
            assert bench.admin.change(*record) == 0, record
        network, _, _ = server.host.rpartition(".")
        company = Company(bench, authority, network, {LDAP1: server.host}, tmp_path)
        own = changed(
            "remoteappmanager_virtual.py",
            ('"user_name_attribute": "uid"', '"user_name_attribute": "userPrincipalName"'),
            (",ou=services,", ",cn=Users,"),
            ("ou=people,", "cn=Users,"),
            ("ou=groups,", "cn=Users,"),
        )
        files = {
            "jupyterhub/jupyterhub_ldap.py": with_block(read("jupyterhub_ldap.py"), "# By UPN"),
            "jupyterhub/remoteappmanager_virtual.py": own,
        }
        with company.hub("by-upn", files) as hub:
            page = hub.visitor().log_in("alice@example.org", PASSWORD)
            assert page.url == f"https://{HUB}/user/alice@example.org/", hub.log
            assert IMAGE in page.text
            page = hub.visitor().log_in("alice@example.org", "wrong")
            assert "Invalid username or password" in page.text


@pytest.fixture(scope="module")
def provider(company: Company) -> Iterator[Provider]:
    secret = company.files["jupyterhub/oidc-secret"].strip()
    made = Provider(f"simphony-remote:{secret}", f"https://{HUB}/hub/oauth_callback")
    with signing_on(company.addresses[LOGIN], LOGIN, company.authority, made):
        yield made


def test_who_is_signed_in_at_the_provider_sees_what_the_directory_grants(
    company: Company, provider: Provider
) -> None:
    """By the claim that the file names; whoever the directory does not have sees nothing."""
    with company.hub("sso", {"jupyterhub/jupyterhub_sso.py": read("jupyterhub_sso.py")}) as hub:
        provider.claims = {"preferred_username": "alice", "email": "renate@example.org"}
        page = signed_on(hub)
        assert page.url == f"https://{HUB}/user/alice/", hub.log
        assert IMAGE in page.text
        provider.claims = {"preferred_username": "stranger"}
        page = signed_on(hub)
        assert (page.status, page.text) == (404, "nobody")
        provider.claims = {"email": "alice@example.org", "email_verified": True}
        page = signed_on(hub)
        assert page.status == 403, hub.log
        assert "does not say who you are: no claim preferred_username" in page.text


def test_an_address_names_a_person_if_the_provider_has_verified_it(
    company: Company, provider: Provider
) -> None:
    change = ('USER_NAME_ATTRIBUTE = "uid"', 'USER_NAME_ATTRIBUTE = "mail"')
    files = {"jupyterhub/jupyterhub_sso.py": changed("jupyterhub_sso.py", change), **by_mail()}
    with company.hub("sso-by-mail", files) as hub:
        for verified, status in ((True, 200), (False, 403), (None, 403)):
            provider.claims = {"email": "Alice@example.org", "email_verified": verified}
            page = signed_on(hub)
            assert page.status == status, hub.log
            said = IMAGE if status == 200 else "not verified your address Alice@example.org"
            assert said in page.text


def test_a_process_that_is_the_users_own_has_no_secret_and_an_administrators_has_its_own(
    company: Company,
) -> None:
    """The other spawner: the directory learns from the kernel whose process asks."""
    assert company.bench.load("openldap/per-user.ldif") == [0]
    company.bench.open_socket()
    names = ("JupyterHub.spawner_class", "SystemUserSpawner.config_file_path")
    text = changed("jupyterhub_ldap.py", *((f"\n# c.{name}", f"\nc.{name}") for name in names))
    with company.hub("system", {"jupyterhub/jupyterhub_ldap.py": text}) as hub:
        password = hub.folder / "lib" / ADMIN / ".remoteapp-writer.pw"
        password.touch(mode=0o600)
        password.write_text(f"{PASSWORD}\n")
        os.chown(password, UIDS[ADMIN], UIDS[ADMIN])
        alice, renate = hub.visitor(), hub.visitor()
        page = alice.log_in(ALICE, PASSWORD)
        assert page.url == f"https://{HUB}/user/alice/", hub.log
        assert IMAGE in page.text
        assert owner_of("remoteappmanager") == UIDS[ALICE]
        assert alice.post(f"{page.url}applications", b"simphony/by-alice:1").status == 500
        page = renate.log_in(ADMIN, PASSWORD)
        assert owner_of("remoteappadmin") == UIDS[ADMIN]
        assert renate.post(f"{page.url}applications", b"simphony/by-renate:1").status == 201


def owner_of(program: str) -> int:
    """Find out whose the process is that runs a program with this spawner's file."""
    owners = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            command = (process / "cmdline").read_bytes()
            if f"/{program}\0".encode() in command and b"remoteappmanager_system.py" in command:
                owners.append(process.stat().st_uid)
    [owner] = owners
    return owner


def signed_on(hub: Hub) -> Answer:
    """Press the hub's button; return what it leads to."""
    visitor = hub.visitor()
    assert "single sign-on" in visitor.get(f"https://{HUB}/hub/login").text
    return visitor.wait(visitor.get(f"https://{HUB}/hub/oauth_login"))


def by_mail() -> dict[str, str]:
    """Return the host's file with the other name in it, as its page says."""
    name = "remoteappmanager_virtual.py"
    change = ('"user_name_attribute": "uid"', '"user_name_attribute": "mail"')
    return {f"jupyterhub/{name}": changed(name, change)}


def changed(name: str, *changes: tuple[str, str]) -> str:
    """Read a file, and put in what is another company's."""
    text = read(name)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text


def with_block(text: str, begin: str) -> str:
    """Take a block that is commented out."""
    before, found, rest = text.partition(begin)
    assert found
    block, _, after = rest.partition("\n\n")
    heading, *lines = block.split("\n")
    assert lines
    taken = "\n".join(line.removeprefix("# ") for line in lines)
    return f"{before}{begin}{heading}\n{taken}\n\n{after}"

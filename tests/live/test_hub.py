"""The host's hub with the files of compose/host/: from a password to what somebody may start."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import SambaAD
from servers.samba import free_address

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
    posix_lines,
)
from support.host_files import changed, read, with_block
from support.hub import HUB, HUB_PORTS, Answer, Hub, need_hub, running_hub
from support.provider import Provider, signing_on
from support.servers import OpenLDAP

pytestmark = [
    pytest.mark.slow,
    pytest.mark.live("openldap", reason="the hub does not know which directory it is"),
]

LDAP1, LOGIN = "ldap1.example.org", "login.example.org"
ADMIN = "renate"
# Of those who have an account on the hub's machine.
UIDS = {ALICE: 70001, ADMIN: 70002}


@dataclass
class _At(OpenLDAP):
    """A slapd with TLS at the port and the address that the files mean."""

    schema: bool = False
    address: str = field(default_factory=lambda: free_address(636))

    @property
    def tls_uri(self) -> str:
        return f"ldaps://{self.address}:636"


@dataclass
class Company:
    """A directory with two people, one of them with an application, and its addresses."""

    bench: Bench
    authority: trustme.CA
    addresses: dict[str, str]
    folder: Path

    @contextlib.contextmanager
    def hub(self, name: str, files: dict[str, str]) -> Iterator[Hub]:
        """Run a hub with files of compose/host/, of which the first is its configuration."""
        folder = self.folder / name
        folder.mkdir()
        addresses = {**self.addresses, HUB: free_address(*HUB_PORTS)}
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

    def log_ins(self, name: str = "") -> int:
        """Count the attempts that the directory's log tells of, by one account or by all."""
        text: str = self.bench.server.log_file.read_text(errors="replace")
        dn = f'"{self.bench.dn(name)}" method' if name else ""
        return text.count(f" BIND dn={dn}")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    need_hub()
    folder = tmp_path_factory.mktemp("company")
    authority = trustme.CA()
    with _At(**issued(folder, authority)) as server:
        bench = OpenLDAPBench(server)
        _fill(bench)
        addresses = {LDAP1: server.address, LOGIN: free_address(443)}
        yield Company(bench, authority, addresses, folder)


def issued(folder: Path, authority: trustme.CA, name: str = LDAP1) -> dict[str, Any]:
    """Write the directory's certificate and key; return them as a server's settings."""
    made = authority.issue_cert(name)
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
        *(posix_lines(bench.dn(ALICE).replace(ALICE, name), uid) for name, uid in UIDS.items()),
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


@pytest.fixture(scope="module")
def hub(company: Company) -> Iterator[Hub]:
    files = {"jupyterhub/jupyterhub_ldap.py": read("jupyterhub_ldap.py")}
    with company.hub("ldap", files) as running:
        yield running


def test_who_logs_in_with_the_directorys_password_sees_what_is_granted(hub: Hub) -> None:
    for name in (ALICE, "Alice"):
        page = hub.visitor().log_in(name, PASSWORD)
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
        (f"{ALICE}\n", PASSWORD),
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
    for name, program, account, status, said in (
        (ALICE, "remoteappmanager", READER, 500, "ReadOnly: "),
        (ADMIN, "remoteappadmin", WRITER, 201, ""),
    ):
        before = {each: company.log_ins(each) for each in (READER, WRITER)}
        visitor = hub.visitor()
        page = visitor.log_in(name, PASSWORD)
        assert page.url == f"https://{HUB}/user/{name}/", hub.log
        assert page.process.startswith(f"{program} ")
        written = visitor.post(f"{page.url}applications", b"simphony/made:1")
        assert (written.status, written.text.startswith(said)) == (status, True), written
        shown = company.bench.admin.read(made, "(objectClass=*)", scope="base")
        assert bool(shown) is (status == 201)
        # Alice's process may have been started, and have logged in, by an earlier test.
        assert company.log_ins(account) > 0
        others = {READER, WRITER} - {account}
        assert [each for each in others if company.log_ins(each) > before[each]] == []


def test_a_server_that_is_not_the_directory_is_told_no_password(hub: Hub, company: Company) -> None:
    """Its certificate is of another authority: that is an error, and nobody logs in."""
    trusted = hub.etc("remoteapp/ca.pem")
    before = company.log_ins()
    try:
        trusted.write_bytes(trustme.CA().cert_pem.bytes())
        page = hub.visitor().log_in(ALICE, PASSWORD)
    finally:
        trusted.write_bytes(company.authority.cert_pem.bytes())
    assert page.status == 500
    assert "CERTIFICATE_VERIFY_FAILED" in hub.log
    assert company.log_ins() == before
    assert hub.visitor().log_in(ALICE, PASSWORD).status == 200
    assert company.log_ins() > before


def test_a_server_of_another_name_is_told_no_password(company: Company, tmp_path: Path) -> None:
    """Its certificate is of the right authority, for somebody else."""
    with _At(**issued(tmp_path, company.authority, "other.example.org")) as server:
        addresses = {LDAP1: server.address}
        other = Company(OpenLDAPBench(server), company.authority, addresses, tmp_path)
        files = {"jupyterhub/jupyterhub_ldap.py": read("jupyterhub_ldap.py")}
        before = other.log_ins()
        with other.hub("other", files) as hub:
            assert hub.visitor().log_in(ALICE, PASSWORD).status == 500
            assert "doesn't match" in hub.log
        assert other.log_ins() == before


def test_by_the_block_for_addresses_people_log_in_by_their_address(company: Company) -> None:
    files = {
        "jupyterhub/jupyterhub_ldap.py": with_block("jupyterhub_ldap.py", "By address"),
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
        company = Company(bench, authority, {LDAP1: server.host}, tmp_path)
        own = changed(
            "remoteappmanager_virtual.py",
            ('"user_name_attribute": "uid"', '"user_name_attribute": "userPrincipalName"'),
            (",ou=services,", ",cn=Users,"),
            ("ou=people,", "cn=Users,"),
            ("ou=groups,", "cn=Users,"),
        )
        files = {
            "jupyterhub/jupyterhub_ldap.py": with_block("jupyterhub_ldap.py", "By UPN"),
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


def test_a_provider_of_another_authority_is_asked_nothing(
    company: Company, provider: Provider, tmp_path: Path
) -> None:
    elsewhere = free_address(443)
    addresses = {**company.addresses, LOGIN: elsewhere}
    other = Company(company.bench, company.authority, addresses, tmp_path)
    files = {"jupyterhub/jupyterhub_sso.py": read("jupyterhub_sso.py")}
    with signing_on(elsewhere, LOGIN, trustme.CA(), provider), other.hub("sso", files) as hub:
        provider.claims = {"preferred_username": ALICE}
        # Many people do not look where they are.
        handed_out = len(provider._tokens)
        page = signed_on(hub, careless=True)
        assert page.status == 500
        assert "CERTIFICATE_VERIFY_FAILED" in hub.log
        assert len(provider._tokens) == handed_out


def test_nobody_is_an_account_of_the_machines_own(company: Company, provider: Provider) -> None:
    """People may have chosen a provider's names themselves, and the other spawner starts it."""
    files = {"jupyterhub/jupyterhub_sso.py": read("jupyterhub_sso.py")}
    with company.hub("sso-root", files) as hub:
        for name in ("root", "Root"):
            provider.claims = {"preferred_username": name}
            assert signed_on(hub).status == 403, hub.log
        assert "Spawning" not in hub.log


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
        assert page.process == f"remoteappmanager {UIDS[ALICE]}"
        assert alice.post(f"{page.url}applications", b"simphony/by-alice:1").status == 500
        page = renate.log_in(ADMIN, PASSWORD)
        assert page.process == f"remoteappadmin {UIDS[ADMIN]}", hub.log
        assert renate.post(f"{page.url}applications", b"simphony/by-renate:1").status == 201


def signed_on(hub: Hub, *, careless: bool = False) -> Answer:
    """Press the hub's button; return what it leads to."""
    visitor = hub.visitor(careless=careless)
    assert "single sign-on" in visitor.get(f"https://{HUB}/hub/login").text
    return visitor.wait(visitor.get(f"https://{HUB}/hub/oauth_login"))


def by_mail() -> dict[str, str]:
    """Return the host's file with the other name in it, as its page says."""
    name = "remoteappmanager_virtual.py"
    change = ('"user_name_attribute": "uid"', '"user_name_attribute": "mail"')
    return {f"jupyterhub/{name}": changed(name, change)}

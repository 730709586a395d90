"""bind = "external": who is at the other end of the socket, or of TLS, and no secret."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme
from servers import DS389
from servers.machine import CHECKOUT

from ldapdb import errors
from support import Another, Directory, Private
from support.columns import CHOICE
from support.contents import Contents
from support.ds389 import DS389Directory

_OPENLDAP = pytest.mark.live(
    "openldap", reason="how a server maps certificates to accounts is its own; see docs"
)
_UID, _ANOTHER = 4711, 4712
_PERSON = {
    "objectClass": ["inetOrgPerson", "posixAccount"],
    "uidNumber": [str(_UID)],
    "gidNumber": [str(_UID)],
    "homeDirectory": ["/"],
}
# What the host does: it loads ldapdb as the hub's account and becomes the user.
_CLIENT = """
import json, os, sys
import ldapdb.client.session
from ldapdb import LDAPDatabase
uid = int(sys.argv[2])
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
try:
    print(LDAPDatabase(**json.loads(sys.argv[1])).get_user(user_name="alice").name)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


# -- a socket of this machine ---------------------------------------------------------------


class Peers:
    """A directory with a socket that every process may use, of which alice alone sees anything.

    Parameters
    ----------
    directory : Directory
        With alice, whose uidNumber is 4711.
    uri : str
        Of the socket.
    map_uids : callable
        Lets the server take a process for the account with its uid.
    """

    def __init__(self, directory: Directory, uri: str, map_uids: Callable[[], None]) -> None:
        self.uri = uri
        self.map_uids = map_uids
        self._settings = {
            "uri": uri,
            "bind": "external",
            "base_dn": directory.base_dn,
            "users_base": directory.users_base,
            "groups_base": directory.groups_base,
        }

    def as_uid(self, uid: int) -> str:
        """Return what a process of that uid gets, or is told."""
        if os.geteuid() != 0:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs root")
        done = subprocess.run(
            [sys.executable, "-c", _CLIENT, json.dumps(self._settings), str(uid)],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


def _configure(directory: Private, *lines: str) -> None:
    """Change slapd's configuration, as root at its socket."""
    tool = shutil.which("ldapmodify")
    assert tool is not None
    subprocess.run(
        [tool, "-Q", "-Y", "EXTERNAL", "-H", directory.server.socket_uri],
        input="".join(f"{line}\n" for line in lines),
        text=True,
        check=True,
        capture_output=True,
    )


def _show_to_alice_alone(directory: Private) -> None:
    _configure(
        directory,
        "dn: olcDatabase={1}mdb,cn=config",
        "changetype: modify",
        "replace: olcAccess",
        f"olcAccess: to * by dn.exact={directory.dn_of('alice')} read by * none",
    )


def _take_for_alice(directory: Private, *patterns: str) -> None:
    _configure(
        directory,
        "dn: cn=config",
        "changetype: modify",
        "add: olcAuthzRegexp",
        *(f"olcAuthzRegexp: {each} {directory.dn_of('alice')}" for each in patterns),
    )


def _openldap(directory: Private) -> Peers:
    directory.person("alice", attributes=_PERSON)
    directory.server.folder.chmod(0o711)
    _show_to_alice_alone(directory)
    peer = rf"^gidNumber=[0-9]+\+uidNumber={_UID},cn=peercred,cn=external,cn=auth$"
    return Peers(directory, directory.server.socket_uri, lambda: _take_for_alice(directory, peer))


def _ds389(server: DS389, contents: Contents) -> Peers:
    directory = DS389Directory(server, contents)
    directory.add_tree()
    alice = directory.person("alice", attributes=_PERSON)
    server.folder.chmod(0o711)
    directory.change(
        directory.suffix,
        "add: aci",
        f'aci: (targetattr="*")(version 3.0; acl "alice"; allow (read,search,compare)'
        f' userdn="ldap:///{alice}";)',
    )
    socket = server.folder / "run" / "slapd-localhost.socket"
    return Peers(
        directory,
        f"ldapi://{quote(str(socket), safe='')}",
        lambda: directory.change(
            "cn=config",
            "replace: nsslapd-ldapimaptoentries",
            "nsslapd-ldapimaptoentries: on",
            "-",
            "replace: nsslapd-ldapientrysearchbase",
            f"nsslapd-ldapientrysearchbase: {directory.users_base}",
        ),
    )


@pytest.fixture
def peers(
    directory: Directory, another_directory: Another, request: pytest.FixtureRequest
) -> Iterator[Peers]:
    """A server of the vendor for this test only: its configuration is changed."""
    missing = request.config.stash[CHOICE].missing.get(directory.vendor)
    assert missing is None
    if directory.vendor == "openldap":
        with another_directory() as slapd:
            yield _openldap(slapd)
    else:
        with DS389() as server, closing(Contents(server)) as contents:
            yield _ds389(server, contents)


@pytest.mark.live("openldap", "389ds", reason="Active Directory has no socket")
@pytest.mark.lengthy
def test_the_uid_at_the_socket_is_the_account(peers: Peers) -> None:
    """Whoever the server takes for nobody is told his uid, or what it takes him for."""
    before = peers.as_uid(_UID)
    assert "alice" not in before.partition(":")[0]
    assert before.startswith(("CredentialsRejected", "BaseNotFound"))
    assert str(_UID) in before
    peers.map_uids()
    assert peers.as_uid(_UID) == "alice"
    assert peers.as_uid(_ANOTHER) != "alice"
    assert str(_ANOTHER) in peers.as_uid(_ANOTHER)


# -- a certificate of ours ------------------------------------------------------------------


class Certificates:
    """A directory that alice alone sees, an authority, and certificates of it.

    Parameters
    ----------
    folder : Path
        For all files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(self.ca_file)

    def issue(
        self, name: str, *, known: bool = True, organization: str = "Example"
    ) -> dict[str, Any]:
        """Issue a certificate of cn=name,ou=hosts,o=Example; return the settings for it."""
        authority = self._authority if known else trustme.CA()
        issued = authority.issue_cert(
            name,
            common_name=name,
            organization_unit_name="hosts",
            organization_name=organization,
        )
        files = {
            "client_cert_file": self.folder / f"{name}.pem",
            "client_key_file": self.folder / f"{name}.key",
        }
        issued.cert_chain_pems[0].write_to_path(files["client_cert_file"])
        files["client_key_file"].touch(mode=0o600)
        issued.private_key_pem.write_to_path(files["client_key_file"])
        return files

    def demand(self, directory: Private, how: str) -> None:
        """Let slapd ask for certificates: ``try`` or ``demand``."""
        _configure(
            directory,
            "dn: cn=config",
            "changetype: modify",
            "replace: olcTLSCACertificateFile",
            f"olcTLSCACertificateFile: {self.ca_file}",
            "-",
            "replace: olcTLSVerifyClient",
            f"olcTLSVerifyClient: {how}",
        )


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def slapd(another_directory: Another, certificates: Certificates) -> Iterator[Private]:
    """A slapd with a certificate, which takes the one of the reader for alice."""
    files = certificates.issue("localhost")
    with another_directory(
        certificate=files["client_cert_file"], key=files["client_key_file"]
    ) as running:
        running.person("alice")
        _show_to_alice_alone(running)
        _take_for_alice(running, "^cn=reader,ou=hosts,o=example$")
        yield running


@pytest.fixture
def settings(slapd: Private, certificates: Certificates) -> dict[str, Any]:
    return {
        "uri": slapd.server.tls_uri,
        "ca_file": certificates.ca_file,
        "bind": "external",
        "bind_dn": None,
        "bind_password": None,
    }


@_OPENLDAP
@pytest.mark.parametrize("start_tls", [False, True])
def test_a_certificate_is_the_account(
    slapd: Private, certificates: Certificates, settings: dict[str, Any], start_tls: bool
) -> None:
    certificates.demand(slapd, "demand")
    settings.update(certificates.issue("reader"))
    if start_tls:
        settings.update(uri=f"ldap://localhost:{slapd.server.port}", start_tls=True)
    assert slapd.open(**settings).get_user(user_name="alice").name == "alice"


@_OPENLDAP
def test_whom_a_server_takes_for_nobody_is_told_so(
    slapd: Private, certificates: Certificates, settings: dict[str, Any]
) -> None:
    """The log-in succeeds, as a name that is no entry."""
    certificates.demand(slapd, "demand")
    settings.update(certificates.issue("somebody"))
    with pytest.raises(
        errors.BaseNotFound, match=r"this account \(cn=somebody,ou=hosts,o=example\) can see"
    ):
        slapd.open(**settings)


@_OPENLDAP
def test_a_longer_name_is_another_account(
    slapd: Private, certificates: Certificates, settings: dict[str, Any]
) -> None:
    certificates.demand(slapd, "demand")
    settings.update(certificates.issue("reader", organization="Example Two"))
    with pytest.raises(errors.BaseNotFound, match=r"\(cn=reader,ou=hosts,o=example two\)"):
        slapd.open(**settings)


@_OPENLDAP
def test_the_rule_of_the_page_shuts_out_what_is_no_account(
    slapd: Private, certificates: Certificates, settings: dict[str, Any]
) -> None:
    """Where whoever has logged in may read, every certificate of the authority has."""
    certificates.demand(slapd, "try")
    database = ("dn: olcDatabase={1}mdb,cn=config", "changetype: modify")
    _configure(slapd, *database, "replace: olcAccess", "olcAccess: to * by users read by * auth")
    stranger = {**settings, **certificates.issue("somebody")}
    assert slapd.open(**stranger).get_user(user_name="alice") is not None
    page = (CHECKOUT / "docs" / "authentication.md").read_text(encoding="utf-8")
    [rule] = re.findall(r"^olcAccess: \{0\}to \* by dn\.subtree.*$", page, re.MULTILINE)
    _configure(slapd, *database, "add: olcAccess", rule)
    with pytest.raises(errors.BaseNotFound):
        slapd.open(**stranger)
    reader = {**settings, **certificates.issue("reader")}
    assert slapd.open(**reader).get_user(user_name="alice") is not None


@_OPENLDAP
def test_a_server_that_asks_for_no_certificate_is_named(
    slapd: Private, certificates: Certificates, settings: dict[str, Any]
) -> None:
    settings.update(certificates.issue("reader"))
    with pytest.raises(
        errors.CredentialsRejected,
        match=r"rejected the login by external; .* asks for certificates",
    ):
        slapd.open(**settings)


@_OPENLDAP
@pytest.mark.parametrize("how", ["try", "demand"])
def test_a_certificate_of_an_unknown_authority_is_thought_of(
    slapd: Private, certificates: Certificates, settings: dict[str, Any], how: str
) -> None:
    """Debian's slapd closes the connection and says nothing."""
    certificates.demand(slapd, how)
    settings.update(certificates.issue("reader", known=False))
    with pytest.raises(
        errors.LDAPDBError, match=r"certificate, .*authority that it trusts: see client_cert_file"
    ):
        slapd.open(**settings)


@_OPENLDAP
@pytest.mark.parametrize("together", [False, True])
def test_a_key_that_others_can_read_is_refused(
    slapd: Private, certificates: Certificates, settings: dict[str, Any], together: bool
) -> None:
    """It is as good as a password, also where it is in the file of the certificate."""
    certificates.demand(slapd, "demand")
    files = certificates.issue("reader")
    kept = files["client_key_file"]
    if together:
        kept = files["client_cert_file"]
        kept.write_bytes(kept.read_bytes() + files.pop("client_key_file").read_bytes())
    kept.chmod(0o640)
    with pytest.raises(
        errors.SettingsError, match=rf"'{kept}' can be read or changed by others; run: chmod 600"
    ):
        slapd.open(**settings, **files)
    kept.chmod(0o600)
    assert slapd.open(**settings, **files).get_user(user_name="alice").name == "alice"

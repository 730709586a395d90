"""Samba as an Active Directory domain controller, private and real."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Optional

from .server import LDIF, PrivateServer, free_port

_REALM = "EXAMPLE.ORG"
_DOMAIN = "EXAMPLE"
_NAME = "dc1"


@dataclass
class SambaAD(PrivateServer):
    """The one domain controller of EXAMPLE.ORG, as ``samba-tool domain provision`` makes it.

    Its ports are fixed, so each has a loopback address of its own. Passwords may be
    anything, and nothing.

    Parameters
    ----------
    kerberos : bool
        Whether it is a KDC too, at port 88, for a client with :meth:`write_krb5_conf`.
    """

    kerberos: bool = False

    vendor: ClassVar[str] = "ad"
    title: ClassVar[str] = "Samba AD"
    suffix: ClassVar[str] = "DC=example,DC=org"
    admin_dn: ClassVar[str] = f"CN=Administrator,CN=Users,{suffix}"
    users_base: ClassVar[str] = f"OU=people,{suffix}"
    groups_base: ClassVar[str] = f"OU=groups,{suffix}"
    base_dn: ClassVar[str] = f"OU=remoteapp,{suffix}"
    _program: ClassVar[str] = "/usr/sbin/samba"
    _package: ClassVar[str] = "samba"
    _mounts: ClassVar[dict[str, str]] = {
        "etc": "/etc/samba",
        "lib": "/var/lib/samba",
        "cache": "/var/cache/samba",
        "log": "/var/log/samba",
        "run": "/run",
        "tmp": "/tmp",
    }

    @classmethod
    def missing(cls) -> Optional[str]:
        """Say why it cannot run here; None if it can."""
        if os.geteuid() != 0:
            return f"{cls.title} needs root: its ports are below 1024"
        return super().missing()

    def database_kwargs(self) -> dict[str, Any]:
        """Leave groups_base out, so that every group counts and the server follows them."""
        kwargs = super().database_kwargs()
        del kwargs["groups_base"]
        return kwargs

    @property
    def log_file(self) -> Path:
        """What Samba logs."""
        return self.folder / "output"

    @property
    def name(self) -> str:
        """Its name, which only :meth:`write_hosts` makes known."""
        return f"{_NAME}.{_REALM.lower()}"

    def write_krb5_conf(self, path: Path, *lines: str, kdc: str = "") -> None:
        """Write a client's configuration of Kerberos, which asks no name service.

        Parameters
        ----------
        *lines
            Further lines of its first section.
        kdc : str
            The KDC's address, where it is not this server's.
        """
        further = "".join(f"{line}\n" for line in lines)
        path.write_text(
            "[libdefaults]\n"
            f"default_realm = {_REALM}\n"
            "dns_lookup_kdc = false\n"
            "dns_lookup_realm = false\n"
            "dns_canonicalize_hostname = false\n"
            "rdns = false\n"
            f"{further}"
            f"[realms]\n{_REALM} = {{\nkdc = {kdc or self.host}\n}}\n"
            f"[domain_realm]\n.{_REALM.lower()} = {_REALM}\n",
            encoding="utf-8",
        )

    def write_hosts(self, path: Path) -> None:
        """Write an /etc/hosts that has its name."""
        path.write_text(f"127.0.0.1 localhost\n{self.host} {self.name} {_NAME}\n", encoding="utf-8")

    def _command(self) -> list[str]:
        return ["samba", "-F", "-M", "single", "--debug-stdout"]

    def _schema(self) -> list[str]:
        path = LDIF / "ad" / "schema.ldif"
        if not path.exists():
            return []
        return [path.read_text(encoding="utf-8").replace("DC=X\n", f"{self.suffix}\n")]

    def _make(self) -> None:
        run = self._namespace().run
        run(
            *("samba-tool", "domain", "provision", f"--realm={_REALM}"),
            *(f"--domain={_DOMAIN}", "--server-role=dc", "--dns-backend=NONE"),
            *(f"--host-name={_NAME}", f"--host-ip={self.host}", f"--adminpass={self.password}"),
            alone=True,
        )
        run(
            *("samba-tool", "domain", "passwordsettings", "set", "--complexity=off"),
            *("--history-length=0", "--min-pwd-length=0", "--min-pwd-age=0", "--max-pwd-age=0"),
        )

    def _configure(self) -> None:
        if not self.port:
            self.host, self.port, self.tls_port = free_address(389, 636), 389, 636
        self.write_hosts(self.folder / "hosts")
        scripts = f"/var/lib/samba/sysvol/{_REALM.lower()}/scripts"
        (self.folder / "etc" / "smb.conf").write_text(
            "[global]\n"
            f"netbios name = {_NAME}\n"
            f"workgroup = {_DOMAIN}\n"
            f"realm = {_REALM}\n"
            "server role = active directory domain controller\n"
            f"server services = {'ldap, kdc, cldap' if self.kerberos else 'ldap'}\n"
            f"interfaces = {self.host}/8\n"
            "bind interfaces only = yes\n"
            "ldap server require strong auth = no\n"
            "dsdb:schema update allowed = true\n"
            f"{self._tls()}"
            "[sysvol]\npath = /var/lib/samba/sysvol\nread only = no\n"
            f"[netlogon]\npath = {scripts}\nread only = no\n",
            encoding="utf-8",
        )

    def _tls(self) -> str:
        # Where it is on, Samba makes a certificate of its own at the first start: 2 s.
        if self.certificate is None or self.key is None:
            return "tls enabled = no\n"
        folder = self.folder / "lib" / "private" / "tls"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(self.certificate, folder / "cert.pem")
        (folder / "key.pem").touch(mode=0o600)  # a readable one is refused
        shutil.copyfile(self.key, folder / "key.pem")
        return "tls certfile = tls/cert.pem\ntls keyfile = tls/key.pem\ntls cafile =\n"

    def _extra_mounts(self) -> dict[Path, str]:
        return {self.folder / "hosts": "/etc/hosts"} if self.port else {}


def free_address(*ports: int) -> str:
    """Find an address of the loopback network at whose ports nobody listens."""
    while True:
        host = f"127.{random.randint(100, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
        if all(free_port(host, port) for port in ports):
            return host

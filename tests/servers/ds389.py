"""389 Directory Server, private and real."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ldapdb.errors import LDAPDBError

from .server import LDIF, PrivateServer, free_port

_CONFIG = "/etc/dirsrv/slapd-localhost"
_SOCKET = "ldapi://%2Frun%2Fslapd-localhost.socket"
_TASK_SECONDS = 30.0


@dataclass
class DS389(PrivateServer):
    """389 Directory Server with an instance called localhost, as ``dscreate`` makes it.

    Inside, ``dsidm localhost``, ``dsconf localhost`` and ``dsctl localhost`` need no password.

    Parameters
    ----------
    plugins : tuple of str
        Plug-ins that are on besides those that always are, by the ``cn`` of their
        entries, such as ``MemberOf Plugin``.
    """

    plugins: tuple[str, ...] = ()

    vendor: ClassVar[str] = "389ds"
    title: ClassVar[str] = "389 Directory Server"
    suffix: ClassVar[str] = "dc=example,dc=org"
    admin_dn: ClassVar[str] = "cn=Directory Manager"
    users_base: ClassVar[str] = f"ou=people,{suffix}"
    groups_base: ClassVar[str] = f"ou=groups,{suffix}"
    base_dn: ClassVar[str] = f"ou=remoteapp,{suffix}"
    _program: ClassVar[str] = "/usr/sbin/ns-slapd"
    _package: ClassVar[str] = "389-ds-base"
    _server_uid: ClassVar[int] = 389  # dirsrv
    _mounts: ClassVar[dict[str, str]] = {
        "etc": "/etc/dirsrv",
        "lib": "/var/lib/dirsrv",
        "log": "/var/log/dirsrv",
        "run": "/run",
        "tmp": "/tmp",
    }

    @property
    def log_file(self) -> Path:
        """Its access log: a line per operation, unbuffered."""
        return self.folder / "log" / "slapd-localhost" / "access"

    def _command(self) -> list[str]:
        # With -d it stays in the foreground; the number, which the package's own dscontainer
        # uses, lets it log as much as without, where 0 would silence it.
        pid_file = "/run/dirsrv/slapd-localhost.pid"
        return ["ns-slapd", "-D", _CONFIG, "-i", pid_file, "-d", "266354688"]

    def _schema(self) -> list[str]:
        files = (LDIF / "389ds" / "schema.ldif", LDIF / "389ds" / "indexes.ldif")
        return [path.read_text(encoding="utf-8") for path in files if path.exists()]

    def _load_schema(self) -> None:
        super()._load_schema()
        # An index is filled by a task, which fails if the server ends meanwhile.
        search = ["ldapsearch", "-Q", "-Y", "EXTERNAL", "-H", _SOCKET, "-LLL"]
        search += ["-b", "cn=index,cn=tasks,cn=config", "(nsIndexAttribute=*)", "nsTaskExitCode"]
        end = time.monotonic() + _TASK_SECONDS
        while (said := self.tool(*search)).count("dn:") > said.count("nsTaskExitCode: 0"):
            if time.monotonic() > end:
                raise LDAPDBError(f"389 did not fill an index within {_TASK_SECONDS:g} s")
            time.sleep(0.05)

    def _make(self) -> None:
        # It does not change its user: the kernel would forget whom to kill with us.
        user = "root" if os.geteuid() == 0 else "dirsrv"
        (self.folder / "tmp" / "answers.inf").write_text(
            "[general]\n"
            "config_version = 2\n"
            "full_machine_name = localhost\n"
            "strict_host_checking = False\n"
            "selinux = False\n"
            "start = False\n"
            "[slapd]\n"
            "instance_name = localhost\n"
            f"port = {free_port(self.host)}\n"
            f"secure_port = {free_port(self.host)}\n"
            f"root_password = {self.password}\n"
            f"user = {user}\n"
            f"group = {user}\n"
            "self_sign_cert = False\n"
            "[backend-userroot]\n"
            f"suffix = {self.suffix}\n"
            "create_suffix_entry = True\n",
            encoding="utf-8",
        )
        self._namespace().run("dscreate", "from-file", "/tmp/answers.inf", alone=True)

    def _configure(self) -> None:
        self.port = self.port or free_port(self.host) or 0
        config = {"nsslapd-port": str(self.port), "nsslapd-accesslog-logbuffering": "off"}
        changes = {"cn=config": config}
        for plugin in self.plugins:
            changes[f"cn={plugin},cn=plugins,cn=config"] = {"nsslapd-pluginEnabled": "on"}
        if self.certificate is not None and self.key is not None:
            self._import(self.certificate, self.key)
            self.tls_port = self.tls_port or free_port(self.host) or 0
            config.update({"nsslapd-security": "on", "nsslapd-secureport": str(self.tls_port)})
        path = self.folder / "etc" / "slapd-localhost" / "dse.ldif"
        path.write_text(_changed(path.read_text(encoding="utf-8"), changes), encoding="utf-8")

    def _import(self, certificate: Path, key: Path) -> None:
        """Put the certificate into the server's own store, where it has one name."""
        inside = []
        for source in (certificate, key):
            shutil.copyfile(source, self.scratch / source.name)
            inside.append(f"/tmp/{source.name}")
        self.tool("dsctl", "localhost", "tls", "import-server-key-cert", *inside)


def _changed(dse: str, changes: Mapping[str, Mapping[str, str]]) -> str:
    """Replace attributes in the configuration of a server that does not run."""
    entries = []
    left = dict(changes)
    for entry in re.sub(r"\n ", "", dse).split("\n\n"):
        lines = entry.strip().splitlines()
        wanted = left.pop(lines[0].partition("dn: ")[2], {}) if lines else {}
        names = {name.lower() for name in wanted}
        lines = [line for line in lines if line.partition(":")[0].lower() not in names]
        lines += [f"{name}: {value}" for name, value in wanted.items()]
        entries.append("\n".join(lines))
    if left:
        raise LDAPDBError(f"389 has no {', no '.join(left)}")
    return "\n\n".join(entries) + "\n"

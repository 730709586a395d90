"""A private OpenLDAP for trying things out: one folder, one socket, no root.

The same code serves ``ldapdb demo`` and the tests. Everything, the configuration, the
data, the socket and the log, is in one temporary folder and goes with it; the server
listens on that socket and on a free port of the loopback address.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import quote

from ldapdb.errors import LDAPDBError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["EmbeddedDirectory", "Slapd", "ldif_folder"]

SUFFIX = "dc=example,dc=org"
_START_SECONDS = 15.0
_STOP_SECONDS = 10.0
# Where distributions keep the server that no user has on his PATH.
_SERVER_FOLDERS = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/local/libexec",
    "/usr/lib/openldap",
    "/opt/homebrew/opt/openldap/libexec",
    "/usr/local/opt/openldap/libexec",
)
_MODULE_FOLDERS = ("lib/ldap", "lib64/openldap", "lib/openldap", "libexec/openldap")
_SCHEMA_FOLDERS = ("etc/ldap/schema", "etc/openldap/schema", "../etc/openldap/schema")
_ACCESS = (
    "olcAccess: to attrs=userPassword by self =xw by anonymous auth by * none\n"
    "olcAccess: to * by users read by * none\n"
)
_MISSING = (
    "slapd, the OpenLDAP server, is not installed; install it with\n"
    "  Debian, Ubuntu:  apt install slapd ldap-utils\n"
    "  Fedora:          dnf install openldap-servers openldap-clients\n"
    "  macOS:           brew install openldap\n"
    "It need not be configured or running."
)


def ldif_folder() -> Path:
    """Return the folder with the schema and the sample: beside us, or of the checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "ldif", here.parent / "ldif"):
        if folder.is_dir():
            return folder
    raise LDAPDBError(f"the folder ldif is missing beside {here}; install ldapdb-remoteapp again")


@dataclass(frozen=True)
class Slapd:
    """An installed OpenLDAP server.

    Parameters
    ----------
    program : Path
        The server; with ``-T add`` it is slapadd.
    modules : Path, optional
        Folder of its loadable modules; None where all is built in.
    schema : Path
        Folder of the standard schema as LDIF.
    """

    program: Path
    modules: Optional[Path]
    schema: Path

    @classmethod
    def find(cls) -> Slapd:
        """Find the server on PATH and where distributions put it.

        Raises
        ------
        LDAPDBError
            If there is none, with what to install.
        """
        folders = os.environ.get("PATH", "").split(os.pathsep)
        found = shutil.which("slapd", path=os.pathsep.join([*folders, *_SERVER_FOLDERS]))
        if found is None:
            raise LDAPDBError(_MISSING)
        program = Path(found).resolve()
        # <root>/usr/sbin/slapd, where <root> may be a folder that a package was unpacked into.
        roots = [parent for path in (Path(found), program) for parent in path.parents]
        modules = _first(
            folder
            for root in roots
            for name in _MODULE_FOLDERS
            if any((folder := root / name).glob("back_mdb*"))
        )
        schema = _first(
            folder
            for root in roots
            for name in _SCHEMA_FOLDERS
            if (folder := root / name).joinpath("inetorgperson.ldif").is_file()
        )
        if schema is None:
            raise LDAPDBError(f"{found} is there and its schema folder is not.\n{_MISSING}")
        return cls(program, modules, schema)


def _first(folders: Iterator[Path]) -> Optional[Path]:
    return next(folders, None)


@dataclass
class EmbeddedDirectory:
    """A private slapd with our schema.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`.

    Parameters
    ----------
    sample : bool
        Whether to load ``ldif/sample.ldif``; without it the directory is empty.
    access : str
        The database's access rules, as ``olcAccess`` lines.
    schema : bool
        Whether it has our schema; without it, neither can it have the sample.
    certificate, key : Path, optional
        The server's, for ldaps:// and StartTLS (PEM).
    """

    sample: bool = True
    access: str = _ACCESS
    schema: bool = True
    certificate: Optional[Path] = None
    key: Optional[Path] = None
    folder: Path = field(init=False)
    port: int = field(init=False, default=0)
    tls_port: int = field(init=False, default=0)
    password: str = field(init=False, default_factory=lambda: secrets.token_urlsafe(16))
    _process: Optional[subprocess.Popen[bytes]] = field(init=False, default=None)
    _slapd: Slapd = field(init=False, default_factory=Slapd.find)

    admin_dn = f"cn=admin,{SUFFIX}"
    users_base = f"ou=people,{SUFFIX}"
    groups_base = f"ou=groups,{SUFFIX}"
    base_dn = f"ou=remoteapp,{SUFFIX}"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop and remove everything."""
        self.stop()

    @property
    def uri(self) -> str:
        """The address on the loopback network."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_uri(self) -> str:
        """The address on the loopback network for TLS, where there is a certificate."""
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def socket_uri(self) -> str:
        """The address of the socket."""
        return f"ldapi://{quote(str(self.folder / 'ldapi'), safe='')}"

    @property
    def log_file(self) -> Path:
        """What slapd logs: a line per operation."""
        return self.folder / "slapd.log"

    def database_kwargs(self) -> dict[str, Any]:
        """Return the settings with which ldapdb uses this directory."""
        return {
            "uri": self.uri,
            "bind_dn": self.admin_dn,
            "bind_password": self.password,
            "base_dn": self.base_dn,
            "users_base": self.users_base,
            "groups_base": self.groups_base,
        }

    def start(self) -> None:
        """Make the folder, configure, load and start; return when the server answers.

        Raises
        ------
        LDAPDBError
            If slapd refuses, with what it said.
        """
        # A socket's path may have some 100 characters, so the folder has a short name.
        self.folder = Path(tempfile.mkdtemp(prefix="ldapdb-"))
        try:
            (self.folder / "config").mkdir()
            (self.folder / "data").mkdir()
            self._add(0, self._configuration())
            if self.sample:
                self._add(1, (ldif_folder() / "sample.ldif").read_text(encoding="utf-8"))
            self.run()
        except BaseException:
            self.stop()
            raise

    def run(self) -> None:
        """Start the server on the folder as it is, on a free port or the one it had."""
        self.port = self.port or free_ports(1)[0]
        uris = [self.uri, self.socket_uri]
        if self.certificate is not None:
            self.tls_port = self.tls_port or free_ports(1)[0]
            uris.append(self.tls_uri)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- the slapd that we found
                [
                    str(self._slapd.program),
                    *("-F", str(self.folder / "config")),
                    *("-h", " ".join(uris)),
                    *("-d", "stats"),  # and so in the foreground: it ends with us
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self._wait()

    def halt(self, signal_number: int = signal.SIGTERM) -> None:
        """End the server and keep the folder, so that :meth:`run` can go on."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal_number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def signal(self, signal_number: int) -> None:
        """Send the server a signal, such as SIGSTOP."""
        assert self._process is not None  # noqa: S101 -- the caller has started it
        self._process.send_signal(signal_number)
        if signal_number == signal.SIGSTOP and hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # its threads stop one by one

    def stop(self) -> None:
        """End the server and remove the folder."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ldapmodify(self, ldif: str, *options: str) -> None:
        """Change the directory from outside, with OpenLDAP's own tool.

        Parameters
        ----------
        ldif : str
            Change records (RFC 2849).
        *options
            For ``ldapmodify``, such as ``-a``.

        Raises
        ------
        LDAPDBError
            With what the tool said.
        """
        tool = shutil.which("ldapmodify")
        if tool is None:
            raise LDAPDBError(f"ldapmodify is not installed.\n{_MISSING}")
        password_file = self.folder / "admin.pw"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        command = [tool, "-x", "-H", self.socket_uri, "-D", self.admin_dn]
        command += ["-y", str(password_file), *options]
        _check(command, ldif)

    def _add(self, database: int, ldif: str) -> None:
        command = [str(self._slapd.program), "-T", "add", "-n", str(database)]
        _check([*command, "-F", str(self.folder / "config"), "-d", "0"], ldif)

    def _configuration(self) -> str:
        schema = [self._slapd.schema / f"{name}.ldif" for name in ("core", "cosine", "nis")]
        schema += [self._slapd.schema / "inetorgperson.ldif"]
        if self.schema:
            schema += [ldif_folder() / "openldap" / "schema.ldif"]
        root = "cn=config\nobjectClass: olcGlobal\ncn: config\n"
        if self.certificate is not None:
            root += (
                f"olcTLSCertificateFile: {self.certificate}\nolcTLSCertificateKeyFile: {self.key}\n"
            )
        module = ""
        if self._slapd.modules is not None:
            module = (
                "dn: cn=module,cn=config\nobjectClass: olcModuleList\ncn: module\n"
                f"olcModulePath: {self._slapd.modules}\nolcModuleLoad: back_mdb\n\n"
            )
        includes = "\n".join(f"include: {path.as_uri()}" for path in schema)
        manage = f"gidNumber={os.getgid()}+uidNumber={os.getuid()},cn=peercred,cn=external,cn=auth"
        secret = base64.b64encode(self.password.encode()).decode()
        return (
            f"dn: {root}\n{module}"
            "dn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema\n\n"
            f"{includes}\n\n"
            "dn: olcDatabase=config,cn=config\nobjectClass: olcDatabaseConfig\n"
            f"olcDatabase: config\nolcAccess: to * by dn.exact={manage} manage by * none\n\n"
            "dn: olcDatabase=mdb,cn=config\nobjectClass: olcDatabaseConfig\n"
            "objectClass: olcMdbConfig\nolcDatabase: mdb\n"
            f"olcSuffix: {SUFFIX}\nolcRootDN: {self.admin_dn}\nolcRootPW:: {secret}\n"
            f"olcDbDirectory: {self.folder / 'data'}\nolcDbMaxSize: 1073741824\n"
            # Nothing here has to outlive a power cut.
            "olcDbNoSync: TRUE\n"
            "olcDbIndex: objectClass,uid,member,entryUUID,cn eq\n"
            f"{'olcDbIndex: remoteAppImage eq' if self.schema else '# no schema'}\n"
            f"{self.access}\n"
        )

    def _wait(self) -> None:
        """Wait until the server answers a real request, an anonymous bind."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            assert self._process is not None  # noqa: S101 -- run() has just started it
            if self._process.poll() is not None:
                said = self.log_file.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise LDAPDBError(f"slapd ended at its start; it said:\n{said}")
            # Not by the port, at which somebody else may answer: slapd answers nowhere before it
            # has all its addresses.
            if _answers(self.folder / "ldapi"):
                return
            time.sleep(0.02)
        raise LDAPDBError(f"slapd did not answer within {_START_SECONDS:g} s")


def _check(command: list[str], text: str) -> None:
    done = subprocess.run(  # noqa: S603 -- programs that we found, no shell
        command, input=text.encode(), capture_output=True, check=False
    )
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace").strip()
        raise LDAPDBError(f"{Path(command[0]).name} failed: {said}")


def free_ports(count: int) -> list[int]:
    """Find ports of this machine at which nobody listens, each another one.

    Parameters
    ----------
    count : int
        How many; all are tried at once, because the system may offer one twice.
    """
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


# An anonymous simple bind of version 3, and the beginning of its answer (RFC 4511, 4.2).
_BIND_REQUEST = bytes.fromhex("300c020101600702010304008000")
_BIND_RESPONSE = bytes.fromhex("300c02010161")


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
            probe.sendall(_BIND_REQUEST)
            return probe.recv(64).startswith(_BIND_RESPONSE)
    except OSError:
        return False

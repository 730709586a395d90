"""What both servers have in common: a folder, a process, and a life between the two."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from ldapdb.errors import LDAPDBError

from . import machine, made
from .machine import CHECKOUT, Namespace

if TYPE_CHECKING:
    from typing_extensions import Self

LDIF = CHECKOUT / "ldif"
# An anonymous simple bind of version 3 (RFC 4511, 4.2).
_BIND_REQUEST = bytes.fromhex("300c020101600702010304008000")
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


@dataclass
class PrivateServer(ABC):
    """A directory server in a folder of its own; what ``ldapdb.embedded`` is to OpenLDAP.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`, from a
    thread that outlives it.

    Parameters
    ----------
    schema : bool
        Whether it has our schema.
    certificate, key : Path, optional
        The server's, for ldaps:// and StartTLS (PEM).
    """

    schema: bool = True
    certificate: Optional[Path] = None
    key: Optional[Path] = None
    folder: Path = field(init=False, default=Path())
    host: str = field(init=False, default="127.0.0.1")
    port: int = field(init=False, default=0)
    tls_port: int = field(init=False, default=0)
    _process: Optional[subprocess.Popen[bytes]] = field(init=False, default=None)

    vendor: ClassVar[str]
    title: ClassVar[str]
    suffix: ClassVar[str]
    admin_dn: ClassVar[str]
    users_base: ClassVar[str]
    groups_base: ClassVar[str]
    base_dn: ClassVar[str]
    # Known to all, and of use to nobody who is not on this machine already.
    password: ClassVar[str] = "Only-for-tests-1"

    # The server inside, its package, and each part of the folder with its path inside.
    _program: ClassVar[str]
    _package: ClassVar[str]
    _mounts: ClassVar[Mapping[str, str]]
    _server_uid: ClassVar[int] = 0
    # Parts that are not worth keeping with an instance that has been made.
    _volatile: ClassVar[tuple[str, ...]] = ("tmp",)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop and remove everything."""
        self.stop()

    @classmethod
    def missing(cls) -> Optional[str]:
        """Say why it cannot run here; None if it can."""
        return machine.missing(cls.title, cls._program, cls._server_uid)

    @property
    def version(self) -> str:
        """Its version, without Debian's part."""
        names = (machine.MACHINE / "packages").read_text(encoding="utf-8")
        found = re.search(rf"^{self._package}_(?:\d+%3a)?([\d.]+)", names, re.MULTILINE)
        return found.group(1) if found else ""

    @property
    def uri(self) -> str:
        """The address on the loopback network."""
        return f"ldap://{self.host}:{self.port}"

    @property
    def tls_uri(self) -> str:
        """The address on the loopback network for TLS, where there is a certificate."""
        return f"ldaps://{self.host}:{self.tls_port}"

    @property
    def scratch(self) -> Path:
        """The folder that is /tmp for the server and for :meth:`tool`."""
        return self.folder / "tmp"

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
        """Make the folder and start; return when the server answers.

        Raises
        ------
        LDAPDBError
            If the server or one of its tools refuses, with what it said.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="ldapdb-"))
        try:
            self._fill()
            self.run()
        except BaseException:
            self.stop()
            raise

    def run(self) -> None:
        """Start the server on the folder as it is, on the address it had if it had one."""
        self._configure()
        with (self.folder / "output").open("ab") as output:
            self._process = self._namespace().start(self._command(), output)
        self._wait()

    def halt(self, signal_number: int = signal.SIGTERM) -> None:
        """End the server and keep the folder, so that :meth:`run` can go on."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal_number)
        process.send_signal(signal.SIGCONT)  # one that was stopped hears nothing else
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def signal(self, signal_number: int) -> None:
        """Send the server a signal, such as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal_number)

    def stop(self) -> None:
        """End the server and remove the folder."""
        self.halt(signal.SIGKILL)  # nothing of it is to be kept, and 389 takes 2 s to end
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def tool(self, *command: str, input: str = "") -> str:
        """Run a program beside the server, as an administrator on its machine would.

        Parameters
        ----------
        *command
            Such as ``dsidm localhost ...`` or ``samba-tool ...``; each word by itself.
        input : str
            What it reads from standard input.

        Returns
        -------
        str
            Its standard output.

        Raises
        ------
        LDAPDBError
            With what it said, if its exit status is not 0.
        """
        return self._namespace().run(*command, text=input)

    def ldapmodify(self, ldif: str, *options: str, check: bool = True) -> None:
        """Change the directory from outside, with OpenLDAP's own tool.

        Parameters
        ----------
        ldif : str
            Change records (RFC 2849).
        *options
            For ``ldapmodify``, such as ``-a``.
        check : bool
            Whether it matters that some of it is refused.

        Raises
        ------
        LDAPDBError
            With what the tool said.
        """
        tool = shutil.which("ldapmodify")
        if tool is None:
            raise LDAPDBError("ldapmodify is not installed")
        # One for each thread: while it is written, another would find it empty.
        password_file = self.folder / f"admin-{threading.get_ident()}.pw"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        command = [tool, "-x", "-H", self.uri, "-D", self.admin_dn]
        command += ["-y", str(password_file), *options]
        done = subprocess.run(command, input=ldif.encode(), capture_output=True, check=False)
        if done.returncode and check:
            said = (done.stderr + done.stdout).decode(errors="replace").strip()
            raise LDAPDBError(f"ldapmodify failed: {said}")

    # --- what a vendor's server adds

    @abstractmethod
    def _make(self) -> None:
        """Make an instance without our schema in the folder, which has its parts."""

    @abstractmethod
    def _configure(self) -> None:
        """Choose the address, unless there is one, and write it with all parameters."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the server's command line, to run in the foreground."""

    @abstractmethod
    def _schema(self) -> list[str]:
        """Return what to load, in order, with ldapmodify."""

    def _load_schema(self) -> None:
        """Load it into the running server, and return when that is done."""
        for ldif in self._schema():
            self.ldapmodify(ldif)

    def _extra_mounts(self) -> dict[Path, str]:
        return {}

    # --- how an instance comes about

    def _namespace(self) -> Namespace:
        parts = {self.folder / part: inside for part, inside in self._mounts.items()}
        return Namespace({**parts, **self._extra_mounts()}, self._server_uid)

    def _fill(self) -> None:
        """Fill the folder from what has been made, or make it."""
        sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
        if not self.schema:
            made.copy(f"{self.vendor}-plain", sources, self._make_plain, self.folder)
        else:
            decides = [*sources, *(text.encode() for text in self._schema())]
            made.copy(f"{self.vendor}-schema", decides, self._make_with_schema, self.folder)

    def _make_plain(self, folder: Path) -> None:
        maker = type(self)(schema=False)
        maker.folder = folder
        for part, inside in self._mounts.items():
            (folder / part).mkdir()
            original = machine.MACHINE / inside.lstrip("/")
            if part not in {"run", *self._volatile} and original.is_dir():
                shutil.copytree(original, folder / part, symlinks=True, dirs_exist_ok=True)
        maker._make()
        maker._leave()

    def _make_with_schema(self, folder: Path) -> None:
        maker = type(self)(schema=False)
        maker.folder = folder
        maker._fill()
        try:
            maker.run()
            maker._load_schema()
        finally:
            maker.halt()
        maker._leave()

    def _leave(self) -> None:
        """Remove what is not worth keeping."""
        for part in self._volatile:
            shutil.rmtree(self.folder / part)
            (self.folder / part).mkdir()

    def _wait(self) -> None:
        """Wait until the server answers a real request, an anonymous bind."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            assert self._process is not None
            if self._process.poll() is not None:
                raise LDAPDBError(f"{self.title} ended at its start; it said:\n{self._said()}")
            if _answers(self.host, self.port):
                return
            time.sleep(0.02)
        raise LDAPDBError(f"{self.title} did not answer within {_START_SECONDS:g} s")

    def _said(self) -> str:
        return (self.folder / "output").read_text(encoding="utf-8", errors="replace")[-2000:]


def free_port(host: str, port: int = 0) -> Optional[int]:
    """Return the port, or any, if nobody listens there; None if somebody does."""
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return None
        found: int = probe.getsockname()[1]
        return found


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as probe:
            probe.sendall(_BIND_REQUEST)
            return probe.recv(1) == b"0"  # the tag of every LDAP message
    except OSError:
        return False

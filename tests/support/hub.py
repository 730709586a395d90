"""JupyterHub of the host's release, with the files of ``compose/host/`` as they stand.

It runs in a mount namespace with an ``/etc`` of its own, where those files are what an operator
copies them to, and where names of example.org are addresses of this machine. So a test changes
no line of them but those that an operator would. ``.ci/prepare machine`` installs it.
"""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import pytest
import trustme
from servers.machine import CHECKOUT, unshare

from support.peers import need_root

__all__ = ["HUB", "HUB_PORTS", "Answer", "Hub", "Visitor", "need_hub", "running_hub"]

HUB = "remote.example.org"
# Of its proxy for people, of the hub, and of the proxy for the hub.
HUB_PORTS = 443, 8081, 8001
_HOST = CHECKOUT / "compose" / "host"
_VENV = CHECKOUT / ".cache" / "hub-venv" / "bin"
_MODULES = _VENV.parent / "node_modules" / ".bin"
_STANDIN = CHECKOUT / "tests" / "standin"
_START_SECONDS = 60.0
# What programs need of the machine's own /etc.
_KEPT = ("ld.so.cache", "localtime")
_SECRET = re.compile(r"\.pw$|key|secret")
_MOUNT = """
set -e
# As for servers; see tests/servers/machine.py.
mount -t proc proc /proc 2>/dev/null || true
while [ "$1" != -- ]; do
    mount --rbind "$1" "$2" && shift 2
done
shift
exec "$@"
"""
# A command in namespaces of its own, behind pairs of what is mounted where, and "--".
_ENTER = (*unshare("--pid", "--fork", "--kill-child"), "sh", "-c", _MOUNT, "enter")


def need_hub() -> None:
    """Skip a test where there is no JupyterHub; in CI there must be."""
    need_root()
    missing = _missing()
    if missing is not None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say(missing)


def _missing() -> Optional[str]:
    if not (_VENV / "jupyterhub").exists() or not (_MODULES / "configurable-http-proxy").exists():
        return "JupyterHub is not there; `.ci/prepare machine` installs it where Python 3.9 is"
    try:
        tried = subprocess.run([*_ENTER, "--", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return "JupyterHub needs util-linux (unshare, mount, setpriv) here"
    if tried.returncode:
        said = tried.stderr.decode(errors="replace").strip()
        return f"JupyterHub needs namespaces here, which this machine refuses: {said}"
    return None


@dataclass
class Hub:
    """A hub that runs.

    Parameters
    ----------
    folder : Path
        Has what it sees as ``/etc``, ``/run`` and ``/var/lib``, its log and what it keeps.
    addresses : mapping
        Addresses of this machine by the names under which the files know them.
    authority : trustme.CA
        Who signed the hub's certificate.
    """

    folder: Path
    addresses: Mapping[str, str]
    authority: trustme.CA

    @property
    def log(self) -> str:
        """What the hub, its proxy and the users' processes have said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def etc(self, name: str) -> Path:
        """Return the path of a file that it sees below ``/etc``."""
        return self.folder / "etc" / name

    def visitor(self, *, careless: bool = False) -> Visitor:
        """Return somebody with a browser that knows nobody yet, and perhaps trusts everybody."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if careless:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return Visitor(self.addresses, context)


@dataclass(frozen=True)
class Answer:
    """What a visitor sees: at which address, with which status, and from whose process."""

    url: str
    status: int
    text: str
    process: str = ""


class Visitor:
    """Somebody with a browser, as far as forms, redirections and cookies go.

    Parameters
    ----------
    addresses : mapping
        Addresses by name.
    context : SSLContext
        Whose certificates are trusted.
    """

    def __init__(self, addresses: Mapping[str, str], context: ssl.SSLContext) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            _Handler(addresses, context),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )

    def get(self, url: str) -> Answer:
        """Open a page."""
        return self._open(url, None)

    def post(self, url: str, data: bytes) -> Answer:
        """Send something."""
        return self._open(url, data)

    def log_in(self, name: str, password: str) -> Answer:
        """Fill in the hub's form, and wait for what it leads to."""
        form = urllib.parse.urlencode({"username": name, "password": password})
        return self.wait(self.post(f"https://{HUB}/hub/login", form.encode()))

    def wait(self, answer: Answer) -> Answer:
        """Wait while the hub starts the user's process, as its page does."""
        end = time.monotonic() + _START_SECONDS
        while "/hub/spawn" in answer.url and answer.status == 200:
            if time.monotonic() > end:
                raise TimeoutError(answer.url)
            time.sleep(0.1)
            answer = self.get(answer.url)
        return answer

    def _open(self, url: str, data: Optional[bytes]) -> Answer:
        try:
            with self._opener.open(url, data, timeout=20) as response:
                return _answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)


def _answer(response: Any) -> Answer:
    text = response.read().decode()
    return Answer(response.url, response.status, text, response.headers.get("X-Process", ""))


class _Handler(urllib.request.HTTPSHandler):
    """Connects by a table of names, as an /etc/hosts of its own would have it."""

    def __init__(self, addresses: Mapping[str, str], context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._addresses = addresses
        self._tls = context

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(host, context=self._tls, **options)
        connection._create_connection = self._connect  # type: ignore[attr-defined]
        return connection

    def _connect(self, address: tuple[str, int], *arguments: Any) -> socket.socket:
        name, port = address
        return socket.create_connection((self._addresses[name], port), *arguments)


@contextlib.contextmanager
def running_hub(
    folder: Path,
    addresses: Mapping[str, str],
    authority: trustme.CA,
    files: Mapping[str, str],
    *,
    socket_file: Optional[Path],
    accounts: Mapping[str, int],
) -> Iterator[Hub]:
    """Start a hub, and stop it with all that it started.

    Parameters
    ----------
    folder : Path
        Empty.
    addresses : mapping
        Addresses by name; the hub's own is among them.
    authority : trustme.CA
        Signs the hub's certificate.
    files : mapping
        Texts by name below ``/etc``. The first is the hub's configuration.
    socket_file : Path, optional
        The directory's, which is ``/run/slapd/ldapi`` there.
    accounts : mapping
        Who has an account on the machine, with its number; homes are below ``/var/lib``.
    """
    hub = Hub(folder, addresses, authority)
    _write_etc(hub, files, accounts)
    _make_homes(folder, accounts)
    address = addresses[HUB]
    settings = {
        "JupyterHub.bind_url": f"https://{address}:443",
        "JupyterHub.hub_ip": address,
        "JupyterHub.db_url": f"sqlite:///{folder / 'hub.sqlite'}",
        "JupyterHub.cookie_secret_file": folder / "cookie-secret",
        "JupyterHub.log_level": "INFO",
        "ConfigurableHTTPProxy.api_url": f"http://{address}:8001",
        "ConfigurableHTTPProxy.pid_file": folder / "proxy.pid",
    }
    command = [
        *(*_ENTER, *_mounts(folder, socket_file), "--"),
        *(str(_VENV / "jupyterhub"), "-f", f"/etc/{next(iter(files))}"),
        *(f"--{name}={value}" for name, value in settings.items()),
    ]
    environment = {
        "PATH": f"{_VENV}:{_MODULES}:{_STANDIN / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": f"{_STANDIN}:{_STANDIN / 'host22'}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "SSL_CERT_FILE": "/etc/authority.pem",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait(hub, process)
        yield hub
    finally:
        process.kill()
        process.wait()


def _mounts(folder: Path, socket_file: Optional[Path]) -> list[str]:
    """Say what is mounted where, each after what it is mounted in."""
    (folder / "run" / "slapd").mkdir(parents=True)
    for path in (folder / "run", folder / "run" / "slapd"):
        path.chmod(0o755)
    mounts = [
        *_opened(
            folder / "open",
            [_VENV, (_VENV / "python").resolve(), _STANDIN, CHECKOUT / "ldapdb"],
        ),
        (folder / "etc", "/etc"),
        (folder / "lib", "/var/lib"),
        (folder / "run", "/run"),
    ]
    if socket_file is not None:
        (folder / "run" / "slapd" / "ldapi").touch()
        mounts.append((socket_file, "/run/slapd/ldapi"))
    return [str(each) for pair in mounts for each in pair]


def _opened(folder: Path, needed: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Let every account pass through folders that only root passes, to what it needs there."""
    closed = {
        parent
        for path in needed
        for parent in path.parents
        if not parent.stat().st_mode & stat.S_IXOTH
    }
    for number, parent in enumerate(sorted(closed)):
        names = {path.relative_to(parent).parts[0] for path in needed if parent in path.parents}
        for name in names:
            (folder / str(number) / name).mkdir(parents=True)
            yield parent / name, folder / str(number) / name
        yield folder / str(number), parent


def _write_etc(hub: Hub, files: Mapping[str, str], accounts: Mapping[str, int]) -> None:
    hub.etc("").mkdir()
    hub.etc("").chmod(0o755)
    for name in _KEPT:
        here = Path("/etc", name)
        if here.exists():
            shutil.copy(here, hub.etc(name))
    issued = hub.authority.issue_cert(HUB)
    texts = {
        **files,
        "passwd": "root:x:0:0:root:/root:/bin/sh\n"
        + "".join(
            f"{name}:x:{uid}:{uid}::/var/lib/{name}:/bin/sh\n" for name, uid in accounts.items()
        ),
        "group": "root:x:0:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "hosts": "127.0.0.1 localhost\n"
        + "".join(f"{address} {name}\n" for name, address in hub.addresses.items()),
        "authority.pem": hub.authority.cert_pem.bytes().decode(),
        "jupyterhub/cert.pem": issued.cert_chain_pems[0].bytes().decode(),
        "jupyterhub/key.pem": issued.private_key_pem.bytes().decode(),
    }
    for path in _HOST.glob("*.py"):
        texts.setdefault(f"jupyterhub/{path.name}", path.read_text(encoding="utf-8"))
    for name, text in texts.items():
        path = hub.etc(name)
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        if not _SECRET.search(name):
            path.chmod(0o644)


def _make_homes(folder: Path, accounts: Mapping[str, int]) -> None:
    (folder / "lib" / "remoteapp").mkdir(parents=True)
    (folder / "lib").chmod(0o755)
    for name, uid in accounts.items():
        home = folder / "lib" / name
        home.mkdir(mode=0o700)
        os.chown(home, uid, uid)


def _wait(hub: Hub, process: subprocess.Popen[bytes]) -> None:
    """Wait until the log-in page is there."""
    end = time.monotonic() + _START_SECONDS
    visitor = hub.visitor()
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if visitor.get(f"https://{HUB}/hub/login").status == 200:
                return
        time.sleep(0.1)
    pytest.fail(f"the hub does not answer; it said:\n{hub.log}")

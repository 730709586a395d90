"""The stack of ``compose/`` under a test: its files, its containers, its ports.

It knows nothing of pytest. Whoever calls it needs a Docker engine that answers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import docker

from ldapdb.embedded import free_ports

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Stack", "composers", "make_site"]

CHECKOUT = Path(__file__).resolve().parents[2]
_BUILD_SECONDS = 600
_HEALTH_SECONDS = 90
_LOOK_SECONDS = 0.2
# Whom the client's image is for: the interpreter of Debian 12.
_PYTHON = "3.11"
_PORTS = (
    *("OPENLDAP_PORT", "PROVIDER1_PORT", "PROVIDER2_PORT", "CONSUMER_PORT"),
    *("DS389_PORT", "AD_PORT", "ADMIN_PORT"),
)


def composers() -> dict[str, list[str]]:
    """Find the two generations of the program that reads the file, by their names."""
    found = {}
    if _runs("docker", "compose", "version"):
        found["v2"] = ["docker", "compose"]
    version = _runs("docker-compose", "version", "--short")
    if version.startswith("1."):
        found["v1"] = ["docker-compose"]
    elif version:
        found.setdefault("v2", ["docker-compose"])
    return found


def make_site(folder: Path) -> None:
    """Copy what an operator copies, with the wheel and all it needs, so that no build asks PyPI.

    Raises
    ------
    subprocess.CalledProcessError
        If pip fails.
    """
    for name in ("compose", "ldif"):
        shutil.copytree(CHECKOUT / name, folder / name)
    shutil.copy(CHECKOUT / ".dockerignore", folder)
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check"]
    dist = str(folder / "dist")
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", dist, str(CHECKOUT)], check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    machine = f"manylinux2014_{os.uname().machine}"
    wanted = ["--python-version", _PYTHON, "--implementation", "cp", "--platform", machine]
    wanted += ["--only-binary=:all:", "--dest", dist, f"{wheel}[cli]"]
    subprocess.run([*pip, "download", *wanted], check=True)


class Stack:
    """Profiles of the stack under a name of their own, gone when it is left.

    Parameters
    ----------
    site : Path
        A folder that :func:`make_site` has filled.
    composer : list of str
        The program, of :func:`composers`.
    *profiles
        What is started.
    files : sequence of Path
        Files that change the stack's, for one test.
    """

    def __init__(
        self, site: Path, composer: Sequence[str], *profiles: str, files: Sequence[Path] = ()
    ) -> None:
        self.project = f"ldapdbtest{uuid.uuid4().hex[:8]}"
        self.engine: Any = docker.from_env()
        self.site = site
        self.ports = dict(zip(_PORTS, free_ports(len(_PORTS))))
        self._command = [*composer, "--project-name", self.project]
        for file in (site / "compose" / "compose.yaml", *files):
            self._command += ["--file", str(file)]
        for profile in profiles:
            self._command += ["--profile", profile]
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "COMPOSE_PROFILES"},
            **{name: str(port) for name, port in self.ports.items()},
            "LDAPDB_DIRECTORY": profiles[0],
            "PIP_NO_INDEX": "1",
            "HEALTH_INTERVAL": "1s",
        }

    def __enter__(self) -> Self:
        """Start and wait until all are healthy."""
        try:
            self.compose("up", "--detach", "--no-build")
            self.wait_healthy()
        except BaseException as error:
            said = self.compose("logs", "--no-color", "--tail", "15")
            self.close()
            raise RuntimeError(f"the stack did not start; it said: {said}") from error
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Take everything down."""
        self.close()

    def close(self) -> None:
        """Remove containers, networks and volumes."""
        self.compose("down", "--volumes", "--timeout", "2")
        self.engine.close()

    def compose(self, *arguments: str, text: str = "") -> str:
        """Run the program with a text as its standard input; return its standard output.

        Raises
        ------
        RuntimeError
            With what it said.
        """
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self.site,
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-3000:]}{done.stdout[-3000:]}")
        return done.stdout

    def container(self, service: str) -> Any:
        """Return the container of a service, as the engine's own library has it."""
        (found,) = self.engine.containers.list(all=True, filters={"label": self._labels(service)})
        return found

    def lose(self, service: str) -> None:
        """Remove a server of OpenLDAP's with its volume, as if its machine had burnt down."""
        self.container(service).remove(force=True)
        self.engine.volumes.get(f"{self.project}_{service}-data").remove()

    def run(self, service: str, *command: str, user: str = "") -> tuple[int, str]:
        """Run a program in a container; return its exit status and all it said."""
        done = self.container(service).exec_run(list(command), user=user)
        return done.exit_code, done.output.decode()

    def read(self, service: str, path: str) -> str:
        """Return what a file in a container says."""
        status, text = self.run(service, "cat", path)
        assert status == 0, text
        return text

    def copy(self, service: str) -> str:
        """Return the directory of a server of OpenLDAP's as LDIF, taken while it runs."""
        command = ["slapcat", "-F", "/var/lib/slapd/config", "-n", "1"]
        done = self.container(service).exec_run(command, demux=True)
        assert done.exit_code == 0, done.output
        text: str = done.output[0].decode()
        return text

    def wait_healthy(self, *services: str) -> None:
        """Wait until these services, by default all that have a check, are healthy.

        Raises
        ------
        TimeoutError
            With the last words of those that are not.
        """
        end = time.monotonic() + _HEALTH_SECONDS
        while waiting := self._not_healthy(services):
            if time.monotonic() > end:
                said = [f"{each.name}: {each.logs(tail=20).decode()}" for each in waiting]
                raise TimeoutError("\n".join(said))
            time.sleep(_LOOK_SECONDS)

    def database_kwargs(self, port: str, ca_file: Path, **settings: Any) -> dict[str, Any]:
        """Return settings for the host's side of a published port, as the writer."""
        return {
            "uri": f"ldaps://localhost:{self.ports[port]}",
            "ca_file": str(ca_file),
            "bind_dn": "cn=remoteapp-writer,ou=services,dc=example,dc=org",
            "bind_password": self.read("client", "/secrets/writer.pw"),
            "base_dn": "ou=remoteapp,dc=example,dc=org",
            "users_base": "ou=people,dc=example,dc=org",
            "groups_base": "ou=groups,dc=example,dc=org",
            "cache_ttl_seconds": 0,
            "cache_negative_ttl_seconds": 0,
            **settings,
        }

    def shown(self, user: str) -> list[str]:
        """Return which images a user may start, as ldapdb in the client's container says."""
        status, text = self.run("client", "sh", "-c", f"ldapdb user show {user} 2>/dev/null")
        assert status == 0, text
        return [each["image"] for each in json.loads(text)["accounting"]]

    def save_ca(self, path: Path) -> Path:
        """Write the authority's certificate to a file of the host's."""
        path.write_text(self.read("client", "/secrets/ca.pem"), encoding="ascii")
        return path

    def _labels(self, service: str) -> list[str]:
        return [
            f"com.docker.compose.project={self.project}",
            f"com.docker.compose.service={service}",
        ]

    def _not_healthy(self, services: Sequence[str]) -> list[Any]:
        label = self._labels("")[0]
        found = self.engine.containers.list(all=True, filters={"label": label})
        return [each for each in found if not _is_healthy(each.attrs, services)]


def _is_healthy(attributes: Mapping[str, Any], services: Sequence[str]) -> bool:
    service = attributes["Config"]["Labels"]["com.docker.compose.service"]
    if services and service not in services:
        return True
    state = attributes["State"]
    health: Optional[Mapping[str, Any]] = state.get("Health")
    if service == "secrets":
        return bool(state["Status"] == "exited" and state["ExitCode"] == 0)
    return bool(state["Running"] and (health is None or health["Status"] == "healthy"))


def _runs(*command: str) -> str:
    """Return what a program says; nothing if it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""

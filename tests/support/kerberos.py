"""Samba's KDC, and clients of it that know its name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from servers import SambaAD
from servers.machine import CHECKOUT

from support.ad import ADDirectory
from support.contents import Contents

_OWN = CHECKOUT / ".cache" / "kerberos" / "usr"  # what .ci/prepare fetches
_SECONDS = 60

# Answers each line, a user's name, and logs all that there is to log.
_CLIENT = """
import json, logging, sys, time
logging.basicConfig(level=logging.DEBUG)
for name in sys.argv[2].split():
    sys.modules[name] = None
try:
    from ldapdb import LDAPDatabase
    given = json.loads(sys.argv[1])
    database = LDAPDatabase(**given, cache_ttl_seconds=0, cache_max_stale_seconds=0)
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.monotonic()
        try:
            print(database.get_user(user_name=line.strip()).name, flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        print(f"{time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
except Exception as error:
    print(f"{type(error).__name__}: {error}", flush=True)
"""
# Its name is in no name service and not in this machine's /etc/hosts.
_WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


def why_no_gssapi() -> Optional[str]:
    """Say why there is no package gssapi; None if there is one."""
    try:
        import gssapi  # noqa: F401
    except ImportError as error:
        return f"the package gssapi is not there ({error}); see `.ci/prepare machine`"
    return None


@dataclass
class Realm:
    """A domain controller with the account svc and its keytab, and a folder for clients.

    Parameters
    ----------
    directory : ADDirectory
        What is in it.
    server : SambaAD
        It runs, and is a KDC.
    folder : Path
        For the files of clients.
    """

    directory: ADDirectory
    server: SambaAD
    folder: Path
    keytab: Path = field(init=False)

    def __post_init__(self) -> None:
        self.server.write_hosts(self.folder / "hosts")
        self.directory.add_tree()
        self.directory.person("alice")
        self.server.tool("samba-tool", "user", "create", "svc", "Svc-pw-1")
        self.server.ldapmodify(
            f"dn: CN=DC1,OU=Domain Controllers,{self.server.suffix}\nchangetype: modify\n"
            f"add: servicePrincipalName\nservicePrincipalName: ldap/{self.server.name}\n"
        )
        self.keytab = self.make_keytab("svc")

    def make_keytab(self, account: str) -> Path:
        """Write the present key of an account to a file."""
        name = f"{account}.keytab"
        made = self.server.scratch / name
        made.unlink(missing_ok=True)
        tool = ("samba-tool", "domain", "exportkeytab", f"/tmp/{name}")
        self.server.tool(*tool, f"--principal={account}")
        shutil.copyfile(made, self.folder / name)
        (self.folder / name).chmod(0o600)
        return self.folder / name

    def environment(self, *lines: str, kdc: str = "", **more: str) -> dict[str, str]:
        """Make a client's environment, with further lines for its krb5.conf."""
        conf = self.folder / f"krb5-{abs(hash((lines, kdc)))}.conf"
        self.server.write_krb5_conf(conf, *lines, kdc=kdc)
        cache = f"FILE:{self.folder / 'tickets-of-kinit'}"
        return {**os.environ, "KRB5_CONFIG": str(conf), "KRB5CCNAME": cache, **more}

    def ahead(self, seconds: float, *lines: str, **more: str) -> dict[str, str]:
        """Make the environment of a client whose clock is fast, and who will not have it set."""
        found = [str(path) for path in (_OWN / "lib").glob("*-linux-*/faketime/libfaketime.so.1")]
        assert found, "libfaketime is not there; see .ci/prepare machine"
        clock = {
            "LD_PRELOAD": found[0],
            "FAKETIME": f"+{seconds:g}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return self.environment("kdc_timesync = 0", *lines, **clock, **more)

    def kinit(self, environment: dict[str, str], *options: str) -> None:
        """Get a ticket for the account svc, with the keytab."""
        tool = shutil.which("kinit", path=f"{_OWN / 'bin'}:{os.environ['PATH']}")
        assert tool is not None, "kinit is not there; see .ci/prepare machine"
        libraries = ":".join(str(path) for path in (_OWN / "lib").glob("*-linux-*"))
        subprocess.run(
            [tool, *options, "-k", "-t", str(self.keytab), "svc"],
            env={**environment, "LD_LIBRARY_PATH": libraries},
            check=True,
        )

    def start(
        self, environment: dict[str, str], hide: str = "", **settings: Any
    ) -> subprocess.Popen[str]:
        """Start a client; it answers each line of its standard input."""
        kwargs = {
            "uri": f"ldap://{self.server.name}",
            "bind": "gssapi",
            "base_dn": self.server.base_dn,
            "users_base": self.server.users_base,
            **settings,
        }
        command = ["unshare", "--mount", "sh", "-c", _WITH_HOSTS, str(self.folder / "hosts")]
        command += [sys.executable, "-c", _CLIENT, json.dumps(kwargs, default=str), hide]
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answer(self, environment: dict[str, str], hide: str = "", **settings: Any) -> str:
        """Let a client ask for alice; return what it got, or why it is not ready."""
        client = self.start(environment, hide, **settings)
        said, logged = client.communicate("alice\n", timeout=_SECONDS)
        assert "Traceback" not in logged, logged
        for secret in ("MEMORY:", "tickets-of-kinit"):
            assert secret not in said + logged
        return said.removeprefix("ready\n").strip()


@contextmanager
def running(folder: Path, certificate: Path, key: Path) -> Iterator[Realm]:
    """Start a domain controller that is a KDC.

    Parameters
    ----------
    folder : Path
        For the files of clients.
    certificate, key : Path
        The server's (PEM).
    """
    with SambaAD(certificate=certificate, key=key, kerberos=True) as server:
        contents = Contents(server)
        directory = ADDirectory(server, contents)
        try:
            yield Realm(directory, server, folder)
        finally:
            directory.close()
            contents.close()

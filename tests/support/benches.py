"""Fresh servers of each vendor that ``ldif/`` is loaded into by the servers' own tools."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ldapdb import LDAPDatabase
from ldapdb.vendors import VENDORS
from support.servers import server_class

LDIF = Path(__file__).resolve().parents[2] / "ldif"

READER, WRITER, ALICE = "remoteapp-reader", "remoteapp-writer", "alice"
PASSWORD = "Typed-4-the-files"
IMAGE = "simphony/notebook:1.0"
LICENCE = "27000@licence.example.org"

OK, EXISTS = 0, 68


@dataclass(frozen=True)
class Account:
    """Somebody who works with OpenLDAP's command line tools; without a name, anonymous."""

    uri: str
    dn: str = ""
    password: str = ""

    def run(self, tool: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[bytes]:
        program = shutil.which(tool)
        assert program is not None
        who = ["-D", self.dn, "-w", self.password] if self.dn else []
        return subprocess.run(
            [program, "-x", "-H", self.uri, *who, *arguments],
            input=text.encode(),
            capture_output=True,
            check=False,
        )

    def change(self, *lines: str) -> int:
        """Send one change record; the tool ends with the server's result code."""
        return self.run("ldapmodify", text="".join(f"{line}\n" for line in lines)).returncode

    def read(self, base: str, search_filter: str, *attributes: str, scope: str = "sub") -> str:
        """Return what a search finds, as LDIF; a base that is hidden has nothing in it."""
        done = self.run(
            *("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-s", scope),
            *("-b", base, search_filter, *attributes),
        )
        return done.stdout.decode() if done.returncode == OK else ""


# -- benches: a fresh server of each vendor, and its own tools ------------------------------


class Bench(ABC):
    """A fresh server without our schema, whose administrator loads files.

    Parameters
    ----------
    server : Any
        A running server of tests/support/servers.py.
    """

    def __init__(self, server: Any) -> None:
        self.server = server
        self.vendor: str = server.vendor
        self.suffix: str = server.suffix
        self.admin = Account(server.uri, server.admin_dn, server.password)
        self._accounts: dict[str, Account] = {}

    def account(self, name: str) -> Account:
        """Give one of the accounts, or alice, a password and return it."""
        if name not in self._accounts:
            self._give_password(name)
            self._accounts[name] = Account(self.server.uri, self.dn(name), PASSWORD)
        return self._accounts[name]

    def set_up(self, besides: Sequence[str] = ()) -> None:
        """Load all files, besides some, with the people whom the rules are about."""
        self.people()
        if self.vendor == "ad":
            self.account(READER)
            self.account(WRITER)
        for name, again in STEPS[self.vendor]:
            if name not in besides:
                assert self.load(name) == [OK] * len(again), name

    def dn(self, name: str) -> str:
        """Return the name of the entry of one of the accounts, or of alice."""
        branch = f"uid={name},ou=people" if name == ALICE else f"cn={name},ou=services"
        return f"{branch},{self.suffix}"

    @property
    def title(self) -> str:
        """What the pages call the kind of server."""
        return next(each.title for each in VENDORS if each.name == self.vendor)

    @abstractmethod
    def load(self, name: str) -> list[int]:
        """Load a file as ldif/README.md says; return the exit codes of the tool."""

    @abstractmethod
    def _give_password(self, name: str) -> None:
        """Let one of the accounts, or alice, log in."""

    @abstractmethod
    def state(self) -> str:
        """Return all that the files are about, as text."""

    @abstractmethod
    def people(self) -> None:
        """Add alice, and a group that she is in."""

    def open_socket(self) -> str:
        """Let every user of the machine reach the server's socket; return its address."""
        raise NotImplementedError(self.vendor)


def ours(name: str, suffix: str) -> str:
    """Read a file of ldif/, with the suffix of a server in it."""
    text = (LDIF / name).read_text(encoding="utf-8")
    text = text.replace("dc=example,dc=org", suffix)
    return re.sub(r"\bDC=X$", suffix, text, flags=re.MULTILINE)


def _plain_people(suffix: str) -> str:
    return (
        f"dn: ou=people,{suffix}\nobjectClass: organizationalUnit\n\n"
        f"dn: uid={ALICE},ou=people,{suffix}\nobjectClass: inetOrgPerson\ncn: Alice\nsn: A\n\n"
        f"dn: ou=groups,{suffix}\nobjectClass: organizationalUnit\n\n"
        f"dn: cn=team,ou=groups,{suffix}\nobjectClass: groupOfNames\n"
        f"member: uid={ALICE},ou=people,{suffix}\n"
    )


class OpenLDAPBench(Bench):
    """A slapd as Debian's package sets one up: root is the administrator of its socket."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        server.ldapmodify(f"dn: {self.suffix}\nobjectClass: domain\ndc: example\n", "-a")

    def load(self, name: str) -> list[int]:
        if not name.startswith("openldap/"):
            return [self.admin.run("ldapadd", text=ours(name, self.suffix)).returncode]
        options = {
            "openldap/schema.ldif": ["-a"],
            "openldap/indexes.ldif": ["-c"],
            "openldap/per-user.ldif": ["-c"],
        }
        done = self.as_root("ldapmodify", *options.get(name, []), text=ours(name, self.suffix))
        return [done.returncode]

    def open_socket(self) -> str:
        """Let every user of the machine reach the server's socket; return its address."""
        self.server.folder.chmod(0o711)
        (self.server.folder / "ldapi").chmod(0o777)
        uri: str = self.server.socket_uri
        return uri

    def as_root(
        self, tool: str, *arguments: str, text: str = ""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a tool with the rights that root has on the server's socket."""
        program = shutil.which(tool)
        assert program is not None
        return subprocess.run(
            [program, "-Q", "-Y", "EXTERNAL", "-H", self.server.socket_uri, *arguments],
            input=text.encode(),
            capture_output=True,
            check=False,
        )

    def _give_password(self, name: str) -> None:
        assert self.admin.run("ldappasswd", "-s", PASSWORD, self.dn(name)).returncode == OK

    def state(self) -> str:
        config = self.as_root("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", "cn=config")
        assert config.returncode == OK
        return config.stdout.decode() + self.admin.read(self.suffix, "(objectClass=*)")

    def people(self) -> None:
        assert self.admin.run("ldapadd", text=_plain_people(self.suffix)).returncode == OK


class DS389Bench(Bench):
    """389 Directory Server and its Directory Manager."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        # Its own hashes take so long to check that hundreds of log-ins take half a minute.
        plain = ("replace: passwordStorageScheme", "passwordStorageScheme: SSHA")
        manager = ("replace: nsslapd-rootpwstoragescheme", "nsslapd-rootpwstoragescheme: SSHA")
        again = ("replace: nsslapd-rootpw", f"nsslapd-rootpw: {server.password}")
        for change in (plain, manager, again):
            assert self.admin.change("dn: cn=config", "changetype: modify", *change) == OK

    def load(self, name: str) -> list[int]:
        if name == "389ds/99remoteapp.ldif":
            folder = f"/etc/dirsrv/slapd-{INSTANCE}/schema"
            return [
                _code(self.server, "cat > $0/99remoteapp.ldif", folder, text=ours(name, "")),
                _code(self.server, "dsconf $0 schema reload --wait", INSTANCE),
            ]
        tool = ["ldapmodify"] if name.startswith("389ds/") else ["ldapadd"]
        options = ["-c"] if name.startswith("389ds/") and name != "389ds/schema.ldif" else []
        code = self.admin.run(*tool, *options, text=ours(name, self.suffix)).returncode
        if name == "389ds/indexes.ldif":
            self._wait_for_index()
        return [code]

    def open_socket(self) -> str:
        """Let every user of the machine reach the server's socket; return its address."""
        path = self.server.folder / "run" / f"slapd-{INSTANCE}.socket"
        self.server.folder.chmod(0o711)
        path.parent.chmod(0o755)
        path.chmod(0o777)
        return f"ldapi://{quote(str(path), safe='')}"

    def _wait_for_index(self) -> None:
        """Wait until the index is filled: until then the server refuses to write (53)."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if "nsTaskExitCode" in self.admin.read("cn=tasks,cn=config", "(cn=remoteapp-reindex)"):
                return
            time.sleep(0.05)
        pytest.fail("the index is not filled")

    def _give_password(self, name: str) -> None:
        change = ("changetype: modify", "replace: userPassword", f"userPassword: {PASSWORD}")
        assert self.admin.change(f"dn: {self.dn(name)}", *change) == OK

    def state(self) -> str:
        schema = self.admin.read("cn=schema", "(objectClass=*)", "attributeTypes", "objectClasses")
        index = self.admin.read("cn=config", "(&(objectClass=nsIndex)(cn=remoteAppImage))")
        shown = ("*", "aci", "nsSizeLimit", "nsLookThroughLimit")
        entries = self.admin.read(self.suffix, "(objectClass=*)", *shown)
        return "".join(sorted(re.findall(r".*remoteApp.*\n", schema))) + index + entries

    def people(self) -> None:
        assert self.admin.run("ldapadd", text=_plain_people(self.suffix)).returncode == OK


class ADBench(Bench):
    """A Samba domain controller; root has its database at hand."""

    def load(self, name: str) -> list[int]:
        text = ours(name, self.suffix)
        if name == "ad/access.sddl":
            return [self._dsacl(text)]
        parts = re.split(r"^(?=# CLASSES)", text, flags=re.MULTILINE)
        ldbmodify = 'ldbmodify -H "$0" --option="dsdb:schema update allowed=true"'
        return [_code(self.server, ldbmodify, SAM, text=part) for part in parts]

    def _dsacl(self, text: str) -> int:
        for word, name in (("READER", READER), ("WRITER", WRITER)):
            said = self.server.tool("samba-tool", "user", "show", name, "--attributes=objectSid")
            text = text.replace(word, said.partition("objectSid: ")[2].split()[0])
        sddl = "".join(line for line in text.splitlines() if not line.startswith("#"))
        command = 'samba-tool dsacl set --objectdn="$0" --sddl="$(cat)"'
        return _code(self.server, command, f"OU=remoteapp,{self.suffix}", text=sddl)

    def dn(self, name: str) -> str:
        """Return the name of the entry of one of the accounts, or of alice."""
        return f"CN={name},CN=Users,{self.suffix}"

    def _give_password(self, name: str) -> None:
        self.server.tool("samba-tool", "user", "create", name, PASSWORD)

    def state(self) -> str:
        schema = self.admin.read(f"CN=Schema,CN=Configuration,{self.suffix}", "(cn=remoteApp*)")
        tree = f"OU=remoteapp,{self.suffix}"
        return schema + self.admin.read(tree, "(objectClass=*)", "*", "nTSecurityDescriptor")

    def people(self) -> None:
        self.account(ALICE)
        self.server.tool("samba-tool", "group", "add", "team")
        self.server.tool("samba-tool", "group", "addmembers", "team", ALICE)


INSTANCE = "localhost"
SAM = "/var/lib/samba/private/sam.ldb"


def _code(server: Any, command: str, argument: str, text: str = "") -> int:
    """Run a command beside the server and return its exit code."""
    script = f"{{ {command}; }} >/dev/null 2>&1; echo $?"
    return int(server.tool("sh", "-c", script, argument, input=text).split()[-1])


BENCHES: dict[str, type[Bench]] = {
    "openldap": OpenLDAPBench,
    "389ds": DS389Bench,
    "ad": ADBench,
}


def on(*vendors: str) -> pytest.MarkDecorator:
    """Run a test on the fresh server of some vendors, which its fixture ``bench`` starts."""
    marks = {
        name: pytest.mark.live(name, reason="its own files, its own tools") for name in vendors
    }
    return pytest.mark.parametrize(
        "bench",
        [pytest.param(name, marks=mark, id=name) for name, mark in marks.items()],
        indirect=True,
    )


# As ldif/README.md has them: each file, and what the tool ends with when it is loaded again.
STEPS: dict[str, Sequence[tuple[str, Sequence[int]]]] = {
    "openldap": (
        ("openldap/schema.ldif", [80]),
        ("tree.ldif", [EXISTS]),
        ("services.ldif", [EXISTS]),
        ("openldap/access.ldif", [20]),
    ),
    "389ds": (
        ("389ds/schema.ldif", [OK]),
        ("tree.ldif", [EXISTS]),
        ("services.ldif", [EXISTS]),
        ("389ds/indexes.ldif", [EXISTS]),
        ("389ds/access.ldif", [20]),
        ("389ds/99remoteapp.ldif", [OK, OK]),
    ),
    "ad": (
        ("ad/schema.ldif", [EXISTS, EXISTS]),
        ("ad/tree.ldif", [EXISTS]),
        ("ad/access.sddl", [OK]),
    ),
}


def posix_lines(dn: str, uid: int) -> list[str]:
    """Write the record that gives a person a number on machines."""
    return [
        *(f"dn: {dn}", "changetype: modify"),
        *("add: objectClass", "objectClass: posixAccount", "-"),
        *("add: uidNumber", f"uidNumber: {uid}", "-"),
        *("add: gidNumber", f"gidNumber: {uid}", "-"),
        *("add: homeDirectory", "homeDirectory: /nowhere"),
    ]


def grant_lines(bench: Bench, name: str) -> list[str]:
    """Write the record that adds a grant with a licence, for alice."""
    group = (
        ["objectClass: group", f"sAMAccountName: {name}"]
        if bench.vendor == "ad"
        else ["objectClass: groupOfNames", f"cn: {name}"]
    )
    return [
        f"dn: cn={name},ou=grants,ou=remoteapp,{bench.suffix}",
        "changetype: add",
        *group,
        "objectClass: remoteAppGrant",
        f"remoteAppImage: {IMAGE}",
        f"remoteAppLicense: {LICENCE}",
        f"member: {bench.dn(ALICE)}",
    ]


@contextmanager
def fresh(vendor: str) -> Iterator[Bench]:
    """Run a fresh server of a vendor, without our schema."""
    with server_class(vendor)(schema=False) as server:
        yield BENCHES[vendor](server)


@contextmanager
def opened(bench: Bench, name: str, **settings: Any) -> Iterator[Any]:
    """Open a database as one of the accounts, with the settings of the pages."""
    account = bench.account(name)
    database = LDAPDatabase(
        uri=account.uri,
        bind_dn=account.dn,
        bind_password=account.password,
        base_dn=f"ou=remoteapp,{bench.suffix}",
        **settings,
    )
    try:
        yield database
    finally:
        database.close()

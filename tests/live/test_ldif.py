"""The files in ``ldif/``, loaded by each directory's own tools: what they answer and allow."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ldapdb import LDAPDatabase, errors
from support.servers import server_class

LDIF = Path(__file__).resolve().parents[2] / "ldif"

READER, WRITER, ALICE = "remoteapp-reader", "remoteapp-writer", "alice"
PASSWORD = "Typed-4-the-files"
IMAGE = "simphony/notebook:1.0"
LICENCE = "27000@licence.example.org"

_OK, _REFUSED, _EXISTS = 0, 50, 68


# -- accounts -------------------------------------------------------------------------------


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

    def read(self, base: str, search_filter: str, *attributes: str) -> str:
        """Return what a search finds, as LDIF; a base that is hidden has nothing in it."""
        done = self.run(
            *("ldapsearch", "-LLL", "-o", "ldif-wrap=no"),
            *("-b", base, search_filter, *attributes),
        )
        return done.stdout.decode() if done.returncode == _OK else ""


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

    @abstractmethod
    def load(self, name: str) -> list[int]:
        """Load a file as ldif/README.md says; return the exit codes of the tool."""

    @abstractmethod
    def account(self, name: str) -> Account:
        """Give one of the accounts, or alice, a password and return it."""

    @abstractmethod
    def state(self) -> str:
        """Return all that the files are about, as text."""

    @abstractmethod
    def people(self) -> None:
        """Add alice, and a group that she is in."""


def _ours(name: str, suffix: str) -> str:
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
            return [self.admin.run("ldapadd", text=_ours(name, self.suffix)).returncode]
        options = {"openldap/schema.ldif": ["-a"], "openldap/indexes.ldif": ["-c"]}
        done = self._as_root("ldapmodify", *options.get(name, []), text=_ours(name, self.suffix))
        return [done.returncode]

    def _as_root(
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

    def account(self, name: str) -> Account:
        branch = f"uid={name},ou=people" if name == ALICE else f"cn={name},ou=services"
        dn = f"{branch},{self.suffix}"
        assert self.admin.run("ldappasswd", "-s", PASSWORD, dn).returncode == _OK
        return Account(self.server.uri, dn, PASSWORD)

    def state(self) -> str:
        config = self._as_root("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", "cn=config")
        assert config.returncode == _OK
        return config.stdout.decode() + self.admin.read(self.suffix, "(objectClass=*)")

    def people(self) -> None:
        assert self.admin.run("ldapadd", text=_plain_people(self.suffix)).returncode == _OK


class DS389Bench(Bench):
    """389 Directory Server and its Directory Manager."""

    def load(self, name: str) -> list[int]:
        if name == "389ds/99remoteapp.ldif":
            folder = f"/etc/dirsrv/slapd-{_INSTANCE}/schema"
            return [
                _code(self.server, "cat > $0/99remoteapp.ldif", folder, text=_ours(name, "")),
                _code(self.server, "dsconf $0 schema reload --wait", _INSTANCE),
            ]
        tool = ["ldapmodify"] if name.startswith("389ds/") else ["ldapadd"]
        options = ["-c"] if name in ("389ds/access.ldif", "389ds/indexes.ldif") else []
        code = self.admin.run(*tool, *options, text=_ours(name, self.suffix)).returncode
        if name == "389ds/indexes.ldif":
            self._wait_for_index()
        return [code]

    def _wait_for_index(self) -> None:
        """Wait until the index is filled: until then the server refuses to write (53)."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if "nsTaskExitCode" in self.admin.read("cn=tasks,cn=config", "(cn=remoteapp-reindex)"):
                return
            time.sleep(0.05)
        pytest.fail("the index is not filled")

    def account(self, name: str) -> Account:
        branch = f"uid={name},ou=people" if name == ALICE else f"cn={name},ou=services"
        dn = f"{branch},{self.suffix}"
        self.server.tool(
            *("dsidm", _INSTANCE, "-b", self.suffix),
            *("account", "reset_password", dn, PASSWORD),
        )
        return Account(self.server.uri, dn, PASSWORD)

    def state(self) -> str:
        schema = self.admin.read("cn=schema", "(objectClass=*)", "attributeTypes", "objectClasses")
        index = self.admin.read("cn=config", "(&(objectClass=nsIndex)(cn=remoteAppImage))")
        shown = ("*", "aci", "nsSizeLimit", "nsLookThroughLimit")
        entries = self.admin.read(self.suffix, "(objectClass=*)", *shown)
        return "".join(sorted(re.findall(r".*remoteApp.*\n", schema))) + index + entries

    def people(self) -> None:
        assert self.admin.run("ldapadd", text=_plain_people(self.suffix)).returncode == _OK


class ADBench(Bench):
    """A Samba domain controller; root has its database at hand."""

    def load(self, name: str) -> list[int]:
        text = _ours(name, self.suffix)
        if name == "ad/access.sddl":
            return [self._dsacl(text)]
        parts = re.split(r"^(?=# CLASSES)", text, flags=re.MULTILINE)
        ldbmodify = 'ldbmodify -H "$0" --option="dsdb:schema update allowed=true"'
        return [_code(self.server, ldbmodify, _SAM, text=part) for part in parts]

    def _dsacl(self, text: str) -> int:
        for word, name in (("READER", READER), ("WRITER", WRITER)):
            said = self.server.tool("samba-tool", "user", "show", name, "--attributes=objectSid")
            text = text.replace(word, said.partition("objectSid: ")[2].split()[0])
        sddl = "".join(line for line in text.splitlines() if not line.startswith("#"))
        command = 'samba-tool dsacl set --objectdn="$0" --sddl="$(cat)"'
        return _code(self.server, command, f"OU=remoteapp,{self.suffix}", text=sddl)

    def account(self, name: str) -> Account:
        dn = f"CN={name},CN=Users,{self.suffix}"
        if not self.admin.read(dn, "(objectClass=*)", "cn"):
            self.server.tool("samba-tool", "user", "create", name, PASSWORD)
        return Account(self.server.uri, dn, PASSWORD)

    def state(self) -> str:
        schema = self.admin.read(f"CN=Schema,CN=Configuration,{self.suffix}", "(cn=remoteApp*)")
        tree = f"OU=remoteapp,{self.suffix}"
        return schema + self.admin.read(tree, "(objectClass=*)", "*", "nTSecurityDescriptor")

    def people(self) -> None:
        self.account(ALICE)
        self.server.tool("samba-tool", "group", "add", "team")
        self.server.tool("samba-tool", "group", "addmembers", "team", ALICE)


_INSTANCE = "localhost"
_SAM = "/var/lib/samba/private/sam.ldb"


def _code(server: Any, command: str, argument: str, text: str = "") -> int:
    """Run a command beside the server and return its exit code."""
    script = f"{{ {command}; }} >/dev/null 2>&1; echo $?"
    return int(server.tool("sh", "-c", script, argument, input=text).split()[-1])


_BENCHES: dict[str, type[Bench]] = {
    "openldap": OpenLDAPBench,
    "389ds": DS389Bench,
    "ad": ADBench,
}


def _on(*vendors: str) -> pytest.MarkDecorator:
    marks = {
        name: pytest.mark.live(name, reason="its own files, its own tools") for name in vendors
    }
    return pytest.mark.parametrize(
        "bench",
        [pytest.param(name, marks=mark, id=name) for name, mark in marks.items()],
        indirect=True,
    )


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A fresh server of a vendor, without our schema."""
    with server_class(request.param)(schema=False) as server:
        yield _BENCHES[request.param](server)


# -- what loading answers -------------------------------------------------------------------

# As ldif/README.md has them: each file, and what the tool ends with when it is loaded again.
STEPS: dict[str, Sequence[tuple[str, Sequence[int]]]] = {
    "openldap": (
        ("openldap/schema.ldif", [80]),
        ("tree.ldif", [_EXISTS]),
        ("services.ldif", [_EXISTS]),
        ("openldap/access.ldif", [20]),
    ),
    "389ds": (
        ("389ds/schema.ldif", [_OK]),
        ("tree.ldif", [_EXISTS]),
        ("services.ldif", [_EXISTS]),
        ("389ds/indexes.ldif", [_EXISTS]),
        ("389ds/access.ldif", [20]),
        ("389ds/99remoteapp.ldif", [_OK, _OK]),
    ),
    "ad": (
        ("ad/schema.ldif", [_EXISTS, _EXISTS]),
        ("ad/tree.ldif", [_EXISTS]),
        ("ad/access.sddl", [_OK]),
    ),
}


def _set_up(bench: Bench) -> None:
    """Load all files, with the people whom the rules are about."""
    bench.people()
    if bench.vendor == "ad":
        bench.account(READER)
        bench.account(WRITER)
    for name, again in STEPS[bench.vendor]:
        assert bench.load(name) == [_OK] * len(again), name


@_on("openldap", "389ds", "ad")
def test_every_file_loads_and_loading_it_again_changes_nothing(bench: Bench) -> None:
    """A second time is answered as ldif/README.md says, and leaves all as it was."""
    _set_up(bench)
    state = sorted(bench.state().splitlines())
    for name, again in STEPS[bench.vendor]:
        assert bench.load(name) == again, name
        assert sorted(bench.state().splitlines()) == state, name


@_on("openldap")
def test_an_index_that_is_there_already_is_passed_over(bench: Bench) -> None:
    """The tool goes on and ends with what the server said last."""
    assert bench.load("openldap/schema.ldif") == [_OK]
    bench.load("openldap/indexes.ldif")
    state = bench.state()
    assert "olcDbIndex: remoteAppImage eq" in state
    assert bench.load("openldap/indexes.ldif")[0] in (20, 80)
    assert bench.state() == state


@_on("389ds")
def test_the_file_of_the_schema_folder_says_the_same(bench: Bench) -> None:
    """Reloaded, it defines what schema.ldif defines, and that changes nothing then."""
    assert bench.load("389ds/99remoteapp.ldif") == [_OK, _OK]
    state = bench.state()
    assert state.count(" NAME 'remoteApp") == len(
        re.findall("NAME 'remoteApp", _ours("389ds/schema.ldif", ""))
    )
    assert bench.load("389ds/schema.ldif") == [_OK]
    assert _unsigned(bench.state()) == _unsigned(state)


def _unsigned(text: str) -> str:
    """Leave out by whom something was defined, which is the one thing that changes."""
    return re.sub(r" X-ORIGIN '[^']*'", "", text)


@_on("389ds")
def test_the_index_is_used(bench: Bench) -> None:
    """A search for an image is none of those that the log marks as not indexed."""
    _set_up(bench)
    bench.admin.read(bench.suffix, f"(remoteAppImage={IMAGE})")
    bench.admin.read(bench.suffix, "(remoteAppVolume=/a:/b:ro)")
    log = bench.server.log_file.read_text(encoding="utf-8")
    assert "notes=" not in _answer(log, "remoteAppImage=")
    assert "notes=" in _answer(log, "remoteAppVolume=")


def _answer(log: str, words: str) -> str:
    """Find the line with the result of the search that has these words."""
    operation = re.search(rf"(conn=\d+ op=\d+) SRCH .*{re.escape(words)}", log)
    assert operation is not None
    result = re.search(rf"{operation[1]} RESULT .*", log)
    assert result is not None
    return result[0]


# -- what the access rules allow ------------------------------------------------------------


def _grant(bench: Bench, name: str) -> list[str]:
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
        f"member: {bench.account(ALICE).dn}",
    ]


@_on("openldap", "389ds", "ad")
def test_the_reader_reads_all_that_ldapdb_needs_and_writes_nothing(bench: Bench) -> None:
    """Names, identifiers, members, policy and licences, and who is locked; no passwords."""
    _set_up(bench)
    assert bench.admin.change(*_grant(bench, "one")) == _OK
    reader = bench.account(READER)
    identifiers = {"openldap": "entryUUID", "389ds": "nsUniqueId", "ad": "objectGUID"}
    identifier = identifiers[bench.vendor]
    alice = bench.account(ALICE).dn

    name = "sAMAccountName" if bench.vendor == "ad" else "uid"
    person = reader.read(bench.suffix, f"({name}=alice)", identifier, name, "userPassword")
    assert person.lower().count(f"\n{identifier.lower()}:") == 1
    assert "userPassword" not in person
    groups = reader.read(bench.suffix, f"(member={alice})", "cn", "member", "remoteAppLicense")
    assert "cn: team" in groups
    assert f"remoteAppLicense: {LICENCE}" in groups
    if bench.vendor == "389ds":
        assert reader.read(bench.suffix, "(&(uid=alice)(!(nsAccountLock=true)))", "uid")
        bench.server.tool("dsidm", _INSTANCE, "-b", bench.suffix, "account", "lock", alice)
        assert not reader.read(bench.suffix, "(&(uid=alice)(!(nsAccountLock=true)))", "uid")

    grant = f"cn=one,ou=grants,ou=remoteapp,{bench.suffix}"
    assert reader.change(*_grant(bench, "two")) == _REFUSED
    replace = ("replace: description", "description: x")
    assert reader.change(f"dn: {grant}", "changetype: modify", *replace) == _REFUSED
    assert reader.change(f"dn: {alice}", "changetype: modify", *replace) == _REFUSED
    assert reader.change(f"dn: {grant}", "changetype: delete") == _REFUSED


@_on("openldap", "389ds", "ad")
def test_the_writer_writes_groups_below_the_base_and_nothing_else(bench: Bench) -> None:
    """It makes, changes and removes grants; no accounts, not the base, nobody's entry."""
    _set_up(bench)
    writer = bench.account(WRITER)
    grant, base = f"cn=one,ou=grants,ou=remoteapp,{bench.suffix}", f"ou=remoteapp,{bench.suffix}"
    alice = bench.account(ALICE).dn

    def modify(dn: str, *lines: str) -> int:
        return writer.change(f"dn: {dn}", "changetype: modify", *lines)

    assert writer.change(*_grant(bench, "one")) == _OK
    assert LICENCE in writer.read(base, f"(remoteAppLicense={LICENCE})", "remoteAppLicense")
    changes = (
        "replace: remoteAppLicense",
        "remoteAppLicense: other",
        "-",
        "add: remoteAppAllowHome",
    )
    assert modify(grant, *changes, "remoteAppAllowHome: TRUE") == _OK
    assert modify(grant, "delete: member", f"member: {alice}") == (
        65 if bench.vendor == "openldap" else _OK  # its groupOfNames keeps the last member
    )

    assert modify(base, "replace: description", "description: x") == _REFUSED
    assert modify(alice, "replace: description", "description: x") == _REFUSED
    assert writer.change(f"dn: {base}", "changetype: delete") in (_REFUSED, 66)
    outside = [line.replace("ou=grants,ou=remoteapp,", "") for line in _grant(bench, "two")]
    assert writer.change(*outside) == _REFUSED
    assert writer.change(*_somebody(bench)) == _REFUSED
    assert writer.change(f"dn: {grant}", "changetype: delete") == _OK


@_on("openldap", "389ds", "ad")
def test_ldapdb_needs_no_more_rights_than_these(bench: Bench) -> None:
    """With the writer it registers, grants, revokes and removes; with the reader it sees it."""
    _set_up(bench)
    with _opened(bench, WRITER) as writer, _opened(bench, READER, cache_ttl_seconds=0) as reader:
        alice = reader.get_user(user_name=ALICE)
        writer.create_application(IMAGE)
        granted = writer.grant_access(IMAGE, ALICE, True, False, "/data:/data:ro")
        assert [each.id for each in reader.get_accounting_for_user(alice)] == [granted]
        with pytest.raises(errors.AccessDenied):
            reader.create_application("simphony/other:1")
        writer.revoke_access(IMAGE, ALICE, True, False, "/data:/data:ro")
        assert reader.get_accounting_for_user(alice) == []
        writer.grant_access(IMAGE, ALICE, False, True, None)
        writer.remove_application(app_name=IMAGE)
        assert reader.list_applications() == []


@contextmanager
def _opened(bench: Bench, name: str, **settings: Any) -> Iterator[Any]:
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


@pytest.mark.slow
@_on("openldap", "389ds")
def test_the_two_accounts_see_all_users_of_a_large_company(bench: Bench) -> None:
    """Where others are told 500, 2,000 or 5,000 entries, the reader lists every one."""
    _set_up(bench)
    text = "".join(
        f"dn: uid=user{number},ou=people,{bench.suffix}\nobjectClass: inetOrgPerson\n"
        f"cn: User {number}\nsn: User\n\n"
        for number in range(5500)
    )
    assert bench.admin.run("ldapadd", text=text).returncode == _OK
    for name in (READER, WRITER):
        with _opened(bench, name, operation_timeout_seconds=60) as database:
            assert len(database.list_users()) == 5501


def _somebody(bench: Bench) -> list[str]:
    """Write an entry below the base that could log in."""
    if bench.vendor == "ad":
        classes = ["objectClass: user", "sAMAccountName: mallory"]
    else:
        classes = ["objectClass: groupOfNames", "objectClass: simpleSecurityObject"]
        classes += ["member: cn=x", f"userPassword: {PASSWORD}"]
    return [f"dn: cn=mallory,ou=grants,ou=remoteapp,{bench.suffix}", "changetype: add", *classes]


@_on("openldap", "389ds", "ad")
def test_a_licence_is_shown_to_the_two_accounts_alone(bench: Bench) -> None:
    """Others see the grant without it, and do not find the grant by it."""
    _set_up(bench)
    if bench.vendor == "389ds":  # it shows nothing to anybody until told; the licence stays hidden
        rule = '(targetattr="*")(version 3.0; acl "open"; allow (all) userdn="ldap:///anyone";)'
        dn = f"dn: {bench.suffix}"
        assert bench.admin.change(dn, "changetype: modify", "add: aci", f"aci: {rule}") == _OK
    assert bench.admin.change(*_grant(bench, "one")) == _OK
    alice = bench.account(ALICE)
    base = f"ou=remoteapp,{bench.suffix}"
    shown = alice.read(base, "(objectClass=remoteAppGrant)", "remoteAppImage", "remoteAppLicense")
    assert f"remoteAppImage: {IMAGE}" in shown
    for somebody in (alice, Account(alice.uri)):
        assert LICENCE not in somebody.read(base, "(objectClass=*)", "*", "remoteAppLicense")
        assert "dn: " not in somebody.read(base, f"(remoteAppLicense={LICENCE})", "cn")


# -- Active Directory: what its schema makes of a group -------------------------------------


@_on("ad")
def test_a_present_group_takes_the_class_first_and_the_attributes_second(bench: Bench) -> None:
    """Both in one change are refused (65); without demanding anything the class goes in alone."""
    _set_up(bench)
    dn = f"dn: CN=team,CN=Users,{bench.suffix}"
    add_class = ("add: objectClass", "objectClass: remoteAppGrant")
    add_image = ("add: remoteAppImage", f"remoteAppImage: {IMAGE}")
    change = bench.admin.change
    assert change(dn, "changetype: modify", *add_class, "-", *add_image) == 65
    assert change(dn, "changetype: modify", *add_class) == _OK
    assert change(dn, "changetype: modify", *add_image) == _OK


# -- the other form of OpenLDAP's schema, and the sample ------------------------------------


@pytest.mark.live("openldap", reason="slapd.conf is its own")
def test_a_server_with_slapd_conf_takes_the_classic_schema(tmp_path: Path) -> None:
    """Slapd's own test of a configuration passes with the file included."""
    slapd = server_class("openldap")()._slapd
    schemas = [slapd.schema / f"{name}.schema" for name in ("core", "cosine", "inetorgperson")]
    schemas.append(LDIF / "openldap" / "remoteapp.schema")
    module = f"modulepath {slapd.modules}\nmoduleload back_mdb\n" if slapd.modules else ""
    (tmp_path / "db").mkdir()
    (tmp_path / "slapd.conf").write_text(
        "".join(f"include {path}\n" for path in schemas)
        + f"{module}database mdb\nsuffix dc=example,dc=org\ndirectory {tmp_path / 'db'}\n"
    )
    done = subprocess.run(
        [str(slapd.program), "-T", "test", "-u", "-f", str(tmp_path / "slapd.conf")],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


@_on("389ds")
def test_the_sample_serves_389_as_it_is(bench: Bench) -> None:
    """Only the suffix is there already; alice sees the eight that its head names."""
    assert bench.load("389ds/schema.ldif") == [_OK]
    done = bench.admin.run("ldapadd", "-c", text=_ours("sample.ldif", bench.suffix))
    assert done.returncode == _EXISTS
    assert done.stderr.count(b"ldap_add: ") == 1
    server = bench.server
    with closing(LDAPDatabase(**server.database_kwargs())) as database:
        held = {
            name: len(database.get_accounting_for_user(database.get_user(user_name=name)))
            for name in ("alice", "bob", "carol")
        }
    assert held == {"alice": 8, "bob": 2, "carol": 0}

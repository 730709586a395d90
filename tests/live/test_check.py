"""``ldapdb check``: each line, on a real server that really has the fault, and its remedy."""

from __future__ import annotations

import csv
import itertools
import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import DS389

from ldapdb.embedded import ldif_folder
from ldapdb.model import Policy
from ldapdb.settings import Settings, load
from ldapdb.store import Store
from ldapdb.store.checking import Finding, Level, check
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.checking.writing import write_and_remove
from ldapdb.store.linting import Linting
from support import Directory
from support.benches import ALICE, READER, WRITER, Bench, fresh, on
from support.cluster import Cluster
from support.contents import Contents
from support.ds389 import DS389Directory
from support.openldap import Another, Private
from support.remedies import apply
from support.waiting import eventually

pytestmark = pytest.mark.live(
    "openldap", reason="the faults of others are the same findings; slapd is set up in a moment"
)

everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)

_STEP_SECONDS = 30.0
_FINE = (Level.OK, Level.NOT_CHECKED)
_READER = "uid=reader,ou=people,dc=example,dc=org"
_ALL_READ = (
    "olcAccess: to attrs=userPassword by self =xw by anonymous auth by * none\n"
    "olcAccess: to * by users read by * none\n"
)


def look(directory: Directory, *, write: bool = False, **settings: Any) -> list[Finding]:
    return list(check(directory.settings(**settings), ldif_folder(), write=write))


def of(found: Sequence[Finding], name: str) -> list[Finding]:
    return [each for each in found if each.check == name]


def only(found: Sequence[Finding], name: str, level: Level) -> Finding:
    """Return the only line of a check, which is to be of this level."""
    [line] = of(found, name)
    assert line.level is level, line
    return line


def bad(found: Sequence[Finding]) -> list[str]:
    return sorted({each.check for each in found if each.level not in _FINE})


def as_reader(directory: Directory, name: str = "reader") -> dict[str, Any]:
    """Add an account that may do what everybody may who has logged in, and what it may change."""
    directory.person(name, attributes={"userPassword": ["reads-only"]})
    directory.application("simphony/mayavi:1")
    directory.granted("any", images=["simphony/mayavi:1"])
    return {"bind_dn": directory.dn_of(name), "bind_password": "reads-only"}


def as_root(server: Any) -> dict[str, Any]:
    """Log in as the owner of the server's socket, who reads its configuration."""
    return {
        "uri": server.socket_uri,
        "bind": "external",
        "bind_dn": None,
        "bind_password": None,
    }


def configure(directory: Private, *lines: str, dn: str = "olcDatabase={1}mdb,cn=config") -> None:
    """Change an entry of the configuration, that of the database unless told."""
    record = "\n".join([f"dn: {dn}", "changetype: modify", *lines, ""])
    command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", directory.server.socket_uri]
    done = subprocess.run(command, input=record, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- a sound directory


@everywhere
def test_a_sound_directory_has_no_warning_and_nothing_is_left_in_it(
    directory: Directory, tmp_path: Path
) -> None:
    """Every server says so of itself: also by a write, of which no trace stays."""
    alice = directory.person("alice")
    directory.group("team", alice)
    directory.application("simphony/mayavi:1")
    directory.granted("one", images=["simphony/mayavi:1"], members=[alice])
    before = directory.below(directory.base_dn)
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(directory.server.password)
    given: dict[str, Any] = {"bind_password": None, "bind_password_file": password}
    found = look(directory, write=True, **given)
    assert bad(found) == [], [each for each in found if each.level not in _FINE]
    assert {each.subject for each in found} == {"all", directory.server.uri}
    assert directory.below(directory.base_dn) == before
    assert only(found, "reading users", Level.OK).text.startswith("1 below")
    assert only(found, "write", Level.OK)
    assert [each.level for each in of(found, "writing")] == [Level.OK, Level.OK]
    assert Level.OK in {each.level for each in of(found, "clock")}
    said = only(found, "schema", Level.NOT_CHECKED if directory.stock else Level.OK)
    assert ("stock" in said.text) == directory.stock
    assert all(each.remedy for each in found if each.level is Level.NOT_CHECKED) or directory.stock


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A fresh server of a vendor, without our schema."""
    with fresh(request.param) as running:
        yield running


def as_account(bench: Bench, name: str, folder: Path) -> Settings:
    account = bench.account(name)
    password = folder / name
    password.touch(mode=0o600)
    password.write_text(account.password)
    given = {"uri": account.uri, "bind_dn": account.dn, "bind_password_file": password}
    return load(**given, base_dn=f"ou=remoteapp,{bench.suffix}", read_only=name == READER)


@pytest.mark.slow
@on("openldap", "389ds")
def test_the_files_of_ldif_make_a_sound_directory_that_the_writer_can_mend(
    bench: Bench, tmp_path: Path
) -> None:
    """Loaded by the servers' own tools: not a line is a warning, for either account."""
    bench.set_up()
    writer = as_account(bench, WRITER, tmp_path)
    store = Store(writer)
    store.create_application("simphony/mayavi:1")
    store.grant("simphony/mayavi:1", ALICE, Policy())
    store.revoke("simphony/mayavi:1", ALICE, Policy())
    store.grant("simphony/mayavi:1", ALICE, Policy.of(allow_home=True))
    store.close()
    for settings in (as_account(bench, READER, tmp_path), writer):
        found = list(check(settings, ldif_folder(), write=settings is writer))
        assert bad(found) == [], [each for each in found if each.level not in _FINE]
    linting = Linting(writer)
    [empty] = linting.lint()
    assert empty.change is not None
    assert linting.mend(empty.change).text.endswith(": removed")
    assert linting.lint() == []
    linting.close()


# --- the command


def run(private: Private, monkeypatch: pytest.MonkeyPatch, *options: str, **settings: Any) -> int:
    from ldapdb.cli import run as run_command

    for name, value in private.database_kwargs(**settings).items():
        monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))
    return run_command(["check", *options])


def test_the_exit_code_is_that_of_the_worst_line(
    private: Private, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    private.person("alice")
    assert run(private, monkeypatch) == 0  # the password is in the environment: a warning
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning\tsettings\tbind_password: ")
    assert lines[1].startswith("\tremedy\t")
    assert run(private, monkeypatch, "--strict") == 1
    capsys.readouterr()
    assert run(private, monkeypatch, "--json", bind_password="wrong") == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["check"] for each in found] == ["settings", "account"]
    assert set(found[0]) == {"check", "subject", "level", "text", "remedy"}
    assert found[1]["level"] == "problem"
    assert "wrong" not in json.dumps(found)
    assert run(private, monkeypatch, "--csv", bind_password="wrong") == 1
    table = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [each["LEVEL"] for each in table] == [each["level"] for each in found]
    assert run(private, monkeypatch, uri="ldap://127.0.0.1:9") == 3
    assert run(private, monkeypatch, "--unknown") == 2
    assert run(private, monkeypatch, vendor="novell") == 2


def test_every_server_is_looked_at_though_one_is_down_and_another_is_silent(
    private: Private, another_directory: Another
) -> None:
    """None is waited for longer than the settings say."""
    private.person("alice")
    with another_directory() as silent:
        silent.server.signal(signal.SIGSTOP)
        uris = ["ldap://127.0.0.1:9", silent.server.uri, private.server.uri]
        began = time.monotonic()
        found = look(private, uri=",".join(uris), connect_timeout_seconds=0.3)
        seconds = time.monotonic() - began
        silent.server.signal(signal.SIGCONT)
    servers = {each.subject: each for each in of(found, "server")}
    assert [servers[uri].level for uri in uris] == [Level.PROBLEM, Level.PROBLEM, Level.OK]
    assert servers[uris[0]].remedy == "nc -vz -w 3 127.0.0.1 9"
    assert only(found, "schema", Level.OK).subject == uris[2]
    assert seconds < 2


def test_a_server_that_falls_silent_in_the_middle_is_told_once(private: Private) -> None:
    """What it has not been asked yet is not waited for."""
    private.person("alice")
    limits: dict[str, Any] = {"connect_timeout_seconds": 0.3, "operation_timeout_seconds": 0.5}
    lines = check(private.settings(**limits), ldif_folder(), write=True)
    found = []
    try:
        for line in lines:
            found.append(line)
            if line.check == "schema":
                private.server.signal(signal.SIGSTOP)
                began = time.monotonic()
    finally:
        private.server.signal(signal.SIGCONT)
    assert time.monotonic() - began < 2
    assert found[-1].check == "server"
    assert found[-1].level is Level.PROBLEM
    assert "stopped answering" in found[-1].text


@pytest.mark.parametrize("last", ["watch", "replication"])
def test_a_server_that_dies_while_several_are_compared_is_told_and_the_others_are_looked_at(
    private: Private, last: str
) -> None:
    """It is the one that is told, not the one that takes writes, which is still written to."""
    private.person("alice")
    proxy = private.proxy()
    uris: dict[str, Any] = {
        "uri": f"{proxy.uri},{private.server.uri}",
        "write_uri": private.server.uri,
    }
    found = []
    for line in check(private.settings(**uris), ldif_folder(), write=True):
        found.append(line)
        if (line.check, line.subject) == (last, private.server.uri):
            proxy.hangs_up = True
            proxy.cut()
    [told] = [each for each in of(found, "server") if each.level is Level.PROBLEM]
    assert told.subject == proxy.uri
    assert only(found, "write", Level.OK).subject == private.server.uri
    assert {each.check for each in found if each.level is Level.PROBLEM} == {"server"}
    compared = [] if last == "watch" else [proxy.uri, private.server.uri]
    assert [each.subject for each in of(found, "replication")] == compared


def test_a_directory_of_another_kind_and_a_base_elsewhere_are_settings(private: Private) -> None:
    found = look(private, base_dn="dc=elsewhere", users_base=None, groups_base=None)
    [_, line] = of(found, "settings")
    assert (line.level, line.subject) == (Level.PROBLEM, private.server.uri)
    assert "naming contexts" in line.text
    assert {each.check for each in found} == {"settings"}


# --- settings and TLS


def test_settings_against_advice_are_told(private: Private, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o644)
    given: dict[str, Any] = {"bind_password": None, "bind_password_file": password}
    found = look(private, allow_plaintext=True, cache_ttl_seconds=0, **given)
    told = {each.subject: each.level for each in of(found, "settings")}
    assert told == {
        "allow_plaintext": Level.WARNING,
        "cache_ttl_seconds": Level.WARNING,
        "bind_password_file": Level.PROBLEM,
        private.server.uri: Level.PROBLEM,  # for want of that password
    }
    apply(private, next(each for each in found if each.subject == "bind_password_file"))
    assert password.stat().st_mode & 0o777 == 0o600


def _certified(folder: Path, authority: trustme.CA, **more: Any) -> dict[str, Path]:
    issued = authority.issue_cert("localhost", **more)
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    issued.private_key_pem.write_to_path(folder / "server.key")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {"certificate": folder / "server.pem", "key": folder / "server.key"}


@pytest.mark.parametrize(
    ("days", "level"), [(29.5, Level.WARNING), (31.5, Level.OK), (-1, Level.PROBLEM)]
)
def test_a_certificate_that_ends_soon_is_told(
    days: float, level: Level, another_directory: Another, tmp_path: Path
) -> None:
    ends = datetime.now(timezone.utc) + timedelta(days=days)
    authority = trustme.CA()
    begins = ends - timedelta(days=90)
    made = _certified(tmp_path, authority, not_before=begins, not_after=ends)
    with another_directory(**made) as directory:
        tls: dict[str, Any] = {"uri": directory.server.tls_uri, "ca_file": tmp_path / "ca.pem"}
        line = only(look(directory, **tls), "tls", level)
    assert ("expired" if days < 0 else f"{int(days)} days more") in line.text
    if level is not Level.OK:
        assert line.remedy.startswith("openssl s_client -connect localhost:")


def test_an_authority_that_is_not_trusted_is_told(
    another_directory: Another, tmp_path: Path
) -> None:
    with another_directory(**_certified(tmp_path, trustme.CA())) as directory:
        trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
        tls: dict[str, Any] = {"uri": directory.server.tls_uri, "ca_file": tmp_path / "other.pem"}
        found = look(directory, **tls)
        line = only(found, "tls", Level.PROBLEM)
        assert "not trusted" in line.text
        assert of(found, "account") == []
        shown = subprocess.run(
            ["bash", "-c", line.remedy], capture_output=True, text=True, check=True
        )
    assert "localhost" in shown.stdout


# --- rights


@pytest.mark.parametrize("name", ["reader", 'r,"e"\\ad $(x) er'])
def test_what_may_not_be_read_is_told_and_the_remedy_opens_it(
    another_directory: Another, name: str
) -> None:
    """Whatever the account is called: its name stays a name in the rule."""
    hidden = 'olcAccess: to dn.children="ou=grants,ou=remoteapp,dc=example,dc=org" by * none\n'
    with another_directory(access=hidden + _ALL_READ) as directory:
        reader = as_reader(directory, name)
        line = only(look(directory, **reader), "reading grants", Level.PROBLEM)
        assert "shown none of them" in line.text
        apply(directory, line)
        found = look(directory, **reader)
        assert only(found, "reading grants", Level.OK).text.startswith("1 below")
        assert bad(found) == ["settings", "writing"]


def test_the_remedy_that_shows_users_shows_no_passwords(another_directory: Another) -> None:
    hidden = "".join(
        f'olcAccess: to dn.children="ou={each},dc=example,dc=org" by anonymous auth\n'
        for each in ("people", "grants,ou=remoteapp")
    )
    with another_directory(access=hidden + _ALL_READ) as directory:
        reader = as_reader(directory)
        directory.person("alice", attributes={"userPassword": ["Hidden-1"]})
        found = look(directory, **reader)
        for check in ("reading users", "reading grants"):
            apply(directory, only(found, check, Level.PROBLEM))
        found = look(directory, **reader)
        assert only(found, "reading users", Level.OK).text.startswith("2 below")
        assert only(found, "reading grants", Level.OK)
        assert only(found, "passwords", Level.OK)


NO_PEOPLE = (
    '(targetattr="*")(targetfilter="(!(objectClass=person))")(version 3.0; acl "no people"; '
    'allow (read,search,compare) userdn="ldap:///all";)'
)


@pytest.mark.live("389ds", reason="OpenLDAP above; Active Directory shows passwords to nobody")
def test_the_remedy_that_shows_users_of_389ds_shows_no_passwords(directory: Directory) -> None:
    reader = as_reader(directory)
    directory.person("alice", attributes={"userPassword": ["Hidden-1"]})
    directory.change(directory.suffix, "add: aci", f"aci: {NO_PEOPLE}")
    apply(directory, only(look(directory, **reader), "reading users", Level.PROBLEM))
    found = look(directory, **reader)
    assert only(found, "reading users", Level.OK).text.startswith("2 below")
    assert only(found, "passwords", Level.OK)


@pytest.mark.live("389ds", reason="its own files, its own tools")
def test_no_remedy_for_wildcard_names(directory: Directory) -> None:
    """A rule for such an account would be one for others as well."""
    reader = as_reader(directory, "read*")
    directory.change(directory.suffix, "add: aci", f"aci: {NO_PEOPLE}")
    line = only(look(directory, **reader), "reading users", Level.PROBLEM)
    assert line.remedy.startswith("# no command")


@everywhere
def test_a_name_that_no_user_has_and_a_member_that_no_group_has_are_told(
    directory: Directory,
) -> None:
    """Users are counted as they are listed, by any of the attributes that a name may be in."""
    directory.application("simphony/mayavi:1")
    directory.granted("one", images=["simphony/mayavi:1"], members=[directory.person("alice")])
    found = look(directory, user_name_attribute="telexNumber")
    assert "telexNumber (user_name_attribute)" in only(found, "reading users", Level.PROBLEM).text
    only(found, "reading groups", Level.OK)
    directory.group("team", directory.dn_of("alice"))
    found = look(directory, group_member_attribute="seeAlso")
    assert only(found, "reading users", Level.OK).text.startswith("1 below")
    [problem] = [each for each in of(found, "reading groups") if each.level is Level.PROBLEM]
    assert "seeAlso (group_member_attribute)" in problem.text
    found = look(directory, user_name_attribute=["telexNumber", "cn"])
    only(found, "reading users", Level.OK)


def test_what_may_not_be_written_is_told_and_the_remedies_open_it(
    another_directory: Another,
) -> None:
    """Without --write it is a warning: a host that only reads needs no such right."""
    with another_directory(access=_ALL_READ) as directory:
        reader = as_reader(directory)
        asked = of(look(directory, **reader), "writing")
        assert [each.level for each in asked] == [Level.WARNING, Level.WARNING]
        assert of(look(directory, read_only=True, **reader), "writing")[0].level is Level.OK
        found = look(directory, write=True, **reader)
        assert only(found, "write", Level.PROBLEM)
        asked = of(found, "writing")
        assert [each.level for each in asked] == [Level.PROBLEM, Level.PROBLEM]
        for line in asked:
            apply(directory, line)
        assert bad(look(directory, write=True, **reader)) == ["settings"]


def test_passwords_of_others_that_are_shown_are_told_and_the_remedy_hides_them(
    another_directory: Another,
) -> None:
    wide = "olcAccess: to * by users read by anonymous auth\n"
    with another_directory(access=wide) as directory:
        reader = as_reader(directory)
        own = only(look(directory, **reader), "passwords", Level.OK)
        assert "nobody's" in own.text
        directory.person("alice", attributes={"userPassword": ["Hidden-1"]})
        found = look(directory, **reader)
        line = only(found, "passwords", Level.WARNING)
        assert "uid=alice" in line.text
        assert not any("Hidden-1" in each.text for each in found)
        other: dict[str, Any] = {"bind_dn": directory.dn_of("alice"), "bind_password": "Hidden-1"}
        apply(directory, line)
        assert only(look(directory, **reader), "passwords", Level.OK)
        # Others, a replica among them, read what they read before; everybody still logs in.
        assert only(look(directory, **other), "passwords", Level.WARNING)


def test_what_is_seen_without_logging_in_is_told_and_the_remedy_hides_it(
    another_directory: Another,
) -> None:
    """Grants are a warning, licences a problem."""
    with another_directory(access="olcAccess: to * by users write by * read\n") as directory:
        directory.granted("free", images=["simphony/mayavi:1"])
        assert only(look(directory), "anonymous", Level.WARNING)
        directory.granted("paid", images=["simphony/paid:1"], licence="27000@licence")
        line = only(look(directory), "anonymous", Level.PROBLEM)
        assert "27000" not in line.text
        apply(directory, line)
        assert only(look(directory), "anonymous", Level.OK)


def test_an_entry_whose_name_cannot_be_read_is_looked_at_all_the_same(private: Private) -> None:
    """Its password is one that is read, and another user is let into the grant for a trial."""
    for name in ("strange", "zoe"):
        private.person(name, attributes={"userPassword": ["secret"]})
    private.granted("strange", images=["simphony/mayavi:1"])
    private.proxy().tamper = lambda data: data.replace(b"=strange,", b"~strange,")
    found = look(private, write=True, counted=True)
    assert "uid~strange," in only(found, "passwords", Level.WARNING).text
    assert only(found, "write", Level.OK)


def test_an_account_that_is_told_of_by_no_dn_reads_its_own_password(
    another_directory: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Active Directory says who one is as u:DOMAIN and name."""
    monkeypatch.setattr(Visit, "said_account", "EXAMPLE\\reader")
    wide = "olcAccess: to * by users read by anonymous auth\n"
    with another_directory(access=wide) as directory:
        assert only(look(directory, **as_reader(directory)), "passwords", Level.OK)


def test_whoever_logs_in_still_can_where_grants_and_users_are_below_one_base(
    another_directory: Another,
) -> None:
    with another_directory(access="olcAccess: to * by users write by * read\n") as directory:
        directory.person("alice", attributes={"userPassword": ["hers"]})
        alice: dict[str, Any] = {"bind_dn": directory.dn_of("alice"), "bind_password": "hers"}
        suffix: dict[str, Any] = {"base_dn": directory.suffix, "grants_base": directory.suffix}
        suffix["applications_base"] = f"ou=applications,{directory.base_dn}"
        directory.granted("free", images=["simphony/mayavi:1"])
        apply(directory, only(look(directory, **suffix), "anonymous", Level.WARNING))
        found = look(directory, **alice, **suffix)
        assert only(found, "account", Level.OK)
        assert only(found, "anonymous", Level.OK)


@pytest.mark.parametrize(
    "lines",
    [
        ("cn=config", "add: olcDisallows", "olcDisallows: bind_anon"),
        (
            "olcDatabase={1}mdb,cn=config",
            "add: olcLimits",
            "olcLimits: anonymous size.prtotal=disabled",
        ),
    ],
    ids=["without-bind", "without-pages"],
)
def test_a_server_that_refuses_one_way_of_being_nobody_is_asked_by_the_other(
    another_directory: Another, lines: tuple[str, ...]
) -> None:
    with another_directory(access="olcAccess: to * by users write by * read\n") as directory:
        directory.granted("free", images=["simphony/mayavi:1"])
        configure(directory, *lines[1:], dn=lines[0])
        assert only(look(directory), "anonymous", Level.WARNING)


@pytest.mark.live("389ds", reason="the rights that this server tells")
def test_389ds_tells_what_may_be_written_and_the_remedies_open_it(directory: Directory) -> None:
    reader = as_reader(directory)
    suffix = 'aci: (targetattr="*")(version 3.0; acl "all read"; allow (read,search,compare) '
    directory.change(directory.suffix, "add: aci", f'{suffix}userdn="ldap:///all";)')
    asked = of(look(directory, write=True, **reader), "writing")
    assert [each.level for each in asked] == [Level.PROBLEM, Level.PROBLEM]
    for line in asked:
        apply(directory, line)
    found = look(directory, write=True, **reader)
    assert [each.level for each in of(found, "writing")] == [Level.OK, Level.OK]
    assert only(found, "write", Level.OK)
    assert only(found, "passwords", Level.OK)


@pytest.mark.live("ad", reason="the rights that this server tells")
def test_active_directory_tells_what_may_be_written(directory: Directory) -> None:
    directory.person("reader")
    admin: Any = directory.server
    admin.tool("samba-tool", "user", "setpassword", "reader", "--newpassword=Reads-only-1")
    reader = {"bind_dn": directory.dn_of("reader"), "bind_password": "Reads-only-1"}
    found = look(directory, write=True, **reader)
    assert [each.level for each in of(found, "writing")] == [Level.PROBLEM, Level.PROBLEM]
    assert only(found, "write", Level.PROBLEM)
    assert only(found, "passwords", Level.OK)


# --- what the server has


def test_a_schema_that_is_missing_is_told_and_the_remedy_loads_it(
    another_directory: Another,
) -> None:
    with another_directory(schema=False) as directory:
        directory.person("alice")
        line = only(look(directory), "schema", Level.PROBLEM)
        assert "not there" in line.text
        apply(directory, line)
        assert bad(look(directory)) == ["settings"]


def test_a_schema_that_is_old_is_told_and_the_remedy_renews_it(private: Private) -> None:
    """In use, with an attribute less and another one that may have several values."""
    private.person("alice")
    private.granted("one", images=["simphony/mayavi:1"])
    base, path = "cn={4}remoteapp,cn=schema,cn=config", ldif_folder() / "openldap" / "schema.ldif"
    text = path.read_text(encoding="utf-8").replace("\n  SINGLE-VALUE )", " )", 1)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    start, middle = (
        next(i for i, line in enumerate(lines) if line.startswith(name))
        for name in ("olcAttributeTypes", "olcObjectClasses")
    )
    record = [f"dn: {base}", "changetype: modify", "replace: olcObjectClasses"]
    classes = "\n".join(lines[middle:]).replace("remoteAppVolume $\n", "")
    record += [classes, "-", "replace: olcAttributeTypes", *lines[start:middle], ""]
    command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", private.server.socket_uri]
    subprocess.run(command, input="\n".join(record), text=True, check=True, capture_output=True)
    line = only(look(private), "schema", Level.PROBLEM)
    assert "remoteAppLicense: SINGLE-VALUE is absent instead of there" in line.text
    assert "remoteAppGrant: MAY is" in line.text
    apply(private, line)
    assert bad(look(private)) == ["settings"]


def test_an_index_that_is_missing_is_told_and_the_remedy_makes_it(private: Private) -> None:
    """Where the account may read the configuration."""
    private.person("alice")
    root = as_root(private.server)
    assert only(look(private, **root), "indexes", Level.OK)
    configure(private, "replace: olcDbIndex", "olcDbIndex: objectClass,entryUUID eq,pres",
              "olcDbIndex: member,remoteAppImage pres,eq", "olcDbIndex: cn eq")  # fmt: skip
    line = only(look(private, **root), "indexes", Level.WARNING)
    assert line.text.startswith("uid has no index")
    apply(private, line)
    assert only(look(private, **root), "indexes", Level.OK)


@pytest.mark.live("389ds", reason="its index is an entry of its own, filled by a task")
def test_389ds_tells_of_an_index_that_is_missing_and_the_remedy_makes_it(
    directory: Directory,
) -> None:
    directory.person("alice")
    index = "cn=remoteAppImage,cn=index,cn=userRoot,cn=ldbm database,cn=plugins,cn=config"
    directory.server.ldapmodify(f"dn: {index}\nchangetype: delete\n")
    line = only(look(directory), "indexes", Level.WARNING)
    assert line.text.startswith("remoteAppImage has no index")
    apply(directory, line, 0, 68)  # the task of the server's own set-up is still listed
    assert only(look(directory), "indexes", Level.OK)


@pytest.mark.slow
def test_a_search_that_no_index_serves_is_slow(private: Private) -> None:
    """Where the configuration is hidden, the time tells; it is judged by what a call may take."""
    private.person("alice")
    private.server.halt()
    crowd = "".join(
        f"dn: uid=p{number},{private.users_base}\nobjectClass: inetOrgPerson\ncn: p\nsn: p\n\n"
        for number in range(20_000)
    )
    private.server._add(1, crowd)
    private.server.run()
    given: dict[str, Any] = {
        "operation_timeout_seconds": 0.3,
        "connect_timeout_seconds": 0.3,
        "users_filter": "(&(objectClass=person)(!(sn=p)))",
    }
    assert only(look(private, **given), "searching a user's name", Level.OK)
    hasty: dict[str, Any] = {**given, "users_filter": None, "page_size": 10}
    found = look(private, **hasty)
    assert "within 0.3 s" in only(found, "reading users", Level.PROBLEM).text
    assert only(found, "anonymous", Level.OK)
    configure(private, "replace: olcDbIndex", "olcDbIndex: objectClass,entryUUID,member eq")
    [line] = of(look(private, **given), "searching a user's name")
    assert line.level in (Level.WARNING, Level.PROBLEM)
    assert "as if all entries were read" in line.text


def test_a_size_limit_that_the_directory_outgrows_is_told_and_the_remedy_lifts_it(
    another_directory: Another,
) -> None:
    with another_directory(access=_ALL_READ) as directory:
        reader = as_reader(directory)
        for number in range(5):
            directory.person(f"p{number}")
        configure(directory, "add: olcLimits", "olcLimits: users size.soft=3 size.hard=3")
        line = only(look(directory, page_size=2, **reader), "reading users", Level.PROBLEM)
        assert "size limit" in line.text
        apply(directory, line)
        line = only(look(directory, page_size=2, **reader), "reading users", Level.OK)
        assert "6 below" in line.text
        assert "3 pages of 2" in line.text


def test_a_base_that_is_missing_is_told(private: Private) -> None:
    private.delete(f"ou=grants,{private.base_dn}")
    line = next(each for each in of(look(private), "tree") if each.level is Level.PROBLEM)
    assert "grants_base" in line.text
    assert line.remedy == "ldapdb init"
    assert "look at grants_base first" in line.text


def test_a_base_that_is_mistyped_is_not_to_be_made(private: Private) -> None:
    """Where applications are elsewhere, the command shows them."""
    private.application("simphony/mayavi:1")
    base = f"ou=remoteap,{private.suffix}"
    found = look(private, base_dn=base, users_base=f"ou=peopel,{private.suffix}")
    lines = [each for each in of(found, "tree") if each.level is Level.PROBLEM]
    assert len(lines) == 4
    assert not any(each.remedy.startswith("ldapdb") for each in lines)
    assert "correct base_dn" in lines[0].text
    assert "does not make users_base" in lines[3].text


def test_a_directory_without_users_is_told(private: Private) -> None:
    assert "users_filter" in only(look(private), "reading users", Level.PROBLEM).text


def test_a_watch_that_has_to_ask_is_told_and_the_remedy_lets_the_server_tell(
    private: Private,
) -> None:
    private.person("alice")
    line = only(look(private, watch=True), "watch", Level.WARNING)
    apply(private, line)
    assert "as they happen" in only(look(private, watch=True), "watch", Level.OK).text
    assert "content synchronisation" in only(look(private), "watch", Level.OK).text


@pytest.mark.parametrize(("apart", "level"), [(-20, Level.WARNING), (400, Level.PROBLEM)])
def test_a_clock_that_is_wrong_is_told_by_what_is_written(
    apart: float, level: Level, private: Private
) -> None:
    private.person("alice")
    settings = private.settings()
    found = list(check(settings, ldif_folder(), write=True, clock=lambda: time.time() + apart))
    hidden, told = of(found, "clock")
    assert (hidden.level, hidden.remedy) == (Level.NOT_CHECKED, "ldapdb check --write")
    assert told.level is level
    assert f"{abs(apart) - 1} s apart" in told.text or f"{abs(apart)} s apart" in told.text


def test_whom_the_reader_is_to_ask_for_the_time_is_told(another_directory: Another) -> None:
    """No remedy leads to a right to write for an account that only reads."""
    with another_directory(access=_ALL_READ) as directory:
        reader = as_reader(directory)
        for settings in (reader, {**reader, "read_only": True}):
            line = only(look(directory, **settings), "clock", Level.NOT_CHECKED)
            assert "LDAPDB_BIND_DN=WRITER" in line.remedy
        line = only(look(directory, write=True, **reader), "write", Level.PROBLEM)
        assert "look as that one" in line.text


def test_a_remedy_of_ours_names_the_file_and_the_profile(
    private: Private, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ldapdb.cli import run as run_command

    config = tmp_path / "ldap db.toml"
    config.write_text(
        "[profiles.prod]\n"
        + "".join(f'{name} = "{value}"\n' for name, value in private.database_kwargs().items())
    )
    config.chmod(0o600)
    private.person("alice")
    run_command(["--config-file", str(config), "--profile", "prod", "check"])
    options = f"--config-file '{config}' --profile prod"
    assert f"\tremedy\tldapdb {options} check --write\n" in capsys.readouterr().out


def test_an_interrupt_leaves_nothing_of_the_entry_that_was_written(private: Private) -> None:
    settings = private.settings()
    visit = Visit(settings, private.server.uri, ldif_folder())
    calls = itertools.count()
    seen: list[list[str]] = []

    def clock() -> float:
        if next(calls):  # the entry is there now
            seen.append(private.below(f"ou=grants,{private.base_dn}"))
            raise KeyboardInterrupt
        return time.time()

    with pytest.raises(KeyboardInterrupt):
        write_and_remove(visit, [], clock)
    visit.close()
    assert len(seen[0]) == 1
    assert private.below(f"ou=grants,{private.base_dn}") == []


# --- several servers


@pytest.mark.slow
def test_replicas_that_lag_and_providers_that_lose_grants_are_told() -> None:
    """Delta-syncrepl is well, plain is not; a consumer that does not follow is told."""
    with Cluster() as cluster:
        cluster.add_person("alice")
        cluster.wait_in_step()
        directory = _of(cluster)
        uris = [each.uri for each in cluster.servers]
        found = look(directory, write=True, uri=",".join(uris), write_uri=",".join(uris[:2]))
        lines = of(found, "replication")
        assert {each.level for each in lines} == {Level.OK}
        assert sum("was written" in each.text for each in lines) == 2
        assert [each.level for each in of(found, "two providers")] == [Level.NOT_CHECKED] * 2
        sockets = ",".join(each.socket_uri for each in cluster.providers)
        root: dict[str, Any] = {**as_root(cluster.providers[0]), "uri": sockets, "write_uri": None}
        two = of(look(directory, **root), "two providers")
        assert [each.level for each in two] == [Level.OK, Level.OK]
        _follow_plainly(cluster.consumer)
        with_consumer = {**root, "uri": f"{sockets},{cluster.consumer.socket_uri}"}
        two = of(look(directory, **with_consumer), "two providers")
        assert [each.level for each in two] == [Level.OK] * 3
        assert "is a consumer" in two[2].text
        _follow_plainly(cluster.providers[1])
        two = of(look(directory, **root), "two providers")
        assert [each.level for each in two] == [Level.OK, Level.PROBLEM]
        name, _, value = two[1].remedy.removeprefix("export ").partition("=")
        assert name == "LDAPDB_WRITE_URI"
        assert of(look(directory, **{**root, "write_uri": value}), "two providers") == []
        _follow_nobody(cluster.consumer)
        cluster.add_person("bob")
        found = look(directory, uri=",".join(uris), write_uri=uris[0])
        states = {each.subject: each.level for each in of(found, "replication")}
        assert states[uris[0]] is Level.OK
        assert states[uris[2]] is Level.WARNING
        later = check(
            directory.settings(uri=",".join(uris)), ldif_folder(), clock=lambda: time.time() + 90
        )
        states = {each.subject: each.level for each in of(list(later), "replication")}
        assert states[uris[2]] is Level.PROBLEM


@pytest.mark.slow
@pytest.mark.live("389ds", reason="OpenLDAP's are above; Active Directory's do not say")
def test_a_389ds_that_does_not_follow_another_is_told() -> None:
    """By the replica update vectors of both, and by what was written and has not arrived."""
    with DS389() as first, DS389() as second, closing(Contents(first)) as contents:
        directory = DS389Directory(first, contents)
        directory.add_tree()
        directory.person("alice")
        _replicate(first, second)
        uris: dict[str, Any] = {"uri": [first.uri, second.uri], "write_uri": [first.uri]}

        def levels(**given: Any) -> list[Level]:
            settings = directory.settings(**uris)
            return [
                each.level
                for each in check(settings, ldif_folder(), **given)
                if each.check == "replication"
            ]

        # What a replica began with counts once a change has come after it.
        directory.person("bob")
        assert eventually(lambda: levels() == [Level.OK, Level.OK], _STEP_SECONDS)
        assert levels(write=True) == [Level.OK, Level.OK, Level.OK]
        _agreement(first, "disable", "other")

        def is_behind(number: int) -> bool:
            directory.person(f"carol{number}")
            return levels() == [Level.OK, Level.WARNING]

        # What comes while the agreement is still at work arrives.
        numbers = itertools.count()
        assert eventually(lambda: is_behind(next(numbers)), _STEP_SECONDS)
        assert levels(clock=lambda: time.time() + 90) == [Level.OK, Level.PROBLEM]
        _agreement(first, "enable", "other")
        assert eventually(lambda: levels() == [Level.OK, Level.OK], _STEP_SECONDS)


def _replicate(*servers: DS389) -> None:
    """Let each of two servers take the changes of the other one, from what the first has on."""
    manager = "cn=replication manager,cn=config"
    for number, server in enumerate(servers, 1):
        server.tool(
            "dsconf", "localhost", "replication", "enable", "--suffix", server.suffix,
            "--role", "supplier", "--replica-id", str(number),
            "--bind-dn", manager, "--bind-passwd", server.password,
        )  # fmt: skip
    for server, other in (servers, servers[::-1]):
        _agreement(
            server, "create", "--host", "127.0.0.1", "--port", str(other.port),
            "--conn-protocol", "LDAP", "--bind-method", "SIMPLE",
            "--bind-dn", manager, "--bind-passwd", other.password, "other",
        )  # fmt: skip
    _agreement(servers[0], "init", "other")
    is_begun = partial(_agreement, servers[0], "init-status", "other")
    assert eventually(lambda: "successfully" in is_begun(), _STEP_SECONDS)


def _agreement(server: DS389, what: str, *words: str) -> str:
    return server.tool("dsconf", "localhost", "repl-agmt", what, "--suffix", server.suffix, *words)


def _of(cluster: Cluster) -> Any:
    class Settings:
        @staticmethod
        def settings(**given: Any) -> Any:
            return load(**cluster.database_kwargs(**given))

    return Settings()


def _configure(server: Any, *lines: str) -> None:
    record = "\n".join(["dn: olcDatabase={1}mdb,cn=config", "changetype: modify", *lines, ""])
    command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", server.socket_uri]
    subprocess.run(command, input=record, capture_output=True, text=True, check=True)


def _follow_plainly(server: Any) -> None:
    other = server.follows[0]
    _configure(
        server,
        "replace: olcSyncrepl",
        f'olcSyncrepl: rid=001 provider={other.uri} searchbase="{server.suffix}" '
        f'type=refreshAndPersist retry="1 +" bindmethod=simple binddn="{server.admin_dn}" '
        f"credentials={server.password}",
    )


def _follow_nobody(server: Any) -> None:
    _configure(
        server,
        "replace: olcSyncrepl",
        f'olcSyncrepl: rid=001 provider=ldap://127.0.0.1:9 searchbase="{server.suffix}" '
        'type=refreshAndPersist retry="60 +" bindmethod=simple',
    )

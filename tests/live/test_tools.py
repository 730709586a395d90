"""Other people's programs do the work, and ldapdb shows it; and the other way round.

What an administrator does with ldapadd, dsidm or samba-tool is seen by ldapdb, and what
ldapdb has written passes the checks that each server has of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from servers.machine import Namespace, missing

from support import Directory, Private
from support.alone import alone

IMAGE = "simphony/notebook:1.0"
DIGEST = "registry.example.org:5000/solver/stress@sha256:" + "9f1d" * 16
PASSWORD = "Typed-4-the-tools"

everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)


def run(directory: Directory, tool: str, *arguments: str, text: str = "") -> None:
    """Run one of OpenLDAP's command line tools as the administrator."""
    program = shutil.which(tool)
    assert program is not None
    who = ["-x", "-H", directory.server.uri, "-D", directory.server.admin_dn]
    done = subprocess.run(
        [program, *who, "-w", directory.server.password, *arguments],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def user(directory: Directory, name: str) -> Any:
    """Ask as a process would that has just started, for its cache is empty."""
    return directory.open().get_user(user_name=name)


def held(directory: Directory, name: str) -> set[str]:
    """Return the mapping ids of a user, or nothing where there is no such user."""
    database = directory.open()
    return {each.id for each in database.get_accounting_for_user(database.get_user(user_name=name))}


def put(directory: Directory, what: str, group: str, member: str) -> None:
    """Add or delete a member with ldapmodify."""
    lines = f"dn: {group}\nchangetype: modify\n{what}: member\nmember: {member}\n"
    run(directory, "ldapmodify", text=lines)


def follows(directory: Directory) -> bool:
    """Tell whether the directory itself keeps members in step with their entries."""
    return directory.vendor == "ad"


# -- OpenLDAP's command line tools, on every server -----------------------------------------


@pytest.mark.live(
    "openldap", "389ds", "ad", reason="docs/ and test_pages have what is typed for stock"
)
def test_ldapadd_registers_and_grants(directory: Directory) -> None:
    """Entries as the pages have them are an application and a grant."""
    alice = directory.person("alice")
    kind = {"openldap": "remoteAppGroup", "389ds": "groupOfNames", "ad": "group"}[directory.vendor]
    base = directory.base_dn
    application = (
        f"dn: cn=notebook,ou=applications,{base}\nobjectClass: {kind}\n"
        f"objectClass: remoteAppApplication\nremoteAppImage: {IMAGE}\n\n"
    )
    grant = (
        f"dn: cn=notebook-home,ou=grants,{base}\nobjectClass: {kind}\n"
        f"objectClass: remoteAppGrant\nremoteAppImage: {IMAGE}\nremoteAppAllowHome: TRUE\n"
        f"remoteAppNotAfter: 20991231235959.0Z\nmember: {alice}\n"
    )
    run(directory, "ldapadd", text=application + grant)
    database = directory.open()
    (held_by_alice,) = database.get_accounting_for_user(database.get_user(user_name="alice"))
    assert held_by_alice.application.image == IMAGE
    assert held_by_alice.application_policy.allow_home
    assert not held_by_alice.application_policy.allow_view


@everywhere
def test_ldapmodify_and_ldapdelete_grant_and_revoke(directory: Directory) -> None:
    """A member put in has it, a member taken out has not, and without the entry nobody has."""
    alice, bob = directory.person("alice"), directory.person("bob")
    application = directory.application(IMAGE)
    grant = directory.granted("home", images=[IMAGE], members=[alice], home="TRUE")
    put(directory, "add", grant, bob)
    assert held(directory, "bob")
    put(directory, "delete", grant, alice)
    assert not held(directory, "alice")
    run(directory, "ldapdelete", application)
    assert not held(directory, "bob")
    directory.application(IMAGE)
    assert held(directory, "bob")
    run(directory, "ldapdelete", grant)
    assert not held(directory, "bob")


@everywhere
@pytest.mark.parametrize("moved", [False, True], ids=["renamed", "moved"])
def test_ids_survive_ldapmodrdn(directory: Directory, moved: bool) -> None:
    """A user who is renamed or moved to another unit is the same one, and so is what he holds.

    Active Directory's members follow. Elsewhere the old name stays in the grant, gives
    nothing to anybody, and the new one brings back the mapping id that was.
    """
    alice = directory.person("alice")
    directory.application(IMAGE)
    grant = directory.granted("home", images=[IMAGE], members=[alice], home="TRUE")
    before, ids = user(directory, "alice"), held(directory, "alice")
    assert len(ids) == 1

    target = ["-s", directory.unit("berlin")] if moved else []
    name = "alice" if moved else "alicia"
    run(directory, "ldapmodrdn", "-r", *target, alice, f"{directory.person_naming}={name}")

    after = directory.open().get_user(id=before.id)
    assert after.id == before.id
    # On Active Directory the login name is not the RDN's value but an attribute apart.
    assert after.name == ("alice" if directory.vendor == "ad" else name)
    assert after.dn != before.dn
    if not follows(directory):
        assert held(directory, after.name) == set()
        put(directory, "add", grant, str(after.dn))
    assert held(directory, after.name) == ids


@everywhere
def test_who_is_made_anew_is_somebody_else(directory: Directory) -> None:
    """A new entry of an old name has another id, and another mapping id for what it holds.

    What still names the old entry names the new one, where the directory leaves such
    names behind; docs/directories.md warns of that.
    """
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.granted("home", images=[IMAGE], members=[alice], home="TRUE")
    before, ids = user(directory, "alice"), held(directory, "alice")

    run(directory, "ldapdelete", alice)
    database = directory.open()
    assert database.get_user(user_name="alice") is None
    assert database.get_user(id=before.id) is None
    assert database.list_users() == []

    assert directory.person("alice") == alice
    assert user(directory, "alice").id != before.id
    assert len(held(directory, "alice")) == (0 if follows(directory) else 1)
    assert not held(directory, "alice") & ids


@everywhere
def test_a_group_that_is_removed_leaves_nothing_behind(directory: Directory) -> None:
    """Its members lose what they had through it, and nothing else; others keep everything."""
    alice, bob = directory.person("alice"), directory.person("bob")
    inner = directory.group("inner", alice)
    outer = directory.group("outer", inner, bob)
    directory.application(IMAGE)
    directory.application(DIGEST, "stress")
    directory.granted("through", images=[IMAGE], members=[outer], home="TRUE")
    directory.granted("direct", images=[DIGEST], members=[alice, bob], view="TRUE")
    assert (len(held(directory, "alice")), len(held(directory, "bob"))) == (2, 2)

    run(directory, "ldapdelete", inner)
    assert (len(held(directory, "alice")), len(held(directory, "bob"))) == (1, 2)
    run(directory, "ldapdelete", outer)
    assert len(held(directory, "bob")) == 1
    run(directory, "ldapdelete", bob)
    assert len(held(directory, "alice")) == 1
    database = directory.open()
    assert [each.name for each in database.list_users()] == ["alice"]
    database.revoke_access(DIGEST, "alice", False, True, None)
    assert held(directory, "alice") == set()


@everywhere
def test_a_group_that_is_made_anew_has_what_its_old_name_was_granted(directory: Directory) -> None:
    """Where the directory leaves names behind; docs/directories.md warns of that, too."""
    alice = directory.person("alice")
    team = directory.group("team", alice)
    directory.application(IMAGE)
    directory.granted("home", images=[IMAGE], members=[team], home="TRUE")
    ids = held(directory, "alice")
    assert len(ids) == 1
    run(directory, "ldapdelete", team)
    assert held(directory, "alice") == set()
    assert directory.group("team", alice) == team
    assert held(directory, "alice") == (set() if follows(directory) else ids)


# -- an editor's user, on every server ------------------------------------------------------


@everywhere
@pytest.mark.slow  # it is fetched for all servers, not for the fast tests
def test_what_is_edited_in_ldapvi_counts(directory: Directory, tmp_path: Path) -> None:
    """A grant whose text now names bob where it named alice is his, and hers no more."""
    reason = missing("ldapvi", "/usr/bin/ldapvi", 0)
    if reason is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.application(IMAGE)
    grant = directory.granted("home", images=[IMAGE], members=[alice], home="TRUE")
    assert (len(held(directory, "alice")), len(held(directory, "bob"))) == (1, 0)

    editor = tmp_path / "editor"
    # In any case: Active Directory writes "CN". The file comes after the cursor's line.
    change = shlex.quote(f"s/^member: {alice}$/member: {bob}/I")
    editor.write_text(f'#!/bin/sh\nfor file; do :; done\nsed -i {change} "$file"\n')
    editor.chmod(0o755)
    server = directory.server
    who = ["-h", server.uri, "-D", server.admin_dn, "-w", server.password]
    what = ["-b", grant, "-s", "base", "(objectClass=*)", "member"]
    # Without a terminal it prints what it has found, and is done.
    typed = shlex.join(["ldapvi", "--noquestions", *who, *what])
    Namespace({tmp_path: "/tmp"}).run(
        *("env", "TERM=dumb", "VISUAL=/tmp/editor", "script", "-qec", typed, "/dev/null")
    )
    assert (len(held(directory, "alice")), len(held(directory, "bob"))) == (0, 1)


# -- 389 Directory Server's tools -----------------------------------------------------------


def dsidm(directory: Directory, *words: str, text: str = "") -> None:
    server: Any = directory.server
    server.tool("dsidm", "localhost", "-b", directory.suffix, *words, input=text)


def dsidm_user(directory: Directory, name: str) -> str:
    """Make a person as the server's administrator does."""
    dsidm(
        directory,
        *("user", "create", "--uid", name, "--cn", name, "--displayName", name),
        *("--uidNumber", "2001", "--gidNumber", "2001", "--homeDirectory", f"/home/{name}"),
    )
    return f"uid={name},{directory.users_base}"


@pytest.mark.live("389ds", stock=True, reason="its own tools")
def test_dsidm_s_people_and_groups_count(directory: Directory) -> None:
    """People that dsidm makes are users, and its groups give and take what they are granted."""
    alice = dsidm_user(directory, "alice")
    dsidm(directory, "group", "create", "--cn", "team")
    directory.application(IMAGE)
    team = f"cn=team,{directory.groups_base}"
    directory.granted("home", images=[IMAGE], members=[team], home="TRUE")
    assert held(directory, "alice") == set()
    dsidm(directory, "group", "add_member", "team", alice)
    ids = held(directory, "alice")
    assert len(ids) == 1

    before = user(directory, "alice")
    dsidm(directory, "account", "lock", alice)
    assert user(directory, "alice") is None
    assert directory.open().list_users() == []
    dsidm(directory, "account", "unlock", alice)
    assert user(directory, "alice") == before

    dsidm(directory, "group", "remove_member", "team", alice)
    assert held(directory, "alice") == set()
    dsidm(directory, "user", "rename", "alice", "alicia")
    dsidm(directory, "group", "add_member", "team", f"uid=alicia,{directory.users_base}")
    assert held(directory, "alicia") == ids
    dsidm(directory, "user", "delete", f"uid=alicia,{directory.users_base}", text="Yes I am sure\n")
    assert user(directory, "alicia") is None


@pytest.mark.live("389ds", reason="its own roles")
def test_who_is_locked_by_a_role_is_no_user() -> None:
    """The server works out from his role that he is locked; his entry does not say so."""
    with alone("389ds") as directory:
        alice = dsidm_user(directory, "alice")
        dsidm_user(directory, "bob")
        dsidm(directory, "role", "create-managed", "--cn", "leavers")
        role = f"cn=leavers,{directory.suffix}"
        directory.change(alice, "add: nsRoleDN", f"nsRoleDN: {role}")
        before = user(directory, "alice")
        assert before is not None
        dsidm(directory, "role", "lock", role)
        assert "nsaccountlock" not in directory.entries()[alice]
        assert user(directory, "alice") is None
        assert [each.name for each in directory.open().list_users()] == ["bob"]
        dsidm(directory, "role", "unlock", role)
        assert user(directory, "alice") == before


@pytest.mark.live("389ds", stock=True, reason="OpenLDAP's overlay is tried with the others")
def test_a_group_by_a_search_has_no_members(directory: Directory) -> None:
    """389 does not look whom a memberURL finds, and so nobody is given anything by it."""
    directory.person("alice", attributes={"title": ["engineer"]})
    engineers = f"cn=engineers,{directory.groups_base}"
    directory.add(
        f"dn: {engineers}\nobjectClass: groupOfURLs\ncn: engineers\n"
        f"memberURL: ldap:///{directory.users_base}??sub?(title=engineer)\n"
    )
    directory.application(IMAGE)
    directory.granted("engineers", images=[IMAGE], members=[engineers])
    kinds = "(|(objectClass=groupOfNames)(objectClass=groupOfURLs))"
    database = directory.open(groups_filter=kinds)
    assert database.get_accounting_for_user(database.get_user(user_name="alice")) == []


@pytest.mark.live("389ds", reason="its own plug-in")
def test_with_referential_integrity_names_follow_and_go() -> None:
    """After dsconf has switched the plug-in on, grants follow a rename and forget who is gone."""
    with alone("389ds") as directory:
        directory.application(IMAGE)
        alice = dsidm_user(directory, "alice")
        directory.granted("home", images=[IMAGE], members=[alice], home="TRUE")
        server: Any = directory.server
        server.tool("dsconf", "localhost", "plugin", "referential-integrity", "enable")
        server.halt()
        server.run()
        ids = held(directory, "alice")
        assert len(ids) == 1
        dsidm(directory, "user", "rename", "alice", "alicia")
        assert held(directory, "alicia") == ids
        alicia = f"uid=alicia,{directory.users_base}"
        dsidm(directory, "user", "delete", alicia, text="Yes I am sure\n")
        dsidm_user(directory, "alicia")
        assert held(directory, "alicia") == set()


@pytest.mark.live("389ds", reason="only its entries may lack an entryUUID")
def test_entries_brought_in_offline_are_users_too() -> None:
    """Entries of an LDIF without identifiers get none of RFC 4530, but nsUniqueId they have."""
    with alone("389ds") as directory:
        server: Any = directory.server
        directory.person("alice")
        server.halt()
        server.tool("dsctl", "localhost", "db2ldif", "userroot", "/tmp/all.ldif")
        path = server.scratch / "all.ldif"
        text = re.sub(
            r"^(entryuuid|nsuniqueid): .*\n",
            "",
            path.read_text(),
            flags=re.MULTILINE | re.IGNORECASE,
        )
        path.write_text(text)
        server.tool("dsctl", "localhost", "ldif2db", "userroot", "/tmp/all.ldif")
        server.run()
        before = user(directory, "alice")
        server.tool(
            *("dsconf", "localhost", "plugin", "entryuuid", "fixup", directory.suffix, "--wait")
        )
        assert user(directory, "alice") == before


# -- Samba's tools --------------------------------------------------------------------------


def samba_tool(directory: Directory, *words: str) -> str:
    server: Any = directory.server
    said: str = server.tool("samba-tool", *words)
    return said


@pytest.mark.live("ad", stock=True, reason="its own tools")
def test_samba_tool_s_people_and_groups_count(directory: Directory) -> None:
    """People that samba-tool makes are users, and its groups give and take."""
    samba_tool(directory, "user", "create", "alice", PASSWORD, "--userou=OU=people")
    samba_tool(directory, "group", "add", "team", "--groupou=OU=groups")
    directory.application(IMAGE)
    team = f"CN=team,{directory.groups_base}"
    directory.granted("home", images=[IMAGE], members=[team], home="TRUE")
    assert held(directory, "alice") == set()
    samba_tool(directory, "group", "addmembers", "team", "alice")
    ids = held(directory, "alice")
    assert len(ids) == 1

    before = user(directory, "alice")
    samba_tool(directory, "user", "disable", "alice")
    assert user(directory, "alice") is None
    assert directory.open().list_users() == []
    samba_tool(directory, "user", "enable", "alice")
    assert user(directory, "alice") == before

    samba_tool(
        directory, "user", "rename", "alice", "--samaccountname=alicia", "--force-new-cn=alicia"
    )
    assert held(directory, "alicia") == ids
    samba_tool(directory, "user", "move", "alicia", directory.unit("berlin"))
    assert held(directory, "alicia") == ids
    assert directory.open().get_user(id=before.id).name == "alicia"
    samba_tool(directory, "group", "rename", "team", "--samaccountname=crew", "--force-new-cn=crew")
    assert held(directory, "alicia") == ids

    samba_tool(directory, "group", "removemembers", "crew", "alicia")
    assert held(directory, "alicia") == set()
    samba_tool(directory, "group", "addmembers", "crew", "alicia")
    samba_tool(directory, "group", "delete", "crew")
    assert held(directory, "alicia") == set()
    samba_tool(directory, "user", "delete", "alicia")
    assert user(directory, "alicia") is None


@pytest.mark.live("ad", stock=True, reason="its own tools")
def test_samba_tool_changes_the_members_of_a_grant_that_ldapdb_made(directory: Directory) -> None:
    """The entry is a group like any other, to be found by its account name."""
    directory.person("alice")
    directory.person("bob")
    database = directory.open()
    database.create_application(IMAGE)
    database.grant_access(IMAGE, "alice", True, False, None)
    groups = samba_tool(directory, "user", "getgroups", "alice").splitlines()
    (grant,) = (each for each in groups if each != "Domain Users")
    samba_tool(directory, "group", "addmembers", grant, "bob")
    samba_tool(directory, "group", "removemembers", grant, "alice")
    assert (len(held(directory, "alice")), len(held(directory, "bob"))) == (0, 1)


# -- what ldapdb has written passes the servers' own checks ---------------------------------


def _write(directory: Directory) -> dict[str, set[str]]:
    """Let ldapdb make, change and remove things; return who holds what."""
    for name in ("alice", "bob", "carol"):
        directory.person(name)
    database = directory.open()
    for image in (IMAGE, DIGEST, "simphony/gone:1"):
        database.create_application(image)
    for name in ("alice", "bob", "carol"):
        database.grant_access(IMAGE, name, True, False, "/data/shared:/data:ro")
        database.grant_access(DIGEST, name, False, True, None)
        database.grant_access("simphony/gone:1", name, False, False, None)
    database.revoke_access(IMAGE, "carol", True, False, "/data/shared:/data:ro")
    database.revoke_access(DIGEST, "carol", False, True, None)
    database.remove_application(app_name="simphony/gone:1")
    return _holders(directory)


def _holders(directory: Directory) -> dict[str, set[str]]:
    return {name: held(directory, name) for name in ("alice", "bob", "carol")}


def _sizes(holders: dict[str, set[str]]) -> list[int]:
    return [len(ids) for ids in holders.values()]


@pytest.mark.live("openldap", reason="its own checks")
def test_slapschema_and_slapcat_take_what_ldapdb_wrote(private: Private) -> None:
    """No entry offends against the schema, and a dump that is loaded says the same again."""
    holders = _write(private)
    assert _sizes(holders) == [2, 2, 0]
    server = private.server
    server.halt()

    def slapd(tool: str, *options: str) -> str:
        config = ["-F", str(server.folder / "config")]
        command = [str(server._slapd.program), "-T", tool, *config, "-n", "1", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert slapd("schema") == ""
    dump = server.folder / "all.ldif"
    slapd("cat", "-l", str(dump))
    for path in (server.folder / "data").iterdir():
        path.unlink()
    slapd("add", "-l", str(dump))
    server.run()
    assert _holders(private) == holders


@pytest.mark.live("389ds", reason="its own checks")
def test_dsctl_takes_what_ldapdb_wrote() -> None:
    """The database is whole, no attribute has a wrong syntax, and a dump says the same again."""
    with alone("389ds") as directory:
        holders = _write(directory)
        assert _sizes(holders) == [2, 2, 0]
        server: Any = directory.server
        server.tool("dsconf", "localhost", "schema", "validate-syntax", directory.suffix)
        assert _syntax_errors(server) == 0
        server.halt()
        assert "successful" in server.tool("dsctl", "localhost", "dbverify", "userroot")
        server.tool("dsctl", "localhost", "db2ldif", "userroot", "/tmp/all.ldif")
        said = server.tool("dsctl", "localhost", "ldif2db", "userroot", "/tmp/all.ldif")
        assert "skipped" not in said
        server.run()
        assert _holders(directory) == holders


def _syntax_errors(server: Any) -> int:
    """Wait for the task that looks at all values, and return how many entries it minds."""
    log = server.folder / "log" / "slapd-localhost" / "errors"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = re.search(r"Found (\d+) invalid entries", log.read_text(encoding="utf-8"))
        if found:
            return int(found[1])
        time.sleep(0.05)
    return pytest.fail("the task has not come to an end")


@pytest.mark.live("ad", reason="its own checks")
def test_samba_tool_dbcheck_takes_what_ldapdb_wrote() -> None:
    """Not one error in all partitions."""
    with alone("ad") as directory:
        assert _sizes(_write(directory)) == [2, 2, 0]
        said = samba_tool(directory, "dbcheck", "--cross-ncs")
        assert re.search(r"^Checked \d+ objects \(0 errors\)", said, re.MULTILINE), said

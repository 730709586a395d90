"""The files in ``ldif/``, loaded by each directory's own tools: what they answer and allow."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ldapdb import LDAPDatabase, errors
from support.benches import (
    ALICE,
    EXISTS,
    IMAGE,
    LDIF,
    OK,
    READER,
    STEPS,
    WRITER,
    Bench,
    fresh,
    on,
    opened,
    ours,
)
from support.servers import server_class
from support.waiting import eventually

DENIED = 50


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A fresh server of a vendor, without our schema."""
    with fresh(request.param) as running:
        yield running


# -- what loading answers -------------------------------------------------------------------


@on("openldap", "389ds", "ad")
def test_every_file_loads_and_loading_it_again_changes_nothing(bench: Bench) -> None:
    """A second time is answered as ldif/README.md says, and leaves all as it was."""
    bench.set_up()
    state = sorted(bench.state().splitlines())
    for name, again in STEPS[bench.vendor]:
        assert bench.load(name) == again, name
        assert sorted(bench.state().splitlines()) == state, name


@on("openldap", "389ds")
def test_rules_for_each_user_load_after_the_others_and_again(bench: Bench) -> None:
    """A second time is answered as ldif/README.md says, and leaves all as it was."""
    bench.set_up(besides=("389ds/99remoteapp.ldif", "389ds/indexes.ldif"))
    name = f"{bench.vendor}/per-user.ldif"
    assert bench.load(name) == [OK]
    state = sorted(bench.state().splitlines())
    assert bench.load(name)[0] in (16, 20, 80)
    assert sorted(bench.state().splitlines()) == state


@on("openldap", "389ds")
def test_rules_for_a_schema_that_stays_hide_what_is_granted(bench: Bench) -> None:
    """The accounts work with it, and nobody else reads a licence in a description."""
    bench.people()
    name = f"{bench.vendor}/access-stock.ldif"
    for each in ("tree.ldif", "services.ldif"):
        assert bench.load(each) == [OK], each
    assert bench.load(name) == [OK]
    state = sorted(bench.state().splitlines())
    assert bench.load(name) == [20]
    assert sorted(bench.state().splitlines()) == state
    if bench.vendor == "389ds":  # a rule of the company's, by which everybody reads everything
        rule = '(targetattr="*")(version 3.0; acl "all"; allow (read,search,compare) '
        rule += 'userdn="ldap:///all";)'
        lines = (f"dn: {bench.suffix}", "changetype: modify", "add: aci", f"aci: {rule}")
        assert bench.admin.change(*lines) == OK
    with opened(bench, WRITER, schema="stock") as writer:
        writer.create_application(IMAGE)
        writer.grant_access(IMAGE, ALICE, True, False, None)
    with opened(bench, READER, schema="stock") as reader:
        (held,) = reader.get_accounting_for_user(reader.get_user(user_name=ALICE))
        assert held.application.image == IMAGE
    grants, written = f"ou=grants,ou=remoteapp,{bench.suffix}", "(description=remoteapp*)"
    assert "description: remoteapp" in bench.account(READER).read(grants, written, "description")
    assert bench.account(ALICE).read(grants, written, "1.1") == ""
    assert "description" not in bench.account(ALICE).read(grants, "(objectClass=*)", "description")
    # A filter by which 389 DS would test hidden attributes of an entry that a user sees.
    probes = [f"(!(|(cn=x)(description={each}*)))" for each in ("remoteapp", "nothing")]
    answers = {bench.account(ALICE).read(grants, each, "1.1") for each in probes}
    assert len(answers) == 1
    team = f"dn: cn=team,ou=groups,{bench.suffix}"
    change = ("changetype: modify", "add: description", "description: remoteapp grant image=a")
    assert bench.account(WRITER).change(team, *change) == DENIED
    # What the other file says of attributes that are not known here is refused.
    assert bench.load(f"{bench.vendor}/access.ldif") != [OK]
    assert "remoteAppLicense" not in bench.state()


@on("openldap")
def test_an_index_that_is_there_already_is_passed_over(bench: Bench) -> None:
    """The tool goes on and ends with what the server said last."""
    assert bench.load("openldap/schema.ldif") == [OK]
    bench.load("openldap/indexes.ldif")
    state = bench.state()
    assert "olcDbIndex: remoteAppImage eq" in state
    assert bench.load("openldap/indexes.ldif")[0] in (20, 80)
    assert bench.state() == state


@on("389ds")
def test_the_file_of_the_schema_folder_says_the_same(bench: Bench) -> None:
    """Reloaded, it defines what schema.ldif defines, and that changes nothing then."""
    assert bench.load("389ds/99remoteapp.ldif") == [OK, OK]
    state = bench.state()
    assert state.count(" NAME 'remoteApp") == len(
        re.findall("NAME 'remoteApp", ours("389ds/schema.ldif", ""))
    )
    assert bench.load("389ds/schema.ldif") == [OK]
    assert _unsigned(bench.state()) == _unsigned(state)


def _unsigned(text: str) -> str:
    """Leave out by whom something was defined, which is the one thing that changes."""
    return re.sub(r" X-ORIGIN '[^']*'", "", text)


@on("389ds")
def test_the_index_is_used(bench: Bench) -> None:
    """A search for an image is none of those that the log marks as not indexed."""
    bench.set_up()
    bench.admin.read(bench.suffix, f"(remoteAppImage={IMAGE})")
    bench.admin.read(bench.suffix, "(remoteAppVolume=/a:/b:ro)")
    log = bench.server.log_file
    # A line is written after the answer is sent.
    assert eventually(lambda: _answer(log, "remoteAppVolume="))
    image = _answer(log, "remoteAppImage=")
    assert image
    assert "notes=" not in image
    assert "notes=" in _answer(log, "remoteAppVolume=")


def _answer(log: Path, words: str) -> str:
    """Find the line with the result of the search that has these words; empty until it is there."""
    text = log.read_text(encoding="utf-8")
    operation = re.search(rf"(conn=\d+ op=\d+) SRCH .*{re.escape(words)}", text)
    result = operation and re.search(rf"{operation[1]} RESULT .*", text)
    return result[0] if result else ""


# -- what the access rules allow ------------------------------------------------------------


@on("openldap", "389ds", "ad")
def test_ldapdb_needs_no_more_rights_than_these(bench: Bench) -> None:
    """With the writer it registers, grants, revokes and removes; with the reader it sees it."""
    bench.set_up()
    with opened(bench, WRITER) as writer, opened(bench, READER, cache_ttl_seconds=0) as reader:
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


@pytest.mark.slow
@on("openldap", "389ds")
def test_the_two_accounts_see_all_users_of_a_large_company(bench: Bench) -> None:
    """Where others are told 500, 2,000 or 5,000 entries, the reader lists every one."""
    bench.set_up()
    text = "".join(
        f"dn: uid=user{number},ou=people,{bench.suffix}\nobjectClass: inetOrgPerson\n"
        f"cn: User {number}\nsn: User\n\n"
        for number in range(5500)
    )
    assert bench.admin.run("ldapadd", text=text).returncode == OK
    for name in (READER, WRITER):
        with opened(bench, name, operation_timeout_seconds=60) as database:
            assert len(database.list_users()) == 5501


# -- Active Directory: what its schema makes of a group -------------------------------------


@on("ad")
def test_a_present_group_takes_the_class_first_and_the_attributes_second(bench: Bench) -> None:
    """Both in one change are refused (65); without demanding anything the class goes in alone."""
    bench.set_up()
    dn = f"dn: CN=team,CN=Users,{bench.suffix}"
    add_class = ("add: objectClass", "objectClass: remoteAppGrant")
    add_image = ("add: remoteAppImage", f"remoteAppImage: {IMAGE}")
    change = bench.admin.change
    assert change(dn, "changetype: modify", *add_class, "-", *add_image) == 65
    assert change(dn, "changetype: modify", *add_class) == OK
    assert change(dn, "changetype: modify", *add_image) == OK


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


@on("389ds")
def test_the_sample_serves_389_as_it_is(bench: Bench) -> None:
    """Only the suffix is there already; alice sees the eight that its head names."""
    assert bench.load("389ds/schema.ldif") == [OK]
    done = bench.admin.run("ldapadd", "-c", text=ours("sample.ldif", bench.suffix))
    assert done.returncode == EXISTS
    assert done.stderr.count(b"ldap_add: ") == 1
    server = bench.server
    with closing(LDAPDatabase(**server.database_kwargs())) as database:
        held = {
            name: len(database.get_accounting_for_user(database.get_user(user_name=name)))
            for name in ("alice", "bob", "carol")
        }
    assert held == {"alice": 8, "bob": 2, "carol": 0}

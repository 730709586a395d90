"""Processes that run as the user: what each sees and may do, over the server's own socket.

Such a process holds no secret. The server learns from the kernel whose it is (SASL
EXTERNAL over ldapi), and ``per-user.ldif`` lets it see what reaches that user.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from ldapdb import LDAPDatabase, errors
from support import Host
from support.benches import ALICE, LICENCE, READER, WRITER, Bench, fresh, on, opened, posix_lines
from support.hostile import Facts, Secret, ask_with_password, requests, revealing
from support.peers import as_user, need_root, tool_as_user

UIDS = {ALICE: 70001, "bob": 70002}
STRANGER = 70009
PLAIN, LICENSED, OTHER = (f"simphony/{name}:1" for name in ("plain", "licensed", "other"))
BOBS = "27000@bobs.example.org"


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A server with our files and people; users may ask it for what reaches them."""
    with fresh(request.param) as running:
        _fill(running)
        yield running


def _fill(bench: Bench) -> None:
    bench.set_up(besides=("389ds/99remoteapp.ldif", "389ds/indexes.ldif"))
    people = [_person(bench, "bob")] if bench.vendor == "ad" else _posix(bench)
    outer, inner = _group_dn(bench, "outer"), _group_dn(bench, "inner")
    records = [
        *people,
        *(_application(bench, image) for image in (PLAIN, LICENSED, OTHER)),
        _record(bench, inner, f"member: {bench.dn(ALICE)}", f"member: {_dn(bench, 'bob')}"),
        _record(bench, outer, f"member: {inner}"),
        _record(bench, _group_dn(bench, "bobs"), f"member: {_dn(bench, 'bob')}"),
        # Alice has both through two levels of groups, and only she and bob.
        _grant(bench, "by-groups", PLAIN, outer, "remoteAppAllowView: TRUE"),
        _grant(bench, "licensed", LICENSED, outer, f"remoteAppLicense: {LICENCE}"),
        _grant(bench, "bobs-own", OTHER, _dn(bench, "bob"), f"remoteAppLicense: {BOBS}"),
    ]
    for record in records:
        assert bench.admin.change(*record) == 0, record
    with opened(bench, WRITER) as writer:
        # The entry that alice's own grant of this policy would be is bob's, and hidden from her.
        writer.grant_access(PLAIN, "bob", False, True, None)
        writer.grant_access(OTHER, ALICE, True, False, None)
    if bench.vendor != "ad":
        assert bench.load(f"{bench.vendor}/per-user.ldif") == [0]


def _dn(bench: Bench, name: str) -> str:
    return bench.dn(ALICE).replace(ALICE, name)


def _group_dn(bench: Bench, name: str) -> str:
    return f"cn={name},{'CN=Users' if bench.vendor == 'ad' else 'ou=groups'},{bench.suffix}"


def _record(bench: Bench, dn: str, *lines: str) -> list[str]:
    group = "group" if bench.vendor == "ad" else "groupOfNames"
    return [f"dn: {dn}", "changetype: add", f"objectClass: {group}", *lines]


def _application(bench: Bench, image: str) -> list[str]:
    dn = f"cn={image.partition('/')[2]},ou=applications,ou=remoteapp,{bench.suffix}"
    lines = ("objectClass: remoteAppApplication", f"remoteAppImage: {image}")
    return _record(bench, dn, *lines, f"member: {_dn(bench, 'bob')}")


def _grant(bench: Bench, name: str, image: str, member: str, *lines: str) -> list[str]:
    dn = f"cn={name},ou=grants,ou=remoteapp,{bench.suffix}"
    said = ("objectClass: remoteAppGrant", f"remoteAppImage: {image}", f"member: {member}")
    return _record(bench, dn, *said, *lines)


def _person(bench: Bench, name: str) -> list[str]:
    return [
        f"dn: {_dn(bench, name)}",
        "changetype: add",
        "objectClass: user",
        f"sAMAccountName: {name}",
        "userAccountControl: 544",
    ]


def _posix(bench: Bench) -> list[list[str]]:
    """Write what gives both people their numbers on the machine."""
    dn = f"dn: {_dn(bench, 'bob')}"
    bob = [dn, "changetype: add", "objectClass: inetOrgPerson", "cn: Bob", "sn: B"]
    account = [posix_lines(_dn(bench, name), uid) for name, uid in UIDS.items()]
    return [bob, *account]


def _settings(bench: Bench, **more: Any) -> dict[str, Any]:
    return {
        "uri": bench.open_socket(),
        "bind": "external",
        "base_dn": f"ou=remoteapp,{bench.suffix}",
        "users_base": f"ou=people,{bench.suffix}",
        **more,
    }


def _held(database: Any, name: str) -> list[tuple[str, str, Any]]:
    user = database.get_user(user_name=name)
    return [
        (each.id, each.application.image, getattr(each.application_policy, "app_license", None))
        for each in database.get_accounting_for_user(user)
    ]


@on("openldap", "389ds")
def test_a_process_sees_what_reaches_its_user_and_nothing_of_others(
    bench: Bench, host: Host
) -> None:
    """What is his has the ids that the administrators' processes compute, licences and all."""
    need_root()
    with closing(host.database_class(**_reader(bench))) as reader:
        everything = {name: _held(reader, name) for name in UIDS}
        images = [each.image for each in reader.list_applications()]
    assert [len(held) for held in everything.values()] == [3, 3]
    settings = _settings(bench)

    def ask() -> Any:
        with closing(host.database_class(**settings)) as database:
            seen = {name: database.get_user(user_name=name) is not None for name in UIDS}
            (user,) = database.list_users()
            applications = [each.image for each in database.list_applications()]
            return seen, user.name, _held(database, user.name), applications

    for name, uid in UIDS.items():
        seen, who, held, applications = as_user(uid, ask)
        assert seen == {each: each == name for each in UIDS}
        assert (who, held, applications) == (name, everything[name], images)


def _reader(bench: Bench) -> dict[str, Any]:
    account = bench.account(READER)
    given = {"uri": account.uri, "bind_dn": account.dn, "bind_password": account.password}
    return {**given, "base_dn": f"ou=remoteapp,{bench.suffix}"}


@on("openldap", "389ds")
def test_a_process_finds_out_nothing_about_others_by_other_programs(bench: Bench) -> None:
    """Its user may run what he likes: no members, no licences, no names of others; no writes."""
    need_root()
    uri, uid = bench.open_socket(), UIDS[ALICE]

    def read(search_filter: str) -> str:
        arguments = ("-LLL", "-o", "ldif-wrap=no", "-b", bench.suffix, search_filter, "*", "+")
        return tool_as_user(uid, uri, "ldapsearch", *arguments).stdout.decode()

    def write(*lines: str) -> int:
        text = "".join(f"{line}\n" for line in lines)
        return tool_as_user(uid, uri, "ldapmodify", text=text).returncode

    everything = read("(objectClass=*)")
    assert f"remoteAppLicense: {LICENCE}" in everything
    assert "dn: cn=by-groups," in everything
    for hidden in ("uid=bob", "bobs", BOBS, "\nmember:", "userPassword", "remoteapp-reader"):
        assert hidden not in everything, hidden
    for search_filter in (f"(remoteAppLicense={BOBS})", "(uid=bob)", "(cn=bobs)"):
        assert read(search_filter) == "", search_filter
    groups = "dn: cn=inner," in read(f"(member={_dn(bench, 'bob')})")
    assert groups is (bench.vendor == "389ds")  # docs/access.md tells of it
    own = f"dn: cn=by-groups,ou=grants,ou=remoteapp,{bench.suffix}"
    for change in (("add: member", f"member: {bench.dn(ALICE)}"), ("delete: remoteAppAllowView",)):
        assert write(own, "changetype: modify", *change) == 50
    assert write(own, "changetype: delete") == 50
    assert write(*_grant(bench, "new", OTHER, bench.dn(ALICE))) == 50
    number = ("replace: uidNumber", f"uidNumber: {UIDS['bob']}")
    assert write(f"dn: {bench.dn(ALICE)}", "changetype: modify", *number) == 50


@on("openldap", "389ds")
def test_a_licence_stays_hidden_whatever_else_is_open(bench: Bench) -> None:
    need_root()
    if bench.vendor == "389ds":  # OpenLDAP's file replaces all other rules
        rule = '(targetattr="*")(version 3.0; acl "open"; allow (all) userdn="ldap:///anyone";)'
        change = ("changetype: modify", "add: aci", f"aci: {rule}")
        assert bench.admin.change(f"dn: {bench.suffix}", *change) == 0
    try:
        arguments = ("-LLL", "-b", bench.suffix, "(remoteAppLicense=*)", "remoteAppLicense")
        said = tool_as_user(UIDS[ALICE], bench.open_socket(), "ldapsearch", *arguments)
        assert LICENCE.encode() in said.stdout
        assert BOBS.encode() not in said.stdout
    finally:
        if bench.vendor == "389ds":
            change = ("changetype: modify", "delete: aci", f"aci: {rule}")
            assert bench.admin.change(f"dn: {bench.suffix}", *change) == 0


@on("openldap", "389ds")
def test_granting_what_is_in_effect_succeeds_as_the_user(bench: Bench, host: Host) -> None:
    """The host does it for every demo application at every start."""
    need_root()
    with closing(host.database_class(**_reader(bench))) as reader:
        held = {image: identifier for identifier, image, _ in _held(reader, ALICE)}

    def ask(settings: dict[str, Any]) -> Any:
        with closing(host.database_class(**settings)) as database:

            def grant(
                image: str, *, licence: str = "", home: bool = False, view: bool = False
            ) -> str:
                arguments = host.arguments(image, ALICE, home=home, view=view)
                if licence:
                    arguments["app_license"] = licence
                identifier: str = database.grant_access(*arguments.values())
                return identifier

            granted = {PLAIN: grant(PLAIN, view=True), OTHER: grant(OTHER, home=True)}
            if host.has_licence:
                granted[LICENSED] = grant(LICENSED, licence=LICENCE)
            with pytest.raises(errors.AccessDenied):
                grant(OTHER, home=True, view=True)
            with pytest.raises(errors.AccessDenied):
                database.create_application("simphony/new:1")
            return granted

    for settings in (_settings(bench), _settings(bench, read_only=True)):
        granted = as_user(UIDS[ALICE], partial(ask, settings))
        assert granted == {image: held[image] for image in granted}


@on("openldap", "389ds")
def test_somebody_who_is_not_in_the_directory_gets_nothing(bench: Bench) -> None:
    need_root()
    arguments = ("-LLL", "-b", f"ou=grants,ou=remoteapp,{bench.suffix}", "(objectClass=*)", "*")
    said = tool_as_user(STRANGER, bench.open_socket(), "ldapsearch", *arguments).stdout.decode()
    assert "remoteApp" not in said.replace("SimPhoNy-Remote", "")
    assert "uid=" not in said


@on("ad")
def test_a_user_of_active_directory_sees_his_own_without_licences(bench: Bench) -> None:
    """Bound as himself; a grant with a licence has another id then, as docs/access.md says."""
    with opened(bench, READER) as reader, opened(bench, ALICE) as alice:
        by_reader, by_alice = _held(reader, ALICE), _held(alice, ALICE)
        assert [image for _, image, _ in by_alice] == [image for _, image, _ in by_reader]
        same = {image for _, image, _ in set(by_reader) & set(by_alice)}
        ids = {image: identifier for identifier, image, _ in by_alice}
        assert {PLAIN, OTHER} <= same
        assert {identifier for identifier, image, _ in by_reader if image == LICENSED} != {
            ids[LICENSED]
        }
        assert alice.grant_access(PLAIN, ALICE, False, True, None) == ids[PLAIN]
        assert alice.grant_access(OTHER, ALICE, True, False, None) == ids[OTHER]
        with pytest.raises(errors.AccessDenied):
            alice.grant_access(OTHER, ALICE, True, True, None)


@pytest.mark.lengthy
@on("ad")
def test_hostile_requests_reveal_no_licence(bench: Bench) -> None:
    """Samba answers comparisons without a look at rights; they are left out."""
    base = f"OU=remoteapp,{bench.suffix}"
    own = [bench.dn(ALICE), _group_dn(bench, "inner"), f"cn=by-groups,ou=grants,{base}"]
    others = [_dn(bench, "bob"), f"cn=bobs-own,ou=grants,{base}"]
    rules = "1.2.840.113556.1.4.803 1.2.840.113556.1.4.804 1.2.840.113556.1.4.1941 2.5.13.5 "
    facts = Facts(base, own, others, (BOBS, LICENCE, "27", "4711"), rules)
    wanted = requests(facts, seed=20261201, most=40, compares=False)
    secrets = [Secret(others[1], "remoteAppLicense", BOBS, LICENCE)]

    def revealed(name: str) -> Sequence[int]:
        return revealing(bench, secrets, partial(ask_with_password, bench.account(name), wanted))

    assert revealed(ALICE) == []
    assert revealed(READER)


@on("openldap", "389ds")
def test_whoever_loses_his_last_grant_has_none_and_no_error(bench: Bench) -> None:
    """What is left is others', and hidden from him; that is no loss of rights. The last test."""
    need_root()
    settings = _settings(bench, cache_ttl_seconds=0.05)
    grants = f"ou=grants,ou=remoteapp,{bench.suffix}"
    writer = bench.account(WRITER)

    def ask() -> Any:
        with closing(LDAPDatabase(**settings)) as database:
            before = len(_held(database, ALICE))
            for name in ("by-groups", "licensed"):
                assert bench.admin.change(f"dn: cn={name},{grants}", "changetype: delete") == 0
            own = {"uri": writer.uri, "bind_dn": writer.dn, "bind_password": writer.password}
            with closing(LDAPDatabase(**{**settings, "bind": None, **own})) as other:
                other.revoke_access(OTHER, ALICE, True, False, None)
            time.sleep(0.1)
            return before, _held(database, ALICE)

    assert as_user(UIDS[ALICE], ask) == (3, [])

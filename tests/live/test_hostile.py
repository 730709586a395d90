"""Hostile requests: nothing that a user asks makes a server tell what is kept from that user.

Each set of access rules in ``ldif/`` is tried against the promises of docs/access.md. See
``support.hostile`` for how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from support.benches import (
    ALICE,
    LDIF,
    LICENCE,
    OK,
    READER,
    Account,
    Bench,
    fresh,
    on,
    ours,
    posix_lines,
)
from support.hostile import Client, Facts, Secret, ask_with_password, requests, revealing
from support.peers import as_user, need_root

PAGE = LDIF.parent / "docs" / "access.md"
ALICE_UID = 70001
SEED = 20261201
OTHER_LICENCE = "1055@licence.example.net"
GUESSES = (LICENCE, OTHER_LICENCE, "4711", "4712", "Secret-1", "Secret-2")
# Of each kind of request; 389 DS answers about a thousand requests in a second.
MOST = {"openldap": 1200, "389ds": 150}
FEW = 300
# Where a server lists its matching rules, and which it does not list.
RULES = {
    "openldap": (
        "cn=Subschema",
        "dnSuperiorMatch dnSubordinateMatch dnSubtreeMatch dnOneLevelMatch ",
    ),
    "389ds": ("cn=schema", ""),
}

ALL_READ = """(targetattr="*")(version 3.0; acl "all"; allow (all) userdn="ldap:///all";)"""

# The rules of per-user.ldif before 2026-12, of which {5} ran a value as a set.
OLD_RULES = """\
{5}to attrs=member val.regex="^.+$"
  by dn.exact,expand="${v0}" search
  by set.expand="[${v0}]/member* & user" search
  by * none
{6}to dn.children="ou=applications,ou=remoteapp,dc=example,dc=org"
  attrs=entry,objectClass,cn,remoteAppImage,displayName,description,entryUUID
  by users read
  by * none
{7}to filter="(|(objectClass=organizationalUnit)(objectClass=domain)(objectClass=organization))"
  attrs=entry,objectClass,ou,dc,o,description
  by users read
  by * none
{8}to *
  by self read
  by set="this/member* & user" read
  by * none
"""


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A server with our files, and with others' groups and grants."""
    with fresh(request.param) as running:
        running.set_up(besides=("389ds/99remoteapp.ldif", "389ds/indexes.ldif"))
        for record in _contents(running):
            assert running.admin.change(*record) == OK, record
        yield running


def _contents(bench: Bench) -> Iterator[list[str]]:
    suffix, alice = bench.suffix, bench.dn(ALICE)
    for name in ("bob", "carol"):
        yield [
            *(f"dn: uid={name},ou=people,{suffix}", "changetype: add"),
            *("objectClass: inetOrgPerson", f"cn: {name}", "sn: B", f"manager: {alice}"),
        ]
    yield posix_lines(alice, ALICE_UID)
    bob, inner, outer = (
        f"uid=bob,ou=people,{suffix}",
        _group(bench, "inner"),
        _group(bench, "outer"),
    )
    yield _named(inner, "extensibleObject", f"member: {alice}", f"member: {bob}")
    yield _named(outer, "extensibleObject", f"member: {inner}", f"member: {bob}")
    # An owner leads from what others have back to alice: a set that finds it, finds her.
    yield _named(_group(bench, "board"), "extensibleObject", f"member: {bob}", f"owner: {alice}")
    image = "remoteAppImage: simphony/plain:1"
    application = f"cn=plain,ou=applications,ou=remoteapp,{suffix}"
    yield _named(application, "remoteAppApplication", image, f"member: {bob}")
    lines = (image, f"member: {outer}", "objectClass: extensibleObject")
    yield _named(_grant(bench, "hers"), "remoteAppGrant", *lines)
    his = (image, f"member: {bob}", f"owner: {alice}", f"remoteAppLicense: {LICENCE}")
    yield _named(_grant(bench, "his"), "remoteAppGrant", *his)


def _named(dn: str, also: str, *lines: str) -> list[str]:
    classes = ("objectClass: groupOfNames", f"objectClass: {also}")
    return [f"dn: {dn}", "changetype: add", *classes, *lines]


def _group(bench: Bench, name: str) -> str:
    return f"cn={name},ou=groups,{bench.suffix}"


def _grant(bench: Bench, name: str) -> str:
    return f"cn={name},ou=grants,ou=remoteapp,{bench.suffix}"


def _facts(bench: Bench) -> Facts:
    suffix = bench.suffix
    own = (bench.dn(ALICE), _group(bench, "inner"), _group(bench, "outer"), _grant(bench, "hers"))
    others = [f"uid={name},ou=people,{suffix}" for name in ("bob", "carol")]
    others += [_group(bench, "board"), _grant(bench, "his")]
    others += [f"cn=plain,ou=applications,ou=remoteapp,{suffix}"]
    base, unlisted = RULES[bench.vendor]
    listed = bench.admin.read(base, "(objectClass=*)", "matchingRules", scope="base")
    return Facts(suffix, own, others, GUESSES, listed + unlisted)


# -- what is secret -------------------------------------------------------------------------


def _licences(bench: Bench) -> list[Secret]:
    """Return what only the two accounts may know, and a password."""
    bob = f"uid=bob,ou=people,{bench.suffix}"
    return [
        Secret(_grant(bench, "his"), "remoteAppLicense", LICENCE, OTHER_LICENCE),
        Secret(bob, "userPassword", "Secret-1", "Secret-2"),
    ]


def _others(bench: Bench) -> list[Secret]:
    """Return what is kept from a user where processes run as the users: hidden entries."""
    bob, carol = (f"uid={name},ou=people,{bench.suffix}" for name in ("bob", "carol"))
    return [
        *_licences(bench),
        Secret(bob, "employeeNumber", "4711", "4712"),
        Secret(bob, "telephoneNumber", "4711", ""),
        Secret(_group(bench, "board"), "member", bob, carol),
        Secret(_group(bench, "board"), "description", "Secret-1", "Secret-2"),
        Secret(_grant(bench, "his"), "member", bob, carol),
    ]


def _hidden_attributes(bench: Bench) -> list[Secret]:
    """Return what is kept from a user of entries that the user sees.

    Up to 2.3 at least, 389 DS keeps nothing of these from a filter (docs/access.md).
    """
    bob, carol = (f"uid={name},ou=people,{bench.suffix}" for name in ("bob", "carol"))
    inner, alice = _group(bench, "inner"), bench.dn(ALICE)
    application = f"cn=plain,ou=applications,ou=remoteapp,{bench.suffix}"
    named = ("owner", "seeAlso", "roleOccupant", "manager", "secretary", "uniqueMember")
    return [
        *(Secret(_grant(bench, "hers"), name, bob, carol) for name in named),
        Secret(inner, "memberUid", "4711", "4712"),
        Secret(inner, "member", f"{alice}; {bob}", f"{alice}; {carol}"),
        Secret(application, "member", bob, carol),
    ]


# -- who asks -------------------------------------------------------------------------------


def _as_process(bench: Bench, uid: int, wanted: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    uri = bench.open_socket()

    def ask() -> list[tuple[bytes, ...]]:
        client = Client(uri)
        client.log_in_by_socket()
        return client.ask(wanted)

    found: list[tuple[bytes, ...]] = as_user(uid, ask)
    return found


def _revealed(bench: Bench, secrets: Sequence[Secret], *, most: int) -> list[bytes]:
    wanted = requests(_facts(bench), seed=SEED, most=most)
    places = revealing(bench, secrets, lambda: _as_process(bench, ALICE_UID, wanted))
    return [wanted[place] for place in places]


def _revealed_to(bench: Bench, secrets: Sequence[Secret], who: Account) -> list[bytes]:
    wanted = requests(_facts(bench), seed=SEED, most=60)
    places = revealing(bench, secrets, lambda: ask_with_password(who, wanted))
    return [wanted[place] for place in places]


# -- tests ----------------------------------------------------------------------------------


@pytest.mark.lengthy
@on("openldap", "389ds")
def test_process_learns_nothing_of_others(bench: Bench) -> None:
    """With per-user.ldif, no request makes the server tell what others have."""
    need_root()
    assert bench.load(f"{bench.vendor}/per-user.ldif") == [OK]
    secrets = _others(bench) + (_hidden_attributes(bench) if bench.vendor == "openldap" else [])
    assert _revealed(bench, secrets, most=MOST[bench.vendor]) == []
    assert _revealed_to(bench, secrets, Account(bench.server.uri)) == []
    # The requests are about the secrets: an account that may read them gets other answers.
    assert len(_revealed_to(bench, secrets, bench.account(READER))) >= 5


@pytest.mark.lengthy
@on("openldap", "389ds")
def test_user_learns_no_licence(bench: Bench) -> None:
    """With access.ldif, and where all users read all else, no request reveals a licence."""
    if bench.vendor == "389ds":  # where OpenLDAP's file lets all users read
        change = ("changetype: modify", "add: aci", f"aci: {ALL_READ}")
        assert bench.admin.change(f"dn: {bench.suffix}", *change) == OK
    secrets = _licences(bench)[:1]
    assert _revealed_to(bench, secrets, bench.account(ALICE)) == []
    assert _revealed_to(bench, secrets, bench.account(READER))


@pytest.mark.lengthy
@on("openldap")
def test_old_rules_are_replaced(bench: Bench) -> None:
    """The requests find the weakness of the first per-user.ldif; loading the file ends it.

    So does the search of docs/access.md for the old rules.
    """
    need_root()
    [looked_for] = re.findall(r"grep -F '(.*)'", PAGE.read_text(encoding="utf-8"))
    assert bench.load("openldap/per-user.ldif") == [OK]
    _set_old_rules(bench)
    secrets = [*_others(bench), *_hidden_attributes(bench)]
    assert looked_for in bench.state()
    for some in (_others(bench), _hidden_attributes(bench)):
        assert len(_revealed(bench, some, most=FEW)) >= 5
    assert bench.load("openldap/per-user.ldif") == [20]
    assert looked_for not in bench.state()
    assert _revealed(bench, secrets, most=FEW) == []


def _set_old_rules(bench: Any) -> None:
    kept = re.findall(
        r"^olcAccess: (\{[0-4]\}.*\n(?:  .*\n)*)",
        ours("openldap/per-user.ldif", bench.suffix),
        re.MULTILINE,
    )
    old = re.split(
        r"^(?=\{)", OLD_RULES.replace("dc=example,dc=org", bench.suffix), flags=re.MULTILINE
    )
    rules = "".join(f"olcAccess: {each}" for each in (*kept, *filter(None, old)))
    record = f"dn: olcDatabase={{1}}mdb,cn=config\nchangetype: modify\nreplace: olcAccess\n{rules}"
    assert bench.as_root("ldapmodify", text=record).returncode == OK

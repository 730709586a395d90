"""``ldapdb whatif``: what it says is what an LDIF brings about, once it is applied."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ldapdb import errors
from ldapdb.cli import run
from ldapdb.embedded import SUFFIX
from ldapdb.model import Window
from ldapdb.protocol import ldif
from ldapdb.store import Store
from ldapdb.store.effects import Effect, Effects, effects_of
from ldapdb.store.planning import PlannedStore
from ldapdb.syntaxes import parse_time
from support import Directory

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE, OTHER, THIRD = "simphony/mayavi:0.5", "simphony/other:1", "simphony/third:1"
EXAMPLES = 15


def told(directory: Directory, text: str, **settings: Any) -> Effects:
    return effects_of(directory.settings(**settings), ldif.parse(text.encode()))


def said(found: Iterable[Effect]) -> set[tuple[str, ...]]:
    # Somebody of several names may be told by any of them.
    return {(each.kind, str(each.user.dn), each.image, str(each.policy)) for each in found}


def held(directory: Directory) -> dict[str, tuple[str, str, str]]:
    """Look up what everybody may start who logs in: DN, image and policy, by mapping id."""
    found = {}
    with closing(Store(directory.settings())) as store:
        # Some may log in by a further name alone.
        names = {"alice", "bob", "eve", "new", "zoe"} | {each.name for each in store.list_users()}
        for name in names:
            try:
                user = store.get_user(name)
            except errors.AmbiguousName:
                continue
            if user is not None:
                for each in store.list_accountings(user):
                    policy = str(each.application_policy)
                    found[each.id] = str(user.dn), each.application.image, policy
    return found


def difference(
    before: dict[str, tuple[str, str, str]], after: dict[str, tuple[str, str, str]]
) -> set[tuple[str, ...]]:
    lost = {("revoked", *before[each]) for each in before.keys() - after.keys()}
    return lost | {("granted", *after[each]) for each in after.keys() - before.keys()}


def company(directory: Directory) -> dict[str, str]:
    """Put in people, groups in groups, and grants."""
    dns = {name: directory.person(name) for name in ("alice", "bob", "carol", "dave")}
    dns["carol again"] = as_entry(directory, "carol")
    dns["inner"] = directory.group("inner", dns["alice"], dns["bob"])
    dns["dept"] = directory.unit("dept", directory.groups_base)
    dns["outer"] = directory.group("outer", dns["inner"], parent=dns["dept"])
    dns["team"] = directory.group("team", dns["carol"])
    for image in (IMAGE, OTHER):
        dns[image] = directory.application(image)
    dns["nested"] = directory.granted("nested", images=[IMAGE], members=[dns["outer"]])
    dns["both"] = directory.granted(
        "both", images=[IMAGE, OTHER], members=[dns["carol"], dns["team"]], home="TRUE"
    )
    return dns


def record(dn: str, *lines: str) -> str:
    return "".join(f"{line}\n" for line in (f"dn: {dn}", *lines, ""))


def modify(dn: str, *lines: str) -> str:
    return record(dn, "changetype: modify", *lines)


def as_entry(directory: Directory, name: str) -> str:
    """Write a person as an export has him, without what only the directory can give him."""
    dn = directory.dn_of(name)
    entry = directory.entries()[dn.lower()]
    entry["samaccountname"] = frozenset({name.encode()} if directory.vendor == "ad" else ())
    wanted = ("objectclass", "cn", "sn", "uid", "samaccountname", "useraccountcontrol")
    values = [(each, value.decode()) for each in wanted for value in sorted(entry.get(each, ()))]
    return record(dn, "changetype: add", *(f"{each}: {value}" for each, value in values))


def scenarios(dns: dict[str, str]) -> dict[str, str]:
    """Write changes of every kind."""
    dave, bob = f"member: {dns['dave']}", f"member: {dns['bob']}"
    return {
        "a member joins": modify(dns["inner"], "add: member", dave, "-"),
        "a member leaves": modify(dns["inner"], "delete: member", bob, "-"),
        "a group leaves": modify(dns["outer"], "replace: member", dave, "-"),
        "an application goes": record(dns[OTHER], "changetype: delete"),
        "a grant goes": record(dns["nested"], "changetype: delete"),
        "a group goes": record(dns["inner"], "changetype: delete"),
        "a user goes": record(dns["carol"], "changetype: delete"),
        "a user goes and comes again": record(dns["carol"], "changetype: delete")
        + dns["carol again"],
        "a group is renamed": record(
            dns["team"], "changetype: modrdn", "newrdn: cn=crew", "deleteoldrdn: 1"
        ),
        "a branch is renamed": record(
            dns["dept"], "changetype: modrdn", "newrdn: ou=division", "deleteoldrdn: 1"
        ),
        "a group is moved": record(
            dns["team"],
            "changetype: moddn",
            "newrdn: cn=team",
            "deleteoldrdn: 1",
            f"newsuperior: {dns['dept']}",
        ),
    }


@pytest.mark.slow
@pytest.mark.live(
    "openldap", "389ds", "ad", reason="how grants are written is no matter of who is in what"
)
@pytest.mark.parametrize("what", scenarios(defaultdict(str)))
def test_what_is_told_comes_about(directory: Directory, what: str) -> None:
    """By everybody's rights before and after the LDIF is applied with ldapmodify."""
    text = scenarios(company(directory))[what]
    before = directory.entries()
    found = told(directory, text)
    assert directory.entries() == before
    had = held(directory)
    directory.server.ldapmodify(text)
    assert difference(had, held(directory)) == said(found.effects)


# --- at random

PEOPLE = [f"uid={name},ou=people,{SUFFIX}" for name in ("alice", "bob", "carol", "dave", "eve")]
GROUPS = [f"cn=inner,ou=groups,{SUFFIX}", f"cn=team,ou=groups,{SUFFIX}"]
GROUPS += [f"cn=outer,ou=dept,ou=groups,{SUFFIX}", f"cn=new,ou=groups,{SUFFIX}"]
GRANTS = [f"cn={name},ou=grants,ou=remoteapp,{SUFFIX}" for name in ("nested", "both", "new")]
APPLICATIONS = [
    f"cn={name},ou=applications,ou=remoteapp,{SUFFIX}" for name in (IMAGE, OTHER, THIRD)
]
HOLDERS = GROUPS + GRANTS
IMAGES = st.sampled_from([IMAGE, OTHER, THIRD])
MEMBERS = st.lists(st.sampled_from(PEOPLE + HOLDERS), min_size=1, max_size=2, unique=True)


def new_person(dn: str, name: str) -> str:
    names = dict.fromkeys((name, dn.partition(",")[0][4:]))
    lines = ["objectClass: inetOrgPerson", "cn: x", "sn: x", *(f"uid: {each}" for each in names)]
    return record(dn, "changetype: add", *lines)


def new_holder(dn: str, role: str, image: str, members: list[str]) -> str:
    lines = ["changetype: add", *(f"member: {each}" for each in members)]
    if not role:
        return record(dn, *lines, "objectClass: groupOfNames")
    classes = ["objectClass: remoteAppGroup", f"objectClass: {role}"]
    return record(dn, *lines, *classes, f"remoteAppImage: {image}")


def step(how: str, attribute: str, values: Iterable[str]) -> list[str]:
    return [f"{how}: {attribute}", *(f"{attribute}: {each}" for each in values), "-"]


def other_class(dn: str, how: str, role: str, image: list[str]) -> str:
    image_too = step(how, "remoteAppImage", image) if image or how == "delete" else []
    return modify(dn, *step(how, "objectClass", [role]), *image_too)


def new_name(dn: str, name: str, deletes: int, above: str) -> str:
    rdn = f"{dn.partition('=')[0]}={name or dn.partition(',')[0].partition('=')[2]}"
    lines = ["changetype: modrdn", f"newrdn: {rdn}", f"deleteoldrdn: {deletes}"]
    return record(dn, *lines, *([f"newsuperior: {above}"] if above else []))


POLICIES = [
    ("remoteAppAllowHome", ["TRUE"]),
    ("remoteAppAllowHome", []),
    ("remoteAppImage", [THIRD]),
    ("remoteAppImage", [IMAGE, OTHER]),
    ("remoteAppNotAfter", ["20200102030405.0Z"]),
    ("remoteAppNotAfter", ["20990102030405.0Z"]),
    ("remoteAppNotBefore", ["20990102030405.0Z"]),
]
any_of = st.sampled_from
HOW = any_of(["add", "delete", "replace"])
ROLE = any_of(["remoteAppGrant", "remoteAppApplication"])
DEPT = f"ou=dept,ou=groups,{SUFFIX}"
EVERYTHING = [*PEOPLE, *HOLDERS, *APPLICATIONS, DEPT]
MEMBERSHIP = st.builds(
    lambda dn, how, members: modify(dn, *step(how, "member", members)),
    any_of(HOLDERS), HOW, MEMBERS,
)  # fmt: skip
CHANGES = (
    MEMBERSHIP
    | MEMBERSHIP
    | st.builds(new_person, any_of(PEOPLE), any_of(["alice", "bob", "eve", "Eve"]))
    | st.builds(new_holder, any_of(GROUPS), st.just(""), IMAGES, MEMBERS)
    | st.builds(new_holder, any_of(GRANTS + APPLICATIONS), ROLE, IMAGES, MEMBERS)
    | st.builds(
        lambda dn, said: modify(dn, *step("replace", *said)), any_of(GRANTS), any_of(POLICIES)
    )
    | st.builds(other_class, any_of(HOLDERS + APPLICATIONS), any_of(["add", "delete"]), ROLE,
                st.lists(IMAGES, max_size=1))
    | st.builds(
        lambda dn, how, name: modify(dn, *step(how, "uid", [name])),
        any_of(PEOPLE), HOW, any_of(["alice", "bob", "zoe"]),
    )
    | any_of(EVERYTHING).map(lambda dn: record(dn, "changetype: delete"))
    | st.builds(new_name, any_of(EVERYTHING), any_of(["", "new", "eve", "team"]),
                st.integers(0, 1), any_of(["", "", DEPT, f"ou=groups,{SUFFIX}"]))
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.live(
    "openldap", reason="what random changes do to entries is told by the same code everywhere"
)
def test_random_changes_bring_about_what_is_told(directory: Directory) -> None:
    """Whether each fits the directory, and what all that do bring about, applied in reality."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
    )
    @given(st.lists(CHANGES, min_size=1, max_size=6))
    def hold(drawn: list[str]) -> None:
        directory.clear()
        company(directory)
        fitting, fits = [], []
        with closing(PlannedStore(directory.settings())) as store:
            for text in drawn:
                [(_, change)] = ldif.parse(text.encode())
                try:
                    store.apply(change)
                except errors.LDAPDBError:
                    fits.append(False)
                else:
                    fits.append(True)
                    fitting.append(text)
        found = told(directory, "".join(fitting))
        had = held(directory)
        assert [applies(directory, text) for text in drawn] == fits
        now = {each for each in said(found.effects) if each[0] != "changed"}
        assert difference(had, held(directory)) == now

    hold()


def applies(directory: Directory, text: str) -> bool:
    try:
        directory.server.ldapmodify(text)
    except errors.LDAPDBError:
        return False
    return True


# --- what else there is to say

on_one = pytest.mark.live("openldap", reason="how it is said is no matter of the directory")
with_schema = pytest.mark.live(
    "openldap", "389ds", "ad", reason="what a line of description says is read by the same code"
)


@with_schema
def test_a_time_limit_is_told_though_nobody_loses_anything_now(directory: Directory) -> None:
    grant = company(directory)["nested"]
    limit = "20990102030405.0Z"
    found = told(
        directory, modify(grant, "add: remoteAppNotAfter", f"remoteAppNotAfter: {limit}", "-")
    )
    assert [(each.kind, each.user.name) for each in found.effects] == [
        ("changed", "alice"),
        ("changed", "bob"),
    ]
    [after] = found.effects[0].after
    assert found.effects[0].before == (Window(),)
    assert after.not_after == float(parse_time(limit))


def test_a_new_user_is_told_with_what_his_groups_have(directory: Directory) -> None:
    """His id is not known yet, nor what labels his containers."""
    dns = company(directory)
    eve = directory.person("eve")
    entry = as_entry(directory, "eve")
    directory.delete(eve)
    text = entry + modify(dns["inner"], "add: member", f"member: {eve}", "-")
    [effect] = told(directory, text).effects
    assert (effect.kind, effect.user.name, effect.image) == ("granted", "eve", IMAGE)
    assert effect.mapping_id is None


@pytest.mark.live("ad", stock=True, reason="the others have another way of disabling somebody")
def test_who_is_disabled_loses_everything(directory: Directory) -> None:
    """By the bits of a number, told here for the value that it is to have."""
    dns = company(directory)
    text = modify(dns["alice"], "replace: userAccountControl", "userAccountControl: 546", "-")
    assert {(each.kind, each.user.name) for each in told(directory, text).effects} == {
        ("revoked", "alice")
    }


@pytest.mark.live("openldap", "389ds", reason="Active Directory's groups do not name users so")
def test_members_by_their_login_names_are_told(directory: Directory) -> None:
    """Also through a group that has the group of login names as a member."""
    dns = company(directory)
    posix = f"cn=posix,{directory.groups_base}"
    lines = ["objectClass: posixGroup", "cn: posix", "gidNumber: 5000", "memberUid: alice"]
    directory.add(record(posix, *lines))
    directory.add_members(dns["both"], posix)
    text = modify(posix, "add: memberUid", "memberUid: dave", "-")
    found = told(directory, text, group_member_attribute="memberUid")
    assert {(each.kind, each.user.name, each.image) for each in found.effects} == {
        ("granted", "dave", IMAGE),
        ("granted", "dave", OTHER),
    }
    assert found.looked_at == 1


@pytest.mark.live("openldap", "389ds", stock=True, reason="Active Directory has no two of a name")
def test_somebody_of_the_same_name_keeps_both_out(directory: Directory) -> None:
    dns = company(directory)
    other = dns["alice"].replace("uid=alice", "uid=other")
    lines = ["objectClass: inetOrgPerson", "cn: x", "sn: x", "uid: other", "uid: alice"]
    found = told(directory, record(other, *lines))
    assert {(each.kind, each.user.name) for each in found.effects} == {("revoked", "alice")}
    [note] = found.notes
    assert "2 entries" in note


@pytest.mark.live("ad", reason="the others know memberOf by a plug-in alone")
def test_a_filter_on_what_the_directory_makes_itself_is_a_doubt(directory: Directory) -> None:
    dns = company(directory)
    text = modify(dns["inner"], "delete: member", f"member: {dns['bob']}", "-")
    wanted = f"(&(objectClass=user)(memberOf={dns['inner']}))"
    found = told(directory, text, users_filter=wanted)
    assert any("memberOf" in each for each in found.doubts)
    assert not told(directory, text).doubts


@on_one
def test_what_only_the_directory_can_tell_is_no_answer(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The exit code is that of a question that was not answered."""
    dns = company(directory)
    for name, value in directory.database_kwargs().items():
        monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))
    monkeypatch.setenv("LDAPDB_USERS_FILTER", "(&(objectClass=person)(sn~=alice))")
    file = tmp_path / "change.ldif"
    file.write_text(modify(dns["alice"], "replace: sn", "sn: alize", "-"), encoding="utf-8")
    assert run(["whatif", str(file)]) == 2
    printed = capsys.readouterr()
    assert "revoked alice" in printed.out
    assert "only the directory can tell" in printed.err


@pytest.mark.live("openldap", "389ds", reason="Active Directory keeps members in step itself")
def test_whether_groups_name_still_what_goes_and_comes_again_is_a_doubt(
    directory: Directory,
) -> None:
    dns = company(directory)
    found = told(directory, record(dns["carol"], "changetype: delete") + dns["carol again"])
    assert any("goes and comes again" in each for each in found.doubts)
    assert not told(directory, record(dns["carol"], "changetype: delete")).doubts


@on_one
def test_a_member_with_an_option_is_one(directory: Directory) -> None:
    """A search for the attribute finds it, and so whoever is told is told of it."""
    dns = company(directory)
    text = modify(dns["team"], "add: member;lang-en", f"member;lang-en: {dns['dave']}", "-")
    assert {each.user.name for each in told(directory, text).effects} == {"dave"}
    directory.server.ldapmodify(text)
    with closing(Store(directory.settings())) as store:
        assert "dave" in {each.user.name for each in store.who(OTHER).holders}


@on_one
def test_the_command_prints_what_changes_and_ends_with_a_code(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    dns = company(directory)
    secret = directory.granted("k", images=[OTHER], members=[dns["team"]], licence="the key")
    for name, value in directory.database_kwargs().items():
        monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))
    file = tmp_path / "change.ldif"

    def whatif(text: str, *options: str) -> tuple[int, str, str]:
        file.write_text(text, encoding="utf-8")
        code = run(["whatif", str(file), *options])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    dave = modify(dns["team"], "add: member", f"member: {dns['dave']}", "-")
    code, out, err = whatif(dave)
    assert code == 0
    assert out.splitlines() == [
        f"granted dave {IMAGE} ({dns['both']})",
        f"granted dave {OTHER} ({dns['both']})",
        f"granted dave {OTHER} ({secret})",
    ]
    assert "3 granted, 0 revoked, 0 changed; 1 user looked at; nothing was changed" in err
    code, out, err = whatif(dave, "--json")
    assert "the key" not in out + err
    assert [each["change"] for each in json.loads(out)["effects"]] == ["granted"] * 3
    code, out, err = whatif(dave, "--csv", "--no-decoration")
    assert out.splitlines()[0] == f'granted,dave,{IMAGE},,always,"{dns["both"]}"'
    code, out, err = whatif(modify(dns["alice"], "replace: sn", "sn: other", "-"))
    assert (code, out) == (1, "")
    for text, why in (
        ("dn: cn=a\nchangetype: modify\nreplace member\n", "line 3: it is not of the form"),
        (dave + dave, "line 7: the change does not fit the directory"),
        (record("cn=nobody,dc=example,dc=org", "changetype: delete"), "no such entry"),
    ):
        code, out, err = whatif(text)
        assert (code, out) == (2, "")
        assert why in err
        assert err.count("\n") == 1
    monkeypatch.setenv("LDAPDB_URI", "ldap://127.0.0.1:9")
    assert whatif(dave)[0] == 3
    assert run(["whatif", str(tmp_path / "absent.ldif")]) == 2


@pytest.mark.live(
    "openldap", "389ds", stock=True, reason="Active Directory keeps no member that is no entry"
)
def test_a_member_that_is_no_entry_is_told(directory: Directory) -> None:
    """By a slip somebody is let in who is not there; who is there already is no news."""
    dns = company(directory)
    absent = directory.dn_of("carrol")
    text = modify(dns["nested"], "add: member", f"member: {absent}", f"member: {dns['dave']}", "-")
    found = told(directory, text)
    assert [each.user.name for each in found.effects] == ["dave"]
    [note] = found.notes
    assert absent in note
    assert "no such entry" in note


@pytest.mark.live(
    "openldap", "389ds", "ad", reason="without our schema there are no such attributes"
)
@pytest.mark.parametrize(
    "line", ["remoteAppAllowView: true", "remoteAppNotAfter: tomorrow", "remoteAppAllowVieww: TRUE"]
)
def test_what_a_server_refuses_of_our_attributes_is_refused(
    directory: Directory, line: str
) -> None:
    """As by ldapmodify, with the line: nobody loses or gains anything by it."""
    text = modify(company(directory)["nested"], f"add: {line.partition(':')[0]}", line, "-")
    with pytest.raises(errors.LDAPDBError, match=r"line 1: .*remoteApp"):
        told(directory, text)
    with pytest.raises(errors.LDAPDBError):
        directory.server.ldapmodify(text)

"""Accounts that are locked or have expired: who has no rights, since when, and why.

The clock is given, so that no test waits for an account to end.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ldapdb import errors, vendors
from ldapdb.accounts import AccountForm, AccountRule
from ldapdb.model import Policy, Window
from ldapdb.protocol import ldif
from ldapdb.protocol.dn import DN
from ldapdb.store import Store
from ldapdb.store.effects import effects_of
from ldapdb.store.linting import Linting
from ldapdb.store.rights import Rights
from support import Directory
from support.openldap import PPOLICY

pytestmark = pytest.mark.live(
    "openldap", "389ds", "ad", reason="how grants are written is no matter of who is in what"
)

IMAGE = "simphony/mayavi:0.5"
NOW = 1_900_000_000.0  # 2030-03-17 17:46:40 UTC
BEFORE, AT, AFTER = "20200101000000Z", "20300317174641Z", "20400101000000Z"
_EPOCH_1601 = 11_644_473_600

# What an account is given: ended, and not ended.
ENDED = {
    AccountForm.FLAG: "TRUE",
    AccountForm.LOCKED_TIME: "000001010000Z",
    AccountForm.DISABLE_BIT: "546",
    AccountForm.START: AFTER,
    AccountForm.END: BEFORE,
    AccountForm.KERBEROS_END: BEFORE,
    AccountForm.FILETIME_END: str((1_600_000_000 + _EPOCH_1601) * 10_000_000),
    AccountForm.LAST_DAYS: "18262",
}
NOT_ENDED = {
    AccountForm.FLAG: ["FALSE"],
    AccountForm.LOCKED_TIME: [BEFORE],
    AccountForm.DISABLE_BIT: ["544"],
    AccountForm.START: [BEFORE],
    AccountForm.END: [AFTER],
    AccountForm.KERBEROS_END: [AFTER, "19700101000000Z"],
    AccountForm.FILETIME_END: ["0", str((1_950_000_000 + _EPOCH_1601) * 10_000_000)],
    AccountForm.LAST_DAYS: ["-1", "30000"],
}
# A second after NOW, and the day after.
ENDING = {
    AccountForm.END: AT,
    AccountForm.KERBEROS_END: AT,
    AccountForm.FILETIME_END: str((1_900_000_001 + _EPOCH_1601) * 10_000_000),
    AccountForm.LAST_DAYS: "21991",
}
LATER = NOW + 86_400

# Attributes that no server of ours has: eDirectory's, and those of an MIT KDC and FreeIPA.
_TYPES = tuple(
    f"( 1.3.6.1.4.1.8000.2554.9.{number} NAME '{name}' EQUALITY {rule} "
    f"SYNTAX 1.3.6.1.4.1.1466.115.121.1.{syntax} SINGLE-VALUE )"
    for number, (name, rule, syntax) in enumerate(
        [
            ("loginDisabled", "booleanMatch", 7),
            ("krbPrincipalExpiration", "generalizedTimeMatch", 24),
            ("nsAccountLock", "caseIgnoreMatch", 15),
        ]
    )
)
_CLASS = (
    "( 1.3.6.1.4.1.8000.2554.9.9 NAME 'foreignAccount' AUXILIARY "
    "MAY ( loginDisabled $ krbPrincipalExpiration{} ) )"
)


def rules(directory: Directory) -> tuple[AccountRule, ...]:
    [vendor] = [each for each in vendors.VENDORS if each.name == directory.vendor]
    return vendor.account_rules


def shadow(directory: Directory) -> AccountRule:
    """Return the rule of the attribute that every server has."""
    return next(each for each in rules(directory) if each.attribute == "shadowExpire")


def load_schema(directory: Directory) -> None:
    """Load what accounts of other systems have."""
    server: Any = directory.server
    if directory.vendor == "openldap":
        types = [f"olcAttributeTypes: {each}\n" for each in _TYPES]
        classes = f"olcObjectClasses: {_CLASS.format(' $ nsAccountLock')}\n"
        schema = "dn: cn=foreign,cn=schema,cn=config\nobjectClass: olcSchemaConfig\n"
        schema = f"{schema}cn: foreign\n{''.join(types)}{classes}"
        for text, options in ((PPOLICY, ()), (schema, ("-a",))):
            command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", server.socket_uri]
            done = subprocess.run(
                [*command, *options], input=text, text=True, capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr
    elif directory.vendor == "389ds":
        added = "".join(f"add: attributeTypes\nattributeTypes: {each}\n-\n" for each in _TYPES[:2])
        added += f"add: objectClasses\nobjectClasses: {_CLASS.format('')}\n"
        server.ldapmodify(f"dn: cn=schema\nchangetype: modify\n{added}")


@pytest.fixture
def company(request: pytest.FixtureRequest, directory: Directory) -> Iterator[Directory]:
    """A directory whose schema has all attributes of its vendor's record."""
    if directory.vendor != "openldap":
        if directory.vendor == "389ds" and not request.session.stash.get(_LOADED, False):
            load_schema(directory)
            request.session.stash[_LOADED] = True
        yield directory
    else:
        another = request.getfixturevalue("another_directory")
        with another() as running:
            load_schema(running)
            yield running


_LOADED = pytest.StashKey[bool]()


def person(directory: Directory, name: str, rule: AccountRule, value: str) -> str:
    """Add a person with one attribute that may end the account."""
    classes = {
        "shadowExpire": "shadowAccount",
        "krbPrincipalExpiration": "foreignAccount",
        "loginDisabled": "foreignAccount",
        "nsAccountLock": "foreignAccount",
    }
    is_operational = rule.attribute.startswith("pwd")
    attributes: dict[str, list[str]] = {} if is_operational else {rule.attribute: [value]}
    own = directory._person(name)["objectClass"]
    wanted = classes.get(rule.attribute)
    if directory.vendor != "ad" and wanted and (directory.vendor, rule.attribute) != (
        "389ds", "nsAccountLock",
    ):  # fmt: skip
        attributes["objectClass"] = [*own, wanted]
    dn = directory.person(name, attributes=attributes)
    if is_operational:
        directory.change(dn, f"add: {rule.attribute}", f"{rule.attribute}: {value}")
    return dn


@contextmanager
def opened(directory: Directory, now: list[float], **settings: Any) -> Iterator[Store]:
    made = directory.settings(**settings)
    with closing(Store(made, clock=lambda: now[0])) as store:
        yield store


def granted(directory: Directory, *members: str) -> None:
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=members)


def test_each_rule_ends_a_user(company: Directory) -> None:
    """Whatever users_filter says; a value that ends nothing changes nothing."""
    ended = {
        f"out{number}": (rule, person(company, f"out{number}", rule, ENDED[rule.form]))
        for number, rule in enumerate(rules(company))
    }
    current = {
        f"in{number}-{place}": person(company, f"in{number}-{place}", rule, value)
        for number, rule in enumerate(rules(company))
        for place, value in enumerate(NOT_ENDED[rule.form])
    }
    granted(company, *(dn for _, dn in ended.values()), *current.values())
    for settings in ({}, {"users_filter": "(objectClass=person)"}):
        with opened(company, [NOW], **settings) as store:
            assert [each.name for each in store.list_users()] == sorted(current)
            for name in (*ended, *current):
                user = store.get_user(name)
                assert (user is None) is (name in ended), name
                found = store.explain(name)
                assert found.is_allowed is (name in current), name
                assert len(found.rights) == 1
            holders = {each.user.name: each for each in store.who(IMAGE).holders}
            review = {each.user.name: each for each in store.review().people}
            assert set(holders) == set(review) == {*ended, *current}
            for name, (rule, dn) in ended.items():
                [reason] = [r for r in store.explain(name).reasons if r.kind == "locked"]
                assert f"({rule.attribute})" in reason.text
                assert DN.parse(reason.dn or "") == DN.parse(dn)
                assert rule.attribute in holders[name].obstacle
                assert not holders[name].holds
                assert rule.attribute in review[name].obstacle
                with pytest.raises(errors.NotFound, match=rf"has no rights: .*{rule.attribute}"):
                    store.grant(IMAGE, name, Policy())
                with pytest.raises(errors.NotFound, match="has no rights"):
                    store.grant_several([IMAGE], Policy(), users=[name])
            assert all(each.holds for name, each in holders.items() if name in current)
            names = dict(store.find_users([*ended, *current, "nobody"]))
            assert names["nobody"] is None
            assert all(isinstance(names[name], errors.NotFound) for name in ended)
            assert not any(isinstance(names[name], errors.NotFound) for name in current)


def test_accounts_end_while_cached(company: Directory) -> None:
    """At that moment, and without a question to the server."""
    ending = {
        f"out{number}": (rule, person(company, f"out{number}", rule, ENDING[rule.form]))
        for number, rule in enumerate(rules(company))
        if rule.form in ENDING
    }
    granted(company, *(dn for _, dn in ending.values()))
    now = [NOW]
    with opened(company, now, counted=True) as store:
        users = {name: store.get_user(name) for name in ending}
        rights = Rights(store)
        gained = [each.user.name for changes in rights.look() for each in changes]
        assert sorted(gained) == sorted(ending)
        for user in users.values():
            assert user is not None
            assert store.get_user_by_id(user.id) == user  # a search of its own
            assert store.list_accountings(user)
        now[0] = LATER
        with company.operations() as seen:
            for name, user in users.items():
                assert user is not None
                assert store.get_user(name) is None
                assert store.get_user_by_id(user.id) is None
                assert store.refresh_user(user) is None
                assert store.list_accountings(user) == []
                assert store.known_accountings(user) == []
                assert store.list_entitlements(user) == []
        assert seen == []
        assert store.list_users() == []
        lost = [each for changes in rights.look() for each in changes]
        assert sorted(each.user.name for each in lost) == sorted(ending)
        assert not any(each.gained for each in lost)


def test_accounts_end_in_a_watched_list(directory: Directory) -> None:
    """The list of all users that is kept up to date is no other answer."""
    rule = shadow(directory)
    person(directory, "alice", rule, ENDING[rule.form])
    now = [NOW]
    with opened(directory, now) as store:
        assert [each.name for each in store.list_users()] == ["alice"]
        held = store._caches.user_list
        held.refresh(store._user_reader(store.deadline()))
        store._watching.server = lambda: "seen"  # type: ignore[method-assign]  # as if it were live
        assert [each.name for each in store.list_users()] == ["alice"]
        now[0] = LATER
        assert store.list_users() == []


def test_rights_of_ended_users_are_revoked(company: Directory) -> None:
    """By name, and by a mapping id that this process has handed out or has not."""
    given = [
        (rule, person(company, f"out{number}", rule, ENDED[rule.form]))
        for number, rule in enumerate(rules(company))
    ]
    granted(company, *(dn for _, dn in given))
    for number, (rule, _) in enumerate(given):
        name, now = f"out{number}", [0.0]
        with opened(company, now) as store:
            user = store.get_user(name)
            handed_out = store.list_accountings(user) if user is not None else []
            assert bool(handed_out) is (rule.form in ENDING)
            now[0] = NOW
            [right] = store.explain(name).rights
            if number % 2 == 0 or handed_out:
                [done] = store.revoke_by_id(right.accounting.id)
            else:
                done = store.revoke(IMAGE, name, Policy())
            assert done.member.name == name
            assert store.explain(name).rights == (), rule
    company.add_members(f"cn=staff,ou=grants,{company.base_dn}", *(dn for _, dn in given))
    with opened(company, [NOW]) as store:
        names = [f"out{number}" for number in range(len(given))]
        revoked = store.revoke_several([IMAGE], None, users=names)
        assert [each.member.name for each in revoked] == names
        assert all(each.policies for each in revoked)


def test_lint_lists_rights_of_ended_users(company: Directory) -> None:
    rule = shadow(company)
    leaver = person(company, "leaver", rule, "18262")
    granted(company, leaver, company.person("alice"))
    with closing(Linting(company.settings(), clock=lambda: NOW)) as linting:
        [found] = [each for each in linting.lint() if each.kind == "ended"]
    assert "expired on 2020-01-01 00:00:00 UTC (shadowExpire)" in found.text
    assert leaver.lower() in found.text.lower()
    assert "ldapdb app revoke" in found.text


def test_commands_explain_ended_accounts(
    directory: Directory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``user show``, ``app revoke``, ``app grant``, ``explain``, ``import`` and ``whatif``."""
    from ldapdb.cli import run

    rule = shadow(directory)
    leaver = person(directory, "leaver", rule, "18262")
    directory.person("leaver1")
    granted(directory, leaver)
    for name, value in directory.database_kwargs().items():
        if value:
            monkeypatch.setenv(f"LDAPDB_{name.upper()}", value)

    def said(*arguments: str) -> tuple[int, str]:
        code = run(arguments)
        out, err = capsys.readouterr()
        return code, out + err

    why = "has no rights: expired on 2020-01-01 00:00:00 UTC (shadowExpire)"
    for command in (["user", "show", "leaver"], ["app", "grant", IMAGE, "leaver"]):
        code, text = said(*command)
        assert code == 1
        assert why in text
        assert "did you mean" not in text
    code, text = said("explain", "leaver", IMAGE)
    assert code == 1
    assert why in text
    assert f"{IMAGE}, not now" in text
    assert "there is no user" not in text
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "user.name,application.image,policy.app_license,policy.allow_home,policy.allow_view,"
        "policy.allow_common,policy.volume_source,policy.volume_target,policy.volume_mode,"
        f"policy.allow_startup_data\nleaver,{IMAGE},,0,0,0,,,,0\n",
        encoding="utf-8",
    )
    assert why in said("import", str(rows), "--dry-run")[1]
    code, text = said("compare", str(rows))
    assert code == 1
    assert why in text
    file = tmp_path / "enable.ldif"
    file.write_text(
        f"dn: {leaver}\nchangetype: modify\nreplace: shadowExpire\nshadowExpire: -1\n",
        encoding="utf-8",
    )
    code, text = said("whatif", str(file))
    assert "leaver" in text
    assert IMAGE in text
    code, text = said("app", "revoke", IMAGE, "leaver")
    assert code == 0
    assert "leaver leaves" in text
    assert "did not have" in said("app", "revoke", IMAGE, "leaver")[1]


def test_whatif_tells_when_an_account_ends(directory: Directory) -> None:
    """From now on the user has everything for a time."""
    alice = person(directory, "alice", shadow(directory), "-1")
    granted(directory, alice)
    text = f"dn: {alice}\nchangetype: modify\nreplace: shadowExpire\nshadowExpire: 21991\n"
    changes = ldif.parse(text.encode())
    [effect] = effects_of(directory.settings(), changes, clock=lambda: NOW).effects
    assert effect.kind == "changed"
    assert effect.before == (Window(),)
    assert effect.after == (Window(not_after=21_991 * 86_400.0),)


@pytest.mark.live("389ds", reason="others have nothing of the kind")
def test_unreadable_values_end_a_user(
    directory: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    """With one warning that names the entry and the attribute."""
    dn = directory.person("alice", attributes={"nsAccountLock": ["perhaps"]})
    granted(directory, dn)
    with opened(directory, [NOW]) as store:
        for _ in range(2):
            assert store.list_users() == []
            assert store.get_user("alice") is None
        assert "not readable (nsAccountLock: " in store.explain("alice").reasons[0].text
        assert store.revoke(IMAGE, "alice", Policy()).member.name == "alice"
    warned = [each for each in caplog.messages if "nsAccountLock" in each]
    assert len(warned) == 1
    assert dn.lower() in warned[0].lower()

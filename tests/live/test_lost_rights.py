"""An account that loses its rights is told so: what is hidden from it is not gone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ldapdb import errors
from ldapdb.embedded import ldif_folder
from ldapdb.settings import load
from ldapdb.store.checking import Finding, Level, check
from support.benches import ALICE, IMAGE, OK, READER, WRITER, Bench, fresh, grant_lines, on, opened
from support.hiding import hide, sid_of_reader
from support.openldap import PPOLICY

LIFE_SECONDS = 0.05
POLICY = (True, False, None)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A server with ldif/ loaded, and a grant for alice."""
    with fresh(request.param) as running:
        running.set_up()
        with opened(running, WRITER) as writer:
            writer.create_application(IMAGE)
            writer.grant_access(IMAGE, ALICE, *POLICY)
        yield running


@on("openldap", "389ds", "ad")
@pytest.mark.lengthy
def test_what_is_hidden_all_at_once_is_no_empty_answer(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor if all was forgotten meanwhile, as when changes are seen again after an outage.

    Samba 4.17 does not count what is below (msDS-Approx-Immed-Subordinates): it warns.
    """
    tree = f"ou=remoteapp,{bench.suffix}"
    people = bench.dn(ALICE).partition(",")[2]
    settings = {"cache_ttl_seconds": LIFE_SECONDS, "users_base": people}
    with opened(bench, READER, **settings) as database:
        alice, store = database.get_user(user_name=ALICE), database._store
        assert database.list_users()
        for ask, base, said, forget in (
            # By the store, because the user himself would be asked for first.
            (lambda: store.list_accountings(alice), f"ou=grants,{tree}", "grants", True),
            (database.list_applications, f"ou=applications,{tree}", "applications", False),
            (lambda: database.get_user(user_name=ALICE), people, "users", True),
        ):
            assert ask()
            hide(bench, base)
            time.sleep(2 * LIFE_SECONDS)
            if forget:
                store._caches.forget_everything()
            if bench.vendor == "ad":
                assert not ask()
                assert f"no {said} to be seen" in caplog.text
                continue
            with pytest.raises(errors.AccessDenied, match=said):
                ask()
        if bench.vendor != "ad":
            with pytest.raises(errors.AccessDenied, match="users"):
                database.list_users()


@on("openldap", "389ds", "ad")
def test_what_is_gone_is_gone_with_a_warning(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The last one of all is no loss of rights; and of one among others nothing is said."""
    caplog.set_level(logging.WARNING)
    with opened(bench, READER, cache_ttl_seconds=LIFE_SECONDS) as database:
        alice = database.get_user(user_name=ALICE)
        others = [*grant_lines(bench, "others")[:-1], f"member: {bench.dn(WRITER)}"]
        assert bench.admin.change(*others) == OK
        with opened(bench, WRITER) as writer:
            assert database.get_accounting_for_user(alice)
            writer.revoke_access(IMAGE, ALICE, *POLICY)
            time.sleep(2 * LIFE_SECONDS)
            assert database.get_accounting_for_user(alice) == []
            assert caplog.messages == []
            writer.grant_access(IMAGE, ALICE, *POLICY)
            time.sleep(2 * LIFE_SECONDS)
            assert database.get_accounting_for_user(alice)
            writer.revoke_access(IMAGE, ALICE, *POLICY)
        assert bench.admin.change(others[0], "changetype: delete") == OK
        time.sleep(2 * LIFE_SECONDS)
        assert database.get_accounting_for_user(alice) == []
        assert "compare with what the directory's administrator sees" in caplog.text


# Of a user, whether he is locked; on Active Directory its schemaIDGUID, too.
LOCKS = {
    "openldap": "pwdAccountLockedTime",
    "389ds": "nsAccountLock",
    "ad": "bf967a68-0de6-11d0-a285-00aa003049e2",
}


def lock(bench: Any) -> None:
    """Lock alice for good."""
    if bench.vendor == "ad":
        bench.server.tool("samba-tool", "user", "disable", ALICE)
        return
    value = {"openldap": "000001010000Z", "389ds": "true"}[bench.vendor]
    name = LOCKS[bench.vendor]
    lines = (f"dn: {bench.dn(ALICE)}", "changetype: modify", f"add: {name}", f"{name}: {value}")
    assert bench.admin.change(*lines) == OK


def hide_locks(bench: Any) -> None:
    """Hide from the reader who is locked, and nothing else."""
    if bench.vendor == "openldap":
        assert bench.as_root("ldapmodify", text=PPOLICY).returncode == OK
    hide_attribute(bench, LOCKS[bench.vendor])


def hide_attribute(bench: Any, name: str) -> None:
    """Hide an attribute from the reader; on Active Directory by its schemaIDGUID."""
    reader = bench.dn(READER)
    if bench.vendor == "openldap":
        rule = f'{{0}}to attrs={name} by dn.exact="{reader}" none by * break'
        change = f"changetype: modify\nadd: olcAccess\nolcAccess: {rule}\n"
        done = bench.as_root("ldapmodify", text=f"dn: olcDatabase={{1}}mdb,cn=config\n{change}")
        assert done.returncode == OK
    elif bench.vendor == "389ds":
        rule = (
            f'(targetattr="{name}")(version 3.0; acl "hidden"; deny (all) '
            f'userdn="ldap:///{reader}";)'
        )
        lines = (f"dn: {bench.suffix}", "changetype: modify", "add: aci", f"aci: {rule}")
        assert bench.admin.change(*lines) == OK
    else:
        base = f"--objectdn=CN=Users,{bench.suffix}"
        rule = f"--sddl=(OD;CI;RP;{name};;{sid_of_reader(bench)})"
        bench.server.tool("samba-tool", "dsacl", "set", base, rule)


def checked(bench: Any, line: str, **settings: Any) -> list[Finding]:
    """Return what ``ldapdb check`` finds as the reader, in some lines."""
    account = bench.account(READER)
    given = load(
        uri=account.uri,
        bind_dn=account.dn,
        bind_password=account.password,
        base_dn=f"ou=remoteapp,{bench.suffix}",
        **settings,
    )
    return [each for each in check(given, ldif_folder()) if each.check == line]


def check_hidden_ends(bench: Any, **settings: Any) -> None:
    """Check warns of a hidden attribute; Samba does not tell it from an absent one."""
    [found] = checked(bench, "accounts", **settings)
    assert found.level is (Level.NOT_CHECKED if bench.vendor == "ad" else Level.OK)
    assert "shadowExpire" in found.text
    if bench.vendor == "ad":
        lines = (f"dn: {bench.dn(ALICE)}", "changetype: modify", "add: shadowExpire")
        assert bench.admin.change(*lines, "shadowExpire: -1") == OK
        assert [each.level for each in checked(bench, "accounts", **settings)] == [Level.OK]
        return
    hide_attribute(bench, "shadowExpire")
    [found] = checked(bench, "accounts", **settings)
    assert found.level is Level.WARNING
    assert "may not see whether shadowExpire ends accounts" in found.text


@on("openldap", "389ds", "ad")
def test_who_may_not_see_locks_sees_no_users(bench: Bench) -> None:
    """Rather than take somebody who is locked for one who is not; ``ldapdb check`` says why."""
    alone = {"users_base": bench.dn(ALICE)}
    with opened(bench, READER, **alone) as database:
        assert database.get_user(user_name=ALICE)
    check_hidden_ends(bench, **alone)
    hide_locks(bench)
    for locked in (False, True):
        if locked:
            lock(bench)
        with opened(bench, READER, **alone) as database:
            assert database.get_user(user_name=ALICE) is None
            assert database.list_users() == []
    found = checked(bench, "reading users", **alone)
    assert checked(bench, "accounts", **alone) == []
    assert [each.level for each in found] == [Level.PROBLEM]
    assert "not locked" in found[0].text

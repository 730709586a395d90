"""Where licences are kept: written only where others may not read them, or by a setting."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ldapdb.cli import run
from ldapdb.embedded import ldif_folder
from ldapdb.errors import SettingsError
from ldapdb.migrate.importing import apply, make_plan
from ldapdb.migrate.sources import open_source
from ldapdb.model import Policy
from ldapdb.settings import Settings, load
from ldapdb.store import Store
from ldapdb.store.checking import Finding, Level, Ordinary, check
from ldapdb.store.planning import PlannedStore
from support import Directory
from support.host import Host
from support.moving import csv_file, row
from support.openldap import Another
from support.remedies import apply as apply_remedy
from support.terminal import Terminal

everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)
on_one = pytest.mark.live("openldap", reason="how it is asked is no matter of the directory")

IMAGE, OTHER, PAID = "simphony/mayavi:0.5", "simphony/other:1", "simphony/paid:1"
LICENSED = Policy.of(app_license="KEY-of-a-licence")
SETTING = "licences_in_description"


@pytest.fixture
def careful(directory: Directory) -> Iterator[Store]:
    """A store without the setting, which the tests of the contract have."""
    with closing(Store(directory.settings(**{SETTING: False}))) as store:
        yield store


@pytest.fixture
def peopled(directory: Directory) -> Directory:
    """Some have a licence already, from a grant that was made by hand."""
    directory.group("staff", directory.person("alice"))
    directory.application(IMAGE)
    directory.application(OTHER)
    directory.application(PAID)
    bob = directory.person("bob")
    directory.granted("paid", images=[PAID], members=[bob], licence="KEY-of-a-licence")
    return directory


def ways_to_write(
    store: Store, planned: PlannedStore, folder: Path
) -> dict[str, Callable[[], Any]]:
    """List each way in which a licence gets into the directory."""
    rows = csv_file(folder / "rows.csv", [row("alice", IMAGE, app_license="KEY-of-a-licence")])
    alice = store.get_user("alice")
    assert alice is not None
    return {
        "host": lambda: store.grant(IMAGE, "alice", LICENSED),
        "several": lambda: store.grant_several([IMAGE, OTHER], LICENSED, users=["alice"]),
        "group": lambda: store.grant_several([IMAGE], LICENSED, groups=["staff"]),
        "bulk": lambda: list(store.grant_many(IMAGE, LICENSED, [alice])),
        "plan": lambda: planned.grant(IMAGE, "alice", LICENSED),
        "planned group": lambda: planned.grant_several([IMAGE], LICENSED, groups=["staff"]),
        "planned rename": lambda: planned.rename_application(
            PAID, "simphony/new:2", settle_seconds=0
        ),
        "rename": lambda: store.rename_application(PAID, "simphony/new:1", settle_seconds=0),
        "import": lambda: list(apply(store, make_plan(store, open_source(rows)))),
    }


def ways(settings: Settings, folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    with closing(Store(settings)) as store, closing(PlannedStore(settings)) as planned:
        yield from ways_to_write(store, planned, folder).items()


@everywhere
def test_a_licence_needs_the_setting(peopled: Directory, careful: Store, tmp_path: Path) -> None:
    """Without our schema each way to write one is refused, before anything is written."""
    before = peopled.entries()
    for name, write in ways(careful.settings, tmp_path):
        if not peopled.stock:
            write()
        elif name == "import":
            assert write() == []
        else:
            with pytest.raises(SettingsError, match=f"{SETTING}: .*description.*read") as refused:
                write()
            assert "KEY-of" not in str(refused.value)
        if peopled.stock:
            assert peopled.entries() == before, name
    if peopled.stock:
        for _, write in ways(peopled.settings(), tmp_path):
            write()
    assert LICENSED in {each.application_policy for each in _held(careful, "alice")}


@everywhere
def test_a_licence_that_is_there_counts(peopled: Directory, careful: Store) -> None:
    """It is read, granted again to the user who has it, and taken away."""
    [held] = _held(careful, "bob")
    assert held.application_policy == LICENSED
    if peopled.stock:
        assert careful.grant(PAID, "bob", LICENSED) == held.id
    [taken] = careful.revoke_several([PAID], None, users=["bob"])
    assert taken.policies == (LICENSED,)
    assert _held(careful, "bob") == []
    both = [PAID, OTHER]
    mixed = peopled.granted("mixed", images=both, members=[], licence="KEY-of-a-licence")
    careful.remove_application(PAID)
    [left] = [each.grant for each in careful.list_grants()]
    assert (str(left.dn).lower(), left.images, left.policy) == (mixed.lower(), (OTHER,), LICENSED)


@everywhere
def test_rows_with_licences_are_rejected(
    peopled: Directory, careful: Store, tmp_path: Path
) -> None:
    """The plan says so of each before anything is written; other rows are imported."""
    rows = [row("alice", IMAGE, app_license="KEY-of-a-licence"), row("alice", OTHER)]
    plan = make_plan(careful, open_source(csv_file(tmp_path / "rows.csv", rows)))
    granted = {each.image for each in plan.grants}
    assert granted == ({OTHER} if peopled.stock else {IMAGE, OTHER})
    reasons = [each.text for each in plan.skipped]
    assert [SETTING in each for each in reasons] == [True] * peopled.stock
    list(apply(careful, plan))
    held = {each.application_policy for each in _held(careful, "alice")}
    assert (LICENSED in held) != peopled.stock


def _held(store: Store, name: str) -> list[Any]:
    user = store.get_user(name)
    assert user is not None
    return store.list_accountings(user)


@everywhere
@pytest.mark.parametrize("host", ["2.2"], indirect=True)
def test_the_host_is_refused_as_well(peopled: Directory, host: Host) -> None:
    """By the call that it makes, with the setting's name in its log."""
    database = peopled.open(host.database_class, **{SETTING: False})
    licensed = (IMAGE, "alice", "KEY-1", False, False, None, False)
    if peopled.stock:
        with pytest.raises(SettingsError, match=SETTING):
            database.grant_access(*licensed)
    else:
        assert database.grant_access(*licensed)
    assert database.grant_access(IMAGE, "alice", None, False, False, None, False)


# --- what check sees

PASSWORD = "Reads-only-1"


def user_with_password(directory: Directory, name: str) -> str:
    """Add a user who can log in."""
    if directory.vendor == "ad":
        dn = directory.person(name)
        server: Any = directory.server
        server.tool("samba-tool", "user", "setpassword", name, f"--newpassword={PASSWORD}")
        return dn
    return directory.person(name, attributes={"userPassword": [PASSWORD]})


def as_user(
    directory: Directory, password: str = PASSWORD, name: str = "alice", **given: Any
) -> list[Finding]:
    who = Ordinary(name, SecretStr(password))
    found = check(directory.settings(**given), ldif_folder(), as_user=who)
    return [each for each in found if each.check == "as user"]


@everywhere
def test_check_logs_in_as_a_user(directory: Directory) -> None:
    """On Active Directory our attribute is confidential, and every user reads descriptions."""
    user_with_password(directory, "alice")
    directory.granted("paid", images=[PAID], licence="KEY-of-a-licence")
    if directory.vendor == "389ds":
        rule = '(targetattr="*")(version 3.0; acl "all read"; allow (read,search,compare) '
        directory.change(directory.suffix, "add: aci", f'aci: {rule}userdn="ldap:///all";)')
    [found] = as_user(directory)
    if directory.vendor == "ad" and not directory.stock:
        assert found.level is Level.OK, found
        return
    assert found.level is Level.PROBLEM, found
    assert "cn=paid" in found.text.lower()
    assert "KEY-of" not in found.text
    assert found.remedy
    if directory.vendor == "389ds":
        apply_remedy(directory, found)
        assert [each.level for each in as_user(directory)] == [Level.OK]


@pytest.mark.live("openldap", reason="its rules are changed, so that it is another server")
@pytest.mark.parametrize("stock", [False, True])
def test_the_remedy_leaves_our_account(another_directory: Another, stock: bool) -> None:
    """More grants than a page holds come before the one that has a licence."""
    with another_directory(access="olcAccess: to * by * read\n") as directory:
        directory.stock = stock
        user_with_password(directory, "alice")
        reader: dict[str, Any] = {
            "bind_dn": user_with_password(directory, "reader"),
            "bind_password": PASSWORD,
        }
        for number in range(101):
            directory.granted(f"free-{number}", images=[IMAGE])
        bob = directory.person("bob")
        directory.application(PAID)
        directory.granted("paid", images=[PAID], members=[bob], licence="KEY-of-a-licence")
        settings = directory.settings(**reader)
        found = {each.check: each for each in check(settings, ldif_folder())}
        assert found["anonymous"].level is Level.PROBLEM
        nobody = directory.settings(bind_dn=None, bind_password=None)
        found = {each.check: each for each in check(nobody, ldif_folder())}
        assert found["anonymous"].level is Level.PROBLEM  # although that is our own account
        [told] = as_user(directory, **reader)
        assert told.level is Level.PROBLEM
        apply_remedy(directory, told)
        assert [each.level for each in as_user(directory, **reader)] == [Level.OK]
        found = {each.check: each for each in check(settings, ldif_folder())}
        assert found["anonymous"].level is (Level.OK if stock else Level.WARNING)
        with closing(Store(settings)) as store:
            assert [each.application_policy for each in _held(store, "bob")] == [LICENSED]


@on_one
def test_a_rejected_password_is_tried_once(directory: Directory) -> None:
    """Each attempt counts towards a lock, and every server counts for itself and the others."""
    user_with_password(directory, "alice")
    uris = f"{directory.server.uri},{directory.proxy().uri}"
    first, second = as_user(directory, "wrong", uri=uris)
    assert (first.level, second.level) == (Level.PROBLEM, Level.NOT_CHECKED)
    assert "wrong" not in first.text
    [nobody] = as_user(directory, name="nobody")
    assert nobody.level is Level.PROBLEM
    with pytest.raises(SettingsError, match="carry the password in clear"):
        load(uri="ldap://one.example.org", base_dn="dc=x").as_account("cn=a", SecretStr("x"))


@on_one
def test_the_password_comes_privately(
    directory: Directory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a file that only its owner reads, or from a terminal; never as an argument."""
    user_with_password(directory, "alice")
    kwargs = directory.database_kwargs()
    environment = {f"LDAPDB_{name.upper()}": str(value) for name, value in kwargs.items()}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    from_file = ["--as-user-password-file", str(file)]
    file.chmod(0o600)
    assert run(["check", "--as-user", "alice", *from_file]) == 0
    assert "ok\tas user\t" in capsys.readouterr().out
    file.chmod(0o644)
    assert run(["check", "--as-user", "alice", *from_file]) == 2
    assert "chmod 600" in capsys.readouterr().err
    assert run(["check", *from_file]) == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD))
    assert run(["check", "--as-user", "alice"]) == 2
    assert "--as-user-password-file" in capsys.readouterr().err
    command = [sys.executable, "-m", "ldapdb", "check", "--as-user", "alice"]
    with Terminal.running(command, {**os.environ, **environment}) as terminal:
        terminal.wait_for("Password of alice: ")
        terminal.type(f"{PASSWORD}\n")
        seen = " ".join(terminal.rest().split())  # it wraps lines
    assert "logged in as 'alice', no licence is seen" in seen
    assert PASSWORD not in seen

"""``--dry-run`` and ``--ldif``: what is printed is what would be done, and nothing is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from ldapdb.cli import run
from ldapdb.model import Policy
from ldapdb.store import Store
from ldapdb.store.planning import PlannedStore
from support import Directory
from support.planned import hold_plan

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE, OTHER, THIRD = "simphony/mayavi:0.5", "simphony/other:1", "registry.example:5000/third:RC1"
HOME = Policy.of(allow_home=True)
WHOLE = Policy.of(
    app_license="port@server, the key's",
    allow_home=True,
    allow_view=True,
    volume="/data:/mnt/data:ro",
    allow_startup_data=True,
)


@contextmanager
def planning(directory: Directory, **settings: Any) -> Iterator[PlannedStore]:
    with closing(PlannedStore(directory.settings(**settings))) as store:
        yield store


def prepare(directory: Directory) -> None:
    """Put in what administrators have by the time that they write."""
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.person("mueller k", rdn="cn=Müller\\, K")
    directory.application(OTHER)
    directory.granted("by hand", images=[OTHER, THIRD], members=[alice, bob], home="TRUE")
    directory.granted("of one", images=[OTHER], members=[alice])
    team = directory.group("team", bob)
    directory.carry(team, "grant", images=[OTHER])


def work(store: Store) -> None:
    """Make every kind of write there is, one on top of the other."""
    store.create_tree()
    store.create_application(IMAGE)
    store.create_application(THIRD)
    for name in ("alice", "bob", "mueller k"):
        store.grant(IMAGE, name, WHOLE)
    store.grant(IMAGE, "alice", HOME)
    store.grant(IMAGE, "alice", HOME)
    store.grant(OTHER, "bob", HOME)
    store.revoke(IMAGE, "bob", WHOLE)
    store.revoke(OTHER, "bob", HOME)
    store.revoke(OTHER, "alice", Policy())
    [revoked] = store.revoke_several([OTHER], None, users=["alice"])
    assert revoked.policies == (HOME,)
    user = store.get_user("alice")
    assert user is not None
    held = {each.application.image for each in store.list_accountings(user)}
    assert held == {IMAGE, THIRD}
    store.remove_application(OTHER)
    store.remove_application(OTHER)


@pytest.mark.slow
@pytest.mark.live("ad", reason="only AD counts the accounts that were ever made")
def test_accounts_that_come_and_go_are_no_difference(directory: Directory) -> None:
    """Every 500 of them the server takes new numbers, which is nothing that a plan would tell."""
    before = directory.entries()
    made = [directory.person(f"user{number:03}") for number in range(501)]
    assert len(directory.entries()) == len(before) + len(made)
    for dn in made:
        directory.delete(dn)
    assert directory.entries() == before


@pytest.mark.slow
def test_the_ldif_gives_the_directory_that_the_writes_give(directory: Directory) -> None:
    """Planned, nothing changes; applied by ldapmodify, all is as after the writes themselves."""
    hold_plan(directory, lambda: prepare(directory), work)


# --- the command line

on_one = pytest.mark.live(
    "openldap", stock=True, reason="how it is printed is no matter of the directory"
)

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ldapdb(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command on the directory; return its exit code and what it prints."""
    for name, value in directory.database_kwargs().items():
        if value:
            monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))

    def command(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def test_the_ldif_of_init_makes_the_tree_that_init_makes(
    directory: Directory, ldapdb: Command
) -> None:
    tree = [f"ou={name},{directory.base_dn}" for name in ("grants", "applications")]
    tree.append(directory.base_dn)

    def fell() -> None:
        for dn in tree:
            directory.delete(dn)

    fell()
    before = directory.entries()
    code, text, _ = ldapdb("init", "--ldif")
    assert code == 0
    assert directory.entries() == before
    directory.server.ldapmodify(text)
    applied = directory.entries()
    assert len(applied) == len(before) + len(tree)
    fell()
    assert ldapdb("init")[0] == 0
    assert directory.entries() == applied


@on_one
def test_a_dry_run_says_in_words_what_would_be_done_without_the_licence(
    directory: Directory, ldapdb: Command
) -> None:
    directory.person("alice")
    directory.application(IMAGE)
    before = directory.entries()
    grant = ("app", "grant", IMAGE, "alice", "--allow-home", "--app-license", "the key")
    code, out, err = ldapdb(*grant, "--dry-run")
    assert code == 0
    assert out.startswith("add cn=simphony/mayavi:0.5~")
    assert out.count("\n") == 1
    assert "uid=alice" in out
    assert "the key" not in out + err
    assert "nothing was changed; it would be 1 change\n" in err
    code, out, err = ldapdb(*grant, "--dry-run", "--json")
    assert code == 0
    [change] = json.loads(out)
    assert change["changetype"] == "add"
    assert change["attributes"]["member"] == [directory.dn_of("alice")]
    assert "the key" not in out + err
    assert directory.entries() == before


@on_one
def test_the_ldif_is_for_ldapmodify_and_has_the_licence(
    directory: Directory, ldapdb: Command
) -> None:
    """Applied, it is what was asked for; asked for again, there is nothing to change."""
    directory.person("alice")
    directory.application(IMAGE)
    grant = ("app", "grant", IMAGE, "alice", "--app-license", "the key")
    code, out, err = ldapdb(*grant, "--ldif")
    assert (code, out[:17]) == (0, "# ldapdb app gran")
    assert "the key" in out
    directory.server.ldapmodify(out)
    [accounting] = json.loads(ldapdb("user", "show", "alice")[1])["accounting"]
    assert accounting["policy"]["app_license"] == "the key"
    code, out, err = ldapdb(*grant, "--ldif")
    assert code == 0
    assert all(line.startswith("#") for line in out.splitlines())
    assert "there is nothing to change" in err
    code, out, err = ldapdb(
        "app", "revoke", IMAGE, "alice", "--app-license", "the key", "--dry-run"
    )
    assert code == 0
    assert out.startswith("modify ")
    assert "delete member uid=alice" in out


@on_one
def test_what_would_fail_fails(directory: Directory, ldapdb: Command) -> None:
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.granted("team", images=[IMAGE], members=[directory.group("staff", alice)])
    before = directory.entries()
    for arguments in (
        ("app", "create", IMAGE, "--no-verify"),
        ("app", "grant", OTHER, "alice"),
        ("app", "grant", IMAGE, "nobody"),
        ("app", "revoke", IMAGE, "alice"),
    ):
        planned, really = ldapdb(*arguments, "--dry-run"), ldapdb(*arguments)
        assert planned == really
        assert planned[0] == 1
    assert ldapdb("init", "--dry-run", "--ldif")[0] == 2
    assert ldapdb("init", "--json", "--ldif")[0] == 2
    assert directory.entries() == before


@on_one
def test_who_may_not_write_can_plan_for_others(
    directory: Directory, ldapdb: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run fails as the command would; LDIF is for somebody else to apply."""
    directory.person("alice")
    directory.application(IMAGE)
    monkeypatch.setenv("LDAPDB_READ_ONLY", "true")
    code, out, err = ldapdb("app", "grant", IMAGE, "alice", "--dry-run")
    assert (code, out) == (1, "")
    assert "read_only" in err
    code, out, err = ldapdb("app", "grant", IMAGE, "alice", "--ldif")
    assert code == 0
    assert "changetype: add" in out

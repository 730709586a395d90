"""``ldapdb report``: everybody's rights, read at once from a real directory."""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ldapdb import report as reports
from ldapdb.cli import run
from ldapdb.model import Policy
from ldapdb.store import Store
from support import Directory

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

on_one = pytest.mark.live("openldap", reason="how it is written is no matter of the directory")

IMAGE = "simphony/mayavi:0.5"
OTHER = "simphony/other:1"
PAST, FUTURE = "20200102030405.0Z", "20990102030405.0Z"

Opened = Callable[..., Store]


@pytest.fixture
def opened(directory: Directory) -> Iterator[Opened]:
    """Open stores, which are closed at the end."""
    stores: list[Store] = []

    def open_store(**given: Any) -> Store:
        stores.append(Store(directory.settings(**given)))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@dataclass(frozen=True)
class Done:
    """What a command has said, and its exit code."""

    code: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def command(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command in this process."""
    for key, value in directory.database_kwargs().items():
        if value:
            monkeypatch.setenv(f"LDAPDB_{key.upper()}", str(value))

    def run_it(*arguments: str) -> Done:
        code = run(["report", *arguments])
        return Done(code, *capsys.readouterr())

    return run_it


def lower(*dns: str) -> list[str]:
    return [dn.lower() for dn in dns]


def test_a_review_has_every_right_its_ways_and_what_it_could_not_tell(
    directory: Directory, opened: Opened
) -> None:
    alice, bob, carol = (directory.person(name) for name in ("alice", "bob", "carol"))
    unit = directory.unit("Sales")
    inner = directory.group("inner", alice)
    outer = directory.group("outer", inner)
    directory.application(IMAGE)
    directory.application(OTHER)
    direct = directory.granted("direct", images=[OTHER, IMAGE], members=[alice, unit], home="TRUE")
    nested = directory.granted("nested", images=[IMAGE], members=[outer], not_after=FUTURE)
    directory.granted("over", images=[OTHER], members=[bob], not_after=PAST, licence="KEY-1")
    directory.granted("unknown", images=["simphony/gone:1"], members=[carol])
    bad = directory.granted("bad", images=[IMAGE], members=[carol], volume="nonsense")
    found = opened().review()
    document = reports.write(found)
    told = [
        (row["USER"], row["IMAGE"], row["POLICY"], row["STATE"], row["UNTIL"][:4])
        for row in csv.DictReader(io.StringIO(reports.table(document)))
    ]
    assert sorted(told) == [
        ("alice", IMAGE, "home", "now", ""),
        ("alice", IMAGE, "plain", "now", "2099"),
        ("alice", OTHER, "home", "now", ""),
        ("bob", OTHER, "licensed", "expired", "2020"),
        ("carol", "simphony/gone:1", "plain", "not registered", ""),
    ]
    ways = {
        tuple(document["entries"][entry]["dn"].lower() for entry, _ in document["ways"][way])
        for right in document["rights"]
        if right["image"] == IMAGE
        for way in right["ways"]
    }
    assert ways == {tuple(lower(direct)), tuple(lower(inner, outer, nested))}
    said = {reason.kind: reason.text.lower() for reason in found.reasons}
    assert set(said) == {"unreadable", "not-registered", "dangling"}
    assert bad.lower() in said["unreadable"]
    assert "simphony/gone:1" in said["not-registered"]
    assert "users: 1" in said["not-registered"]
    assert unit.lower() in said["dangling"]
    assert found.servers == (directory.server.uri,)
    assert str(found.base).lower() == directory.base_dn.lower()
    assert found.account
    assert found.people[0].user.name == "alice"


@pytest.mark.live("openldap", "389ds", reason="Active Directory lets nobody share a name")
def test_who_shares_a_name_has_nothing_and_is_named(directory: Directory, opened: Opened) -> None:
    alice = directory.person("alice")
    twin = directory.person("alice", parent=directory.unit("Sales"))
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=[alice])
    found = opened().review()
    [who] = found.people
    assert not found.holds(who, who.rights[0])
    [reason] = found.reasons
    assert reason.kind == "not-found"
    assert all(dn in reason.text.lower() for dn in lower(alice, twin))


@on_one
def test_one_walk_serves_all_images(directory: Directory, opened: Opened) -> None:
    """A review of many images sends no more than one of a single image does."""
    people = [directory.person(f"user{number}") for number in range(5)]
    inner = directory.group("inner", *people)
    directory.application(IMAGE)
    directory.granted("first", images=[IMAGE], members=[inner])
    store = opened(counted=True)
    store.review()
    with directory.operations() as single:
        assert len(store.review().people) == len(people)
    for number in range(20):
        directory.application(f"simphony/app:{number}")
        directory.granted(f"grant{number}", images=[f"simphony/app:{number}"], members=[inner])
    with directory.operations() as many:
        assert sum(len(who.rights) for who in store.review().people) == 21 * len(people)
    assert many == single


@on_one
def test_no_right_is_lost_among_a_hundred_ways_to_another(
    directory: Directory, opened: Opened
) -> None:
    alice = directory.person("alice")
    groups = [directory.group(f"group{number}", alice) for number in range(101)]
    directory.application(IMAGE)
    directory.granted("plain", images=[IMAGE], members=groups, not_after=PAST)
    outer = directory.group("outer", groups[0])
    directory.granted("late", images=[IMAGE], members=[outer])
    home = directory.granted("home", images=[IMAGE], members=[outer], home="TRUE")
    store = opened()
    held = {each.policy: each for each in store.who(IMAGE).holders if each.holds}
    assert set(held) == {Policy(), Policy.of(allow_home=True)}
    assert [str(way.grant.dn) for way in held[Policy.of(allow_home=True)].ways] == [home]
    assert len(held[Policy()].ways) == 100
    user = store.get_user("alice")
    assert user is not None
    assert {each.application_policy for each in store.list_accountings(user)} == set(held)


@on_one
def test_the_command_writes_each_form_and_compares(
    directory: Directory, command: Command, tmp_path: Path
) -> None:
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.application(IMAGE)
    grant = directory.granted("staff", images=[IMAGE], members=[alice], licence="SECRET-1")
    last, page, rows = (tmp_path / name for name in ("last.json", "review.html", "review.csv"))
    done = command("--output", str(last))
    assert (done.code, done.stdout) == (0, "")
    assert "1 user, 1 application, 0 remarks" in done.stderr
    assert stat.S_IMODE(last.stat().st_mode) == 0o600
    directory.add_members(grant, bob)
    directory.remove_member(grant, alice)
    for file in (page, rows):
        done = command("--since", str(last), "--output", str(file))
        assert done.code == 0, done.stderr
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert '<i class="gained">+1</i> <i class="lost">\N{MINUS SIGN}1</i>' in html
    assert directory.server.uri in html
    assert "SECRET-1" not in html + rows.read_text(encoding="utf-8") + last.read_text()
    changes = [
        (row["USER"], row["CHANGE"]) for row in csv.DictReader(io.StringIO(rows.read_text("utf-8")))
    ]
    assert changes == [("bob", "gained"), ("alice", "lost")]
    done = command("--json", "--since", str(last))
    assert [each["kind"] for each in json.loads(done.stdout)["since"]["changes"]] == [
        "lost",
        "gained",
    ]
    assert {each.name for each in tmp_path.iterdir()} == {"last.json", "review.html", "review.csv"}


@on_one
def test_what_is_wrong_is_one_line_and_leaves_no_file(
    directory: Directory, command: Command, tmp_path: Path
) -> None:
    broken, new = tmp_path / "broken.json", tmp_path / "new.html"
    broken.write_text('{"format": "ldapdb-review", "version": 1')
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    for code, said, arguments in (
        (2, "broken.json is no review: not JSON", ["--since", str(broken)]),
        (2, "cannot read", ["--since", str(binary)]),
        (2, "does not exist", ["--since", str(tmp_path / "absent.json")]),
        (2, "are forms; choose one", ["--json", "--format", "csv"]),
        (1, "cannot write", ["--output", str(tmp_path / "absent" / "x.html")]),
    ):
        done = command(*arguments)
        assert (done.code, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    directory.delete(f"ou=grants,{directory.base_dn}")
    done = command("--output", str(new))
    assert done.code == 2
    assert "grants_base" in done.stderr
    assert not new.exists()

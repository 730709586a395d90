"""Whatever values entries have, no command fails on them, and no other entry is hidden.

The values are put on top of a server's entries as a plan is, so that also those are tried that
this server would refuse: another one, or an older one, may hold them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ldapdb import cli
from ldapdb.client.overlay import Planned
from ldapdb.client.planned import PlannedDirectory
from ldapdb.entries import DISPLAY_NAME, MEMBER_UID, OBJECT_SID
from ldapdb.errors import LDAPDBError
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import attributes_of
from ldapdb.store import Store, core, planning
from ldapdb.store.caches import Caches
from ldapdb.store.checking import visiting
from ldapdb.store.invalidation import Invalidation
from ldapdb.store.profile import Profile
from ldapdb.watch import Batch, Change
from support import Directory
from support.moving import csv_file, row
from support.policy import Said

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)
by_schema = pytest.mark.live(
    "openldap", "389ds", "ad", reason="what a line of description says is read by the same code"
)

GOOD, OTHER = "simphony/good:1", "simphony/other:1"
LINE = b"remoteapp grant image=simphony/good:1 "
VALUES: dict[str, list[bytes]] = {
    "none": [],
    "empty": [b""],
    "two": [b"TRUE", b"FALSE"],
    "binary": [b"\xff\xfe\0\x80"],
    "half-utf8": [b"\xed\xa0\x80"],
    "control": [b"a\x1b[31m\r\nb\0"],
    "markup": [b"<img onerror=x>"],
    "quotes": [b"\"'\\=,+;#"],
    "long": [b"x" * 10_000],
    "deep": [b"uid=x," + b"ou=y," * 300 + b"dc=org"],
    "long-dn": [b"cn=" + b"x" * 9_000 + b",dc=org"],
    "no-dn": [b"cn=a,,", b"cn=#04020000", b"=", b"cn=\\zz"],
    "early": [b"00010101000000+0100"],
    "late": [b"99991231235959-0500"],
    "later": [b"99991231235959.9Z"],
    "year-0": [b"00000101000000Z"],
    "no-day": [b"20270230000000Z"],
    "many-digits": [b"9" * 5_000],
    "large": [b"4294967296"],
    "negative": [b"-1"],
    "word": [b"true"],
    "line-early": [LINE + b"not-after=00010101000000+0100"],
    "line-late": [LINE + b"not-before=00010101000000+0100 not-after=99991231235959-0500"],
    "line-cut": [LINE + b"volume='"],
    "line-binary": [LINE + b"license=\xff"],
}


def attributes(profile: Profile) -> dict[str, tuple[str, ...]]:
    """List the attributes that the code reads, by the kind of entry."""
    said = (*profile.notation.attributes, OBJECT_SID)
    users = (*profile.user_name_attributes, profile.user_id_attribute)
    users += (*attributes_of(profile.users_filter), OBJECT_SID, "primaryGroupID")
    members = (*profile.member_attributes, MEMBER_UID, *attributes_of(profile.groups_filter))
    return {
        "user": tuple(dict.fromkeys(users)),
        "group": tuple(dict.fromkeys(("cn", OBJECT_SID, *members))),
        "grant": tuple(dict.fromkeys((*said, *profile.member_attributes, MEMBER_UID))),
        "application": tuple(
            dict.fromkeys((*said, DISPLAY_NAME, profile.vendor.identifier_attribute))
        ),
    }


class Awkward:
    """Directories with entries of awkward values on top of what a server has."""

    def __init__(self, directory: Directory) -> None:
        with_store = Store(directory.settings())
        self.profile = with_store.reading()[0].profile
        with_store.close()
        self._directory = directory
        self.entries = list(self._entries())

    def open(self, settings: Any, *given: Any) -> PlannedDirectory:
        opened = PlannedDirectory(settings, *given)
        for entry in self.entries:
            dn = DN.parse(entry.dn, self.profile.vendor.name_matching)
            values = {name: list(map(bytes, each)) for name, each in entry.attributes.items()}
            opened.plan.keep(Planned(dn, values, None, set(values)))
        return opened

    def _entries(self) -> Iterator[Entry]:
        number = 0
        for kind, names in attributes(self.profile).items():
            for name in names:
                for label, values in VALUES.items():
                    number += 1
                    cn = f"{kind}-{number}-{label}"
                    whole = {key.lower(): each for key, each in self._base(kind, cn).items()}
                    whole.pop(name.lower(), None)
                    # Each second one beside what is right, and with an option.
                    kept = {} if number % 2 else {f"{name.lower()};lang-fr": values}
                    whole.update(kept or {name.lower(): values})
                    given = {key: each for key, each in whole.items() if each}
                    yield Entry(f"cn={cn},{self._place(kind)}", given)

    def _place(self, kind: str) -> str:
        base = self._directory.base_dn
        return {
            "user": self._directory.users_base,
            "group": self._directory.groups_base,
            "grant": f"ou=grants,{base}",
            "application": f"ou=applications,{base}",
        }[kind]

    def _base(self, kind: str, cn: str) -> dict[str, list[bytes]]:
        directory, good = self._directory, self._directory.dn_of("good")
        if kind == "user":
            said = directory._person(cn)
        elif kind == "group":
            said = directory._group(directory.group_class, cn, [good])
        else:
            image = GOOD if kind == "grant" else f"simphony/{cn}"
            said = directory._saying(Said([image]), kind, cn, [good] if kind == "grant" else [])
        return {"cn": [cn.encode()], **{n: [v.encode() for v in vs] for n, vs in said.items()}}


@pytest.fixture
def awkward(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> Awkward:
    """A directory in which a good user, grant and application are among awkward ones."""
    member = directory.person("good")
    for image in (GOOD, OTHER):
        directory.application(image)
    directory.granted("good", images=[GOOD], members=[directory.group("crew", member)], home="TRUE")
    made = Awkward(directory)
    for opening in (core.Core, planning.PlannedStore):
        monkeypatch.setattr(opening, "_open", lambda _, settings, timer: made.open(settings, timer))
    monkeypatch.setattr(visiting, "Directory", made.open)
    given = directory.database_kwargs()
    for name, value in ((name, each) for name, each in given.items() if each is not None):
        text = json.dumps(value) if isinstance(value, (list, tuple)) else str(value)
        monkeypatch.setenv(f"LDAPDB_{name.upper()}", text)
    return made


@by_schema
@pytest.mark.slow
def test_no_value_ends_a_command(
    awkward: Awkward, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command shows the good user or application, in all its forms."""
    rights = csv_file(tmp_path / "rights.csv", [row("good", GOOD, allow_home="1")])
    change = tmp_path / "change.ldif"
    change.write_text(f"dn: {awkward._directory.dn_of('good')}\nchangetype: delete\n")
    files = [tmp_path / f"report.{form}" for form in ("html", "csv", "json")]
    commands: list[list[str]] = [
        ["user", "list", "--json"], ["user", "show", "good"],
        ["app", "list"], ["app", "list", "--grants"], ["app", "list", "--grants", "--json"],
        ["who", GOOD], ["who", GOOD, "--json"], ["explain", "good"], ["explain", "good", "--json"],
        *(["report", "--output", str(file)] for file in files),
        *(["export", "--to", form] for form in ("csv", "json", "ldif")),
        ["lint"], ["compare", rights], ["import", rights, "--dry-run"], ["whatif", str(change)],
        ["app", "grant", GOOD, "good", "--dry-run"],
        ["app", "revoke", GOOD, "good", "--all", "--dry-run"],
        ["app", "rename", GOOD, "simphony/good:2", "--dry-run"],
        ["app", "remove", GOOD, "--dry-run"], ["check", "--json"],
    ]  # fmt: skip
    failed = {}
    for command in commands:
        try:
            code = cli.run(command)
        except Exception as error:
            failed[" ".join(command[:3])] = repr(error)
            continue
        told = capsys.readouterr()
        written = (each for each in files if str(each) in command and each.exists())
        shown = told.out + "".join(each.read_text() for each in written)
        # Differences are 1; of entries that no server has, whatif cannot tell all: 2.
        codes = (
            (0, 2)
            if command[0] == "whatif"
            else (0, 1)
            if command[0] in ("lint", "compare")
            else (0,)
        )
        is_shown = "good" in shown or command[0] == "check"
        if code not in codes or "Traceback" in told.err or not is_shown:
            failed[" ".join(command[:3])] = f"{code}: {told.out[-200:]}{told.err[-300:]}"
    assert failed == {}


def test_no_value_hides_others_from_the_host(awkward: Awkward, directory: Directory) -> None:
    """The host is told of the good user, application and right, and of no awkward policy."""
    database = directory.open()
    users = database.list_users()
    [good] = [each for each in users if each.name == "good"]
    assert database.get_user(id=good.id).name == "good"
    assert GOOD in {each.image for each in database.list_applications()}
    told = database.get_accounting_for_user(good)
    assert {each.application.image for each in told} == {GOOD}
    for user in users:
        assert database.get_user(user_name=user.name).id == user.id
    for entry in awkward.entries:
        if entry.dn.startswith("cn=user-"):
            try:
                database.get_user(user_name=entry.dn[3:].partition(",")[0])
            except LDAPDBError:
                pytest.fail(entry.dn)


def test_no_value_stops_the_watch(awkward: Awkward, directory: Directory) -> None:
    """What an entry holds that is told as changed is no reason to stop following changes."""
    caches = Caches(directory.settings(), lambda: 0.0)
    invalidation = Invalidation(caches, awkward.profile, lambda: 0.0, any_class=True)
    for entry in awkward.entries:
        invalidation.take(Batch([Change(None, entry)]))


@pytest.mark.live(
    "openldap", "389ds", reason="Active Directory refuses such times, as do lines of description"
)
def test_a_time_beyond_the_years_is_shown(
    directory: Directory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Such a right counts, as far as a server takes it, and every command shows it."""
    directory.application(GOOD)
    alice = directory.person("alice")
    directory.granted("a", images=[GOOD], members=[alice], not_before="00010101000000+0100")
    directory.granted("over", images=[GOOD], members=[alice], not_after="00010101000000+0100")
    if directory.vendor == "389ds":
        ever = "99991231235959-0500"
        directory.granted("b", images=[GOOD], members=[alice], home="TRUE", not_after=ever)
    for name, value in directory.database_kwargs().items():
        monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))
    report = str(tmp_path / "report.json")
    for command in (
        ["user", "show", "alice"], ["explain", "alice", GOOD], ["who", GOOD],
        ["app", "list", "--grants"], ["export", "--json"], ["lint"], ["report", "--output", report],
    ):  # fmt: skip
        assert cli.run(command) == (1 if command == ["lint"] else 0), command
        told = capsys.readouterr().out + (Path(report).read_text() if report in command else "")
        assert GOOD in told or "0001-01-01" in told

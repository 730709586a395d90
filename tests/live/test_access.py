"""The table of docs/access.md: every cell of it, tried from outside on each server."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.benches import (
    ALICE,
    IMAGE,
    LICENCE,
    OK,
    PASSWORD,
    READER,
    WRITER,
    Account,
    Bench,
    fresh,
    on,
)
from support.columns import COLUMN
from support.quirks import Quirks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "access.md"

_READ, _WRITE, _OWN, _NOTHING = "read", "write", "change own", "\N{EN DASH}"
# A server that refuses says one of these: that the account has no right (50), that nobody is
# logged in (8; on Active Directory 1), or that there is nothing here for it (32).
_REFUSALS = (1, 8, 32, 50)
# Passwords are never shown, and OpenLDAP's rules are kept elsewhere, by another account.
_NOT_ADMINISTERED = ("a password", "an entry's access rules")
# What a comparison is answered with where the value is that.
_TRUE = 6
# Allowed, but what was to be removed has something below it.
_NOT_EMPTY = 66


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A fresh server of a vendor, without our schema."""
    with fresh(request.param) as running:
        yield running


# -- what the page says ---------------------------------------------------------------------


def _said(title: str) -> tuple[dict[tuple[str, str], str], set[str]]:
    """Read what the page promises for a server, and by which of its notes."""
    text = PAGE.read_text(encoding="utf-8")
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]
    notes = {
        number: cell
        for number, server, cell in re.findall(r"^(\d+)\. ([^:]+): `([^`]+)`", text, re.MULTILINE)
        if server == title
    }
    said = {}
    for thing, *cells in lines[1:]:
        for column, cell in zip(lines[0][1:], cells):
            plain, _, note = cell.partition(" [")
            said[thing, column] = notes.get(note.rstrip("]"), plain)
    return said, set(notes)


# -- what an account can do -----------------------------------------------------------------

Read = Callable[[Account], bool]
Write = Callable[[Account], int]


@dataclass(frozen=True)
class Thing:
    """A row of the table: how to read it, and each way to write it."""

    reads: Mapping[str, Read]
    writes: Mapping[str, Write]

    def cell(self, who: Account) -> str:
        """Try everything, and say it as the page does.

        Where some is allowed and some is not, the answer names what is.
        """
        parts = []
        for word, tries in ((_READ, self._read(who)), (_WRITE, self._written(who))):
            allowed = [name for name, is_allowed in tries.items() if is_allowed]
            if allowed:
                parts.append(word if len(allowed) == len(tries) else f"{word} {allowed} only")
        if parts == [f"{_WRITE} ['{_OWN}'] only"]:
            return _OWN
        return ", ".join(parts) or _NOTHING

    def _read(self, who: Account) -> dict[str, bool]:
        return {name: read(who) for name, read in self.reads.items()}

    def _written(self, who: Account) -> dict[str, bool]:
        codes = {name: write(who) for name, write in self.writes.items()}
        for name, code in codes.items():
            assert code in (OK, _NOT_EMPTY, *_REFUSALS), f"{who.dn}: {name} is answered with {code}"
        return {name: code not in _REFUSALS for name, code in codes.items()}


class Things:
    """The rows of the table on a server, with what they are about put into it.

    Parameters
    ----------
    bench : Bench
        Has our files loaded.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._suffix = bench.suffix
        self._is_ad = bench.vendor == "ad"
        self._base = f"ou=remoteapp,{bench.suffix}"
        self._alice = bench.dn(ALICE)
        users = "CN=Users" if self._is_ad else "ou=people"
        groups = "CN=Users" if self._is_ad else "ou=groups"
        naming = "cn" if self._is_ad else "uid"
        self._bob = f"{naming}=bob,{users},{bench.suffix}"
        self._team = f"cn=workers,{groups},{bench.suffix}"
        self._grant = f"cn=one,ou=grants,{self._base}"
        self._licensed = f"cn=licensed,ou=grants,{self._base}"
        self._group_class = "objectClass: " + ("group" if self._is_ad else "groupOfNames")
        self._policy = (
            self._group_class,
            "objectClass: remoteAppGrant",
            f"remoteAppImage: {IMAGE}",
            f"member: {self._alice}",
        )

    def rows(self) -> dict[str, Thing]:
        """Put everything into the directory, and return the rows by what they are called."""
        return {
            "an application": self._application(),
            "a grant: image, policy, times, members": self._grants(),
            "a grant's licence": self._licence(),
            "a licence, guessed (compare)": Thing(
                {"": self._compares(self._licensed, "remoteAppLicense", LICENCE)}, {}
            ),
            "`ou=remoteapp` itself": self._top(),
            "an `ou=` below it": self._unit(),
            "a person: names, identifier": self._person(),
            "a person: mail": Thing(
                self._value(self._bob, "mail", "bob@example.org"),
                self._modifies(self._bob, mail="bob@example.org"),
            ),
            "a password": self._password(),
            "a group of the company, its members": self._company(),
            "the suffix entry": self._top_of_all(),
            "moving into `ou=remoteapp`, or out of it": self._moves(),
            "an entry's access rules": Thing({}, {"": self._rules()}),
            "the root DSE": Thing({"": self._shows("", "supportedLDAPVersion")}, {}),
            "the schema": Thing({"": self._shows(self._schema(), "objectClasses")}, {}),
        }

    # -- reading

    def _shows(self, dn: str, *attributes: str) -> Read:
        def read(who: Account) -> bool:
            text = who.read(dn, "(objectClass=*)", *attributes, scope="base").lower()
            return all(f"\n{name.lower()}:" in text for name in attributes)

        return read

    def _value(self, dn: str, attribute: str, value: str) -> dict[str, Read]:
        def found(who: Account) -> bool:
            return "dn:" in who.read(self._suffix, f"({attribute}={value})", "1.1")

        return {"see": self._shows(dn, attribute), "find": found}

    def _compares(self, dn: str, attribute: str, value: str) -> Read:
        arguments = (dn, f"{attribute}:{value}")
        return lambda who: who.run("ldapcompare", *arguments).returncode == _TRUE

    # -- writing

    def _administrator(self, *lines: str) -> None:
        assert self._bench.admin.change(*lines) == OK, lines

    def _modifies(self, dn: str, **values: str) -> dict[str, Write]:
        """Set attributes, each in a change of its own."""

        def setter(name: str, value: str) -> Write:
            lines = (f"dn: {dn}", "changetype: modify", f"replace: {name}", f"{name}: {value}")
            return lambda who: who.change(*lines)

        return {f"modify {name}": setter(name, value) for name, value in values.items()}

    def _add(self, dn: str, *lines: str) -> Write:
        def write(who: Account) -> int:
            code = who.change(f"dn: {dn}", "changetype: add", *lines)
            if code == OK:
                self._administrator(f"dn: {dn}", "changetype: delete")
            return code

        return write

    def _rename(self, dn: str, to_rdn: str, to_parent: str = "") -> Write:
        """Rename an entry or move it, and put it back."""
        rdn, _, parent = dn.partition(",")
        new_parent = to_parent or parent

        def lines(dn: str, rdn: str, parent: str) -> tuple[str, ...]:
            renamed = (f"dn: {dn}", "changetype: modrdn", f"newrdn: {rdn}", "deleteoldrdn: 1")
            return (*renamed, f"newsuperior: {parent}") if to_parent else renamed

        def write(who: Account) -> int:
            code = who.change(*lines(dn, to_rdn, new_parent))
            if code == OK:
                self._administrator(*lines(f"{to_rdn},{new_parent}", rdn, parent))
            return code

        return write

    def _entry(self, dn: str, *lines: str, **values: str) -> dict[str, Write]:
        """Make an entry, and return each way to write it."""
        self._administrator(f"dn: {dn}", "changetype: add", *lines)
        rdn, _, parent = dn.partition(",")
        other = f"{rdn.partition('=')[0]}=other"

        def delete(who: Account) -> int:
            code = who.change(f"dn: {dn}", "changetype: delete")
            if code == OK:
                self._administrator(f"dn: {dn}", "changetype: add", *lines)
            return code

        return {
            "add": self._add(f"{other},{parent}", *lines),
            **self._modifies(dn, description="tried", **values),
            "rename": self._rename(dn, other),
            "delete": delete,
        }

    # -- the rows

    def _application(self) -> Thing:
        dn = f"cn=tool,ou=applications,{self._base}"
        image = f"remoteAppImage: {IMAGE}"
        member = f"member: {self._alice}"
        lines = (self._group_class, "objectClass: remoteAppApplication", image, member)
        writes = self._entry(dn, *lines, remoteAppImage=IMAGE, displayName="Tool")
        return Thing(self._value(dn, "remoteAppImage", IMAGE), writes)

    def _grants(self) -> Thing:
        times = {
            "remoteAppNotBefore": "20200101000000.0Z",
            "remoteAppNotAfter": "20990101000000.0Z",
        }
        values = {"remoteAppAllowHome": "TRUE", "remoteAppVolume": "/a:/b:ro", **times}
        lines = (*self._policy, *(f"{name}: {value}" for name, value in values.items()))
        member = {"member": self._alice, "remoteAppImage": IMAGE}
        writes = self._entry(self._grant, *lines, **values, **member)
        reads = {
            "all": self._shows(self._grant, "objectClass", "cn", *values),
            **self._value(self._grant, "member", self._alice),
        }
        return Thing(reads, writes)

    def _licence(self) -> Thing:
        licence = f"remoteAppLicense: {LICENCE}"
        self._entry(self._licensed, *self._policy, licence)
        other = f"cn=other,ou=grants,{self._base}"
        return Thing(
            self._value(self._licensed, "remoteAppLicense", LICENCE),
            {
                "add": self._add(other, *self._policy, licence),
                **self._modifies(self._licensed, remoteAppLicense=LICENCE),
            },
        )

    def _top(self) -> Thing:
        def delete(who: Account) -> int:
            return who.change(f"dn: {self._base}", "changetype: delete")

        return Thing(
            {"": self._shows(self._base, "ou", "objectClass")},
            {
                **self._modifies(self._base, description="tried"),
                "rename": self._rename(self._base, "ou=other"),
                "delete": delete,
            },
        )

    def _unit(self) -> Thing:
        dn = f"ou=spare,{self._base}"
        writes = self._entry(dn, "objectClass: organizationalUnit")
        return Thing({"": self._shows(dn, "ou", "objectClass")}, writes)

    def _person(self) -> Thing:
        if self._is_ad:
            lines = ["objectClass: user"]
            names: tuple[str, ...] = (
                "sAMAccountName",
                "objectGUID",
                "userAccountControl",
                "primaryGroupID",
            )
        else:
            lines = ["objectClass: inetOrgPerson", "cn: Bob", "sn: B", f"userPassword: {PASSWORD}"]
            names = ("uid", "cn", "entryUUID" if self._bench.vendor == "openldap" else "nsUniqueId")
        writes = self._entry(self._bob, *lines, "mail: bob@example.org", displayName="Bob")
        reads = {"see": self._shows(self._bob, *names)}
        if self._bench.vendor == "389ds":  # whoever may not ask for this finds nobody
            unlocked = "(&(uid=bob)(!(nsAccountLock=true)))"
            reads["locked"] = lambda who: "dn:" in who.read(self._suffix, unlocked, "1.1")
        return Thing(reads, writes)

    def _password(self) -> Thing:
        below = f"cn=mallory,ou=grants,{self._base}"
        if self._is_ad:
            return Thing(
                {"see": self._shows(self._bob, "unicodePwd")},
                {
                    "of another": self._set_quoted(self._bob),
                    "of a new account": self._add(below, "objectClass: user"),
                    _OWN: self._change_own,
                },
            )
        account = ("objectClass: simpleSecurityObject", f"userPassword: {PASSWORD}")
        return Thing(
            self._value(self._bob, "userPassword", PASSWORD),
            {
                "of another": self._modifies(self._bob, userPassword=PASSWORD)[
                    "modify userPassword"
                ],
                "of a new account": self._add(below, *self._policy, *account),
                _OWN: self._change_own,
            },
        )

    def _change_own(self, who: Account) -> int:
        """Change the account's own password, to what it was."""
        if not who.dn:
            return _REFUSALS[-1]  # who is not logged in has none
        if self._is_ad:
            old = _quoted(who.password)
            change = ("delete: unicodePwd", old, "-", "add: unicodePwd", old)
            return who.change(f"dn: {who.dn}", "changetype: modify", *change)
        (write,) = self._modifies(who.dn, userPassword=who.password).values()
        return write(who)

    def _set_quoted(self, dn: str) -> Write:
        lines = ("replace: unicodePwd", _quoted(PASSWORD))
        return lambda who: who.change(f"dn: {dn}", "changetype: modify", *lines)

    def _company(self) -> Thing:
        lines = (self._group_class, f"member: {self._alice}")
        writes = self._entry(self._team, *lines, member=self._alice)
        return Thing(self._value(self._team, "member", self._alice), writes)

    def _top_of_all(self) -> Thing:
        new = self._add(f"ou=other,{self._suffix}", "objectClass: organizationalUnit")
        modify = self._modifies(self._suffix, description="tried")
        return Thing({"": self._shows(self._suffix, "dc")}, {"add": new, **modify})

    def _moves(self) -> Thing:
        into, out = f"ou=grants,{self._base}", self._team.partition(",")[2]
        return Thing(
            {},
            {
                "in": self._rename(self._team, "cn=moved", into),
                "out": self._rename(self._grant, "cn=moved", out),
            },
        )

    def _rules(self) -> Write:
        """Set the rules of an entry: to what they are, or to one that says nothing new."""
        if self._is_ad:
            only_rules = "1.2.840.113556.1.4.801=:"  # neither owner nor audit
            arguments = ("-LLL", "-o", "ldif-wrap=no", "-s", "base", "-b", self._grant)
            name = "nTSecurityDescriptor"
            everything = "(objectClass=*)"
            shown = self._bench.admin.run(
                "ldapsearch", "-E", f"{only_rules}:MAMCAQQ=", *arguments, everything, name
            )
            rules = shown.stdout.decode().split(f"\n{name}", 1)[1].split("\n")[0]
            lines = (f"dn: {self._grant}", "changetype: modify", f"replace: {name}", name + rules)
            text = "".join(f"{line}\n" for line in lines)
            return lambda who: (
                who.run("ldapmodify", "-e", f"{only_rules}MAMCAQQ=", text=text).returncode
            )
        if self._bench.vendor == "389ds":
            rule = '(targetattr="cn")(version 3.0; acl "x"; allow (read) userdn="ldap:///self";)'
            return self._modifies(self._grant, aci=rule)["modify aci"]
        database = "olcDatabase={1}mdb,cn=config"
        return self._modifies(database, olcAccess="to * by * write")["modify olcAccess"]

    def _schema(self) -> str:
        if self._is_ad:
            return f"CN=Aggregate,CN=Schema,CN=Configuration,{self._suffix}"
        return "cn=schema" if self._bench.vendor == "389ds" else "cn=Subschema"


def _quoted(password: str) -> str:
    """Write a password as Active Directory takes it."""
    value = base64.b64encode(f'"{password}"'.encode("utf-16-le")).decode()
    return f"unicodePwd:: {value}"


# -- the test -------------------------------------------------------------------------------


@on("openldap", "389ds", "ad")
@pytest.mark.slow
def test_every_cell_of_the_table_of_rights(bench: Bench, request: pytest.FixtureRequest) -> None:
    """Each account reads and writes what the page says, and nothing else."""
    bench.set_up(besides=("389ds/99remoteapp.ldif", "389ds/indexes.ldif"))
    rows = Things(bench).rows()
    accounts = {
        "reader": bench.account(READER),
        "writer": bench.account(WRITER),
        "a user": bench.account(ALICE),
        "not logged in": Account(bench.server.uri),
    }
    said, notes = _said(bench.title)
    quirks = Quirks(request.node, request.node.stash[COLUMN])
    assert all(quirks.asked(f"rights {note}") for note in notes)
    seen = {
        (name, column): thing.cell(account)
        for name, thing in rows.items()
        for column, account in accounts.items()
    }
    assert seen == said
    # Whoever is above the rules can do everything that was tried, so that a refusal is one.
    for name, thing in rows.items():
        if name not in _NOT_ADMINISTERED:
            everything = [_READ] * bool(thing.reads) + [_WRITE] * bool(thing.writes)
            assert thing.cell(bench.admin) == ", ".join(everything), name

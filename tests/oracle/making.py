"""Random directories, as change records; the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from oracle.entries import Place, addition, line

__all__ = ["SHAPES", "Directory", "make"]

# What a directory may have besides users, groups and grants.
SHAPES = {
    "nesting": "groups in groups and in grants",
    "circles": "groups that contain each other",
    "members": "uniqueMember and memberUid beside member",
    "several-names": "users with several login names",
    "shared-names": "login names of two users",
    "shared-ids": "numbers of two users",
    "renamed": "users and groups that were renamed, moved or deleted",
    "options": "attributes with options",
    "disabled": "accounts that are disabled",
    "expired": "accounts that have expired or not begun",
    "dates": "grants with time limits",
    "names": "DNs with escapes, spaces, other scripts and other spellings",
    "outside": "users, groups and applications outside the bases",
    "broken": "grants and applications that give nothing",
    "primary": "primary groups, on Active Directory",
}
_WORDS = ("ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hal", "ida", "jon", "kay", "lea")
_AWKWARD = ("Bell, Ann", "a+b", 'say "hi"', "Zoë", "x=y", "a\\b", "#1", "semi;colon")
_LIKE = (("ﬁn", "fin"), ("x²", "x2"), ("Å", "Å"))
_IMAGES = ("lab/viewer:1", "lab/tool:A", "lab/tool:a", "reg.example.org:5000/x/y", "solo")
_VOLUMES = (None, None, "/data:/data:ro", "/srv/x y:/x:rw")
_ENABLED, _DISABLED = "544", "546"
_STAMP = "%Y%m%d%H%M%S"


@dataclass
class Directory:
    """Change records in order, and the settings to read the result with."""

    seed: str
    settings: dict[str, Any] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)


def make(place: Place, seed: str, shapes: Sequence[str], size: int) -> Directory:
    """Make a directory of about so many users."""
    return _Maker(place, seed, frozenset(shapes), size).directory()


class _Maker:
    def __init__(self, place: Place, seed: str, shapes: frozenset[str], size: int) -> None:
        self._place = place
        self._random = random.Random(f"{seed} {place.vendor}")
        self._made = Directory(seed)
        self._shapes = shapes
        self._size = size
        self._is_ad = place.vendor == "ad"
        self._people: list[str] = []
        self._names: list[str] = []
        self._groups: list[str] = []
        self._later: list[str] = []  # what Active Directory accepts only once members exist

    def directory(self) -> Directory:
        self._choose_settings()
        self._branches()
        for number in range(self._size):
            self._person(number)
        for number in range(self._random.randint(4, 4 + self._size // 2)):
            self._group(number)
        self._applications()
        for number in range(self._random.randint(self._size, self._size + 6)):
            self._grant(number)
        if self._has("circles", 0.6):
            self._circle()
        self._made.records += self._later
        if self._has("renamed", 0.8):
            self._made.records += self._changes()
        return self._made

    # --- choices

    def _has(self, shape: str, chance: float) -> bool:
        return shape in self._shapes and self._random.random() < chance

    def _choose_settings(self) -> None:
        settings = self._made.settings
        if self._has("members", 0.7) and not self._is_ad:
            settings["group_member_attribute"] = self._random.choice(["uniqueMember", "memberUid"])
        if self._has("nesting", 0.25):
            settings["nested_groups"] = False
        if self._has("shared-ids", 0.3):
            settings["user_id_attribute"] = "uidNumber"
        if self._random.random() < 0.6:
            settings["groups_base"] = self._place.groups_base

    # --- entries

    def _add(self, dn: str, attributes: dict[str, list[str]]) -> str:
        self._made.records.append(addition(dn, {k: v for k, v in attributes.items() if v}))
        return dn

    def _branches(self) -> None:
        place = self._place
        for base in (place.users_base, place.groups_base):
            self._add(f"ou=sub,{base}", {"objectClass": ["organizationalUnit"], "ou": ["sub"]})

    def _person(self, number: int) -> None:
        word = self._random.choice(_WORDS)
        names = [f"{word}{number}"]
        if self._has("several-names", 0.3) and not self._is_ad:
            names.append(f"{self._random.choice(_WORDS)}-{number}")
        if self._has("shared-names", 0.2) and self._names and not self._is_ad:
            shared = self._random.choice(self._names)
            names[-1] = self._random.choice([shared, shared.upper()])
        base = self._place.users_base
        if self._has("outside", 0.12):
            base = self._place.suffix
        elif self._random.random() < 0.25:
            base = f"ou=sub,{base}"
        cn = self._common_name(number)
        attributes = self._person_attributes(number, names, cn)
        rdn = f"cn={_escaped(cn)}"
        if not self._is_ad and self._random.random() < 0.6:
            rdn = f"uid={names[0]}"
        elif not self._is_ad and self._has("names", 0.2):
            rdn += f"+uid={names[0]}"
        self._names += names
        self._people.append(self._add(f"{rdn},{base}", attributes))

    def _common_name(self, number: int) -> str:
        if self._has("names", 0.3):
            return f"{self._random.choice(_AWKWARD)} {number}"
        if self._has("names", 0.15):
            return self._random.choice(self._random.choice(_LIKE))
        return f"Person {number}"

    def _person_attributes(self, number: int, names: list[str], cn: str) -> dict[str, list[str]]:
        number_of = self._random.choice([0, 1]) if self._has("shared-ids", 0.3) else 1000 + number
        if self._is_ad:
            made = {
                "objectClass": ["user"],
                "cn": [cn],
                "sAMAccountName": [names[0]],
                "userAccountControl": [_DISABLED if self._has("disabled", 0.15) else _ENABLED],
                "uidNumber": [str(number_of)],
            }
            if self._has("expired", 0.25):
                made["accountExpires"] = [self._filetime()]
            return made
        made = {"objectClass": ["inetOrgPerson"], "uid": names, "cn": [cn], "sn": ["Person"]}
        if "shared-ids" in self._shapes:
            made["objectClass"].append("posixAccount")
            made.update(uidNumber=[str(number_of)], gidNumber=["1"], homeDirectory=["/"])
        if self._has("expired", 0.25):
            made["objectClass"].append("shadowAccount")
            made["shadowExpire"] = [self._random.choice(["-1", "1", "15000", "40000"])]
        if self._has("disabled", 0.15) and self._place.vendor == "389ds":
            made["nsAccountLock"] = [self._random.choice(["true", "TRUE", "false"])]
        if self._has("options", 0.2):
            made["uid;lang-fr"] = [f"opt{number}"]
        return made

    def _filetime(self) -> str:
        days = self._random.choice([-400, 400])
        at = datetime.now(timezone.utc) + timedelta(days=days)
        ticks = int((at - datetime(1601, 1, 1, tzinfo=timezone.utc)).total_seconds()) * 10**7
        return self._random.choice([str(ticks), "0", str(0x7FFFFFFFFFFFFFFF)])

    # --- groups

    def _group(self, number: int) -> None:
        base = self._place.groups_base
        if self._has("outside", 0.15):
            base = self._place.suffix
        elif self._random.random() < 0.25:
            base = f"ou=sub,{base}"
        name = f"group {number}"
        if self._has("names", 0.3):
            name = f"{self._random.choice(_AWKWARD)} g{number}"
        dn = f"cn={_escaped(name)},{base}"
        self._holder(dn, name, {"objectClass": []}, self._members())
        self._groups.append(dn)

    def _members(self) -> list[str]:
        members = self._random.sample(
            self._people, min(len(self._people), self._random.randint(0, 3))
        )
        if self._groups and self._has("nesting", 0.7):
            members += self._random.sample(self._groups, 1)
        if not self._is_ad and self._has("names", 0.2):
            members.append(f"uid=nobody,{self._place.users_base}")
        if self._is_ad and self._has("primary", 0.1):
            members.append(f"CN=Domain Users,CN=Users,{self._place.suffix}")
        return members

    def _holder(
        self, dn: str, name: str, attributes: dict[str, list[str]], members: list[str]
    ) -> None:
        """Add a group or a grant with members, by one of the attributes for it."""
        whole = {**attributes, "cn": [name]}
        if self._is_ad:
            account = f"g{self._random.randrange(10**12)}"
            whole["objectClass"] = ["group", *attributes["objectClass"]]
            whole["sAMAccountName"] = [account]
            self._add(dn, whole)
            self._later += [_change(dn, "add", "member", [each]) for each in members]
            return
        kind = self._random.choice(["member", self._made.settings.get("group_member_attribute")])
        if kind == "memberUid":
            count = min(len(self._names), self._random.randint(0, 4))
            whole["objectClass"] = ["posixGroup", *attributes["objectClass"]]
            whole.update(gidNumber=["7"], memberUid=self._random.sample(self._names, count))
            whole["memberUid"] = list({each.lower(): each for each in whole["memberUid"]}.values())
        elif kind == "uniqueMember":
            whole["objectClass"] = ["groupOfUniqueNames", *attributes["objectClass"]]
            whole["uniqueMember"] = self._spelt(members) or [f"cn=nobody,{self._place.suffix}"]
        else:
            whole["objectClass"] = ["groupOfNames", *attributes["objectClass"]]
            whole["member"] = self._spelt(members) or [f"cn=nobody,{self._place.suffix}"]
        self._add(dn, whole)

    def _spelt(self, members: list[str]) -> list[str]:
        """Spell some names in another way."""
        return [self._respelt(each) if self._has("names", 0.3) else each for each in members]

    def _respelt(self, dn: str) -> str:
        others = [dn.upper(), dn.replace(",", ", "), dn.replace("uid=", "userid=")]
        others += [dn.replace(one, other) for pair in _LIKE for one, other in (pair, pair[::-1])]
        changed = [each for each in others if each != dn and "\\," not in dn]
        return self._random.choice(changed or [dn])

    def _circle(self) -> None:
        chosen = self._random.sample(self._groups, min(len(self._groups), 3))
        for one, other in zip(chosen, [*chosen[1:], chosen[0]]):
            self._later.append(_change(one, "add", "member", [other]))

    # --- applications and grants

    def _applications(self) -> None:
        place = self._place
        images = {f"app {number}": [each] for number, each in enumerate(_IMAGES)}
        if self._has("broken", 0.5):
            images["two"] = ["lab/one:1", "lab/two:1"]
            images["twice"] = [_IMAGES[0]]
            images["bad"] = ["Not An <image>"]
        for name, each in images.items():
            self._policy(f"cn={name},{place.applications_base}", name, "Application", each, {}, [])
        if self._has("outside", 0.5):
            elsewhere = f"cn=elsewhere,{place.groups_base}"
            self._policy(elsewhere, "elsewhere", "Application", ["lab/elsewhere:1"], {}, [])

    def _grant(self, number: int) -> None:
        images = self._random.sample(_IMAGES, self._random.randint(1, 2))
        if self._has("broken", 0.2):
            extra = ["lab/gone:1", "lab/one:1", "Not An <image>", "lab/elsewhere:1"]
            images.append(self._random.choice(extra))
        said = dict(self._said())
        name = f"grant {number}"
        base = self._place.grants_base
        if self._has("outside", 0.1):
            base = self._place.groups_base
        dn = f"cn={name},{base}"
        self._policy(dn, name, "Grant", images, said, self._members())
        if self._has("nesting", 0.3):
            self._groups.append(dn)

    def _said(self) -> Iterator[tuple[str, list[str]]]:
        for each in ("Home", "View", "StartupData"):
            flag = self._random.choice([None, None, "TRUE", "FALSE"])
            if flag is not None:
                yield f"remoteAppAllow{each}", [flag]
        volume: Optional[str] = self._random.choice(_VOLUMES)
        if self._has("broken", 0.1):
            volume = self._random.choice(["nonsense", "/a:/b:xx", "/a:/b"])
        if volume is not None:
            yield "remoteAppVolume", [volume]
        if self._random.random() < 0.2:
            yield "remoteAppLicense", ["KEY-1"]
        if self._has("dates", 0.4):
            for each in self._random.choice([("Before",), ("After",), ("Before", "After")]):
                yield f"remoteAppNot{each}", [self._stamp()]

    def _stamp(self) -> str:
        days = self._random.choice([-900, -2, 2, 900])
        at = (datetime.now(timezone.utc) + timedelta(days=days)).strftime(_STAMP)
        extreme = self._random.choice(["00010101000000", "99991231235959"])
        return f"{self._random.choice([at, at, at, extreme])}.0Z"

    def _policy(
        self,
        dn: str,
        name: str,
        kind: str,
        images: list[str],
        said: dict[str, list[str]],
        members: list[str],
    ) -> None:
        attributes = {"objectClass": [f"remoteApp{kind}"], "remoteAppImage": images, **said}
        self._holder(dn, name, attributes, members)

    # --- changes

    def _changes(self) -> Iterator[str]:
        for each in self._random.sample(self._people, min(len(self._people), 2)):
            yield f"{line('dn', each)}changetype: delete\n"
        for number, each in enumerate(self._random.sample(self._people, min(len(self._people), 2))):
            rdn = line("newrdn", f"cn=Renamed {number}")
            superior = line("newsuperior", f"ou=sub,{self._place.users_base}")
            tail = superior if self._random.random() < 0.5 else ""
            yield f"{line('dn', each)}changetype: modrdn\n{rdn}deleteoldrdn: 0\n{tail}"
        for each in self._random.sample(self._groups, 1):
            rdn = line("newrdn", "cn=Renamed group")
            yield f"{line('dn', each)}changetype: modrdn\n{rdn}deleteoldrdn: 0\n"
        for each in self._random.sample(self._groups, 1):
            yield f"{line('dn', each)}changetype: delete\n"


def _change(dn: str, what: str, name: str, values: Sequence[str]) -> str:
    lines = "".join(line(name, each) for each in values)
    return f"{line('dn', dn)}changetype: modify\n{what}: {name}\n{lines}"


def _escaped(value: str) -> str:
    """Write a value of an RDN (RFC 4514, 2.4)."""
    text = "".join(f"\\{char}" if char in '\\,+"<>;=' else char for char in value)
    return f"\\{text}" if text.startswith(("#", " ")) else text

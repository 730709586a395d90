"""Who is a user, who is in which group, and who may start what: the rules, written anew.

The rules are those of the documentation. What differs between servers is equality of
names (``names``), the attributes in ``_IDS`` and ``_GROUPS``, and primary groups.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from oracle.entries import Entry, Place
from oracle.names import Key, avas, dn_key, is_below, text_key

__all__ = ["Person", "Right", "World", "moment", "why_out"]

_GROUPS = {
    "ad": {"group"},
    "openldap": {
        "groupofnames",
        "groupofmembers",
        "groupofuniquenames",
        "remoteappgroup",
        "posixgroup",
    },
}
_GROUPS["389ds"] = _GROUPS["openldap"]
# slapd stores the classes that it was given, and finds an entry by those above them.
_PERSONS = {"person", "organizationalperson", "inetorgperson", "account"}
_NAMES = {"ad": "sAMAccountName"}
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_IMAGE = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?"
)
_TIME = re.compile(r"(\d{10})(\d\d)?(\d\d)?(?:[.,]\d+)?(Z|[+-]\d{4})")
_FILETIME = datetime(1601, 1, 1, tzinfo=timezone.utc)
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)


@dataclass(frozen=True)
class Right:
    """An image and the policy that it runs under."""

    image: str
    licence: Optional[str] = None
    home: bool = False
    view: bool = False
    startup_data: bool = False
    volume: Optional[str] = None


@dataclass(frozen=True)
class Person:
    """A user: an entry with an identifier and login names."""

    entry: Entry
    key: Key
    id: int
    name: str
    names: frozenset[str]


@dataclass(frozen=True)
class Granted:
    """A grant that can be read, and when it is in effect."""

    entry: Entry
    key: Key
    rights: tuple[Right, ...]
    begins: Optional[datetime]
    ends: Optional[datetime]

    def is_in_effect(self, now: datetime) -> bool:
        began = self.begins is None or self.begins <= now
        return began and (self.ends is None or now <= self.ends)


def moment(text: str) -> Optional[datetime]:
    """Read a Generalized Time (RFC 4517, 3.3.13); None if it is not one."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, minute, second, zone = found.groups()
    try:
        offset = "+0000" if zone == "Z" else zone
        written = f"{hour}{minute or '00'}{second or '00'}{offset}"
        return datetime.strptime(written, "%Y%m%d%H%M%S%z")
    except (ValueError, OverflowError):
        return None


def why_out(entry: Entry, now: datetime) -> Optional[str]:
    """Return the attribute that makes an account disabled or expired; None for a user."""
    for name, ends in _ENDS.items():
        for text in entry.texts(name):
            if ends(text, now):
                return name
    return None


def _past(text: str, now: datetime) -> bool:
    at = moment(text)
    return at is not None and at <= now


def _future(text: str, now: datetime) -> bool:
    at = moment(text)
    return at is not None and at > now


def _is_true(text: str, now: datetime) -> bool:  # noqa: ARG001 -- as the others
    return text.lower() == "true"


def _account_expired(text: str, now: datetime) -> bool:
    return int(text) not in _NEVER and _FILETIME + timedelta(microseconds=int(text) // 10) <= now


def _shadow_expired(text: str, now: datetime) -> bool:
    return int(text) >= 0 and int(text) * 86400 <= now.timestamp()


_ENDS: Mapping[str, Any] = {
    "userAccountControl": lambda text, now: bool(int(text) & 2),  # noqa: ARG005 -- as the others
    "nsAccountLock": _is_true,
    "loginDisabled": _is_true,
    "pwdAccountLockedTime": lambda text, now: text == "000001010000Z",  # noqa: ARG005 -- the same
    "accountExpires": _account_expired,
    "pwdEndTime": _past,
    "krbPrincipalExpiration": _past,
    "shadowExpire": _shadow_expired,
    "pwdStartTime": _future,
}


@dataclass
class World:
    """A directory as the documented rules see it.

    Parameters
    ----------
    place : Place
        Where things are.
    settings : mapping
        Settings of ldapdb that change an answer.
    entries : sequence of Entry
        All of the directory.
    now : datetime
        The time to judge by.
    """

    place: Place
    settings: Mapping[str, Any]
    entries: Sequence[Entry]
    now: datetime
    persons: list[Person] = field(init=False)
    registered: dict[str, Entry] = field(init=False)
    grants: list[Granted] = field(init=False)

    def __post_init__(self) -> None:
        """Sort out the entries."""
        self._keys = {each.dn: self._dn(each.dn) for each in self.entries}
        self.persons = list(self._persons())
        self.registered = dict(self._registered())
        self._groups = list(self._found_groups())
        self.grants = list(self._granted())

    # --- users

    def login_names(self) -> list[str]:
        """Return what users, former users and other accounts log in with, each once."""
        names: dict[str, str] = {}
        for entry in self.entries:
            if entry.classes & _GROUPS[self.place.vendor]:
                continue
            for name in (self._name_attribute, f"{self._name_attribute};lang-fr"):
                for each in entry.texts(name):
                    names.setdefault(text_key(each, self.place.vendor), each)
        return list(names.values())

    def named(self, name: str) -> list[Person]:
        """Return the users who log in with a name."""
        wanted = text_key(name, self.place.vendor)
        return [each for each in self.persons if wanted in each.names]

    def has_own_id(self, person: Person) -> bool:
        return [each.id for each in self.persons].count(person.id) == 1

    def is_listed(self, person: Person) -> bool:
        """Return whether lists have a user: by a name and an id of their own."""
        return self.has_own_id(person) and len(self.named(person.name)) == 1

    def is_found(self, person: Person) -> bool:
        """Return whether a login name finds a user, and nobody else."""
        return any(sum(name in each.names for each in self.persons) == 1 for name in person.names)

    @property
    def found(self) -> list[Person]:
        """The users who can log in; lists may skip them for another name, or for their id."""
        return [each for each in self.persons if self.is_found(each)]

    @property
    def listed(self) -> list[Person]:
        return [each for each in self.persons if self.is_listed(each)]

    def _persons(self) -> Iterator[Person]:
        for entry in self._below("users_base", self.place.users_base):
            if not self._is_person(entry) or why_out(entry, self.now) is not None:
                continue
            name, number = self._name(entry), self._id(entry)
            if name is None or number is None:
                continue
            names = frozenset(text_key(each, self.place.vendor) for each in self._texts(entry))
            yield Person(entry, self._keys[entry.dn], number, name, names)

    def _is_person(self, entry: Entry) -> bool:
        if self.place.vendor == "ad":
            of_persons = entry.texts("objectCategory")[:1]
            return "user" in entry.classes and of_persons[0].lower().startswith("cn=person,")
        extra = {"nsperson"} if self.place.vendor == "389ds" else set()
        return bool(entry.classes & (_PERSONS | extra))

    def _texts(self, entry: Entry) -> list[str]:
        """List login names; a filter on the attribute finds those with options, too."""
        name = self._name_attribute
        return [*entry.texts(name), *entry.texts(f"{name};lang-fr")]

    @property
    def _name_attribute(self) -> str:
        return _NAMES.get(self.place.vendor, "uid")

    def _name(self, entry: Entry) -> Optional[str]:
        """Return an entry's own name: of its RDN, else the only one, else the first."""
        values = sorted(self._texts(entry))
        in_rdn = [
            value for name, value in avas(entry.dn) if name.lower() == self._name_attribute.lower()
        ]
        own = next(iter(in_rdn or values), None)
        return None if own is None or not _is_showable(own) else own

    def _id(self, entry: Entry) -> Optional[int]:
        if self.settings.get("user_id_attribute") == "uidNumber":
            return next((int(each) for each in entry.texts("uidNumber")), None)
        if self.place.vendor == "ad":
            # The order of the bytes is Microsoft's; the text of it is what tools show.
            return uuid.UUID(bytes_le=entry.raw("objectGUID")[0]).int
        name = "entryUUID" if self.place.vendor == "openldap" else "nsUniqueId"
        return int(entry.texts(name)[0].replace("-", ""), 16)

    # --- groups

    def holding(self, person: Person) -> set[Key]:
        """Return the groups and grants that a user is in, to the depth that settings allow."""
        holders = {self._keys[each.entry.dn]: each.entry for each in self.grants}
        holders.update(self._groups)
        groups = {key for key, _ in self._groups}
        reached = {key for key, each in holders.items() if self._has_person(each, person)}
        at_once = set(reached)
        while True:
            handing_on = (reached if self.settings.get("nested_groups", True) else at_once) & groups
            further = {
                key
                for key, each in holders.items()
                if key not in reached and handing_on & self._members(each)
            }
            if not self.settings.get("nested_groups", True):
                # A group of the user's still counts, in grants.
                granted = {self._keys[each.entry.dn] for each in self.grants}
                return at_once | (further & granted)
            if not further:
                return reached
            reached |= further

    def _found_groups(self) -> Iterator[tuple[Key, Entry]]:
        classes = _GROUPS[self.place.vendor] | {"remoteappgrant"}
        for entry in self._below("groups_base", self.place.suffix):
            if entry.classes & classes:
                yield self._keys[entry.dn], entry

    @property
    def _member_attributes(self) -> list[str]:
        given = self.settings.get("group_member_attribute", "member")
        return ["member", *([given] if isinstance(given, str) else given)]

    def _members(self, holder: Entry) -> set[Key]:
        texts = [
            text
            for name in self._member_attributes
            if name.lower() != "memberuid"
            for text in holder.texts(name)
        ]
        return {key for text in texts if (key := dn_key(text, self.place.vendor))}

    def _has_person(self, holder: Entry, person: Person) -> bool:
        if person.key in self._members(holder):
            return True
        if "memberUid" in self._member_attributes:
            # Its matching rule is caseExactIA5Match (RFC 2307), whatever that of uid is.
            named = {*holder.texts("memberUid")} & {*self._texts(person.entry)}
            return any(len(self.named(each)) == 1 for each in named)
        return self.place.vendor == "ad" and _is_primary(person.entry, holder)

    # --- applications and grants

    def rights(self, person: Person) -> dict[Right, Optional[datetime]]:
        """Return what a user may start now, and until when."""
        held: dict[Right, Optional[datetime]] = {}
        for grant in self._held(person):
            if not grant.is_in_effect(self.now):
                continue
            for right in grant.rights:
                if right.image not in self.registered:
                    continue
                ends = held.get(right, grant.ends)
                held[right] = None if ends is None or grant.ends is None else max(ends, grant.ends)
        return held

    def all_rights(self, person: Person) -> set[Right]:
        """Return what a user is granted, whenever and registered or not."""
        return {right for grant in self._held(person) for right in grant.rights}

    def _held(self, person: Person) -> list[Granted]:
        keys = self.holding(person)
        return [each for each in self.grants if each.key in keys]

    def _registered(self) -> Iterator[tuple[str, Entry]]:
        for entry in self._below("applications_base", self.place.applications_base):
            images = entry.raw("remoteAppImage")
            if "remoteappapplication" not in entry.classes or len(images) != 1:
                continue
            for image in filter(_IMAGE.fullmatch, entry.texts("remoteAppImage")):
                yield image, entry

    def _granted(self) -> Iterator[Granted]:
        for entry in self._below("grants_base", self.place.grants_base):
            volumes = entry.texts("remoteAppVolume")
            if "remoteappgrant" not in entry.classes or not all(map(_is_volume, volumes)):
                continue
            begins, ends = (_limit(entry, f"remoteAppNot{each}") for each in ("Before", "After"))
            rights = tuple(
                Right(
                    image,
                    next(iter(entry.texts("remoteAppLicense")), None),
                    home=entry.texts("remoteAppAllowHome") == ["TRUE"],
                    view=entry.texts("remoteAppAllowView") == ["TRUE"],
                    startup_data=entry.texts("remoteAppAllowStartupData") == ["TRUE"],
                    volume=next(iter(volumes), None),
                )
                for image in entry.texts("remoteAppImage")
                if _IMAGE.fullmatch(image)
            )
            yield Granted(entry, self._keys[entry.dn], rights, begins, ends)

    # --- names

    def _below(self, setting: str, default: str) -> Iterator[Entry]:
        base = self._dn(self.settings.get(setting) or default)
        return (each for each in self.entries if is_below(self._keys[each.dn], base))

    def _dn(self, text: str) -> Key:
        key = dn_key(text, self.place.vendor)
        if key is None:
            raise ValueError(f"not a DN: {text!r}")
        return key


def _limit(entry: Entry, name: str) -> Optional[datetime]:
    return next((at for each in entry.texts(name) if (at := moment(each))), None)


def _is_primary(person: Entry, group: Entry) -> bool:
    """Return whether a group is a user's primary group, by the last part of its SID."""
    numbers = [int.from_bytes(each[-4:], "little") for each in group.raw("objectSid")]
    return any(int(each) in numbers for each in person.texts("primaryGroupID"))


def _is_showable(text: str) -> bool:
    return text.isprintable() and not set("<>") & set(text)


def _is_volume(text: str) -> bool:
    parts = text.split(":")
    return len(parts) == 3 and all(parts) and parts[2] in {"ro", "rw"} and _is_showable(text)

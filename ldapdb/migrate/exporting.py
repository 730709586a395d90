"""Moving out: what is in effect, as the host's CSV or as JSON, and entries as LDIF."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import IO, Any, Optional

from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS, read_dn
from ldapdb.errors import InvalidValue
from ldapdb.migrate.csv_source import HEADER
from ldapdb.migrate.policies import SINCE_2_2
from ldapdb.model import Policy
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.ldif import Add
from ldapdb.store import Store
from ldapdb.store.explaining import Way
from ldapdb.store.reading import search_in_pages
from ldapdb.store.reviewing import Review
from ldapdb.syntaxes import as_utc

__all__ = ["BEFORE_2_2", "HEADER", "losses", "read_entries", "write_csv", "write_json"]

# The columns that the host has had before 2.2.
BEFORE_2_2 = tuple(name for name in HEADER if name.partition(".")[2] not in SINCE_2_2)
_EVERYTHING = ("*",)
# What Active Directory keeps itself, and refuses from whoever adds an entry.
_MADE_UP = frozenset(
    {
        "distinguishedname", "dscorepropagationdata", "instancetype", "memberof", "name",
        "objectcategory", "objectguid", "objectsid", "samaccounttype", "usnchanged",
        "usncreated", "whenchanged", "whencreated",
    }
)  # fmt: skip


def write_csv(review: Review, out: IO[str], header: Iterable[str] = HEADER) -> int:
    """Write the host's CSV: one row for each right that is in effect.

    Parameters
    ----------
    review : Review
        Everybody's rights.
    out : text file
        Opened without a translation of line ends.
    header : iterable of str
        `HEADER`, or `BEFORE_2_2`.

    Returns
    -------
    int
        How many rows there are. Rights that differ in nothing that is written are one.
    """
    names = list(header)
    writer = csv.writer(out)
    writer.writerow(names)
    count = 0
    for name, rights in _in_effect(review):
        rows = (_row(name, image, policy) for image, policy, _ in rights)
        for row in dict.fromkeys(tuple(each[name] for name in names) for each in rows):
            writer.writerow(row)
            count += 1
    return count


def _row(user_name: str, image: str, policy: Policy) -> dict[str, str]:
    said = {f"policy.{name}": _cell(value) for name, value in asdict(policy).items()}
    return {"user.name": user_name, "application.image": image, **said}


def _cell(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else value or ""


def write_json(review: Review, out: IO[str]) -> int:
    """Write a list of users with their rights that are in effect, one user a line; count rights."""
    count, before = 0, "[\n"
    for name, rights in _in_effect(review):
        fields = [
            {"image": image, "policy": asdict(policy), "not_after": not_after}
            for image, policy, not_after in rights
        ]
        said = json.dumps({"user": name, "rights": fields}, ensure_ascii=False)
        out.write(f"{before}{said}")
        before = ",\n"
        count += len(fields)
    out.write("[]\n" if before == "[\n" else "\n]\n")
    return count


def _in_effect(review: Review) -> Iterator[tuple[str, list[tuple[str, Policy, Optional[str]]]]]:
    for who in review.people:
        rights = [
            (right.image, right.policy, _end(right.grants, review.at))
            for right in who.rights
            if review.holds(who, right)
        ]
        if rights:
            yield who.user.name, rights


def _end(grants: Iterable[Any], now: float) -> Optional[str]:
    """Say when the last of the grants that are in effect ends; None if one does not."""
    ends = [grant.window.not_after for grant in grants if grant.window.contains(now)]
    if None in ends:
        return None
    return as_utc(max(ends)).isoformat()


def losses(review: Review, header: Optional[Iterable[str]] = None) -> list[str]:
    """Say what rights of each user do not tell.

    Parameters
    ----------
    header : iterable of str, optional
        The columns that are written; None for JSON, which has all fields and the end.
    """
    lost: Counter[str] = Counter()
    used: set[str] = set()
    columns = None if header is None else set(header)
    for who in review.people:
        for right in who.rights:
            if not review.holds(who, right):
                lost["rights that are not in effect now, and are left out"] += 1
                continue
            used.add(right.image)
            if not any(_is_own(way, review.at) for way in right.ways):
                lost["rights that come through groups, and are written as the users' own"] += 1
            if columns is None:
                continue
            if _end(right.grants, review.at) is not None:
                lost["rights that end some day, which is not written"] += 1
            cells = _row("", "", right.policy)
            if any(cells[name] not in ("", "0") for name in cells.keys() - columns):
                lost["rights that lose their licence or their startup data"] += 1
    lost["applications that nobody may start, and that are left out"] = len(review.images - used)
    lost["grants that cannot be read, and are left out (see `ldapdb lint`)"] = sum(
        reason.kind == "unreadable" for reason in review.reasons
    )
    return [f"{what}: {number}" for what, number in sorted(lost.items()) if number]


def _is_own(way: Way, now: float) -> bool:
    return len(way.links) == 1 and way.grant.window.contains(now)


def read_entries(store: Store) -> list[Add]:
    """Read the entries of applications and grants as they are, applications first.

    Returns
    -------
    list of Add
        What makes the same entries, without what a directory makes up itself; each after the
        one that it is below. So there are also the branches that somebody made between these
        and the base that they are found from, which itself is not among them.
    """
    readers, call = store.reading()
    profile = readers.profile
    found: dict[DN, Entry] = {}
    for base, object_class in (
        (profile.applications, APPLICATION_CLASS),
        (profile.grants, GRANT_CLASS),
    ):
        wanted = profile.notation.carrying(object_class)
        entries = search_in_pages(call, base, wanted, _EVERYTHING, profile.page_size, list)
        named = {_dn(entry): entry for entry in entries}
        for dn in {above for each in named for above in _between(each, base.dn)} - named.keys():
            _, branch = call.read(dn, _EVERYTHING)
            named.update((dn, entry) for entry in branch)
        for dn in sorted(named, key=lambda dn: len(dn.rdns)):
            found.setdefault(dn, named[dn])
    return [Add(dn, _attributes(entry, call.values)) for dn, entry in found.items()]


def _between(dn: DN, base: DN) -> Iterator[DN]:
    while len(dn.rdns) > len(base.rdns) + 1:
        dn = dn.parent
        yield dn


def _dn(entry: Entry) -> DN:
    try:
        return read_dn(entry)
    except InvalidValue as error:
        raise InvalidValue(f"the name '{entry.dn}' cannot be read: {error}") from error


def _attributes(entry: Entry, values: Any) -> dict[str, list[bytes]]:
    """Return what is to be written; `values` reads an attribute that was sent in part."""
    written: dict[str, list[bytes]] = {}
    for name, some in entry.attributes.items():
        attribute, _, option = name.partition(";")
        if option.startswith("range="):
            written[attribute] = values(_dn(entry), attribute)
        elif attribute not in _MADE_UP and some:
            written.setdefault(name, [bytes(each) for each in some])
    return written

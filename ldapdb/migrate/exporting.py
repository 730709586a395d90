"""Moving out: what is in effect, as the host's CSV or as JSON, and entries as LDIF."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from typing import IO, Any, Optional

from ldapdb.dn import DN
from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS, Entry
from ldapdb.errors import InvalidValue
from ldapdb.ldif_text import Add
from ldapdb.migrate.csv_source import HEADER
from ldapdb.migrate.policies import SINCE_2_2
from ldapdb.model import Policy
from ldapdb.store import Store
from ldapdb.store.reading import search_in_pages
from ldapdb.store.reviewing import Review

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
    return datetime.fromtimestamp(max(ends), tz=timezone.utc).isoformat()


def losses(review: Review, *, before_2_2: bool) -> list[str]:
    """Say what rows for each user do not tell.

    Parameters
    ----------
    before_2_2 : bool
        Whether the columns are those of the host before 2.2.
    """
    lost: Counter[str] = Counter()
    for who in review.people:
        for right in who.rights:
            if not review.holds(who, right):
                lost["rights are not in effect now, and left out"] += 1
                continue
            if all(len(way.links) > 1 for way in right.ways):
                lost["rights come through groups, and are written as the users' own"] += 1
            if _end(right.grants, review.at) is not None:
                lost["rights end some day, which is not written"] += 1
            policy = right.policy
            if before_2_2 and (policy.app_license or policy.allow_startup_data):
                lost["rights lose their licence or their startup data"] += 1
    unreadable = sum(reason.kind == "unreadable" for reason in review.reasons)
    if unreadable:
        lost["grants cannot be read, and are left out (see `ldapdb lint`)"] = unreadable
    return [f"{number} {what}" for what, number in lost.items()]


def read_entries(store: Store) -> list[Add]:
    """Read the entries of applications and grants as they are, applications first.

    Returns
    -------
    list of Add
        What makes the same entries, without what a directory makes up itself.
    """
    readers, call = store.reading()
    profile = readers.profile
    found: dict[DN, Entry] = {}
    for base, object_class in (
        (profile.applications, APPLICATION_CLASS),
        (profile.grants, GRANT_CLASS),
    ):
        wanted = profile.notation.carrying(object_class)
        for entry in search_in_pages(call, base, wanted, _EVERYTHING, profile.page_size, list):
            found.setdefault(_dn(entry), entry)
    return [Add(dn, _attributes(entry, call.values)) for dn, entry in found.items()]


def _dn(entry: Entry) -> DN:
    try:
        return DN.parse(entry.dn)
    except ValueError as error:
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

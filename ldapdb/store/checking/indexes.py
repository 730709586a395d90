"""Whether the searches that ldapdb makes most are quick, by the server's indexes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ldapdb.client.probing import search_once
from ldapdb.entries import APPLICATION_CLASS, IMAGE, MEMBER
from ldapdb.protocol import filters
from ldapdb.protocol.codec import NO_ATTRIBUTES, SUBTREE, Search
from ldapdb.protocol.entry import OBJECT_CLASS
from ldapdb.protocol.filters import Filter
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked, warning
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.profile import Base, Profile

__all__ = ["check_indexes", "missing_of"]

_CHECK = "indexes"
_TRIALS = 3
# A call makes several of them.
_SLOW_SHARE = 1 / 50
# What nobody has: an index says so at once, and without one every entry is looked at.
_ABSENT_IMAGE = "ldapdb/check-absent:0"
_ABSENT_NAME = "ldapdb-check-absent"


def check_indexes(visit: Visit) -> Iterator[Finding]:
    """Read the server's list of indexes, where the account may; time the searches in any case."""
    wanted = _attributes(visit.profile)
    indexed = visit.kind.indexed(wanted)
    if indexed is None:
        yield unchecked(
            _CHECK, visit.uri,
            f"this account may not read the server's list of indexes, which is to have "
            f"{', '.join(wanted)}; the searches are timed below", visit.kind.show_indexes(),
        )  # fmt: skip
    else:
        missing = missing_of(wanted, indexed)
        for name in missing:
            text = f"{name} has no index for equality, so that searches for it read all entries"
            yield warning(_CHECK, visit.uri, text, visit.kind.add_index(name))
        if not missing:
            yield ok(_CHECK, visit.uri, f"{', '.join(wanted)} are indexed")
    for name, base, search_filter in _searches(visit.profile):
        yield _timed(visit, name, base, search_filter)


def missing_of(wanted: tuple[str, ...], indexed: frozenset[str]) -> list[str]:
    """List the attributes that have no index."""
    return [name for name in wanted if name.lower() not in indexed]


def _attributes(profile: Profile) -> tuple[str, ...]:
    names = [*profile.user_name_attributes, profile.user_id_attribute]
    if profile.in_chain_rule is None:
        names += profile.member_attributes
    if profile.notation.needs_schema:
        names.append(IMAGE)
    return tuple(dict.fromkeys([OBJECT_CLASS, *names]))


# --- how long it takes


def _searches(profile: Profile) -> Iterator[tuple[str, Base, Filter]]:
    for base in profile.users:
        named = filters.any_of(
            *(filters.equal(name, _ABSENT_NAME) for name in profile.user_name_attributes)
        )
        yield "a user's name", base, filters.all_of(profile.users_filter, named)
    nobody = str(profile.users[0].dn.child("cn", _ABSENT_NAME))
    if profile.in_chain_rule is not None:
        member = filters.matches(MEMBER, profile.in_chain_rule, nobody)
    else:
        member = filters.any_of(
            *(filters.equal(name, nobody) for name in profile.member_attributes)
        )
    yield "a member", profile.groups, member
    image = profile.notation.of_images(APPLICATION_CLASS, [_ABSENT_IMAGE])
    yield "an image", profile.applications, image


def _timed(visit: Visit, name: str, base: Base, search_filter: Filter) -> Finding:
    search = Search(str(base.dn), SUBTREE, search_filter, NO_ATTRIBUTES)
    best = min(_seconds(visit, search) for _ in range(_TRIALS))
    subject, milliseconds = f"searching {name}", best * 1000
    limit = visit.settings.operation_timeout_seconds
    if best < limit * _SLOW_SHARE:
        return ok(subject, visit.uri, f"{milliseconds:.1f} ms for one that is not there")
    text = (
        f"{milliseconds:.0f} ms for one that is not there, as if all entries were read: "
        f"{search_filter}"
    )
    if best > limit / 2:
        more = f"; a call may take {limit:g} s in all (operation_timeout_seconds)"
        return problem(subject, visit.uri, text + more, visit.kind.show_indexes())
    return warning(subject, visit.uri, text, visit.kind.show_indexes())


def _seconds(visit: Visit, search: Search) -> float:
    began = time.perf_counter()
    visit.run(lambda session, deadline: search_once(session, deadline, search))
    return time.perf_counter() - began

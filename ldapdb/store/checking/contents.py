"""What the account sees: the bases, users, groups, applications and grants, all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS, MEMBER, MEMBER_UID
from ldapdb.errors import (
    AccessDenied,
    BaseNotFound,
    DeadlineExceeded,
    IncompleteResult,
    NoSuchEntry,
)
from ldapdb.protocol import filters
from ldapdb.protocol.codec import NO_ATTRIBUTES
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.store.checking.findings import Finding, ok, problem
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.profile import Base
from ldapdb.store.reading import require_base

__all__ = ["check_bases", "check_contents"]

_MEMBERS = (MEMBER, "uniqueMember", MEMBER_UID)
# Ids that several users have, and that are named.
_MOST = 10


def check_bases(visit: Visit) -> Iterator[Finding]:
    """See that each base of the settings is there."""
    profile = visit.profile
    bases = [profile.base, profile.applications, profile.grants, *profile.users, profile.groups]
    for base in {each.dn: each for each in bases}.values():
        try:
            require_base(visit.call(), base)
        except BaseNotFound as error:
            yield _baseless(visit, base, error)
        else:
            yield ok("tree", visit.uri, f"{base.setting} '{base.dn}' is there")


def _baseless(visit: Visit, base: Base, error: BaseNotFound) -> Finding:
    """Say that a base is not there; no tree is advised where there is one of another name."""
    if base.setting not in ("base_dn", "applications_base", "grants_base"):
        text = f"{error} (`ldapdb init` does not make {base.setting})"
        remedy = visit.kind.search(visit.context, "(objectClass=organizationalUnit)", "dn")
        return problem("tree", visit.uri, text, remedy)
    carrying = visit.profile.notation.carrying
    ours = filters.any_of(carrying(APPLICATION_CLASS), carrying(GRANT_CLASS))
    with suppress(NoSuchEntry, AccessDenied):
        if visit.call().sees(visit.context, ours):
            text = f"{error}; there are applications or grants elsewhere: correct {base.setting}"
            return problem(
                "tree", visit.uri, text, visit.kind.search(visit.context, str(ours), "dn")
            )
    text = f"{error}; look at {base.setting} first: `ldapdb init` makes a tree by whatever name"
    return problem("tree", visit.uri, text, "ldapdb init")


@dataclass(frozen=True)
class _Kind:
    name: str
    bases: Sequence[Base]
    search_filter: Filter
    must_be: bool
    # What an entry must have besides to be read as one.
    has: Sequence[str] = ()
    # The attribute that must be unique, and the entries that have each value of it.
    identifier: str = ""
    having: dict[bytes, set[str]] = field(default_factory=dict)

    def count(self, page: Sequence[Entry]) -> list[int]:
        """Count the entries of a page, and note their identifiers."""
        for entry in page:
            for value in entry.attributes.get(self.identifier.lower(), ()):
                self.having.setdefault(bytes(value), set()).add(entry.dn)
        return [len(page)]

    @property
    def wanted(self) -> Filter:
        """What is read."""
        if not self.has:
            return self.search_filter
        named = filters.any_of(*map(filters.present, self.has))
        return filters.all_of(self.search_filter, named)


def check_contents(visit: Visit) -> Iterator[Finding]:
    """Count what ldapdb reads, in pages to the end, as it does itself."""
    profile = visit.profile
    carrying = profile.notation.carrying
    names, identifier = profile.user_name_attributes, profile.user_id_attribute
    for kind in (
        _Kind(
            "users",
            profile.users,
            profile.users_filter,
            must_be=True,
            has=names,
            identifier=identifier,
        ),
        _Kind("groups", (profile.groups,), profile.groups_filter, must_be=False),
        _Kind("applications", (profile.applications,), carrying(APPLICATION_CLASS), must_be=False),
        _Kind("grants", (profile.grants,), carrying(GRANT_CLASS), must_be=False),
    ):
        yield _count(visit, kind)
        yield from _shared_ids(visit, kind)
    yield from _memberless(visit)


def _shared_ids(visit: Visit, kind: _Kind) -> Iterator[Finding]:
    """Name the users who share an id."""
    shared = [sorted(dns) for dns in kind.having.values() if len(dns) > 1]
    for dns in shared[:_MOST]:
        text = (
            f"{' and '.join(map(repr, dns))} have the same {kind.identifier} (user_id_attribute): "
            "lists skip these users, and the id finds none of them; change it in all but one"
        )
        remedy = visit.kind.search(kind.bases[0].dn, str(kind.wanted), kind.identifier)
        yield problem(f"reading {kind.name}", visit.uri, text, remedy)


def _memberless(visit: Visit) -> Iterator[Finding]:
    """See that groups keep their members where the settings say; member counts in any case."""
    profile = visit.profile
    attribute = MEMBER_UID if profile.member_names else profile.member_attributes[-1]
    if attribute == MEMBER:
        return
    base, carrying = profile.groups, profile.notation.carrying
    theirs = filters.none_of(carrying(APPLICATION_CLASS), carrying(GRANT_CLASS))
    groups = filters.all_of(profile.groups_filter, theirs)
    kept = filters.all_of(groups, filters.present(attribute))
    if not visit.call().sees(base.dn, groups) or visit.call().sees(base.dn, kept):
        return
    text = (
        f"no group below '{base.dn}' is seen to have {attribute} (group_member_attribute), so that "
        "none has a member by it; correct that, or let this account read it"
    )
    remedy = visit.kind.search(base.dn, str(profile.groups_filter), *_MEMBERS)
    yield problem("reading groups", visit.uri, text, remedy)


def _count(visit: Visit, kind: _Kind) -> Finding:
    check = f"reading {kind.name}"
    size = visit.profile.page_size
    attributes = (kind.identifier,) if kind.identifier else NO_ATTRIBUTES
    began = time.perf_counter()
    call = visit.call()
    try:
        count = sum(
            sum(call.search_all(base.dn, kind.wanted, attributes, size, kind.count))
            for base in kind.bases
        )
    except IncompleteResult as error:
        return problem(check, visit.uri, str(error), visit.kind.lift_limits())
    except DeadlineExceeded:
        require_base(visit.call(), visit.profile.base)  # it answers, if slowly
        seconds = visit.settings.operation_timeout_seconds
        text = f"they cannot be read within {seconds:g} s (operation_timeout_seconds)"
        return problem(check, visit.uri, text, "export LDAPDB_OPERATION_TIMEOUT_SECONDS=30")
    seconds = time.perf_counter() - began
    places = " or ".join(f"'{base.dn}'" for base in kind.bases)
    wrong = None if count else _none(visit, call, kind, places)
    return wrong or ok(
        check, visit.uri, f"{count} below {places}, in {_pages(visit, count)}, {seconds:.2f} s"
    )


def _none(visit: Visit, call: Call, kind: _Kind, places: str) -> Optional[Finding]:
    """Say why nothing was found, where there is or must be something."""
    check, dn = f"reading {kind.name}", kind.bases[0].dn
    if hidden := _hidden(call, kind.bases):
        return problem(check, visit.uri, hidden, visit.kind.let_read(dn))
    if kind.has and any(call.sees(base.dn, kind.search_filter) for base in kind.bases):
        return _nameless(visit, kind, places)
    if not kind.must_be:
        return None
    if locks := _hidden_locks(visit, kind.bases):
        return problem(check, visit.uri, locks, visit.kind.let_read(dn))
    text = f"none is seen below {places} within {kind.search_filter}"
    remedy = visit.kind.search(dn, str(kind.search_filter), "dn")
    return problem(check, visit.uri, f"{text}; correct users_base or users_filter", remedy)


def _nameless(visit: Visit, kind: _Kind, places: str) -> Finding:
    """Say that there are entries, and none that is read, for want of an attribute."""
    text = (
        f"no entry within {kind.search_filter} below {places} is seen to have "
        f"{' or '.join(kind.has)} (user_name_attribute), so that nobody can log in; correct that, "
        "or let this account read it"
    )
    usual = dict.fromkeys((visit.profile.vendor.user_name_attribute, "cn", "mail"))
    remedy = visit.kind.search(kind.bases[0].dn, str(kind.search_filter), *usual)
    return problem(f"reading {kind.name}", visit.uri, text, remedy)


def _pages(visit: Visit, count: int) -> str:
    pages = max(-(-count // visit.profile.page_size), 1)
    return "one page" if pages == 1 else f"{pages} pages of {visit.profile.page_size}"


def _hidden(call: Call, bases: Sequence[Base]) -> str:
    """Say where there is something below a base that the account is not shown, if so."""
    attribute = call.root_dse().vendor.subordinates_attribute
    for base in bases:
        _, entries = call.read(base.dn, (attribute,))
        says = {each.value(attribute) or "0" for each in entries}
        if says - {"0", "FALSE"} and not call.sees_below(base.dn):
            return (
                f"there are entries below '{base.dn}' ({base.setting}), and this account is shown "
                "none of them; give it the right to read them"
            )
    return ""


def _hidden_locks(visit: Visit, bases: Sequence[Base]) -> str:
    """Say that there are users, and none that is seen not to be locked, if so."""
    profile = visit.profile
    if profile.users_filter == profile.people_filter or not any(
        visit.call().sees(base.dn, profile.people_filter) for base in bases
    ):
        return ""
    return (
        f"there are users, and none of whom this account sees that he is not locked, by "
        f"{profile.vendor.lock_filter}; give it the right to read what that asks for"
    )

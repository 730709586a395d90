"""What the account sees: the bases, users, groups, applications and grants, all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ldapdb import filters
from ldapdb.connection import Call
from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS
from ldapdb.errors import BaseNotFound, DeadlineExceeded, IncompleteResult
from ldapdb.filters import Filter
from ldapdb.searching import NO_ATTRIBUTES
from ldapdb.store.checking.findings import Finding, ok, problem
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.profile import Base
from ldapdb.store.reading import require_base

__all__ = ["check_bases", "check_contents"]


def check_bases(visit: Visit) -> Iterator[Finding]:
    """See that each base of the settings is there."""
    profile = visit.profile
    bases = [profile.base, profile.applications, profile.grants, *profile.users, profile.groups]
    for base in {each.dn: each for each in bases}.values():
        ours = base.setting in ("base_dn", "applications_base", "grants_base")
        try:
            require_base(visit.call(), base)
        except BaseNotFound as error:
            remedy = "ldapdb init" if ours else visit.kind.search(base.dn, "(objectClass=*)", "dn")
            yield problem("tree", visit.uri, str(error), remedy)
        else:
            yield ok("tree", visit.uri, f"{base.setting} '{base.dn}' is there")


@dataclass(frozen=True)
class _Kind:
    name: str
    bases: Sequence[Base]
    search_filter: Filter
    must_be: bool


def check_contents(visit: Visit) -> Iterator[Finding]:
    """Count what ldapdb reads, in pages to the end, as it does itself."""
    profile = visit.profile
    carrying = profile.notation.carrying
    for kind in (
        _Kind("users", profile.users, profile.users_filter, must_be=True),
        _Kind("groups", (profile.groups,), profile.groups_filter, must_be=False),
        _Kind("applications", (profile.applications,), carrying(APPLICATION_CLASS), must_be=False),
        _Kind("grants", (profile.grants,), carrying(GRANT_CLASS), must_be=False),
    ):
        yield _count(visit, kind)


def _count(visit: Visit, kind: _Kind) -> Finding:
    check = f"reading {kind.name}"
    size = visit.profile.page_size
    began = time.perf_counter()
    call = visit.call()
    try:
        count = sum(
            sum(call.search_all(base.dn, kind.search_filter, NO_ATTRIBUTES, size, _counted))
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
    if not count and (hidden := _hidden(call, kind.bases)):
        return problem(check, visit.uri, hidden, visit.kind.let_read(kind.bases[0].dn))
    places = " or ".join(f"'{base.dn}'" for base in kind.bases)
    if not count and kind.must_be and (locks := _hidden_locks(visit, kind.bases)):
        return problem(check, visit.uri, locks, visit.kind.let_read(kind.bases[0].dn))
    if not count and kind.must_be:
        text = f"none is seen below {places} within {kind.search_filter}"
        remedy = visit.kind.search(kind.bases[0].dn, str(kind.search_filter), "dn")
        return problem(check, visit.uri, f"{text}; correct users_base or users_filter", remedy)
    return ok(
        check, visit.uri, f"{count} below {places}, in {_pages(visit, count)}, {seconds:.2f} s"
    )


def _counted(page: Sequence[object]) -> list[int]:
    return [len(page)]


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
    vendor = visit.profile.vendor
    locked_or_not = filters.parse(vendor.users_filter)
    if visit.profile.users_filter != filters.all_of(
        locked_or_not, filters.parse(vendor.lock_filter)
    ) or not any(visit.call().sees(base.dn, locked_or_not) for base in bases):
        return ""
    return (
        f"there are users, and none of whom this account sees that he is not locked, by "
        f"{vendor.lock_filter}; give it the right to read what that asks for"
    )

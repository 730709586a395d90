"""What nobody should see: others' passwords, and licences without logging in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Optional

from ldapdb import filters
from ldapdb.connection.probing import search_once
from ldapdb.connection.session import Answer
from ldapdb.dn import DN
from ldapdb.entries import DESCRIPTION, GRANT_CLASS, LICENSE, Entry, read_dn
from ldapdb.errors import DirectoryUnavailable, InvalidValue, LDAPDBError
from ldapdb.filters import Filter
from ldapdb.searching import SUBTREE, Page, Search
from ldapdb.store.checking.findings import Finding, ok, problem, warning
from ldapdb.store.checking.kinds.kind import PASSWORD
from ldapdb.store.checking.visiting import Use, Visit

__all__ = ["check_anonymous", "check_passwords"]

_FIRST = Page(100)


def check_passwords(visit: Visit) -> Iterator[Finding]:
    """See that the account reads nobody's password but its own."""
    check, profile = "passwords", visit.profile
    own = _names(visit)
    for base in profile.users:
        wanted = filters.all_of(profile.users_filter, filters.present(PASSWORD))
        others = [
            each
            for each in _some(visit.run, base.dn, wanted, PASSWORD)
            if each.values and not each.is_of(own)
        ]
        if others:
            yield warning(
                check,
                visit.uri,
                f"this account reads what {others[0].entry.dn} and others log in with "
                f"({PASSWORD}), which ldapdb never needs; take that right away, or use an "
                "account without it",
                visit.kind.hide_passwords(),
            )
            return
    yield ok(check, visit.uri, "this account is shown nobody's password")


def check_anonymous(visit: Visit) -> Iterator[Finding]:
    """See that whoever has not logged in sees neither grants nor licences."""
    check = "anonymous"
    if visit.settings.authentication == "anonymous":
        return  # the log-in's line says so
    grants = _seen_by_nobody(visit)
    read = [_licences(visit, each.entry) for each in grants]
    if any(read):
        yield problem(
            check,
            visit.uri,
            "whoever can reach the server reads the licences in grants, without logging in",
            visit.kind.shut_out(visit.profile.grants.dn),
        )
    elif grants:
        yield warning(
            check,
            visit.uri,
            "whoever can reach the server reads who may start what, without logging in",
            visit.kind.shut_out(visit.profile.grants.dn),
        )
    else:
        yield ok(check, visit.uri, "without logging in, no grant is seen")


class _Seen:
    """An entry as it was seen, and whether what was asked for is in it."""

    def __init__(self, entry: Entry, attributes: tuple[str, ...]) -> None:
        self.entry = entry
        self.values = any(entry.attributes.get(name.lower()) for name in attributes)

    def is_of(self, names: Collection[DN]) -> bool:
        """Tell whether it is the entry of one of some names; none has one that cannot be read."""
        with contextlib.suppress(InvalidValue):
            return read_dn(self.entry) in names
        return False


def _names(visit: Visit) -> list[DN]:
    """List the names that the account has; Active Directory says one that is no DN."""
    names = []
    for text in (visit.account, visit.settings.bind_dn or ""):
        with contextlib.suppress(ValueError):
            names.append(DN.parse(text))
    return [each for each in names if each.rdns]


def _seen_by_nobody(visit: Visit) -> list[_Seen]:
    """Return grants that are seen without logging in, by whatever way that is.

    A server may refuse an anonymous bind and answer whoever sends none; it may refuse pages,
    and send as many as there are, or as it likes.
    """
    carrying = visit.profile.notation.carrying(GRANT_CLASS)
    base, attributes = visit.profile.grants.dn, (LICENSE, DESCRIPTION)
    with contextlib.closing(visit.as_nobody()) as nobody:
        for run in (nobody.run, visit.unbound):
            for page in (_FIRST, None):
                try:
                    seen = _some(run, base, carrying, *attributes, page=page)
                except DirectoryUnavailable:
                    raise
                except LDAPDBError:
                    break  # it lets nobody in
                if seen:
                    return seen
    return []


def _some(
    run: Callable[[Use[Answer]], Answer],
    base: DN,
    wanted: Filter,
    *attributes: str,
    page: Optional[Page] = _FIRST,
) -> list[_Seen]:
    """Return the first page of what is found; nothing where the base is hidden."""
    search = Search(str(base), SUBTREE, wanted, attributes, page)
    entries, _, _ = run(lambda session, deadline: search_once(session, deadline, search))
    return [_Seen(each, attributes) for each in entries]


def _licences(visit: Visit, entry: Entry) -> bool:
    with contextlib.suppress(InvalidValue):
        return bool(visit.profile.notation.read(entry).attributes.get(LICENSE.lower()))
    return False

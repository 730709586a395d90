"""What few accounts may see: passwords of others, grants, and the licences in them."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Optional

from ldapdb.client.probing import search_once
from ldapdb.client.session import Answer
from ldapdb.entries import DESCRIPTION, GRANT_CLASS, LICENSE, read_dn
from ldapdb.errors import DirectoryUnavailable, InvalidValue, LDAPDBError
from ldapdb.protocol import filters
from ldapdb.protocol.codec import SUBTREE, Page, Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import OBJECT_CLASS, Entry
from ldapdb.protocol.filters import Filter
from ldapdb.settings import SecretStr
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked, warning
from ldapdb.store.checking.kinds.kind import PASSWORD
from ldapdb.store.checking.visiting import Use, Visit
from ldapdb.store.sources import Noted
from ldapdb.store.users import Users

__all__ = ["Ordinary", "check_anonymous", "check_ordinary", "check_passwords"]

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
    is_nobody = visit.settings.authentication == "anonymous"
    grants = _seen_by_nobody(visit)
    if any(_licences(visit, each.entry) for each in grants):
        yield problem(
            check,
            visit.uri,
            "whoever can reach the server reads the licences in grants, without logging in",
            _hide(visit) if is_nobody else visit.kind.shut_out(visit.profile.grants.dn),
        )
    elif is_nobody:
        return  # the log-in's line says so
    elif grants:
        yield warning(
            check,
            visit.uri,
            "whoever can reach the server reads who may start what, without logging in",
            visit.kind.shut_out(visit.profile.grants.dn),
        )
    else:
        yield ok(check, visit.uri, "without logging in, no grant is seen")


@dataclass
class Ordinary:
    """A user of whom it is looked at what users can read.

    Parameters
    ----------
    name : str
        As at a log-in.
    password : SecretStr
        The user's. It is tried on one server after the other, until one rejects it.
    is_rejected : bool
        Whether a server has: another attempt might lock the account.
    """

    name: str
    password: SecretStr
    is_rejected: bool = False


def check_ordinary(visit: Visit, who: Ordinary) -> Iterator[Finding]:
    """See that an ordinary user reads no licence in grants."""
    check, name = "as user", who.name
    user = Users(visit.profile, Noted(), time.time).by_name(visit.call(), name)
    if user is None:
        text = f"no user who may log in has the name {name!r}; give the name of another one"
        remedy = f"ldapdb user show {shlex.quote(name)}"
        yield problem(check, visit.uri, text, remedy)
        return
    if who.is_rejected:
        text = f"another server rejected the password of {name!r}; it is not tried again"
        yield unchecked(check, visit.uri, text)
        return
    try:
        with contextlib.closing(visit.as_account(user.dn, who.password)) as theirs:
            grants = _seen(visit, theirs.run)
    except DirectoryUnavailable:
        raise
    except LDAPDBError as error:
        who.is_rejected = True
        text = f"cannot log in as {name!r}, '{user.dn}': {error}"
        yield problem(check, visit.uri, text, f"ldapdb check --as-user {shlex.quote(name)}")
        return
    licensed = next((each.entry.dn for each in grants if _licences(visit, each.entry)), None)
    if licensed is None:
        text = f"logged in as {name!r}, no licence is seen; grants that are seen: {len(grants)}"
        yield ok(check, visit.uri, text)
        return
    text = (
        f"{name!r} reads the licence in '{licensed}', and so may every user; the command leaves "
        "licences to this account: let the account that grants read them as well"
    )
    yield problem(check, visit.uri, text, _hide(visit))


def _hide(visit: Visit) -> str:
    """Write how licences are hidden from all but our account, which must be one."""
    if not visit.account:
        return visit.kind.load("services.ldif")
    notation = visit.profile.notation
    attribute = LICENSE if notation.needs_schema else DESCRIPTION
    return visit.kind.hide_licences(visit.profile.grants.dn, attribute)


class _Seen:
    """An entry as it was seen, and whether what was asked for is in it."""

    def __init__(self, entry: Entry, attributes: tuple[str, ...]) -> None:
        self.entry = entry
        self.values = any(map(entry.raw, attributes))

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
    with contextlib.closing(visit.as_nobody()) as nobody:
        for run in (nobody.run, visit.unbound):
            try:
                seen = _seen(visit, run)
            except DirectoryUnavailable:
                raise
            except LDAPDBError:
                continue  # it lets nobody in
            if seen:
                return seen
    return []


def _seen(visit: Visit, run: Callable[[Use[Answer]], Answer]) -> list[_Seen]:
    """Return some of the grants that are seen, those with a licence first."""
    notation, base = visit.profile.notation, visit.profile.grants.dn
    for page in (_FIRST, None):
        seen = [
            each
            for wanted in (notation.licensed(), notation.carrying(GRANT_CLASS))
            for each in _some(run, base, wanted, OBJECT_CLASS, LICENSE, DESCRIPTION, page=page)
        ]
        if seen:
            return list({each.entry.dn: each for each in seen}.values())
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
        return bool(visit.profile.notation.read(entry).raw(LICENSE))
    return False

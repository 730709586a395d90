"""The searches that ldapdb makes, for its peers to make the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.data import SUFFIX, USERS, dn_of
from ldapdb import LDAPDatabase
from ldapdb.entries import GRANT_ATTRIBUTES

__all__ = ["PAGE_SIZE", "Search", "check", "of_all", "of_grants", "of_user"]

PAGE_SIZE = 500
_PERSON = "(|(objectClass=person)(objectClass=account))"
_GROUP = (
    "(|(|(objectClass=groupOfNames)(objectClass=groupOfMembers)(objectClass=groupOfUniqueNames)"
    "(objectClass=remoteAppGroup)(objectClass=posixGroup))(objectClass=remoteAppGrant))"
)


@dataclass(frozen=True)
class Search:
    """One search of a subtree.

    Parameters
    ----------
    base, search_filter : str
        Where, and for what.
    attributes : tuple of str
        What is read.
    """

    base: str
    search_filter: str
    attributes: tuple[str, ...]


def of_user(name: str) -> Search:
    """Search for one user by name."""
    return Search(USERS, f"(&{_PERSON}(uid={name}))", ("uid", "entryUUID"))


def of_all() -> Search:
    """Search for all users, in pages of :data:`PAGE_SIZE`."""
    return Search(USERS, f"(&{_PERSON}(uid=*))", ("uid", "entryUUID"))


def of_grants(name: str) -> Search:
    """Search for the grants of one user."""
    return Search(SUFFIX, f"(&{_GROUP}(member={dn_of(name)}))", GRANT_ATTRIBUTES)


class _Seen(logging.Handler):
    """Collects base and filter of each search that ldapdb logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.searches: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("search base=") and isinstance(record.args, tuple):
            base, _, search_filter = map(str, record.args[:3])
            self.searches.append((base, search_filter))


def check(database: LDAPDatabase, name: str) -> None:
    """See that ldapdb does search as is written here; it must not know the user yet.

    Raises
    ------
    RuntimeError
        If it searches for something else by now: what is measured would not be the same.
    """
    user = None

    def get_user() -> None:
        nonlocal user
        user = database.get_user(user_name=name)

    expected: list[tuple[Callable[[], object], Search]] = [
        (get_user, of_user(name)),
        (lambda: database.get_accounting_for_user(user), of_grants(name)),
        (database.list_users, of_all()),
    ]
    log = logging.getLogger("ldapdb.client.reads")
    for call, search in expected:
        seen = _Seen()
        log.addHandler(seen)
        level, log.propagate = log.level, False
        log.setLevel(logging.DEBUG)
        try:
            call()
        finally:
            log.removeHandler(seen)
            log.setLevel(level)
            log.propagate = True
        if (search.base, search.search_filter) != seen.searches[0]:
            raise RuntimeError(
                f"ldapdb searches for {seen.searches[0]}, and its peers for {search}: "
                "benchmarks/searches.py must say the same"
            )

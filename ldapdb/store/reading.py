"""What all readers of entries share: errors that name the setting, and one warning each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Optional, TypeVar

from cachetools import LRUCache

from ldapdb.client import Call
from ldapdb.errors import BaseNotFound, InvalidValue, LDAPDBError, NoSuchEntry
from ldapdb.protocol.codec import NO_ATTRIBUTES, SUBTREE, Page, Search
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter
from ldapdb.shared import LOCK, Kept
from ldapdb.store.profile import Base
from ldapdb.wellformed import one_line

__all__ = ["Warned", "batches", "query", "require_base", "search", "search_in_pages"]

log = logging.getLogger(__name__)

T = TypeVar("T")

# Values in one filter. Servers take thousands; a few hundred keep one request small.
_BATCH = 200


def search(
    call: Call,
    base: Base,
    search_filter: Filter,
    attributes: Sequence[str],
    page_size: int = 0,
) -> list[Entry]:
    """Search a base of the settings.

    Parameters
    ----------
    page_size : int
        Entries in a page, for a result of any size; 0 for a handful of entries, without
        the paging control.

    Raises
    ------
    BaseNotFound
        If the base is not there or hidden, with the setting it comes from.
    """
    if page_size:
        return search_in_pages(call, base, search_filter, attributes, page_size, list)
    with _naming(base):
        entries = call.search(base.dn, search_filter, attributes)
    if not entries:
        _see(call, base)
    return entries


def search_in_pages(
    call: Call,
    base: Base,
    search_filter: Filter,
    attributes: Sequence[str],
    page_size: int,
    take: Callable[[list[Entry]], list[T]],
) -> list[T]:
    """Search a base of the settings, and keep what `take` makes of each page.

    Raises
    ------
    BaseNotFound
        As :func:`search`.
    """
    with _naming(base):
        taken = call.search_all(base.dn, search_filter, attributes, page_size, take)
    if not taken:
        _see(call, base)
    return taken


@contextmanager
def _naming(base: Base) -> Iterator[None]:
    try:
        yield
    except NoSuchEntry as error:
        raise _not_found(base, error.server, error.result_code) from error


def _see(call: Call, base: Base) -> None:
    """See that a base in which nothing was found is there, once, where that may mean hidden."""
    if not base.is_visible and call.root_dse().vendor.hides_silently:
        require_base(call, base)
        base.is_visible = True


def query(
    base: Base, search_filter: Filter, attributes: Sequence[str], page_size: int = 0
) -> Search:
    """Write down what :func:`search` sends first, to ask it ahead."""
    page = Page(page_size) if page_size else None
    return Search(str(base.dn), SUBTREE, search_filter, tuple(attributes), page)


def require_base(call: Call, base: Base) -> None:
    """See that a base is there, and that the account may see it.

    Raises
    ------
    BaseNotFound
        If not, with the setting it comes from.
    """
    try:
        server, entries = call.read(base.dn, NO_ATTRIBUTES)
    except NoSuchEntry as error:
        raise _not_found(base, error.server, error.result_code, _account(call)) from error
    if not entries:
        raise _not_found(base, server, None, _account(call))


def _account(call: Call) -> str:
    """Name the account that the directory takes us for: without a bind_dn, nobody knows."""
    with suppress(LDAPDBError):  # it is for another error's text
        who = call.who_am_i()
        if who is not None:
            name = one_line(who.removeprefix("dn:").strip())
            return f"this account ({name or 'nobody, anonymous'})"
    return "this account"


def _not_found(
    base: Base,
    server: Optional[str],
    result_code: Optional[int],
    account: str = "this account",
) -> BaseNotFound:
    return BaseNotFound(
        f"{base.setting} '{base.dn}' names no entry that {account} can see at {server}; "
        f"correct {base.setting}, run `ldapdb init` if the tree is not made yet, or let the "
        "account read it",
        server=server,
        dn=str(base.dn),
        result_code=result_code,
    )


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Cut items into lists that fit into one filter."""
    whole = list(items)
    for start in range(0, len(whole), _BATCH):
        yield whole[start : start + _BATCH]


class Warned:
    """Warnings about entries, each once while its reason lasts.

    A broken grant is met again at every load of every user it concerns; the log says it
    once per entry and reason, so that it is found among other lines.
    """

    def __init__(self) -> None:
        self._said: Kept[LRUCache[tuple[str, str], bool]] = Kept(lambda: LRUCache(10_000))

    def skip(self, dn: object, reason: object) -> None:
        """Warn that an entry is left out."""
        key = one_line(str(dn)), one_line(str(reason))
        with LOCK:
            if key in self._said.whole:
                return
            self._said.change(lambda said: said.__setitem__(key, True))
        log.warning("left out %s: %s", *key)

    def readable(self, entries: Iterable[Entry], read: Callable[[Entry], T]) -> list[T]:
        """Read entries, leaving out with a warning those that cannot be read."""
        values = []
        for entry in entries:
            try:
                values.append(read(entry))
            except InvalidValue as error:
                self.skip(entry.dn, error)
        return values

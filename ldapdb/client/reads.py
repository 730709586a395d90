"""What one public call reads of a directory: searches that share its deadline."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Sequence
from typing import Optional, Protocol, TypeVar, Union
from urllib.parse import unquote, urlsplit

from ldapdb.client.answers import (
    EVERYTHING,
    INVALID_DN_SYNTAX,
    RootDSE,
    inside,
    part_of,
    partial,
    search_error,
)
from ldapdb.client.deadline import Deadline
from ldapdb.client.results import NO_SUCH_OBJECT, SUCCESS
from ldapdb.client.session import Answer, Session
from ldapdb.errors import IncompleteResult, LDAPDBError
from ldapdb.protocol.codec import BASE, LEVEL, NO_ATTRIBUTES, SUBTREE, Page, Search
from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import Filter

__all__ = ["Reads", "Runner", "Use"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Use = Callable[[Session, Deadline], T]

_REFERRAL = 10
_WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"  # RFC 4532


class Runner(Protocol):
    """What a call needs of a directory."""

    def run(self, call: Reads, use: Use[T]) -> tuple[str, T]:
        """Read from the best server that answers; return its URI and the answer."""

    def write(self, call: Reads, use: Use[None]) -> str:
        """Write to the best server that answers; return its URI."""

    def root_dse(self, call: Reads) -> RootDSE:
        """Read the root DSE, once for all calls."""

    @property
    def name_matching(self) -> NameMatching:
        """How the directory compares names; the strictest way until its root DSE was read."""


class Reads:
    """One public call, as far as it reads.

    Parameters
    ----------
    directory : Runner
        Where they go.
    uris : sequence of str
        The servers that may be asked, the preferred one first.
    deadline : Deadline
        When the call ends.

    Attributes
    ----------
    asked : list of str
        The servers that answered its reads, the last one last.
    written : list of str
        The servers that took a write, or may have taken one, the last one last.
    slow : set of str
        Servers that have used up their share of its time; they are asked last from then on.
    """

    def __init__(self, directory: Runner, uris: Sequence[str], deadline: Deadline) -> None:
        self._directory = directory
        self._uris = uris
        self._deadline = deadline
        self.asked: list[str] = []
        self.written: list[str] = []
        self.slow: set[str] = set()
        self._ahead: dict[Search, Union[list[Entry], LDAPDBError]] = {}

    @property
    def uris(self) -> Sequence[str]:
        """The servers that may be asked, in order."""
        return sorted(self._uris, key=self.slow.__contains__) if self.slow else self._uris

    @property
    def deadline(self) -> Deadline:
        """When the call ends."""
        return self._deadline

    def root_dse(self) -> RootDSE:
        """Return what the directory says of itself."""
        return self._directory.root_dse(self)

    def read(
        self, dn: DN, attributes: Sequence[str], search_filter: Filter = EVERYTHING
    ) -> tuple[str, list[Entry]]:
        """Read one entry; return the server asked and a list of one entry or none.

        Raises
        ------
        NoSuchEntry
            If it is not there or may not be seen.
        """
        entries = self._known(dn, BASE, search_filter, attributes)
        if entries is None:
            entries = self._read(
                lambda session, deadline: self._search(
                    session, deadline, dn, BASE, search_filter, attributes, None
                )
            )
        return self.asked[-1], entries

    def search(self, base: DN, search_filter: Filter, attributes: Sequence[str]) -> list[Entry]:
        """Search the subtree of `base` for a handful of entries, in one round trip.

        Raises
        ------
        NoSuchEntry
            If `base` is not there or may not be seen.
        IncompleteResult
            If the server sent a part of the answer only.
        """
        known = self._known(base, SUBTREE, search_filter, attributes)
        if known is not None:
            return known
        return self._read(
            lambda session, deadline: self._search(
                session, deadline, base, SUBTREE, search_filter, attributes, None
            ),
        )

    def search_all(
        self,
        base: DN,
        search_filter: Filter,
        attributes: Sequence[str],
        page_size: int,
        take: Callable[[list[Entry]], list[T]],
    ) -> list[T]:
        """Search the subtree of `base` for any number of entries, in pages (RFC 2696).

        All pages come from one connection; if it breaks, the search begins anew, so that
        the list is whole or there is none.

        Parameters
        ----------
        take : callable
            What to keep of a page, so that not all entries are in memory at a time.

        Raises
        ------
        NoSuchEntry, IncompleteResult
            As :meth:`search`.
        """

        def pages(session: Session, deadline: Deadline) -> list[T]:
            found = self._pages(session, deadline, base, search_filter, attributes, page_size)
            with contextlib.closing(found):
                return [each for page in found for each in take(page)]

        known = self._known(base, SUBTREE, search_filter, attributes, Page(page_size))
        return self._read(pages) if known is None else take(known)

    def ask_ahead(self, searches: Sequence[Search]) -> None:
        """Send searches that are sure to come, all in one round trip.

        Whoever makes one of them then finds its answer here, once, be it that there is no
        such entry. What the server answers with another error, or with a part, is as if it had
        not been asked, so that the one whose search it is says what that means.

        Raises
        ------
        DirectoryUnavailable
            If no server answered.
        """
        began = time.perf_counter()
        answers = self._read(lambda session, deadline: session.search_together(deadline, searches))
        milliseconds = (time.perf_counter() - began) * 1000
        for search, (entries, referred, end) in zip(searches, answers):
            log.debug(
                "search base=%s scope=%s filter=%s: %d entries, result code %d, %d in %.1f ms",
                search.base, search.scope, search.search_filter, len(entries), end.code,
                len(searches), milliseconds,
            )  # fmt: skip
            elsewhere = self._elsewhere(DN.parse(search.base), referred)
            if end.code == SUCCESS and not elsewhere and not end.cookie:
                base = DN.parse(search.base)
                found = inside(entries, self.asked[-1], base, search.scope)
                self._ahead[search] = self._matched(found)
            elif end.code in (NO_SUCH_OBJECT, INVALID_DN_SYNTAX):
                self._ahead[search] = search_error(end, self.asked[-1], search.base)

    def sees(self, base: DN, search_filter: Filter) -> bool:
        """Tell whether anything in the subtree of `base` matches; reads one entry at the most.

        Raises
        ------
        NoSuchEntry
            If `base` is not there or may not be seen.
        """
        return self._first_page(base, SUBTREE, search_filter)

    def sees_below(self, base: DN) -> bool:
        """Tell whether the account is shown anything directly below `base`; as :meth:`sees`."""
        return self._first_page(base, LEVEL, EVERYTHING)

    def _first_page(self, base: DN, scope: int, search_filter: Filter) -> bool:
        # By a page of one and not by a size limit, which Active Directory does not heed.
        return self._read(
            lambda session, deadline: bool(
                self._search(session, deadline, base, scope, search_filter, (), Page(1))
            ),
        )

    def _known(
        self,
        base: DN,
        scope: int,
        search_filter: Filter,
        attributes: Sequence[str],
        page: Optional[Page] = None,
    ) -> Optional[list[Entry]]:
        """Return the answer to a search if it was asked ahead."""
        if not self._ahead:
            return None
        search = Search(str(base), scope, search_filter, tuple(attributes), page)
        known = self._ahead.pop(search, None)
        if isinstance(known, LDAPDBError):
            raise known
        return known

    def _read(self, use: Use[T]) -> T:
        server, answer = self._directory.run(self, use)
        self.asked.append(server)
        return answer

    def _pages(
        self,
        session: Session,
        deadline: Deadline,
        base: DN,
        search_filter: Filter,
        attributes: Sequence[str],
        page_size: int,
    ) -> Generator[list[Entry], None, None]:
        search = Search(str(base), SUBTREE, search_filter, tuple(attributes), Page(page_size))
        with contextlib.closing(session.pages(deadline, search)) as pages:
            began = time.perf_counter()
            for answer in pages:
                yield self._entries(session, base, SUBTREE, search_filter, answer, began)
                began = time.perf_counter()

    def _search(
        self,
        session: Session,
        deadline: Deadline,
        base: DN,
        scope: int,
        search_filter: Filter,
        attributes: Sequence[str],
        page: Optional[Page],
    ) -> list[Entry]:
        began = time.perf_counter()
        answer = session.search(
            deadline, str(base), scope, search_filter, attributes or NO_ATTRIBUTES, page
        )
        return self._entries(session, base, scope, search_filter, answer, began)

    def _entries(
        self,
        session: Session,
        base: DN,
        scope: int,
        search_filter: Filter,
        answer: Answer,
        began: float,
    ) -> list[Entry]:
        """Return the entries of an answer that is whole."""
        entries, referred, end = answer
        if end.code == _REFERRAL:
            raise partial(session.uri, base, end.referrals)
        if end.code != SUCCESS:
            raise search_error(end, session.uri, str(base))
        elsewhere = self._elsewhere(base, referred)
        if elsewhere:
            raise partial(session.uri, base, elsewhere)
        log.debug(
            "search base=%s scope=%s filter=%s: %d entries, %.1f ms",
            base, scope, search_filter, len(entries), (time.perf_counter() - began) * 1000,
        )  # fmt: skip
        return self._matched(inside(entries, session.uri, base, scope))

    def _matched(self, entries: list[Entry]) -> list[Entry]:
        """Let entries know how their directory compares names, once that is known itself."""
        matching = self._directory.name_matching
        if matching is NameMatching.EXACT:
            return entries
        return [Entry(each.dn, each.attributes, matching) for each in entries]

    def _elsewhere(self, base: DN, referred: Sequence[str]) -> list[str]:
        """Return the referrals that lead to a part in which users or groups may be kept.

        Active Directory answers a search of the domain with referrals to its own
        configuration and to the zones of its name service. Which these are, the root DSE tells,
        so one that answers with a referral itself is not asked.
        """
        if not referred or not base.rdns:
            return list(referred)
        partitions = self.root_dse().vendor.partitions
        names = (unquote(urlsplit(uri).path.lstrip("/")) for uri in referred)
        return [
            uri
            for uri, name in zip(referred, names)
            if name.partition(",")[0].strip().lower() not in partitions
        ]

    def who_am_i(self) -> Optional[str]:
        """Ask whom the directory takes us for (RFC 4532).

        Returns
        -------
        str or None
            Such as ``dn:cn=reader,dc=example,dc=org``, empty for nobody; None if it does not
            say.
        """

        def ask(session: Session, deadline: Deadline) -> Optional[str]:
            result = session.extended(deadline, _WHO_AM_I)
            if result["result"] != SUCCESS:
                return None
            return (result.get("responseValue") or b"").decode("utf-8", "replace")

        return self._directory.run(self, ask)[1]

    def values(self, dn: DN, attribute: str) -> list[bytes]:
        """Read all values of an attribute, however many the server sends at a time.

        Active Directory sends 1,500 values and names the attribute ``member;range=0-1499``
        ([MS-ADTS], section 3.1.1.3.1.3.3); the last part has ``*`` for its end.

        Raises
        ------
        NoSuchEntry
            If the entry is not there or may not be seen.
        IncompleteResult
            If a part that was promised is not there.
        """

        def parts(session: Session, deadline: Deadline) -> list[bytes]:
            # All from one server: each keeps an order of its own, and a part of another's
            # would leave members out.
            found: list[bytes] = []
            wanted: Optional[str] = attribute
            while wanted is not None:
                entries = self._search(session, deadline, dn, BASE, EVERYTHING, (wanted,), None)
                values, following = part_of(entries, attribute)
                if values is None and found:
                    raise IncompleteResult(
                        f"the directory at {session.uri} does not send {wanted!r} of '{dn}', which "
                        "it promised; it was changed meanwhile: try again",
                        server=session.uri,
                        dn=str(dn),
                    )
                found += values or ()
                wanted = following
            return found

        return self._read(parts)

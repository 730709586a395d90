"""What a source of changes is, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Optional, Protocol

from ldapdb.client import Stream
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.vendors import Vendor

__all__ = ["Batch", "Change", "Patience", "Scope", "Source"]

# Seconds that a source may wait for news before it yields an empty batch.
Patience = Callable[[], float]


@dataclass(frozen=True)
class Scope:
    """What is watched.

    Every entry below the bases is, whatever it is: a server tells of an entry that no longer
    matches a filter in ways of its own, and of those below a renamed one not at all.

    Parameters
    ----------
    bases : tuple of DN
        Where; none of them is below another.
    attributes : tuple of str
        What each change is to bring along.
    deciding : tuple of str
        Any further attributes of which a change matters; the vendor's servers that have to be
        told so tell of no others.
    vendor : Vendor
        The kind of directory.
    naming_contexts : tuple of DN
        The trees it holds.
    controls : frozenset of str
        OIDs of the controls that it knows.
    poll_seconds : float
        How often it is asked where it does not tell by itself.
    """

    bases: tuple[DN, ...]
    attributes: tuple[str, ...]
    deciding: tuple[str, ...]
    vendor: Vendor
    naming_contexts: tuple[DN, ...]
    controls: frozenset[str]
    poll_seconds: float


@dataclass(frozen=True)
class Change:
    """One entry that was added, changed, renamed or removed.

    Parameters
    ----------
    before : str, optional
        The name it had, as far as that is known.
    entry : Entry, optional
        What it is now. None: it is gone.
    """

    before: Optional[str]
    entry: Optional[Entry]


@dataclass(frozen=True)
class Batch:
    """What has become known at once.

    Parameters
    ----------
    changes : sequence of Change
        In their order.
    everything : bool
        Whether anything else may have changed as well, so that nothing from before is good.
    in_step : bool
        Whether all changes so far are known.
    """

    changes: Sequence[Change] = ()
    everything: bool = False
    in_step: bool = True


class Source(Protocol):
    """A way of learning what changes."""

    @property
    def mechanism(self) -> str:
        """Its name, for logs and statistics."""

    def follow(self, stream: Stream, patience: Patience) -> Iterator[Batch]:
        """Yield what changes, for as long as the connection lasts.

        The first batch that is `in_step` ends the catching up. An empty one says that
        nothing has changed for as long as `patience` allowed. The end without an error asks
        for a new connection at once.

        Raises
        ------
        DirectoryUnavailable
            If the connection is gone.
        AccessDenied, IncompleteResult, UnexpectedResult
            If the server does not do it, for this account or at all.
        """

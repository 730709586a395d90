"""Which ways of learning of changes a directory offers, the best one first."""

from __future__ import annotations

from ldapdb.controls import DIRSYNC, SYNC_REQUEST
from ldapdb.watch.dirsync import DirSync
from ldapdb.watch.polling import Polling
from ldapdb.watch.protocol import Scope, Source
from ldapdb.watch.syncrepl import SyncRepl

__all__ = ["sources_for"]


def sources_for(scope: Scope) -> list[Source]:
    """Make the sources that may serve, the best one first."""
    sources: list[Source] = []
    if SYNC_REQUEST in scope.controls:
        sources.append(SyncRepl(scope))
    if DIRSYNC in scope.controls:
        sources.append(DirSync(scope))
    return [*sources, Polling(scope)]

"""Which ways of learning of changes a directory offers, the best one first."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from ldapdb.protocol.controls import DIRSYNC, SYNC_REQUEST
from ldapdb.protocol.dn import DN, common_ancestor
from ldapdb.watch.dirsync import DirSync
from ldapdb.watch.polling import Polling
from ldapdb.watch.protocol import Scope, Source
from ldapdb.watch.syncrepl import SyncRepl

__all__ = ["sources_for"]


def sources_for(scope: Scope) -> list[Source]:
    """Make the sources that may serve, the best one first."""
    sources: list[Source] = []
    if SYNC_REQUEST in scope.controls:
        # One search of what is above all bases, where the account may: 389 DS follows ten at a
        # time for all its clients together.
        ancestor = reduce(_above_both, scope.bases)
        if any(ancestor.is_under(each) for each in scope.naming_contexts):
            sources.append(SyncRepl(replace(scope, bases=(ancestor,))))
        if scope.bases != (ancestor,):
            sources.append(SyncRepl(scope))
    if DIRSYNC in scope.controls:
        sources.append(DirSync(scope))
    return [*sources, Polling(scope)]


def _above_both(first: DN, second: DN) -> DN:
    return common_ancestor(first, second) or DN(())

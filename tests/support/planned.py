"""Holding what a plan says to what its writes do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from ldapdb.protocol import ldif
from ldapdb.store import Store
from ldapdb.store.planning import PlannedStore
from support.directory import Directory

__all__ = ["hold_plan"]


def hold_plan(
    directory: Directory,
    prepare: Callable[[], Any],
    work: Callable[[Store], None],
    **options: Any,
) -> None:
    """Plan, and see that nothing changes; apply the LDIF, and see that it is as after the writes.

    Parameters
    ----------
    directory : Directory
        Empty.
    prepare : callable
        Fills it, each time alike.
    work : callable
        What is planned, and then done.
    **options
        Of the stores, such as a clock.
    """
    prepare()
    before = directory.entries()
    with closing(PlannedStore(directory.settings(), **options)) as planned:
        work(planned)
        assert not planned.doubts
        text = ldif.write(planned.changes, "by a test")
    assert directory.entries() == before
    directory.server.ldapmodify(text)
    applied = directory.entries()
    assert applied != before
    directory.clear()
    prepare()
    assert directory.entries() == before
    with closing(Store(directory.settings(), **options)) as store:
        work(store)
    assert directory.entries() == applied

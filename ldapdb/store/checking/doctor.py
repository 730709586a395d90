"""All checks in their order, each on each server that it concerns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Optional

from ldapdb.errors import LDAPDBError
from ldapdb.settings import Settings
from ldapdb.store.checking.accounts import check_accounts
from ldapdb.store.checking.advice import check_settings
from ldapdb.store.checking.arriving import arrive
from ldapdb.store.checking.clocks import check_clock
from ldapdb.store.checking.commands import ping
from ldapdb.store.checking.contents import check_bases, check_contents
from ldapdb.store.checking.findings import Finding, problem
from ldapdb.store.checking.indexes import check_indexes
from ldapdb.store.checking.leaks import (
    Ordinary,
    check_anonymous,
    check_ordinary,
    check_passwords,
)
from ldapdb.store.checking.replicas import check_replicas
from ldapdb.store.checking.schema import check_schema
from ldapdb.store.checking.visiting import Visit, guarded
from ldapdb.store.checking.watches import check_watch
from ldapdb.store.checking.writing import check_writing, write_and_remove

__all__ = ["check"]

Check = Callable[[Visit], Iterable[Finding]]


def check(
    settings: Settings,
    ldif: Path,
    *,
    write: bool = False,
    as_user: Optional[Ordinary] = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """Look at everything that ldapdb leans on, and say how it is.

    Each server is asked by itself, whatever becomes of the others, and nothing waits longer
    than ``operation_timeout_seconds``.

    Parameters
    ----------
    settings : Settings
        Where the directory is.
    ldif : Path
        The folder of files for directories.
    write : bool
        Whether to write an entry, and remove it again.
    as_user : Ordinary, optional
        Log in as this user as well, to see whether users read licences.
    clock : callable
        Seconds since the epoch.
    """
    yield from check_settings(settings)
    uris = tuple(dict.fromkeys((*settings.uri, *settings.write_uris)))
    visits = [Visit(settings, uri, ldif) for uri in uris]
    try:
        for visit in visits:
            yield from _arrived(visit, clock())
        for visit in visits:
            for name, each in _checks(visit, settings, write=write, clock=clock):
                yield from guarded(name, visit, each)
            if as_user is not None:
                yield from guarded("as user", visit, partial(check_ordinary, who=as_user))
        yield from _together(visits, settings, write=write, clock=clock)
    finally:
        for visit in visits:
            visit.close()


def _arrived(visit: Visit, now: float) -> Iterator[Finding]:
    try:
        yield from arrive(visit, now)
    except LDAPDBError as error:
        visit.is_up = False
        yield problem("server", visit.uri, f"it stopped answering: {error}", ping(visit.uri))


def _checks(
    visit: Visit, settings: Settings, *, write: bool, clock: Callable[[], float]
) -> Iterator[tuple[str, Check]]:
    yield "schema", check_schema
    yield "bases", check_bases
    yield "contents", check_contents
    yield "accounts", check_accounts
    yield "passwords", check_passwords
    yield "anonymous", check_anonymous
    yield "indexes", check_indexes
    yield "clock", partial(check_clock, clock=clock)
    yield "watch", check_watch
    if visit.uri in settings.write_uris:
        yield "writing", partial(check_writing, is_needed=write)


def _together(
    visits: Sequence[Visit], settings: Settings, *, write: bool, clock: Callable[[], float]
) -> Iterator[Finding]:
    """Make the checks that concern several servers; one that dies meanwhile ends for itself."""
    yield from check_replicas([each for each in visits if each.is_up], clock)
    writers = [each for uri in settings.write_uris for each in visits if each.uri == uri]
    if sum(each.is_up for each in writers) > 1:
        for each in writers:
            yield from guarded("two providers", each, lambda visit: visit.kind.providers())
    first = next((each for each in writers if each.is_up), None)
    if write and first is not None and not settings.read_only:
        others = [each for each in visits if each is not first]
        yield from guarded("write", first, lambda visit: write_and_remove(visit, others, clock))

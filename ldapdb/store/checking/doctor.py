"""All checks in their order, each on each server that it concerns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from ldapdb.settings import Settings
from ldapdb.store.checking.advice import check_settings
from ldapdb.store.checking.arriving import arrive
from ldapdb.store.checking.clocks import check_clock
from ldapdb.store.checking.commands import ping
from ldapdb.store.checking.contents import check_bases, check_contents
from ldapdb.store.checking.findings import Finding, problem
from ldapdb.store.checking.indexes import check_indexes
from ldapdb.store.checking.leaks import check_anonymous, check_passwords
from ldapdb.store.checking.replicas import check_providers, check_replicas
from ldapdb.store.checking.schema import check_schema
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.checking.watches import check_watch
from ldapdb.store.checking.writing import check_writing, write_and_remove

__all__ = ["check"]

Check = Callable[[Visit], Iterable[Finding]]


def check(
    settings: Settings,
    ldif: Path,
    *,
    write: bool = False,
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
            for each in _checks(visit, settings, write=write, clock=clock):
                yield from _guarded(each, visit)
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
) -> Iterator[Check]:
    yield from (check_schema, check_bases, check_contents, check_passwords, check_anonymous)
    yield from (check_indexes, partial(check_clock, clock=clock), check_watch)
    if visit.uri in settings.write_uris:
        yield partial(check_writing, is_needed=write)


def _guarded(each: Check, visit: Visit) -> Iterator[Finding]:
    """Make one check on a server that is up; what keeps it from its end is a finding."""
    if not visit.is_up:
        return
    try:
        yield from each(visit)
    except DirectoryUnavailable as error:
        visit.is_up = False
        yield problem("server", visit.uri, f"it stopped answering: {error}", ping(visit.uri))
    except LDAPDBError as error:
        name = getattr(each, "__name__", "") or getattr(each, "func", each).__name__
        remedy = visit.kind.search(visit.settings.base_dn, "(objectClass=*)", "dn")
        yield problem(name.removeprefix("check_"), visit.uri, str(error), remedy)


def _together(
    visits: Sequence[Visit], settings: Settings, *, write: bool, clock: Callable[[], float]
) -> Iterator[Finding]:
    """Make the checks that concern several servers."""
    up = [each for each in visits if each.is_up]
    writers = [each for uri in settings.write_uris for each in up if each.uri == uri]
    if not up:
        return
    several: list[Check] = [
        lambda _: check_replicas(up, clock),
        lambda _: check_providers(up, settings.write_uris),
    ]
    if write and writers and not settings.read_only:
        others = [each for each in up if each is not writers[0]]
        several.append(lambda first: write_and_remove(first, others, clock))
    for each in several:
        yield from _guarded(each, (writers or up)[0])

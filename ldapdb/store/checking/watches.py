"""How a server tells of changes, for ``watch = true``."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from ldapdb.client import Stream
from ldapdb.errors import LDAPDBError
from ldapdb.protocol.controls import DIRSYNC, SYNC_REQUEST
from ldapdb.store.checking.findings import Finding, ok, problem, warning
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.invalidation import scope_of
from ldapdb.watch import sources_for
from ldapdb.watch.polling import Polling
from ldapdb.watch.protocol import Source

__all__ = ["check_watch"]

_CHECK = "watch"


def check_watch(visit: Visit) -> Iterator[Finding]:
    """See by what changes can be followed; where ``watch`` is on, try it."""
    if not visit.settings.watch:
        ways = {SYNC_REQUEST: "content synchronisation", DIRSYNC: "DirSync"}
        offered = [name for oid, name in ways.items() if oid in visit.controls]
        said = f"the server offers {' and '.join(offered)}" if offered else (
            "it would ask every watch_poll_seconds"
        )  # fmt: skip
        yield ok(_CHECK, visit.uri, f"is off; {said}")
        return
    scope = scope_of(visit.profile, visit.call().root_dse(), visit.settings.watch_poll_seconds)
    failures = []
    for source in sources_for(scope):
        try:
            _try(visit, source)
        except LDAPDBError as error:
            failures.append(f"{source.mechanism}: {error}")
            continue
        yield _works(visit, source, failures)
        return
    text = f"no way of following changes works: {'; '.join(failures)}"
    yield problem(_CHECK, visit.uri, text, visit.kind.tell_changes())


def _works(visit: Visit, source: Source, failures: list[str]) -> Finding:
    besides = f"; before that: {'; '.join(failures)}" if failures else ""
    if isinstance(source, Polling):
        seconds = visit.settings.watch_poll_seconds
        text = (
            f"changes are found by asking every {seconds:g} s: the server tells of none by itself "
            f"to this account{besides}"
        )
        return warning(_CHECK, visit.uri, text, visit.kind.tell_changes())
    text = f"changes are told as they happen ({source.mechanism}){besides}"
    return ok(_CHECK, visit.uri, text)


def _try(visit: Visit, source: Source) -> None:
    """Follow changes until the first is known to be in step."""
    deadline = visit.call().deadline
    stream = Stream(visit.uri, visit.settings, deadline)
    # A server that says nothing is not waited for longer than for any other call.
    limit = threading.Timer(deadline.remaining(), stream.interrupt)
    limit.start()
    try:
        for batch in source.follow(stream, lambda: 0.1):
            if batch.in_step:
                return
    finally:
        limit.cancel()
        stream.drop()

"""Whether the account may write applications and grants: by asking, or by doing."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Optional

from ldapdb.entries import APPLICATION_CLASS, GRANT_CLASS, IMAGE, MEMBER
from ldapdb.errors import AccessDenied, LDAPDBError, NoSuchEntry
from ldapdb.protocol.codec import NO_ATTRIBUTES
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Modification, Operation
from ldapdb.store.checking.clocks import judge_clock
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked, warning
from ldapdb.store.checking.visiting import Visit, guarded
from ldapdb.store.profile import Base
from ldapdb.syntaxes import parse_time

__all__ = ["check_writing", "write_and_remove"]

_CHECK = "writing"
_SUCCESS = 0
_SEEN_SECONDS, _LOOK_SECONDS = 5.0, 0.05
_CREATED = "createTimestamp"
_OTHER = (
    "if another account is the one that grants, look as that one: the command would give this one "
    "the right"
)


def check_writing(visit: Visit, *, is_needed: bool) -> Iterator[Finding]:
    """Ask what the account may write, and write nothing.

    Parameters
    ----------
    is_needed : bool
        Whether it is a problem if it may not; a host that only reads needs no such right.
    """
    if visit.settings.read_only:
        yield ok(_CHECK, visit.uri, "is not wanted: read_only is on")
        return
    bases = [
        (visit.profile.applications, APPLICATION_CLASS),
        (visit.profile.grants, GRANT_CLASS),
    ]
    for base, object_class in bases:
        refusal = visit.kind.refuses_writing(base, object_class)
        if refusal is None:
            text = f"nothing is there yet below '{base.dn}' by which to tell what we may write"
            yield unchecked(_CHECK, visit.uri, text, "ldapdb check --write")
        elif not refusal:
            yield ok(_CHECK, visit.uri, f"the server says that we may, below '{base.dn}'")
        elif is_needed:
            text = f"{refusal}; {_OTHER}"
            yield problem(_CHECK, visit.uri, text, visit.kind.let_write(base.dn))
        else:
            text = (
                f"{refusal}; a host that only reads is well so, and says so by read_only = true; "
                "whoever grants needs the right"
            )
            yield warning(_CHECK, visit.uri, text, "export LDAPDB_READ_ONLY=true")


def _scratch(
    visit: Visit, base: Base, object_class: str
) -> tuple[DN, list[str], dict[str, list[str]]]:
    """Return an entry that gives nobody anything: its image is registered nowhere."""
    name = f"ldapdb-check-{secrets.token_hex(6)}"
    dn = base.dn.child("cn", name)
    classes, attributes = visit.profile.new_group(
        dn, object_class, {IMAGE: [f"ldapdb/check:{name}"]}
    )
    return dn, classes, attributes


# --- doing


def write_and_remove(
    visit: Visit, others: Sequence[Visit], clock: Callable[[], float]
) -> list[Finding]:
    """Make an entry below the grants, change it, read it everywhere, and remove it again.

    It is removed whatever happens, also when the user interrupts. It gives nobody anything.

    Parameters
    ----------
    visit : Visit
        Where writes go.
    others : sequence of Visit
        The servers that are to learn of it.
    clock : callable
        Seconds since the epoch.
    """
    base = visit.profile.grants
    dn, classes, attributes = _scratch(visit, base, GRANT_CLASS)
    found: list[Finding] = []
    began = time.perf_counter()
    try:
        before = clock()
        visit.call().add(dn, classes, attributes)
        found += _time_of(visit, dn, before, clock())
        _change(visit, dn)
        for other in others:
            found += guarded("replication", other, partial(_seen, dn=dn))
    except LDAPDBError as error:
        text = f"{error}; {_OTHER}" if isinstance(error, AccessDenied) else str(error)
        found.append(problem("write", visit.uri, text, visit.kind.let_write(base.dn)))
    finally:
        left = _remove(visit, dn)
    if left is not None:
        return [*found, left]
    if not any(each.check == "write" for each in found):
        seconds = time.perf_counter() - began
        text = f"an entry below '{base.dn}' was added, changed and removed in {seconds:.2f} s"
        found.insert(0, ok("write", visit.uri, text))
    return found


def _change(visit: Visit, dn: DN) -> None:
    """Let a user in and out again, as a grant and its revocation do."""
    for base in visit.profile.users:
        member = visit.first(base.dn, visit.profile.users_filter)
        if member is not None:
            call = visit.call()
            call.modify(dn, [Modification(Operation.ADD, MEMBER, (str(member),))])
            call.modify(dn, [Modification(Operation.DELETE, MEMBER, (str(member),))])
            return


def _time_of(visit: Visit, dn: DN, before: float, after: float) -> list[Finding]:
    _, entries = visit.call().read(dn, (_CREATED,))
    try:
        told = [float(parse_time(value)) for entry in entries for value in entry.values(_CREATED)]
    except ValueError:  # nor is one that is not text a time
        return []
    return [judge_clock(visit.uri, each, before, after) for each in told]


def _seen(other: Visit, dn: DN) -> Iterator[Finding]:
    check = "replication"
    began = time.monotonic()
    while time.monotonic() - began < _SEEN_SECONDS:
        with contextlib.suppress(NoSuchEntry):
            if other.call().read(dn, NO_ATTRIBUTES)[1]:
                milliseconds = (time.monotonic() - began) * 1000
                yield ok(check, other.uri, f"had what was written {milliseconds:.0f} ms later")
                return
        time.sleep(_LOOK_SECONDS)
    text = f"had not got what was written {_SEEN_SECONDS:g} s before; see why it does not follow"
    yield problem(check, other.uri, text, other.kind.show_following())


def _remove(visit: Visit, dn: DN) -> Optional[Finding]:
    try:
        visit.call().delete(dn)
    except NoSuchEntry:
        return None
    except LDAPDBError as error:
        text = f"the entry that was written for a trial could not be removed: {error}"
        command = f"ldapdelete -x -W -D ADMIN -H {shlex.quote(visit.uri)} {shlex.quote(str(dn))}"
        return problem("write", visit.uri, text, command)
    return None

"""Whether the account may write applications and grants: by asking, or by doing."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Optional

from ldapdb.connection.probing import rights_of, search_once
from ldapdb.dn import DN
from ldapdb.entries import (
    APPLICATION_CLASS,
    DESCRIPTION,
    GRANT_CLASS,
    IMAGE,
    MEMBER,
    Modification,
    Operation,
)
from ldapdb.errors import AccessDenied, LDAPDBError, NoSuchEntry, NoSuchValue
from ldapdb.filters import present
from ldapdb.searching import BASE, NO_ATTRIBUTES, SUBTREE, Page, Search
from ldapdb.store.checking.clocks import judge_clock
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked, warning
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.profile import Base
from ldapdb.syntaxes import parse_time
from ldapdb.vendors import ACTIVE_DIRECTORY, DS389, OPENLDAP

__all__ = ["check_writing", "write_and_remove"]

_CHECK = "writing"
_SUCCESS = 0
_SEEN_SECONDS, _LOOK_SECONDS = 5.0, 0.05
_CREATED = "createTimestamp"


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
        refusal = _ASKING[visit.vendor.name](visit, base, object_class)
        if refusal is None:
            text = f"nothing is there yet below '{base.dn}' by which to tell what we may write"
            yield unchecked(_CHECK, visit.uri, text, "ldapdb check --write")
        elif not refusal:
            yield ok(_CHECK, visit.uri, f"the server says that we may, below '{base.dn}'")
        elif is_needed:
            yield problem(_CHECK, visit.uri, refusal, _let_write(visit, base))
        else:
            text = (
                f"{refusal}; a host that only reads is well so, and says so by read_only = true; "
                "whoever grants needs the right"
            )
            yield warning(_CHECK, visit.uri, text, "export LDAPDB_READ_ONLY=true")


# --- asking; a refusal in words, "" for a yes, None where it cannot be told


def _ask_openldap(visit: Visit, base: Base, object_class: str) -> Optional[str]:
    """Take a value out of an entry that it does not have, which rights are asked for first.

    Not by the no-op control: slapd 2.5.13 keeps in memory which attributes an addition would
    have made known to the database, and writes later entries that it cannot read any more.
    """
    wanted = visit.profile.notation.carrying(object_class)
    search = Search(str(base.dn), SUBTREE, wanted, NO_ATTRIBUTES, Page(1))
    entries = visit.run(partial(search_once, search=search))[0]
    if not entries:
        return None
    dn = DN.parse(entries[0].dn)
    nobody = str(base.dn.child("cn", f"ldapdb-check-{secrets.token_hex(6)}"))
    attribute = MEMBER if object_class == GRANT_CLASS else DESCRIPTION
    try:
        visit.call().modify(dn, [Modification(Operation.DELETE, attribute, (nobody,))])
    except NoSuchValue:
        return ""
    except AccessDenied as error:
        return f"this account may not change '{dn}' (result code {error.result_code})"
    return ""


def _ask_389ds(visit: Visit, base: Base, object_class: str) -> Optional[str]:
    """Ask for the rights on an entry that there is not, which the server makes up for that."""
    del object_class
    structural = visit.profile.group_object_class
    wanted = f"*@{structural}:cn"
    search = Search(str(base.dn), BASE, present("objectClass"), (wanted, "member"))
    entries, _, end = visit.run(
        lambda session, deadline: rights_of(session, deadline, search, visit.account)
    )
    if end.code != _SUCCESS or not entries:
        return None
    rights = [entry for entry in entries if entry.dn.lower().startswith("cn=template")]
    entry = (rights or entries)[-1]
    on_entry = entry.value("entryLevelRights") or ""
    on_attributes = dict(
        each.strip().lower().partition(":")[::2]
        for each in (entry.value("attributeLevelRights") or "").split(",")
    )
    missing = [] if "a" in on_entry else ["add entries"]
    missing += [] if "w" in on_attributes.get(MEMBER, "") else [f"write {MEMBER}"]
    return f"this account may not {' nor '.join(missing)} below '{base.dn}'" if missing else ""


def _ask_active_directory(visit: Visit, base: Base, object_class: str) -> Optional[str]:
    del object_class
    wanted = "allowedChildClassesEffective"
    _, entries = visit.call().read(base.dn, (wanted,))
    allowed = {name.lower() for entry in entries for name in entry.values(wanted)}
    if visit.profile.group_object_class.lower() in allowed:
        return ""
    return f"this account may not add groups below '{base.dn}'"


_ASKING = {
    OPENLDAP.name: _ask_openldap,
    DS389.name: _ask_389ds,
    ACTIVE_DIRECTORY.name: _ask_active_directory,
}


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
            found.append(_seen(other, dn))
    except LDAPDBError as error:
        found.append(problem("write", visit.uri, str(error), _let_write(visit, base)))
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
        search = Search(str(base.dn), SUBTREE, visit.profile.users_filter, NO_ATTRIBUTES, Page(1))
        entries = visit.run(partial(search_once, search=search))[0]
        if entries:
            member = str(DN.parse(entries[0].dn))
            call = visit.call()
            call.modify(dn, [Modification(Operation.ADD, MEMBER, (member,))])
            call.modify(dn, [Modification(Operation.DELETE, MEMBER, (member,))])
            return


def _time_of(visit: Visit, dn: DN, before: float, after: float) -> list[Finding]:
    _, entries = visit.call().read(dn, (_CREATED,))
    told = [value for entry in entries for value in entry.values(_CREATED)]
    return [judge_clock(visit.uri, float(parse_time(each)), before, after) for each in told]


def _seen(other: Visit, dn: DN) -> Finding:
    check = "replication"
    began = time.monotonic()
    while time.monotonic() - began < _SEEN_SECONDS:
        with contextlib.suppress(NoSuchEntry):
            if other.call().read(dn, NO_ATTRIBUTES)[1]:
                milliseconds = (time.monotonic() - began) * 1000
                return ok(check, other.uri, f"had what was written {milliseconds:.0f} ms later")
        time.sleep(_LOOK_SECONDS)
    text = f"had not got what was written {_SEEN_SECONDS:g} s before; see why it does not follow"
    return problem(check, other.uri, text, "journalctl -u slapd --since -1h | grep -i syncrepl")


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


def _let_write(visit: Visit, base: Base) -> str:
    account = visit.account
    if visit.vendor is OPENLDAP:
        return visit.tools.add_access(base.dn, f'by dn.exact="{account}" write')
    if visit.vendor is DS389:
        rule = (
            f'(target="ldap:///cn=*,{base.dn}")(targetattr="objectClass || cn || {MEMBER} || '
            'uniqueMember || description || displayName || remoteApp*")'
            f'(targetfilter="(&(!(userPassword=*))(!(aci=*)))")(version 3.0; acl "remoteapp: write '
            f'{base.dn}"; allow (add,delete,write) userdn="ldap:///{account}";)'
        )
        return visit.tools.modify(base.dn, "add: aci", f"aci: {rule}")
    return f'dsacls "{base.dn}" /I:T /G "{account}:CCDC;group" "{account}:GRGW;;group"'

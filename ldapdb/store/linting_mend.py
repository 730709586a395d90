"""Mending what is wrong, so that no member is lost who is let in at the same moment.

A grant's entry that is to go is renamed first. Whoever adds a member by the old name before
that is in it when it is looked at once more; whoever comes later finds no entry of that name
and makes a new one. If it is still empty, or expired, it goes; otherwise it gets its name
back, or keeps the new one if the old one is taken by now: nothing reads meaning out of a name.

An assertion (RFC 4528) would do the same in one request, and OpenLDAP alone has it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Optional

from ldapdb.client import Call
from ldapdb.entries import read_grant
from ldapdb.errors import (
    EntryExists,
    InvalidValue,
    NoSuchEntry,
    NoSuchValue,
    ObjectClassViolation,
)
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Modification, Operation
from ldapdb.protocol.ldif import Change, Delete, Modify
from ldapdb.store.linting_doubt import held_by, surely_empty
from ldapdb.store.linting_members import shows
from ldapdb.store.profile import Profile

__all__ = ["SCRATCH", "Mended", "mend"]

# How an entry is called that is about to go; one that is left behind is looked at again.
SCRATCH = "ldapdb-lint-"


@dataclass(frozen=True)
class Mended:
    """What came of a change that a complaint has.

    Parameters
    ----------
    text : str
        What was done, or why it was not.
    is_done : bool
        Whether it is so now, by us or by somebody else.
    """

    text: str
    is_done: bool = True


def mend(call: Call, profile: Profile, change: Change, now: float) -> Mended:
    """Make a change that a complaint has.

    Parameters
    ----------
    now : float
        Seconds since the epoch.
    """
    if isinstance(change, Modify):
        return _modify(call, change)
    assert isinstance(change, Delete)  # noqa: S101 -- complaints have no others
    return _remove(call, profile, change.dn, now)


def _modify(call: Call, change: Modify) -> Mended:
    steps = [
        Modification(step.operation, step.attribute, tuple(each.decode() for each in step.values))
        for step in change.steps
    ]
    if any(shows(call, DN.parse(value)) for step in steps for value in step.values):
        return Mended(f"'{change.dn}': the member has come back, and stays", is_done=False)
    try:
        try:
            call.modify(change.dn, steps)
        except ObjectClassViolation:
            # groupOfNames must keep one member: the empty DN, as in Grants.remove_member.
            placeholder = Modification(Operation.ADD, steps[0].attribute, ("",))
            call.modify(change.dn, [placeholder, *steps])
    except (NoSuchEntry, NoSuchValue):
        return Mended(f"'{change.dn}': somebody else has done it")
    return Mended(f"'{change.dn}': the member is out")


def _remove(call: Call, profile: Profile, dn: DN, now: float) -> Mended:
    holder = held_by(call, profile, dn)
    if holder is not None:
        return Mended(f"'{dn}': stays, '{holder}' has it as a member", is_done=False)
    aside = dn.parent.child("cn", f"{SCRATCH}{secrets.token_hex(8)}")
    try:
        call.rename(dn, aside.rdns[0])
    except NoSuchEntry:
        return Mended(f"'{dn}': somebody else has removed it")
    try:
        why = _why_it_stays(call, profile, aside, dn, now)
    except BaseException:
        _give_back(call, aside, dn)
        raise
    if why is not None:
        name = _give_back(call, aside, dn)
        return Mended(f"'{name}': stays, {why}", is_done=False)
    call.delete(aside)
    return Mended(f"'{dn}': removed")


def _give_back(call: Call, aside: DN, dn: DN) -> DN:
    """Give an entry its name back; return the one that it has then."""
    try:
        call.rename(aside, dn.rdns[0])
    except EntryExists:
        return aside
    return dn


def _why_it_stays(call: Call, profile: Profile, aside: DN, before: DN, now: float) -> Optional[str]:
    """Say why an entry stays that was put aside; None if nobody has anything by it."""
    _, entries = call.read(aside, profile.notation.attributes)
    try:
        grant = read_grant(profile.notation.read(entries[0]))
    except (IndexError, InvalidValue):
        return "it was changed meanwhile"  # it is not for us to judge
    if not grant.window.is_over(now) and not surely_empty(call, profile, aside):
        return "it has got a member meanwhile"
    # Some servers write the new name where the old one was a member, and some do so later.
    holder = held_by(call, profile, aside, before)
    return None if holder is None else f"'{holder}' has it as a member"

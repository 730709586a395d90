"""Whether an entry is a user's account now: locks, and the times when it begins and ends.

Which attributes count belongs to the vendor's record (``vendors``). Temporary locks and expired
passwords are not among them: anyone who knows a name can lock a colleague for a while.

This module opens no connection and does not know the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil, floor
from typing import Optional

from ldapdb.model import ACTIVE, Account
from ldapdb.protocol.entry import Entry
from ldapdb.syntaxes import parse_integer, parse_time

__all__ = ["AccountForm", "AccountRule", "read_account"]

# FILETIME counts units of 100 ns from 1601 (MS-DTYP, section 2.3.3).
_FILETIME_UNITS = 10_000_000
_FILETIME_EPOCH = 11_644_473_600
_NEVER = (1 << 63) - 1
_ACCOUNTDISABLE = 2  # MS-ADTS, section 2.2.16
_DAY_SECONDS = 86_400
# The years 1 to 9999: no other time can be written.
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800, 253_402_300_799


class AccountForm(Enum):
    """How an attribute says that an account is locked, begins or ends."""

    FLAG = "`TRUE`, in any case: disabled"
    LOCKED_TIME = "year 0000 (`000001010000Z`): locked for good; another time is temporary"
    DISABLE_BIT = "with its bit 2: disabled"
    START = "no user before this time"
    END = "no user from this time on"
    # The KDC's LDAP back end of MIT Kerberos writes the epoch for "never".
    KERBEROS_END = "no user from this time on; `19700101000000Z` is never"
    FILETIME_END = "no user from this time on; `0` and `9223372036854775807` are never"
    # As pam_unix counts; 0 is a day long past there, too.
    LAST_DAYS = "no user from this day on, counted from 1970 in UTC; `-1` is never"


_LOCKS = frozenset({AccountForm.FLAG, AccountForm.DISABLE_BIT, AccountForm.LOCKED_TIME})


@dataclass(frozen=True)
class AccountRule:
    """An attribute that ends an account.

    Parameters
    ----------
    attribute : str
        Its name.
    form : AccountForm
        How its values are read.
    is_always_there : bool
        Whether every account has it, so that one without it has it hidden.
    """

    attribute: str
    form: AccountForm
    is_always_there: bool = False


def read_account(entry: Entry, rules: Mapping[str, AccountRule]) -> Account:
    """Read when an entry is a user's account.

    A value that cannot be read locks the account: what is unreadable never widens access.
    Values with attribute options count like those without.

    Parameters
    ----------
    entry : Entry
        With the attributes of `rules`, as far as it has them.
    rules : mapping of str to AccountRule
        By lower-case attribute name.

    Returns
    -------
    Account
        The narrowest of what all values say.
    """
    found: dict[str, list[Sequence[bytes]]] = {}
    for name, values in entry.attributes.items():
        plain = name.partition(";")[0]
        if plain in rules:
            found.setdefault(plain, []).append(values)
    said = [
        _read(rules[name], value) for name, several in found.items() for value in _values(several)
    ]
    said += [
        _unreadable(rule.attribute, "absent, or hidden from this account")
        for name, rule in rules.items()
        if rule.is_always_there and name not in found
    ]
    return _narrowest([each for each in said if each is not ACTIVE])


def _values(several: Iterable[Sequence[bytes]]) -> list[bytes]:
    """Return all values; an attribute without any counts as one that cannot be read."""
    return [bytes(value) for values in several for value in values or (b"",)]


def _read(rule: AccountRule, value: bytes) -> Account:
    try:
        return _limit(rule.attribute, rule.form, value.decode())
    except ValueError as error:  # UnicodeDecodeError is one
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        return _unreadable(rule.attribute, reason)


def _limit(attribute: str, form: AccountForm, text: str) -> Account:
    """Return what one value says; :data:`ACTIVE` if it does not limit the account."""
    if form in _LOCKS:
        lock = _lock(form, text)
        return Account(f"{lock} ({attribute})") if lock else ACTIVE
    if form is AccountForm.START:
        return Account(begins=float(ceil(parse_time(text))), begins_by=attribute)
    ends = _end(form, text)
    if ends is None or ends > _LAST_MOMENT:
        return ACTIVE
    if ends < _FIRST_MOMENT:
        raise ValueError("before the year 1")
    return Account(ends=float(ends), ends_by=attribute)


def _lock(form: AccountForm, text: str) -> str:
    """Return how a value locks an account; empty if it does not."""
    if form is AccountForm.DISABLE_BIT:
        return "disabled" if parse_integer(text) & _ACCOUNTDISABLE else ""
    if form is AccountForm.FLAG:
        if text.lower() not in ("true", "false"):
            raise ValueError("neither TRUE nor FALSE")
        return "disabled" if text.lower() == "true" else ""
    if text.startswith("0000"):
        return "locked"
    parse_time(text)
    return ""


def _end(form: AccountForm, text: str) -> Optional[int]:
    """Return when an account ends, in seconds since the epoch; None for never."""
    if form is AccountForm.FILETIME_END:
        units = parse_integer(text)
        if units < 0:
            raise ValueError("a negative time")
        if units in (0, _NEVER):
            return None
        return units // _FILETIME_UNITS - _FILETIME_EPOCH
    if form is AccountForm.LAST_DAYS:
        days = parse_integer(text)
        return None if days == -1 else days * _DAY_SECONDS
    moment = floor(parse_time(text))
    return None if form is AccountForm.KERBEROS_END and moment == 0 else moment


def _unreadable(attribute: str, reason: str) -> Account:
    return Account(f"not readable ({attribute}: {reason})", is_unreadable=True)


def _narrowest(said: Sequence[Account]) -> Account:
    if len(said) <= 1:
        return said[0] if said else ACTIVE
    locked = next((each for each in said if each.lock), ACTIVE)
    begin = max(
        (each for each in said if each.begins is not None),
        key=lambda each: each.begins or 0,
        default=ACTIVE,
    )
    end = min(
        (each for each in said if each.ends is not None),
        key=lambda each: each.ends or 0,
        default=ACTIVE,
    )
    return Account(
        locked.lock, begin.begins, end.ends, begin.begins_by, end.ends_by, locked.is_unreadable
    )

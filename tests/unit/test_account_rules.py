"""Which values end an account, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import pytest

from ldapdb.accounts import AccountForm, AccountRule, read_account
from ldapdb.model import ACTIVE, Account, User
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry
from ldapdb.vendors import VENDORS

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
DAY = 20_833  # 2027-01-15
FILETIME = (1_800_000_000 + 11_644_473_600) * 10_000_000


def account(form: AccountForm, *values: bytes, always: bool = False) -> Account:
    rules = {"x": AccountRule("x", form, is_always_there=always)}
    return read_account(Entry("cn=a", {"cn": [b"a"], **({"x": values} if values else {})}), rules)


@pytest.mark.parametrize(
    ("form", "value", "why"),
    [
        (AccountForm.FLAG, "TRUE", "disabled (x)"),
        (AccountForm.FLAG, "true", "disabled (x)"),
        (AccountForm.FLAG, "FALSE", ""),
        (AccountForm.FLAG, "yes", "not readable (x: neither TRUE nor FALSE)"),
        (AccountForm.LOCKED_TIME, "000001010000Z", "locked (x)"),
        (AccountForm.LOCKED_TIME, "00000101000000Z", "locked (x)"),
        (AccountForm.LOCKED_TIME, "20261124000000Z", ""),
        (AccountForm.DISABLE_BIT, "514", "disabled (x)"),
        (AccountForm.DISABLE_BIT, "512", ""),
        (AccountForm.DISABLE_BIT, "528", ""),  # LOCKOUT: a temporary lock
        (AccountForm.DISABLE_BIT, "-2147483134", "disabled (x)"),
        (AccountForm.DISABLE_BIT, "0x2", "not readable (x: not a whole number)"),
        (AccountForm.START, "20270115080001Z", "starts on 2027-01-15 08:00:01 UTC (x)"),
        (AccountForm.START, "20270115080000Z", ""),
        (AccountForm.START, "20270115080000.5Z", "starts on 2027-01-15 08:00:01 UTC (x)"),
        (AccountForm.END, "20270115080000Z", "expired on 2027-01-15 08:00:00 UTC (x)"),
        (AccountForm.END, "20270115080000.9Z", "expired on 2027-01-15 08:00:00 UTC (x)"),
        (AccountForm.END, "20270115080001Z", ""),
        (AccountForm.END, "19700101000000Z", "expired on 1970-01-01 00:00:00 UTC (x)"),
        (AccountForm.KERBEROS_END, "19700101000000Z", ""),
        (AccountForm.KERBEROS_END, "20200101000000Z", "expired on 2020-01-01 00:00:00 UTC (x)"),
        (AccountForm.FILETIME_END, "0", ""),
        (AccountForm.FILETIME_END, "9223372036854775807", ""),
        (AccountForm.FILETIME_END, str(FILETIME), "expired on 2027-01-15 08:00:00 UTC (x)"),
        (AccountForm.FILETIME_END, str(FILETIME + 10_000_000), ""),
        (AccountForm.FILETIME_END, "1", "expired on 1601-01-01 00:00:00 UTC (x)"),
        (AccountForm.FILETIME_END, "9223372036854775806", ""),
        (AccountForm.FILETIME_END, "-1", "not readable (x: a negative time)"),
        (AccountForm.LAST_DAYS, "-1", ""),
        (AccountForm.LAST_DAYS, "0", "expired on 1970-01-01 00:00:00 UTC (x)"),
        (AccountForm.LAST_DAYS, str(DAY), "expired on 2027-01-15 00:00:00 UTC (x)"),
        (AccountForm.LAST_DAYS, str(DAY + 1), ""),
        (AccountForm.LAST_DAYS, "9" * 30, ""),
        (AccountForm.LAST_DAYS, "-800000", "not readable (x: before the year 1)"),
        (AccountForm.END, "99991231235959-0100", ""),
        (AccountForm.END, "00010101000000+0100", "expired on 0001-01-01 00:00:00 UTC (x)"),
        (AccountForm.START, "99991231235959-0100", "starts on 9999-12-31 23:59:59 UTC (x)"),
        (AccountForm.START, "00010101000000+0100", ""),
        (AccountForm.LAST_DAYS, "soon", "not readable (x: not a whole number)"),
    ],
)
def test_values_end_accounts(form: AccountForm, value: str, why: str) -> None:
    said = account(form, value.encode())
    assert said.obstacle(NOW) == why
    assert said.holds(NOW) is (not why)
    assert said.is_unreadable is why.startswith("not readable")


@pytest.mark.parametrize("form", list(AccountForm))
@pytest.mark.parametrize("value", [b"", b"\xff", b"nonsense", b"9" * 5000])
def test_unreadable_values_end_accounts(form: AccountForm, value: bytes) -> None:
    """A value that cannot be read never widens access."""
    said = account(form, value)
    assert not said.holds(NOW)
    assert said.is_unreadable
    assert said.obstacle(NOW).startswith("not readable (x: ")


@pytest.mark.parametrize("form", list(AccountForm))
def test_absent_values_end_nothing(form: AccountForm) -> None:
    """Unless every account has the attribute: then it is hidden."""
    assert account(form) is ACTIVE
    hidden = account(form, always=True)
    assert hidden.obstacle(NOW) == "not readable (x: absent, or hidden from this account)"
    assert account(AccountForm.FLAG, b"FALSE", always=True) is ACTIVE


def test_attributes_without_values_are_unreadable() -> None:
    rules = {"x": AccountRule("x", AccountForm.FLAG)}
    assert read_account(Entry("cn=a", {"x": []}), rules).is_unreadable


def test_the_narrowest_value_counts() -> None:
    """Whatever options the attribute has, and whichever attribute says it."""
    rules = {
        "lock": AccountRule("lock", AccountForm.FLAG),
        "start": AccountRule("start", AccountForm.START),
        "end": AccountRule("end", AccountForm.END),
    }

    def read(**values: Sequence[bytes]) -> Account:
        named = {name.replace("_", ";"): several for name, several in values.items()}
        return read_account(Entry("cn=a", named), rules)

    ends = read(end=[b"20280101000000Z"], end_lang=[b"20270101000000Z"], start=[b"20260101000000Z"])
    assert (ends.begins, ends.ends) == (1_767_225_600, 1_798_761_600)
    assert ends.obstacle(NOW) == "expired on 2027-01-01 00:00:00 UTC (end)"
    starts = read(start=[b"20270101000000Z", b"20280101000000Z"])
    assert starts.obstacle(NOW) == "starts on 2028-01-01 00:00:00 UTC (start)"
    locked = read(lock=[b"FALSE", b"TRUE"], end=[b"20280101000000Z"])
    assert locked.obstacle(NOW) == "disabled (lock)"
    assert locked.ends is not None


@pytest.mark.parametrize("value", [None, b"nonsense"])
def test_temporary_locks_end_nothing(value: Optional[bytes]) -> None:
    """Nor do expired passwords: no vendor's record asks for them."""
    asked = {name.lower() for vendor in VENDORS for name in vendor.account_attributes}
    temporary = {"lockouttime", "accountunlocktime", "passwordexpirationtime", "shadowlastchange",
                 "krbpasswordexpiration", "pwdchangedtime", "pwdreset"}  # fmt: skip
    assert not asked & temporary
    values = {} if value is None else {each: [value] for each in temporary}
    for vendor in VENDORS:
        rules = {
            rule.attribute.lower(): rule
            for rule in vendor.account_rules
            if not rule.is_always_there
        }
        assert read_account(Entry("cn=a", values), rules) is ACTIVE


def test_a_user_is_one_while_its_account_holds() -> None:
    dn = DN.parse("uid=a,dc=x")
    assert User(1, "a", dn).is_current(NOW)
    ending = User(1, "a", dn, account=Account(ends=NOW, ends_by="x"))
    assert ending.is_current(NOW - 1)
    assert not ending.is_current(NOW)
    assert ending == User(1, "a", dn)

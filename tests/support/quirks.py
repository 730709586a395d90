"""Where vendors really differ from what the suites say: a table, and how it is held to.

Each line was seen on the server that it names. Most tests of a line are let fail, with
the error that the line says and no other; when one passes, the run fails, and the line
has to go. Where a test can hold on all vendors with another number or name in it, it asks
for the line by its key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest

from support.servers import Column


@dataclass(frozen=True)
class Quirk:
    """One difference.

    Parameters
    ----------
    vendor : str
        Whose.
    server : str
        Name and version of the server that it was seen on.
    what : str
        What is different.
    tests : mapping of str to collection
        Names of test functions that it is about; for each, the values of its parameter
        for which it is, or nothing for all.
    error : str
        What a test fails with; a regular expression. Empty: the tests ask for it.
    key : str
        What tests ask with.
    """

    vendor: str
    server: str
    what: str
    tests: Mapping[str, Collection[Any]] = field(hash=False)
    error: str = ""
    key: str = ""

    def concerns(self, item: pytest.Item, column: Column) -> bool:
        """Tell whether a test runs into it."""
        name = getattr(item, "originalname", item.name)
        if column.vendor != self.vendor or name not in self.tests:
            return False
        values = self.tests[name]
        callspec = getattr(item, "callspec", None)
        given = callspec.params.values() if callspec else ()
        return not values or any(each in values for each in given if isinstance(each, str))


_SAMBA = "Samba AD 4.17.12"
_389 = "389 Directory Server 2.3.1"

QUIRKS = (
    Quirk(
        "ad",
        _SAMBA,
        'no account name has a control character or one of "/\\[]:;|=,+*?<> in it, or ends with .',
        {
            "test_names_with_metacharacters_round_trip_and_inject_nothing": (
                *("a,b", "a+b", 'a"b', "a\\b", "a;b", "a=b", "a*b", "*", "a)(uid=*", "a/b"),
                "a\\2ab",
            ),
            "test_names_that_the_host_must_not_show_are_left_out_on_read": (),
        },
        error=r"sAMAccountName contains invalid .* character",
    ),
    Quirk(
        "ad",
        _SAMBA,
        "as before, for a name that a test can do without",
        {"test_random_operations_agree_with_a_plain_model": ()},
        key="account names",
    ),
    Quirk(
        "ad",
        _SAMBA,
        "account names are unique in the domain",
        {"test_two_entries_with_one_name_are_an_error_that_names_both": ()},
        error=r"entryAlreadyExists",
    ),
    Quirk(
        "ad",
        _SAMBA,
        "a member that does not exist is refused, and one that is deleted leaves all groups",
        {"test_dangling_members_are_harmless": ()},
        error=r"noSuchObject",
    ),
    Quirk(
        "ad",
        _SAMBA,
        "a user's primary group, which lists no members, takes one search; all groups that "
        "he is in, to any depth, take one more",
        {
            "test_time_limits_hold_in_the_cache": (),
            "test_uncached_accounting_is_two_round_trips_and_one_more_per_level_of_groups": (),
        },
        key="group searches",
    ),
    Quirk(
        "389ds",
        _389,
        "uid is ASCII only, unless the plug-in '7-bit check' is switched off",
        {
            "test_names_with_metacharacters_round_trip_and_inject_nothing": (
                *("Jürgen Müller", "李小龍", "🦊 fox", "ß"),
            ),
        },
        error=r"not 7-bit clean",
    ),
    Quirk(
        "389ds",
        _389,
        "as before, for a name that a test can do without",
        {"test_random_operations_agree_with_a_plain_model": ()},
        key="7-bit names",
    ),
)


class Quirks:
    """The lines of the table that concern a test on a server."""

    def __init__(self, item: pytest.Item, column: Column) -> None:
        self._concerning = {
            number: quirk
            for number, quirk in enumerate(QUIRKS, start=1)
            if quirk.concerns(item, column)
        }

    @property
    def numbers(self) -> list[int]:
        """Their numbers in the table, from 1."""
        return list(self._concerning)

    def asked(self, key: str) -> bool:
        """Tell whether a line that the test knows of holds here.

        Raises
        ------
        KeyError
            If there is no line of that key.
        """
        if key not in {quirk.key for quirk in QUIRKS}:
            raise KeyError(key)
        return any(quirk.key == key for quirk in self._concerning.values())

    def judge(self, report: pytest.TestReport, error: Optional[BaseException]) -> None:
        """Let a test fail that is said to, and let it not pass."""
        for number, quirk in self._concerning.items():
            if not quirk.error:
                continue
            if error is not None and re.search(quirk.error, str(error)):
                report.outcome = "skipped"
                report.wasxfail = f"quirk {number}: {quirk.what}"
            elif report.when == "call" and report.passed:
                report.outcome = "failed"
                report.longrepr = (
                    f"quirk {number} was seen on {quirk.server} and is not there any more: "
                    f"{quirk.what}"
                )

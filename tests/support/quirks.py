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
    fails : mapping of str to collection
        Names of test functions that fail because of it; for each, the values of its
        parameter with which it does, or nothing for all.
    error : str
        What they fail with; a regular expression.
    key : str
        What other tests ask for it with.
    asks : collection of str
        The names of those.
    """

    vendor: str
    server: str
    what: str
    fails: Mapping[str, Collection[Any]] = field(default_factory=dict, hash=False)
    error: str = ""
    key: str = ""
    asks: Collection[str] = ()

    def lets_fail(self, item: pytest.Item, column: Column) -> bool:
        """Tell whether a test is to fail because of it."""
        name = _name(item)
        if column.vendor != self.vendor or name not in self.fails:
            return False
        values = self.fails[name]
        callspec = getattr(item, "callspec", None)
        given = callspec.params.values() if callspec else ()
        return not values or any(each in values for each in given if isinstance(each, str))

    def is_asked(self, item: pytest.Item, column: Column) -> bool:
        """Tell whether a test asks for it, and it holds."""
        return column.vendor == self.vendor and _name(item) in self.asks


def _name(item: pytest.Item) -> str:
    name: str = getattr(item, "originalname", item.name)
    return name


_SAMBA = "Samba AD 4.17.12"
_389 = "389 Directory Server 2.3.1"

QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "ad",
        _SAMBA,
        'account names have no control character and none of "/\\[]:;|=,+*?<> in them, nor '
        "a full stop at their end",
        {
            "test_names_with_metacharacters_round_trip_and_inject_nothing": (
                *("a,b", "a+b", 'a"b', "a\\b", "a;b", "a=b", "a*b", "*", "a)(uid=*", "a/b"),
                "a\\2ab",
            ),
            "test_names_that_the_host_must_not_show_are_left_out_on_read": (),
        },
        error=r"sAMAccountName contains invalid .* character",
        key="account names",
        asks={"test_random_operations_agree_with_a_plain_model"},
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
        key="no dangling members",
        asks={
            "test_a_user_who_leaves_in_the_middle_keeps_nobody_else_out",
            "test_a_user_who_leaves_as_he_is_granted_is_not_found",
        },
    ),
    Quirk(
        "ad",
        _SAMBA,
        "a user's primary group, which lists no members, takes one search; all groups that "
        "he is in, to any depth, take one more",
        key="group searches",
        asks={
            "test_time_limits_hold_in_the_cache",
            "test_uncached_accounting_is_two_round_trips_and_one_more_per_level_of_groups",
        },
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
        key="7-bit names",
        asks={"test_random_operations_agree_with_a_plain_model"},
    ),
)

# docs/access.md has the cells; its notes are numbered as these keys are.
_RIGHTS = {"test_every_cell_of_the_table_of_rights"}
QUIRKS += (
    Quirk(
        "389ds",
        _389,
        "a user sees nothing until rules of the company say otherwise",
        key="rights 1",
        asks=_RIGHTS,
    ),
    Quirk(
        "openldap",
        "OpenLDAP 2.5.13",
        "the writer makes and removes every kind of entry below ou=remoteapp, but none with a "
        "password",
        key="rights 2",
        asks=_RIGHTS,
    ),
    Quirk(
        "389ds",
        _389,
        "the two accounts read the attributes that ldapdb needs by name, and mail is none",
        key="rights 3",
        asks=_RIGHTS,
    ),
    Quirk(
        "389ds",
        _389,
        "nobody changes his own password until a rule of the company says so",
        key="rights 4",
        asks=_RIGHTS,
    ),
    Quirk(
        "ad",
        _SAMBA,
        "whoever has not logged in sees the root DSE and nothing else, no schema",
        key="rights 5",
        asks=_RIGHTS,
    ),
    Quirk(
        "389ds",
        _389,
        "everybody sees the suffix entry, by a rule that dscreate puts into it",
        key="rights 6",
        asks=_RIGHTS,
    ),
    Quirk(
        "ad",
        _SAMBA,
        "a compare is answered without a look at rights, so that everybody may guess values",
        key="rights 7",
        asks=_RIGHTS,
    ),
)


class Quirks:
    """The lines of the table that concern a test on a server."""

    def __init__(self, item: pytest.Item, column: Column) -> None:
        numbered = list(enumerate(QUIRKS, start=1))
        self._failing = [each for each in numbered if each[1].lets_fail(item, column)]
        self._asked = [each for each in numbered if each[1].is_asked(item, column)]

    @property
    def asked_numbers(self) -> list[int]:
        """The numbers, from 1, of those that the test asks for."""
        return [number for number, _ in self._asked]

    def asked(self, key: str) -> bool:
        """Tell whether a line that the test knows of holds here.

        Raises
        ------
        KeyError
            If there is no line of that key.
        """
        if key not in {quirk.key for quirk in QUIRKS}:
            raise KeyError(key)
        return any(quirk.key == key for _, quirk in self._asked)

    def judge(self, report: pytest.TestReport, error: Optional[BaseException]) -> None:
        """Let a test fail that is said to, and let it not pass."""
        for number, quirk in self._failing:
            if error is not None and re.search(quirk.error, str(error)):
                report.outcome = "skipped"
                report.wasxfail = f"quirk {number}: {quirk.what}"
            elif report.when == "call" and report.passed:
                report.outcome = "failed"
                report.longrepr = (
                    f"quirk {number} was seen on {quirk.server} and is not there any more: "
                    f"{quirk.what}"
                )

"""Active Directory: people and groups are accounts, with a name that is unique among all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Optional

from support import ldif
from support.directory import Directory

# NORMAL_ACCOUNT and PASSWD_NOTREQD: without the second, one without a password is disabled.
_ENABLED = str(512 + 32)

_numbers = itertools.count(1)


class ADDirectory(Directory):
    """Active Directory, or Samba in its place."""

    person_naming = "cn"
    group_class = "group"
    policy_class = "group"
    # The account name of a grant, too, has digits of chance in it.
    made_up = frozenset(
        {
            "objectguid",
            "objectsid",
            "pwdlastset",
            # Which numbers its next accounts get; a new pool of them after every 500.
            "ridallocationpool",
            "ridavailablepool",
            "ridnextrid",
            "ridpreviousallocationpool",
            "ridusedpool",
            "samaccountname",
            "usnchanged",
            "usncreated",
            "whenchanged",
            "whencreated",
        }
    )

    def database_kwargs(self, *, counted: bool = False, **settings: Any) -> dict[str, Any]:
        # Where nothing narrows what a group is, the server follows groups in groups itself.
        return super().database_kwargs(counted=counted, **{"groups_base": None, **settings})

    def rename_person(self, dn: str, name: str, newsuperior: Optional[str] = None) -> str:
        """Change the account's name too, which is not the RDN here."""
        self._modify(dn, ("replace", "sAMAccountName", [name]))
        return super().rename_person(dn, name, newsuperior)

    def _carry(self, dn: str, classes: ldif.Step, attributes: Sequence[ldif.Step]) -> None:
        # A class and its attributes in one modify are refused (65).
        self._modify(dn, classes)
        self._modify(dn, *attributes)

    def _person(self, name: str) -> dict[str, list[str]]:
        return {
            "objectClass": ["user"],
            "sAMAccountName": [name],
            "userAccountControl": [_ENABLED],
        }

    def _group(self, object_class: str, name: str, members: Sequence[str]) -> dict[str, list[str]]:
        group = super()._group(object_class, name, members)
        return {**group, "sAMAccountName": [_account(name)]}


def _account(name: str) -> str:
    """Derive an account name that no user and no other group has."""
    readable = "".join(char if char.isalnum() else "-" for char in name)
    return f"{readable[:40]}-{next(_numbers)}"

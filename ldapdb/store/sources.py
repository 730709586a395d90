"""What explanations are read from: the readers of answers, with their warnings kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ldapdb.client import Call
from ldapdb.entries import DESCRIPTION, IMAGE, read_grant
from ldapdb.errors import InvalidValue
from ldapdb.protocol.entry import Entry
from ldapdb.store.accounting import Accountant
from ldapdb.store.applications import Applications
from ldapdb.store.caches import Caches
from ldapdb.store.grants import Grants
from ldapdb.store.memberships import Memberships
from ldapdb.store.profile import Profile
from ldapdb.store.reading import Warned
from ldapdb.store.users import Users
from ldapdb.wellformed import one_line

__all__ = ["Noted", "Sources", "is_readable", "servers_of"]


class Noted(Warned):
    """Warnings about entries, kept for whoever asked and not put into the log."""

    def __init__(self) -> None:
        super().__init__()
        self._notes: dict[tuple[str, str], None] = {}

    def skip(self, dn: object, reason: object) -> None:
        """Note that an entry is left out."""
        self._notes[one_line(str(dn)), one_line(str(reason))] = None

    def take(self) -> list[tuple[str, str]]:
        """Return the entries that were left out since this was last asked, and why."""
        notes = list(self._notes)
        self._notes.clear()
        return notes


@dataclass(frozen=True)
class Sources:
    """The readers that answers come from, for one explanation.

    Parameters
    ----------
    profile : Profile
        Where and how they read.
    noted : Noted
        What they leave out.
    users, applications, grants, memberships, accountant
        The readers.
    """

    profile: Profile
    noted: Noted
    users: Users
    applications: Applications
    grants: Grants
    memberships: Memberships
    accountant: Accountant

    @property
    def stated_in(self) -> str:
        """The attribute in which grants state their images."""
        return IMAGE if self.profile.notation.needs_schema else DESCRIPTION

    @classmethod
    def make(cls, profile: Profile, caches: Caches, clock: Callable[[], float]) -> Sources:
        """Put them together; `caches` are to be empty, so that all is read."""
        noted = Noted()
        users, grants = Users(profile, noted, clock), Grants(profile, noted)
        memberships = Memberships(profile, users, grants, noted)
        applications = Applications(profile, noted)
        return cls(
            profile=profile,
            noted=noted,
            users=users,
            applications=applications,
            grants=grants,
            memberships=memberships,
            accountant=Accountant(applications, memberships, caches, noted, clock),
        )


def is_readable(entry: Entry) -> bool:
    """Tell whether a grant gives anything."""
    try:
        read_grant(entry)
    except InvalidValue:
        return False
    return True


def servers_of(*calls: Call) -> tuple[str, ...]:
    """List the servers that answered, each once."""
    return tuple(dict.fromkeys(server for call in calls for server in call.asked))

"""What came of a change of several things, and how far it came if it was broken off."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, TypeVar, Union

from ldapdb.errors import LDAPDBError
from ldapdb.model import Grant, Policy, User, Window
from ldapdb.protocol.dn import DN

if TYPE_CHECKING:
    from ldapdb.store.groups import Group

__all__ = ["Granted", "Left", "Listed", "Renamed", "Revoked", "carry_out", "some", "warn_of"]

log = logging.getLogger(__name__)

T = TypeVar("T")

# Of what is to be told, so much is named.
_MOST_NAMED = 5


@dataclass(frozen=True)
class Granted:
    """A grant that was made.

    Parameters
    ----------
    image : str
        What.
    member : User or Group
        To whom.
    policy, window
        How and when.
    id : str, optional
        The mapping id of a user; the members of a group have one each.
    replaced : tuple of Window
        The times of grants to the same member that this one took the place of.
    besides : tuple of Grant
        Grants by which groups give a user the same at other times; they go on.
    kept : tuple of Grant
        Entries that name the member, at other times, and go on: somebody else made them, or
        they are members of others and give more than this.
    """

    image: str
    member: Union[User, Group]
    policy: Policy
    window: Window
    id: Optional[str] = None
    replaced: tuple[Window, ...] = ()
    besides: tuple[Grant, ...] = ()
    kept: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class Left:
    """An entry of somebody else, which a member was taken out of.

    It may be a group of the company's that carries the grant and gives its members more.

    Parameters
    ----------
    dn : DN
        The entry's.
    grants : tuple of DN
        The grants that name it, or a group that it is in: what they gave him by it is gone.
    """

    dn: DN
    grants: tuple[DN, ...] = ()


@dataclass(frozen=True)
class Revoked:
    """What was taken from a member.

    Parameters
    ----------
    image : str
        What.
    member : User or Group
        From whom.
    policies : tuple of Policy
        How he had it; empty if he did not.
    left : tuple of Left
        The entries of somebody else that he was taken out of for it.
    others : tuple of Policy
        How the member has it besides, where it was to be taken under one policy and was not had
        so.
    """

    image: str
    member: Union[User, Group]
    policies: tuple[Policy, ...]
    left: tuple[Left, ...] = ()
    others: tuple[Policy, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Say what else the member may have lost, in a sentence for each entry."""
        notes = []
        for each in self.left:
            by = some(f"'{dn}'" for dn in each.grants)
            also = f", and so is what {by} gave by it" if by else ""
            notes.append(
                f"{self.member.name} leaves '{each.dn}', which ldapdb did not make, for "
                f"{self.image}: whatever else that group gives is lost with it{also}"
            )
        return notes


@dataclass(frozen=True)
class Listed:
    """A grant as an entry.

    Parameters
    ----------
    grant : Grant
        What it says.
    members : int
        How many users and groups it names.
    """

    grant: Grant
    members: int


@dataclass(frozen=True)
class Renamed:
    """An application that has another image.

    Parameters
    ----------
    old, new : str
        The images.
    grants : tuple of DN
        The entries that were changed, by the names that they had.
    """

    old: str
    new: str
    grants: tuple[DN, ...]


def carry_out(
    images: Sequence[str],
    members: Sequence[Union[User, Group]],
    write: Callable[[str, Union[User, Group]], T],
    done: str,
) -> list[T]:
    """Make a write for each image and member; say how far it came if one fails.

    So it says, in the exception's words, when somebody breaks it off (KeyboardInterrupt).
    """
    work = [(image, member) for image in dict.fromkeys(images) for member in members]
    written: list[T] = []
    for image, member in work:
        try:
            written.append(write(image, member))
        except (LDAPDBError, KeyboardInterrupt) as error:
            if len(work) == 1:
                raise
            warn_of(*(each for each in written if isinstance(each, Revoked)))
            left = [f"{what!r} of {whom.name!r}" for what, whom in work[len(written) :]]
            text = (
                f"{done} before that: {len(written)} of {len(work)}; not {done}: {some(left)}; "
                "repeat the command to go on"
            )
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(f"{text}; the first of them may be {done}") from error
            raise error.restated(f"{error}; {text}") from error
    return written


def some(names: Iterable[str]) -> str:
    """Name the first of some, and how many more there are."""
    all_names = list(names)
    more = len(all_names) - _MOST_NAMED
    return ", ".join(all_names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def warn_of(*revoked: Revoked) -> None:
    """Log what else members may have lost, for a host that asks for no outcome."""
    for each in revoked:
        for note in each.notes:
            log.warning("%s", note)

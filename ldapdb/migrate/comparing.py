"""Parity: for every user, what another backend answers and what ldapdb does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ldapdb.errors import NotFound
from ldapdb.migrate.rows import Problem, Source
from ldapdb.model import Policy, User
from ldapdb.protocol.dn import DN
from ldapdb.store import Store
from ldapdb.store.reviewing import Review

__all__ = ["Comparison", "Difference", "Right", "compare"]

Right = tuple[str, Policy]  # image and policy


@dataclass(frozen=True)
class Difference:
    """A user of whom the two do not say the same.

    Parameters
    ----------
    user_name : str
        As the other backend spells it, or the directory if the other does not know him.
    missing : tuple of Right
        What the other backend gives him and ldapdb does not.
    added : tuple of Right
        What ldapdb gives him and the other backend does not.
    reason : str
        Why ldapdb gives him nothing, where that is known.
    """

    user_name: str
    missing: tuple[Right, ...] = ()
    added: tuple[Right, ...] = ()
    reason: str = ""


@dataclass
class Comparison:
    """What a comparison found.

    Parameters
    ----------
    users, rights : int
        How many of the other backend's were compared.
    differences : list of Difference
        By name.
    problems : list of Problem
        What the other backend has and no directory can say.
    images : list of str
        What the other backend has registered and the directory has not.
    further_images : list of str
        What the directory alone has registered, where the other backend lists all that it has.
    idle_users : list of str
        Whom the other backend knows and the directory does not, or whose accounts have ended.
        They may start nothing there either, so that this is no difference: a directory does
        without who has left.
    """

    users: int = 0
    rights: int = 0
    differences: list[Difference] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    further_images: list[str] = field(default_factory=list)
    idle_users: list[str] = field(default_factory=list)

    @property
    def is_identical(self) -> bool:
        """Whether both give everybody the same."""
        return not (self.differences or self.problems or self.images or self.further_images)


def compare(store: Store, source: Source, seconds: float = 300) -> Comparison:
    """Compare what both answer for every user of either.

    A right is an image and a policy as the host uses it: a licence of ``''`` is none, and a
    volume counts where `allow_common` is true.

    Parameters
    ----------
    seconds : float
        How long reading the directory's rights may take.

    Raises
    ------
    InvalidValue, LDAPDBError
        If one of them cannot be read whole.
    """
    found = Comparison()
    there, images = _read(source, found)
    review = store.review(seconds)
    here = _by_dn(review)
    found.images = sorted(images - review.images)
    if source.lists_all:
        found.further_images = sorted(review.images - images)
    named: set[DN] = set()
    for name, user in store.find_users(sorted(there)):
        found.users += 1
        wanted, reason, has = there[name], "", frozenset[Right]()
        if isinstance(user, User):
            named.add(user.dn)
            has = here.get(user.dn, (user.name, has))[1]
        else:
            reason = "not in the directory" if user is None else str(user)
        if not wanted and (user is None or isinstance(user, NotFound)):
            found.idle_users.append(name)
        elif wanted != has:
            found.differences.append(
                Difference(name, _sorted(wanted - has), _sorted(has - wanted), reason)
            )
    for dn, (name, rights) in here.items():
        if dn not in named:
            found.differences.append(Difference(name, added=_sorted(rights)))
    found.differences.sort(key=lambda each: each.user_name)
    return found


def _read(source: Source, found: Comparison) -> tuple[dict[str, frozenset[Right]], set[str]]:
    """Read who has what in the other backend, and its images; who have the same share one set."""
    rights: dict[str, set[Right]] = {}
    images: set[str] = set()
    same: dict[Right, Right] = {}
    for row in source.rows():
        if isinstance(row, Problem):
            found.problems.append(row)
            continue
        right = row.image, row.policy
        rights.setdefault(row.user_name, set()).add(same.setdefault(right, right))
        images.add(row.image)
        found.rights += 1
    if source.lists_all:  # otherwise these would be the same again
        images.update(source.images())
        for name in source.users():
            rights.setdefault(name, set())
    sets: dict[frozenset[Right], frozenset[Right]] = {}
    frozen = ((name, frozenset(several)) for name, several in rights.items())
    return {name: sets.setdefault(several, several) for name, several in frozen}, images


def _by_dn(review: Review) -> dict[DN, tuple[str, frozenset[Right]]]:
    return dict(_holding(review))


def _holding(review: Review) -> Iterator[tuple[DN, tuple[str, frozenset[Right]]]]:
    for who in review.people:
        held = frozenset(
            (right.image, right.policy) for right in who.rights if review.holds(who, right)
        )
        if held:
            yield who.user.dn, (who.user.name, held)


def _sorted(rights: frozenset[Right]) -> tuple[Right, ...]:
    return tuple(sorted(rights, key=lambda right: (right[0], str(right[1].key))))

"""Moving in: what is to be granted, planned first and then done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Union

from ldapdb.errors import AmbiguousName, Exists, InvalidValue, NotFound, SettingsError
from ldapdb.migrate.rows import Problem, Source
from ldapdb.model import Policy, User, Window
from ldapdb.protocol.dn import DN
from ldapdb.store import Store
from ldapdb.wellformed import check_image, check_text

__all__ = ["ImportPlan", "Intended", "apply", "make_plan"]


@dataclass
class Intended:
    """One image under one policy, and who is to have it: one entry.

    An entry for each, with the name that :meth:`Store.grant` gives it, so that whoever grants
    or revokes the same later meets it there.

    Parameters
    ----------
    image, policy
        What.
    users : list of User
        Who does not have it yet.
    there : int
        How many have it already.
    limited : list of (User, Window)
        Who of these has it for a time. Whoever stated that time had the last word, so that it
        stays: a grant without a limit would undo it, also one that is over.
    """

    image: str
    policy: Policy
    users: list[User] = field(default_factory=list)
    there: int = 0
    limited: list[tuple[User, Window]] = field(default_factory=list)


@dataclass
class ImportPlan:
    """What an import will do.

    Parameters
    ----------
    applications : list of str
        Images to register.
    grants : list of Intended
        What to grant, by image.
    skipped : list of Problem
        Rows that give nothing, and why.
    unknown : list of str
        Names that are no user's in the directory.
    merged : list of (User, list of str)
        Users whom the source has by several names, such as ``Alice`` and ``alice``, which are
        one name to the directory: they get what each of them has.
    rows : int
        How many rows were read.
    """

    applications: list[str] = field(default_factory=list)
    grants: list[Intended] = field(default_factory=list)
    skipped: list[Problem] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    merged: list[tuple[User, list[str]]] = field(default_factory=list)
    rows: int = 0

    @property
    def members(self) -> int:
        """How many users are to be put into grants, together."""
        return sum(len(each.users) for each in self.grants)

    @property
    def is_done(self) -> bool:
        """Whether all is there already."""
        return not self.applications and not self.members


def make_plan(store: Store, source: Source) -> ImportPlan:
    """Compare a source with the directory; nothing is changed.

    It keeps a name or a user for each right, and no row.

    Raises
    ------
    InvalidValue, LDAPDBError
        If the source cannot be read whole, or the directory does not say.
    """
    plan = ImportPlan()
    wanted = _read(store, plan, source)
    images = dict.fromkeys(image for image, _ in wanted)
    for image in list(_unused_images(plan, source, images)):
        images[image] = None
    registered = {each.image for each in store.list_applications()}
    plan.applications = [image for image in images if image not in registered]
    users = _users(store, plan, wanted)
    granted = store.members_granted(images)
    for (image, policy), names in sorted(wanted.items(), key=lambda each: str(each[0])):
        found = {users[name].dn: users[name] for name in names if name in users}
        if found:
            members = granted.get((image, policy), {})
            plan.grants.append(_intended(image, policy, found, members))
    return plan


def _intended(
    image: str, policy: Policy, users: dict[DN, User], members: dict[DN, Window]
) -> Intended:
    """Tell who of some users is to have it, and who has it already, or for a time."""
    new = [user for dn, user in users.items() if dn not in members]
    limited = [
        (user, members[dn]) for dn, user in users.items() if members.get(dn, Window()) != Window()
    ]
    return Intended(image, policy, new, len(users) - len(new), limited)


def apply(store: Store, plan: ImportPlan) -> Iterator[int]:
    """Do what was planned.

    Applications come first: a grant of an image that is not registered gives nothing. Each
    write is whole; after an interruption, plan and apply again.

    Yields
    ------
    int
        How many users have been put into grants by then.
    """
    for image in plan.applications:
        try:
            store.create_application(image)
        except Exists:  # by somebody else, since it was planned
            continue
    before = 0
    for each in plan.grants:
        done = 0
        for done in store.grant_many(each.image, each.policy, each.users):
            yield before + done
        before += done


def _unused_images(plan: ImportPlan, source: Source, known: dict[str, None]) -> Iterator[str]:
    """List the images that are registered there and that nobody has."""
    for image in source.images():
        if image in known:
            continue
        try:
            yield check_image(image)
        except InvalidValue as error:
            plan.skipped.append(Problem("application", str(error)))


def _read(
    store: Store, plan: ImportPlan, source: Source
) -> dict[tuple[str, Policy], dict[str, None]]:
    """Read who is to have what; keep each image, policy and name once.

    A row with a licence that may not be written is skipped whole: without its licence it would
    be another right.
    """
    wanted: dict[tuple[str, Policy], dict[str, None]] = {}
    names: dict[str, str] = {}
    for row in source.rows():
        plan.rows += 1
        if isinstance(row, Problem):
            plan.skipped.append(row)
            continue
        try:
            check_image(row.image)
            name = names.setdefault(row.user_name, check_text(row.user_name, "user name"))
            if row.policy.app_license:
                store.require_licence_allowed(row.policy)
        except (InvalidValue, SettingsError) as error:
            plan.skipped.append(Problem(row.where, str(error)))
            continue
        wanted.setdefault((row.image, row.policy), {})[name] = None
    return wanted


def _users(
    store: Store, plan: ImportPlan, wanted: dict[tuple[str, Policy], dict[str, None]]
) -> dict[str, User]:
    users: dict[str, User] = {}
    first: dict[DN, str] = {}
    merged: dict[DN, list[str]] = {}
    names = sorted({name for several in wanted.values() for name in several})
    found: Union[User, AmbiguousName, NotFound, None]
    for name, found in store.find_users(names):
        if isinstance(found, User):
            users[name] = found
            if (other := first.setdefault(found.dn, name)) != name:
                merged.setdefault(found.dn, [other]).append(name)
        elif found is None:
            plan.unknown.append(name)
        else:
            plan.skipped.append(Problem(f"user {name!r}", str(found)))
    plan.merged = [(users[several[0]], several) for several in merged.values()]
    return users

"""What ldapdb speaks of: users, applications, policies, grants, accountings.

All values are frozen, hashable and safe to share between threads.

This module knows nothing of LDAP entries (``entries``) nor of the host (``database``).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ldapdb.protocol.dn import DN
from ldapdb.syntaxes import said_time
from ldapdb.wellformed import check_text, parse_volume

__all__ = [
    "ACTIVE",
    "Account",
    "Accounting",
    "Application",
    "Entitlement",
    "Entitlements",
    "Grant",
    "Policy",
    "User",
    "Window",
    "mapping_id",
    "policy_half",
    "user_half",
]

_HALF = 16


@dataclass(frozen=True)
class Window:
    """The time in which a grant holds.

    Parameters
    ----------
    not_before, not_after : float, optional
        Seconds since the epoch, UTC; the first second in and the first second out.
        None is no limit.
    """

    not_before: Optional[float] = None
    not_after: Optional[float] = None

    def contains(self, now: float) -> bool:
        """Tell whether a grant with this window holds at `now` (seconds since the epoch)."""
        return not self.is_before(now) and not self.is_over(now)

    def whole(self) -> Window:
        """Return it in whole seconds, as directories keep it; it does not grow by that."""
        return Window(
            None if self.not_before is None else float(math.ceil(self.not_before)),
            None if self.not_after is None else float(math.floor(self.not_after)),
        )

    def within(self, other: Window) -> Window:
        """Return the time that both windows have in common."""
        begins = [each for each in (self.not_before, other.not_before) if each is not None]
        ends = [each for each in (self.not_after, other.not_after) if each is not None]
        return Window(max(begins, default=None), min(ends, default=None))

    def covers(self, other: Window) -> bool:
        """Tell whether this window holds whenever the other one does."""
        begins = self.not_before is None or (
            other.not_before is not None and self.not_before <= other.not_before
        )
        ends = self.not_after is None or (
            other.not_after is not None and other.not_after <= self.not_after
        )
        return begins and ends

    def is_before(self, now: float) -> bool:
        """Tell whether the window has not opened yet."""
        return self.not_before is not None and now < self.not_before

    def is_over(self, now: float) -> bool:
        """Tell whether the window has closed for good."""
        return self.not_after is not None and now >= self.not_after


@dataclass(frozen=True)
class Account:
    """When an entry is a user's account, and why it is not one at other times.

    Parameters
    ----------
    lock : str
        Why it is never one, such as ``disabled (nsAccountLock)``. Empty if its times decide.
    begins, ends : float, optional
        Seconds since the epoch; the first second in and the first second out.
    begins_by, ends_by : str
        The attributes that say so.
    is_unreadable : bool
        Whether `lock` stands for a value that cannot be read.
    """

    lock: str = ""
    begins: Optional[float] = None
    ends: Optional[float] = None
    begins_by: str = ""
    ends_by: str = ""
    is_unreadable: bool = False

    def holds(self, now: float) -> bool:
        """Return whether it is a user's account at `now` (seconds since the epoch)."""
        return not self.lock and self.window.contains(now)

    @property
    def window(self) -> Window:
        """Its times, without regard to `lock`."""
        return Window(self.begins, self.ends)

    def obstacle(self, now: float) -> str:
        """Return why it is not a user's account at `now`; empty if it is one."""
        if self.lock:
            return self.lock
        if self.begins is not None and now < self.begins:
            return f"starts on {said_time(self.begins)} ({self.begins_by})"
        if self.ends is not None and now >= self.ends:
            return f"expired on {said_time(self.ends)} ({self.ends_by})"
        return ""


# An account that nothing limits. Most are, and share it.
ACTIVE = Account()


@dataclass(frozen=True)
class User:
    """A user of the directory.

    Parameters
    ----------
    id : int
        From the directory's own stable identifier; survives renames and moves.
    name : str
        The entry's own name, as the directory spells it, whichever name was asked for.
    dn : DN
        Where the entry was when it was read. No part of the identity.
    primary_group : bytes, optional
        objectSid of the group that Active Directory keeps him in by number, not as a member.
    rank : int
        Which of the attributes of login names `name` is in; the preferred one is 0.
    aliases : tuple of (int, str)
        Further login names of the entry, each with the rank of its attribute.
    account : Account
        When the entry counts as a user. Not part of the identity.
    """

    id: int
    name: str
    dn: DN = field(compare=False, repr=False)
    primary_group: Optional[bytes] = field(default=None, compare=False, repr=False)
    rank: int = field(default=0, compare=False, repr=False)
    aliases: tuple[tuple[int, str], ...] = field(default=(), compare=False, repr=False)
    account: Account = field(default=ACTIVE, compare=False, repr=False)

    @property
    def entry(self) -> tuple[int, DN]:
        """The key of the entry: two entries may have the same id, and an id may move."""
        return self.id, self.dn

    @property
    def login_names(self) -> tuple[str, ...]:
        """All names that the entry may log in with, its own name first."""
        return tuple(dict.fromkeys((self.name, *(name for _, name in self.aliases))))

    def is_current(self, now: float) -> bool:
        """Return whether the entry is a user at `now` (seconds since the epoch)."""
        return self.account is ACTIVE or self.account.holds(now)


@dataclass(frozen=True)
class Application:
    """An image that can be started.

    Parameters
    ----------
    id : int
        From the entry's stable identifier.
    image : str
        Exact Docker reference; the application's identity.
    dn : DN
        Where the entry was when it was read. No part of the identity.
    """

    id: int
    image: str
    dn: DN = field(compare=False, repr=False)


@dataclass(frozen=True)
class Policy:
    """How an application may be started. Nothing absent gives a right.

    Parameters
    ----------
    app_license : str, optional
        Licence key handed to the application.
    allow_home, allow_view : bool
        Whether the home directory is mounted, whether others may watch the session.
    allow_common : bool
        Whether the volume is mounted: true exactly where there is one.
    volume_source, volume_target, volume_mode : str, optional
        See :func:`~ldapdb.wellformed.parse_volume`.
    allow_startup_data : bool
        Whether data may be handed over at the start.
    """

    # A host's error reporter prints what the host was given.
    app_license: Optional[str] = field(default=None, repr=False)
    allow_home: bool = False
    allow_view: bool = False
    allow_common: bool = False
    volume_source: Optional[str] = None
    volume_target: Optional[str] = None
    volume_mode: Optional[str] = None
    allow_startup_data: bool = False

    @classmethod
    def of(
        cls,
        *,
        app_license: Optional[str] = None,
        allow_home: bool = False,
        allow_view: bool = False,
        volume: Optional[str] = None,
        allow_startup_data: bool = False,
    ) -> Policy:
        """Make a policy from the form in which the host and the directory state it.

        Parameters
        ----------
        app_license : str, optional
            ``''`` means none, as the host's demo applications pass it.
        allow_home, allow_view, allow_startup_data : bool
            See :class:`Policy`.
        volume : str, optional
            ``source:target:mode``.

        Raises
        ------
        InvalidValue
            If the licence or the volume is malformed.
        """
        source, target, mode = (None, None, None) if volume is None else parse_volume(volume)
        return cls(
            app_license=check_text(app_license, "licence", secret=True) if app_license else None,
            allow_home=bool(allow_home),
            allow_view=bool(allow_view),
            allow_common=volume is not None,
            volume_source=source,
            volume_target=target,
            volume_mode=mode,
            allow_startup_data=bool(allow_startup_data),
        )

    @property
    def volume(self) -> Optional[str]:
        """The volume as ``source:target:mode``, or None."""
        if self.volume_source is None:
            return None
        return f"{self.volume_source}:{self.volume_target}:{self.volume_mode}"

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two policies the same, in a form that can be hashed for ever."""
        return (
            self.app_license,
            self.allow_home,
            self.allow_view,
            self.volume,
            self.allow_startup_data,
        )


@dataclass(frozen=True)
class Grant:
    """One policy for one or more images, given to the members of an entry.

    Parameters
    ----------
    dn : DN
        The group entry that carries it.
    images : tuple of str
        Exact, well-formed Docker references.
    policy : Policy
        How the images may be started.
    window : Window
        When the grant holds.
    """

    dn: DN
    images: tuple[str, ...]
    policy: Policy
    window: Window = Window()


@dataclass(frozen=True)
class Accounting:
    """One application that a user may start under one policy.

    Parameters
    ----------
    id : str
        The mapping id, see :func:`mapping_id`.
    user : User
        Who may start it.
    application : Application
        What may be started.
    application_policy : Policy
        How.
    """

    id: str
    user: User
    application: Application
    application_policy: Policy


@dataclass(frozen=True)
class Entitlement:
    """An accounting and the grants it comes from.

    Parameters
    ----------
    accounting : Accounting
        What the host is told.
    grants : tuple of Grant
        Every readable grant of this image and policy that reaches the user.
    """

    accounting: Accounting
    grants: tuple[Grant, ...]

    def holds(self, now: float) -> bool:
        """Return whether the user is one at `now`, and at least one of the grants holds."""
        return self.accounting.user.is_current(now) and any(
            grant.window.contains(now) for grant in self.grants
        )


class Entitlements:
    """All that a user may start, now or at another time.

    Parameters
    ----------
    entitlements : iterable of Entitlement
        One per (image, policy).
    form : callable, optional
        Gives accountings another form, once and not at each question.
    made_from : collection
        What it was made from: names of entries, and of the user.
    """

    def __init__(
        self,
        entitlements: Iterable[Entitlement],
        form: Optional[Callable[[Accounting], Accounting]] = None,
        made_from: Collection[Hashable] = (),
    ) -> None:
        self.all = tuple(entitlements)
        self.made_from = frozenset(made_from)
        # The usual case, and the one that the host repeats: nothing has a time limit, so
        # the answer is the same at all times and only has to be copied.
        self._timeless = all(
            entitlement.accounting.user.account == ACTIVE
            and any(grant.window == Window() for grant in entitlement.grants)
            for entitlement in self.all
        )
        self._accountings = [each.accounting for each in self.all]
        if form is not None:
            self._accountings = list(map(form, self._accountings))

    def __bool__(self) -> bool:
        """Tell whether there is any, now or at another time."""
        return bool(self.all)

    def at(self, now: float) -> list[Accounting]:
        """List what the user may start at `now` (seconds since the epoch)."""
        if self._timeless:
            return self._accountings.copy()
        return [told for told, each in zip(self._accountings, self.all) if each.holds(now)]


def policy_half(image: str, policy: Policy, window: Optional[Window] = None) -> str:
    """Name an image and a policy by 16 hexadecimal digits.

    Parameters
    ----------
    image : str
        Exact Docker reference.
    policy : Policy
        The policy.
    window : Window, optional
        Where given and limited, the name is of a grant with this window.

    Returns
    -------
    str
        The first half of a mapping id; never changes between releases, because it labels
        running containers.
    """
    parts: list[object] = [image, *policy.key]
    if window is not None and window != Window():
        parts += [window.not_before, window.not_after]
    return _digest(parts)


def user_half(user_id: int) -> str:
    """Name a user by 16 hexadecimal digits, the last half of a mapping id."""
    return _digest([str(user_id)])


def mapping_id(image: str, policy: Policy, user_id: int) -> str:
    """Name one (image, policy, user) by 32 lower-case hexadecimal digits.

    A pure function: the same in every process and after every restart, because it labels
    running containers and the host finds them again by it.
    """
    return policy_half(image, policy) + user_half(user_id)


def _digest(parts: Sequence[object]) -> str:
    # JSON because it is unambiguous: no two different lists have the same text.
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_HALF]

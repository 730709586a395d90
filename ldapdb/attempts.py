"""When a rejected password may be sent again.

Many directories lock an account after five wrong passwords. So an account gets at most three
attempts in 30 minutes, from all calls and to all servers together. This module does the pure
bookkeeping: ``now`` is an argument, nothing sleeps, nothing connects, and no password is known
here. A password is known by its *source* alone, such as its file's inode, size and time.

================================  ================================================
the server last                   an attempt with the same source is allowed
================================  ================================================
accepted it                       at once, unless another has rejected it since
rejected it                       1, 5, 15, 15… minutes after the last rejection
has not seen it                   at once: another server may only be late
================================  ================================================

Below all of these lies the account's budget. Retries may use two of the three attempts; the
third is kept for a new source, so that a corrected password is tried at once, and for a server
that accepted the source last.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional, Union

from ldapdb.shared import Place

__all__ = ["Attempts", "Busy", "Login", "Pause"]

_MINUTE = 60.0
_PAUSES = (1 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE)
_WINDOW_SECONDS = 30 * _MINUTE
_MOST, _MOST_RETRIES = 3, 2
# Enough for the budget and for the longest pause.
_REMEMBERED = 32
_NONE = object()
_LASTING = Place()


@dataclass(frozen=True)
class Login:
    """A login that is about to be sent.

    Parameters
    ----------
    account : str
        The account, in one spelling.
    server : str
        URI of the server.
    servers : frozenset of str
        URIs of all servers that know the same account.
    source : hashable
        Changes when the password does, and is not derived from it.
    """

    account: str
    server: str
    servers: frozenset[str]
    source: Hashable


@dataclass(frozen=True)
class Pause:
    """The login must not be sent before a moment.

    Parameters
    ----------
    until : float
        That moment, on the caller's clock.
    rejected_at : float
        When the password was rejected last.
    server : str
        The server that rejected it.
    reason : str
        What it said, in the caller's words.
    """

    until: float
    rejected_at: float
    server: str
    reason: str


class Busy:
    """Another login of the account is under way; its outcome decides."""


@dataclass(frozen=True)
class _Rejection:
    server: str
    source: Hashable
    at: float
    reason: str


@dataclass
class _Account:
    rejections: list[_Rejection] = field(default_factory=list)
    # By server: the source that it accepted last, unless it has rejected that since.
    accepted: dict[str, Hashable] = field(default_factory=dict)
    # By server: when it accepted a login last, with which its own count of wrong ones ended.
    accepted_at: dict[str, float] = field(default_factory=dict)
    # By server: the logins that it has not answered yet.
    under_way: dict[str, list[weakref.ref[Place]]] = field(default_factory=dict)


class Attempts:
    """The logins of all accounts."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def pause(self, login: Login, now: float) -> Optional[Pause]:
        """Return the pause that a login has to wait for; None if it may be sent."""
        account = self._account(login)
        if _is_trusted(account, login):
            return None
        until = max(_after_rejections(account, login), _within_budget(account, login))
        if until <= now:
            return None
        last = max(_relevant(account, login), key=lambda each: each.at)
        return Pause(until, last.at, last.server, last.reason)

    def begin(
        self,
        login: Login,
        now: float,
        asked_at: Optional[float] = None,
        place: Place = _LASTING,
    ) -> Union[Pause, Busy, None]:
        """Ask to send a login, which is under way then until :meth:`end`.

        One goes alone, so that threads that reconnect together do not lock the account. When it
        is accepted, those that wait for it go together.

        Parameters
        ----------
        asked_at : float, optional
            When the caller asked first, if it was busy then.
        place : Place, optional
            What the thread that sends it has: if that is gone, so is the login, whether or not it
            came to :meth:`end`.

        Returns
        -------
        Pause, Busy or None
            None if it may be sent, and nothing is under way otherwise.
        """
        pause = self.pause(login, now)
        if pause is not None:
            return pause
        account = self._account(login)
        is_shared = (
            _is_accepted(account, login)
            and asked_at is not None
            and account.accepted_at[login.server] >= asked_at
        )
        under_way = _under_way(account, login.server)
        if (under_way and not is_shared) or self._may_exceed(account, login, now):
            return Busy()
        account.under_way[login.server] = [*under_way, weakref.ref(place)]
        return None

    def end(self, login: Login, place: Place = _LASTING) -> None:
        """Note that a login is not under way any more."""
        account = self._account(login)
        left = _under_way(account, login.server)
        # An interrupt may have made this process forget what was under way.
        with contextlib.suppress(ValueError):
            left.remove(weakref.ref(place))
        account.under_way[login.server] = left

    def accept(self, login: Login, now: float) -> None:
        """Note that the server accepted a login; its count of wrong ones begins anew."""
        account = self._account(login)
        account.accepted[login.server] = login.source
        account.accepted_at[login.server] = now
        account.rejections = [
            each
            for each in account.rejections
            if (each.server, each.source) != (login.server, login.source)
        ]

    def reject(self, login: Login, now: float, reason: str) -> None:
        """Note that the server rejected a login."""
        account = self._account(login)
        if _is_accepted(account, login):
            del account.accepted[login.server]
        rejection = _Rejection(login.server, login.source, now, reason)
        account.rejections = [*account.rejections, rejection][-_REMEMBERED:]

    def forget_under_way(self) -> None:
        """Forget what was under way: a forked child has no thread that would end it."""
        for account in self._accounts.values():
            account.under_way.clear()

    def _may_exceed(self, account: _Account, login: Login, now: float) -> bool:
        """Tell whether logins under way elsewhere use up the budget if they are rejected."""
        if _is_trusted(account, login):
            return False
        unknown = [
            each
            for each in account.under_way
            if each in login.servers
            and each != login.server
            and _under_way(account, each)
            and not _is_trusted(account, replace(login, server=each))
        ]
        return _within_budget(account, login, [now] * len(unknown)) > now

    def _account(self, login: Login) -> _Account:
        return self._accounts.setdefault(login.account, _Account())


def _under_way(account: _Account, server: str) -> list[weakref.ref[Place]]:
    """List the logins under way to a server; those that an interrupt has ended are not."""
    return [each for each in account.under_way.get(server, ()) if each() is not None]


def _is_accepted(account: _Account, login: Login) -> bool:
    return account.accepted.get(login.server, _NONE) == login.source


def _is_trusted(account: _Account, login: Login) -> bool:
    """Tell whether the server accepted the source, and no other one has rejected it since."""
    return _is_accepted(account, login) and not any(
        each.source == login.source and each.at >= account.accepted_at[login.server]
        for each in _relevant(account, login)
    )


def _relevant(account: _Account, login: Login) -> list[_Rejection]:
    """List the rejections by the login's servers."""
    return [each for each in account.rejections if each.server in login.servers]


def _after_rejections(account: _Account, login: Login) -> float:
    """Return when the server may be asked again, by its own rejections of this source."""
    own = [
        each
        for each in account.rejections
        if (each.server, each.source) == (login.server, login.source)
    ]
    if not own:
        return -math.inf
    return own[-1].at + _PAUSES[min(len(own), len(_PAUSES)) - 1]


def _within_budget(account: _Account, login: Login, more: Sequence[float] = ()) -> float:
    """Return when the account has had few enough attempts in the time before.

    Parameters
    ----------
    more : sequence of float
        Times of further attempts, which may be rejected.
    """
    relevant = _relevant(account, login)
    # A server that accepted the source, and may still, is no place for a mere retry.
    is_retry = not _is_accepted(account, login) and any(
        each.source == login.source for each in relevant
    )
    most = _MOST_RETRIES if is_retry else _MOST
    counted = sorted(
        each.at for each in relevant if each.at >= account.accepted_at.get(each.server, -math.inf)
    )
    counted += more
    return counted[-most] + _WINDOW_SECONDS if len(counted) >= most else -math.inf

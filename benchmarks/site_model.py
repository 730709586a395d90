"""What the processes of a site ask, by arithmetic; opens no socket and reads no clock.

Each user who is logged in has a process of the host's with a cache of its own. Page views
come at random. A view that finds its cache too old asks the directory, all others ask nothing:
a session asks once in its TTL and the wait for its next view, taken together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.data import APPLICATIONS, GRANTS_OF_A_USER, MEMBERS, Grant, Size, image_of, name_of
from ldapdb.protocol import ber

__all__ = ["Site", "SiteSize", "answer_length", "most", "of_another", "percentile", "requests_in"]

_ENTRY, _REFERENCE = 0x64, 0x73  # of an answer these are never the last


@dataclass(frozen=True)
class Site:
    """What its users do.

    Parameters
    ----------
    views_a_minute : float
        Page views of one session.
    ttl_seconds : float
        ``cache_ttl_seconds``.
    session_minutes : float
        How long a user stays logged in. For each who goes another one comes.
    """

    views_a_minute: float
    ttl_seconds: float
    session_minutes: float

    @property
    def period_seconds(self) -> float:
        """From one view that asks the directory to the session's next one, on average."""
        return self.ttl_seconds + 60 / self.views_a_minute

    def asking_views(self, sessions: float) -> float:
        """Return how many views ask the directory in a second."""
        return sessions / self.period_seconds

    def starts(self, sessions: float) -> float:
        """Return how many processes start in a second."""
        return sessions / (60 * self.session_minutes)

    def searches(self, sessions: float, of_a_view: int, of_a_start: int) -> float:
        """Return the searches in a second.

        Parameters
        ----------
        sessions : float
            Users who are logged in.
        of_a_view, of_a_start : int
            Searches of a view that asks, and of a process's start with its first view.
        """
        return of_a_view * self.asking_views(sessions) + of_a_start * self.starts(sessions)

    def sessions(self, searches: float, of_a_view: int, of_a_start: int) -> float:
        """Return how many sessions make so many searches in a second."""
        return searches / self.searches(1, of_a_view, of_a_start)


@dataclass(frozen=True)
class SiteSize(Size):
    """The company of ``make bench``, where users have another number of applications.

    Parameters
    ----------
    applications : int
        Of each user who has any.
    """

    applications: int = GRANTS_OF_A_USER

    @property
    def grants(self) -> int:
        """As many for each hundred of users as one of them has applications."""
        return self.entitled // MEMBERS * self.applications

    @property
    def entitled(self) -> int:
        """The same users, whatever they have."""
        return Size(self.users).entitled

    def iter_grants(self) -> Iterator[Grant]:
        """Make the grants: each hundred of users shares theirs."""
        blocks = self.entitled // MEMBERS
        for number in range(self.grants):
            turn, block = divmod(number, blocks)
            yield Grant(
                number=number,
                image=image_of((block + turn * APPLICATIONS // self.applications) % APPLICATIONS),
                home=number % 2 == 0,
                view=number % 3 == 0,
                volume="/data/shared:/data:ro" if number % 4 == 0 else None,
                members=tuple(name_of(block * MEMBERS + each) for each in range(MEMBERS)),
            )


def of_another(request: bytes, number: int, another: int) -> bytes:
    """Rewrite a request about one user as the same about another one; the length is the same.

    Parameters
    ----------
    request : bytes
        As a real process sent it.
    number, another : int
        The users (``data.name_of``).
    """
    for old, new in zip(_identity(number), _identity(another)):
        request = request.replace(old, new)
    return request


def _identity(number: int) -> tuple[bytes, bytes]:
    """Return name and entryUUID, as ``data.ldif`` gives them; the user of the page is first."""
    return name_of(number).encode(), f"00000001-0000-4000-8000-{number + 1:012x}".encode()


def requests_in(octets: bytes) -> list[bytes]:
    """Take the messages apart that one connection sent (RFC 4511, section 5.1)."""
    found, at = [], 0
    while at < len(octets):
        end = ber.head(octets, at, len(octets))[2]
        found.append(octets[at:end])
        at = end
    return found


def answer_length(octets: bytes) -> int:
    """Return how many messages an answer has; 0 while its last one is not there.

    Raises
    ------
    ValueError
        If the server did not do as it was asked.
    """
    count, at, stop = 0, 0, len(octets)
    while at < stop:
        try:
            _, start, end = ber.head(octets, at, stop)
        except ber.BrokenAnswer:
            return 0
        start = ber.head(octets, start, end)[2]
        tag, start, _ = ber.head(octets, start, end)
        count += 1
        if tag not in {_ENTRY, _REFERENCE}:
            _, first, last = ber.head(octets, start, end)
            if code := ber.number(octets, first, last):
                raise ValueError(f"the server answers with result code {code}")
            return count
        at = end
    return 0


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the least of some values that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def most(carries: Callable[[int], bool], first: int, limit: int, step: float = 0.04) -> int:
    """Find the most sessions that are carried: doubling, then halving what is between.

    Parameters
    ----------
    carries : callable
        Tries so many.
    first : int
        Where to begin.
    limit : int
        Where to end.
    step : float
        How near is near enough, as a part of the result.

    Returns
    -------
    int
        The most that were carried; 0 if `first` was too many.
    """
    low, high = 0, first
    while high <= limit and carries(high):
        low, high = high, high * 2
    while low and high - low > low * step:
        middle = (low + high) // 2
        if middle <= limit and carries(middle):
            low = middle
        else:
            high = middle
    return low

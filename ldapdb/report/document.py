"""A review as a document, which JSON holds and the next review is compared with.

What many users have in common is written once: ``users`` name their ``rights`` by number,
rights name their ``ways``, and ways the ``entries`` they lead through. A licence key is
nowhere in it; that it is another one shows in a right's ``id``, the first half of the mapping
ids by which containers are labelled.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from typing import Any, Optional

from ldapdb import __version__
from ldapdb.errors import InvalidValue
from ldapdb.model import Policy, Window, policy_half
from ldapdb.protocol.dn import DN
from ldapdb.store.explaining import Way
from ldapdb.store.holders import Reached
from ldapdb.store.reviewing import Review
from ldapdb.syntaxes import said_time

__all__ = [
    "EXPIRED",
    "FORMAT",
    "NOT_BEGUN",
    "NOT_FOUND",
    "NOT_REGISTERED",
    "NOW",
    "VERSION",
    "Document",
    "in_words",
    "read",
    "write",
]

Document = dict[str, Any]

FORMAT, VERSION = "ldapdb-review", 1

# What a right is at the time of the review; the last one is of its user.
NOW, NOT_BEGUN, EXPIRED = "now", "not begun", "expired"
NOT_REGISTERED, NOT_FOUND = "not registered", "not found"


class _Table:
    """Values by number, each once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, value: Any) -> int:
        """Return the number of a value that has this key."""
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value)
        return self._numbers[key]


class _Writer:
    """Writes the rights of one review."""

    def __init__(self, review: Review) -> None:
        self._review = review
        self.entries, self.ways, self.rights = _Table(), _Table(), _Table()
        # One object stands for all users who have the same; the review keeps it alive.
        self._known: dict[int, int] = {}
        # By what a user's rights are sorted.
        self.order: dict[int, tuple[str, ...]] = {}

    def right(self, reached: Reached) -> int:
        """Return the number of a right."""
        known = self._known.get(id(reached))
        if known is None:
            ways = [self._way(way) for way in reached.ways]
            key = reached.image, reached.policy.key, tuple(ways)
            known = self.rights.number(key, {**self._said(reached), "ways": ways})
            self._known[id(reached)] = known
            self.order[known] = reached.image, *map(str, reached.policy.key)
        return known

    def _said(self, reached: Reached) -> Document:
        now = self._review.at
        windows = [grant.window for grant in reached.grants]
        is_registered = reached.image in self._review.images
        state = _state(windows, now) if is_registered else NOT_REGISTERED
        within = [each for each in windows if each.contains(now)]
        return {
            "id": policy_half(reached.image, reached.policy),
            "image": reached.image,
            "policy": _policy_fields(reached.policy),
            "state": state,
            "from": _moment(_begin(windows)) if not within else None,
            "until": _moment(_end(within or windows)),
        }

    def _way(self, way: Way) -> int:
        # A grant says in each way when it holds, a group never.
        links = [
            [self._entry(link.dn, way.grant.window if last else Window()), link.attribute]
            for last, link in _marking_last(way.links)
        ]
        return self.ways.number(tuple(map(tuple, links)), links)

    def _entry(self, dn: DN, window: Window) -> int:
        said: Document = {"dn": str(dn)}
        if window.not_before is not None:
            said["not_before"] = _moment(window.not_before)
        if window.not_after is not None:
            said["not_after"] = _moment(window.not_after)
        return self.entries.number((dn, window), said)


def write(review: Review) -> Document:
    """Write a review as a document."""
    writer = _Writer(review)
    users = [
        {
            "id": each.user.id,
            "name": each.user.name,
            "dn": str(each.user.dn),
            "obstacle": each.obstacle or None,
            "rights": sorted(map(writer.right, each.rights), key=writer.order.__getitem__),
        }
        for each in review.people
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_by": f"ldapdb {__version__}",
        "at": _moment(review.at),
        "servers": list(review.servers),
        "base_dn": str(review.base),
        "account": review.account,
        "applications": [each.image for each in review.applications],
        "reasons": [
            {"kind": each.kind, "text": each.text, "dn": each.dn} for each in review.reasons
        ],
        "entries": writer.entries.values,
        "ways": writer.ways.values,
        "rights": writer.rights.values,
        "users": users,
        "since": None,
    }


def read(text: str, name: str) -> Document:
    """Read a review that :func:`write` has written.

    Parameters
    ----------
    text : str
        JSON.
    name : str
        What to call it in an error: the file's name.

    Raises
    ------
    InvalidValue
        If it is none, or of another version.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(
            f"{name} is no review: not JSON ({error}); give a file that `ldapdb report --format "
            "json` has written"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidValue(
            f"{name} is no review: its format is not {FORMAT!r}; give a file that `ldapdb report "
            "--format json` has written"
        )
    if document.get("version") != VERSION:
        raise InvalidValue(
            f"{name} is a review of version {document.get('version')!r}, and this ldapdb reads "
            f"version {VERSION}; use the ldapdb that wrote it, or a newer one"
        )
    try:
        _check(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValue(
            f"{name} is a broken review ({error.__class__.__name__}: {error}); write it anew, or "
            "take it from your backup"
        ) from error
    return document


def _check(document: Document) -> None:
    """See that a comparison finds what it needs."""
    if not isinstance(document["at"], str) or not isinstance(document["base_dn"], str):
        raise TypeError("at and base_dn must be text")
    for right in document["rights"]:
        texts = right["id"], right["image"], right["state"]
        if not all(isinstance(each, str) for each in texts):
            raise TypeError("a right's id, image and state must be text")
        if not isinstance(right["until"], (str, type(None))):
            raise TypeError("a right's until must be text or null")
        in_words(right["policy"])
    count = len(document["rights"])
    for user in document["users"]:
        if not isinstance(user["id"], int) or not isinstance(user["name"], str):
            raise TypeError("a user's id must be a number and his name text")
        if not isinstance(user["dn"], str) or not isinstance(user["obstacle"], (str, type(None))):
            raise TypeError("a user's dn must be text, and his obstacle text or null")
        for number in user["rights"]:
            if type(number) is not int or not 0 <= number < count:
                raise ValueError(f"there is no right {number!r}")


def in_words(policy: Document) -> str:
    """Say a policy of a document in words; of a licence that there is one."""
    words = (
        ("home", policy["allow_home"]),
        ("view", policy["allow_view"]),
        ("startup data", policy["allow_startup_data"]),
        (f"volume {policy['volume']}", policy["volume"]),
        ("licensed", policy["licensed"]),
    )
    return ", ".join(word for word, said in words if said) or "plain"


def _policy_fields(policy: Policy) -> Document:
    return {
        "licensed": policy.app_license is not None,
        "allow_home": policy.allow_home,
        "allow_view": policy.allow_view,
        "allow_startup_data": policy.allow_startup_data,
        "volume": policy.volume,
    }


def _state(windows: Iterable[Window], now: float) -> str:
    known = list(windows)
    if any(each.contains(now) for each in known):
        return NOW
    return EXPIRED if all(each.is_over(now) for each in known) else NOT_BEGUN


def _begin(windows: Iterable[Window]) -> Optional[float]:
    begins = [each.not_before for each in windows if each.not_before is not None]
    return min(begins, default=None)


def _end(windows: Iterable[Window]) -> Optional[float]:
    """Tell when the last one ends; None for never."""
    ends = [each.not_after for each in windows]
    return None if None in ends else max((each for each in ends if each is not None), default=None)


def _marking_last(links: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    return [(number == len(links), link) for number, link in enumerate(links, 1)]


def _moment(moment: Optional[float]) -> Optional[str]:
    return None if moment is None else said_time(moment).replace(" UTC", "Z").replace(" ", "T")

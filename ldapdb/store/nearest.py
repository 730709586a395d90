"""What was perhaps meant by a name that there is not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from contextlib import suppress

from ldapdb.client import Call
from ldapdb.errors import AmbiguousName, InvalidValue, NotFound
from ldapdb.store.groups import Groups
from ldapdb.store.users import Users

__all__ = ["like", "like_group", "like_image", "like_user"]

# Names that are looked through for one that was meant.
_MOST = 50
# How near the last part of an image must be: one of another application is not meant.
_SAME_APPLICATION = 0.75


def like(name: str, names: Iterable[str]) -> str:
    """Ask whether one of some names was meant, if one is near.

    Returns
    -------
    str
        What goes on after an error's text; empty if there is none.
    """
    near = difflib.get_close_matches(name, sorted(set(names)), 3)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def like_image(image: str, images: Iterable[str]) -> str:
    """Ask whether another image of the same application was meant, as :func:`like`."""
    known: dict[str, list[str]] = {}
    for each in images:
        known.setdefault(_application(each), []).append(each)
    near = difflib.get_close_matches(_application(image), known, 1, _SAME_APPLICATION)
    return like(image, [each for name in near for each in known[name]])


def _application(image: str) -> str:
    return re.split("[:@]", image.rpartition("/")[2])[0]


def like_user(call: Call, users: Users, groups: Groups, name: str) -> str:
    """Ask whether a user of a near name was meant, or say that a group has this one."""
    with suppress(NotFound, AmbiguousName, InvalidValue):
        groups.find(call, name)
        return f"; {name!r} is a group, which `ldapdb app grant` and `revoke` take by --group"
    near = users.starting_with(call, _beginning(name), _MOST)
    return like(name, [each.name for each in near])


def like_group(call: Call, groups: Groups, name: str) -> str:
    """Ask whether a group of a near name was meant."""
    return like(name, groups.starting_with(call, _beginning(name), _MOST))


def _beginning(name: str) -> str:
    """Return the part of a name in which a slip is less likely."""
    return name[: max(1, len(name) // 2)]

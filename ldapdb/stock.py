"""Applications and grants in directories that keep the schema they have.

Everything stands in one value of ``description``, which every directory allows on every
group, as one line that an administrator can type::

    remoteapp grant image=simphony/mayavi:0.5 home=TRUE volume=/data:/mnt/data:ro

The first word marks the line; then come ``application``, ``grant`` or both, then words of
the form ``key=value``. Values with spaces are quoted as for a POSIX shell. Other values of
``description`` are left alone.

A word that is not known makes the whole line unreadable: it might have narrowed the grant.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Optional

from ldapdb.entries import (
    ALLOW_HOME,
    ALLOW_STARTUP_DATA,
    ALLOW_VIEW,
    APPLICATION_CLASS,
    DESCRIPTION,
    GRANT_CLASS,
    IMAGE,
    LICENSE,
    NOT_AFTER,
    NOT_BEFORE,
    VOLUME,
)
from ldapdb.errors import InvalidValue, SettingsError
from ldapdb.protocol import filters
from ldapdb.protocol.entry import OBJECT_CLASS, Entry, Modification, Operation
from ldapdb.protocol.filters import Filter

__all__ = ["KEYS", "StockNotation"]

_MARK = "remoteapp"
_ROLES = {"application": APPLICATION_CLASS, "grant": GRANT_CLASS}

# The keys of a line, in the order in which they are written, and what they stand for.
KEYS = {
    "image": IMAGE,
    "license": LICENSE,
    "home": ALLOW_HOME,
    "view": ALLOW_VIEW,
    "startup-data": ALLOW_STARTUP_DATA,
    "volume": VOLUME,
    "not-before": NOT_BEFORE,
    "not-after": NOT_AFTER,
}
_BOOLEANS = (ALLOW_HOME, ALLOW_VIEW, ALLOW_STARTUP_DATA)

# Another word within a value: quotes that end too late, with a licence inside perhaps.
_WORD_INSIDE = re.compile(rf"\s(?:{'|'.join(KEYS)})=", re.IGNORECASE)

# Substrings are rarely indexed, so that a server may try a filter on every line there is. From
# so many images on, it tries them only where it has found the role's word.
_MANY_IMAGES = 10


class StockNotation:
    """One line of ``description``, on plain groups.

    Parameters
    ----------
    licences : bool
        Whether lines with a licence may be written. They are always read, and shortened.
    """

    attributes = (OBJECT_CLASS, DESCRIPTION)
    needs_schema = False

    def __init__(self, *, licences: bool = False) -> None:
        self._licences = licences

    def require_licence_allowed(self, app_license: Optional[str]) -> None:
        """See that a licence, if there is one, may be written into a line."""
        if app_license and not self._licences:
            raise SettingsError(
                "licences_in_description: with schema = 'stock' the licence would be written into "
                f"{DESCRIPTION}, which most directories let all users read, and this setting is "
                "false; grant without the licence, extend the schema (schema = 'remoteapp'), or "
                "set licences_in_description = true once `ldapdb check --as-user NAME` sees no "
                "licence, or if anybody may know it"
            )

    def licensed(self) -> Filter:
        """Match entries with a line that has a licence in it."""
        return filters.starts_with(DESCRIPTION, _MARK, "license=")

    def carrying(self, object_class: str) -> Filter:  # noqa: ARG002 -- Notation's
        """Match entries with a line; which roles it names is read from it."""
        return filters.starts_with(DESCRIPTION, _MARK)

    def of_images(self, object_class: str, images: Sequence[str]) -> Filter:
        """Match entries with a line that has one of some images in it, or a longer one."""
        wanted = filters.any_of(
            *(filters.starts_with(DESCRIPTION, _MARK, image) for image in images)
        )
        if len(images) < _MANY_IMAGES:
            return wanted
        role = next(role for role, each in _ROLES.items() if each == object_class)
        return filters.all_of(filters.starts_with(DESCRIPTION, _MARK, role), wanted)

    def read(self, entry: Entry) -> Entry:
        """Add the classes and attributes that the line stands for, and drop any others."""
        line = _line_of(entry)
        names = {name.lower() for name in KEYS.values()}
        attributes = {
            name: values
            for name, values in entry.attributes.items()
            if name.partition(";")[0] not in names
        }
        ours = [object_class.lower().encode() for object_class in _ROLES.values()]
        classes = [
            value
            for value in entry.attributes.get(OBJECT_CLASS.lower(), ())
            if bytes(value).lower() not in ours
        ]
        if line is not None:
            roles, said = _parse(line)
            classes += [_ROLES[role].encode() for role in roles]
            for name, values in said.items():
                attributes[name.lower()] = [value.encode() for value in values]
        attributes[OBJECT_CLASS.lower()] = classes
        return replace(entry, attributes=attributes)

    def new(
        self, object_class: str, attributes: Mapping[str, Sequence[str]]
    ) -> tuple[list[str], dict[str, list[str]]]:
        """Write the attributes of ours as a line; the others stay."""
        plain = {
            name: list(values) for name, values in attributes.items() if name not in KEYS.values()
        }
        self._require_writable(attributes)
        line = _format([object_class], attributes)
        return [], {**plain, DESCRIPTION: [*plain.get(DESCRIPTION, ()), line]}

    def with_images(self, entry: Entry, images: Sequence[str]) -> list[Modification]:
        """Replace the line by one with these images."""
        said = {name: entry.values(name) for name in KEYS.values()}
        self._require_writable(said)
        return _replace(entry, _format(_classes_of(entry), {**said, IMAGE: list(images)}))

    def _require_writable(self, said: Mapping[str, Sequence[str]]) -> None:
        for value in said.get(LICENSE, ()):
            self.require_licence_allowed(value)

    def without_image(self, entry: Entry, image: str) -> list[Modification]:
        """Replace the line by one without the image, which registers no other."""
        said = {name: entry.values(name) for name in KEYS.values()}
        said[IMAGE] = [each for each in said[IMAGE] if each != image]
        return _replace(entry, _format([GRANT_CLASS], said))

    def without_class(self, entry: Entry, object_class: str) -> list[Modification]:
        """Drop the line, or the role where it names another."""
        others = [each for each in _classes_of(entry) if each != object_class]
        if not others:
            return _replace(entry, None)
        said = {name: entry.values(name) for name in KEYS.values()}
        if GRANT_CLASS not in others:
            said = {IMAGE: said[IMAGE]}
        return _replace(entry, _format(others, said))


def _line_of(entry: Entry) -> Optional[str]:
    """Return the entry's line; values that do not begin like one are somebody else's text."""
    values = entry.raw(DESCRIPTION)
    mark = _MARK.encode()
    lines = [value for value in values if value.lstrip(b" ")[: len(mark)].lower() == mark]
    try:
        texts = [line.decode() for line in lines]
    except UnicodeDecodeError:
        raise InvalidValue(f"{DESCRIPTION} is not UTF-8") from None
    # Any white space ends the mark here, also what ends no word in a shell: see _parse.
    texts = [text for text in texts if text.split(maxsplit=1)[0].lower() == _MARK]
    if texts and texts[0].encode() not in entry.attributes.get(DESCRIPTION.lower(), ()):
        raise InvalidValue(f"the {_MARK} line of {DESCRIPTION} must not have options")
    if len(texts) > 1:
        raise InvalidValue(f"{DESCRIPTION} has {len(texts)} lines of {_MARK} and may have one")
    return texts[0] if texts else None


def _parse(line: str) -> tuple[list[str], dict[str, list[str]]]:
    """Take a line apart: the roles, and values by the names of our attributes.

    No part of the line is told in an error: what is out of place may be a piece of a licence.
    """
    where = f"the {_MARK} line of {DESCRIPTION}"
    try:
        mark, *words = shlex.split(line)
    except ValueError as error:
        raise InvalidValue(f"{where} is not quoted well: {error}") from None
    if mark.lower() != _MARK:
        raise InvalidValue(f"{where} must have a plain space after {_MARK}")
    roles = _roles(line, words)
    said: dict[str, list[str]] = {}
    for position, word in enumerate(words, len(roles) + 2):
        key, _, value = word.partition("=")
        name = KEYS.get(key.lower()) if "=" in word else None
        if name is None:
            raise InvalidValue(
                f"word {position} of {where} is none of {', '.join(f'{each}=' for each in KEYS)}; "
                "values with spaces must be quoted"
            )
        if name != LICENSE and _WORD_INSIDE.search(value):
            raise InvalidValue(f"{key}= in {where} goes on with another key; mend the quotes")
        if name in said and (name != IMAGE or value in said[IMAGE]):
            raise InvalidValue(f"{where} says {key}= twice")
        if name == IMAGE and value not in line.lstrip()[len(_MARK) :]:
            # It is searched for by these letters: one that no search finds could not be revoked.
            raise InvalidValue(f"{where} must have the image without quotes inside it")
        said.setdefault(name, []).append(_value(key, name, value))
    return roles, said


def _roles(line: str, words: list[str]) -> list[str]:
    """Take the roles off the front of a line's words."""
    where = f"the {_MARK} line of {DESCRIPTION}"
    roles: list[str] = []
    while words and words[0].lower() in _ROLES:
        roles.append(words.pop(0).lower())
    if not roles or len(set(roles)) < len(roles):
        raise InvalidValue(f"{where} must go on with {' or '.join(_ROLES)}, or each of them once")
    if [word.lower() for word in line.split()[1 : len(roles) + 1]] != roles:
        # It is searched for by these words, as by the letters of its images.
        raise InvalidValue(f"{where} must have {' and '.join(roles)} without quotes")
    return roles


def _value(key: str, name: str, value: str) -> str:
    if name not in _BOOLEANS:
        return value
    if value.upper() not in ("TRUE", "FALSE"):
        raise InvalidValue(f"{key} is {value!r} and must be TRUE or FALSE")
    return value.upper()


def _format(object_classes: Iterable[str], said: Mapping[str, Sequence[str]]) -> str:
    for name, values in said.items():
        if name != LICENSE and any(map(_WORD_INSIDE.search, values)):
            raise InvalidValue(f"{name} must not contain a word such as license=")
    roles = [role for role, each in _ROLES.items() if each in object_classes]
    words = [
        f"{key}={shlex.quote(value)}" for key, name in KEYS.items() for value in said.get(name, ())
    ]
    return " ".join([_MARK, *roles, *words])


def _classes_of(entry: Entry) -> list[str]:
    return [each for each in _ROLES.values() if entry.has_class(each)]


def _replace(entry: Entry, line: Optional[str]) -> list[Modification]:
    """Replace the line in one modify, which fails if it is no longer there.

    The delete names the value, so that two writers cannot undo each other's work; values
    that differ in case only are one to the directory.
    """
    before = _line_of(entry)
    changes = [] if before is None else [Modification(Operation.DELETE, DESCRIPTION, (before,))]
    if line is not None:
        changes.append(Modification(Operation.ADD, DESCRIPTION, (line,)))
    return changes

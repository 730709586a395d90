"""Directory entries: our attribute and class names, and what an entry says.

The names of the schema (``ldif/``) stand here and nowhere else. The ``read_*`` functions turn
an :class:`~ldapdb.protocol.entry.Entry` into a value of ``model`` or raise
:class:`~ldapdb.errors.InvalidValue` with the reason, and the ``*_attributes`` functions
go the other way.

This module opens no connection and does not know which server an entry came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Optional

from ldapdb.errors import InvalidValue
from ldapdb.model import Application, Grant, Policy, User, Window
from ldapdb.protocol.dn import AVA, DN
from ldapdb.protocol.entry import OBJECT_CLASS, Entry
from ldapdb.syntaxes import (
    IdentifierForm,
    format_time,
    parse_identifier,
    parse_integer,
    parse_time,
    sibling_sid,
)
from ldapdb.wellformed import check_image, check_text

__all__ = [
    "ALLOW_HOME",
    "ALLOW_STARTUP_DATA",
    "ALLOW_VIEW",
    "APPLICATION_CLASS",
    "DESCRIPTION",
    "DISPLAY_NAME",
    "GRANT_ATTRIBUTES",
    "GRANT_CLASS",
    "GROUP_CLASS",
    "IMAGE",
    "LICENSE",
    "MEMBER",
    "MEMBER_UID",
    "NOT_AFTER",
    "NOT_BEFORE",
    "OBJECT_SID",
    "POLICY_ATTRIBUTES",
    "PRIMARY_GROUP_ID",
    "VOLUME",
    "grant_attributes",
    "is_application",
    "is_grant",
    "read_application",
    "read_dn",
    "read_grant",
    "read_identifier",
    "read_images",
    "read_user",
    "without_class",
]

MEMBER = "member"
MEMBER_UID = "memberUid"
DISPLAY_NAME = "displayName"
DESCRIPTION = "description"

OBJECT_SID = "objectSid"
PRIMARY_GROUP_ID = "primaryGroupID"

IMAGE = "remoteAppImage"
LICENSE = "remoteAppLicense"
ALLOW_HOME = "remoteAppAllowHome"
ALLOW_VIEW = "remoteAppAllowView"
ALLOW_STARTUP_DATA = "remoteAppAllowStartupData"
VOLUME = "remoteAppVolume"
NOT_BEFORE = "remoteAppNotBefore"
NOT_AFTER = "remoteAppNotAfter"

APPLICATION_CLASS = "remoteAppApplication"
GRANT_CLASS = "remoteAppGrant"
GROUP_CLASS = "remoteAppGroup"

POLICY_ATTRIBUTES = (
    LICENSE,
    ALLOW_HOME,
    ALLOW_VIEW,
    ALLOW_STARTUP_DATA,
    VOLUME,
    NOT_BEFORE,
    NOT_AFTER,
)
GRANT_ATTRIBUTES = (OBJECT_CLASS, IMAGE, *POLICY_ATTRIBUTES)


def read_identifier(entry: Entry, attribute: str, form: IdentifierForm) -> int:
    """Read an entry's stable identifier as a number.

    Raises
    ------
    InvalidValue
        If it is absent, doubled, not of the form, or has an option.
    """
    raw = entry.only(attribute)
    try:
        return parse_identifier(raw, form)
    except ValueError:
        raise InvalidValue(f"{attribute} is not a {form.value}") from None


def is_application(entry: Entry) -> bool:
    """Tell whether the entry registers an application."""
    return entry.has_class(APPLICATION_CLASS)


def is_grant(entry: Entry) -> bool:
    """Tell whether the entry carries a grant."""
    return entry.has_class(GRANT_CLASS)


def without_class(entry: Entry, object_class: str) -> Entry:
    """Return an entry as it would be without an object class."""
    unwanted, name = object_class.lower().encode(), OBJECT_CLASS.lower()
    classes = entry.attributes.get(name, ())
    left = [value for value in classes if bytes(value).lower() != unwanted]
    return Entry(entry.dn, {**entry.attributes, name: left}, entry.matching)


def read_user(
    entry: Entry,
    name_attributes: Sequence[str],
    identifier_attribute: str,
    form: IdentifierForm,
) -> User:
    """Read a user. The result depends on the entry alone, not on the name that was asked for.

    Parameters
    ----------
    entry : Entry
        A person's entry.
    name_attributes : sequence of str
        Where login names are, the preferred attribute first.
    identifier_attribute : str
        Where the stable identifier is.
    form : IdentifierForm
        How the identifier is written.

    Raises
    ------
    InvalidValue
        If there is no well-formed name or identifier.
    """
    ranked = [(rank, each) for rank, each in enumerate(name_attributes) if _has(entry, each)]
    if not ranked:
        raise InvalidValue(f"{' or '.join(name_attributes)} is absent or may not be read")
    dn = read_dn(entry)
    rank, attribute = ranked[0]
    name = _own_name(dn, attribute, entry.texts(attribute))
    names = [(each, text) for each, further in ranked for text in _texts(entry, further)]
    return User(
        id=read_identifier(entry, identifier_attribute, form),
        name=check_text(name, "user name"),
        dn=dn,
        primary_group=_read_primary_group(entry),
        rank=rank,
        aliases=tuple(each for each in names if each != (rank, name)),
    )


def _own_name(dn: DN, attribute: str, names: Sequence[str]) -> str:
    """Choose the value in the RDN, else the only value, else the first in sorted order."""
    rdn = dn.rdns[0] if dn.rdns else ()
    keys, texts = {ava.key(dn.matching) for ava in rdn}, {ava.value for ava in rdn}
    in_rdn = [name for name in sorted(names) if AVA(attribute, name).key(dn.matching) in keys]
    return min(in_rdn, key=lambda name: name not in texts) if in_rdn else min(names)


def _has(entry: Entry, attribute: str) -> bool:
    return bool(entry.raw(attribute))


def _texts(entry: Entry, attribute: str) -> list[str]:
    """Return an attribute's values as text, without those that are blank or not UTF-8."""
    texts = []
    for value in entry.raw(attribute):
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            continue
    return sorted(filter(str.strip, texts))


def _read_primary_group(entry: Entry) -> Optional[bytes]:
    """Read which group a user is in by number; None if it was not asked for or is hidden."""
    sids = entry.attributes.get(OBJECT_SID.lower(), ())
    if not sids and PRIMARY_GROUP_ID.lower() not in entry.attributes:
        return None
    number = entry.value(PRIMARY_GROUP_ID)
    if len(sids) != 1 or number is None:
        return None
    try:
        return sibling_sid(bytes(sids[0]), parse_integer(number))
    except ValueError as error:
        raise InvalidValue(f"{OBJECT_SID} or {PRIMARY_GROUP_ID}: {error}") from None


def read_application(entry: Entry, identifier_attribute: str, form: IdentifierForm) -> Application:
    """Read an application.

    Raises
    ------
    InvalidValue
        If it has not exactly one well-formed image, or no identifier.
    """
    image = entry.value(IMAGE)
    if image is None:
        raise InvalidValue(f"{IMAGE} is absent or may not be read")
    return Application(
        id=read_identifier(entry, identifier_attribute, form),
        image=check_image(image),
        dn=read_dn(entry),
    )


def read_images(entry: Entry) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read a grant's images: those that are well-formed, and those that are not."""
    good: list[str] = []
    bad: list[str] = []
    for image in entry.values(IMAGE):
        try:
            good.append(check_image(image))
        except InvalidValue:
            bad.append(image)
    return tuple(good), tuple(bad)


def read_grant(entry: Entry) -> Grant:
    """Read a grant.

    Returns
    -------
    Grant
        With the well-formed images only; :func:`read_images` tells the others.

    Raises
    ------
    InvalidValue
        If anything that decides about access cannot be read: then the grant gives nothing.
    """
    images, bad = read_images(entry)
    if not images:
        named = f" (of {', '.join(map(repr, bad))})" if bad else ""
        raise InvalidValue(f"no value of {IMAGE} is a Docker reference{named}")
    policy = Policy.of(
        app_license=_policy_value(entry, LICENSE),
        allow_home=_read_boolean(entry, ALLOW_HOME),
        allow_view=_read_boolean(entry, ALLOW_VIEW),
        volume=_policy_value(entry, VOLUME),
        allow_startup_data=_read_boolean(entry, ALLOW_STARTUP_DATA),
    )
    window = Window(_read_time(entry, NOT_BEFORE, ceil), _read_time(entry, NOT_AFTER, floor))
    return Grant(dn=read_dn(entry), images=images, policy=policy, window=window)


def read_dn(entry: Entry) -> DN:
    """Read an entry's name.

    Raises
    ------
    InvalidValue
        If it cannot be read, such as one with a binary value in it.
    """
    try:
        return DN.parse(entry.dn, entry.matching)
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def _policy_value(entry: Entry, attribute: str) -> Optional[str]:
    """Return a policy attribute's only value; one without any must not be taken for absent."""
    value = entry.value(attribute)
    if value is None and attribute.lower() in entry.attributes:
        raise InvalidValue(f"{attribute} is there without a value")
    return value


def _read_boolean(entry: Entry, attribute: str) -> bool:
    value = _policy_value(entry, attribute)
    if value is None:
        return False
    if value not in ("TRUE", "FALSE"):
        raise InvalidValue(f"{attribute} is {value!r} and must be TRUE or FALSE")
    return value == "TRUE"


def _read_time(entry: Entry, attribute: str, whole: Callable[[Fraction], int]) -> Optional[float]:
    """Read a time in whole seconds, rounded so that a window never grows."""
    value = _policy_value(entry, attribute)
    try:
        return None if value is None else float(whole(parse_time(value)))
    except ValueError as error:
        raise InvalidValue(f"{attribute}: {error}") from None


def grant_attributes(images: Iterable[str], policy: Policy, window: Window) -> dict[str, list[str]]:
    """Write a grant's attributes, without classes and members. What is false is absent."""
    attributes: dict[str, list[str]] = {IMAGE: list(images)}
    flags = {
        ALLOW_HOME: policy.allow_home,
        ALLOW_VIEW: policy.allow_view,
        ALLOW_STARTUP_DATA: policy.allow_startup_data,
    }
    attributes.update({name: ["TRUE"] for name, value in flags.items() if value})
    texts = {
        LICENSE: policy.app_license,
        VOLUME: policy.volume,
        NOT_BEFORE: None if window.not_before is None else format_time(window.not_before),
        NOT_AFTER: None if window.not_after is None else format_time(window.not_after),
    }
    attributes.update({name: [value] for name, value in texts.items() if value is not None})
    return attributes

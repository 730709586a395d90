"""What an entry may give: only what its values say to the letter.

Written from the schema and RFC 4517 alone, and stricter than it need be where that is
simpler. Nothing of ldapdb is used.
"""

from __future__ import annotations

import calendar
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Optional

Attributes = Mapping[str, Sequence[bytes]]

_TIME = re.compile(
    rb"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})?)?(?:[.,]([0-9]+))?"
    rb"(?:Z|([+-])([0-9]{2})([0-9]{2})?)"
)
_IMAGE = re.compile(rb"[a-zA-Z0-9\[\]:._/@+-]+")


def of(attributes: Attributes, name: str) -> list[bytes]:
    """Collect an attribute's values however its name is spelled, and whatever its options."""
    return [
        value
        for given, values in attributes.items()
        if given.lower().partition(";")[0] == name.lower()
        for value in values
    ]


def limited(attributes: Attributes, name: str) -> bool:
    """Tell whether there is a limit, readable or not."""
    return any(given.lower().partition(";")[0] == name.lower() for given in attributes)


def moment(value: bytes) -> Fraction:
    """Read a GeneralizedTime exactly (RFC 4517, section 3.3.13)."""
    match = _TIME.fullmatch(value)
    assert match is not None, value
    year, month, day, hour, minute, second, fraction, sign, east, quarter = match.groups()
    whole = calendar.timegm((
        int(year), int(month), int(day), int(hour), int(minute or 0), min(int(second or 0), 59)
    ))  # fmt: skip
    unit = 1 if second else 60 if minute else 3600
    digits = (fraction or b"0")[:40]
    offset = 3600 * int(east or 0) + 60 * int(quarter or 0)
    return (
        Fraction(whole)
        + Fraction(int(digits), 10 ** len(digits)) * unit
        - (-offset if sign == b"-" else offset)
    )


@dataclass(frozen=True)
class Said:
    """What a grant gave, in the words of the schema."""

    images: tuple[str, ...]
    licence: Optional[str]
    home: bool
    view: bool
    startup_data: bool
    volume: Optional[str]
    not_before: Optional[float]
    not_after: Optional[float]


def check(said: Said, attributes: Attributes) -> None:
    """Fail if anything was given that the attributes do not say, each in one value."""
    images = of(attributes, "remoteAppImage")
    for image in said.images:
        assert image.encode() in images
        assert _IMAGE.fullmatch(image.encode())
    for name, given in (
        ("remoteAppAllowHome", said.home),
        ("remoteAppAllowView", said.view),
        ("remoteAppAllowStartupData", said.startup_data),
    ):
        assert not given or of(attributes, name) == [b"TRUE"], name
    for name, text in (("remoteAppLicense", said.licence), ("remoteAppVolume", said.volume)):
        assert text is None or of(attributes, name) == [text.encode()], name
    for name, limit in (
        ("remoteAppNotBefore", said.not_before),
        ("remoteAppNotAfter", said.not_after),
    ):
        if limit is None:
            assert not limited(attributes, name), f"{name} was not heeded"
            continue
        (value,) = of(attributes, name)
        exact = moment(value)
        assert limit <= exact if name == "remoteAppNotAfter" else limit >= exact, name


_KEYS = {
    "image": "remoteAppImage",
    "license": "remoteAppLicense",
    "home": "remoteAppAllowHome",
    "view": "remoteAppAllowView",
    "startup-data": "remoteAppAllowStartupData",
    "volume": "remoteAppVolume",
    "not-before": "remoteAppNotBefore",
    "not-after": "remoteAppNotAfter",
}


def line(attributes: Attributes) -> dict[str, list[bytes]]:
    """Turn the only line of ``description`` into attributes."""
    lines = [
        text
        for text in of({"description": attributes.get("description", ())}, "description")
        if text.lstrip(b" ")[:9].lower() == b"remoteapp"
    ]
    (text,) = lines
    mark, *words = shlex.split(text.decode())
    assert mark.lower() == "remoteapp"
    assert "grant" in (word.lower() for word in words[:2])
    found: dict[str, list[bytes]] = {}
    for word in words:
        key, _, value = word.partition("=")
        if "=" in word:
            name = _KEYS[key.lower()]
            value = value.upper() if "Allow" in name else value
            found.setdefault(name, []).append(value.encode())
    return found


def whole_number(value: bytes) -> int:
    """Read an INTEGER (RFC 4517, section 3.3.16)."""
    assert re.fullmatch(rb"0|-?[1-9][0-9]*", value), value
    return int(value)


def hexadecimal(value: bytes) -> int:
    """Read an entryUUID or nsUniqueId: 32 digits, wherever the dashes are."""
    digits = value.replace(b"-", b"")
    assert re.fullmatch(rb"[0-9a-fA-F]{32}", digits), value
    return int(digits, 16)


def little_endian(value: bytes) -> int:
    """Read an objectGUID ([MS-DTYP], section 2.3.4.2)."""
    assert len(value) == 16
    return int.from_bytes(value[3::-1] + value[5:3:-1] + value[7:5:-1] + value[8:], "big")

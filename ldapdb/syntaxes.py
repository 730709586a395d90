"""Attribute syntaxes: how identifiers and times are written in a directory (RFC 4517)."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta, timezone
from enum import Enum
from fractions import Fraction
from typing import Optional

__all__ = [
    "MOMENTS",
    "IdentifierForm",
    "as_utc",
    "format_time",
    "parse_identifier",
    "parse_integer",
    "parse_time",
    "said_time",
    "sibling_sid",
    "write_identifier",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)
# Seconds since the epoch that can be written with four digits for the year, in UTC.
MOMENTS = range(
    (datetime(1, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _SECOND,
    (datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc) - _EPOCH) // _SECOND + 1,
)

_SHORTEST_SID = 12

# Stricter than int() and UUID(), which take "1_000" and "{…}": what reads as another entry's
# identifier is that entry's identity.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,38}")  # RFC 4517, section 3.3.16; up to 128 bits
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{32}")

_TIME = re.compile(
    r"(\d{4})(\d{2})(\d{2})(\d{2})(?:([0-5]\d)([0-5]\d|60)?)?(?:[.,](\d{1,30}))?"
    r"(Z|[+-](?:[01]\d|2[0-3])(?:[0-5]\d)?)",
    re.ASCII,
)


class IdentifierForm(Enum):
    """How a directory writes the stable identifier of an entry."""

    UUID_TEXT = "uuid"  # entryUUID: RFC 4530
    UUID_BYTES_LE = "guid"  # objectGUID: 16 octets, the first three fields little-endian
    HEXADECIMAL = "unique id"  # nsUniqueId of 389 DS: four times eight hexadecimal digits
    INTEGER = "integer"  # uidNumber: RFC 2307


def parse_identifier(octets: bytes, form: IdentifierForm) -> int:
    """Read a stable identifier as a number.

    Raises
    ------
    ValueError
        If the value is not of the form.
    """
    if form is IdentifierForm.UUID_BYTES_LE:
        return uuid.UUID(bytes_le=octets).int
    if form in (IdentifierForm.UUID_TEXT, IdentifierForm.HEXADECIMAL):  # dashes are no matter
        digits = octets.decode("ascii").replace("-", "")
        if not _HEXADECIMAL.fullmatch(digits):
            raise ValueError("not 32 hexadecimal digits")
        return int(digits, 16)
    return parse_integer(octets.decode("ascii"))


def parse_integer(text: str) -> int:
    """Read an INTEGER.

    Raises
    ------
    ValueError
        If it is none, or has more digits than any identifier.

    References
    ----------
    RFC 4517, section 3.3.16.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text)


def write_identifier(number: int, form: IdentifierForm) -> Optional[bytes]:
    """Turn a number back into the value to search for.

    Returns
    -------
    bytes or None
        None where no entry can have that number.
    """
    if form is IdentifierForm.INTEGER:
        return str(number).encode()
    if not 0 <= number < 1 << 128:
        return None
    identifier = uuid.UUID(int=number)
    if form is IdentifierForm.UUID_BYTES_LE:
        return identifier.bytes_le
    if form is IdentifierForm.HEXADECIMAL:
        digits = identifier.hex
        return "-".join(digits[start : start + 8] for start in range(0, 32, 8)).encode()
    return str(identifier).encode()


def sibling_sid(sid: bytes, relative_identifier: int) -> bytes:
    """Name another account of the same domain.

    Parameters
    ----------
    sid : bytes
        A security identifier as objectSid has it.
    relative_identifier : int
        The other account's number in the domain.

    Raises
    ------
    ValueError
        If `sid` is none, or the number does not fit into 32 bits.

    References
    ----------
    [MS-DTYP], section 2.4.2.2: one octet of revision, one that counts the parts, six of
    authority, and four for each part, little-endian; the last part is the account's number.
    """
    if len(sid) < _SHORTEST_SID or len(sid) != 8 + 4 * sid[1]:
        raise ValueError("not a security identifier")
    if not 0 <= relative_identifier < 1 << 32:
        raise ValueError(f"{relative_identifier} is not the number of an account")
    return sid[:-4] + relative_identifier.to_bytes(4, "little")


def parse_time(text: str) -> Fraction:
    """Read a GeneralizedTime.

    Parameters
    ----------
    text : str
        For example ``20261124041005Z``.

    Returns
    -------
    Fraction
        Seconds since the epoch, exactly: a float would round .9999999 up to the next second. A
        moment that lies outside the years 1 to 9999 in UTC, as programs write with a local
        offset for "always" and "never", is the first or the last second of these years.

    Raises
    ------
    ValueError
        If it is not a GeneralizedTime with a time zone.

    References
    ----------
    RFC 4517, section 3.3.13.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 20261124041005Z")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    unit = 1 if second else 60 if minute else 3600  # a fraction is of the last field given
    offset = 0
    if zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[3:] or 0) * 60
        offset = -offset if zone[0] == "-" else offset
    try:
        moment = datetime(  # a leap second counts as the second before it
            int(year), int(month), int(day), int(hour), int(minute or 0),
            min(int(second or 0), 59), tzinfo=timezone.utc,
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None
    part = Fraction(int(fraction or 0), 10 ** len(fraction or ""))
    exactly = (moment - _EPOCH) // _SECOND + part * unit - offset
    return min(max(exactly, Fraction(MOMENTS[0])), Fraction(MOMENTS[-1]))


def as_utc(moment: float) -> datetime:
    """Return a time as UTC, within the years 1 to 9999; fractions of seconds are dropped."""
    return _EPOCH + min(max(int(moment), MOMENTS[0]), MOMENTS[-1]) * _SECOND


def said_time(moment: float) -> str:
    """Write a time for people: seconds since the epoch, as UTC."""
    utc = as_utc(moment)
    return f"{utc.year:04}-{utc:%m-%d %H:%M:%S} UTC"  # %Y does not pad everywhere


def format_time(moment: float) -> str:
    """Write a time in the one form that all three directories take, ``YYYYmmddHHMMSS.0Z``.

    Parameters
    ----------
    moment : float
        Seconds since the epoch; fractions are dropped.
    """
    utc = as_utc(moment)
    return f"{utc.year:04}{utc:%m%d%H%M%S}.0Z"  # %Y does not pad everywhere

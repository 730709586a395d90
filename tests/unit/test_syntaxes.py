"""Identifiers and times as directories write them."""

from __future__ import annotations

import calendar
import uuid
from datetime import datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ldapdb.syntaxes import (
    MOMENTS,
    IdentifierForm,
    format_time,
    parse_identifier,
    parse_time,
    said_time,
    sibling_sid,
    write_identifier,
)

UUID_FORMS = st.sampled_from(sorted(set(IdentifierForm) - {IdentifierForm.INTEGER}, key=str))
SECONDS = st.datetimes(timezones=st.just(timezone.utc)).map(
    lambda moment: moment.replace(microsecond=0)
)


def _utc(*fields: int) -> float:
    return float(calendar.timegm((*fields, 0, 0, 0)[:6]))


# -- identifiers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "form", "number"),
    [
        (
            b"00112233-4455-6677-8899-aabbccddeeff",
            IdentifierForm.UUID_TEXT,
            0x00112233445566778899AABBCCDDEEFF,
        ),
        (
            bytes.fromhex("33221100554477668899aabbccddeeff"),
            IdentifierForm.UUID_BYTES_LE,
            0x00112233445566778899AABBCCDDEEFF,
        ),
        (
            b"c39f4b18-e7fb11f1-badbd66a-80b03e92",
            IdentifierForm.HEXADECIMAL,
            0xC39F4B18E7FB11F1BADBD66A80B03E92,
        ),
        (b"00000000-00000000-00000000-00000001", IdentifierForm.HEXADECIMAL, 1),
        (b"1000", IdentifierForm.INTEGER, 1000),
        (b"0", IdentifierForm.INTEGER, 0),
    ],
)
def test_identifiers_are_numbers(octets: bytes, form: IdentifierForm, number: int) -> None:
    """Each form is read as its number and written back as it was."""
    assert parse_identifier(octets, form) == number
    assert write_identifier(number, form) == octets


@given(st.integers(0, 2**128 - 1), st.sampled_from(IdentifierForm))
def test_an_identifier_survives(number: int, form: IdentifierForm) -> None:
    """A number finds the entry that it was read from."""
    octets = write_identifier(number, form)
    assert octets is not None
    assert parse_identifier(octets, form) == number


def test_uuids_are_written_as_rfc_4530_has_them() -> None:
    """The search value is lower-case with hyphens, which is what entryUUID is indexed by."""
    number = uuid.UUID("ABCDEF00-0000-4000-8000-000000000001").int
    octets = write_identifier(number, IdentifierForm.UUID_TEXT)
    assert octets == b"abcdef00-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    "octets",
    [b"C39F4B18-E7FB11F1-BADBD66A-80B03E92", b"c39f4b18e7fb11f1badbd66a80b03e92"],
)
def test_a_unique_id_of_389_is_four_times_eight_digits(octets: bytes) -> None:
    """Capitals and dashes are no matter; the search value is as the server writes it."""
    number = parse_identifier(octets, IdentifierForm.HEXADECIMAL)
    written = write_identifier(number, IdentifierForm.HEXADECIMAL)
    assert written == b"c39f4b18-e7fb11f1-badbd66a-80b03e92"


@given(UUID_FORMS, st.integers(max_value=-1) | st.integers(min_value=2**128))
def test_a_number_that_is_no_uuid_is_nobody(form: IdentifierForm, number: int) -> None:
    """A number out of range is no reason for a search."""
    assert write_identifier(number, form) is None


@given(st.binary(max_size=40), st.sampled_from(IdentifierForm))
@example(b"", IdentifierForm.INTEGER)
@example(b"1.5", IdentifierForm.INTEGER)
@example(b"\xb2", IdentifierForm.INTEGER)
@example(b"9" * 5000, IdentifierForm.INTEGER)
@example(b"0" * 15, IdentifierForm.UUID_BYTES_LE)
@example(b"\xff" * 36, IdentifierForm.UUID_TEXT)
def test_octets_are_an_identifier_or_refused(octets: bytes, form: IdentifierForm) -> None:
    """Whatever comes is a number or raises ValueError."""
    try:
        number = parse_identifier(octets, form)
    except ValueError:
        return
    assert isinstance(number, int)


# -- security identifiers -------------------------------------------------------------------

SID = bytes.fromhex("0105000000000005150000000102030405060708090a0b0c50040000")


def test_the_primary_group_is_a_sibling() -> None:
    """Domain Users of a user's domain has the user's SID with 513 at its end."""
    assert sibling_sid(SID, 513) == SID[:-4] + bytes.fromhex("01020000")
    assert sibling_sid(SID, 0x450) == SID


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_sibling_is_of_the_same_domain(one: int, other: int) -> None:
    """Only the account's number changes, and it changes for good."""
    sibling = sibling_sid(SID, one)
    assert sibling[:-4] == SID[:-4]
    assert int.from_bytes(sibling[-4:], "little") == one
    assert sibling_sid(sibling, other) == sibling_sid(SID, other)


@pytest.mark.parametrize(
    "sid", [b"", SID[:-1], SID + b"x", SID[:8], bytes(8), b"\x01\x00" + bytes(6), bytes(11)]
)
def test_what_is_no_sid_is_refused(sid: bytes) -> None:
    """Octets that no domain has made name no group."""
    with pytest.raises(ValueError, match="not a security identifier"):
        sibling_sid(sid, 513)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_number_that_no_account_has_is_refused(number: int) -> None:
    """A number of an account has 32 bits."""
    with pytest.raises(ValueError, match="is not the number of an account"):
        sibling_sid(SID, number)


@given(st.binary(max_size=80), st.integers(0, 2**32 - 1))
def test_any_octets_are_a_sid_or_refused(sid: bytes, number: int) -> None:
    """Whatever comes, a sibling is as long as it was or there is none."""
    try:
        sibling = sibling_sid(sid, number)
    except ValueError:
        return
    assert len(sibling) == len(sid)


# -- times ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20261124041005Z", _utc(2026, 11, 24, 4, 10, 5)),
        ("20261124041005.0Z", _utc(2026, 11, 24, 4, 10, 5)),
        ("19700101000000Z", 0.0),
        ("19691231235959Z", -1.0),
        ("202611240410Z", _utc(2026, 11, 24, 4, 10)),
        ("2026112404Z", _utc(2026, 11, 24, 4)),
        ("20990101000000+0000", _utc(2099, 1, 1)),
        ("20990101000000-0000", _utc(2099, 1, 1)),
        ("20990101010000+0100", _utc(2099, 1, 1)),
        ("20990101010000+01", _utc(2099, 1, 1)),
        ("20981231193000-0430", _utc(2099, 1, 1)),
        ("20990101235900+2359", _utc(2099, 1, 1)),
        ("20261124041005.25Z", _utc(2026, 11, 24, 4, 10, 5) + 0.25),
        ("20261124041005,25Z", _utc(2026, 11, 24, 4, 10, 5) + 0.25),
        ("202611240410.5Z", _utc(2026, 11, 24, 4, 10, 30)),
        ("2026112404.5Z", _utc(2026, 11, 24, 4, 30)),
        ("2026112404.5+0130", _utc(2026, 11, 24, 3)),
        ("20161231235960Z", _utc(2016, 12, 31, 23, 59, 59)),
        ("20240229000000Z", _utc(2024, 2, 29)),
        ("00010101000000Z", _utc(1, 1, 1)),
        ("99991231235959Z", _utc(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_times_are_read_as_rfc_4517_says(text: str, moment: float) -> None:
    """Zones shift, fractions are of the last field given, a leap second is no trouble."""
    assert parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "20261124",
        "20261124041005",  # RFC 4517 demands a zone
        "2026112404100Z",
        "20261124041005z",
        "20261124041005ZZ",
        "20261124041005Z\n",
        " 20261124041005Z",
        "2026-11-24T04:10:05Z",
        "20261124041005.Z",
        "20261124041005+1",
        "20261124041005+010",
        "20261124041005+2400",
        "20261124041005+9999",
        "20261124041005+0060",
        "20261324041005Z",
        "20261132041005Z",
        "20260229041005Z",
        "20261124240000Z",
        "20261124046005Z",
        "20261124041061Z",
        "20261124041099Z",
        "00000101000000Z",
        "-20261124041005Z",
        "\u0662\u0660\u0662\u06661124041005Z",  # Arabic-Indic digits
        "TRUE",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """Malformed text raises ValueError with the text: a limit is never guessed."""
    with pytest.raises(ValueError, match="is not a time") as caught:
        parse_time(text)
    assert repr(text) in str(caught.value)


@given(SECONDS)
@example(datetime(1, 1, 1, tzinfo=timezone.utc))
@example(datetime(999, 12, 31, 23, 59, 59, tzinfo=timezone.utc))
@example(datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc))
def test_a_time_survives(moment: datetime) -> None:
    """What is written is read back, in the form that all directories take."""
    text = format_time(moment.timestamp())
    assert len(text) == len("YYYYmmddHHMMSS.0Z")
    assert text.endswith(".0Z")
    assert parse_time(text) == moment.timestamp()
    assert format_time(float(parse_time(text))) == text


@given(SECONDS, st.integers(-1439, 1439))
def test_a_zone_changes_the_spelling_alone(moment: datetime, minutes: int) -> None:
    """Local time and its offset are one moment, whatever the offset."""
    try:
        local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:  # before year 1 or after year 9999 there
        return
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    text = f"{local.year:04}{local:%m%d%H%M%S}{zone}"
    assert parse_time(text) == moment.timestamp()


@given(st.integers(0, 2 * 10**9), st.integers(0, 999))
def test_fractions_are_read_and_not_written(seconds: int, thousandths: int) -> None:
    """A fraction counts where a server sends one; we write whole seconds."""
    whole = format_time(seconds)
    read = parse_time(whole.replace(".0Z", f".{thousandths:03}Z"))
    assert read == pytest.approx(seconds + thousandths / 1000, abs=1e-6)
    assert format_time(seconds + thousandths / 1000) == whole


@pytest.mark.parametrize("nines", [1, 7, 17, 30])
def test_a_fraction_is_not_rounded(nines: int) -> None:
    """As a float, the last moment of a second would be the first of the next one."""
    moment = parse_time(f"20991231235959.{'9' * nines}Z")
    assert moment == parse_time("20991231235959Z") + 1 - Fraction(1, 10**nines)


def test_a_fraction_of_any_length_is_refused_beyond_what_anybody_writes() -> None:
    """Reading a number of a million digits takes seconds."""
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(f"20991231235959.{'9' * 31}Z")


@given(st.text(max_size=24) | st.text(alphabet="0123456789.,Z+-", min_size=10, max_size=22))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """Whatever comes is a moment or raises ValueError."""
    try:
        moment = parse_time(text)
    except ValueError:
        return
    assert isinstance(moment, Fraction)


@pytest.mark.parametrize(
    ("octets", "form"),
    [
        *((each, IdentifierForm.INTEGER) for each in (b"1_000", b" 1000", b"+1000", b"01000")),
        *((each, IdentifierForm.INTEGER) for each in (b"1000\n", b"", b"-0", b"9" * 40, b"1e3")),
        (b"{7a0b1c2d-0000-103f-8000-0123456789ab}", IdentifierForm.UUID_TEXT),
        (b"urn:uuid:7a0b1c2d-0000-103f-8000-0123456789ab", IdentifierForm.UUID_TEXT),
        (b"7a0b1c2d-0000103f-80000123-456789ag", IdentifierForm.HEXADECIMAL),
        ("٧a0b1c2d-0000103f-80000123-456789ab".encode(), IdentifierForm.HEXADECIMAL),  # noqa: RUF001
    ],
)
def test_what_only_looks_like_an_identifier_is_nobodys(octets: bytes, form: IdentifierForm) -> None:
    """Python reads more as a number than a directory does, and it would be another's identity."""
    with pytest.raises(ValueError, match=r"not |'ascii' codec"):
        parse_identifier(octets, form)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("00010101000000+0100", "0001-01-01 00:00:00 UTC"),
        ("99991231235959-0500", "9999-12-31 23:59:59 UTC"),
        ("99991231235959.9Z", "9999-12-31 23:59:59 UTC"),
        ("99991231235960Z", "9999-12-31 23:59:59 UTC"),
        ("9999123123-2359", "9999-12-31 23:59:59 UTC"),
    ],
)
def test_a_time_beyond_the_years_is_the_last(text: str, said: str) -> None:
    """Such times stand for always and never; each can be shown and written again."""
    moment = parse_time(text)
    assert int(moment) in MOMENTS
    assert said_time(float(moment)) == said
    assert parse_time(format_time(float(moment))) == moment


@pytest.mark.parametrize("moment", [-1e15, 1e15])
def test_any_moment_can_be_written(moment: float) -> None:
    """A moment that was computed may lie outside, such as one before the first."""
    assert int(parse_time(format_time(moment))) in MOMENTS
    assert said_time(moment).endswith(" UTC")

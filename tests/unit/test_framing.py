"""Answers are whole messages of the grammar of RFC 4511, or they are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldapdb.ber import BrokenAnswer
from ldapdb.framing import check, end_of, missing

OCTETS, INTEGER, ENUMERATED, BOOLEAN, SEQUENCE, SET = 0x04, 0x02, 0x0A, 0x01, 0x30, 0x31
ENTRY, DONE, REFERENCE, CONTROLS, REFERRALS = 0x64, 0x65, 0x73, 0xA0, 0xA3


def ber(tag: int, *contents: bytes, octets: int = 0) -> bytes:
    """Write an element, with the shortest length or one of so many octets."""
    content = b"".join(contents)
    if len(content) < 0x80 and not octets:
        return bytes([tag, len(content)]) + content
    count = octets or (len(content).bit_length() + 7) // 8
    return bytes([tag, 0x80 + count]) + len(content).to_bytes(count, "big") + content


def text(value: bytes) -> bytes:
    return ber(OCTETS, value)


def message(operation: bytes, *controls: bytes, number: bytes = b"\x05") -> bytes:
    return ber(SEQUENCE, ber(INTEGER, number), operation, *controls)


def entry(*attributes: bytes) -> bytes:
    return ber(ENTRY, text(b"cn=x"), ber(SEQUENCE, *attributes))


def attribute(name: bytes, *values: bytes) -> bytes:
    return ber(SEQUENCE, text(name), ber(SET, *map(text, values)))


def result(tag: int = DONE, *more: bytes, code: bytes = b"\0") -> bytes:
    return ber(tag, ber(ENUMERATED, code), text(b""), text(b"said"), *more)


COOKIE = ber(SEQUENCE, ber(INTEGER, b"\0"), text(b"cookie"))
PAGED = ber(CONTROLS, ber(SEQUENCE, text(b"1.2.840.113556.1.4.319"), text(COOKIE)))
ANSWERS = [
    message(entry()),
    message(entry(attribute(b"cn", b"x"), attribute(b"member"), attribute(b"a;range=0-1", b"y"))),
    message(entry(attribute(b"member", *(b"uid=%d" % number for number in range(3000))))),
    message(result()),
    message(result(), PAGED),
    message(result(code=b"\x20"), number=b"\x7f\xff\xff\xff"),
    message(result(DONE, ber(REFERRALS, text(b"ldap://a"), text(b"ldap://b")))),
    message(ber(REFERENCE, text(b"ldap://a"), text(b"ldap://b"))),
    message(result(0x61, ber(0x87, b"credentials"))),
    message(result(0x78, ber(0x8A, b"1.3.6.1.4.1.1466.20036")), number=b"\0"),
    *(message(result(tag)) for tag in (0x67, 0x69, 0x6B, 0x6D, 0x6F)),
    message(
        result(), ber(CONTROLS, ber(SEQUENCE, text(b"1.2"), ber(BOOLEAN, b"\xff"), text(b"x")))
    ),
    # Active Directory writes all lengths in four octets.
    ber(SEQUENCE, ber(INTEGER, b"\x05"), result(), octets=4),
    ber(SEQUENCE, ber(INTEGER, b"\x05"), ber(ENTRY, text(b""), ber(SEQUENCE, octets=4), octets=4)),
]


@pytest.mark.parametrize("octets", ANSWERS)
def test_answers_are_taken(octets: bytes) -> None:
    """Every kind of answer that ldapdb gets; more and more of it is less and less missing."""
    check(octets)
    assert missing(octets) == 0
    for length in range(len(octets))[:300]:
        assert 1 <= missing(octets[:length]) <= len(octets) - length


BROKEN = [
    b"\x30\x00",
    ber(SEQUENCE, ber(INTEGER, b"\x05")),
    message(ber(INTEGER, b"\x05")),
    message(result(), result()),
    message(result(), PAGED, PAGED),
    message(result(), ber(CONTROLS, b"\x30\x05")),
    message(result(), number=b""),
    message(result(), number=b"\x01" * 5),
    message(result(code=b"")),
    message(result(code=b"\x01" * 400_000)),
    message(result(0x63)),
    message(result(DONE, ber(0x87, b"x"))),
    message(result(DONE, text(b"x"))),
    message(ber(DONE, ber(INTEGER, b"\0"), text(b""), text(b""))),
    message(ber(DONE, ber(ENUMERATED, b"\0"), text(b""))),
    message(ber(REFERENCE)),
    message(ber(REFERENCE, text(b"ldap://a"), ber(INTEGER, b"\0"))),
    message(ber(0x79, text(b"x"))),
    message(ber(ENTRY, text(b"cn=x"))),
    message(ber(ENTRY, text(b"cn=x"), ber(SET))),
    message(entry(ber(SET, text(b"cn"), ber(SET)))),
    message(entry(ber(SEQUENCE, text(b"cn")))),
    message(entry(ber(SEQUENCE, text(b"cn"), ber(SEQUENCE, text(b"x"))))),
    message(entry(ber(SEQUENCE, text(b"cn"), text(b"x"), ber(SET)))),
    message(entry(ber(SEQUENCE, text(b"cn"), ber(SET, ber(INTEGER, b"\0"))))),
    message(entry(attribute(b"remoteAppNotAfter", b"a"), attribute(b"REMOTEappNotAfter", b"b"))),
    message(entry(b"\x30")),
    message(entry(b"\x30\x80")),
    message(entry(b"\x30\x7f" + attribute(b"cn", b"x"))),
    message(entry(b"\x30\x85\0\0\0\0\0")),
    message(entry(b"\x30\x84\xff\xff\xff\xff")),
    message(entry(b"\x30\x84\xff")),
]


@pytest.mark.parametrize("octets", BROKEN)
def test_what_only_looks_like_an_answer_is_refused(octets: bytes) -> None:
    assert missing(octets) == 0
    with pytest.raises(BrokenAnswer):
        check(octets)


def test_sequences_in_sequences_end() -> None:
    deep = b""
    for _ in range(3000):
        deep = ber(SEQUENCE, deep)
    with pytest.raises(BrokenAnswer, match="deep"):
        check(message(result(), ber(CONTROLS, deep)))


@pytest.mark.parametrize(
    "octets",
    [
        b"\x31",
        b"\x16\x03\x01",  # TLS
        b"HTTP/1.1 400 Bad Request",
        b"\x30\x80",
        b"\x30\x85",
        b"\x30\xff",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x84\x10\0\0\x01",
    ],
)
def test_no_one_waits_for_what_is_no_answer(octets: bytes) -> None:
    """What can only be refused is refused before any more of it is received."""
    with pytest.raises(BrokenAnswer):
        missing(octets)


@given(st.sampled_from([each for each in ANSWERS if len(each) < 200]), st.data())
def test_any_octets_are_taken_or_refused(octets: bytes, data: st.DataObject) -> None:
    """Nothing but BrokenAnswer comes of damage, and what is missing never takes in more."""
    at = data.draw(st.integers(0, len(octets) - 1))
    damaged = octets[:at] + data.draw(st.binary(max_size=4)) + octets[at + 1 :]
    try:
        if missing(damaged) == 0:
            check(damaged)
    except BrokenAnswer:
        pass


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 70_000])
def test_where_a_message_ends_is_told_among_others(length: int) -> None:
    """As long as it is not whole, the end is beyond what there is."""
    message = ber(SEQUENCE, b"x" * length)
    assert end_of(message + message, 0) == len(message)
    assert end_of(message + message, len(message)) == 2 * len(message)
    for there in {*range(min(len(message), 8)), len(message) - 1}:
        assert end_of(message + message[:there], len(message)) > len(message) + there

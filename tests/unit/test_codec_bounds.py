"""Messages follow the grammar of RFC 4511, or they are rejected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldapdb.protocol.ber import BrokenAnswer
from ldapdb.protocol.codec import END_TAG, check_response, read_opened, read_whole_answer, split

LARGEST = 1 << 26

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


def check(octets: bytes) -> None:
    """Read a whole message as the client does."""
    [opened], rest, _ = split(octets, LARGEST)
    assert rest == len(octets)
    if opened.tag in (ENTRY, END_TAG, REFERENCE):
        read_opened(opened)
    else:
        check_response(opened)


@pytest.mark.parametrize("octets", ANSWERS)
def test_answers_are_accepted(octets: bytes) -> None:
    """Every kind of answer that ldapdb gets; a part of one asks for no more than the rest."""
    check(octets)
    for length in range(len(octets))[:300]:
        found, rest, wanted = split(octets[:length], LARGEST)
        assert (found, rest) == ([], 0)
        assert wanted <= len(octets)
        assert wanted > length or length == 0


def test_an_entry_may_have_controls() -> None:
    """Entry change notifications do, and what they say is read by whoever asked for it."""
    octets = message(entry(attribute(b"cn", b"x")), PAGED) + message(result())
    entries, _, _ = read_whole_answer(split(octets, LARGEST)[0], LARGEST)
    assert [each.attributes for each in entries] == [{"cn": [b"x"]}]
    broken = message(entry(), ber(CONTROLS, b"\x30\x05")) + message(result())
    with pytest.raises(BrokenAnswer):
        read_whole_answer(split(broken, LARGEST)[0], LARGEST)


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
    message(result(0x67, ber(0x87, b"x"))),
    message(result(0x61, ber(0x87, b"x" * (1 << 20)))),
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
def test_malformed_answers_are_rejected(octets: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        check(octets)


def test_deep_nesting_is_rejected() -> None:
    """ldap3 2.9.1, which decodes what is no search's answer, would overflow the stack."""
    deep = b""
    for _ in range(3000):
        deep = ber(SEQUENCE, deep)
    for controls in (ber(CONTROLS, deep), ber(CONTROLS, ber(SEQUENCE, text(b"1.2"), deep))):
        with pytest.raises(BrokenAnswer):
            check(message(result(0x61), controls))
    with pytest.raises(BrokenAnswer, match="deep"):
        check(message(result(0x61, ber(REFERRALS, deep))))


def test_a_large_response_is_rejected() -> None:
    """A result is small, and ldap3 takes long for a large one."""
    with pytest.raises(BrokenAnswer, match="a response of"):
        check(message(result(0x67, ber(REFERRALS, text(b"x" * (1 << 20))))))


def test_many_elements_are_rejected() -> None:
    with pytest.raises(BrokenAnswer, match="elements in one"):
        check(message(ber(REFERENCE, text(b"") * 70_000)))


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
def test_garbage_is_rejected_at_once(octets: bytes) -> None:
    """What can only be rejected is rejected before any more of it is received."""
    with pytest.raises(BrokenAnswer):
        split(octets, LARGEST)


@given(st.sampled_from([each for each in ANSWERS if len(each) < 200]), st.data())
def test_damage_raises_only_broken_answer(octets: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(octets) - 1))
    damaged = octets[:at] + data.draw(st.binary(max_size=4)) + octets[at + 1 :]
    try:
        for opened in split(damaged, LARGEST)[0]:
            if opened.tag in (ENTRY, END_TAG, REFERENCE):
                read_opened(opened)
            else:
                check_response(opened)
    except (BrokenAnswer, UnicodeDecodeError):
        pass


def test_messages_are_split_wherever_they_are_cut() -> None:
    """As long as one is not whole, it is the rest."""
    octets = b"".join(ANSWERS[:5])
    for cut in {*range(0, len(octets), 97), *range(1, 60), len(octets)}:
        found, rest, wanted = split(octets[:cut], LARGEST)
        assert [each.begin for each in found] == [0, *(each.stop for each in found)][: len(found)]
        assert rest == (found[-1].stop if found else 0)
        assert wanted > cut - rest


def test_an_answer_has_a_largest_size() -> None:
    """It is rejected by its length, before it is received."""
    with pytest.raises(BrokenAnswer, match="101 octets, more than the 100 of max_answer_bytes"):
        split(b"\x30\x65", 100)
    assert split(b"\x30\x64", 100) == ([], 0, 102)


def _answer(*messages: bytes) -> bytes:
    return b"".join((*messages, message(result())))


@pytest.mark.parametrize(
    "octets",
    {
        "values": _answer(message(entry(attribute(b"a", *[b""] * 2000)))),
        "long values": _answer(message(entry(attribute(b"a", *[b"x" * 130] * 2000)))),
        "attributes": _answer(message(entry(*(attribute(b"a%d" % n) for n in range(2000))))),
        "entries": _answer(*[message(entry())] * 2000),
        "references": _answer(message(ber(REFERENCE, *[text(b"ldap://a")] * 2000))),
        "messages with references": _answer(*[message(ber(REFERENCE, text(b"")))] * 2000),
    }.values(),
)
def test_an_answer_has_a_largest_count(octets: bytes) -> None:
    """The smallest elements fill memory the fastest."""
    opened = split(octets, LARGEST)[0]
    read_whole_answer(opened, 2100 * 2 * 32)
    with pytest.raises(BrokenAnswer, match="too many entries, attributes and values"):
        read_whole_answer(opened, 1900 * 32)


def test_only_the_last_message_ends_an_answer() -> None:
    opened = split(_answer(message(entry()), message(result(0x61))), LARGEST)[0]
    with pytest.raises(BrokenAnswer):
        read_whole_answer(opened, LARGEST)


def test_response_without_controls_or_with_them() -> None:
    said = check_response(split(message(result(0x61, code=b"\x31"), PAGED), LARGEST)[0][0])
    assert (said.code, said.said) == (49, "said")

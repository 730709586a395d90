"""Searches on the wire, held against ldap3's own encoder and decoder."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3 import DEREF_NEVER, SUBTREE
from ldap3.operation.search import search_operation
from ldap3.protocol import rfc4511
from pyasn1.codec.ber import encoder

from ldapdb.protocol import ber, filters
from ldapdb.protocol import codec as wire
from ldapdb.protocol.ber import BrokenAnswer
from ldapdb.protocol.codec import End, Page, Reference, read_opened, search_request, split
from ldapdb.protocol.entry import Entry

NUMBER = 7
PAGED = b"1.2.840.113556.1.4.319"

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,9}(;[a-z]{1,3})?", fullmatch=True)
VALUES = st.binary(max_size=300)
ENTRIES = st.tuples(
    st.text(st.characters(codec="utf-8"), max_size=200),
    st.dictionaries(NAMES, st.lists(VALUES, max_size=4), max_size=5),
)


def theirs(operation: str, content: Any) -> bytes:
    """Encode a message by ldap3's definitions of RFC 4511."""
    message = rfc4511.LDAPMessage()
    message["messageID"] = rfc4511.MessageID(NUMBER)
    message["protocolOp"] = rfc4511.ProtocolOp().setComponentByName(operation, content)
    encoded: bytes = encoder.encode(message)
    return encoded


def entry(dn: str, attributes: dict[str, list[bytes]]) -> bytes:
    whole = rfc4511.SearchResultEntry()
    whole["object"] = dn.encode()
    listed = rfc4511.PartialAttributeList()
    for position, (name, values) in enumerate(attributes.items()):
        one = rfc4511.PartialAttribute()
        one["type"] = name
        one["vals"] = rfc4511.Vals()
        for at, value in enumerate(values):
            one["vals"].setComponentByPosition(at, value)
        listed.setComponentByPosition(position, one)
    whole["attributes"] = listed
    return theirs("searchResEntry", whole)


def message(operation: bytes, controls: bytes = b"") -> bytes:
    return ber.sequence(ber.integer(NUMBER), operation, controls)


def end(code: int = 0, said: bytes = b"", more: bytes = b"", controls: bytes = b"") -> bytes:
    parts = (ber.integer(code, ber.ENUMERATED), ber.element(b""), ber.element(said), more)
    return message(ber.sequence(*parts, tag=0x65), controls)


def page_control(content: bytes, oid: bytes = PAGED) -> bytes:
    control = ber.sequence(ber.element(oid), ber.element(content))
    return ber.sequence(control, tag=0xA0)


def read(octets: bytes) -> Any:
    [opened], rest, _ = split(octets, 1 << 26)
    if rest != len(octets):
        raise BrokenAnswer("something after a message")
    assert opened.number == NUMBER
    return read_opened(opened)


def test_number_and_operation_are_known_unread() -> None:
    found, last = split(entry("cn=a", {"cn": [b"a"]}) + end(), 1 << 26)[0]
    assert (found.number, found.is_entry) == (NUMBER, True)
    assert (last.tag, last.is_entry) == (wire.END_TAG, False)
    assert read_opened(last) == read(end())


@pytest.mark.parametrize(
    "text",
    [
        "(a=b)",
        "(&(a=b)(|(c=*)(!(d>=5)))(e<=6)(f~=g))",
        "(cn=a*b*c)",
        "(cn=*x)",
        "(cn=x*)",
        "(cn=*x*)",
        r"(uid=\00\ff\28\2a)",
        "(cn=größe)",
        "(member:1.2.840.113556.1.4.1941:=cn=x,dc=y)",
        "(:2.4.6.8:=x)",
    ],
)
def test_a_request_is_what_ldap3_writes(text: str) -> None:
    """For every kind of filter."""
    attributes = ["cn", "member;range=0-1499"]
    operation = search_operation(
        "dc=x", text, SUBTREE, DEREF_NEVER, attributes, 0, 0, False, False, False, None, None, False
    )
    ours = search_request(NUMBER, "dc=x", wire.SUBTREE, filters.parse(text), attributes)
    assert ours == theirs("searchRequest", operation)


def test_dn_attributes_are_asked_for_as_the_rfc_has_it() -> None:
    """TRUE is FF (RFC 4511, section 5.1); ldap3 2.9.1 writes 01."""
    assert filters.parse("(ou:dn:2.4:=x)").encoded() == bytes.fromhex(
        "a90f8103322e3482026f758301788401ff"
    )


@given(st.binary(max_size=200), st.integers(1, 2**31 - 1))
def test_a_page_is_asked_for_and_its_cookie_comes_back(cookie: bytes, size: int) -> None:
    """The same value goes both ways (RFC 2696, section 2)."""
    request = search_request(NUMBER, "", wire.BASE, filters.present("a"), (), Page(size, cookie))
    value = ber.sequence(ber.integer(size), ber.element(cookie))
    assert request.endswith(ber.element(value))
    assert PAGED in request
    assert read(end(controls=page_control(value))).cookie == cookie


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65_536])
def test_lengths_are_written_in_their_shortest_form(length: int) -> None:
    """And are read back."""
    written = ber.element(b"x" * length)
    head = len(written) - length
    assert head == (2 if length < 128 else 2 + (length.bit_length() + 7) // 8)
    assert ber.head(written, 0, len(written)) == (ber.OCTETS, head, len(written))


@given(ENTRIES)
def test_an_entry_is_read_as_it_was_written(given: tuple[str, dict[str, list[bytes]]]) -> None:
    """All values, in order, by attribute descriptions in lower case."""
    dn, attributes = given
    assert read(entry(dn, attributes)) == Entry(dn, attributes)


def test_the_end_tells_code_words_and_where_else() -> None:
    """A cookie is there only with its control; other controls are of no matter."""
    assert read(end()) == End(0, "", (), b"")
    assert read(end(4, b"too many")) == End(4, "too many", (), b"")
    elsewhere = ber.sequence(ber.element(b"ldap://a"), ber.element(b"ldap://b"), tag=0xA3)
    assert read(end(10, more=elsewhere)).referrals == ("ldap://a", "ldap://b")
    assert read(end(controls=page_control(b"what", oid=b"1.2.3"))).cookie == b""
    reference = message(ber.sequence(ber.element(b"ldap://c/dc=x"), tag=0x73))
    assert read(reference) == Reference(("ldap://c/dc=x",))


ENTRY = 0x64
ATTRIBUTE = ber.sequence(ber.element(b"cn"), ber.sequence(ber.element(b"x"), tag=ber.SET))
BROKEN = {
    "no message": ber.element(b"x"),
    "a message and more": end() + b"\0\0",
    "no number": ber.sequence(ber.element(b"\7"), end()[5:]),
    "another operation": message(ber.sequence(tag=0x61)),
    "an entry without a name": message(ber.sequence(ber.integer(1), ber.sequence(), tag=ENTRY)),
    "an entry without attributes": message(ber.sequence(ber.element(b""), b"\5\0", tag=ENTRY)),
    "an entry and more": message(
        ber.sequence(ber.element(b""), ber.sequence(), b"\5\0", tag=ENTRY)
    ),
    "no attribute": message(
        ber.sequence(ber.element(b""), ber.sequence(ber.element(b"cn" * 3)), tag=ENTRY)
    ),
    "an attribute without a set": message(
        ber.sequence(
            ber.element(b""),
            ber.sequence(ber.sequence(ber.element(b"cn"), ber.element(b"x"))),
            tag=ENTRY,
        )
    ),
    "an attribute twice": message(
        ber.sequence(ber.element(b""), ber.sequence(ATTRIBUTE, ATTRIBUTE), tag=ENTRY)
    ),
    "a value that is none": message(
        ber.sequence(
            ber.element(b""),
            ber.sequence(
                ber.sequence(ber.element(b"cn"), ber.sequence(ber.integer(1), tag=ber.SET))
            ),
            tag=ENTRY,
        )
    ),
    "a result without a code": message(ber.sequence(ber.element(b""), tag=0x65)),
    "a result and more": end(more=b"\5\0"),
    "referrals that are none": end(more=ber.sequence(tag=0xA3)),
    "no controls": end(controls=b"\5\0"),
    "a control that is none": end(controls=ber.sequence(ber.element(b""), tag=0xA0)),
    "a page that is none": end(controls=page_control(ber.element(b"x"))),
    "a page without its parts": end(controls=page_control(ber.sequence(ber.integer(1)))),
    "a long number": ber.sequence(ber.element(b"\1" * 9, ber.INTEGER), end()[5:]),
}


@pytest.mark.parametrize("octets", BROKEN.values(), ids=BROKEN)
def test_what_is_no_answer_is_refused(octets: bytes) -> None:
    """Nothing in it is believed."""
    with pytest.raises(BrokenAnswer):
        read(octets)


@given(st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    """Nothing but an error of the codec's is raised."""
    dn, attributes = data.draw(ENTRIES)
    octets = bytearray(data.draw(st.sampled_from([entry(dn, attributes), end(4, b"too many")])))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BrokenAnswer, UnicodeDecodeError):
        for opened in split(bytes(octets), 1 << 26)[0]:
            read_opened(opened)

"""RFC 4533's controls and messages, held against pyasn1's encoder and the RFC's own definitions."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.protocol import rfc4511
from pyasn1.codec.ber import decoder, encoder
from pyasn1.type.namedtype import DefaultedNamedType, NamedType, NamedTypes, OptionalNamedType
from pyasn1.type.univ import Boolean, Enumerated, Integer, OctetString, Sequence, SetOf

from ldapdb.protocol import ber
from ldapdb.protocol.ber import BrokenAnswer
from ldapdb.protocol.codec import SUBTREE, End, Reference, search_request, split
from ldapdb.protocol.controls import (
    DirSynced,
    IdSet,
    NewCookie,
    PhaseEnd,
    Synced,
    SyncEnd,
    SyncState,
    dirsync_request,
    read_dirsync,
    read_policy_error,
    read_sync,
    sync_request,
)
from ldapdb.protocol.entry import Entry
from ldapdb.protocol.filters import present

NUMBER = 7
STATE, DONE, INFO, DIRSYNC = (
    "1.3.6.1.4.1.4203.1.9.1.2",
    "1.3.6.1.4.1.4203.1.9.1.3",
    "1.3.6.1.4.1.4203.1.9.1.4",
    "1.2.840.113556.1.4.841",
)
COOKIES = st.none() | st.binary(max_size=200)
IDENTIFIERS = st.binary(min_size=16, max_size=16)
A, B = b"a" * 16, b"b" * 16


# RFC 4533, section 2.3.
STATE_VALUE = Sequence(
    componentType=NamedTypes(
        NamedType("state", Enumerated()),
        NamedType("entryUUID", OctetString()),
        OptionalNamedType("cookie", OctetString()),
    )
)


# RFC 4533, section 2.4.
DONE_VALUE = Sequence(
    componentType=NamedTypes(
        OptionalNamedType("cookie", OctetString()),
        DefaultedNamedType("refreshDeletes", Boolean(False)),
    )
)


# RFC 4533, section 2.5: refreshDelete and refreshPresent, without their tags.
PHASE = Sequence(
    componentType=NamedTypes(
        OptionalNamedType("cookie", OctetString()),
        DefaultedNamedType("refreshDone", Boolean(True)),
    )
)


# RFC 4533, section 2.5: syncIdSet, without its tag.
ID_SET = Sequence(
    componentType=NamedTypes(
        OptionalNamedType("cookie", OctetString()),
        DefaultedNamedType("refreshDeletes", Boolean(False)),
        NamedType("syncUUIDs", SetOf(componentType=OctetString())),
    )
)


# RFC 4533, section 2.2.
REQUEST = Sequence(
    componentType=NamedTypes(
        NamedType("mode", Enumerated()),
        OptionalNamedType("cookie", OctetString()),
        DefaultedNamedType("reloadHint", Boolean(False)),
    )
)


# [MS-ADTS], section 3.1.1.3.4.1.3.
DIRSYNC_VALUE = Sequence(
    componentType=NamedTypes(
        NamedType("flags", Integer()),
        NamedType("size", Integer()),
        NamedType("cookie", OctetString()),
    )
)


def value(kind: Any, **parts: Any) -> bytes:
    whole = kind.clone()
    for name, part in parts.items():
        if part is not None:
            whole[name] = part
    encoded: bytes = encoder.encode(whole)
    return encoded


def _set(identifiers: list[bytes]) -> Any:
    whole = SetOf(componentType=OctetString())
    whole.extend(identifiers)
    return whole


def message(operation: bytes, *controls: tuple[str, bytes]) -> bytes:
    listed = (
        ber.sequence(ber.element(oid.encode()), ber.element(content)) for oid, content in controls
    )
    return ber.sequence(
        ber.integer(NUMBER), operation, *([ber.sequence(*listed, tag=0xA0)] if controls else [])
    )


def entry(dn: str = "cn=a") -> bytes:
    return ber.sequence(ber.element(dn.encode()), ber.sequence(), tag=0x64)


def end(code: int = 0) -> bytes:
    parts = (ber.integer(code, ber.ENUMERATED), ber.element(b""), ber.element(b""))
    return ber.sequence(*parts, tag=0x65)


def info(tag: int, encoded: bytes) -> bytes:
    """Give a value its choice's tag, which stands in the place of the sequence's own."""
    content = bytes([tag]) + encoded[1:]
    parts = (ber.element(INFO.encode(), 0x80), ber.element(content, 0x81))
    return message(ber.sequence(*parts, tag=0x79))


def read(octets: bytes) -> Any:
    [opened], rest, _ = split(octets, 1 << 26)
    assert (opened.number, rest) == (NUMBER, len(octets))
    return read_sync(opened)


@pytest.mark.parametrize("cookie", [None, b"", b"rid=000,csn=1"])
def test_a_request_is_as_the_rfc_has_it(cookie: Optional[bytes]) -> None:
    request = search_request(
        NUMBER, "dc=x", SUBTREE, present("cn"), (), control=sync_request(cookie)
    )  # fmt: skip
    whole, rest = decoder.decode(request, asn1Spec=rfc4511.LDAPMessage())
    assert not rest
    [control] = whole["controls"]
    assert str(control["controlType"]) == "1.3.6.1.4.1.4203.1.9.1.1"
    assert bool(control["criticality"])
    wanted, rest = decoder.decode(bytes(control["controlValue"]), asn1Spec=REQUEST)
    assert not rest
    assert int(wanted["mode"]) == 3
    assert (bytes(wanted["cookie"]) if wanted["cookie"].isValue else None) == cookie


@given(state=st.sampled_from(SyncState), identifier=IDENTIFIERS, cookie=COOKIES)
def test_an_entry_has_its_state(
    state: SyncState, identifier: bytes, cookie: Optional[bytes]
) -> None:
    said = value(STATE_VALUE, state=state.value, entryUUID=identifier, cookie=cookie)
    assert read(message(entry(), (STATE, said))) == Synced(
        Entry("cn=a", {}), state, identifier, cookie
    )


def test_a_control_without_a_value_is_of_no_matter() -> None:
    """Its value is optional (RFC 4511, section 4.1.11)."""
    said = value(STATE_VALUE, state=1, entryUUID=bytes(16), cookie=None)
    others = ber.sequence(ber.element(b"1.2.3"))
    state = ber.sequence(ber.element(STATE.encode()), ber.element(said))
    whole = ber.sequence(ber.integer(NUMBER), entry(), ber.sequence(others, state, tag=0xA0))
    assert read(whole) == Synced(Entry("cn=a", {}), SyncState.ADD, bytes(16), None)


@given(cookie=COOKIES, done=st.none() | st.booleans(), deletes=st.booleans())
def test_a_phase_ends(cookie: Optional[bytes], done: Optional[bool], deletes: bool) -> None:
    said = value(PHASE, cookie=cookie, refreshDone=done)
    expected = PhaseEnd(deletes, done is not False, cookie)
    assert read(info(0xA1 if deletes else 0xA2, said)) == expected


@given(cookie=COOKIES, deletes=st.none() | st.booleans(), some=st.lists(IDENTIFIERS, max_size=40))
def test_a_set_is_read(cookie: Optional[bytes], deletes: Optional[bool], some: list[bytes]) -> None:
    said = value(ID_SET, cookie=cookie, refreshDeletes=deletes, syncUUIDs=_set(some))
    found = read(info(0xA3, said))
    assert isinstance(found, IdSet)
    assert (found.deletes, found.cookie) == (deletes is True, cookie)
    assert sorted(found.identifiers) == sorted(some)


def test_a_cookie_may_come_alone() -> None:
    assert read(info(0x80, ber.element(b"x"))) == NewCookie(b"x")


def test_the_end_says_whether_a_cookie_was_refused() -> None:
    said = value(DONE_VALUE, cookie=b"x", refreshDeletes=True)
    assert read(message(end(), (DONE, said))) == SyncEnd(End(0, "", (), b""), True, b"x")
    assert read(message(end(4096))) == SyncEnd(End(4096, "", (), b""), False, None)


def test_what_answers_something_else_is_told_apart() -> None:
    """The proof of life is answered by an entry without a state, and an end."""
    assert read(message(entry())) == Entry("cn=a", {})
    assert read(message(ber.sequence(ber.element(b"ldap://x"), tag=0x73))) == Reference(
        ("ldap://x",)
    )


def _broken() -> dict[str, bytes]:
    state = value(STATE_VALUE, state=1, entryUUID=A)
    short = value(STATE_VALUE, state=1, entryUUID=b"a")
    phase = value(PHASE)
    return {
        "no message": b"\x04\x00",
        "no number": ber.sequence(ber.element(b"")),
        "a state there is not": message(
            entry(), (STATE, value(STATE_VALUE, state=4, entryUUID=A))
        ),
        "a short identifier": message(entry(), (STATE, short)),
        "something after a state": message(entry(), (STATE, state + b"\x04\x00")),
        "a state with more in it": message(
            entry(), (STATE, ber.sequence(state[2:], ber.element(b""), ber.element(b"")))
        ),
        "no state in the state": message(entry(), (STATE, ber.sequence())),
        "a state that is none": message(entry(), (STATE, b"\x04\x00")),
        "a goodbye": message(ber.sequence(tag=0x78)),
        "another intermediate": message(ber.sequence(ber.element(b"x", 0x81), tag=0x79)),
        "a choice there is not": info(0xA4, phase),
        "something after it": info(0xA1, phase + b"\x04\x00"),
        "a boolean of two octets": info(0xA1, b"\x30\x04\x01\x02\xff\xff"),
        "a set without identifiers": info(0xA3, ber.sequence()),
        "a set of numbers": info(0xA3, ber.sequence(ber.sequence(ber.integer(1), tag=0x31))),
    }  # fmt: skip


@pytest.mark.parametrize("what", _broken())
def test_what_is_not_as_the_rfc_has_it_is_refused(what: str) -> None:
    octets = _broken()[what]
    with pytest.raises(BrokenAnswer):
        read(octets)


@given(st.data())
def test_damage_is_refused_or_read(data: st.DataObject) -> None:
    """No message, however damaged, makes it fail in another way, or read past the end."""
    whole = value(STATE_VALUE, state=1, entryUUID=A, cookie=b"c")
    octets = bytearray(
        data.draw(
            st.sampled_from([
                message(entry(), (STATE, whole)),
                info(0xA3, value(ID_SET, syncUUIDs=_set([A, B]))),
                message(end(), (DONE, value(DONE_VALUE, cookie=b"c"))),
            ])
        )
    )  # fmt: skip
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] = data.draw(st.integers(0, 255))
    try:
        for opened in split(bytes(octets), 1 << 26)[0]:
            read_sync(opened)
    except (BrokenAnswer, UnicodeError):
        return


@pytest.mark.parametrize("object_security", [False, True])
def test_a_dirsync_request_is_as_microsoft_has_it(object_security: bool) -> None:
    encoded = dirsync_request(b"x", object_security=object_security)
    control, _ = decoder.decode(encoded, asn1Spec=rfc4511.Control())
    assert str(control["controlType"]) == DIRSYNC
    wanted, _ = decoder.decode(bytes(control["controlValue"]), asn1Spec=DIRSYNC_VALUE)
    assert (int(wanted["flags"]), bytes(wanted["cookie"])) == (int(object_security), b"x")


def test_a_dirsync_answer_tells_whether_there_is_more() -> None:
    def told(octets: bytes) -> Any:
        return read_dirsync(split(octets, 1 << 26)[0][0], NUMBER)

    said = value(DIRSYNC_VALUE, flags=1, size=0, cookie=b"x")
    success = End(0, "", (), b"")
    assert told(message(end(), (DIRSYNC, said))) == DirSynced(success, True, b"x")
    assert told(message(end())) == DirSynced(success, False, b"")
    assert told(message(entry())) == Entry("cn=a", {})
    with pytest.raises(BrokenAnswer):
        told(message(end(), (DIRSYNC, ber.sequence())))
    with pytest.raises(BrokenAnswer, match="another request"):
        read_dirsync(split(message(end()), 1 << 26)[0][0], NUMBER + 1)


_ERROR = ber.integer(2, 0x81)
_WARNING = ber.sequence(ber.integer(100, 0x80), tag=0xA0)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (ber.sequence(_ERROR), 2),
        (ber.sequence(_WARNING, _ERROR), 2),
        (ber.sequence(_WARNING), None),
        (ber.sequence(), None),
        (b"", None),
    ],
)
def test_password_policy_error_is_read(value: bytes, number: Optional[int]) -> None:
    """With or without a warning in front of it."""
    assert read_policy_error(value) == number


@pytest.mark.parametrize("value", [b"\x04\x00", b"\x30\x01\x81", ber.sequence(b"\x81\x05aaaaa")])
def test_malformed_password_policy_is_rejected(value: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        read_policy_error(value)

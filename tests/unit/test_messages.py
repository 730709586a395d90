"""Requests and results, held against ldap3's own encoder and decoder."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE, SIMPLE
from ldap3.operation.add import add_operation
from ldap3.operation.bind import bind_operation
from ldap3.operation.delete import delete_operation
from ldap3.operation.modify import modify_operation
from ldap3.operation.modifyDn import modify_dn_operation
from ldap3.operation.unbind import unbind_operation
from ldap3.protocol import rfc4511
from pyasn1.codec.ber import encoder

from ldapdb import ber, messages
from ldapdb.ber import BrokenAnswer
from ldapdb.entries import Modification, Operation
from ldapdb.framing import check
from ldapdb.messages import PolicyResult, Result, read_result

NUMBER = 300
TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,9}(;[a-z]{1,3})?", fullmatch=True)
VALUES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), max_size=4)
THEIRS = {
    Operation.ADD: MODIFY_ADD,
    Operation.DELETE: MODIFY_DELETE,
    Operation.REPLACE: MODIFY_REPLACE,
}


def theirs(operation: str, content: Any) -> bytes:
    """Encode a message by ldap3's definitions of RFC 4511."""
    whole = rfc4511.LDAPMessage()
    whole["messageID"] = rfc4511.MessageID(NUMBER)
    whole["protocolOp"] = rfc4511.ProtocolOp().setComponentByName(operation, content)
    encoded: bytes = encoder.encode(whole)
    return encoded


def ours(request: bytes) -> bytes:
    return messages.message(NUMBER, request)


@given(
    dn=TEXT,
    changes=st.dictionaries(NAMES, st.tuples(st.sampled_from(Operation), VALUES), min_size=1),
)
def test_a_modify_request_is_as_ldap3_writes_it(
    dn: str, changes: dict[str, tuple[Operation, list[str]]]
) -> None:
    written = [Modification(how, name, tuple(values)) for name, (how, values) in changes.items()]
    wanted = {name: [(THEIRS[how], values)] for name, (how, values) in changes.items()}
    request = modify_operation(dn, wanted, False, None)
    assert ours(messages.modify_request(dn, written)) == theirs("modifyRequest", request)


@given(dn=TEXT, attributes=st.dictionaries(NAMES, VALUES.filter(bool), min_size=1))
def test_an_add_request_is_as_ldap3_writes_it(dn: str, attributes: dict[str, list[str]]) -> None:
    request = add_operation(dn, attributes, False, None)
    assert ours(messages.add_request(dn, attributes)) == theirs("addRequest", request)


@given(dn=TEXT)
def test_a_delete_request_is_as_ldap3_writes_it(dn: str) -> None:
    assert ours(messages.delete_request(dn)) == theirs("delRequest", delete_operation(dn))


@given(dn=TEXT, rdn=TEXT)
def test_a_rename_request_is_as_ldap3_writes_it(dn: str, rdn: str) -> None:
    """But for TRUE, which ldap3 writes as 01 and RFC 4511, section 5.1, as FF."""
    wanted = theirs("modDNRequest", modify_dn_operation(dn, rdn))
    assert ours(messages.rename_request(dn, rdn)) == wanted[:-1] + b"\xff"


@given(
    dn=TEXT.filter(bool),
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
)
def test_a_bind_request_is_as_ldap3_writes_it(dn: str, password: str) -> None:
    request = bind_operation(3, SIMPLE, dn, password)
    assert ours(messages.bind_request(dn, password)) == theirs("bindRequest", request)


def test_the_unbind_request_is_as_ldap3_writes_it() -> None:
    assert ours(messages.UNBIND) == theirs("unbindRequest", unbind_operation())


ANSWERS = {
    "bindResponse": (rfc4511.BindResponse, messages.bind_request("", "")),
    "modifyResponse": (rfc4511.ModifyResponse, messages.modify_request("", [])),
    "addResponse": (rfc4511.AddResponse, messages.add_request("", {})),
    "delResponse": (rfc4511.DelResponse, messages.delete_request("")),
    "modDNResponse": (rfc4511.ModifyDNResponse, messages.rename_request("", "")),
}


@pytest.mark.parametrize("operation", ANSWERS)
@pytest.mark.parametrize("code", [0, 20, 49, 80])
def test_a_result_is_read(operation: str, code: int) -> None:
    kind, request = ANSWERS[operation]
    answer = kind()
    answer["resultCode"] = code
    answer["matchedDN"] = "dc=example,dc=org"
    answer["diagnosticMessage"] = "so says ⟨the server⟩".encode()
    whole = theirs(operation, answer)
    check(whole)
    assert read_result(whole, NUMBER, request) == Result(code, "so says ⟨the server⟩")
    with pytest.raises(BrokenAnswer, match="something else"):
        read_result(whole, NUMBER + 1, request)


@pytest.mark.parametrize("answered", ANSWERS)
@pytest.mark.parametrize("asked", ANSWERS)
def test_the_answer_to_another_kind_of_request_is_none(answered: str, asked: str) -> None:
    """A result of "success" must be of what was asked for."""
    answer = ANSWERS[answered][0]()
    answer["resultCode"] = 0
    answer["matchedDN"] = answer["diagnosticMessage"] = ""
    whole = theirs(answered, answer)
    if answered == asked:
        assert read_result(whole, NUMBER, ANSWERS[asked][1]) == Result(0, "")
    else:
        with pytest.raises(BrokenAnswer, match="kind 0x6"):
            read_result(whole, NUMBER, ANSWERS[asked][1])


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (ber.integer(0, ber.ENUMERATED), ber.element(b"")),
        (ber.integer(0), ber.element(b""), ber.element(b"")),
        (ber.integer(0, ber.ENUMERATED), ber.element(b""), ber.integer(0)),
    ],
)
def test_what_is_no_result_is_refused(parts: tuple[bytes, ...]) -> None:
    whole = ours(ber.sequence(*parts, tag=0x61))
    with pytest.raises(BrokenAnswer, match="a result that is not one"):
        read_result(whole, NUMBER, messages.bind_request("", ""))


@pytest.mark.parametrize("octets", [b"\x30\x00", b"\x31\x03\x02\x01\x00", b"\x30\x04\x02\x01\x05"])
def test_what_is_no_message_is_refused(octets: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        read_result(octets, NUMBER, messages.bind_request("", ""))


POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"


def _answered(*controls: bytes) -> bytes:
    result = ber.sequence(
        ber.integer(49, ber.ENUMERATED), ber.element(b""), ber.element(b""), tag=0x61
    )
    whole = messages.message(NUMBER, result, ber.sequence(*controls, tag=0xA0))
    check(whole)
    return whole


def _control(*parts: bytes, oid: str = POLICY) -> bytes:
    return ber.sequence(ber.element(oid.encode()), *parts)


def _response(*parts: bytes) -> bytes:
    return ber.element(ber.sequence(*parts))


_ERROR = ber.integer(2, 0x81)
_WARNING = ber.sequence(ber.integer(100, 0x80), tag=0xA0)


@pytest.mark.parametrize(
    ("controls", "policy"),
    [
        ([_control(_response(_ERROR))], 2),
        ([_control(_response(_WARNING, _ERROR))], 2),
        ([_control(b"\x01\x01\xff", _response(_ERROR))], 2),
        ([_control(_response(_ERROR), oid="1.2.3"), _control(_response(_ERROR))], 2),
        ([_control(_response(_WARNING))], None),
        ([_control(_response())], None),
        ([_control()], None),
        ([_control(b"\x01\x01\xff")], None),
        ([_control(_response(_ERROR), oid="1.2.3")], None),
        ([], None),
    ],
)
def test_the_password_policy_is_read(controls: list[bytes], policy: int | None) -> None:
    """The error in its response control, with or without a warning in front of it."""
    read = read_result(_answered(*controls), NUMBER, messages.bind_request("", ""))
    assert read == (Result(49, "") if policy is None else PolicyResult(49, "", policy))


def test_elements_that_are_no_controls_are_refused() -> None:
    result = ber.sequence(
        ber.integer(0, ber.ENUMERATED), ber.element(b""), ber.element(b""), tag=0x61
    )
    whole = messages.message(NUMBER, result, ber.element(b"", 0xA1))
    with pytest.raises(BrokenAnswer, match="not those of an answer"):
        read_result(whole, NUMBER, messages.bind_request("", ""))

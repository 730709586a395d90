"""Requests other than searches, and the results that answer them (RFC 4511, section 4).

ldap3 takes a tenth of a second to import and a millisecond to write a request and read its
answer, which a process of the host would pay before its first answer and at each write.
It is left what is seldom: see ``connection.library``.

This module opens no connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ldapdb import ber
from ldapdb.ber import BrokenAnswer
from ldapdb.entries import Modification, Operation

__all__ = [
    "POLICY_CONTROLS",
    "UNBIND",
    "PolicyResult",
    "Result",
    "add_request",
    "bind_request",
    "delete_request",
    "message",
    "modify_request",
    "number_of",
    "read_result",
    "rename_request",
    "result",
]

_BIND, _MODIFY, _ADD, _DELETE, _RENAME = 0x60, 0x66, 0x68, 0x4A, 0x6C
UNBIND = b"\x42\x00"  # section 4.3; nothing answers it
_ANSWERS = {_BIND: 0x61, _MODIFY: 0x67, _ADD: 0x69, _DELETE: 0x6B, _RENAME: 0x6D}
_TRUE = b"\x01\x01\xff"  # a BOOLEAN
_VERSION, _SIMPLE = 3, 0x80
_RESULT = [ber.ENUMERATED, ber.OCTETS, ber.OCTETS]
_CONTROLS, _ERROR = 0xA0, 0x81
# draft-behera-ldap-password-policy-10, section 6. A server that does not know it passes it over.
_POLICY = b"1.3.6.1.4.1.42.2.27.8.5.1"
POLICY_CONTROLS = ber.sequence(ber.sequence(ber.element(_POLICY)), tag=_CONTROLS)
_OPERATIONS = {Operation.ADD: 0, Operation.DELETE: 1, Operation.REPLACE: 2}


@dataclass(frozen=True)
class Result:
    """What a server says of an operation (RFC 4511, section 4.1.9).

    Parameters
    ----------
    code : int
        LDAP result code.
    said : str
        The server's diagnostic message.
    """

    code: int
    said: str


@dataclass(frozen=True)
class PolicyResult(Result):
    """A result that comes with an error of the server's password policy.

    Parameters
    ----------
    policy : int
        The error's number (draft-behera-ldap-password-policy-10, section 6.2).
    """

    policy: int


# --- writing


def message(number: int, request: bytes, controls: bytes = b"") -> bytes:
    """Put a request into a message.

    Parameters
    ----------
    number : int
        To be found in each message of the answer.
    """
    return ber.sequence(ber.integer(number), request, controls)


def bind_request(dn: str, password: str) -> bytes:
    """Write a simple bind; as nobody where both are empty (section 4.2)."""
    secret = ber.element(password.encode(), _SIMPLE)
    return ber.sequence(ber.integer(_VERSION), ber.element(dn.encode()), secret, tag=_BIND)


def modify_request(dn: str, modifications: Iterable[Modification]) -> bytes:
    """Write a modify request (section 4.6)."""
    changes = (
        ber.sequence(
            ber.integer(_OPERATIONS[each.operation], ber.ENUMERATED),
            _attribute(each.attribute, each.values),
        )
        for each in modifications
    )
    return ber.sequence(ber.element(dn.encode()), ber.sequence(*changes), tag=_MODIFY)


def add_request(dn: str, attributes: Mapping[str, Sequence[str]]) -> bytes:
    """Write an add request (section 4.7)."""
    written = (_attribute(*each) for each in attributes.items())
    return ber.sequence(ber.element(dn.encode()), ber.sequence(*written), tag=_ADD)


def delete_request(dn: str) -> bytes:
    """Write a delete request (section 4.8)."""
    return ber.element(dn.encode(), _DELETE)


def rename_request(dn: str, rdn: str) -> bytes:
    """Write a request for another RDN in the place of the old one (modify DN, section 4.9)."""
    return ber.sequence(ber.element(dn.encode()), ber.element(rdn.encode()), _TRUE, tag=_RENAME)


def _attribute(name: str, values: Iterable[str]) -> bytes:
    written = ber.sequence(*(ber.element(value.encode()) for value in values), tag=ber.SET)
    return ber.sequence(ber.element(name.encode()), written)


# --- reading


def number_of(octets: bytes, start: int, stop: int) -> tuple[int, int]:
    """Read a message's number; return also where its operation begins.

    Raises
    ------
    BrokenAnswer
        If it is no message.
    """
    tag, at, end = ber.head(octets, start, stop)
    if tag != ber.SEQUENCE or end != stop:
        raise BrokenAnswer("what is no message")
    tag, first, last = ber.head(octets, at, stop)
    if tag != ber.INTEGER:
        raise BrokenAnswer("a message without a number")
    return ber.number(octets, first, last), last


def read_result(octets: bytes, number: int, request: bytes) -> Result:
    """Read the message that answers a request.

    Parameters
    ----------
    octets : bytes
        The message, which ``framing.check`` has seen.
    number : int
        The request's.
    request : bytes
        What was asked for.

    Raises
    ------
    BrokenAnswer
        If it answers something else.
    """
    found, at = number_of(octets, 0, len(octets))
    if found != number:
        raise BrokenAnswer("an answer to something else")
    tag, start, stop = ber.head(octets, at, len(octets))
    if tag != _ANSWERS[request[0]]:
        raise BrokenAnswer(f"a message of kind {tag:#04x}")
    read = result(octets, ber.children(octets, start, stop))
    policy = _read_policy(octets, stop) if stop != len(octets) else None
    return read if policy is None else PolicyResult(read.code, read.said, policy)


def _read_policy(octets: bytes, start: int) -> Optional[int]:
    """Return the error of the password policy that is in a message's controls."""
    tag, start, stop = ber.head(octets, start, len(octets))
    if tag != _CONTROLS:
        raise BrokenAnswer("elements that are not those of an answer")
    for _, first, last in ber.children(octets, start, stop):
        parts = ber.children(octets, first, last)
        names = [octets[begin:end] for _, begin, end in parts[:1]]
        if names == [_POLICY] and len(parts) > 1 and parts[-1][0] == ber.OCTETS:
            return _read_error(octets, *parts[-1][1:])
    return None


def _read_error(octets: bytes, start: int, stop: int) -> Optional[int]:
    _, start, stop = ber.head(octets, start, stop)
    for kind, first, last in ber.children(octets, start, stop):
        if kind == _ERROR:
            return ber.number(octets, first, last)
    return None


def result(octets: bytes, parts: Sequence[ber.Element]) -> Result:
    """Read what all results begin with.

    Raises
    ------
    BrokenAnswer
        If they do not.
    """
    if [tag for tag, _, _ in parts[: len(_RESULT)]] != _RESULT:
        raise BrokenAnswer("a result that is not one")
    code, _, said = parts[: len(_RESULT)]
    return Result(
        ber.number(octets, code[1], code[2]), octets[said[1] : said[2]].decode("utf-8", "replace")
    )

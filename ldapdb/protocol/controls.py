"""Controls that ldap3 lacks: content synchronisation, DirSync, errors of the password policy.

A message that is not exactly as its definition has it is no message: nothing in it is
believed. This module opens no connection and keeps no state.

References
----------
RFC 4533, sections 2 and 3; [MS-ADTS], section 3.1.1.3.4.1.3 (DirSync);
draft-behera-ldap-password-policy-10, section 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional, Union

from ldapdb.protocol import ber
from ldapdb.protocol.ber import BrokenAnswer, Element
from ldapdb.protocol.codec import End, Opened, Reference, read_opened
from ldapdb.protocol.entry import Entry

__all__ = [
    "DIRSYNC",
    "PASSWORD_POLICY",
    "SYNC_REQUEST",
    "DirSynced",
    "IdSet",
    "NewCookie",
    "PhaseEnd",
    "SyncEnd",
    "SyncState",
    "Synced",
    "dirsync_request",
    "read_dirsync",
    "read_policy_error",
    "read_sync",
    "sync_request",
]

SYNC_REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
_SYNC_STATE = b"1.3.6.1.4.1.4203.1.9.1.2"
_SYNC_DONE = b"1.3.6.1.4.1.4203.1.9.1.3"
_SYNC_INFO = b"1.3.6.1.4.1.4203.1.9.1.4"
DIRSYNC = "1.2.840.113556.1.4.841"
PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105 -- an OID

_REFRESH_AND_PERSIST = 3
_OBJECT_SECURITY = 1

_ENTRY, _END, _EXTENDED, _INTERMEDIATE = 0x64, 0x65, 0x78, 0x79
_CONTROLS, _BOOLEAN, _NAME, _VALUE = 0xA0, 0x01, 0x80, 0x81
_POLICY_ERROR = 0x81
# The choices of syncInfoValue (RFC 4533, section 2.5).
_NEW_COOKIE, _REFRESH_DELETE, _REFRESH_PRESENT, _ID_SET = 0x80, 0xA1, 0xA2, 0xA3
_IDENTIFIER_OCTETS = 16
_TRUE, _FALSE = b"\xff", b"\0"


class SyncState(Enum):
    """What an entry's message says of it (RFC 4533, section 2.3)."""

    PRESENT = 0
    ADD = 1
    MODIFY = 2
    DELETE = 3


@dataclass(frozen=True)
class Synced:
    """An entry, and what has become of it.

    Parameters
    ----------
    entry : Entry
        Its name, and unless it is gone or unchanged its attributes.
    state : SyncState
        What has become of it.
    identifier : bytes
        What names it for ever: entryUUID, or nsUniqueId on 389 DS.
    cookie : bytes, optional
        Where the content is now.
    """

    entry: Entry
    state: SyncState
    identifier: bytes
    cookie: Optional[bytes]


@dataclass(frozen=True)
class NewCookie:
    """Where the content is now, and nothing else."""

    cookie: bytes


@dataclass(frozen=True)
class PhaseEnd:
    """The end of a phase of the refresh.

    Parameters
    ----------
    deletes : bool
        Whether it was a delete phase, in which what is gone was named; in a present phase what
        is still there was, so that all else is gone.
    done : bool
        Whether the whole refresh is over.
    cookie : bytes, optional
        Where the content is now.
    """

    deletes: bool
    done: bool
    cookie: Optional[bytes]


@dataclass(frozen=True)
class IdSet:
    """Entries that are gone, or unchanged.

    Parameters
    ----------
    deletes : bool
        Whether they are gone.
    identifiers : tuple of bytes
        Their identifiers.
    cookie : bytes, optional
        Where the content is now.
    """

    deletes: bool
    identifiers: tuple[bytes, ...]
    cookie: Optional[bytes]


@dataclass(frozen=True)
class SyncEnd:
    """The last message: the server goes on no further.

    Parameters
    ----------
    end : End
        Its result.
    deletes : bool
        As in :class:`PhaseEnd`.
    cookie : bytes, optional
        Where the content is now.
    """

    end: End
    deletes: bool
    cookie: Optional[bytes]


SyncMessage = Union[Synced, NewCookie, PhaseEnd, IdSet, SyncEnd, Entry, Reference]


@dataclass(frozen=True)
class DirSynced:
    """The end of one answer to a DirSync request.

    Parameters
    ----------
    end : End
        Its result.
    more : bool
        Whether there is more to be had at once.
    cookie : bytes
        For the next request.
    """

    end: End
    more: bool
    cookie: bytes


# --- writing


def sync_request(cookie: Optional[bytes]) -> bytes:
    """Write the control that asks for the content, and for its changes as they happen.

    Parameters
    ----------
    cookie : bytes, optional
        Where to go on; None for all content.
    """
    value = ber.sequence(
        ber.integer(_REFRESH_AND_PERSIST, ber.ENUMERATED),
        b"" if cookie is None else ber.element(cookie),
    )
    return _control(SYNC_REQUEST, value)


def dirsync_request(cookie: bytes, *, object_security: bool) -> bytes:
    """Write the control that asks for what has changed since the last answer.

    Parameters
    ----------
    cookie : bytes
        From that answer; empty for all content.
    object_security : bool
        Whether to be shown no more than any search shows, for which everybody has the rights.
    """
    value = ber.sequence(
        ber.integer(_OBJECT_SECURITY if object_security else 0),
        ber.integer(0),
        ber.element(cookie),
    )
    return _control(DIRSYNC, value)


def _control(oid: str, value: bytes) -> bytes:
    """Write a critical control (RFC 4511, section 4.1.11)."""
    return ber.sequence(ber.element(oid.encode()), ber.element(_TRUE, _BOOLEAN), ber.element(value))


# --- reading


def read_sync(opened: Opened) -> SyncMessage:
    """Read a message that arrives while content is followed.

    Returns
    -------
    SyncMessage
        What it says. An entry without a state is a plain `Entry`.

    Raises
    ------
    BrokenAnswer
        If it is not such a message.
    """
    if opened.tag == _INTERMEDIATE:
        return _read_info(_info_value(opened.octets, opened.start, opened.end))
    if opened.tag == _EXTENDED:
        raise BrokenAnswer("a notice of disconnection")
    answer = read_opened(opened)
    if isinstance(answer, Reference):
        return answer
    controls = _controls(opened)
    if isinstance(answer, End):
        done = controls.get(_SYNC_DONE)
        cookie, deletes = (None, False) if done is None else _read_done(done)
        return SyncEnd(answer, deletes, cookie)
    state = controls.get(_SYNC_STATE)
    return answer if state is None else _read_state(answer, state)


def read_dirsync(opened: Opened, message_id: int) -> Union[Entry, Reference, DirSynced]:
    """Read a message that answers a DirSync request.

    Parameters
    ----------
    message_id : int
        The request's.

    Raises
    ------
    BrokenAnswer
        If it does not answer it.
    """
    if opened.number != message_id:
        raise BrokenAnswer("an answer to another request")
    answer = read_opened(opened)
    if not isinstance(answer, End):
        return answer
    value = _controls(opened).get(DIRSYNC.encode())
    if value is None:
        return DirSynced(answer, more=False, cookie=b"")
    parts = _sequence(value)
    if [tag for tag, _, _ in parts] != [ber.INTEGER, ber.INTEGER, ber.OCTETS]:
        raise BrokenAnswer("a DirSync control that is not one")
    (_, begin, end), _, (_, first, last) = parts
    return DirSynced(answer, more=ber.number(value, begin, end) != 0, cookie=value[first:last])


def read_policy_error(value: bytes) -> Optional[int]:
    """Read the error in the value of a password policy response control.

    Returns
    -------
    int or None
        The error's number; None if there is only a warning, or nothing.

    Raises
    ------
    BrokenAnswer
        If it is not such a value.
    """
    if not value:
        return None
    for tag, first, last in _sequence(value):
        if tag == _POLICY_ERROR:
            return ber.number(value, first, last)
    return None


def _controls(opened: Opened) -> dict[bytes, bytes]:
    """Read the values of a message's controls, by OID; `read_opened` has checked their shape."""
    values: dict[bytes, bytes] = {}
    octets = opened.octets
    if opened.end == opened.stop:
        return values
    _, start, stop = ber.head(octets, opened.end, opened.stop)
    for _, first, last in ber.children(octets, start, stop):
        parts = ber.children(octets, first, last)
        (_, name, name_end), (tag, begin, end) = parts[0], parts[-1]
        if len(parts) > 1 and tag == ber.OCTETS:
            values[octets[name:name_end]] = octets[begin:end]
    return values


def _info_value(octets: bytes, start: int, stop: int) -> bytes:
    """Return the value of an intermediate response that is a sync info message."""
    parts = {tag: octets[first:last] for tag, first, last in ber.children(octets, start, stop)}
    if parts.get(_NAME) != _SYNC_INFO or _VALUE not in parts:
        raise BrokenAnswer("an intermediate answer of another kind")
    return parts[_VALUE]


def _read_info(value: bytes) -> SyncMessage:
    tag, start, stop = ber.head(value, 0, len(value))
    if stop != len(value):
        raise BrokenAnswer("something after a sync info message")
    if tag == _NEW_COOKIE:
        return NewCookie(value[start:stop])
    parts = _Parts(value, start, stop)
    cookie = parts.octets()
    if tag in (_REFRESH_DELETE, _REFRESH_PRESENT):
        done = parts.boolean(default=True)
        parts.close()
        return PhaseEnd(tag == _REFRESH_DELETE, done, cookie)
    if tag != _ID_SET:
        raise BrokenAnswer(f"a sync info message of kind {tag:#04x}")
    deletes = parts.boolean(default=False)
    first, last = parts.required(ber.SET)
    parts.close()
    identifiers = tuple(
        _identifier(value, each) for each in ber.children(value, first, last)
    )  # fmt: skip
    return IdSet(deletes, identifiers, cookie)


def _read_done(value: bytes) -> tuple[Optional[bytes], bool]:
    parts = _Parts(value, *_whole(value))
    cookie, deletes = parts.octets(), parts.boolean(default=False)
    parts.close()
    return cookie, deletes


def _read_state(entry: Entry, value: bytes) -> Synced:
    parts = _Parts(value, *_whole(value))
    number = ber.number(value, *parts.required(ber.ENUMERATED))
    try:
        state = SyncState(number)
    except ValueError:
        raise BrokenAnswer(f"an entry of state {number}") from None
    identifier = _identifier(value, (ber.OCTETS, *parts.required(ber.OCTETS)))
    cookie = parts.octets()
    parts.close()
    return Synced(entry, state, identifier, cookie)


def _identifier(value: bytes, element: Element) -> bytes:
    tag, first, last = element
    if tag != ber.OCTETS or last - first != _IDENTIFIER_OCTETS:
        raise BrokenAnswer("an identifier that is not of 16 octets")
    return value[first:last]


def _whole(value: bytes) -> tuple[int, int]:
    """Return where the content of a value begins and ends that is one sequence."""
    tag, start, stop = ber.head(value, 0, len(value))
    if tag != ber.SEQUENCE or stop != len(value):
        raise BrokenAnswer("a control's value that is no sequence")
    return start, stop


def _sequence(value: bytes) -> list[Element]:
    return ber.children(value, *_whole(value))


class _Parts:
    """The parts of a sequence in their order, of which some may be left out."""

    def __init__(self, value: bytes, start: int, stop: int) -> None:
        self._value = value
        self._left = ber.children(value, start, stop)

    def _next(self, tag: int) -> Optional[tuple[int, int]]:
        if not self._left or self._left[0][0] != tag:
            return None
        _, first, last = self._left.pop(0)
        return first, last

    def required(self, tag: int) -> tuple[int, int]:
        found = self._next(tag)
        if found is None:
            raise BrokenAnswer(f"a sync message without its part of kind {tag:#04x}")
        return found

    def octets(self) -> Optional[bytes]:
        found = self._next(ber.OCTETS)
        return None if found is None else self._value[found[0] : found[1]]

    def boolean(self, *, default: bool) -> bool:
        found = self._next(_BOOLEAN)
        if found is None:
            return default
        if found[1] - found[0] != 1:
            raise BrokenAnswer("a boolean that is not one")
        return self._value[found[0] : found[1]] != _FALSE

    def close(self) -> None:
        if self._left:
            raise BrokenAnswer("something after the parts of a sync message")

"""What a change makes of an entry, told here and not by a server (RFC 4511, section 4.6).

With the result codes by which servers refuse: those that ldapdb heeds, and those that say
that an LDIF does not fit the directory. What a schema allows is known for the classes that
ldapdb writes; the server may still refuse what is taken for good here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ldapdb.entries import (
    ALLOW_HOME,
    ALLOW_STARTUP_DATA,
    ALLOW_VIEW,
    APPLICATION_CLASS,
    DISPLAY_NAME,
    GRANT_CLASS,
    IMAGE,
    MEMBER,
    NOT_AFTER,
    NOT_BEFORE,
    POLICY_ATTRIBUTES,
)
from ldapdb.matching import is_of_class, key, values_of
from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.entry import OBJECT_CLASS, Operation
from ldapdb.protocol.ldif import Step
from ldapdb.syntaxes import parse_time
from ldapdb.vendors import Vendor

__all__ = [
    "RefusedError",
    "as_account",
    "check_classes",
    "check_naming",
    "modified",
    "named",
    "renamed",
]

Attributes = dict[str, list[bytes]]

_NO_SUCH_VALUE, _CONSTRAINT_VIOLATION, _VALUE_EXISTS, _INVALID_SYNTAX = 16, 19, 20, 21
_OBJECT_CLASS_VIOLATION, _NOT_ALLOWED_ON_RDN = 65, 67
# The attributes of ldif/, in lower case. No other begins like them.
_OURS_BEGIN = "remoteapp"
_SINGLE = frozenset(map(str.lower, POLICY_ATTRIBUTES))
_OURS = _SINGLE | {IMAGE.lower()}
_BOOLEANS = frozenset(map(str.lower, (ALLOW_HOME, ALLOW_VIEW, ALLOW_STARTUP_DATA)))
_TIMES = frozenset(map(str.lower, (NOT_BEFORE, NOT_AFTER)))
# What a group without a member breaks, where the vendor has it so.
_MUST_HAVE = {"groupofnames": MEMBER, "groupofuniquenames": "uniqueMember"}
# Classes that do not allow displayName. Others may.
_NO_DISPLAY_NAME = frozenset(
    {
        b"top",
        b"groupofnames",
        b"groupofmembers",
        b"groupofuniquenames",
        b"organizationalunit",
        b"posixgroup",
        b"remoteappgrant",
        b"remoteappgroup",
    }
)
# objectCategory, of which the first value of the name is what filters ask for.
_CATEGORIES = (("computer", b"Computer"), ("person", b"Person"), ("group", b"Group"))
# NORMAL_ACCOUNT, PASSWD_NOTREQD and ACCOUNTDISABLE: until it has a password, it is disabled.
_NEW_USER = b"546"
_DOMAIN_USERS = b"513"
_NEVER = b"9223372036854775807"


class RefusedError(Exception):
    """A server would refuse the change.

    Parameters
    ----------
    code : int
        With this result code (RFC 4511, appendix A).
    said : str
        And it would say this.
    """

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code
        self.said = said


def modified(
    attributes: Mapping[str, Sequence[bytes]], steps: Iterable[Step], matching: NameMatching
) -> Attributes:
    """Return the attributes of an entry after a modify request.

    Parameters
    ----------
    attributes : mapping of str to sequence of bytes
        Before, by description in lower case.
    matching : NameMatching
        How the directory compares names and text.

    Raises
    ------
    RefusedError
        If a value is added that is there, or one deleted that is not; if our own attributes get
        what no server takes.
    """
    after = {name: list(map(bytes, values)) for name, values in attributes.items()}
    made = list(steps)
    for step in made:
        _check_syntax(step)
        name = step.attribute.lower()
        values = after.pop(name, [])
        if step.operation is Operation.ADD:
            values = _added(step, values, matching)
        elif step.operation is Operation.DELETE:
            values = _deleted(step, values, matching)
        else:
            values = _added(step, [], matching)
        if values:
            after[name] = values
    for name in {step.attribute.lower() for step in made}:
        if name in _SINGLE and len(after.get(name, ())) > 1:
            raise RefusedError(_CONSTRAINT_VIOLATION, f"{name} takes one value alone")
    return after


def _check_syntax(step: Step) -> None:
    """See that our schema has an attribute, and that its values are of its syntax."""
    name = step.attribute.lower().partition(";")[0]
    if name.startswith(_OURS_BEGIN) and name not in _OURS:
        raise RefusedError(_OBJECT_CLASS_VIOLATION, f"{step.attribute} is no attribute of ldif/")
    if step.operation is Operation.DELETE:
        return
    for value in step.values:
        text = value.decode(errors="replace")
        if name in _BOOLEANS and text not in ("TRUE", "FALSE"):
            raise RefusedError(_INVALID_SYNTAX, f"{step.attribute}: {text!r} is not TRUE or FALSE")
        if name in _TIMES:
            try:
                parse_time(text)
            except ValueError as error:
                raise RefusedError(_INVALID_SYNTAX, f"{step.attribute}: {error}") from error


def _added(step: Step, values: list[bytes], matching: NameMatching) -> list[bytes]:
    present = {key(step.attribute, value, matching) for value in values}
    for value in step.values:
        same = key(step.attribute, value, matching)
        if same in present:
            raise RefusedError(_VALUE_EXISTS, f"{step.attribute}: value exists")
        present.add(same)
    return [*values, *step.values]


def _deleted(step: Step, values: list[bytes], matching: NameMatching) -> list[bytes]:
    if not values:
        raise RefusedError(_NO_SUCH_VALUE, f"{step.attribute}: no such attribute")
    doomed = {key(step.attribute, value, matching) for value in step.values}
    if doomed - {key(step.attribute, value, matching) for value in values}:
        raise RefusedError(_NO_SUCH_VALUE, f"{step.attribute}: no such value")
    return [
        value for value in values if key(step.attribute, value, matching) not in doomed and doomed
    ]


def renamed(
    attributes: Mapping[str, Sequence[bytes]], old: DN, new: DN, *, deletes_old: bool
) -> Attributes:
    """Return the attributes of an entry after it has got another RDN."""
    after = {name: list(map(bytes, values)) for name, values in attributes.items()}
    if deletes_old:
        for ava in old.rdns[0]:
            name, same = ava.attribute.lower(), key(ava.attribute, ava.value.encode(), old.matching)
            after[name] = [
                each for each in after.get(name, ()) if key(name, each, old.matching) != same
            ]
    return named(after, new)


def named(attributes: Mapping[str, Sequence[bytes]], dn: DN) -> Attributes:
    """Return the attributes of an entry with the values of its RDN among them."""
    after = {name: list(map(bytes, values)) for name, values in attributes.items() if values}
    for ava in dn.rdns[0]:
        name, value = ava.attribute.lower(), ava.value.encode()
        values = after.setdefault(name, [])
        if key(name, value, dn.matching) not in {key(name, each, dn.matching) for each in values}:
            values.append(value)
    return after


def as_account(attributes: Mapping[str, Sequence[bytes]], domain: bytes, number: int) -> Attributes:
    """Return a new entry with what Active Directory adds to it and ldapdb looks for.

    Parameters
    ----------
    attributes : mapping of str to sequence of bytes
        Its own, by description in lower case.
    domain : bytes
        objectSid of the domain; empty if it is not known.
    number : int
        The new account's in the domain.

    References
    ----------
    [MS-ADTS], sections 3.1.1.5.2.2 and 3.1.1.8.1.
    """
    after = {name: list(map(bytes, values)) for name, values in attributes.items()}
    for object_class, category in _CATEGORIES:
        if is_of_class(attributes, object_class):
            after.setdefault("objectcategory", [b"CN=" + category])
    is_user = bool(is_of_class(attributes, "user"))
    if domain and (is_user or is_of_class(attributes, "group")):
        sid = bytes([domain[0], domain[1] + 1]) + domain[2:] + number.to_bytes(4, "little")
        after.setdefault("objectsid", [sid])
    if is_user:
        after.setdefault("useraccountcontrol", [_NEW_USER])
        after.setdefault("accountexpires", [_NEVER])
        after.setdefault("primarygroupid", [_DOMAIN_USERS])
    return after


def check_naming(attributes: Mapping[str, Sequence[bytes]], dn: DN) -> None:
    """See that an entry has the values of its RDN.

    Raises
    ------
    RefusedError
        If not: only a rename changes them.
    """
    if len(named(attributes, dn)) != len(attributes) or any(
        key(ava.attribute, ava.value.encode(), dn.matching)
        not in {key(ava.attribute, each, dn.matching) for each in attributes[ava.attribute.lower()]}
        for ava in dn.rdns[0]
    ):
        raise RefusedError(_NOT_ALLOWED_ON_RDN, "a value of the RDN cannot be deleted")


def check_classes(attributes: Mapping[str, Sequence[bytes]], vendor: Vendor) -> None:
    """See that an entry has what its classes demand, as far as that is known here.

    Raises
    ------
    RefusedError
        If not.
    """
    classes = {bytes(value).lower() for value in attributes.get(OBJECT_CLASS.lower(), ())}
    ours = {APPLICATION_CLASS.lower().encode(), GRANT_CLASS.lower().encode()} & classes
    if ours and not values_of(attributes, IMAGE):
        raise RefusedError(_OBJECT_CLASS_VIOLATION, f"its class requires {IMAGE}")
    for name in (IMAGE, *POLICY_ATTRIBUTES):
        allowed = ours if name == IMAGE else ours & {GRANT_CLASS.lower().encode()}
        if values_of(attributes, name) and not allowed and b"extensibleobject" not in classes:
            raise RefusedError(_OBJECT_CLASS_VIOLATION, f"{name} is not allowed")
    named = DISPLAY_NAME.lower() in attributes
    if named and not vendor.display_names and classes <= _NO_DISPLAY_NAME:
        raise RefusedError(_OBJECT_CLASS_VIOLATION, f"{DISPLAY_NAME} is not allowed")
    for name, required in _MUST_HAVE.items():
        missing = name.encode() in classes and required.lower() not in attributes
        if missing and not vendor.empty_stock_groups:
            raise RefusedError(_OBJECT_CLASS_VIOLATION, f"{name} requires {required}")

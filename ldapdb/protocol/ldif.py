"""Changes of a directory as text: LDIF change records (RFC 2849), written and read.

What is written is what ``ldapmodify`` reads. What is read are change records, and plain
entries, which stand for adding them.

This module opens no file.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn, Optional, Union

from ldapdb.errors import InvalidValue
from ldapdb.protocol.dn import DN, RDN, NameMatching
from ldapdb.protocol.entry import Modification, Operation

__all__ = [
    "Add",
    "Change",
    "Delete",
    "Modify",
    "Rename",
    "Step",
    "matched",
    "parse",
    "step_of",
    "write",
]

_DESCRIPTION = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*")
# SAFE-STRING, without controls, which would steer a terminal, and without a space at the end
# (note 8).
_SAFE = re.compile(rb"(?:[!-9;=-~](?:[ -~]*[!-~])?)?")
# Other names of attributes that say who somebody is (RFC 4519, RFC 4524).
_ALIASES = {"userid": "uid", "commonname": "cn", "surname": "sn", "rfc822mailbox": "mail"}
_UNKNOWN_OPERATION = "is none of add:, delete: and replace:"


class Step(NamedTuple):
    """One part of a modify request.

    Parameters
    ----------
    operation : Operation
        Add, delete or replace.
    attribute : str
        Attribute description.
    values : tuple of bytes
        None at all with DELETE and REPLACE removes the attribute.
    """

    operation: Operation
    attribute: str
    values: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Add:
    """An entry that is added.

    Parameters
    ----------
    dn : DN
        Its name.
    attributes : mapping of str to sequence of bytes
        Values by attribute description, as it is spelled.
    """

    dn: DN
    attributes: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True)
class Modify:
    """An entry that is modified, by all steps or none."""

    dn: DN
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Delete:
    """An entry that is deleted."""

    dn: DN


@dataclass(frozen=True)
class Rename:
    """An entry that gets another name, with all that is below it.

    Parameters
    ----------
    dn : DN
        Its name so far.
    rdn : RDN
        Its new RDN.
    deletes_old : bool
        Whether the values of the old one leave the entry.
    superior : DN, optional
        The entry above it from then on; the same as before if None.
    """

    dn: DN
    rdn: RDN
    deletes_old: bool = True
    superior: Optional[DN] = None

    @property
    def new_dn(self) -> DN:
        """Its name from then on."""
        above = self.dn.parent if self.superior is None else self.superior
        return DN((self.rdn, *above.rdns), above.matching)


Change = Union[Add, Modify, Delete, Rename]


def matched(change: Change, matching: NameMatching) -> Change:
    """Return a change whose names are compared as a directory compares them."""
    if isinstance(change, Rename) and change.superior is not None:
        change = replace(change, superior=change.superior.matched(matching))
    return replace(change, dn=change.dn.matched(matching))


def step_of(modification: Modification) -> Step:
    """Turn a modification of ours into a step."""
    values = tuple(value.encode() for value in modification.values)
    return Step(modification.operation, modification.attribute, values)


# --- writing


def write(changes: Iterable[Change], comment: str = "") -> str:
    """Write change records.

    Parameters
    ----------
    comment : str
        What the file begins with, for whoever reads it.

    Returns
    -------
    str
        Lines that are not folded. Values that RFC 2849 has in base64 are in base64; a name
        that is has a comment with its text before it.
    """
    head = [f"# {line}" for line in map(_plain, comment.splitlines())]
    records = [[*_name(each.dn), *_body(each)] for each in changes]
    parts = [head + ["version: 1"] * bool(records), *records]
    return "\n".join("".join(f"{line}\n" for line in part) for part in parts if part)


def _name(dn: DN) -> list[str]:
    line = _line("dn", str(dn).encode())
    return [line] if not line.startswith("dn::") else [f"# {_plain(str(dn))}", line]


def _body(change: Change) -> Iterator[str]:
    if isinstance(change, Delete):
        yield "changetype: delete"
    elif isinstance(change, Add):
        yield "changetype: add"
        for name, values in change.attributes.items():
            yield from (_line(name, value) for value in values)
    elif isinstance(change, Modify):
        yield "changetype: modify"
        for step in change.steps:
            yield f"{step.operation.value}: {step.attribute}"
            yield from (_line(step.attribute, value) for value in step.values)
            yield "-"
    else:
        yield "changetype: modrdn"
        yield _line("newrdn", str(DN((change.rdn,))).encode())
        yield f"deleteoldrdn: {int(change.deletes_old)}"
        if change.superior is not None:
            yield _line("newsuperior", str(change.superior).encode())


def _line(name: str, value: bytes) -> str:
    if _SAFE.fullmatch(value):
        return f"{name}: {value.decode()}"
    return f"{name}:: {base64.b64encode(value).decode()}"


def _plain(text: str) -> str:
    """Leave out what would end a comment's line or steer a terminal."""
    return "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Zl", "Zp"))


# --- reading


class _Line(NamedTuple):
    """One line that is not folded any more.

    Parameters
    ----------
    number : int
        Of its beginning, from 1.
    name : str
        What is before the colon; ``-`` where that is all.
    value : bytes
        What is behind it.
    """

    number: int
    name: str
    value: bytes

    def text(self) -> str:
        """Return the value where it must be text."""
        try:
            return self.value.decode()
        except UnicodeDecodeError:
            _refuse(self.number, f"{self.name} is not UTF-8")

    def dn(self) -> DN:
        """Return the value where it must be a name."""
        try:
            return DN.parse(self.text())
        except InvalidValue:
            raise
        except ValueError as error:
            _refuse(self.number, str(error))


def parse(octets: bytes) -> list[tuple[int, Change]]:
    """Read change records and entries.

    Parameters
    ----------
    octets : bytes
        The file's content. Values may be plain UTF-8, which ``ldapmodify`` takes too.

    Returns
    -------
    list of (int, Change)
        Each with the number of its first line.

    Raises
    ------
    InvalidValue
        If it is no LDIF, with the number of the line. So are values from files and from the
        net (``attribute:< URL``), and controls: nothing here reads the one or heeds the other.
    """
    records = [list(map(_parse_line, record)) for record in _records(octets)]
    if records and records[0][0].name.lower() == "version":
        version, *rest = records[0]
        if version.value != b"1":
            _refuse(version.number, "the version must be 1")
        records[0] = rest
    return [(record[0].number, _change(record)) for record in records if record]


def _records(octets: bytes) -> Iterator[list[tuple[int, bytes]]]:
    """Split into records, and these into lines with their numbers, unfolded."""
    record: list[tuple[int, bytes]] = []
    is_comment = False
    for number, line in enumerate([*octets.split(b"\n"), b""], 1):
        content = line[:-1] if line.endswith(b"\r") else line
        if content.startswith(b" "):
            if is_comment:
                continue
            if not record:
                _refuse(number, "it begins with a space, and continues no line")
            first, begun = record[-1]
            record[-1] = first, begun + content[1:]
            continue
        is_comment = content.startswith(b"#")
        if content and not is_comment:
            record.append((number, content))
        elif not content and record:
            yield record
            record = []


def _parse_line(numbered: tuple[int, bytes]) -> _Line:
    number, content = numbered
    if content == b"-":
        return _Line(number, "-", b"")
    name, colon, value = content.partition(b":")
    try:
        description = name.decode("ascii")
    except UnicodeDecodeError:
        description = ""
    if not colon or not _DESCRIPTION.fullmatch(description):
        _refuse(number, "it is not of the form attribute: value")
    description = _named(number, description)
    if value.startswith(b"<"):
        _refuse(number, f"{description} is to be read from a URL, which is never done here")
    if not value.startswith(b":"):
        return _Line(number, description, value.lstrip(b" "))
    try:
        return _Line(number, description, base64.b64decode(value[1:].strip(b" "), validate=True))
    except binascii.Error:
        _refuse(number, f"{description} is not base64")


def _named(number: int, description: str) -> str:
    """Return an attribute by the name that entries have it by."""
    name, semicolon, options = description.partition(";")
    if name[0].isdigit():
        _refuse(number, f"{name} stands for an attribute; write its name, such as member")
    return _ALIASES.get(name.lower(), name) + semicolon + options


def _change(record: list[_Line]) -> Change:
    first, *rest = record
    if first.name.lower() != "dn":
        _refuse(first.number, "a record must begin with dn:")
    dn = first.dn()
    if rest and rest[0].name.lower() == "control":
        _refuse(rest[0].number, "a control may change what the record means; it is not heeded here")
    if not rest:
        _refuse(first.number, "nothing follows dn:")
    if rest[0].name.lower() != "changetype":
        return _add(dn, rest)
    kind, *body = rest
    make = _KINDS.get(kind.text().lower())
    if make is None:
        _refuse(kind.number, f"changetype is none of {', '.join(_KINDS)}")
    if not body and make is not _delete:
        _refuse(kind.number, "nothing follows changetype:")
    return make(dn, body)


def _add(dn: DN, lines: list[_Line]) -> Add:
    attributes: dict[str, list[bytes]] = {}
    names: dict[str, str] = {}
    for line in lines:
        if line.name == "-":
            _refuse(line.number, "a line of one dash belongs to changetype: modify")
        name = names.setdefault(line.name.lower(), line.name)
        attributes.setdefault(name, []).append(line.value)
    return Add(dn, attributes)


def _delete(dn: DN, lines: list[_Line]) -> Delete:
    if lines:
        _refuse(lines[0].number, "nothing may follow changetype: delete")
    return Delete(dn)


def _modify(dn: DN, lines: list[_Line]) -> Modify:
    steps, at = [], 0
    while at < len(lines):
        opening = lines[at]
        try:
            operation = Operation(opening.name.lower())
        except ValueError:
            _refuse(opening.number, f"{opening.name}: {_UNKNOWN_OPERATION}")
        attribute = opening.text()
        if not _DESCRIPTION.fullmatch(attribute):
            _refuse(opening.number, f"{attribute!r} is not an attribute")
        attribute = _named(opening.number, attribute)
        values = []
        at += 1
        while at < len(lines) and lines[at].name != "-":
            if lines[at].name.lower() != attribute.lower():
                _refuse(lines[at].number, f"only values of {attribute} may stand here, or a dash")
            values.append(lines[at].value)
            at += 1
        if not values and operation is Operation.ADD:
            _refuse(opening.number, f"no value of {attribute} follows")
        steps.append(Step(operation, attribute, tuple(values)))
        at += 1  # the dash, which ldapmodify does not miss at the end
    return Modify(dn, tuple(steps))


def _rename(dn: DN, lines: list[_Line]) -> Rename:
    said = {line.name.lower(): line for line in lines}
    expected = ["newrdn", "deleteoldrdn", "newsuperior"]
    if list(said) != expected[: len(said)] or len(said) != len(lines) or len(said) == 1:
        _refuse(lines[0].number, f"{', '.join(expected)} must follow; the last may be missing")
    rdns = said["newrdn"].dn().rdns
    if len(rdns) != 1:
        _refuse(said["newrdn"].number, "newrdn must be one RDN")
    if said["deleteoldrdn"].value not in (b"0", b"1"):
        _refuse(said["deleteoldrdn"].number, "deleteoldrdn must be 0 or 1")
    superior = said["newsuperior"].dn() if "newsuperior" in said else None
    return Rename(dn, rdns[0], said["deleteoldrdn"].value == b"1", superior)


_KINDS: dict[str, Callable[[DN, list[_Line]], Change]] = {
    "add": _add,
    "delete": _delete,
    "modify": _modify,
    "modrdn": _rename,
    "moddn": _rename,
}


def _refuse(number: int, why: str) -> NoReturn:
    raise InvalidValue(f"the LDIF cannot be read: line {number}: {why}")

"""Entries as a search returns them, and what a modify request says (RFC 4511).

What an entry means is told by :mod:`ldapdb.entries`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

from ldapdb.errors import InvalidValue
from ldapdb.protocol.dn import NameMatching

__all__ = ["OBJECT_CLASS", "Entry", "Modification", "Operation"]

OBJECT_CLASS = "objectClass"


@dataclass(frozen=True)
class Entry:
    """An entry as a search returned it.

    Parameters
    ----------
    dn : str
        The server's spelling.
    attributes : mapping of str to list of bytes
        Values by attribute description in lower case. What is absent was not returned.
    matching : NameMatching
        How the directory compares names.
    """

    dn: str
    attributes: Mapping[str, Sequence[bytes]]
    matching: NameMatching = field(default=NameMatching.EXACT, compare=False)

    def raw(self, attribute: str) -> list[bytes]:
        """Return all values of an attribute, with those that have options, as they are.

        A search by an attribute type finds ``uid;lang-fr`` like ``uid`` (RFC 4512, section
        2.5.2), so whatever is searched for by its values is read with this.
        """
        wanted = attribute.lower()
        return [
            bytes(value)
            for name, values in self.attributes.items()
            if name.partition(";")[0] == wanted
            for value in values
        ]

    def texts(self, attribute: str) -> list[str]:
        """Return all values of an attribute, with those that have options, as text.

        Raises
        ------
        InvalidValue
            If one is not UTF-8.
        """
        return _decoded(attribute, self.raw(attribute))

    def values(self, attribute: str) -> list[str]:
        """Return the values of an attribute that decides about access, as text.

        Raises
        ------
        InvalidValue
            If one is not UTF-8, or has an option: it may have been meant to narrow a grant, and
            cannot be told from one that was not.
        """
        self._refuse_options(attribute)
        return _decoded(attribute, self.attributes.get(attribute.lower(), ()))

    def _refuse_options(self, attribute: str) -> None:
        start = f"{attribute.lower()};"
        given = [name for name in self.attributes if name.startswith(start)]
        if given:
            raise InvalidValue(f"{attribute} must not have options ({', '.join(given)})")

    def value(self, attribute: str) -> Optional[str]:
        """Return the attribute's only value, or None.

        Raises
        ------
        InvalidValue
            If there is more than one.
        """
        values = self.values(attribute)
        if len(values) > 1:
            raise InvalidValue(f"{attribute} has {len(values)} values and may have one")
        return values[0] if values else None

    def only(self, attribute: str) -> bytes:
        """Return the only value that an attribute must have, as it is.

        Raises
        ------
        InvalidValue
            If it has none or several, or one with an option.
        """
        self._refuse_options(attribute)
        values = self.attributes.get(attribute.lower(), ())
        if len(values) != 1:
            raise InvalidValue(f"{attribute} has {len(values)} values and must have one")
        return bytes(values[0])

    def has_class(self, object_class: str) -> bool:
        """Tell whether the entry is of an object class, named without regard to case."""
        wanted = object_class.lower().encode()
        return any(
            bytes(value).lower() == wanted
            for value in self.attributes.get(OBJECT_CLASS.lower(), ())
        )


def _decoded(attribute: str, values: Iterable[bytes]) -> list[str]:
    try:
        return [bytes(value).decode() for value in values]
    except UnicodeDecodeError:
        raise InvalidValue(f"{attribute} is not UTF-8") from None


class Operation(Enum):
    """What a modification does to an attribute (RFC 4511, section 4.6)."""

    ADD = "add"
    DELETE = "delete"
    REPLACE = "replace"


@dataclass(frozen=True)
class Modification:
    """One part of a modify request.

    Parameters
    ----------
    operation : Operation
        Add, delete or replace.
    attribute : str
        Attribute description.
    values : tuple of str
        None at all with DELETE removes the attribute.
    """

    operation: Operation
    attribute: str
    values: tuple[str, ...] = ()

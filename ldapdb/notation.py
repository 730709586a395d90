"""How applications and grants are written down in entries: what to ask for, what to write.

A :class:`Notation` stands between entries as a directory has them and entries as
``entries`` reads them. :class:`SchemaNotation` is for directories with our schema, where
the two are the same; ``stock`` has the one for directories that keep the schema they have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional, Protocol

from ldapdb.entries import (
    APPLICATION_CLASS,
    GRANT_ATTRIBUTES,
    GRANT_CLASS,
    IMAGE,
    LICENSE,
    POLICY_ATTRIBUTES,
)
from ldapdb.protocol import filters
from ldapdb.protocol.entry import OBJECT_CLASS, Entry, Modification, Operation
from ldapdb.protocol.filters import Filter

__all__ = ["Notation", "SchemaNotation"]


class Notation(Protocol):
    """A way to keep applications and grants in group entries.

    Classes are named by :data:`~ldapdb.entries.APPLICATION_CLASS` and
    :data:`~ldapdb.entries.GRANT_CLASS`, attributes by the names in ``entries``, whether or
    not the directory knows them.
    """

    @property
    def attributes(self) -> tuple[str, ...]:
        """What to ask for, to learn all that an entry says."""

    @property
    def needs_schema(self) -> bool:
        """Whether the directory must know our classes."""

    def require_licence_allowed(self, app_license: Optional[str]) -> None:
        """See that a licence, if there is one, may be written.

        Raises
        ------
        SettingsError
            If it would be written where others may read it, and no setting allows that.
        """

    def licensed(self) -> Filter:
        """Match entries that carry a grant with a licence, and perhaps some more."""

    def carrying(self, object_class: str) -> Filter:
        """Match entries of a class of ours, and perhaps some more."""

    def of_images(self, object_class: str, images: Sequence[str]) -> Filter:
        """Match entries of a class of ours with one of some images, and perhaps some more."""

    def read(self, entry: Entry) -> Entry:
        """Turn an entry as the directory has it into one as ``entries`` reads it.

        Raises
        ------
        InvalidValue
            If what it says about applications and grants cannot be read.
        """

    def new(
        self, object_class: str, attributes: Mapping[str, Sequence[str]]
    ) -> tuple[list[str], dict[str, list[str]]]:
        """Return the further classes and the attributes of a new entry."""

    def with_images(self, entry: Entry, images: Sequence[str]) -> list[Modification]:
        """Let an entry state other images, in one modify request that names the old ones."""

    def without_image(self, entry: Entry, image: str) -> list[Modification]:
        """Take one image of several out of a grant, in one modify request.

        An entry of several images registers none; nor is it to register what is left.
        """

    def without_class(self, entry: Entry, object_class: str) -> list[Modification]:
        """Take a class off an entry that somebody else made, with what only it allows.

        The entry itself stays: it may be a group that the company uses for other things.
        The image stays too where the other of our two classes needs it.
        """


class SchemaNotation:
    """Our classes and attributes, in directories that have them (``ldif/``)."""

    attributes = GRANT_ATTRIBUTES
    needs_schema = True

    def require_licence_allowed(self, app_license: Optional[str]) -> None:
        """Allow it: the attribute is for licences alone, and access rules hide it."""

    def licensed(self) -> Filter:
        """Match the class with the attribute."""
        return filters.all_of(self.carrying(GRANT_CLASS), filters.present(LICENSE))

    def carrying(self, object_class: str) -> Filter:
        """Match entries of a class."""
        return filters.equal(OBJECT_CLASS, object_class)

    def of_images(self, object_class: str, images: Sequence[str]) -> Filter:
        """Match entries of a class with one of some images."""
        wanted = filters.any_of(*(filters.equal(IMAGE, image) for image in images))
        return filters.all_of(self.carrying(object_class), wanted)

    def read(self, entry: Entry) -> Entry:
        """Return the entry as it is."""
        return entry

    def new(
        self, object_class: str, attributes: Mapping[str, Sequence[str]]
    ) -> tuple[list[str], dict[str, list[str]]]:
        """Return the further class and the attributes of a new entry."""
        return [object_class], {name: list(values) for name, values in attributes.items()}

    def with_images(self, entry: Entry, images: Sequence[str]) -> list[Modification]:
        """Delete the values that go, and add those that come."""
        before = entry.values(IMAGE)
        gone = [each for each in before if each not in images]
        new = [each for each in images if each not in before]
        return [
            *(Modification(Operation.DELETE, IMAGE, (each,)) for each in gone),
            *(Modification(Operation.ADD, IMAGE, (each,)) for each in new),
        ]

    def without_image(self, entry: Entry, image: str) -> list[Modification]:
        """Delete the value, and the class that would register another."""
        changes = [Modification(Operation.DELETE, IMAGE, (image,))]
        if entry.has_class(APPLICATION_CLASS):
            changes.append(Modification(Operation.DELETE, OBJECT_CLASS, (APPLICATION_CLASS,)))
        return changes

    def without_class(self, entry: Entry, object_class: str) -> list[Modification]:
        """Delete the class, and the attributes that no class allows any longer."""
        other = APPLICATION_CLASS if object_class == GRANT_CLASS else GRANT_CLASS
        doomed = list(POLICY_ATTRIBUTES) if object_class == GRANT_CLASS else []
        if not entry.has_class(other):
            doomed.append(IMAGE)
        return [
            Modification(Operation.DELETE, OBJECT_CLASS, (object_class,)),
            *(
                Modification(Operation.DELETE, name)
                for attribute in doomed
                for name in _descriptions(entry, attribute)
            ),
        ]


def _descriptions(entry: Entry, attribute: str) -> list[str]:
    """List an attribute and its forms with options: removing one leaves the others."""
    wanted = attribute.lower()
    return [
        attribute if name == wanted else name
        for name, values in entry.attributes.items()
        if name.partition(";")[0] == wanted and values
    ]

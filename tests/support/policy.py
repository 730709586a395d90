"""What an application or a grant says, and the two ways of writing it into a group.

Written here from the documents and not with ``ldapdb``, so that a test says what an
administrator would type.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

# Text is written as it is, so that a test can write what is broken.
Flag = Union[bool, str, None]


@dataclass(frozen=True)
class Said:
    """What one entry says; None is not said at all."""

    images: Sequence[str] = ()
    licence: Optional[str] = None
    home: Flag = None
    view: Flag = None
    startup_data: Flag = None
    volume: Optional[str] = None
    not_before: Optional[str] = None
    not_after: Optional[str] = None

    def attributes(self) -> dict[str, list[str]]:
        """Write it as attributes of our schema."""
        return {
            name: [_text(value) for value in values]
            for name, values in self._values(_ATTRIBUTES).items()
            if values
        }

    def absent(self) -> list[str]:
        """List the attributes that it does not use."""
        return [name for name, values in self._values(_ATTRIBUTES).items() if not values]

    def line(self, *roles: str) -> str:
        """Write it as a value of ``description``, for a directory without our schema."""
        words = [
            f"{key}={shlex.quote(_text(value))}"
            for key, values in self._values(_KEYS).items()
            for value in values
        ]
        return " ".join(["remoteapp", *roles, *words])

    def _values(self, names: Sequence[str]) -> dict[str, list[Union[bool, str]]]:
        single = (
            self.licence,
            self.home,
            self.view,
            self.startup_data,
            self.volume,
            self.not_before,
            self.not_after,
        )
        several: list[list[Union[bool, str]]] = [
            list(self.images),
            *([] if value is None else [value] for value in single),
        ]
        return dict(zip(names, several))


_ATTRIBUTES = (
    "remoteAppImage",
    "remoteAppLicense",
    "remoteAppAllowHome",
    "remoteAppAllowView",
    "remoteAppAllowStartupData",
    "remoteAppVolume",
    "remoteAppNotBefore",
    "remoteAppNotAfter",
)
_KEYS = ("image", "license", "home", "view", "startup-data", "volume", "not-before", "not-after")
CLASSES = {"application": "remoteAppApplication", "grant": "remoteAppGrant"}


def _text(value: Union[bool, str]) -> str:
    return value if isinstance(value, str) else str(value).upper()

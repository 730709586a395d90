"""Names of the live tests' fixtures, for annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from live.conftest import Directory, Host
else:
    Directory = Host = Any

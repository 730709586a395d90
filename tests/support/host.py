"""The generations of the host, and how each calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Host:
    """A generation of the host: what it imports, and how it calls."""

    name: str
    database_class: Any
    interfaces: Any
    exceptions: Any

    @property
    def has_licence(self) -> bool:
        return self.name == "2.2"

    def arguments(
        self,
        image: str,
        user: str,
        *,
        home: bool = False,
        view: bool = False,
        volume: str | None = None,
    ) -> dict[str, Any]:
        """Arguments of grant_access and revoke_access, in the order of the interface."""
        if self.has_licence:
            return {
                "app_name": image,
                "user_name": user,
                "app_license": "",
                "allow_home": home,
                "allow_view": view,
                "volume": volume,
                "allow_startup_data": False,
            }
        return {
            "app_name": image,
            "user_name": user,
            "allow_home": home,
            "allow_view": view,
            "volume": volume,
        }

"""The host's interface as its release 2.0 states it, for machines without the host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["ABCDatabase"]


class ABCDatabase(ABC):
    """What the host calls; `database` says what each call does."""

    @abstractmethod
    def get_user(self, *, user_name: Any = None, id: Any = None) -> Any:
        """Return the user of a name or an id, or None."""

    @abstractmethod
    def get_accounting_for_user(self, user: Any) -> Any:
        """List what a user may start."""

    @abstractmethod
    def create_user(self, user_name: Any) -> Any:
        """Create a user, if the database does that."""

    @abstractmethod
    def remove_user(self, *, user_name: Any = None, id: Any = None) -> Any:
        """Remove a user, if the database does that."""

    @abstractmethod
    def list_users(self) -> Any:
        """List all users."""

    @abstractmethod
    def create_application(self, app_name: Any) -> Any:
        """Register an image and return the application's id."""

    @abstractmethod
    def remove_application(self, *, app_name: Any = None, id: Any = None) -> Any:
        """Remove an application."""

    @abstractmethod
    def list_applications(self) -> Any:
        """List all applications."""

    @abstractmethod
    def grant_access(
        self, app_name: Any, user_name: Any, allow_home: Any, allow_view: Any, volume: Any
    ) -> Any:
        """Give a user an application and return the mapping id."""

    @abstractmethod
    def revoke_access(
        self, app_name: Any, user_name: Any, allow_home: Any, allow_view: Any, volume: Any
    ) -> Any:
        """Take an application from a user."""

    @abstractmethod
    def revoke_access_by_id(self, mapping_id: Any) -> Any:
        """Take away what a mapping id stands for."""

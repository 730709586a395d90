"""The interface of the host's release 2.2 and master, as its database classes must satisfy it."""

from abc import ABCMeta, abstractmethod
from typing import Any, Optional


class ABCApplication(metaclass=ABCMeta):
    def __init__(self, id: int, image: str) -> None:
        self.id = id
        self.image = image


class ABCApplicationPolicy(metaclass=ABCMeta):
    def __init__(
        self,
        app_license: Optional[str] = None,
        allow_home: bool = False,
        allow_view: bool = False,
        allow_common: bool = False,
        volume_source: Optional[str] = None,
        volume_target: Optional[str] = None,
        volume_mode: Optional[str] = None,
        allow_startup_data: bool = False,
    ) -> None:
        self.app_license = app_license
        self.allow_home = allow_home
        self.allow_view = allow_view
        self.allow_common = allow_common
        self.volume_source = volume_source
        self.volume_target = volume_target
        self.volume_mode = volume_mode
        self.allow_startup_data = allow_startup_data


class ABCAccounting(metaclass=ABCMeta):
    def __init__(self, id: str, user: Any, application: Any, application_policy: Any) -> None:
        self.id = id
        self.user = user
        self.application = application
        self.application_policy = application_policy


class ABCDatabase(metaclass=ABCMeta):
    @abstractmethod
    def get_user(self, *, user_name: Any = None, id: Any = None) -> Any: ...

    @abstractmethod
    def get_accounting_for_user(self, user: Any) -> Any: ...

    @abstractmethod
    def create_user(self, user_name: Any) -> Any: ...

    @abstractmethod
    def remove_user(self, *, user_name: Any = None, id: Any = None) -> Any: ...

    @abstractmethod
    def list_users(self) -> Any: ...

    @abstractmethod
    def create_application(self, app_name: Any) -> Any: ...

    @abstractmethod
    def remove_application(self, *, app_name: Any = None, id: Any = None) -> Any: ...

    @abstractmethod
    def list_applications(self) -> Any: ...

    @abstractmethod
    def grant_access(
        self,
        app_name: Any,
        user_name: Any,
        app_license: Any,
        allow_home: Any,
        allow_view: Any,
        volume: Any,
        allow_startup_data: Any,
    ) -> Any: ...

    @abstractmethod
    def revoke_access(
        self,
        app_name: Any,
        user_name: Any,
        app_license: Any,
        allow_home: Any,
        allow_view: Any,
        volume: Any,
        allow_startup_data: Any,
    ) -> Any: ...

    @abstractmethod
    def revoke_access_by_id(self, mapping_id: Any) -> Any: ...

"""The host's two spawners: which program JupyterHub starts for a user, as whom, and told what."""

import os
from pathlib import Path
from typing import Any, Callable, Optional

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Unicode


class _Spawner(LocalProcessSpawner):
    config_file_path = Unicode(config=True)

    @property
    def cmd(self) -> list[str]:
        return ["remoteappadmin" if self.user.admin else "remoteappmanager"]

    def get_args(self) -> list[str]:
        own = {
            "user": self.user.name,
            "base-urlpath": self.server.base_url,
            "config-file": self.config_file_path,
        }
        return [*super().get_args(), *(f"--{name}={value}" for name, value in own.items())]


class SystemUserSpawner(_Spawner):
    """The process is the user's own, in his home."""


class VirtualUserSpawner(_Spawner):
    """The process is the hub's account's, for users who have none on the machine."""

    workspace_dir = Unicode(config=True)

    def make_preexec_fn(self, _: str) -> Optional[Callable[[], None]]:
        return None  # who the hub is

    def user_env(self, env: dict[str, Any]) -> dict[str, Any]:
        home = Path(self.workspace_dir, self.user.escaped_name)
        home.mkdir(exist_ok=True)
        return {**env, "USER": self.user.name, "HOME": os.fspath(home)}

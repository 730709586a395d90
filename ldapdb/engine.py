"""The local Docker engine: which images it has, and what their labels say.

The SDK is an extra, and slow to import: nothing else may import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ldapdb.errors import LDAPDBError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Engine", "Labels"]

_INSTALL = "install: pip install '/path/to/ldapdb[docker]'"


@dataclass(frozen=True)
class Labels:
    """What the host's pages say of an image (remoteappmanager/docker/docker_labels.py).

    Parameters
    ----------
    ui_name : str
        Its name for people.
    description : str
        What it is.
    icon_128 : str
        Its picture, 128 pixels wide, in base64.
    """

    ui_name: str = ""
    description: str = ""
    icon_128: str = ""


_PREFIX = "eu.simphony-project.docker."


class Engine:
    """The Docker engine that the environment names, or the local one.

    Use it as a context manager.

    Raises
    ------
    LDAPDBError
        If the SDK is not installed or the engine does not answer.
    """

    def __init__(self) -> None:
        try:
            import docker  # noqa: PLC0415 -- an extra, and slow to import
        except ImportError:
            raise LDAPDBError(f"to ask Docker for images, {_INSTALL}") from None
        self._docker: Any = docker
        try:
            self._client: Any = docker.from_env()
            self._client.ping()
        except (docker.errors.DockerException, OSError) as error:
            raise LDAPDBError(
                f"the local Docker engine cannot be asked for images ({error}); start it, or see "
                "DOCKER_HOST"
            ) from error

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connection."""
        self._client.close()

    def has(self, image: str) -> bool:
        """Tell whether the engine has an image."""
        return self.labels(image) is not None

    def labels(self, image: str) -> Optional[Labels]:
        """Return what an image's labels say; None if the engine does not have it."""
        try:
            found = self._client.images.get(image)
        except self._docker.errors.ImageNotFound:
            return None
        except (self._docker.errors.DockerException, OSError) as error:
            raise LDAPDBError(
                f"the local Docker engine cannot be asked for {image!r}: {error}"
            ) from error
        labels = found.labels or {}
        return Labels(
            **{
                name: labels.get(_PREFIX + name, "")
                for name in ("ui_name", "description", "icon_128")
            }
        )

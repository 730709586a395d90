"""One server of each kind for the whole session, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass

from support.contents import Contents
from support.servers import Column, Server, server_class

# From so many entries on, a new server takes less time than clearing the old one.
_CROWD = 500


@dataclass(frozen=True)
class Shared:
    """A running server and what is in it."""

    server: Server
    contents: Contents

    def stop(self) -> None:
        self.contents.close()
        self.server.stop()


class Servers:
    """The servers of a session, each started when a test first asks for it."""

    def __init__(self) -> None:
        self._running: dict[Column, Shared] = {}
        self._failed: dict[Column, BaseException] = {}

    def get(self, column: Column) -> Shared:
        """Return the server of a column; one that fails to start is tried once."""
        if column in self._failed:
            raise RuntimeError(f"{column} did not start (see above)") from self._failed[column]
        if column not in self._running:
            try:
                self._running[column] = _start(column)
            except BaseException as error:
                self._failed[column] = error
                raise
        return self._running[column]

    def clear(self, column: Column) -> None:
        """Remove what a test has added."""
        shared = self._running[column]
        if shared.contents.come() > _CROWD:
            del self._running[column]
            shared.stop()
        else:
            shared.contents.sweep()

    def stop(self) -> None:
        """Stop all."""
        for shared in self._running.values():
            shared.stop()
        self._running.clear()


def _start(column: Column) -> Shared:
    server: Server = server_class(column.vendor)(schema=not column.stock)
    server.start()
    try:
        return Shared(server, Contents(server))
    except BaseException:
        server.stop()
        raise

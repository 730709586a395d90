"""A server of any vendor for one test alone, set up as that test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support import DIRECTORIES, Directory
from support.contents import Contents
from support.servers import server_class

__all__ = ["alone"]


@contextmanager
def alone(vendor: str, **options: Any) -> Iterator[Directory]:
    """Start a server, with the tree and nobody in it.

    Parameters
    ----------
    options
        As the server's class takes them.
    """
    with server_class(vendor)(**options) as server:
        contents = Contents(server)
        directory = DIRECTORIES[vendor](server, contents)
        try:
            directory.add_tree()
            yield directory
        finally:
            directory.close()
            contents.close()

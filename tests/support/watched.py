"""Servers that tell of their changes, each for one module of tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support import DIRECTORIES, Directory
from support.contents import Contents
from support.servers import Column, OpenLDAP, server_class

__all__ = ["SyncingOpenLDAP", "watched"]

# What 389 DS needs for content synchronisation.
_PLUGINS = ("Retro Changelog Plugin", "Content Synchronization")


@dataclass
class SyncingOpenLDAP(OpenLDAP):
    """A slapd with the overlay syncprov."""

    sample: bool = False

    def _configuration(self) -> str:
        text = super()._configuration()
        text = text.replace(
            "olcModuleLoad: back_mdb\n", "olcModuleLoad: back_mdb\nolcModuleLoad: syncprov\n"
        )
        return (
            f"{text.rstrip()}\n\ndn: olcOverlay=syncprov,olcDatabase={{1}}mdb,cn=config\n"
            "objectClass: olcOverlayConfig\nobjectClass: olcSyncProvConfig\nolcOverlay: syncprov\n"
        )


def _server(column: Column) -> Any:
    if column.vendor == "openldap":
        return SyncingOpenLDAP(schema=not column.stock)
    kind = server_class(column.vendor)
    if column.vendor == "389ds":
        return kind(schema=not column.stock, plugins=_PLUGINS)
    return kind(schema=not column.stock)


@contextmanager
def watched(column: Column) -> Iterator[Directory]:
    """Start a server that tells of its changes, with the tree and nobody in it."""
    with _server(column) as server:
        contents = Contents(server)
        directory = DIRECTORIES[column.vendor](server, contents, stock=column.stock)
        try:
            directory.add_tree()
            yield directory
        finally:
            directory.close()
            contents.close()

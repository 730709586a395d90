"""Servers that tell of their changes, each for one module of tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from support import DIRECTORIES, Directory
from support.contents import Contents
from support.servers import Column, OpenLDAP, server_class

__all__ = ["SYNCING", "SyncingOpenLDAP", "directory", "running", "server_that_tells", "watched"]

SYNCING = pytest.mark.live(
    *("openldap", "389ds"), reason="Active Directory is asked, and does not tell"
)

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


def _ds389(**settings: Any) -> Any:
    from servers import ds389

    class Syncing(ds389.DS389):
        """389 DS that remembers of which entry each change was, and so can take it up again."""

        def _configure(self) -> None:
            super()._configure()
            if not self.plugins:  # what is kept for every 389 DS is being made
                return
            path = self.folder / "etc" / "slapd-localhost" / "dse.ldif"
            changes = {
                "cn=Retro Changelog Plugin,cn=plugins,cn=config": {
                    "nsslapd-attribute": "nsuniqueid:targetUniqueId"
                }
            }
            path.write_text(
                ds389._changed(path.read_text(encoding="utf-8"), changes), encoding="utf-8"
            )

    return Syncing(plugins=_PLUGINS, **settings)


def server_that_tells(column: Column, *, changelog: bool = True) -> Any:
    """Make a server that tells of its changes."""
    if column.vendor == "openldap":
        return SyncingOpenLDAP(schema=not column.stock)
    if column.vendor == "389ds" and changelog:
        return _ds389(schema=not column.stock)
    if column.vendor == "389ds":
        return server_class("389ds")(plugins=_PLUGINS)
    return server_class(column.vendor)(schema=not column.stock)


@contextmanager
def watched(column: Column, *, changelog: bool = True) -> Iterator[Directory]:
    """Start a server that tells of its changes, with the tree and nobody in it.

    Parameters
    ----------
    changelog : bool
        Whether 389 DS can take it up again.
    """
    with server_that_tells(column, changelog=changelog) as server:
        contents = Contents(server)
        directory = DIRECTORIES[column.vendor](server, contents, stock=column.stock)
        try:
            directory.add_tree()
            yield directory
        finally:
            directory.close()
            contents.close()


@pytest.fixture(scope="session")
def running() -> Iterator[Callable[[str], Directory]]:
    """Servers that tell of their changes, each started when it is first needed."""
    with ExitStack() as stack:
        known: dict[str, Directory] = {}

        def get(vendor: str) -> Directory:
            if vendor not in known:
                known[vendor] = stack.enter_context(watched(Column(vendor)))
            return known[vendor]

        yield get


@pytest.fixture
def directory(
    request: pytest.FixtureRequest, running: Callable[[str], Directory]
) -> Iterator[Directory]:
    """Such a server, with the base tree and nobody in it."""
    column: Column = request.param
    shared = running(column.vendor)
    contents = Contents(shared.server)
    mine = DIRECTORIES[column.vendor](shared.server, contents, stock=column.stock)
    mine.add_tree()
    try:
        yield mine
    finally:
        mine.close()
        contents.close()
        again = Contents(shared.server)  # it may have been killed meanwhile
        again._kept = contents._kept
        again.sweep()
        again.close()

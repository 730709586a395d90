"""A cluster under a test: each of its servers as ldapdb sees it, and when they have the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import trustme

from compose.stack import Stack
from ldapdb import LDAPDatabase
from support.waiting import eventually

__all__ = ["COMPANY", "PEOPLE", "PORTS", "everywhere", "holders", "in_step", "opened"]

COMPANY = trustme.CA()
"""The authority that the cluster's certificates come from."""
PORTS = {
    "provider1": "PROVIDER1_PORT",
    "provider2": "PROVIDER2_PORT",
    "consumer": "CONSUMER_PORT",
}
PEOPLE = ("alice", "bob", "carol", "ines")
_IN_STEP_SECONDS = 30.0


@contextmanager
def opened(stack: Stack, folder: Path) -> Iterator[dict[str, Any]]:
    """Open each server, by its name, through its published port."""
    ca_file = stack.save_ca(folder / "ca.pem")
    with ExitStack() as left:
        yield {
            server: left.enter_context(LDAPDatabase(**stack.database_kwargs(port, ca_file)))
            for server, port in PORTS.items()
        }


def holders(database: Any, image: str) -> set[str]:
    """Return who may start an image, as one server has it."""
    users = [database.get_user(user_name=name) for name in PEOPLE]
    found = {user.name: database.get_accounting_for_user(user) for user in users}
    return {
        name
        for name, each in found.items()
        if image in [accounting.application.image for accounting in each]
    }


def everywhere(at: Mapping[str, Any], image: str, people: set[str]) -> bool:
    """Wait until all servers have the same holders of an image; False if they do not in time."""
    return eventually(
        lambda: all(holders(each, image) == people for each in at.values()), _IN_STEP_SECONDS
    )


def in_step(at: Mapping[str, Any], images: set[str]) -> bool:
    """Wait until all servers have exactly these applications; False if they do not in time."""
    return eventually(
        lambda: all(
            {app.image for app in each.list_applications()} == images for each in at.values()
        ),
        _IN_STEP_SECONDS,
    )

"""A group of commands that imports each when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Optional

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """Commands, by where they are.

    Parameters
    ----------
    places : mapping of str to str
        Of each command's name, its module and its name there, such as ``a.b:c``.
    """

    def __init__(self, *args: Any, places: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._places = dict(places)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of all commands."""
        return sorted({*super().list_commands(ctx), *self._places})

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        """Return a command; import it, if need be."""
        place = self._places.get(cmd_name)
        if place is not None and cmd_name not in self.commands:
            module, _, name = place.partition(":")
            command: click.Command = getattr(importlib.import_module(module), name)
            self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)

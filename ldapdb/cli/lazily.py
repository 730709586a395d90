"""Groups of commands: one that suggests the nearest, one that imports each when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import click

__all__ = ["LazyGroup", "NoSuchCommand", "SuggestingGroup", "did_you_mean"]


def did_you_mean(names: Sequence[str]) -> str:
    """Ask whether one of some names was meant."""
    return f"did you mean {' or '.join(map(repr, sorted(names)))}?"


class NoSuchCommand(click.UsageError):
    """A command that there is not, and the nearest that there are.

    Parameters
    ----------
    name : str
        What was typed.
    possibilities : list of str
        The nearest, as click names them for options.
    ctx : click.Context
        Of the group.
    """

    def __init__(self, name: str, possibilities: list[str], ctx: click.Context) -> None:
        super().__init__(f"no such command {name!r}", ctx)
        self.possibilities = possibilities


class SuggestingGroup(click.Group):
    """Commands, of which the nearest is suggested to whom mistypes one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[Optional[str], Optional[click.Command], list[str]]:
        """Find the command that the first argument names.

        Raises
        ------
        NoSuchCommand
            If there is none. Before 8.4 click names no nearest, later those alone that are
            imported already.
        """
        name = args[0]
        unknown = self.get_command(ctx, name) is None and not name.startswith("-")
        if unknown and not ctx.resilient_parsing:
            near = self._further_down(ctx, name)
            near = near or difflib.get_close_matches(name, self.list_commands(ctx))
            raise NoSuchCommand(name, near, ctx)
        return super().resolve_command(ctx, args)

    def _further_down(self, ctx: click.Context, name: str) -> list[str]:
        """List the commands of the same name in the groups in this one."""
        groups = ((each, self.get_command(ctx, each)) for each in self.list_commands(ctx))
        return [
            f"{each} {name}"
            for each, group in groups
            if isinstance(group, click.Group) and group.get_command(ctx, name) is not None
        ]


class LazyGroup(SuggestingGroup):
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

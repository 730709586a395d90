"""How the command line prints: JSON and CSV for programs, tables for people, text in between."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import click

from ldapdb.model import Accounting, Policy, Window
from ldapdb.syntaxes import said_time
from ldapdb.wellformed import escaped

if TYPE_CHECKING:
    from rich.tree import Tree

__all__ = [
    "HIDDEN",
    "Form",
    "Node",
    "accounting_fields",
    "counted",
    "in_words",
    "policy_fields",
    "print_json",
    "print_table",
    "print_tree",
    "when",
    "window_fields",
]

# What is printed in the place of a secret.
HIDDEN = "(not shown)"


@dataclass(frozen=True)
class Form:
    """The form that was asked for where there is a table to print.

    Parameters
    ----------
    as_json : bool
        As JSON, by :func:`print_json`.
    as_csv : bool
        As CSV.
    header : bool
        With a line of the columns' names.
    """

    as_json: bool = False
    as_csv: bool = False
    header: bool = True


@dataclass(frozen=True)
class Node:
    """A line, and those below it.

    Parameters
    ----------
    text : str
        What it says.
    below : sequence of Node
        What explains it.
    """

    text: str
    below: Sequence[Node] = ()


def counted(number: int, one: str, many: str = "") -> str:
    """Say how many there are of something, as in "1 user" and "2 entries"."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def print_json(value: Any) -> None:
    """Print JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    form: Form = Form(),
) -> None:
    """Print a table: drawn for a terminal, tab-separated or as CSV for a program.

    Parameters
    ----------
    columns : sequence of str
        Their names.
    rows : sequence of sequence of str
        The cells, as many as columns in each.
    form : Form
        What was asked for; JSON is the caller's.
    """
    lines = [columns, *rows] if form.header else rows
    if form.as_csv:
        click.echo(_as_csv(lines), nl=False)
        return
    if not form.header or not sys.stdout.isatty():
        for row in lines:
            click.echo("\t".join(row))
        return
    # A fifth of the time that a command takes to begin; a program never needs it.
    from rich import box  # noqa: PLC0415 -- as said
    from rich.console import Console  # noqa: PLC0415 -- as said
    from rich.table import Column, Table  # noqa: PLC0415 -- as said
    from rich.text import Text  # noqa: PLC0415 -- as said

    # Of two that are cut off, nobody can tell which is which.
    table = Table(*(Column(each, overflow="fold") for each in columns), box=box.SIMPLE)
    for row in rows:
        table.add_row(*map(Text, row))  # what is in brackets in a name is no style
    Console().print(table)


def _as_csv(lines: Iterable[Sequence[str]]) -> str:
    """Write RFC 4180: lines end with CR LF, what needs quotes has them.

    Cells are as the directory has them. A quote in front of ``=`` would keep spreadsheets from
    taking a cell for a formula, and programs from reading what is there.
    """
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue()


def print_tree(title: str, nodes: Iterable[Node], *, style: str = "") -> None:
    """Print a tree: drawn for a terminal, by two spaces a level for a program.

    Parameters
    ----------
    title : str
        The first line.
    nodes : iterable of Node
        What stands below it.
    style : str
        How rich draws the title, such as ``red``; without colour where NO_COLOR is set.
    """
    if not sys.stdout.isatty():
        for line in _indented(Node(title, tuple(nodes)), 0):
            click.echo(line)
        return
    from rich.console import Console  # noqa: PLC0415 -- as for tables

    Console().print(_drawn(Node(title, tuple(nodes)), style))


def _indented(node: Node, depth: int) -> Iterator[str]:
    yield "  " * depth + escaped(node.text)
    for each in node.below:
        yield from _indented(each, depth + 1)


def _drawn(node: Node, style: str = "") -> Tree:
    from rich.text import Text  # noqa: PLC0415 -- as for tables
    from rich.tree import Tree  # noqa: PLC0415 -- as for tables

    tree = Tree(Text(escaped(node.text), style))
    tree.children += [_drawn(each) for each in node.below]
    return tree


def policy_fields(policy: Policy, *, licences: bool = False) -> dict[str, Any]:
    """Give a policy the form that JSON output has; its licence only where that is asked for."""
    return {
        "app_license": _licence(policy, shown=licences),
        "allow_home": policy.allow_home,
        "allow_view": policy.allow_view,
        "allow_common": policy.allow_common,
        "volume_source": policy.volume_source,
        "volume_target": policy.volume_target,
        "volume_mode": policy.volume_mode,
        "allow_startup_data": policy.allow_startup_data,
    }


def in_words(policy: Policy, *, licences: bool = False) -> str:
    """Give a policy the form that tables have; its licence only where that is asked for."""
    parts = [
        word
        for word, said in (
            ("home", policy.allow_home),
            ("view", policy.allow_view),
            ("startup data", policy.allow_startup_data),
            (f"volume {policy.volume}", policy.volume),
            (f"licence {_licence(policy, shown=licences)}", policy.app_license),
        )
        if said
    ]
    return ", ".join(parts) or "-"


def _licence(policy: Policy, *, shown: bool) -> Optional[str]:
    """Say that there is a licence, or which: it would end up in logs and on screens."""
    return policy.app_license if shown or not policy.app_license else HIDDEN


def accounting_fields(
    accountings: Sequence[Accounting], *, licences: bool = False
) -> list[dict[str, Any]]:
    """Give what a user may start the form that JSON output has."""
    return [
        {
            "id": each.id,
            "image": each.application.image,
            "policy": policy_fields(each.application_policy, licences=licences),
        }
        for each in accountings
    ]


def when(window: Window) -> str:
    """Say when a grant holds."""
    begin = "" if window.not_before is None else f"from {said_time(window.not_before)}"
    end = "" if window.not_after is None else f"until {said_time(window.not_after)}"
    return " ".join(filter(None, (begin, end))) or "without a limit of time"


def window_fields(window: Window) -> dict[str, str]:
    """Give the limits of a time, as far as there are any, the form that JSON output has."""
    limits = {"not_before": window.not_before, "not_after": window.not_after}
    return {name: _moment(moment) for name, moment in limits.items() if moment is not None}


def _moment(moment: float) -> str:
    return said_time(moment).replace(" UTC", "Z").replace(" ", "T")

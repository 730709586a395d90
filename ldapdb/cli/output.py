"""How the command line prints: JSON for programs, tables for people, text in between."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ldapdb.model import Accounting, Policy
from ldapdb.store.reading import one_line

__all__ = [
    "Node",
    "accounting_fields",
    "in_words",
    "policy_fields",
    "print_json",
    "print_table",
    "print_tree",
]


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


def print_json(value: Any) -> None:
    """Print JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, plain: bool) -> None:
    """Print a table: drawn for a terminal, tab-separated for a program."""
    if plain or not sys.stdout.isatty():
        for row in rows if plain else [columns, *rows]:
            click.echo("\t".join(row))
        return
    table = Table(*columns, box=box.SIMPLE)
    for row in rows:
        table.add_row(*map(Text, row))  # what is in brackets in a name is no style
    Console().print(table)


def print_tree(title: str, nodes: Iterable[Node]) -> None:
    """Print a tree: drawn for a terminal, by two spaces a level for a program."""
    if not sys.stdout.isatty():
        for line in _indented(Node(title, tuple(nodes)), 0):
            click.echo(line)
        return
    Console().print(_drawn(Node(title, tuple(nodes))))


def _indented(node: Node, depth: int) -> Iterator[str]:
    yield "  " * depth + one_line(node.text)
    for each in node.below:
        yield from _indented(each, depth + 1)


def _drawn(node: Node) -> Tree:
    tree = Tree(Text(one_line(node.text)))
    tree.children += [_drawn(each) for each in node.below]
    return tree


def policy_fields(policy: Policy) -> dict[str, Any]:
    """Give a policy the form that JSON output has."""
    return {
        "app_license": policy.app_license,
        "allow_home": policy.allow_home,
        "allow_view": policy.allow_view,
        "allow_common": policy.allow_common,
        "volume_source": policy.volume_source,
        "volume_target": policy.volume_target,
        "volume_mode": policy.volume_mode,
        "allow_startup_data": policy.allow_startup_data,
    }


def in_words(policy: Policy) -> str:
    """Give a policy the form that tables have."""
    parts = [
        word
        for word, said in (
            ("home", policy.allow_home),
            ("view", policy.allow_view),
            ("startup data", policy.allow_startup_data),
            (f"volume {policy.volume}", policy.volume),
            (f"licence {policy.app_license}", policy.app_license),
        )
        if said
    ]
    return ", ".join(parts) or "-"


def accounting_fields(accountings: Sequence[Accounting]) -> list[dict[str, Any]]:
    """Give what a user may start the form that JSON output has."""
    return [
        {
            "id": each.id,
            "image": each.application.image,
            "policy": policy_fields(each.application_policy),
        }
        for each in accountings
    ]

"""How the command line prints: JSON for programs, tables for people, text in between."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from ldapdb.model import Accounting, Policy

__all__ = ["accounting_fields", "in_words", "policy_fields", "print_json", "print_table"]


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
        table.add_row(*row)
    Console().print(table)


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

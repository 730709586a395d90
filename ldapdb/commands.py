"""What all commands share: how they get their store, and how their help ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import click

from ldapdb.settings import load
from ldapdb.store import Store

__all__ = ["example", "opened_store", "with_json"]


def example(text: str) -> str:
    """Write the last line of a command's help."""
    return f"Example: {text}"


def with_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--json``."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
    return option(command)


@contextlib.contextmanager
def opened_store(**settings: Any) -> Iterator[Store]:
    """Open the store that the settings name, for one command; what is given goes first."""
    config_file: Optional[Path] = click.get_current_context().find_root().obj
    store = Store(load(config_file=config_file, **settings))
    try:
        yield store
    finally:
        store.close()

"""The commands that come first: ``init``, ``settings`` and ``demo``."""

from __future__ import annotations

import json
from typing import Any

import click

from ldapdb.cli.completion import complete_settings
from ldapdb.cli.options import example, with_forms, with_json
from ldapdb.cli.output import Form, counted, print_json, print_table
from ldapdb.cli.plans import Plan, with_plan, writing
from ldapdb.settings import Settings
from ldapdb.settings.sources import refuse_unknown

__all__ = ["demo", "init", "list_settings"]


@click.command(epilog=example("ldapdb init"))
@with_json
@with_plan
def init(*, plan: Plan, as_json: bool) -> None:
    """Make the entries that applications and grants are kept below.

    The schema must be loaded first, by the directory's own tools; see ldif/README.md.
    """
    with writing(plan) as store:
        made = [str(dn) for dn in store.create_tree()]
    if as_json:
        print_json({"created": made})
        return
    for dn in made:
        click.echo(dn)
    click.echo(
        f"created {counted(len(made), 'entry', 'entries')}" if made else "all is there already",
        err=True,
    )


@click.command("settings", epilog=example("ldapdb settings"))
@click.argument("names", nargs=-1, metavar="[SETTING]...", shell_complete=complete_settings)
@with_forms
def list_settings(*, names: tuple[str, ...], form: Form) -> None:
    """List the settings with their defaults; without names, all."""
    refuse_unknown(Settings, names, "command line")
    rows = [
        (
            name,
            "required" if field.is_required() else _as_toml(field.default),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
        if not names or name in names
    ]
    if form.as_json:
        print_json([dict(zip(("name", "default", "description"), row)) for row in rows])
    else:
        print_table(("SETTING", "DEFAULT", "WHAT IT IS"), rows, form=form)


def _as_toml(default: Any) -> str:
    """Write a default as it would stand in a file; nothing where there is none."""
    return "" if default in (None, ()) else json.dumps(default)


@click.command(epilog=example("ldapdb demo --keep"))
@click.option("--keep", is_flag=True, help="Leave the directory running until Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="With --keep: print where it is, and nothing else."
)
def demo(*, keep: bool, as_json: bool) -> None:
    """Start a private directory with sample data and show ldapdb at work on it."""
    from ldapdb.demo import play  # noqa: PLC0415 -- no other command needs it

    if as_json and not keep:
        raise click.UsageError("--json goes with --keep")
    play(keep=keep, as_json=as_json, say=click.echo)

"""The command ``ldapdb app rename``: an application moves to another image."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Optional

import click

from ldapdb.cli.completion import complete_images
from ldapdb.cli.options import example, with_json
from ldapdb.cli.output import print_json
from ldapdb.cli.plans import Plan, with_plan, writing

if TYPE_CHECKING:
    from ldapdb.store import Store

__all__ = ["rename"]


@click.command(
    "rename", epilog=example("ldapdb app rename simphony/mayavi:0.5 simphony/mayavi:0.6")
)
@click.argument("old", shell_complete=complete_images)
@click.argument("new")
@click.option(
    "--settle",
    "settle_seconds",
    type=click.IntRange(0, 3600),
    metavar="SECONDS",
    help="How long to look for calls of others that were under way; by default "
    "operation_timeout_seconds, twice.",
)
@with_json
@with_plan
def rename(
    *, old: str, new: str, settle_seconds: Optional[float], plan: Plan, as_json: bool
) -> None:
    """Let an application have another image; its grants follow.

    Prints the grants that were changed. Members, policies and times stay, mapping ids change with
    the image: sessions that run are not stopped, and the host does not list them any more.
    Whoever has the old image has the new one before he loses the old one. If it is broken off,
    the same command finishes it.
    """
    if plan is not Plan.NONE:
        settle_seconds = 0
    with writing(plan) as store:
        default = store.settings.operation_timeout_seconds
        wait = default if settle_seconds is None else settle_seconds
        once = iter([f"waiting for calls under way to end, twice {wait:g} s (--settle {wait:g})"])

        def pause(seconds: float) -> None:
            for words in once:
                click.echo(words, err=True)
            time.sleep(seconds)

        try:
            renamed = store.rename_application(old, new, settle_seconds=wait, pause=pause)
        except KeyboardInterrupt:
            _tell_broken_off(store, old, new)
            raise
    if as_json:
        print_json({"old": old, "new": new, "grants": list(map(str, renamed.grants))})
        return
    for dn in renamed.grants:
        click.echo(dn)


def _tell_broken_off(store: Store, old: str, new: str) -> None:
    """Say how far a rename has come, and how it goes on."""
    images = {each.image for each in store.list_applications()}
    far = f"{new} is registered, and some grants may name {old} still"
    if old in images:
        far = f"{old} is registered still, and some grants may name {new} too"
    click.echo(
        f"broken off: {far}; `ldapdb app rename {shlex.join([old, new])}` finishes it", err=True
    )

"""The command ``ldapdb watch``: who gains and who loses what, as it happens."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from ldapdb.cli.options import example, opened_store, with_json
from ldapdb.cli.output import policy_fields
from ldapdb.settings import environment_for_others

if TYPE_CHECKING:
    from ldapdb.store.rights import RightChange

__all__ = ["watch"]

# With changes seen as they happen, what has not changed is not read again for an hour, and
# there is room for everybody.
# Others wait for the one that is stopped.
_PROGRAM_SECONDS = 60
_SETTINGS = {"watch": True, "cache_ttl_seconds": 3600, "cache_max_entries": 1_000_000}


@click.command(epilog=example("ldapdb watch --exec /usr/local/bin/stop-container"))
@click.option(
    "--exec",
    "program",
    type=click.Path(exists=True, dir_okay=False, executable=True, path_type=Path),
    help="Run a program for each change, one after the other, with the arguments granted or "
    "revoked, user, image and mapping id, and the change as JSON on its standard input. It has "
    "a minute, sees no password of ours, and prints to the standard error.",
)
@with_json
def watch(*, program: Optional[Path], as_json: bool) -> None:
    """Print who gains and who loses which application, until it is interrupted.

    One line for each change; with --json, one object a line. A licence is never printed.
    """
    from ldapdb.store.rights import follow  # noqa: PLC0415 -- no other command needs it

    with opened_store(**_SETTINGS) as store:
        store.verify()
        changes = follow(store)
        next(changes)
        click.echo("watching", err=True)
        for several in changes:
            for change in several:
                click.echo(json.dumps(_fields(change)) if as_json else _line(change))
                if program is not None:
                    _run(program, change)


def _run(program: Path, change: RightChange) -> None:
    fields = _fields(change)
    arguments = [fields["change"], change.user.name, change.image, change.mapping_id]
    try:
        done = subprocess.run(  # noqa: S603 -- the program that the administrator named
            [str(program.absolute()), *arguments],
            input=json.dumps(fields),
            stdout=2,  # what is printed here may be read as JSON
            env=environment_for_others(),
            text=True,
            timeout=_PROGRAM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        click.echo(f"ldapdb: {program} cannot be run: {error}", err=True)
        return
    if done.returncode:
        said = " ".join(arguments)
        click.echo(f"ldapdb: {program} ended with {done.returncode} ({said})", err=True)


def _line(change: RightChange) -> str:
    fields = _fields(change)
    grants = "; ".join(fields["grants"])
    return f"{fields['at']} {fields['change']} {change.user.name} {change.image} ({grants})"


def _fields(change: RightChange) -> dict[str, Any]:
    """Give a change the form that JSON output has."""
    at = datetime.fromtimestamp(int(change.at), tz=timezone.utc)
    policy = policy_fields(change.policy)
    del policy["app_license"]  # it would end up in logs
    return {
        "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "change": "granted" if change.gained else "revoked",
        "user": change.user.name,
        "user_id": change.user.id,
        "image": change.image,
        "policy": policy,
        "id": change.mapping_id,
        "grants": [str(dn) for dn in change.grants],
    }

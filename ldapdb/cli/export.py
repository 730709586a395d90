"""The command ``ldapdb export``: what is in effect, for the host's other backend or for LDAP."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import IO

import click

from ldapdb.cli.options import example, opened_store

__all__ = ["export"]


@click.command(epilog=example("ldapdb export --to csv > rights.csv"))
@click.option(
    "--to",
    "form",
    type=click.Choice(["csv", "json", "ldif"]),
    help="The host's CSV (the default), JSON, or the entries as LDIF.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --to json.")
@click.option(
    "--release",
    type=click.Choice(["2.0", "2.1", "2.2"]),
    help="Which host's CSV columns; 2.2's by default.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    help="How long the reading may take, in seconds.",
)
def export(*, form: str, as_json: bool, release: str, timeout: float) -> None:
    """Print what everybody may start now, or the entries that say so.

    CSV and JSON have a row for each user, image and policy, whatever groups it comes through;
    the CSV can be imported again, by the host or by ldapdb. LDIF has the entries of
    applications and grants as they are, for ldapadd. Licence keys are in all of them.
    """
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --to {form} are two forms; choose one")
    form = "json" if as_json else form or "csv"
    if release and form != "csv":
        raise click.UsageError("--release is for --to csv")
    if form == "ldif":
        _print_ldif(timeout)
    else:
        _print_rights(form, timeout, before_2_2=release in ("2.0", "2.1"))


def _print_rights(form: str, timeout: float, *, before_2_2: bool) -> None:
    from ldapdb.migrate import exporting  # noqa: PLC0415 -- no other command needs it

    with opened_store() as store:
        review = store.review(timeout)
    with _standard_output() as out:
        if form == "csv":
            header = exporting.BEFORE_2_2 if before_2_2 else exporting.HEADER
            count = exporting.write_csv(review, out, header)
        else:
            count = exporting.write_json(review, out)
    for loss in exporting.losses(review, before_2_2=before_2_2) if form == "csv" else ():
        click.echo(loss, err=True)
    click.echo(f"{count} rights of {len(review.people)} users", err=True)


def _print_ldif(timeout: float) -> None:
    from ldapdb.ldif_text import write  # noqa: PLC0415 -- no other command needs it
    from ldapdb.migrate.exporting import read_entries  # noqa: PLC0415 -- as above

    with opened_store(operation_timeout_seconds=timeout) as store:
        entries = read_entries(store)
        base = store.settings.base_dn
    with _standard_output() as out:
        out.write(write(entries, f"ldapdb export, of {base}"))
    click.echo(f"{len(entries)} entries", err=True)


def _standard_output() -> AbstractContextManager[IO[str]]:
    """Write UTF-8, which every host reads, whatever this terminal does."""
    return open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False)

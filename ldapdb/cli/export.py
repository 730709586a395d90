"""The command ``ldapdb export``: what is in effect, for the host's other backend or for LDAP."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ldapdb.cli.files import writing_to
from ldapdb.cli.options import example, one_form, opened_store, with_output
from ldapdb.cli.output import counted

__all__ = ["export"]


@click.command(epilog=example("ldapdb export --to csv --output rights.csv"))
@click.option(
    "--to",
    "--format",
    "form",
    type=click.Choice(["csv", "json", "ldif"]),
    help="The host's CSV (the default), JSON, or the entries as LDIF.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --to json.")
@click.option("--csv", "as_csv", is_flag=True, help="The same as --to csv.")
@click.option(
    "--release",
    type=click.Choice(["2.0", "2.1", "2.2"]),
    help="Which host's CSV columns; 2.2's by default.",
)
@with_output
def export(
    *,
    form: Optional[str],
    as_json: bool,
    as_csv: bool,
    release: Optional[str],
    output: Optional[Path],
    timeout: int,
) -> None:
    """Print what everybody may start now, or the entries that say so.

    CSV and JSON have a row for each user, image and policy, whatever groups it comes through;
    what they cannot tell is said. The CSV can be imported again, by the host or by ldapdb. LDIF
    has the entries of applications and grants as they are, for ldapadd. Licence keys are in all
    of them.
    """
    form = one_form(form, as_json=as_json, as_csv=as_csv) or "csv"
    if release and form != "csv":
        raise click.UsageError("--release is for --to csv")
    if form == "ldif":
        _write_entries(output, timeout)
    else:
        _write_rights(form, output, timeout, before_2_2=release in ("2.0", "2.1"))


def _write_rights(form: str, output: Optional[Path], timeout: int, *, before_2_2: bool) -> None:
    from ldapdb.migrate import exporting  # noqa: PLC0415 -- no other command needs it

    with opened_store(operation_timeout_seconds=timeout) as store:
        review = store.review(timeout)
    header = None
    with writing_to(output) as out:
        if form == "csv":
            header = exporting.BEFORE_2_2 if before_2_2 else exporting.HEADER
            count = exporting.write_csv(review, out, header)
        else:
            count = exporting.write_json(review, out)
    for loss in exporting.losses(review, header):
        click.echo(loss, err=True)
    rights, users = counted(count, "right"), counted(len(review.people), "user")
    click.echo(f"{rights} of {users}", err=True)


def _write_entries(output: Optional[Path], timeout: int) -> None:
    from ldapdb.migrate.exporting import read_entries  # noqa: PLC0415 -- as above
    from ldapdb.protocol.ldif import write  # noqa: PLC0415 -- no other command needs it

    with opened_store(operation_timeout_seconds=timeout) as store:
        entries = read_entries(store)
        base = store.settings.base_dn
    with writing_to(output) as out:
        out.write(write(entries, f"ldapdb export, of {base}"))
    click.echo(counted(len(entries), "entry", "entries"), err=True)

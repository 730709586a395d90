"""``ldapdb report``: who may start what, for those who review access."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Optional

import click

from ldapdb import report as reports
from ldapdb.cli.files import writing_to
from ldapdb.cli.options import example, one_form, opened_store, with_output
from ldapdb.cli.output import counted
from ldapdb.errors import InvalidValue, LDAPDBError

__all__ = ["report"]

_FORMS = ("html", "csv", "json")


@click.command(epilog=example("ldapdb report --since last.json --output review.html"))
@click.option(
    "--format",
    "--to",
    "form",
    type=click.Choice(_FORMS),
    help="By default that of --output, or html.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--csv", "as_csv", is_flag=True, help="The same as --format csv.")
@click.option(
    "--since",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Say what has changed since a review that was written as JSON.",
)
@with_output
def report(
    *,
    form: Optional[str],
    as_json: bool,
    as_csv: bool,
    output: Optional[Path],
    since: Optional[Path],
    timeout: int,
) -> None:
    """Write an access review: every user's rights, by way of what, and until when.

    It also says what could not be read, and so is not counted. The HTML file needs nothing
    else; the CSV is for spreadsheets; the JSON is what --since reads the next time.
    Licence keys are in none of them.
    """
    form = one_form(form, as_json=as_json, as_csv=as_csv) or _form_of(output)
    if form == "html" and output is None and sys.stdout.isatty():
        raise click.UsageError(
            "the page is nothing for a terminal; write it by --output review.html, or choose "
            "--format csv"
        )
    before = None if since is None else _read(since)  # before the directory is asked at all
    with opened_store(operation_timeout_seconds=timeout) as store:
        found = store.review(timeout)
    document = reports.write(found)
    if before is not None:
        document = reports.with_changes(before, document)
    text = _as(form, document)
    with writing_to(output) as out:
        out.write(text)
    users, applications = counted(len(found.people), "user"), len(found.applications)
    remarks = counted(len(found.reasons), "remark")
    what = f"{users}, {counted(applications, 'application')}, {remarks} on what gives nothing"
    click.echo(what, err=True)


def _form_of(output: Optional[Path]) -> str:
    suffix = output.suffix.lower().lstrip(".") if output else ""
    if suffix and suffix not in _FORMS:
        raise click.UsageError(
            f"{output} ends like none of the forms {', '.join(_FORMS)}; name one by --format"
        )
    return suffix or "html"


def _as(form: str, document: reports.Document) -> str:
    if form == "csv":
        return reports.table(document)
    if form == "json":
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    try:
        return reports.page(document)
    except ImportError as error:
        raise LDAPDBError(
            f"the page needs the package {error.name}: pip install '/path/to/ldapdb[cli]', or "
            "use --format csv"
        ) from error


def _read(file: Path) -> reports.Document:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidValue(f"cannot read {file}: {error}") from error
    return reports.read(text, str(file))

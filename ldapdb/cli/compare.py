"""The command ``ldapdb compare``: whether two backends give everybody the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ldapdb.cli.options import FAILED, example, opened_store, with_forms, with_timeout
from ldapdb.cli.output import Form, counted, in_words, policy_fields, print_json, print_table
from ldapdb.wellformed import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ldapdb.migrate.comparing import Comparison, Right

__all__ = ["compare"]

# How ldapdb differs from the other backend.
_LACKS, _HAS = "lacks", "has besides"


@click.command(epilog=example("ldapdb compare sqlite:////srv/remoteapp.db"))
@click.argument("source")
@with_timeout
@with_forms
def compare(*, source: str, timeout: int, form: Form) -> None:
    """Compare what the host's SQL database or CSV file and ldapdb give every user.

    SOURCE is as for `ldapdb import`. It ends with "identical", or with the differences and
    exit code 1. What ldapdb gives through a group or for a time counts as what the host would
    be told now. A licence is not shown, and one that differs is a difference.
    """
    from ldapdb.migrate.comparing import compare as compared  # noqa: PLC0415 -- one command's
    from ldapdb.migrate.sources import open_source  # noqa: PLC0415 -- as above

    opened = open_source(source)
    with opened_store(operation_timeout_seconds=timeout) as store:
        found = compared(store, opened, timeout)
    rows = [[escaped(cell) for cell in row] for row in _rows(found)]
    if form.as_json:
        print_json(_fields(found))
    elif rows or form.as_csv:
        print_table(("USER", "IN LDAPDB", "IMAGE", "POLICY", "WHY"), rows, form=form)
    else:
        click.echo("identical")
    if found.idle_users:
        click.echo(
            "not in the directory, and without any right: "
            + escaped(", ".join(map(repr, found.idle_users))),
            err=True,
        )
    verdict = "identical" if found.is_identical else f"differences: {len(rows)}"
    what = f"{counted(found.users, 'user')}, {counted(found.rights, 'right')}"
    click.echo(f"{what} compared; {verdict}", err=True)
    if not found.is_identical:
        raise click.exceptions.Exit(FAILED)


def _rows(found: Comparison) -> Iterator[Sequence[str]]:
    for image in found.images:
        yield "", _LACKS, image, "", "not registered in the directory"
    for image in found.further_images:
        yield "", _HAS, image, "", "registered in the directory alone"
    for problem in found.problems:
        yield "", _LACKS, "", "", f"{problem.where}: {problem.text}"
    for each in found.differences:
        for which, rights in ((_LACKS, each.missing), (_HAS, each.added)):
            for image, policy in rights:
                yield each.user_name, which, image, in_words(policy), each.reason


def _fields(found: Comparison) -> dict[str, Any]:
    def shown(rights: tuple[Right, ...]) -> list[dict[str, Any]]:
        return [
            {
                "image": image,
                "policy": {**policy_fields(policy), "app_license": bool(policy.app_license)},
            }
            for image, policy in rights
        ]

    return {
        "identical": found.is_identical,
        "users": found.users,
        "rights": found.rights,
        "differences": [
            {
                "user": each.user_name,
                "missing": shown(each.missing),
                "added": shown(each.added),
                "reason": each.reason or None,
            }
            for each in found.differences
        ],
        "problems": [{"where": each.where, "text": each.text} for each in found.problems],
        "images": found.images,
        "further_images": found.further_images,
        "idle_users": found.idle_users,
    }

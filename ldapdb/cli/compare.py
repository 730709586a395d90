"""The command ``ldapdb compare``: whether two backends give everybody the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ldapdb.cli.options import FAILED, example, opened_store, with_json
from ldapdb.cli.output import in_words, policy_fields, print_json
from ldapdb.store.reading import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ldapdb.migrate.comparing import Comparison, Right

__all__ = ["compare"]


@click.command(epilog=example("ldapdb compare sqlite:////srv/remoteapp.db"))
@click.argument("source")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    help="How long reading the directory's rights may take, in seconds.",
)
@with_json
def compare(*, source: str, timeout: float, as_json: bool) -> None:
    """Compare what the host's SQL database or CSV file and ldapdb give every user.

    SOURCE is as for `ldapdb import`. It ends with "identical", or with the differences and
    exit code 1. A licence is not shown, and one that differs is a difference.
    """
    from ldapdb.migrate.comparing import compare as compared  # noqa: PLC0415 -- one command's
    from ldapdb.migrate.sources import open_source  # noqa: PLC0415 -- as above

    opened = open_source(source)
    with opened_store() as store:
        found = compared(store, opened, timeout)
    if as_json:
        print_json(_fields(found))
    else:
        for line in _lines(found):
            click.echo(one_line(line))
    click.echo(f"{found.users} users, {found.rights} rights compared", err=True)
    if not found.is_identical:
        raise click.exceptions.Exit(FAILED)


def _lines(found: Comparison) -> Iterator[str]:
    for image in found.images:
        yield f"{image}: not registered in the directory"
    for problem in found.problems:
        yield f"{problem.where}: {problem.text}"
    for each in found.differences:
        because = f" ({each.reason})" if each.reason else ""
        for right in each.missing:
            yield f"{each.user_name}: lacks {_in_words(right)}{because}"
        for right in each.added:
            yield f"{each.user_name}: has besides {_in_words(right)}"
    count = len(found.differences) + len(found.problems) + len(found.images)
    yield "identical" if found.is_identical else f"{count} differences"


def _in_words(right: Right) -> str:
    image, policy = right
    # A licence would end up in logs.
    shown = replace(policy, app_license=policy.app_license and "(not shown)")
    return f"{image}, policy: {in_words(shown)}"


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
    }

"""The command ``ldapdb import``: moving in from the host's SQL database or CSV file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable

import click

from ldapdb.cli.options import FAILED, example, with_json
from ldapdb.cli.output import (
    in_words,
    policy_fields,
    print_json,
    when,
    window_fields,
)
from ldapdb.cli.plans import Plan, with_plan, writing
from ldapdb.wellformed import one_line

if TYPE_CHECKING:
    from ldapdb.migrate.importing import ImportPlan, Intended
    from ldapdb.store import Store

__all__ = ["import_rights"]

# Without a terminal, a line each time that so many users have been put into grants.
_TOLD = 1000


@click.command("import", epilog=example("ldapdb import sqlite:////srv/remoteapp.db"))
@click.argument("source")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_json
@with_plan
def import_rights(*, source: str, yes: bool, plan: Plan, as_json: bool) -> None:
    """Take over applications and rights from the host's SQL database or CSV file.

    SOURCE is an SQLAlchemy URL, or the path of a CSV file in the host's form, or - for one on
    the standard input. What would be done is printed first: images to register, users to be
    given them, and what is left out and why. What is there already is no work; so whatever was
    broken off goes on where the same command is given again.

    --dry-run prints each change of the directory, and --ldif prints them for ldapmodify.
    """
    from ldapdb.migrate.importing import apply, make_plan  # noqa: PLC0415 -- one command's
    from ldapdb.migrate.sources import open_source  # noqa: PLC0415 -- as above

    opened = open_source(source)
    with writing(plan) as store:
        made = make_plan(store, opened)
        _tell(made, opened.title, err=as_json or plan is not Plan.NONE)
        if plan is not Plan.NONE:
            # Nothing is written, and the changes are printed at the end.
            for _ in apply(store, made):
                pass
            return
        confirmed = yes or made.is_done or _is_confirmed(source)
        if confirmed:
            _apply(store, made)
    if as_json:
        print_json(_fields(made, applied=confirmed))
    if not confirmed:
        raise click.exceptions.Exit(FAILED)


def _is_confirmed(source: str) -> bool:
    """Ask whether to do what has been told, where somebody can be asked."""
    if not sys.stdin.isatty() or source == "-":
        click.echo("nothing was changed; add --yes to do it, here where nobody can ask", err=True)
        return False
    if click.confirm("Do this?", err=True):
        return True
    click.echo("nothing was changed", err=True)
    return False


def _apply(store: Store, plan: ImportPlan) -> None:
    from ldapdb.migrate.importing import apply  # noqa: PLC0415 -- no other command needs it

    done = 0
    try:
        with _progress(plan.members) as told:
            for done in apply(store, plan):
                told(done)
    except BaseException:
        click.echo(
            f"{done} of {plan.members} rights have been granted, each of them whole; give the "
            "same command again to go on",
            err=True,
        )
        raise


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is: a bar on a terminal, lines elsewhere."""
    if not total:
        yield lambda done: None  # noqa: ARG005 -- nobody looks
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 -- slow to import
        from rich.progress import Progress  # noqa: PLC0415 -- as above

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("granting", total=total)
            yield lambda done: bar.update(task, completed=done)
    else:
        last = 0

        def tell(done: int) -> None:
            nonlocal last
            if done == total or done >= last + _TOLD:
                last = done
                click.echo(f"{done} of {total}", err=True)

        yield tell


# --- for people


def _tell(plan: ImportPlan, title: str, *, err: bool) -> None:
    def say(line: str) -> None:
        click.echo(one_line(line), err=err)

    for image in plan.applications:
        say(f"register {image}")
    for each in plan.grants:
        say(_grant_line(each))
        for user, window in each.limited:
            said = when(window)
            say(f"skip user {user.name!r} there: has it {said} already, and that time stays")
    for user, names in plan.merged:
        said = " and ".join(map(repr, names))
        say(f"take {said} for one user, {user.name!r} ({user.dn}), who gets what each of them has")
    for name in plan.unknown:
        say(f"skip user {name!r}: not in the directory")
    for problem in plan.skipped:
        say(f"skip {problem.where}: {problem.text}")
    there = sum(each.there for each in plan.grants)
    click.echo(
        f"{one_line(title)}: {plan.rows} rows; {len(plan.applications)} applications to register, "
        f"{plan.members} rights to grant, {there} there already, "
        f"{len(plan.skipped)} rows and {len(plan.unknown)} users left out",
        err=True,
    )


def _grant_line(each: Intended) -> str:
    said = each.policy
    # A licence would end up in logs.
    words = in_words(replace(said, app_license=said.app_license and "(not shown)"))
    there = f", {each.there} have it already" if each.there else ""
    return f"grant {each.image} to {len(each.users)} users, policy: {words}{there}"


# --- for programs


def _fields(plan: ImportPlan, *, applied: bool) -> dict[str, Any]:
    return {
        "applied": applied,
        "rows": plan.rows,
        "registered": plan.applications,
        "granted": [
            {
                "image": each.image,
                "policy": {
                    **policy_fields(each.policy),
                    "app_license": bool(each.policy.app_license),
                },
                "users": [user.name for user in each.users],
                "there": each.there,
                "limited": [
                    {"user": user.name, **window_fields(window)} for user, window in each.limited
                ],
            }
            for each in plan.grants
        ],
        "unknown_users": plan.unknown,
        "merged_users": [
            {"user": user.name, "dn": str(user.dn), "names": names} for user, names in plan.merged
        ],
        "skipped": [{"where": each.where, "text": each.text} for each in plan.skipped],
    }

"""The command ``ldapdb lint``: what is wrong with applications and grants, and mending it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ldapdb.cli.options import (
    FAILED,
    example,
    loaded_settings,
    telling_slowness,
    with_forms,
    with_timeout,
)
from ldapdb.cli.output import Form, counted, print_json, print_table
from ldapdb.wellformed import escaped

if TYPE_CHECKING:
    from ldapdb.protocol.ldif import Change
    from ldapdb.store.linting import Linting
    from ldapdb.store.linting_members import Complaint

__all__ = ["lint"]


@click.command(epilog=example("ldapdb lint --fix"))
@click.option("--fix", is_flag=True, help="Mend what is safe to mend, after showing it as LDIF.")
@click.option(
    "--yes", is_flag=True, help="With --fix: do not ask; needed where nobody can be asked."
)
@click.option("--dry-run", is_flag=True, help="With --fix: show what would be done, and do not.")
@click.option(
    "--ldif", "as_ldif", is_flag=True, help="Print what --fix would do as LDIF alone; do not."
)
@click.option(
    "--dangling",
    is_flag=True,
    help="Count members that are no entry as gone, for --fix to take out. Only as an account that "
    "is shown all users and groups: one that is hidden looks the same.",
)
@click.option("--images", is_flag=True, help="Name registered images that Docker does not have.")
@with_timeout
@with_forms
def lint(
    *,
    fix: bool,
    yes: bool,
    dry_run: bool,
    as_ldif: bool,
    dangling: bool,
    images: bool,
    timeout: int,
    form: Form,
) -> None:
    """Look for what is wrong with applications, grants and users.

    Members that are no entry, images that are not registered, what cannot be read, grants that
    have expired or have no member, doubles, and users of one name. --fix removes expired and
    empty grants that ldapdb has made, so that nobody is lost who is let in meanwhile; with
    --dangling, members that are no entry, too.

    Exit code: 0 nothing is wrong, or all is mended, 1 something is, or stays, 2 misused, 3 no
    server.
    """
    from ldapdb.store.linting import Linting  # noqa: PLC0415 -- no other command needs it

    if as_ldif and (form.as_json or form.as_csv):
        raise click.UsageError("--ldif, --json and --csv are forms; choose one")
    given = {"operation_timeout_seconds": timeout}
    store = Linting(loaded_settings(**given))
    try:
        with telling_slowness(store.settings, given):
            found = store.lint(dangling=dangling, seconds=timeout)
            if images:
                found += _absent(store)
        left = list(found)
        if as_ldif:
            click.echo(_ldif(found), nl=False)
        else:
            _print(found, form)
        if fix and dry_run and not as_ldif:
            click.echo(_ldif(found), nl=False, err=True)
        elif fix and not as_ldif:
            left = _mend(store, found, sure=yes)
    finally:
        store.close()
    if left:
        raise click.exceptions.Exit(FAILED)


def _absent(store: Linting) -> list[Complaint]:
    """Complain of registered images that the local Docker engine lacks."""
    from ldapdb.engine import Engine  # noqa: PLC0415 -- an extra, and seldom asked for
    from ldapdb.store.linting_members import Complaint  # noqa: PLC0415 -- as above

    with Engine() as engine:
        return [
            Complaint("not-in-engine", str(each.dn), f"Docker has no {each.image!r} here; pull it")
            for each in store.list_applications()
            if not engine.has(each.image)
        ]


def _print(found: Sequence[Complaint], form: Form) -> None:
    if form.as_json:
        print_json(
            [
                {"kind": each.kind, "dn": each.dn, "text": each.text, "fixable": bool(each.change)}
                for each in found
            ]
        )
        return
    rows = [
        (each.kind, "yes" if each.change else "no", escaped(each.dn), escaped(each.text))
        for each in found
    ]
    print_table(("WHAT", "FIX", "ENTRY", "WHY"), rows, form=form)
    click.echo(f"ldapdb lint: {len(found)} found" if found else "nothing is wrong", err=True)


def _changes(found: Sequence[Complaint]) -> list[Change]:
    """List what is safe to do, each thing once: an entry may be expired and empty."""
    wanted: list[Change] = []
    for each in found:
        if each.change is not None and each.change not in wanted:
            wanted.append(each.change)
    return wanted


def _ldif(found: Sequence[Complaint]) -> str:
    from ldapdb.protocol.ldif import write  # noqa: PLC0415 -- few commands write LDIF

    return write(
        _changes(found),
        "What ldapdb lint --fix would do. Applied by ldapmodify, a grant that gets a member "
        "before it is deleted is lost; --fix looks again.",
    )


def _mend(store: Linting, found: Sequence[Complaint], *, sure: bool) -> list[Complaint]:
    changes = _changes(found)
    left = [each for each in found if each.change is None]
    if not changes:
        return left
    click.echo(_ldif(found), nl=False, err=True)
    if not sure and not sys.stdin.isatty():
        click.echo("nothing was changed; add --yes to do it, here where nobody can ask", err=True)
        return list(found)
    if not sure and not click.confirm(f"Make {counted(len(changes), 'change')}?", err=True):
        click.echo("nothing was changed", err=True)
        return list(found)
    for change in changes:
        done = store.mend(change)
        click.echo(escaped(done.text), err=True)
        left += [] if done.is_done else [each for each in found if each.change == change]
    return left

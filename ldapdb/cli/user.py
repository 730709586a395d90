"""The commands ``ldapdb user``: who there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ldapdb.cli.completion import complete_users
from ldapdb.cli.lazily import SuggestingGroup
from ldapdb.cli.options import (
    FAILED,
    example,
    opened_store,
    with_forms,
    with_licences,
    with_timeout,
)
from ldapdb.cli.output import Form, accounting_fields, in_words, print_json, print_table
from ldapdb.wellformed import escaped, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ldapdb.model import Accounting, User
    from ldapdb.protocol.dn import DN
    from ldapdb.store.reviewing import Review

__all__ = ["user"]


@click.group(cls=SuggestingGroup, epilog=example("ldapdb user list --show-apps"))
def user() -> None:
    """See users. They belong to the directory and are never changed."""


@user.command("list", epilog=example("ldapdb user list --show-apps"))
@click.option("--show-apps", is_flag=True, help="Print what each user may start.")
@with_licences
@with_timeout
@with_forms
def list_users(*, show_apps: bool, licences: bool, timeout: int, form: Form) -> None:
    """List the users."""
    with opened_store(operation_timeout_seconds=timeout) as store:
        users = sorted(store.list_users(), key=lambda each: each.name)
        apps = _apps(store.review(timeout), users) if show_apps else {}
    if form.as_json:
        print_json(
            [
                {"name": each.name, "id": each.id, "dn": str(each.dn)}
                | (
                    {"accounting": accounting_fields(apps[each.dn], licences=licences)}
                    if show_apps
                    else {}
                )
                for each in users
            ]
        )
    elif show_apps:
        rows = [
            (
                each.name,
                accounting.application.image,
                in_words(accounting.application_policy, licences=licences),
            )
            for each in users
            for accounting in apps[each.dn]
        ]
        rows += [(each.name, "", "") for each in users if not apps[each.dn]]
        print_table(("USER", "IMAGE", "POLICY"), sorted(rows), form=form)
    else:
        rows_of_users = [(each.name, str(each.id)) for each in users]
        print_table(("USER", "ID"), rows_of_users, form=form)


def _apps(review: Review, users: Iterable[User]) -> dict[DN, list[Accounting]]:
    """Find what each user may start, and say what cannot be read."""
    for reason in review.reasons:
        if reason.kind == "unreadable":
            click.echo(one_line(reason.text), err=True)
    apps: dict[DN, list[Accounting]] = {each.dn: [] for each in users}
    apps.update({who.user.dn: review.accountings(who) for who in review.people})
    return apps


@user.command("show", epilog=example("ldapdb user show alice"))
@click.argument("name", shell_complete=complete_users)
@click.option("--json", "as_json", is_flag=True, default=True, hidden=True)
def show_user(*, name: str, as_json: bool) -> None:
    """Show what the host would be told of a user, as JSON; with licences."""
    del as_json  # this command has no other form
    with opened_store() as store:
        store.verify()  # as the host does: a base that is not there is not "no applications"
        found = store.get_user(name)
        if found is None:
            click.echo(f"ldapdb: {escaped(store.why_absent(name))}", err=True)
            raise click.exceptions.Exit(FAILED)
        accountings = store.list_accountings(found)
    print_json(
        {
            "name": found.name,
            "id": found.id,
            "dn": str(found.dn),
            "accounting": accounting_fields(accountings, licences=True),
        }
    )

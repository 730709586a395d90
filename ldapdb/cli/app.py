"""The commands ``ldapdb app``: applications, and who is given them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ldapdb.cli.completion import complete_images
from ldapdb.cli.grants import grant, print_grants, revoke
from ldapdb.cli.lazily import SuggestingGroup
from ldapdb.cli.options import (
    example,
    opened_store,
    with_forms,
    with_json,
    with_licences,
    with_timeout,
)
from ldapdb.cli.output import Form, counted, print_json, print_table
from ldapdb.cli.plans import Plan, with_plan, writing
from ldapdb.cli.rename import rename
from ldapdb.errors import LDAPDBError
from ldapdb.wellformed import check_image, escaped

if TYPE_CHECKING:
    from ldapdb.store.outcomes import Listed

__all__ = ["app"]


@click.group(cls=SuggestingGroup, epilog=example("ldapdb app list"))
def app() -> None:
    """See, register and grant applications."""


@app.command("create", epilog=example("ldapdb app create simphony/mayavi:0.5 --no-verify"))
@click.argument("image")
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="See first that the local Docker engine has the image.",
)
@with_json
@with_plan
def create_application(*, image: str, verify: bool, plan: Plan, as_json: bool) -> None:
    """Register an image and print the application's id."""
    check_image(image)
    if verify:
        _verify_image(image)
    with writing(plan) as store:
        created = store.create_application(image)
    if as_json:
        print_json({"image": created.image, "id": created.id, "dn": str(created.dn)})
    else:
        click.echo(created.id)


def _verify_image(image: str) -> None:
    from ldapdb.engine import Engine  # noqa: PLC0415 -- an extra, and slow to import

    try:
        with Engine() as engine:
            known = engine.has(image)
    except LDAPDBError as error:
        raise LDAPDBError(f"{error}; or leave the image unverified with --no-verify") from error
    if not known:
        raise LDAPDBError(
            f"the local Docker engine does not have {image!r}; pull it, or use --no-verify"
        )


@app.command("remove", epilog=example("ldapdb app remove simphony/mayavi:0.5"))
@click.argument("image", shell_complete=complete_images)
@with_json
@with_plan
def remove_application(*, image: str, plan: Plan, as_json: bool) -> None:
    """Remove an application and all its grants, and say how many these are.

    What is not there is nothing to do, and no error.
    """
    with writing(plan) as store:
        known = any(each.image == image for each in store.list_applications())
        grants = store.list_grants_of(image)
        near = "" if known or grants else store.like_image(image)
        store.remove_application(image)
        if grants:  # said before a plan is printed, too
            click.echo(_along(image, grants), err=True)
    if as_json:
        print_json({"image": image, "removed": known})
    elif not known:
        click.echo(f"{image} was not registered{near}", err=True)


def _along(image: str, grants: Sequence[Listed]) -> str:
    members = sum(each.members for each in grants)
    return (
        f"{counted(len(grants), f'grant of {image} goes', f'grants of {image} go')} with it, to "
        f"{counted(members, 'user or group', 'users and groups')}"
    )


@app.command("list", epilog=example("ldapdb app list --json"))
@click.option("--images", is_flag=True, help="Show what the labels of the local images say.")
@click.option("--grants", is_flag=True, help="List the entries that grant them instead.")
@with_licences
@with_timeout
@with_forms
def list_applications(
    *, images: bool, grants: bool, licences: bool, timeout: int, form: Form
) -> None:
    """List the applications, or the grants."""
    if grants:
        if images:
            raise click.UsageError("--images and --grants are two lists; choose one")
        print_grants(form, timeout, licences=licences)
        return
    with opened_store(operation_timeout_seconds=timeout) as store:
        applications = store.list_applications()
    fields: list[dict[str, Any]] = [
        {"image": each.image, "id": each.id, "dn": str(each.dn)} for each in applications
    ]
    columns = ["image", "id"]
    if images:
        _add_labels(fields)
        columns += ["local", "ui_name", "description"]
    if form.as_json:
        print_json(fields)
    else:
        rows = [[_said(each.get(name)) for name in columns] for each in fields]
        print_table([_COLUMNS.get(name, name.upper()) for name in columns], rows, form=form)


_COLUMNS = {"ui_name": "NAME", "local": "HERE"}


def _said(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else escaped(str(value or ""))


def _add_labels(fields: list[dict[str, Any]]) -> None:
    """Add what the local Docker engine says of each image, and whether it has it."""
    from ldapdb.engine import Engine, Labels  # noqa: PLC0415 -- an extra, and slow to import

    with Engine() as engine:
        for each in fields:
            found = engine.labels(each["image"])
            labels = vars(found or Labels())
            each.update({"local": found is not None, **labels})


for command in (grant, revoke, rename):
    app.add_command(command)

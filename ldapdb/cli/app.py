"""The commands ``ldapdb app``: applications, and who is given them."""

from __future__ import annotations

import contextlib

import click

from ldapdb.cli.completion import complete_images
from ldapdb.cli.grants import grant, rename, revoke
from ldapdb.cli.lazily import SuggestingGroup
from ldapdb.cli.options import example, opened_store, with_forms, with_json
from ldapdb.cli.output import Form, print_json, print_table
from ldapdb.cli.plans import Plan, with_plan, writing
from ldapdb.errors import LDAPDBError

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
    if verify:
        _verify_image(image)
    with writing(plan) as store:
        created = store.create_application(image)
    if as_json:
        print_json({"image": created.image, "id": created.id, "dn": str(created.dn)})
    else:
        click.echo(created.id)


def _verify_image(image: str) -> None:
    try:
        import docker  # noqa: PLC0415 -- an extra, and slow to import
    except ImportError:
        raise LDAPDBError(
            "to verify the image, install: pip install 'ldapdb-remoteapp[docker]'; or leave it "
            "unverified with --no-verify"
        ) from None
    try:
        with contextlib.closing(docker.from_env()) as engine:
            engine.images.get(image)
    except docker.errors.ImageNotFound as error:
        raise LDAPDBError(
            f"the local Docker engine does not have {image!r}; pull it, or use --no-verify"
        ) from error
    except (docker.errors.DockerException, OSError) as error:
        raise LDAPDBError(
            f"the local Docker engine cannot be asked for {image!r} ({error}); start it, or use "
            "--no-verify"
        ) from error


@app.command("remove", epilog=example("ldapdb app remove simphony/mayavi:0.5"))
@click.argument("image", shell_complete=complete_images)
@with_json
@with_plan
def remove_application(*, image: str, plan: Plan, as_json: bool) -> None:
    """Remove an application and all its grants."""
    with writing(plan) as store:
        known = any(each.image == image for each in store.list_applications())
        store.remove_application(image)
    if as_json:
        print_json({"image": image, "removed": known})
    elif not known:
        click.echo(f"{image} was not registered", err=True)


@app.command("list", epilog=example("ldapdb app list --json"))
@with_forms
def list_applications(*, form: Form) -> None:
    """List the applications."""
    with opened_store() as store:
        applications = store.list_applications()
    if form.as_json:
        print_json([{"image": a.image, "id": a.id, "dn": str(a.dn)} for a in applications])
    else:
        rows = [(each.image, str(each.id)) for each in applications]
        print_table(("IMAGE", "ID"), rows, form=form)


for command in (grant, revoke, rename):
    app.add_command(command)

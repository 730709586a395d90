"""The commands ``ldapdb app``: applications, and who is given them."""

from __future__ import annotations

import contextlib

import click

from ldapdb.cli.completion import complete_images, complete_users
from ldapdb.cli.lazily import SuggestingGroup
from ldapdb.cli.options import example, opened_store, with_forms, with_json, with_policy
from ldapdb.cli.output import Form, policy_fields, print_json, print_table
from ldapdb.cli.plans import Plan, with_plan, writing
from ldapdb.errors import LDAPDBError
from ldapdb.model import Policy, mapping_id

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


@app.command("grant", epilog=example("ldapdb app grant simphony/mayavi:0.5 alice --allow-home"))
@click.argument("image", shell_complete=complete_images)
@click.argument("user_name", metavar="USER", shell_complete=complete_users)
@with_policy
@with_json
@with_plan
def grant(*, image: str, user_name: str, policy: Policy, plan: Plan, as_json: bool) -> None:
    """Give a user an application and print the mapping id."""
    with writing(plan) as store:
        granted = store.grant(image, user_name, policy)
    if as_json:
        print_json(
            {"id": granted, "user": user_name, "image": image, "policy": policy_fields(policy)}
        )
    else:
        click.echo(granted)


@app.command("revoke", epilog=example("ldapdb app revoke simphony/mayavi:0.5 alice --revoke-all"))
@click.argument("image", shell_complete=complete_images)
@click.argument("user_name", metavar="USER", shell_complete=complete_users)
@click.option("--revoke-all", is_flag=True, help="Whatever the policy.")
@with_policy
@with_json
@with_plan
def revoke(
    *, image: str, user_name: str, policy: Policy, revoke_all: bool, plan: Plan, as_json: bool
) -> None:
    """Take an application from a user: under the policy given, or under all."""
    if revoke_all and policy != Policy():
        raise click.UsageError("--revoke-all takes no policy; drop it or the policy's options")
    with writing(plan) as store:
        found = store.get_user(user_name)
        held = store.list_accountings(found) if found else []
        revoked = [policy]
        if revoke_all:
            revoked = store.revoke_all(image, user_name)
        else:
            store.revoke(image, user_name, policy)
    had = [each for each in held if each.application.image == image]
    if not revoke_all and not any(each.application_policy == policy for each in had):
        revoked = []
    if as_json:
        ids = [mapping_id(image, each, found.id) for each in revoked] if found else []
        print_json({"user": user_name, "image": image, "revoked": ids})
    elif not revoked:
        click.echo(f"{user_name} did not have {image} under that policy", err=True)

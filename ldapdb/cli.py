"""The command line: parse, call the store, print. Nothing else.

Data goes to standard output, words to standard error. Exit codes: 0 done, 1 failed,
2 misused (an argument or a setting is wrong), 3 no server answered.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import click

from ldapdb import __version__, cli_watch, cli_why
from ldapdb.commands import example, opened_store, with_json
from ldapdb.errors import DirectoryUnavailable, InvalidValue, LDAPDBError, SettingsError
from ldapdb.model import Policy, mapping_id
from ldapdb.output import accounting_fields, in_words, policy_fields, print_json, print_table
from ldapdb.settings import ENVIRONMENT_PREFIX, Settings

__all__ = ["main", "run"]

_FAILED, _MISUSED, _NO_SERVER = 1, 2, 3
_LOG_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def run(arguments: Optional[Sequence[str]] = None) -> int:
    """Run a command and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process by default.
    """
    try:
        given = None if arguments is None else list(arguments)
        # Without standalone mode click returns the code of an Exit instead of raising it.
        code = main.main(args=given, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return _MISUSED
    except click.Abort:
        click.echo("ldapdb: interrupted", err=True)
        return _FAILED
    except LDAPDBError as error:
        click.echo(f"ldapdb: {error}", err=True)
        return _exit_code(error)
    return code if isinstance(code, int) else 0


def _exit_code(error: LDAPDBError) -> int:
    if isinstance(error, DirectoryUnavailable):
        return _NO_SERVER
    return _MISUSED if isinstance(error, (SettingsError, InvalidValue)) else _FAILED


def _with_policy(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that state a policy, spelled as the host's tool spells them."""
    options = (
        click.option("--app-license", "--app_license", metavar="LICENCE", help="Licence key."),
        click.option("--allow-home", is_flag=True, help="Mount the home directory."),
        click.option("--allow-view", is_flag=True, help="Let others watch the session."),
        click.option("--volume", metavar="SOURCE:TARGET:MODE", help="Mount a volume, ro or rw."),
        click.option("--allow-startup-data", is_flag=True, help="Accept data at the start."),
    )

    @functools.wraps(command)
    def add_policy(
        *,
        app_license: Optional[str],
        allow_home: bool,
        allow_view: bool,
        volume: Optional[str],
        allow_startup_data: bool,
        **rest: Any,
    ) -> Any:
        policy = Policy.of(
            app_license=app_license,
            allow_home=allow_home,
            allow_view=allow_view,
            volume=volume,
            allow_startup_data=allow_startup_data,
        )
        return command(policy=policy, **rest)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), add_policy)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("ldapdb --config-file /etc/ldapdb.toml user show alice"),
)
@click.option(
    "--config-file",
    type=click.Path(path_type=Path),
    help=f"TOML file with the settings; {ENVIRONMENT_PREFIX}… variables count before it.",
)
@click.option("-v", "--verbose", count=True, help="Say more; twice: every operation.")
@click.version_option(__version__, prog_name="ldapdb")
@click.pass_context
def main(context: click.Context, config_file: Optional[Path], verbose: int) -> None:
    """See and change who may start which application, in the company's directory."""
    level = _LOG_LEVELS[min(verbose, len(_LOG_LEVELS) - 1)]
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    context.obj = config_file


@main.command(epilog=example("ldapdb init"))
@with_json
def init(*, as_json: bool) -> None:
    """Make the entries that applications and grants are kept below.

    The schema must be loaded first, by the directory's own tools; see ldif/README.md.
    """
    with opened_store() as store:
        made = [str(dn) for dn in store.create_tree()]
    if as_json:
        print_json({"created": made})
        return
    for dn in made:
        click.echo(dn)
    click.echo(f"created {len(made)} entries" if made else "all is there already", err=True)


@main.command("settings", epilog=example("ldapdb settings"))
@with_json
def list_settings(*, as_json: bool) -> None:
    """List all settings with their defaults."""
    rows = [
        (name, "" if default in (None, ()) else str(default), field.description or "")
        for name, field in Settings.model_fields.items()
        for default in [None if field.is_required() else field.default]
    ]
    if as_json:
        names = ("name", "default", "description")
        print_json([dict(zip(names, row)) for row in rows])
    else:
        print_table(("SETTING", "DEFAULT", "WHAT IT IS"), rows, plain=False)


@main.group(epilog=example("ldapdb user list --show-apps"))
def user() -> None:
    """See users. They belong to the directory and are never changed."""


@user.command("list", epilog=example("ldapdb user list --show-apps"))
@click.option("--no-decoration", is_flag=True, help="Print rows alone, without a header.")
@click.option("--show-apps", is_flag=True, help="Print what each user may start.")
@with_json
def list_users(*, no_decoration: bool, show_apps: bool, as_json: bool) -> None:
    """List the users."""
    with opened_store() as store:
        users = sorted(store.list_users(), key=lambda each: each.name)
        apps = {each.id: store.list_accountings(each) if show_apps else [] for each in users}
    if as_json:
        print_json(
            [
                {"name": each.name, "id": each.id, "dn": str(each.dn)}
                | ({"accounting": accounting_fields(apps[each.id])} if show_apps else {})
                for each in users
            ]
        )
    elif show_apps:
        rows = [
            (each.name, accounting.application.image, in_words(accounting.application_policy))
            for each in users
            for accounting in apps[each.id]
        ]
        rows += [(each.name, "", "") for each in users if not apps[each.id]]
        print_table(("USER", "IMAGE", "POLICY"), sorted(rows), plain=no_decoration)
    else:
        rows_of_users = [(each.name, str(each.id)) for each in users]
        print_table(("USER", "ID"), rows_of_users, plain=no_decoration)


@user.command("show", epilog=example("ldapdb user show alice"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, default=True, hidden=True)
def show_user(*, name: str, as_json: bool) -> None:
    """Show what the host would be told of a user, as JSON."""
    del as_json  # this command has no other form
    with opened_store() as store:
        found = store.get_user(name)
        if found is None:
            click.echo(f"ldapdb: the user {name!r} is not in the directory", err=True)
            raise click.exceptions.Exit(_FAILED)
        accountings = store.list_accountings(found)
    print_json(
        {
            "name": found.name,
            "id": found.id,
            "dn": str(found.dn),
            "accounting": accounting_fields(accountings),
        }
    )


@main.group(epilog=example("ldapdb app list"))
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
def create_application(*, image: str, verify: bool, as_json: bool) -> None:
    """Register an image and print the application's id."""
    if verify:
        _verify_image(image)
    with opened_store() as store:
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
@click.argument("image")
@with_json
def remove_application(*, image: str, as_json: bool) -> None:
    """Remove an application and all its grants."""
    with opened_store() as store:
        known = any(each.image == image for each in store.list_applications())
        store.remove_application(image)
    if as_json:
        print_json({"image": image, "removed": known})
    elif not known:
        click.echo(f"{image} was not registered", err=True)


@app.command("list", epilog=example("ldapdb app list --json"))
@click.option("--no-decoration", is_flag=True, help="Print rows alone, without a header.")
@with_json
def list_applications(*, no_decoration: bool, as_json: bool) -> None:
    """List the applications."""
    with opened_store() as store:
        applications = store.list_applications()
    if as_json:
        print_json([{"image": a.image, "id": a.id, "dn": str(a.dn)} for a in applications])
    else:
        rows = [(each.image, str(each.id)) for each in applications]
        print_table(("IMAGE", "ID"), rows, plain=no_decoration)


@app.command("grant", epilog=example("ldapdb app grant simphony/mayavi:0.5 alice --allow-home"))
@click.argument("image")
@click.argument("user_name", metavar="USER")
@_with_policy
@with_json
def grant(*, image: str, user_name: str, policy: Policy, as_json: bool) -> None:
    """Give a user an application and print the mapping id."""
    with opened_store() as store:
        granted = store.grant(image, user_name, policy)
    if as_json:
        print_json(
            {"id": granted, "user": user_name, "image": image, "policy": policy_fields(policy)}
        )
    else:
        click.echo(granted)


@app.command("revoke", epilog=example("ldapdb app revoke simphony/mayavi:0.5 alice --revoke-all"))
@click.argument("image")
@click.argument("user_name", metavar="USER")
@click.option("--revoke-all", is_flag=True, help="Whatever the policy.")
@_with_policy
@with_json
def revoke(*, image: str, user_name: str, policy: Policy, revoke_all: bool, as_json: bool) -> None:
    """Take an application from a user: under the policy given, or under all."""
    if revoke_all and policy != Policy():
        raise click.UsageError("--revoke-all takes no policy; drop it or the policy's options")
    with opened_store() as store:
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


main.add_command(cli_watch.watch)
main.add_command(cli_why.explain)
main.add_command(cli_why.who)


@main.command(epilog=example("ldapdb demo --keep"))
@click.option("--keep", is_flag=True, help="Leave the directory running until Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="With --keep: print where it is, and nothing else."
)
def demo(*, keep: bool, as_json: bool) -> None:
    """Start a private directory with sample data and show ldapdb at work on it."""
    from ldapdb.demo import play  # noqa: PLC0415 -- no other command needs it

    if as_json and not keep:
        raise click.UsageError("--json goes with --keep")
    play(keep=keep, as_json=as_json, say=click.echo)

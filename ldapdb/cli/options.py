"""What all commands share: how they get their store, their options, how their help ends."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import click

from ldapdb.cli.output import Form
from ldapdb.client.probing import answers
from ldapdb.errors import DeadlineExceeded, LDAPDBError
from ldapdb.model import Policy
from ldapdb.settings import Settings, load
from ldapdb.store import Store

__all__ = [
    "FAILED",
    "MISUSED",
    "NO_SERVER",
    "example",
    "loaded_settings",
    "one_form",
    "opened_store",
    "telling_slowness",
    "with_forms",
    "with_json",
    "with_json_or_csv",
    "with_licences",
    "with_output",
    "with_policy",
    "with_timeout",
]

# Exit codes; 0 is done.
FAILED, MISUSED, NO_SERVER = 1, 2, 3


def example(text: str) -> str:
    """Write the last line of a command's help."""
    return f"Example: {text}"


def with_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--json``."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
    return option(command)


def with_forms(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a table is printed: ``--json``, ``--csv``, ``--no-decoration``.

    The command gets them as `form`.
    """
    option = click.option(
        "--no-decoration", is_flag=True, help="Print rows alone, without a header."
    )

    @functools.wraps(command)
    def add_header(*, form: Form, no_decoration: bool, **rest: Any) -> Any:
        return command(form=replace(form, header=not no_decoration), **rest)

    return with_json_or_csv(option(add_header))


def with_json_or_csv(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` and ``--csv``, where people are told otherwise; the command gets `form`."""
    options = (
        click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV (RFC 4180)."),
    )

    @functools.wraps(command)
    def add_form(*, as_json: bool, as_csv: bool, **rest: Any) -> Any:
        if as_json and as_csv:
            raise click.UsageError("--json and --csv are two forms; choose one")
        return command(form=Form(as_json, as_csv), **rest)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), add_form)


def one_form(form: Optional[str], *, as_json: bool, as_csv: bool) -> Optional[str]:
    """Return the form that was asked for, by its name or by a flag; None if none was."""
    flags = {"json": as_json, "csv": as_csv}
    asked = {form} - {None} | {name for name, given in flags.items() if given}
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(sorted(map(str, asked)))} are forms; choose one")
    return next(iter(asked), None)


def with_licences(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--show-licences``; the command gets it as `licences`."""
    return click.option(
        "--show-licences",
        "licences",
        is_flag=True,
        help="Print licence keys, in the place of which it is said that there is one.",
    )(command)


def with_timeout(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--timeout``, for what is read of everybody; a host's calls have less time."""
    return click.option(
        "--timeout",
        type=click.IntRange(1, 86_400),
        default=300,
        show_default=True,
        help="How long the reading may take, in seconds.",
    )(command)


def with_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--output`` and ``--timeout``, for what is read of everybody and written to a file."""
    return click.option(
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write to this file, which only its owner may read; whole or not at all.",
    )(with_timeout(command))


def loaded_settings(**settings: Any) -> Settings:
    """Read the settings for one command; what is given goes first."""
    given = click.get_current_context().find_root().params
    return load(
        **{"config_file": given.get("config_file"), "profile": given.get("profile"), **settings}
    )


@contextlib.contextmanager
def opened_store(**settings: Any) -> Iterator[Store]:
    """Open the store that the settings name, for one command; what is given goes first."""
    store = Store(loaded_settings(**settings))
    try:
        with telling_slowness(store.settings, settings):
            yield store
    finally:
        store.close()


@contextlib.contextmanager
def telling_slowness(settings: Settings, given: Collection[str] = ()) -> Iterator[None]:
    """Tell a directory that answers too slowly from one that does not, by asking once more.

    A script may try again when no server answered; here it would be as slow once more.

    Parameters
    ----------
    settings : Settings
        Whom to ask.
    given : collection of str
        The names of those that the command's own options gave.
    """
    try:
        yield
    except DeadlineExceeded as error:
        if not answers(settings):
            raise
        # All that it says, such as how far the work came, and the option in the setting's place.
        setting = "operation_timeout_seconds"
        said = str(error).replace(setting, "--timeout" if setting in given else setting)
        raise error.restated(
            f"the directory answers, and not within the time that this may take: {said}",
            LDAPDBError,
        ) from error


def with_policy(command: Callable[..., Any]) -> Callable[..., Any]:
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

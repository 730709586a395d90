"""The command line: parse, call the store, print. Nothing else.

Data goes to standard output, words to standard error. Exit codes: 0 done, 1 failed,
2 misused (an argument or a setting is wrong), 3 no server answered.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from ldapdb import __version__
from ldapdb.cli.completion import complete_profiles
from ldapdb.cli.holding import HeldBack
from ldapdb.cli.lazily import LazyGroup, did_you_mean
from ldapdb.cli.options import FAILED, MISUSED, NO_SERVER, example
from ldapdb.errors import DirectoryUnavailable, InvalidValue, LDAPDBError, SettingsError
from ldapdb.secrecy import wiped
from ldapdb.settings import ENVIRONMENT_PREFIX
from ldapdb.wellformed import escaped, one_line

__all__ = ["main", "run"]

# Whoever looks on is told at once.
_LASTING = ("demo", "import", "watch")
_LOG_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
# Where each command is; it is imported when it is asked for.
_COMMANDS = {
    "app": "ldapdb.cli.app:app",
    "completion": "ldapdb.cli.completion:completion",
    "check": "ldapdb.cli.check:check",
    "demo": "ldapdb.cli.tree:demo",
    "compare": "ldapdb.cli.compare:compare",
    "explain": "ldapdb.cli.why:explain",
    "export": "ldapdb.cli.export:export",
    "import": "ldapdb.cli.migrate:import_rights",
    "init": "ldapdb.cli.tree:init",
    "report": "ldapdb.cli.report:report",
    "lint": "ldapdb.cli.lint:lint",
    "settings": "ldapdb.cli.tree:list_settings",
    "user": "ldapdb.cli.user:user",
    "watch": "ldapdb.cli.watch:watch",
    "whatif": "ldapdb.cli.whatif:whatif",
    "who": "ldapdb.cli.why:who",
}


@wiped
def run(arguments: Optional[Sequence[str]] = None) -> int:
    """Run a command and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process by default.
    """
    with HeldBack() as held:
        return _run(arguments, held)


def _run(arguments: Optional[Sequence[str]], held: HeldBack) -> int:
    try:
        given = None if arguments is None else list(arguments)
        # Without standalone mode click returns the code of an Exit instead of raising it.
        code = main.main(args=given, prog_name="ldapdb", standalone_mode=False, obj=held)
    except click.ClickException as error:
        click.echo(_misuse(error), err=True)
        return MISUSED
    except click.Abort as error:
        # What it was made of may say how far the work came.
        how_far = error.__cause__ if isinstance(error.__cause__, KeyboardInterrupt) else ""
        said = "; ".join(filter(None, ("interrupted", str(how_far))))
        click.echo(f"ldapdb: {escaped(said)}", err=True)
        return FAILED
    except DirectoryUnavailable as error:
        held.drop()  # the error says it
        see = "see by `ldapdb check` what is wrong, and whether uri is right"
        click.echo(f"ldapdb: {error}; {see}", err=True)
        return NO_SERVER
    except LDAPDBError as error:
        click.echo(f"ldapdb: {escaped(str(error))}", err=True)
        return _exit_code(error)
    except OSError as error:  # such as a full disk that the output goes to
        click.echo(f"ldapdb: {one_line(str(error))}", err=True)
        return FAILED
    return code if isinstance(code, int) else 0


def _misuse(error: click.ClickException) -> str:
    """Say in one line what is wrong with the arguments, and where to read what is right."""
    context = getattr(error, "ctx", None)
    if context is None:
        return f"ldapdb: {one_line(error.format_message())}"
    if error.__class__.__name__ == "NoArgsIsHelpError":  # since click 8.2
        return str(context.get_help())
    near = getattr(error, "possibilities", None)
    message = (error.message if near else error.format_message()).rstrip(".")
    message = one_line(message[:1].lower() + message[1:])
    if near:
        message += f"; {did_you_mean(near)}"
    see = f"see `{context.command_path} --help`"
    return f"ldapdb: {message} {see.capitalize()}" if near else f"ldapdb: {message}; {see}"


def _exit_code(error: LDAPDBError) -> int:
    return MISUSED if isinstance(error, (SettingsError, InvalidValue)) else FAILED


@click.group(
    cls=LazyGroup,
    places=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("ldapdb --config-file /etc/ldapdb.toml user show alice"),
)
@click.option(
    "--config-file",
    type=click.Path(path_type=Path),
    help=f"TOML file with the settings; {ENVIRONMENT_PREFIX}… variables count before it.",
)
@click.option(
    "--profile",
    shell_complete=complete_profiles,
    help="Which of the file's [profiles.…] counts, such as prod.",
)
@click.option("-v", "--verbose", count=True, help="Say more; twice: every operation.")
@click.version_option(__version__, prog_name="ldapdb")
@click.pass_context
def main(
    context: click.Context, *, config_file: Optional[Path], profile: Optional[str], verbose: int
) -> None:
    """See and change who may start which application, in the company's directory."""
    level = _LOG_LEVELS[min(verbose, len(_LOG_LEVELS) - 1)]
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    if isinstance(context.obj, HeldBack) and (verbose or context.invoked_subcommand in _LASTING):
        context.obj.release()
    # From where loaded_settings takes them, also while a command line is completed.
    del config_file, profile

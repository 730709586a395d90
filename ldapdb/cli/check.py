"""The command ``ldapdb check``: what is wrong with the directory, and what to do."""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click
from rich.console import Console
from rich.text import Text

from ldapdb.cli.options import FAILED, NO_SERVER, example, loaded_settings, with_forms
from ldapdb.cli.output import Form, print_json, print_table
from ldapdb.embedded import ldif_folder
from ldapdb.wellformed import escaped, one_line

if TYPE_CHECKING:
    from ldapdb.store.checking import Finding, Ordinary

__all__ = ["check"]

_COLOURS = {"ok": "green", "not checked": "blue", "warning": "yellow", "problem": "bold red"}


@click.command(epilog=example("ldapdb check --write"))
@click.option(
    "--write", is_flag=True, help="Write an entry that gives nobody anything, and remove it again."
)
@click.option("--strict", is_flag=True, help="Let warnings count as problems.")
@click.option(
    "--as-user",
    metavar="NAME",
    help="Log in as this user too, and see whether users read licences. Asks for the password.",
)
@click.option(
    "--as-user-password-file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read that password from the first line of a file that nobody else may read.",
)
@with_forms
@click.pass_context
def check(
    context: click.Context,
    *,
    write: bool,
    strict: bool,
    as_user: Optional[str],
    as_user_password_file: Optional[Path],
    form: Form,
) -> None:
    """Look at servers, TLS, rights, schema, indexes, limits and replication.

    One line for each thing that was looked at: ok, not checked, warning or problem, and for
    what is not ok a command to copy. Each server is looked at, although another one is down.

    Exit code: 0 no problem, 1 a problem (with --strict: or a warning), 2 misused, 3 no server
    answered.
    """
    from ldapdb.store.checking import check as look  # noqa: PLC0415 -- no other command needs it

    settings = loaded_settings()
    ordinary = _ordinary(as_user, as_user_password_file)
    found = []
    with _silent(context.find_root().params.get("verbose")):
        for each in map(
            _with_options, look(settings, ldif_folder(), write=write, as_user=ordinary)
        ):
            found.append(each)
            if not (form.as_json or form.as_csv):
                _print(each)
    fields = [_fields(each) for each in found]
    if form.as_json:
        print_json(fields)
    else:
        if form.as_csv:
            columns = ("CHECK", "SUBJECT", "LEVEL", "TEXT", "REMEDY")
            print_table(columns, [tuple(each.values()) for each in fields], form=form)
        _sum_up(found)
    code = exit_code(found, strict=strict)
    if code:
        raise click.exceptions.Exit(code)


def _ordinary(name: Optional[str], file: Optional[Path]) -> Optional[Ordinary]:
    """Get the password of the user to log in as: from a file, or from whoever types it."""
    from ldapdb.settings import SecretStr  # noqa: PLC0415 -- as in `check`
    from ldapdb.settings.private import read_password  # noqa: PLC0415 -- as in `check`
    from ldapdb.store.checking import Ordinary  # noqa: PLC0415 -- as in `check`

    if name is None:
        if file is not None:
            raise click.UsageError("--as-user-password-file needs --as-user NAME")
        return None
    if file is not None:
        return Ordinary(name, SecretStr(read_password(file, "--as-user-password-file")))
    if not sys.stdin.isatty():
        raise click.UsageError(
            "--as-user asks for a password, and there is no terminal; give "
            "--as-user-password-file FILE"
        )
    prompt = f"Password of {one_line(name)}"
    return Ordinary(name, SecretStr(click.prompt(prompt, hide_input=True, err=True)))


def _with_options(finding: Finding) -> Finding:
    """Let a remedy that is a command of ours go to the directory that was looked at."""
    given = click.get_current_context().find_root().params
    named = {"--config-file": given.get("config_file"), "--profile": given.get("profile")}
    words = [word for name, value in named.items() if value for word in (name, str(value))]
    if not words:
        return finding
    ours = re.compile(r"(^| )ldapdb (?=check|init|settings)")
    options = shlex.join(words)
    remedy = ours.sub(lambda found: f"{found.group(1)}ldapdb {options} ", finding.remedy)
    return replace(finding, remedy=remedy)


@contextlib.contextmanager
def _silent(verbose: Optional[int]) -> Iterator[None]:
    """Keep out of the log what the lines say, unless more is asked for."""
    logger = logging.getLogger("ldapdb")
    before = logger.level
    if not verbose:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def exit_code(found: Sequence[Finding], *, strict: bool) -> int:
    """Return the exit code for what was found."""
    levels = {each.level.value for each in found}
    arrived = [each for each in found if each.check in ("server", "tls", "account")]
    if arrived and all(
        each.check == "server" and each.level.value == "problem" for each in arrived
    ):
        return NO_SERVER
    bad = {"problem", "warning"} if strict else {"problem"}
    return FAILED if levels & bad else 0


def _fields(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "subject": finding.subject,
        "level": finding.level.value,
        "text": finding.text,
        "remedy": finding.remedy,
    }


def _print(finding: Finding) -> None:
    level = finding.level.value
    text, remedy = one_line(f"{finding.subject}: {finding.text}"), escaped(finding.remedy)
    if not sys.stdout.isatty():
        click.echo(f"{level}\t{finding.check}\t{text}")
        if finding.remedy:
            click.echo(f"\tremedy\t{remedy}")
        return
    line = Text.assemble((f"{level:<12}", _COLOURS[level]), (f"{finding.check}: ", "bold"), text)
    console = Console()
    console.print(line)  # between words
    if finding.remedy:  # whole, to be copied
        console.print(Text(f"{'':12}  {remedy}", "dim"), soft_wrap=True)


def _sum_up(found: Sequence[Finding]) -> None:
    counts = {name: sum(each.level.value == name for each in found) for name in _COLOURS}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    click.echo(f"ldapdb check: {said}", err=True)

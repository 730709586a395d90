"""The command ``ldapdb whatif``: who would gain and who would lose what by an LDIF."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ldapdb.cli.options import (
    FAILED,
    MISUSED,
    example,
    loaded_settings,
    telling_slowness,
    with_forms,
    with_timeout,
)
from ldapdb.cli.output import Form, counted, policy_fields, print_json, print_table
from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from ldapdb.syntaxes import said_time
from ldapdb.wellformed import escaped, one_line

if TYPE_CHECKING:
    from ldapdb.store.effects import Effect, Effects, Windows

__all__ = ["whatif"]

_NOBODY, _UNTOLD = FAILED, MISUSED


@click.command(epilog=example("ldapdb whatif change.ldif"))
@click.argument("file", type=click.File("rb"))
@with_timeout
@with_forms
def whatif(*, file: BinaryIO, timeout: int, form: Form) -> None:
    """Say who would gain and who would lose what if an LDIF were applied.

    FILE has change records as ldapmodify takes them, or entries; - is the standard input. It is
    not applied. One line for each application that somebody would gain, lose, or have at other
    times; a licence is never printed.

    Exit code: 0 somebody, 1 nobody, 2 it cannot be told, or the LDIF cannot be read or does not
    fit the directory, 3 no server answered.
    """
    from ldapdb.protocol.ldif import parse  # noqa: PLC0415 -- few commands read LDIF
    from ldapdb.store.effects import effects_of  # noqa: PLC0415 -- as above

    given = {"operation_timeout_seconds": timeout}
    settings = loaded_settings(**given)
    try:
        with telling_slowness(settings, given):
            found = effects_of(settings, parse(file.read()))
    except DirectoryUnavailable:
        raise
    except LDAPDBError as error:
        click.echo(f"ldapdb: {one_line(str(error))}", err=True)
        raise click.exceptions.Exit(_UNTOLD) from error
    _print(found, form)
    for text in (*found.notes, *found.doubts):
        click.echo(f"ldapdb: {one_line(text)}", err=True)
    counts = Counter(effect.kind for effect in found.effects)
    said = ", ".join(f"{counts[kind]} {kind}" for kind in ("granted", "revoked", "changed"))
    click.echo(
        f"{said}; {counted(found.looked_at, 'user')} looked at; nothing was changed", err=True
    )
    if found.doubts:
        raise click.exceptions.Exit(_UNTOLD)
    if not found.effects:
        raise click.exceptions.Exit(_NOBODY)


def _print(found: Effects, form: Form) -> None:
    if form.as_json:
        print_json(_all_fields(found))
    elif form.as_csv:
        columns = ("CHANGE", "USER", "IMAGE", "BEFORE", "AFTER", "GRANTS")
        print_table(columns, [_row(effect) for effect in found.effects], form=form)
    else:
        for effect in found.effects:
            click.echo(escaped(_line(effect)))


def _row(effect: Effect) -> tuple[str, ...]:
    grants = "; ".join(map(str, effect.grants))
    times = ("" if not each else _times(each) for each in (effect.before, effect.after))
    return effect.kind, effect.user.name, effect.image, *times, grants


def _line(effect: Effect) -> str:
    grants = "; ".join(map(str, effect.grants))
    when = ""
    if effect.kind == "changed":
        when = f" {_times(effect.after)}, and not {_times(effect.before)}"
    elif effect.after and _times(effect.after) != "always":
        when = f" {_times(effect.after)}"
    return f"{effect.kind} {effect.user.name} {effect.image}{when} ({grants})"


def _times(windows: Windows) -> str:
    parts = []
    for window in windows:
        begin = "" if window.not_before is None else f"from {said_time(window.not_before)}"
        end = "" if window.not_after is None else f"until {said_time(window.not_after)}"
        parts.append(f"{begin} {end}".strip() or "always")
    return " and ".join(parts) or "at any time"


def _all_fields(found: Effects) -> dict[str, Any]:
    return {
        "effects": list(map(_fields, found.effects)),
        "notes": list(found.notes),
        "doubts": list(found.doubts),
        "looked_at": found.looked_at,
    }


def _fields(effect: Effect) -> dict[str, Any]:
    policy = policy_fields(effect.policy)
    del policy["app_license"]  # it would end up in logs
    return {
        "change": effect.kind,
        "user": effect.user.name,
        "user_id": None if effect.mapping_id is None else effect.user.id,
        "image": effect.image,
        "policy": policy,
        "id": effect.mapping_id,
        "grants": [str(dn) for dn in effect.grants],
        "before": _window_fields(effect.before),
        "after": _window_fields(effect.after),
    }


def _window_fields(windows: Windows) -> list[dict[str, Any]]:
    return [
        {
            name: None
            if moment is None
            else said_time(moment).replace(" UTC", "Z").replace(" ", "T")
            for name, moment in (("not_before", each.not_before), ("not_after", each.not_after))
        }
        for each in windows
    ]

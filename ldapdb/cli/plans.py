"""``--dry-run`` and ``--ldif``: what a command would change, printed instead of changed."""

from __future__ import annotations

import base64
import contextlib
import functools
import shlex
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, Union

import click

from ldapdb.cli.options import loaded_settings, opened_store, telling_slowness
from ldapdb.cli.output import HIDDEN, Form, print_json
from ldapdb.entries import DESCRIPTION, LICENSE
from ldapdb.protocol.dn import DN
from ldapdb.wellformed import escaped, one_line

if TYPE_CHECKING:
    from ldapdb.protocol.ldif import Change
    from ldapdb.store import Store
    from ldapdb.store.planning import PlannedStore

__all__ = ["Plan", "print_plan", "with_plan", "writing"]

_SECRET = frozenset({LICENSE.lower(), "unicodepwd", "userpassword"})


class Plan(Enum):
    """Whether a command makes its changes, or tells them."""

    NONE = "make them"
    WORDS = "print them in words"
    LDIF = "print them as LDIF"


def with_plan(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--dry-run`` and ``--ldif``; the command gets them as `plan`, for :func:`writing`."""
    options = (
        click.option(
            "--dry-run", is_flag=True, help="Print what would be changed; change nothing."
        ),
        click.option(
            "--ldif",
            "as_ldif",
            is_flag=True,
            help="Print the change as LDIF, for ldapmodify; change nothing. Licences are in it.",
        ),
    )

    @functools.wraps(command)
    def add_plan(*, dry_run: bool, as_ldif: bool, **rest: Any) -> Any:
        if dry_run and as_ldif:
            raise click.UsageError("--dry-run and --ldif are two forms; choose one")
        form = rest.get("form", Form(as_json=rest.get("as_json", False)))
        if as_ldif and (form.as_json or form.as_csv):
            raise click.UsageError("--ldif, --json and --csv are forms; choose one")
        if dry_run and form.as_csv:
            raise click.UsageError("--dry-run prints words, or --json; drop --csv")
        plan = Plan.LDIF if as_ldif else Plan.WORDS if dry_run else Plan.NONE
        return command(plan=plan, **rest)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), add_plan)


@contextlib.contextmanager
def writing(plan: Plan, **settings: Any) -> Iterator[Store]:
    """Open the store for a command that writes; what is given of settings goes first.

    Where a plan is asked for, nothing is written; at the end of the block the plan is printed
    and the command is over, so that what it would say of changes made is not said.
    """
    if plan is Plan.NONE:
        with opened_store(**settings) as store:
            yield store
        return
    from ldapdb.store.planning import PlannedStore  # noqa: PLC0415 -- few commands plan

    if plan is Plan.LDIF:  # whoever applies it may write
        settings = {**settings, "read_only": False}
    planned = PlannedStore(loaded_settings(**settings))
    try:
        with telling_slowness(planned.settings, settings):
            yield planned
        print_plan(planned, plan)
    finally:
        planned.close()
    raise click.exceptions.Exit(0)


def print_plan(store: PlannedStore, plan: Plan) -> None:
    """Print what a store would change: data on standard output, doubts on standard error."""
    context = click.get_current_context()
    changes = store.changes
    if plan is Plan.LDIF:
        from ldapdb.protocol.ldif import write  # noqa: PLC0415 -- as above

        servers = " ".join(store.settings.write_uris)
        click.echo(write(changes, f"{context.command_path}, for {servers}"), nl=False)
    elif context.params.get("as_json"):
        print_json(list(map(_fields, changes)))
    else:
        for change in changes:
            click.echo(escaped(_in_words(change)))
    for doubt in store.doubts:
        click.echo(f"ldapdb: {one_line(doubt)}", err=True)
    click.echo(_ending(len(changes)), err=True)


def _ending(count: int) -> str:
    if not count:
        return "there is nothing to change"
    return f"nothing was changed; it would be {count} change{'' if count == 1 else 's'}"


# --- for people


def _in_words(change: Change) -> str:
    from ldapdb.protocol.ldif import Add, Delete, Modify  # noqa: PLC0415 -- as above

    if isinstance(change, Delete):
        return f"delete {change.dn}"
    if isinstance(change, Add):
        said = (_pair(name, values) for name, values in change.attributes.items())
        return f"add {change.dn}: {'; '.join(said)}"
    if isinstance(change, Modify):
        steps = (
            f"{step.operation.value} {_pair(step.attribute, step.values)}" for step in change.steps
        )
        return f"modify {change.dn}: {'; '.join(steps)}"
    return f"rename {change.dn} to {change.new_dn}"


def _pair(name: str, values: Iterable[bytes]) -> str:
    return " ".join([name, ", ".join(map(str, _shown(name, values)))]).rstrip()


# --- for programs


def _fields(change: Change) -> dict[str, Any]:
    from ldapdb.protocol.ldif import Add, Delete, Modify  # noqa: PLC0415 -- as above

    fields: dict[str, Any] = {"dn": str(change.dn)}
    if isinstance(change, Delete):
        return {**fields, "changetype": "delete"}
    if isinstance(change, Add):
        attributes = {name: _shown(name, values) for name, values in change.attributes.items()}
        return {**fields, "changetype": "add", "attributes": attributes}
    if isinstance(change, Modify):
        steps = [
            {
                "operation": step.operation.value,
                "attribute": step.attribute,
                "values": _shown(step.attribute, step.values),
            }
            for step in change.steps
        ]
        return {**fields, "changetype": "modify", "modifications": steps}
    superior = None if change.superior is None else str(change.superior)
    return {
        **fields,
        "changetype": "modrdn",
        "newrdn": str(DN((change.rdn,))),
        "deleteoldrdn": change.deletes_old,
        "newsuperior": superior,
    }


def _shown(name: str, values: Iterable[bytes]) -> list[Union[str, dict[str, str]]]:
    """Give values the form in which they are printed: without licences and passwords."""
    attribute = name.lower().partition(";")[0]
    if attribute in _SECRET:
        return [HIDDEN for _ in values]
    return [_text(attribute, value) for value in values]


def _text(attribute: str, value: bytes) -> Union[str, dict[str, str]]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
    if attribute != DESCRIPTION.lower() or "license=" not in text.lower():
        return text
    # A line of a directory without our schema.
    try:
        words = shlex.split(text)
    except ValueError:
        return HIDDEN
    shown = (
        f"{word.partition('=')[0]}={HIDDEN}" if word.lower().startswith("license=") else word
        for word in words
    )
    return " ".join(shown)

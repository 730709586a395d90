"""The reference, made from the code: a page of all commands, one of the schema, the manual page.

``python -m support.reference`` writes the manual page, docs/ldapdb.1; .ci/site.py makes the
other two when the site is built.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from ldapdb.cli import main
from ldapdb.settings import ENVIRONMENT_PREFIX, Settings

__all__ = ["MANUAL", "commands_page", "manual_page", "schema_page"]

_ROOT = Path(__file__).resolve().parents[2]
MANUAL = _ROOT / "docs" / "ldapdb.1"
_VERBATIM = "\b"  # click's mark for a paragraph that keeps its lines
_EXIT_CODES = (
    ("0", "done, also where there was nothing to do, such as to remove what is not there"),
    ("1", "failed: not there, exists already, no right, held through a group"),
    ("2", "misused: an argument or a setting is wrong"),
    ("3", "no server answered"),
)


class Command(NamedTuple):
    """A command, in words."""

    name: str
    arguments: str
    paragraphs: list[str]
    options: list[tuple[str, str]]
    example: str


def _commands(group: Any = main, path: str = "ldapdb") -> Iterator[Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        elif not command.hidden:
            yield _described(command, f"{path} {name}")


def _described(command: click.Command, name: str) -> Command:
    arguments = [_argument(each) for each in command.params if isinstance(each, click.Argument)]
    help_text = inspect.cleandoc(command.help or "").replace("\f", "")
    example = (command.epilog or "").partition("Example: ")[2]
    paragraphs = help_text.split("\n\n")
    return Command(name, " ".join(arguments), paragraphs, _options(command), example)


def _options(command: click.Command) -> list[tuple[str, str]]:
    return [
        (_spelled(each), _explained(each))
        for each in command.params
        if isinstance(each, click.Option) and not each.hidden
    ]


def _argument(argument: click.Argument) -> str:
    if argument.metavar and argument.metavar.startswith("["):
        return argument.metavar
    text = argument.metavar or _kind(argument.type) or (argument.name or "").upper()
    many = "..." if argument.nargs == -1 else ""
    return f"{text}{many}" if argument.required else f"[{text}{many}]"


def _spelled(option: click.Option) -> str:
    names = ", ".join(option.opts) + "".join(f" / {each}" for each in option.secondary_opts)
    if option.is_flag or option.count:
        return names
    return f"{names} {option.metavar or _kind(option.type) or option.type.name.upper()}"


def _kind(kind: Any) -> str:
    return "{" + "|".join(map(str, kind.choices)) + "}" if isinstance(kind, click.Choice) else ""


def _explained(option: click.Option) -> str:
    text = option.help or ""
    if option.show_default and option.secondary_opts:
        text += f" Default: {(option.opts if option.default else option.secondary_opts)[0]}."
    elif option.show_default:
        text += f" Default: {option.default}."
    return " ".join(text.split())


def commands_page() -> str:
    """Write the page of all commands."""
    lines = [
        "# Commands",
        "",
        "All commands of this release, made from their help. What comes before a command:",
        "",
        *_option_table(_options(main)),
        "",
        "| exit code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in _EXIT_CODES),
    ]
    lines += [
        "",
        "With `--csv`, cells are as the directory has them. Import them into a spreadsheet as",
        "text: it would take one that begins with `=`, `+`, `-` or `@` for a formula.",
    ]
    for command in _commands():
        lines += ["", f"## {command.name.partition(' ')[2]}", ""]
        lines += ["```text", f"{command.name} [OPTIONS] {command.arguments}".rstrip(), "```"]
        for paragraph in command.paragraphs:
            if paragraph.startswith(_VERBATIM):
                lines += ["", "```text", *paragraph.splitlines()[1:], "```"]
            else:
                lines += ["", _escaped(" ".join(paragraph.split()))]
        lines += ["", *_option_table(command.options)] if command.options else []
        lines += ["", f"Example: `{command.example}`"]
    return "\n".join([*lines, ""])


def _option_table(options: list[tuple[str, str]]) -> list[str]:
    rows = [
        f"| `{name.replace('|', chr(92) + '|')}` | {_escaped(text)} |" for name, text in options
    ]
    return ["| option | what it does |", "|---|---|", *rows]


def _escaped(text: str) -> str:
    return re.sub(r"([<>|*_\[\]])", r"\\\1", text)


def schema_page() -> str:
    """Write the page of the schema, from what OpenLDAP loads."""
    text = (_ROOT / "ldif" / "openldap" / "schema.ldif").read_text(encoding="utf-8")
    text = re.sub(r"\n(?: |#.*\n)", " ", re.sub(r"\n#.*", "", text))
    lines = [
        "# Schema",
        "",
        "Made from `ldif/openldap/schema.ldif`; the files of the other directories say the same,",
        "which a test compares. [README](../../README.md#the-schema) says what each is for.",
        "",
        "| attribute | what it has | values | syntax | OID |",
        "|---|---|---|---|---|",
    ]
    for found in re.finditer(r"^olcAttributeTypes: (.*)$", text, re.MULTILINE):
        oid, name, words = _definition(found[1])
        syntax = re.search(r"SYNTAX ([\d.]+)", found[1])
        values = "one" if "SINGLE-VALUE" in found[1] else "one or more"
        lines.append(
            f"| `{name}` | {_escaped(words)} | {values} | {syntax[1] if syntax else ''} | {oid} |"
        )
    lines += ["", "| class | what it is | kind | must have | may have | OID |"]
    lines.append("|---|---|---|---|---|---|")
    for found in re.finditer(r"^olcObjectClasses: (.*)$", text, re.MULTILINE):
        oid, name, words = _definition(found[1])
        kind = "auxiliary" if "AUXILIARY" in found[1] else "structural"
        must, may = (_listed(found[1], each) for each in ("MUST", "MAY"))
        lines.append(f"| `{name}` | {_escaped(words)} | {kind} | {must} | {may} | {oid} |")
    return "\n".join([*lines, ""])


def _definition(text: str) -> tuple[str, str, str]:
    found = re.match(r"\(\s*([\d.]+)\s+NAME\s+'(\w+)'\s+DESC\s+'([^']*)'", text)
    assert found is not None, text
    oid, name, words = found.groups()
    return oid, name, " ".join(words.split())


def _listed(text: str, keyword: str) -> str:
    found = re.search(rf"\b{keyword}\s+(?:\(([^)]*)\)|(\w+))", text)
    names = re.findall(r"\w+", (found[1] or found[2]) if found else "")
    return ", ".join(f"`{name}`" for name in names)


def manual_page() -> str:
    """Write the manual page (groff_man(7))."""
    lines = [
        '.\\" Made from the help of the commands by: make man',
        '.TH LDAPDB 1 2026-11-24 ldapdb "User Commands"',
        ".SH NAME",
        "ldapdb \\- see and change who may start which application, in the directory",
        ".SH SYNOPSIS",
        ".B ldapdb",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
        ".SH OPTIONS",
        *_items(_options(main)),
        ".SH COMMANDS",
    ]
    for command in _commands():
        lines.append(f'.SS "{_roff(f"{command.name} {command.arguments}".rstrip())}"')
        for number, paragraph in enumerate(command.paragraphs):
            lines += [".PP"] if number else []
            if paragraph.startswith(_VERBATIM):
                lines += [".nf", *map(_roff, paragraph.splitlines()[1:]), ".fi"]
            else:
                lines.append(_roff(" ".join(paragraph.split())))
        lines += _items(command.options)
        lines += [".PP", f"Example: \\fB{_roff(command.example)}\\fR"]
    lines += [".SH EXIT STATUS", *_items(list(_EXIT_CODES)), ".SH ENVIRONMENT"]
    lines.append(
        "Each setting may be given in a variable of its name. These and the files that settings "
        "may stand in are described in docs/settings.md."
    )
    lines += _items(
        [
            (f"{ENVIRONMENT_PREFIX}{name.upper()}", field.description or "")
            for name, field in Settings.model_fields.items()
        ]
    )
    return "\n".join([*lines, ""])


def _items(items: list[tuple[str, str]]) -> list[str]:
    return [line for name, text in items for line in (".TP", f"\\fB{_roff(name)}\\fR", _roff(text))]


def _roff(text: str) -> str:
    """Escape text, so that nothing in it is an instruction."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace('"', "\\(dq")
    return re.sub(r"^\.", r"\\&.", text)


if __name__ == "__main__":
    MANUAL.write_text(manual_page(), encoding="utf-8")

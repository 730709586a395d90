"""Completion of command lines in bash, zsh and fish: of images, users, profiles and settings.

Whatever goes wrong while somebody types, there is no completion and no word on the terminal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from ldapdb.cli.options import example, loaded_settings
from ldapdb.errors import LDAPDBError
from ldapdb.settings import Settings
from ldapdb.settings.sources import list_profiles
from ldapdb.store import Store

__all__ = [
    "complete_images",
    "complete_profiles",
    "complete_settings",
    "complete_users",
    "completion",
]

_SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_LDAPDB_COMPLETE"
# Longer, and whoever types takes the terminal for dead.
_DEADLINE_SECONDS = 1
_MOST_USERS = 50
# What bash puts into a line as it is, and takes for one word: a name that somebody else has
# chosen must not become a command. What is longer or stranger is typed by hand.
_ONE_WORD = re.compile(r"[\w@%+=:,./-]{1,250}")
_SETTINGS = {
    "connect_timeout_seconds": _DEADLINE_SECONDS,
    "operation_timeout_seconds": _DEADLINE_SECONDS,
    "read_only": True,
    "watch": False,
}
_Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _silently(complete: Callable[[str], list[str]]) -> _Completer:
    """Make what is found of a beginning into completions, and errors into none."""

    def completer(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        del parameter
        before = logging.root.manager.disable
        logging.disable()
        try:
            with context.scope(cleanup=False):
                found = complete(incomplete)
        except (LDAPDBError, OSError):
            return []
        finally:
            logging.disable(before)
        return [
            CompletionItem(each)
            for each in found
            if each.startswith(incomplete) and _ONE_WORD.fullmatch(each)
        ]

    return completer


def _images(incomplete: str) -> list[str]:
    del incomplete
    with contextlib.closing(Store(loaded_settings(**_SETTINGS))) as store:
        return sorted(each.image for each in store.list_applications())


def _users(incomplete: str) -> list[str]:
    with contextlib.closing(Store(loaded_settings(**_SETTINGS))) as store:
        found = store.list_users_starting_with(incomplete, _MOST_USERS)
    # As it is typed, where the directory spells it otherwise. Who was found by a name that he
    # has besides, such as his address, is not called so.
    typed = incomplete.lower()
    return sorted(
        incomplete + each.name[len(incomplete) :]
        for each in found
        if each.name.lower().startswith(typed)
    )


def _profiles(incomplete: str) -> list[str]:
    del incomplete
    return list_profiles(click.get_current_context().find_root().params.get("config_file"))


def _settings(incomplete: str) -> list[str]:
    del incomplete
    return list(Settings.model_fields)


complete_images = _silently(_images)
complete_users = _silently(_users)
complete_profiles = _silently(_profiles)
complete_settings = _silently(_settings)


class _BashComplete(BashComplete):
    """Completion of words with a colon in them, as images have.

    bash breaks words at colons (COMP_WORDBREAKS) and puts a completion in the place of what is
    behind the last one. So the line is split here, and the part before is left out again.
    """

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" \
COMP_WORDBREAKS="$COMP_WORDBREAKS" %(complete_var)s=bash_complete "$1" 2>/dev/null))
    if [[ ${COMPREPLY[0]} == @files ]]; then
        COMPREPLY=()
        compopt -o default
    fi
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def source(self) -> str:
        """Return the script, without a look at which bash there is."""
        return str(self.source_template % self.source_vars())

    def get_completion_args(self) -> tuple[list[str], str]:
        """Split the line up to the cursor into whole words and the one that is being typed."""
        line = os.environ["COMP_LINE"].encode()[: int(os.environ["COMP_POINT"])]
        text = line.decode(errors="replace")
        words = split_arg_string(text)
        incomplete = "" if text[-1:].isspace() else words.pop()
        breaks = [mark for mark in ":=" if mark in os.environ["COMP_WORDBREAKS"]]
        self._cut = max(incomplete.rfind(mark) for mark in breaks) + 1 if breaks else 0
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Write a completion, or that the shell itself is to complete a file."""
        return "@files" if item.type in ("file", "dir") else str(item.value)[self._cut :]


add_completion_class(_BashComplete)


@click.command(epilog=example("ldapdb completion bash"))
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(*, shell: str) -> None:
    """Print the script by which a shell completes our command lines.

    Images and user names are completed too, from the directory that the settings name. bash must
    be 4.4 or newer. To have it in each new shell:

    \b
    bash:  ldapdb completion bash > ~/.local/share/bash-completion/completions/ldapdb
    zsh:   echo 'eval "$(ldapdb completion zsh)"' >> ~/.zshrc
    fish:  ldapdb completion fish > ~/.config/fish/completions/ldapdb.fish
    """  # noqa: D301 -- click's mark for lines that stay is the character itself
    complete: Any = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    click.echo(complete(root, {}, "ldapdb", _VARIABLE).source())

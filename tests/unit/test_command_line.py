"""What the command line says of a line that is wrong, and what every command has."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

click = pytest.importorskip("click", reason="the command line's libraries are an extra")

from ldapdb.cli import main, options, run  # noqa: E402 -- needs click
from ldapdb.cli.completion import complete_images, complete_users  # noqa: E402 -- as above
from ldapdb.errors import DeadlineExceeded, LDAPDBError  # noqa: E402 -- as above
from ldapdb.model import Grant, Policy, User  # noqa: E402 -- as above
from ldapdb.protocol.dn import DN  # noqa: E402 -- as above
from ldapdb.protocol.ldif import Delete  # noqa: E402 -- as above
from ldapdb.settings import load  # noqa: E402 -- as above
from ldapdb.store.checking.findings import problem  # noqa: E402 -- as above
from ldapdb.store.linting_members import Complaint  # noqa: E402 -- as above
from ldapdb.store.outcomes import Listed, Revoked  # noqa: E402 -- as above


def visited(
    command: Any = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield every command and group, with its name."""
    yield command, path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from visited(command.get_command(context, name), (*path, name))


COMMANDS = list(visited())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("explian", "no such command 'explian'; did you mean 'explain'? See `ldapdb --help`"),
        ("app grnat x y", "no such command 'grnat'; did you mean 'grant'? See `ldapdb app --help`"),
        ("grant a b", "no such command 'grant'; did you mean 'app grant'? See `ldapdb --help`"),
        ("list", "no such command 'list'; did you mean 'app list' or 'user list'? See `ldapdb -"),
        ("zzz", "no such command 'zzz'; see `ldapdb --help`"),
        ("app grant", "missing argument 'IMAGE'; see `ldapdb app grant --help`"),
        ("app rename a b --settle nan", "invalid value for '--settle': 'nan' is no"),
        ("app list x", "got unexpected extra argument (x); see `ldapdb app list --help`"),
        (
            "app list --csv --json",
            "--json and --csv are two forms; choose one; see `ldapdb app list",
        ),
        ("'a\nb'", "no such command 'a\\nb'; see `ldapdb --help`"),
    ],
)
def test_a_wrong_line_is_answered_in_one(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong, what may have been meant, and where to read more."""
    assert run(shlex.split(line)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"ldapdb: {said}"), printed.err
    assert printed.err.count("\n") == 1


def test_a_mistyped_option_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["app", "grant", "x", "y", "--allow-hoem"]) == 2
    printed = capsys.readouterr().err
    assert "did you mean '--allow-home'" in printed
    assert printed.count("\n") == 1


def test_what_is_no_image_is_no_question_for_docker(capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever no engine runs, and no directory is named, it is still the image that is wrong."""
    assert run(["app", "create", "NOT AN IMAGE"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("ldapdb: the image 'NOT AN IMAGE' is not a Docker reference")


@pytest.mark.parametrize(("command", "path"), COMMANDS)
def test_no_help_prints_its_marks(command: Any, path: tuple[str, ...]) -> None:
    """What keeps a paragraph's lines is a character to click, and no text."""
    text = command.get_help(click.Context(command, info_name=" ".join(path)))
    assert "\\b" not in text
    assert "\b" not in text


def test_no_command_at_all_is_answered_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    run([])
    printed = capsys.readouterr()
    assert "Example: ldapdb" in printed.out + printed.err


@pytest.mark.parametrize(
    ("group", "path"),
    [each for each in COMMANDS if isinstance(each[0], click.Group)],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_every_group_suggests(
    group: Any, path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in group.list_commands(click.Context(group)):
        run([*path, f"{name}x"])
        assert "did you mean" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "path"),
    [each for each in COMMANDS if not isinstance(each[0], click.Group)],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_every_command_completes_images_and_users(command: Any, path: tuple[str, ...]) -> None:
    """Only a new image is not completed: the directory does not have it yet."""
    completers = {"image": complete_images, "images": complete_images, "user_name": complete_users}
    completers["users"] = complete_users
    for parameter in command.params:
        wanted = completers.get(parameter.name)
        if isinstance(parameter, click.Argument) and wanted and path != ("app", "create"):
            assert parameter._custom_shell_complete is wanted, (path, parameter.name)


# What is printed for no program, and in no table.
WITHOUT_JSON = {"completion"}  # a script for a shell
WITHOUT_CSV = {
    *WITHOUT_JSON,
    *("app create", "app remove", "app rename", "init", "demo"),  # a value, or a list of one
    "import",  # what is read in the form of a CSV file; its plan is words
    "user show",  # what the host is told, as JSON alone
    "watch",  # an object a line, as it happens
}


@pytest.mark.parametrize(
    ("option", "without"),
    [("--json", WITHOUT_JSON), ("--csv", WITHOUT_CSV)],
    ids=["JSON", "CSV"],
)
def test_what_is_printed_is_there_for_programs(option: str, without: set[str]) -> None:
    """JSON from every command that prints data, CSV from every one that prints a table."""
    lacking = {
        " ".join(path)
        for command, path in COMMANDS
        if not isinstance(command, click.Group)
        and not any(option in each.opts for each in command.params)
    }
    assert lacking == without


@pytest.mark.parametrize("more", ["--timeout", "operation_timeout_seconds"])
def test_what_is_too_slow_says_how_far_it_came_and_what_gives_more_time(
    more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "answers", lambda _: True)
    settings = load(uri="ldap://localhost", base_dn="dc=example")
    given = ["operation_timeout_seconds"] if more == "--timeout" else []
    slow = DeadlineExceeded("too slow; raise operation_timeout_seconds; granted before: 1 of 3")
    telling = options.telling_slowness(settings, given)
    with (
        pytest.raises(LDAPDBError, match=f"; raise {more}; granted before: 1 of 3") as met,
        telling,
    ):
        raise slow
    assert not isinstance(met.value, DeadlineExceeded)


@pytest.mark.parametrize("command", ["export", "report"])
def test_a_form_is_chosen_once(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the same words in both commands."""
    for option in ("--to", "--format"):
        assert run([command, option, "csv", "--json"]) == 2
        assert "csv and json are forms; choose one" in capsys.readouterr().err
    assert run([command, "--csv", "--json"]) == 2


def test_tables_of_settings_have_all_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "--csv"]) == 0
    table = capsys.readouterr().out
    assert table.startswith("SETTING,DEFAULT,WHAT IT IS\r\n")
    assert '"How applications and grants are written: remoteapp, with' in table


def test_single_settings_are_listed_and_a_wrong_name_is_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["settings", "watch", "page_size", "--csv", "--no-decoration"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        "page_size",
        "watch",
    ]
    assert run(["settings", "pagesize"]) == 2
    assert capsys.readouterr().err == (
        "ldapdb: unknown setting 'pagesize' in the command line; did you mean 'page_size'?\n"
    )


def test_settings_are_completed() -> None:
    from click.shell_completion import ShellComplete

    found = ShellComplete(main, {}, "ldapdb", "").get_completions(["settings"], "cache_t")
    assert [each.value for each in found] == ["cache_ttl_seconds"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_remedy_is_printed_whole_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """A server's own words are in it, such as whom it takes us for."""
    from ldapdb.cli.check import _print

    _print(problem("account", "ldap://x", "refused", f"ldapwhoami -D '\x1b[2Jx\n{'y' * 2_000}'"))
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [f"\tremedy\tldapwhoami -D '\\x1b[2Jx\\n{'y' * 2_000}'"]


def test_output_that_cannot_be_written_is_one_line() -> None:
    """And a reader that has read enough is no error to speak of."""
    program = [sys.executable, "-m", "ldapdb", "settings"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ldapdb: [Errno 28] ")
    assert done.stderr.count("\n") == 1
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as broken:
        done = subprocess.run(
            program, stdout=broken, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "write it by --output review.html"),
        ("--output r.pdf", "r.pdf ends like none of the forms html, csv, json"),
    ],
)
def test_a_review_is_no_page_on_a_terminal_and_no_other_file_than_its_name_says(
    options: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the directory is asked."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["report", *options.split()]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["\n", "n\n"])
def test_a_no_changes_nothing_and_says_so(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no interrupt."""
    from ldapdb.cli.lint import _mend

    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    complaint = Complaint("expired", "cn=x", "", Delete(DN.parse("cn=x")))
    assert _mend(cast("Any", None), [complaint], sure=False) == [complaint]
    said = capsys.readouterr().err
    # Not every release of click writes the space after it.
    assert said.partition("Make 1 change? [y/N]:")[2].lstrip() == "nothing was changed\n"


def test_what_somebody_has_in_the_place_of_what_was_to_be_revoked_is_said() -> None:
    from ldapdb.cli.grants import _not_had

    alice = User(1, "alice", DN.parse("uid=alice"))
    others = (Policy.of(allow_home=True), Policy.of(volume="/a:/b:ro"))
    assert _not_had(Revoked("a/b:1", alice, (), others=others), revoke_all=False) == (
        "alice did not have a/b:1 under that policy, and nothing was revoked; has it under: home; "
        "volume /a:/b:ro (--all takes it under any)"
    )
    assert _not_had(Revoked("a/b:1", alice, ()), revoke_all=True) == "alice did not have a/b:1"


def test_what_goes_along_with_an_application_is_counted() -> None:
    from ldapdb.cli.app import _along

    grant = Grant(DN.parse("cn=g"), ("a/b:1",), Policy())
    said = [_along("a/b:1", [Listed(grant, 1)]), _along("a/b:1", [Listed(grant, 2)] * 2)]
    assert said == [
        "1 grant of a/b:1 goes with it, to 1 user or group",
        "2 grants of a/b:1 go with it, to 4 users and groups",
    ]

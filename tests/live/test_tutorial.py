"""The tutorial: each of its commands, in its order, prints what the page shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.browser import Browser
from support.waiting import eventually

pytestmark = [
    pytest.mark.live("openldap", reason="the tutorial's directory is that of `ldapdb demo`"),
    pytest.mark.slow,
]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
STARTS = ". ./.cache/env.sh && ldapdb demo --keep\n"
ENDS = "\n  ldapdb user show alice\n"
SERVES = "python tests/standin/home_page.py "
GRANTS = r"ldapdb app grant \S+ carol --allow-home\n"
PATIENCE_SECONDS = 60
# The `ldapdb` that is tested, whatever PATH has.
COMMANDS = f"""ldapdb() {{ "{sys.executable}" -m ldapdb "$@"; }}
python() {{ "{sys.executable}" "$@"; }}
"""


def blocks() -> list[tuple[str, str]]:
    """List the page's commands, each with the output that is shown behind it."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert {kind for kind, _ in found} == {"sh", "text"}
    assert [kind for kind, _ in found[::2]] == ["sh"] * (len(found) // 2)
    assert [kind for kind, _ in found[1::2]] == ["text"] * (len(found) // 2)
    return [(command, output) for (_, command), (_, output) in zip(found[::2], found[1::2])]


def as_shown(shown: str) -> str:
    """Turn what the page shows into a pattern: … is anything within a line."""
    return ".*".join(map(re.escape, shown.split("…")))


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    """Keep the demo's directory, as the first terminal does; give what it printed."""
    said = tmp_path / "said"
    with said.open("w") as output:
        program = subprocess.Popen(
            [sys.executable, "-m", "ldapdb", "demo", "--keep"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        )
    try:
        ends = time.monotonic() + PATIENCE_SECONDS
        while not said.read_text().endswith(f"{ENDS}\n"):
            assert program.poll() is None, said.read_text()
            assert time.monotonic() < ends, said.read_text()
            time.sleep(0.05)
        yield said.read_text()
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(20)


class Reader:
    """Somebody who follows the page: a shell with the first terminal's variables.

    Parameters
    ----------
    exports : str
        The lines that the page says to paste.
    """

    def __init__(self, exports: str) -> None:
        self._before = f"{COMMANDS}{exports}"
        self._others = ExitStack()

    def run(self, command: str) -> str:
        """Run a block of the page; return what it prints."""
        if command.startswith(SERVES):
            return self._serve(command)
        done = subprocess.run(
            ["bash", "-c", f"{self._before}{command}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def _serve(self, command: str) -> str:
        """Start what runs until Ctrl-C, as in the third terminal; return its first line."""
        program = subprocess.Popen(
            ["bash", "-c", f"{self._before}{command}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._others.enter_context(program)
        self._others.callback(os.killpg, program.pid, signal.SIGINT)
        assert program.stdout is not None
        return program.stdout.readline()

    def close(self) -> None:
        """End what was started."""
        self._others.close()


@pytest.fixture
def reader(demo: str) -> Iterator[Reader]:
    exports = "".join(re.findall(r"^  (export .*\n)", demo, re.MULTILINE))
    following = Reader(exports)
    yield following
    following.close()


def test_each_command_of_the_tutorial_prints_what_the_page_shows(demo: str, reader: Reader) -> None:
    (first, printed), *rest = blocks()
    assert first == STARTS
    assert printed.endswith(ENDS)
    assert re.search(as_shown(printed), demo)
    assert len(rest) > 14
    for command, shown in rest:
        said = reader.run(command)
        assert re.fullmatch(as_shown(shown), said), f"{command}\n{said}"


def test_what_the_tutorial_grants_is_in_sight_of_a_browser(
    reader: Reader, browser: Browser
) -> None:
    """On a page that asks what the host's asks: not before the grant, and not after it."""

    def look(address: str) -> list[str]:
        browser.driver.get(address)
        assert browser.driver.title == "Applications of carol"
        return [each.text for each in browser.driver.find_elements("css selector", "nav li")]

    commands = [command for command, _ in blocks()[1:]]
    configures, serves, creates, grants, revokes = (
        next(each for each in commands if re.match(wanted, each))
        for wanted in (
            r"\(umask",
            SERVES,
            "ldapdb app create ",
            GRANTS,
            "ldapdb app revoke .* carol",
        )
    )
    reader.run(configures)
    address = reader.run(serves).split()[0]
    reader.run(creates)
    assert look(address) == []
    reader.run(grants)
    assert eventually(lambda: look(address) == ["simphony/notebook:1.1\nhome directory"])
    reader.run(revokes)
    assert eventually(lambda: look(address) == [])


def test_the_tutorials_pattern_is_strict() -> None:
    """An output that is longer, shorter, or other in a word, is none that is shown."""
    pattern = as_shown("id …\nyes: (carol)\n")
    assert re.fullmatch(pattern, "id 5\nyes: (carol)\n")
    for other in ("id 5\nyes: carol\n", "id 5\nyes: (carol)\nmore\n", "id 5\nno\nyes: (carol)\n"):
        assert not re.fullmatch(pattern, other)

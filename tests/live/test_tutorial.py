"""The tutorial: each of its commands, in its order, prints what the page shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.live("openldap", reason="the tutorial's directory is that of `ldapdb demo`"),
    pytest.mark.slow,
]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
STARTS = ". ./.cache/env.sh && ldapdb demo --keep\n"
ENDS = "\n  ldapdb user show alice\n"
PATIENCE_SECONDS = 60
# The `ldapdb` that is tested, whatever PATH has.
LDAPDB = f'ldapdb() {{ "{sys.executable}" -m ldapdb "$@"; }}\n'


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


def test_each_command_of_the_tutorial_prints_what_the_page_shows(demo: str) -> None:
    (first, printed), *rest = blocks()
    assert first == STARTS
    assert printed.endswith(ENDS)
    assert re.search(as_shown(printed), demo)
    exports = "".join(re.findall(r"^  (export .*\n)", demo, re.MULTILINE))
    assert len(rest) > 12
    for command, shown in rest:
        done = subprocess.run(
            ["bash", "-c", f"{LDAPDB}{exports}{command}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert re.fullmatch(as_shown(shown), done.stdout), f"{command}\n{done.stdout}"


def test_the_tutorials_pattern_is_strict() -> None:
    """An output that is longer, shorter, or other in a word, is none that is shown."""
    pattern = as_shown("id …\nyes: (carol)\n")
    assert re.fullmatch(pattern, "id 5\nyes: (carol)\n")
    for other in ("id 5\nyes: carol\n", "id 5\nyes: (carol)\nmore\n", "id 5\nno\nyes: (carol)\n"):
        assert not re.fullmatch(pattern, other)

"""Processes that run as another user of the machine, as the host's SystemUserSpawner has them."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import pytest

__all__ = ["as_user", "need_root", "tool_as_user"]


def need_root() -> None:
    """Skip a test that becomes other users, where that is not possible; in CI it must be."""
    if os.geteuid() != 0:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("needs root: it runs processes as other users")


def as_user(uid: int, ask: Callable[[], Any]) -> Any:
    """Run a function in a forked child that is somebody else, and return what it returns.

    Parameters
    ----------
    uid : int
        The child's user and its only group.
    ask : callable
        Returns plain data. What it raises fails the test, with its traceback.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _become(uid)
            answer = True, ask()
        except BaseException:
            answer = False, traceback.format_exc()
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    good, answer = pickle.loads(said)
    if not good:
        pytest.fail(f"as user {uid}: {answer}")
    return answer


def _become(uid: int) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def tool_as_user(
    uid: int, uri: str, tool: str, *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run one of OpenLDAP's tools over a socket, logged in as whoever the process is."""
    program = shutil.which(tool)
    assert program is not None
    command: Sequence[str] = [program, "-Q", "-Y", "EXTERNAL", "-H", uri, *arguments]
    return subprocess.run(
        command,
        input=text.encode(),
        capture_output=True,
        check=False,
        user=uid,
        group=uid,
        extra_groups=[],
    )

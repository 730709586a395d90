"""A headless Chromium for tests: it sees what a person would, and is asked by WebDriver.

It runs in the small Debian that ``.ci/prepare browser`` unpacked, with a folder of its own as
``/tmp``, and knows no host but this machine. The source of what is asked is the W3C's
WebDriver, https://www.w3.org/TR/webdriver2/.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest
from servers.machine import CHECKOUT, Namespace

from ldapdb.errors import LDAPDBError
from support.waiting import eventually

if TYPE_CHECKING:
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.remote.webdriver import WebDriver

__all__ = ["Browser", "browser", "browser_at", "missing_browser"]

ROOT = CHECKOUT / ".cache" / "browser"
_PROGRAM = "/usr/bin/chromium-headless-shell"
_DRIVER = "/usr/bin/chromedriver"
# With the full stop: the line may come in parts.
_STARTED = re.compile(r"was started successfully on port (\d+)\.")
_START_SECONDS = 30.0
_TRIES = 5
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--user-data-dir=/tmp/profile",
)


class Browser:
    """A browser with one page.

    Parameters
    ----------
    driver : WebDriver
        Does what a person does.
    folder : Path
        What the browser has as ``/tmp``.
    """

    def __init__(self, driver: WebDriver, folder: Path) -> None:
        self.driver = driver
        self.folder = folder

    def open_file(self, page: Path) -> None:
        """Open a file of this machine."""
        inside = self.folder / "pages" / page.name
        inside.parent.mkdir(exist_ok=True)
        inside.write_bytes(page.read_bytes())
        self.driver.get(f"file:///tmp/pages/{page.name}")

    def messages(self) -> list[str]:
        """Take what the console has said since this was last asked: errors, what was refused."""
        from selenium.webdriver.remote.command import Command

        said = self.driver.execute(Command.GET_LOG, {"type": "browser"})["value"]
        return [str(entry["message"]) for entry in said]


@functools.cache
def missing_browser() -> Optional[str]:
    """Say why there is no browser here; None if there is."""
    if not sys.platform.startswith("linux"):
        return "Chromium runs in namespaces of Linux"
    if not (ROOT / _DRIVER.lstrip("/")).exists():
        return "Chromium is not there; `.ci/prepare browser` fetches it where apt-get is"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "the package selenium is not there; it is in the extra browser"
    try:
        Namespace({}, root=ROOT).run("true", alone=True)
    except FileNotFoundError:
        return "Chromium needs util-linux (unshare, mount, setpriv)"
    except LDAPDBError as error:
        return f"Chromium needs namespaces, which this machine refuses: {error}"
    return None


def _options() -> Options:
    from selenium.webdriver.chrome.options import Options

    options = Options()
    options.set_capability("browserName", "chrome-headless-shell")
    options.binary_location = _PROGRAM
    for argument in (*_ARGUMENTS, "--window-size=1400,1000", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return options


def _start_driver(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the driver; return its process and the port at which it listens.

    It takes a port that is free on ::1, and ends if that one is taken on 127.0.0.1.
    """
    for _ in range(_TRIES):
        process, said = _try_driver(folder)
        started = _STARTED.search(said)
        if started is not None:
            return process, int(started[1])
        process.kill()
        process.wait()
    pytest.fail(f"the browser's driver does not start; it said:\n{said}")


def _try_driver(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start the driver; return what it says until it listens or ends."""
    log = folder / "driver.log"
    with log.open("wb") as output:
        process = Namespace({folder: "/tmp"}, root=ROOT).start(
            ["/usr/bin/env", "HOME=/tmp", _DRIVER, "--port=0"], output, alone=True
        )
    eventually(
        lambda: _STARTED.search(log.read_text()) or process.poll() is not None,
        seconds=_START_SECONDS,
    )
    return process, log.read_text()


@contextmanager
def browser_at(folder: Path) -> Iterator[Browser]:
    """Start a browser that has a folder as ``/tmp``, and stop it with all that it started."""
    from selenium.webdriver.chrome.remote_connection import ChromeRemoteConnection
    from selenium.webdriver.remote.client_config import ClientConfig
    from selenium.webdriver.remote.webdriver import WebDriver

    process, port = _start_driver(folder)
    try:
        server = f"http://127.0.0.1:{port}"
        connection = ChromeRemoteConnection(
            server, keep_alive=False, client_config=ClientConfig(server, keep_alive=False)
        )
        driver = WebDriver(connection, options=_options())
        try:
            yield Browser(driver, folder)
        finally:
            driver.quit()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser: missing, it is a skip on a laptop and a failure in CI."""
    missing = missing_browser()
    if missing is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    with browser_at(tmp_path_factory.mktemp("browser")) as started:
        yield started

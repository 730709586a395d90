"""A stand-in for the host's page, on which users see what they may start.

SimPhoNy-Remote is not on PyPI, so that neither a test nor a tutorial can install it. This reads
its configuration, asks the database class what it asks, in its order, and writes names into HTML
as they are, as it does. It logs nobody in and starts nothing: ``/user/carol/`` is what carol
would see.

Run as ``python tests/standin/home_page.py CONFIGURATION``. JupyterHub's spawner runs it as
``bin/remoteappmanager``, for one user, and for an administrator as ``bin/remoteappadmin``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Optional
from urllib.parse import unquote

__all__ = ["HomePage", "serve_user", "serving"]

# The interface that the host brings; without it the class would not be the host's.
_STANDIN = Path(__file__).resolve().parent / "host22"
_PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Applications of {name}</title>
<style>
body {{ margin: 0; font: 15px/1.5 sans-serif; color: #333; background: #ecf0f5 }}
header {{ background: #3c8dbc; color: #fff; padding: 12px 20px; font-size: 18px }}
header small {{ float: right; font-size: 14px }}
nav {{ background: #222d32; color: #b8c7ce; width: 330px; min-height: 260px; float: left }}
nav h1 {{ font-size: 12px; letter-spacing: 1px; margin: 0; padding: 10px 16px; color: #4b646f }}
nav ul {{ list-style: none; margin: 0; padding: 0 }}
nav li {{ padding: 8px 16px; border-left: 3px solid #3c8dbc; background: #1e282c; color: #fff }}
nav li small {{ display: block; color: #8aa4af }}
nav p {{ padding: 0 16px }}
main {{ margin-left: 330px; padding: 24px }}
</style>
<header>Remote applications <small>{name}</small></header>
<nav><h1>APPLICATIONS</h1>{applications}</nav>
<main>A stand-in for the host's page: it asks what the host asks, and starts nothing.</main>
</html>
"""
_NOTHING = "<p>No applications found</p>"


@dataclass(frozen=True)
class _HostUser:
    """A user as the host hands it over: an object of its own, with a name."""

    name: str


class HomePage:
    """What the host does for the page of whoever has logged in.

    Parameters
    ----------
    configuration : Path
        The file in which the host's processes find ``database_class`` and ``database_kwargs``.
    """

    def __init__(self, configuration: Path) -> None:
        self._configuration = configuration

    @functools.cached_property
    def database(self) -> Any:
        """The database: made at the first request, as in the host."""
        if str(_STANDIN) not in sys.path:
            sys.path.insert(0, str(_STANDIN))
        said: dict[str, Any] = {}
        exec(compile(self._configuration.read_text(), self._configuration, "exec"), said)
        module, _, name = said["database_class"].rpartition(".")
        return getattr(importlib.import_module(module), name)(**said["database_kwargs"])

    def html(self, user_name: str) -> Optional[str]:
        """Write the page of a user; None if there is none of that name."""
        found = self.database.get_user(user_name=user_name)
        if found is None:
            return None
        shown = "".join(map(_application, self._accountings(_HostUser(found.name))))
        return _PAGE.format(
            name=found.name, applications=f"<ul>{shown}</ul>" if shown else _NOTHING
        )

    def _accountings(self, user: _HostUser) -> Iterator[Any]:
        """List what a user may start: all ids, then each by its id, asked for anew."""
        for identifier in [each.id for each in self.database.get_accounting_for_user(user)]:
            again = self.database.get_accounting_for_user(user)
            yield from (each for each in again if each.id == identifier)

    def close(self) -> None:
        """Close the database, if anybody has asked for a page."""
        if "database" in vars(self):
            self.database.close()


def _application(accounting: Any) -> str:
    policy = accounting.application_policy
    words = [
        word
        for word, said in (
            ("home directory", policy.allow_home),
            ("may be watched", policy.allow_view),
            (f"{policy.volume_source} at {policy.volume_target}", policy.allow_common),
        )
        if said
    ]
    image = accounting.application.image
    return f"<li id='{accounting.id}'>{image}<small>{', '.join(words) or '-'}</small></li>"


class _Handler(BaseHTTPRequestHandler):
    """Answers ``/user/NAME/``, and makes applications as administrators' pages do."""

    def __init__(self, home: HomePage, *arguments: Any) -> None:
        self._home = home
        super().__init__(*arguments)

    def do_GET(self) -> None:
        place, _, name = self.path.strip("/").partition("/")
        try:
            page = self._home.html(unquote(name)) if place == "user" else None
        except Exception:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "")
            raise
        self._answer(HTTPStatus.OK if page else HTTPStatus.NOT_FOUND, page or "nobody")

    def do_POST(self) -> None:
        """Create an application, whose image is what is sent."""
        image = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            made = self._home.database.create_application(image)
        except Exception as error:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")
        else:
            self._answer(HTTPStatus.CREATED, f"{made}")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        # For tests: which program it is, and whose process.
        self.send_header("X-Process", f"{Path(sys.argv[0]).name} {os.getuid()}")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _server(configuration: Path, address: tuple[str, int]) -> Iterator[HTTPServer]:
    home = HomePage(configuration)
    try:
        # One thread, as the host has: a slow answer delays all others.
        with HTTPServer(address, functools.partial(_Handler, home)) as server:
            yield server
    finally:
        home.close()


@contextlib.contextmanager
def serving(configuration: Path) -> Iterator[str]:
    """Serve the page on this machine; give its address, to which ``user/carol/`` is added."""
    with _server(configuration, ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def serve_user() -> None:
    """Be the process that a spawner starts, until it is told to end."""
    arguments = argparse.ArgumentParser(allow_abbrev=False)
    arguments.add_argument("--ip", default="127.0.0.1")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--config-file", type=Path, required=True)
    said, _ = arguments.parse_known_args()
    with (
        contextlib.suppress(KeyboardInterrupt),
        _server(said.config_file, (said.ip, said.port)) as server,
    ):
        server.serve_forever()


def main() -> None:
    """Serve until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt), serving(Path(sys.argv[1])) as address:
        sys.stdout.write(f"{address}user/carol/ is what carol sees, until Ctrl-C\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()

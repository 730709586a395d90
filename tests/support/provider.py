"""A provider of single sign-on, as far as OpenID Connect's code flow goes.

Whoever asks is signed in already, as the person whose claims it has: there is no page with a
password. OpenID Connect Core 1.0, sections 3.1 and 5.3.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import trustme

__all__ = ["Provider", "signing_on"]


class Provider:
    """Who is signed in, and what was handed out.

    Parameters
    ----------
    client : str
        The hub's name and its secret, with a colon between them.
    callback : str
        Where alone people are sent back to.
    """

    def __init__(self, client: str, callback: str) -> None:
        self.claims: dict[str, Any] = {}
        self._client = base64.b64encode(client.encode()).decode()
        self._callback = callback
        self._codes: set[str] = set()
        self._tokens: set[str] = set()

    def authorize(self, asked: dict[str, list[str]]) -> str:
        """Hand out a code; return where the browser goes with it."""
        if asked["redirect_uri"] != [self._callback] or asked["response_type"] != ["code"]:
            raise PermissionError(str(asked))
        code = secrets.token_urlsafe()
        self._codes.add(code)
        return f"{self._callback}?{urlencode({'code': code, 'state': asked['state'][0]})}"

    def token(self, authorization: str, asked: dict[str, list[str]]) -> dict[str, Any]:
        """Take a code, once, from the hub alone."""
        if authorization != f"Basic {self._client}" or asked["code"][0] not in self._codes:
            raise PermissionError(authorization)
        self._codes.remove(asked["code"][0])
        token = secrets.token_urlsafe()
        self._tokens.add(token)
        return {"access_token": token, "token_type": "Bearer"}

    def userinfo(self, authorization: str) -> dict[str, Any]:
        """Tell who is signed in, to whoever has a token."""
        if authorization.partition("Bearer ")[2] not in self._tokens:
            raise PermissionError(authorization)
        return self.claims


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, provider: Provider, *arguments: Any) -> None:
        self._provider = provider
        super().__init__(*arguments)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        with self._refusals():
            if url.path == "/authorize":
                where = self._provider.authorize(parse_qs(url.query))
                self._answer(HTTPStatus.FOUND, b"", Location=where)
            else:
                self._say(self._provider.userinfo(self.headers.get("Authorization", "")))

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self._refusals():
            sender = self.headers.get("Authorization", "")
            self._say(self._provider.token(sender, parse_qs(asked)))

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, PermissionError):
            self._answer(HTTPStatus.FORBIDDEN, b"")

    def _say(self, said: dict[str, Any]) -> None:
        self._answer(HTTPStatus.OK, json.dumps(said).encode())

    def _answer(self, status: HTTPStatus, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def signing_on(
    address: str, name: str, authority: trustme.CA, provider: Provider
) -> Iterator[None]:
    """Serve a provider at port 443 of an address, with a certificate for its name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    with ThreadingHTTPServer((address, 443), partial(_Handler, provider)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()

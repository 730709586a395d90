"""What a missing index costs: the searches of one page on a server without it."""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import socket
import statistics
import sys
import time
from typing import Any

from benchmarks.data import MEMBERS, name_of
from benchmarks.site_model import SiteSize, answer_length
from benchmarks.site_requests import Recorded, SiteDirectory, record

__all__ = ["measure"]

_ALL = ""
# Those that a page's searches need; entryUUID is for look-ups by id.
_ATTRIBUTES = (_ALL, "objectClass", "uid", "member", "remoteAppImage")
_WHAT = ("user", "grants", "applications")
_SECONDS, _MOST = 5.0, 100


def measure(size: SiteSize) -> list[dict[str, Any]]:
    """Time each search of a page that asks the directory, with all indexes and without each.

    Returns
    -------
    list of dict
        The attribute that has no index, empty where all are there, and the median seconds of
        each search.
    """
    rows = []
    with SiteDirectory.of(size) as complete:
        recorded = record(complete, 1)[0]
        for attribute in _ATTRIBUTES:
            with SiteDirectory.of(size, like=complete, without_index=attribute) as directory:
                medians = _medians(directory.port, recorded)
            rows.append({"without": attribute, "seconds": dict(zip(_WHAT, medians))})
            print(f"without {attribute or 'none'}: {rows[-1]['seconds']}", file=sys.stderr)
    return rows


def _medians(port: int, recorded: Recorded) -> list[float]:
    """Make the searches of a page for one user after the other, and return their medians."""
    times: list[list[float]] = [[] for _ in recorded.view]
    with socket.create_connection(("127.0.0.1", port)) as connected:
        _ask(connected, recorded.start[0])  # the log-in
        end = time.monotonic() + _SECONDS
        for number in range(_MOST):
            name = name_of(number * MEMBERS + 1).encode()
            for request, seconds in zip(recorded.view, times):
                seconds.append(_ask(connected, request.replace(recorded.name.encode(), name)))
            if time.monotonic() > end:
                break
    return [statistics.median(each) for each in times]


def _ask(connected: socket.socket, request: bytes) -> float:
    began, answer = time.monotonic(), b""
    connected.sendall(request)
    while not answer_length(answer):
        octets = connected.recv(1 << 16)
        if not octets:
            raise ConnectionError("the server ended the connection")
        answer += octets
    return time.monotonic() - began

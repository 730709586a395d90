"""What a missing index costs: the searches of one page on a server without it."""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import socket
import statistics
import sys
import time
from typing import Any

from benchmarks.data import MEMBERS
from benchmarks.site_model import SiteSize, answer_length, of_another
from benchmarks.site_requests import Recorded, SiteDirectory, record

__all__ = ["measure"]

_ALL = ""
# cn is of no use to a page.
_ATTRIBUTES = (_ALL, "objectClass", "uid", "entryUUID", "member", "remoteAppImage")
_WHAT = ("user by name", "user by id", "grants", "applications")
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
    # The first view of a process finds the user by name, later ones by id.
    requests = [recorded.start[-3], *recorded.view]
    times: list[list[float]] = [[] for _ in requests]
    with socket.create_connection(("127.0.0.1", port)) as connected:
        _ask(connected, recorded.start[0])  # the log-in
        end = time.monotonic() + _SECONDS
        for number in range(_MOST):
            for request, seconds in zip(requests, times):
                mine = of_another(request, recorded.number, number * MEMBERS + 1)
                seconds.append(_ask(connected, mine))
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

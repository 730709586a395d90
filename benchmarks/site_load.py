"""The processes of a site, as far as a server sees them: ``python -m benchmarks.site_load``.

It reads orders from its input, one JSON object a line, and answers each with one. It holds a
connection for each session, up to a limit, and sends on them what real processes sent. Views
come at random and do not wait for each other: where the server falls behind, they queue, and
what they wait for counts from when they came.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.site_model import answer_length, of_another, percentile

__all__ = ["Load", "main"]

_CHUNK = 1 << 16
_DRAIN_SECONDS = 30.0
# Once views wait so many times as long as they may, it is clear how the trial ends.
_HOPELESS = 10


@dataclass
class _Session:
    """One connection, and what it is at."""

    port: int
    user: int
    socket: socket.socket
    requests: Sequence[bytes] = ()
    at: int = 0
    due: float = 0.0
    sent: float = 0.0
    starting: bool = False
    answer: bytes = b""


class Load:
    """Sessions at some servers.

    Parameters
    ----------
    servers : dict of int to int
        Ports and processes of the servers, which get an equal share of the sessions each.
    users : int
        How many there are to choose from.
    recorded : list of dict
        What processes send (``Recorded.plain``).
    """

    def __init__(self, servers: dict[int, int], users: int, recorded: list[dict[str, Any]]) -> None:
        self._ports, self._pids = list(servers), list(servers.values())
        self._users = users
        self._recorded = [
            {
                "number": each["number"],
                **{key: [bytes.fromhex(one) for one in each[key]] for key in ("start", "view")},
            }
            for each in recorded
        ]
        self._poll = select.epoll()
        self._sessions: dict[int, _Session] = {}
        self._idle: list[_Session] = []
        self._queue: deque[tuple[float, bool]] = deque()
        self._random = random.Random(1)  # noqa: S311 -- it chooses users
        self._reset()

    def _reset(self) -> None:
        self._searches: list[float] = []
        self._views: list[float] = []
        self._begun: list[float] = []
        self._lags: list[float] = []
        self._messages = 0
        self._waited = 0.0

    # --- sessions

    def hold(self, count: int) -> None:
        """Open and close connections until there are so many, and wait for their log-ins."""
        while len(self._sessions) > count:
            self._close(self._idle.pop())
        while len(self._sessions) < count:
            session = self._open()
            self._begin(session, self._recorded[0]["start"][:1], time.monotonic(), starting=False)
            self._drain()
        self._reset()

    def _open(self) -> _Session:
        port = self._ports[len(self._sessions) % len(self._ports)]
        opened = socket.create_connection(("127.0.0.1", port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        user = self._random.randrange(self._users)
        session = self._sessions[opened.fileno()] = _Session(port, user, opened)
        self._poll.register(opened, select.EPOLLIN)
        return session

    def _close(self, session: _Session) -> None:
        del self._sessions[session.socket.fileno()]
        self._poll.unregister(session.socket)
        session.socket.close()

    # --- a view, from its first request to its last answer

    def _begin(
        self, session: _Session, requests: Sequence[bytes], due: float, *, starting: bool
    ) -> None:
        session.requests, session.at = requests, 0
        session.due, session.starting = due, starting
        self._send(session)

    def _send(self, session: _Session) -> None:
        session.answer = b""
        session.sent = time.monotonic()
        session.socket.sendall(session.requests[session.at])

    def _receive(self, session: _Session) -> None:
        octets = session.socket.recv(_CHUNK)
        if not octets:
            raise ConnectionError("the server ended a connection; see how many files it may open")
        session.answer += octets
        messages = answer_length(session.answer)
        if not messages:
            return
        now = time.monotonic()
        self._messages += messages
        self._searches.append(now - session.sent)
        session.at += 1
        if session.at < len(session.requests):
            self._send(session)
            return
        (self._begun if session.starting else self._views).append(now - session.due)
        self._idle.append(session)

    def _wait(self, seconds: float) -> None:
        began = time.monotonic()
        # By itself epoll waits for whole milliseconds.
        select.select([self._poll], [], [], max(seconds, 0))
        self._waited += time.monotonic() - began
        for number, _ in self._poll.poll(0):
            self._receive(self._sessions[number])

    def _drain(self) -> None:
        end = time.monotonic() + _DRAIN_SECONDS
        while len(self._idle) < len(self._sessions):
            self._wait(0.1)
            if time.monotonic() > end:
                raise TimeoutError(f"no answer within {_DRAIN_SECONDS:g} s")

    # --- a trial

    def run(self, views: float, starts: float, seconds: float, limit: float) -> dict[str, Any]:
        """Let views come for a while.

        Parameters
        ----------
        views, starts : float
            So many ask in a second, and so many processes start.
        seconds : float
            How long.
        limit : float
            Seconds that a view may take; where it takes many times as long, this ends early.
        """
        self._reset()
        rate = views + starts
        began, spent = time.monotonic(), list(map(_spent, self._pids))
        end, due = began + seconds, began + self._random.expovariate(rate)
        hopeless = False
        while (now := time.monotonic()) < end:
            while due <= now:
                self._queue.append((due, self._random.random() * rate < starts))
                due += self._random.expovariate(rate)
            while self._queue and self._idle:
                self._take(*self._queue.popleft())
            waiting = self._queue[0][0] if self._queue else now
            if hopeless := now - waiting > _HOPELESS * limit:
                break
            self._wait(min(due - time.monotonic(), 0.01))
        took = time.monotonic() - began
        measured = {
            **self._result(),
            "hopeless": hopeless,
            "seconds": took,
            "generator_busy": 1 - self._waited / took,
            "slapd_seconds": [_spent(pid) - each for pid, each in zip(self._pids, spent)],
        }
        self._queue.clear()
        self._drain()
        return measured

    def _take(self, due: float, starting: bool) -> None:
        self._lags.append(time.monotonic() - due)
        at = self._random.randrange(len(self._idle))
        self._idle[at], self._idle[-1] = self._idle[-1], self._idle[at]
        session = self._idle.pop()
        recorded = self._random.choice(self._recorded)
        if starting:
            self._close(session)
            session = self._open()
        requests = recorded["start" if starting else "view"]
        mine = [of_another(each, recorded["number"], session.user) for each in requests]
        self._begin(session, mine, due, starting=starting)

    def _result(self) -> dict[str, Any]:
        measured: dict[str, Any] = {
            "answers": len(self._searches),
            "messages": self._messages,
            "connections": len(self._sessions),
        }
        for name in ("searches", "views", "begun", "lags"):
            values = getattr(self, f"_{name}")
            if values:
                measured[name] = {
                    f"p{percent}": percentile(values, percent) for percent in (50, 99)
                }
        return measured


def _spent(pid: int) -> float:
    """Return the seconds of processor time of a process (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _answer(load: Load, order: dict[str, Any]) -> dict[str, Any]:
    load.hold(order["connections"])
    load.run(order["views"], order["starts"], order["warm_up"], order["limit"])
    return load.run(order["views"], order["starts"], order["seconds"], order["limit"])


def main() -> None:
    """Do what is ordered until the input ends."""
    about = json.loads(sys.stdin.readline())
    servers = {int(port): pid for port, pid in about["servers"].items()}
    load = Load(servers, about["users"], about["recorded"])
    gc.disable()  # its pauses would be the server's
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(load, json.loads(line))) + "\n")
        sys.stdout.flush()
        gc.collect()


if __name__ == "__main__":
    main()

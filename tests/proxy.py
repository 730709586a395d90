"""A proxy in front of a directory server that counts what clients ask of it.

It stands between real sockets and looks at the outermost bytes of each message only
(RFC 4511, section 5.1), so that counts mean the same for every server. Connections with
TLS cannot be counted.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

# protocolOp of a request (RFC 4511, section 4.2 and following). An unbind is left out: it
# asks for nothing, and nobody knows when it arrives.
_OPERATIONS = {
    0x60: "BIND",
    0x63: "SRCH",
    0x66: "MOD",
    0x68: "ADD",
    0x4A: "DEL",
    0x6C: "MODRDN",
    0x6E: "CMP",
    0x50: "ABANDON",
    0x77: "EXT",
}
_SEQUENCE = 0x30
_LONG_LENGTH = 0x80


class Requests:
    """Takes a client's bytes apart, however they were cut on the way."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take in some bytes, and return the operations of the messages they complete."""
        self._rest += data
        operations = []
        while (message := self._message()) is not None:
            name = _OPERATIONS.get(_protocol_op(message))
            if name is not None:
                operations.append(name)
        return operations

    def _message(self) -> bytes | None:
        """Take the content of the first message off, if it is whole."""
        head = _header(self._rest)
        if head is None:
            return None
        tag, start, length = head
        if tag != _SEQUENCE:
            raise ValueError(f"a message begins with {tag:#x}: is this TLS?")
        if len(self._rest) < start + length:
            return None
        message = self._rest[start : start + length]
        self._rest = self._rest[start + length :]
        return message


def _header(data: bytes) -> tuple[int, int, int] | None:
    """Read a tag and a length: the tag, where the content begins, and how long it is."""
    if len(data) < 2:
        return None
    tag, first = data[0], data[1]
    if first < _LONG_LENGTH:
        return tag, 2, first
    start = 2 + first - _LONG_LENGTH
    if len(data) < start:
        return None
    return tag, start, int.from_bytes(data[2:start], "big")


def _protocol_op(message: bytes) -> int:
    """Return the tag that follows the message's number."""
    number = _header(message)
    assert number is not None
    _, start, length = number
    return message[start + length]


class Cut(Exception):
    """Ends a connection.

    Parameters
    ----------
    last : bytes
        What is passed on before.
    """

    def __init__(self, last: bytes = b"") -> None:
        super().__init__()
        self.last = last


class Proxy:
    """A proxy on a free port of the loopback address.

    Parameters
    ----------
    host, port
        Where the server listens.

    Attributes
    ----------
    tamper
        What becomes of the bytes of each answer on their way to the client; the bytes are
        as they were received, not cut into messages. It may end the connection by raising
        `Cut`. None passes on what comes.
    """

    def __init__(self, host: str, port: int) -> None:
        self.tamper: Callable[[bytes], bytes] | None = None
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._seen: list[list[str]] = []
        self._start(self._accept)

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextlib.contextmanager
    def operations(self) -> Iterator[list[str]]:
        """Collect the operations that pass from now on."""
        seen: list[str] = []
        with self._lock:
            self._seen.append(seen)
        try:
            yield seen
        finally:
            with self._lock:
                self._seen = [each for each in self._seen if each is not seen]

    def close(self) -> None:
        """Close everything and wait for the threads."""
        # accept() does not notice that another thread closes the socket.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still_open = list(self._open)
        for each in still_open:
            _shut(each)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            ends = {client, server}
            with self._lock:
                self._open |= ends
            for end in ends:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = threading.Thread(
                target=_pump, args=(server, client, self._answer), daemon=True
            )
            answers.start()
            requests = Requests()

            def ask(data: bytes) -> bytes:
                self._count(requests.feed(data))  # before the server can have answered
                return data

            _pump(client, server, ask)
            answers.join()
            with self._lock:
                self._open -= ends

    def _answer(self, data: bytes) -> bytes:
        return data if self.tamper is None else self.tamper(data)

    def _count(self, operations: list[str]) -> None:
        with self._lock:
            for seen in self._seen:
                seen.extend(operations)


def _pump(source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]) -> None:
    """Pass bytes on until one side is at its end; then the other one is too."""
    try:
        while data := source.recv(65536):
            sink.sendall(change(data))
    except Cut as cut:
        with contextlib.suppress(OSError):
            sink.sendall(cut.last)
    except OSError:
        pass
    finally:
        _shut(source)
        _shut(sink)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)

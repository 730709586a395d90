"""A proxy in front of a directory server that counts what clients ask of it.

It stands between real sockets and looks at the outermost bytes of each message only
(RFC 4511, section 5.1), so that counts mean the same for every server. Connections with
TLS cannot be counted.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
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


class Hang(Cut):
    """Leaves a connection open, on which nothing is passed on any more in this direction."""


WRITES = frozenset({"ADD", "MOD", "DEL", "MODRDN"})


class AtWrite:
    """Lets something happen at one of the requests that change the directory.

    Parameters
    ----------
    number : int
        Which of them, from 1.
    done : bool
        Whether it happens when the server has done it, before its answer is passed on;
        otherwise before the server has seen the request.
    act : callable
        What happens; may raise `Cut` or `Hang`.
    """

    def __init__(self, number: int, act: Callable[[], None], *, done: bool) -> None:
        self.reached = False
        self._number = number
        self._done = done
        self._act = act
        self._count = 0

    def asked(self, operation: str) -> None:
        if operation in WRITES:
            self._count += 1
            self._at(operation, done=False)

    def answered(self, operation: str, data: bytes) -> None:
        del data
        self._at(operation, done=True)

    def _at(self, operation: str, *, done: bool) -> None:
        is_it = operation in WRITES and self._count == self._number and done is self._done
        if is_it and not self.reached:
            self.reached = True
            self._act()


class Operations(list[str]):
    """The operations that passed, in order.

    Attributes
    ----------
    trips : int
        Round trips: how often a client asked after an answer, or for the first time.
    """

    trips = 0


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
        `Cut` or `Hang`. None passes on what comes.
    look
        Told of the bytes of requests, as they were received, before they are passed on.
    asked
        Told of each request before it is passed on. May raise `Cut` or `Hang`, and then the
        server never sees it.
    answered
        Told of the operation and the bytes of each piece of an answer before they are
        passed on. May raise `Cut` or `Hang`, and then the client never sees them.
    seconds_a_byte
        How long each byte of an answer takes.
    hangs_up
        Whether connections are closed as soon as they are made.
    most
        The most connections that were open at a time.
    """

    def __init__(self, host: str, port: int) -> None:
        self.tamper: Callable[[bytes], bytes] | None = None
        self.look: Callable[[bytes], None] | None = None
        self.asked: Callable[[str], None] | None = None
        self.answered: Callable[[str, bytes], None] | None = None
        self.seconds_a_byte = 0.0
        self.hangs_up = False
        self.most = 0
        self._full = threading.Event()
        self._crowd: list[socket.socket] = []
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._seen: list[Operations] = []
        self._start(self._accept)

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """How many are open now."""
        with self._lock:
            return len(self._open) // 2

    @contextlib.contextmanager
    def operations(self) -> Iterator[Operations]:
        """Collect the operations that pass from now on."""
        seen = Operations()
        with self._lock:
            self._seen.append(seen)
        try:
            yield seen
        finally:
            with self._lock:
                self._seen = [each for each in self._seen if each is not seen]

    def at_write(self, number: int, act: Callable[[], None], *, done: bool) -> AtWrite:
        """Let something happen at a request that changes the directory; see `AtWrite`."""
        fault = AtWrite(number, act, done=done)
        self.asked, self.answered = fault.asked, fault.answered
        return fault

    def behave(self) -> None:
        """Pass on everything again."""
        self.tamper = self.look = self.asked = self.answered = None
        self.seconds_a_byte, self.hangs_up = 0.0, False

    def cut(self) -> None:
        """End all connections; new ones are welcome."""
        with self._lock:
            still_open = list(self._open)
        for each in still_open:
            _shut(each)
        end = time.monotonic() + 5
        while self.connections:
            assert time.monotonic() < end
            time.sleep(0.001)

    def refuse(self) -> None:
        """End all connections and refuse new ones, for good."""
        self._deafen()
        self._listener.close()
        self.cut()

    def fill(self) -> None:
        """Take no more connections and let those that wait fill the queue, for good."""
        self._full.set()
        with socket.create_connection(("127.0.0.1", self._port)):
            pass  # wakes the thread up
        self._threads[0].join(5)
        self._listener.listen(0)
        for _ in range(8):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self._port))
            self._crowd.append(waiting)

    def close(self) -> None:
        """Close everything and wait for the threads."""
        self._deafen()
        self._listener.close()
        with self._lock:
            still_open = list(self._open)
        for each in (*still_open, *self._crowd):
            _shut(each)
        for each in self._crowd:
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _deafen(self) -> None:
        # accept() does not notice that another thread closes the socket.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

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
            if self._full.is_set():
                client.close()
                return
            if self.hangs_up:
                client.close()
                continue
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        with client, server:
            ends = {client, server}
            with self._lock:
                self._open |= ends
                self.most = max(self.most, len(self._open) // 2)
            for end in ends:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._converse(client, server)
            with self._lock:
                self._open -= ends

    def _converse(self, client: socket.socket, server: socket.socket) -> None:
        requests, asked = Requests(), [""]
        answered = threading.Event()
        answered.set()

        def ask(data: bytes) -> bytes:
            if self.look is not None:
                self.look(data)
            operations = requests.feed(data)
            self._count(operations, answered)  # before the server can have answered
            for operation in operations:
                asked.append(operation)
                if self.asked is not None:
                    self.asked(operation)
            return data

        def answer(data: bytes) -> bytes:
            answered.set()
            if self.answered is not None:
                self.answered(asked[-1], data)
            return data if self.tamper is None else self.tamper(data)

        def send(data: bytes) -> None:
            if not self.seconds_a_byte:
                client.sendall(data)
                return
            for each in data:
                client.sendall(bytes((each,)))
                time.sleep(self.seconds_a_byte)

        answers = threading.Thread(target=_pump, args=(server, client, answer, send), daemon=True)
        answers.start()
        _pump(client, server, ask, server.sendall)
        answers.join()

    def _count(self, operations: list[str], answered: threading.Event) -> None:
        is_trip = bool(operations) and answered.is_set()
        if is_trip:
            answered.clear()
        with self._lock:
            for seen in self._seen:
                seen.extend(operations)
                seen.trips += is_trip


def _pump(
    source: socket.socket,
    sink: socket.socket,
    change: Callable[[bytes], bytes],
    send: Callable[[bytes], None],
) -> None:
    """Pass bytes on until one side is at its end; then the other one is too."""
    try:
        while data := source.recv(65536):
            send(change(data))
    except Cut as cut:
        with contextlib.suppress(OSError):
            sink.sendall(cut.last)
            while isinstance(cut, Hang) and source.recv(65536):
                pass
    except OSError:
        pass
    finally:
        _shut(source)
        _shut(sink)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)

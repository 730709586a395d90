"""What becomes of a server's answers: one kind of damage for each case."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

from fuzz import ber
from proxy import Cut

# Damage after which the answer is none any more, unless it happens to be one; what is made of
# that then is right. The others keep every message well-formed.
Damage = Callable[[bytes, random.Random], bytes]


def _place(message: bytes, rng: random.Random) -> tuple[int, int]:
    at = rng.randrange(len(message))
    return at, min(len(message), at + rng.choice((1, 1, 2, 5, 40)))


def flip_anything(message: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(message))
    return message[:at] + bytes([message[at] ^ 1 << rng.randrange(8)]) + message[at + 1 :]


def flip_structure(message: bytes, rng: random.Random) -> bytes:
    """Change a tag or a length."""
    each = rng.choice(list(ber.headers(message)))
    at = rng.randrange(each.at, each.start)
    return message[:at] + bytes([rng.randrange(256)]) + message[at + 1 :]


def cut_name(message: bytes, rng: random.Random) -> bytes:
    """Let a text be one octet shorter, and what is left of it be an element of its own."""
    texts = [e for e in ber.headers(message) if e.tag == ber.OCTETS and 1 < e.stop - e.start < 128]
    if not texts:
        return flip_structure(message, rng)
    each = rng.choice(texts)
    length = rng.randrange(each.stop - each.start)
    return message[: each.at + 1] + bytes([length]) + message[each.start :]


def delete(message: bytes, rng: random.Random) -> bytes:
    start, stop = _place(message, rng)
    return message[:start] + message[stop:]


def repeat(message: bytes, rng: random.Random) -> bytes:
    start, stop = _place(message, rng)
    return message[:stop] + message[start:]


def insert(message: bytes, rng: random.Random) -> bytes:
    start, stop = _place(message, rng)
    return message[:start] + rng.randbytes(stop - start) + message[start:]


def truncate(message: bytes, rng: random.Random) -> bytes:
    return message[: rng.randrange(len(message))]


def lie_about_length(message: bytes, rng: random.Random) -> bytes:
    """Let an element claim another length, up to 2^64 octets."""
    each = rng.choice(list(ber.headers(message)))
    lies = (b"\x80", b"\x00", b"\x84\xff\xff\xff\xff", b"\x88" + b"\xff" * 8, b"\x84\0\0\0\1",
            b"\xff" + b"\xff" * 127, b"\x81\xff", b"\x83\x10\0\0", b"\x7f")  # fmt: skip
    return message[: each.at + 1] + rng.choice(lies) + message[each.start :]


def long_integer(message: bytes, rng: random.Random) -> bytes:
    """Let a number have up to a million digits."""
    numbers = [e for e in ber.headers(message) if e.tag in (ber.INTEGER, ber.ENUMERATED)]
    each = rng.choice(numbers)
    if rng.random() < 0.9:
        digits = rng.randbytes(rng.choice((5, 9, 200, 5000)))
    else:
        digits = b"\x7f" * 400_000
    return _replaced(message, each, ber.made(each.tag, digits))


def nest(message: bytes, rng: random.Random) -> bytes:
    """Put sequences into sequences, thousands of them."""
    deep = b""
    for _ in range(rng.choice((3, 200, 1100, 3000))):
        deep = ber.made(ber.SEQUENCE, deep)
    inner = list(ber.headers(message))[1:]
    return _replaced(message, rng.choice(inner), deep)


def _replaced(message: bytes, each: ber.Element, new: bytes) -> bytes:
    """Put another element in an element's place, with the lengths around it as they must be."""
    out = new
    start, stop = each.at, each.stop
    around = [e for e in ber.headers(message) if e.start <= each.at and each.stop <= e.stop]
    for parent in sorted((e for e in around if e != each), key=lambda e: e.start, reverse=True):
        out = ber.made(
            parent.tag, message[parent.start : start] + out + message[stop : parent.stop]
        )
        start, stop = parent.at, parent.stop
    return out


def garbage(message: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 2 * len(message)))


def as_another_operation(message: bytes, rng: random.Random) -> bytes:
    """Answer with an operation that nobody asked for."""
    outer = list(ber.headers(message))
    operation = next(e for e in outer if e.tag & 0xC0 == 0x40)
    tag = rng.choice((*ber.RESULTS, ber.ENTRY, ber.REFERENCE, 0x79, 0x41, 0x60, 0x63, 0x7F))
    return message[: operation.at] + bytes([tag]) + message[operation.at + 1 :]


def other_code(message: bytes, rng: random.Random) -> bytes:
    """Change the result code; never to success."""
    codes = [e for e in ber.headers(message) if e.tag == ber.ENUMERATED]
    if not codes:
        return truncate(message, rng)
    return _replaced(message, codes[0], ber.made(ber.ENUMERATED, bytes([rng.randrange(1, 128)])))


def other_number(message: bytes, rng: random.Random) -> bytes:
    number = ber.read(message).number
    return ber.renumbered(message, rng.choice((0, number - 1, number + 1, 2**31 - 1, 5000)))


DAMAGES: Sequence[Damage] = (
    flip_anything, flip_structure, cut_name, delete, repeat, insert, truncate, lie_about_length,
    long_integer, nest, garbage, as_another_operation, other_code, other_number,
)  # fmt: skip

# Damage to the order of messages, which are all as the server sent them.
ORDERS = ("drop", "double", "swap", "end", "after the end")
FOREIGN = ("foreign", "foreign with this number")
KINDS = (*(damage.__name__ for damage in DAMAGES), *ORDERS, *FOREIGN, "flood")
_BY_NAME = {damage.__name__: damage for damage in DAMAGES}


def _flood(rng: random.Random) -> bytes:
    """Announce up to 2^63 octets, and send some of them."""
    length = rng.choice((b"\x84\xff\xff\xff\xff", b"\x88" + b"\x7f" * 8, b"\x84\x0f\0\0\0"))
    return b"\x30" + length + b"\0" * rng.choice((10, 100_000, 3_000_000))


class Tamper:
    """Changes answers as the proxy passes them on.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    rng : random.Random
        Decides the rest.
    foreign : sequence of bytes
        Messages that answered other searches.
    at : int
        Which message is changed first, from 0.
    hangs : bool
        Whether an answer that is not whole leaves the client waiting, instead of the
        connection ending.
    """

    def __init__(
        self, kind: str, rng: random.Random, foreign: Sequence[bytes], *, at: int, hangs: bool
    ) -> None:
        self.kind = kind
        self.hangs = hangs
        self.changed = 0
        # Whether anything was passed on that is as a server may send it, and is not what it
        # sent. It counts then, since nothing tells it from what the server meant.
        self.misled = kind in ("drop", "double", "swap", "end", "foreign with this number")
        self._rng = rng
        self._foreign = foreign
        self._at = at
        self._goes_on = rng.random() < 0.5
        self._seen = 0
        self._lock = threading.Lock()
        self._of_connection = threading.local()

    def __call__(self, data: bytes) -> bytes:
        """Pass on whole messages, changed or not."""
        with self._lock:
            rest = getattr(self._of_connection, "rest", b"") + data
            messages, self._of_connection.rest = ber.split(rest)
            out = b""
            for position, message in enumerate(messages):
                now = self._seen == self._at or (self._goes_on and self._seen > self._at)
                self._seen += 1
                if not now:
                    out += message
                    continue
                self.changed += 1
                changed = self._change(message, messages[position + 1 :])
                self.misled |= not changed  # left out altogether
                out += changed
                if self.kind == "swap":
                    self._seen += len(messages) - position - 1
                    break
            if self.changed and messages:
                self._judge(messages, out)
            return out

    def _change(self, message: bytes, later: Sequence[bytes]) -> bytes:
        rng, number = self._rng, ber.read(message).number
        if self.kind in _BY_NAME:
            return _BY_NAME[self.kind](message, rng)
        if self.kind == "end":
            raise Cut(message[: rng.choice((0, 1, 2, len(message)))])
        others: dict[str, Callable[[], bytes]] = {
            "drop": lambda: b"",
            "double": lambda: message * rng.choice((2, 2, 3, 50)),
            "swap": lambda: b"".join(rng.sample([message, *later], len(later) + 1)),
            "after the end": lambda: message + rng.choice(self._foreign),
            "foreign": lambda: ber.renumbered(rng.choice(self._foreign), number + 1),
            "foreign with this number": lambda: ber.renumbered(rng.choice(self._foreign), number),
            "flood": lambda: _flood(rng),
        }
        return others[self.kind]()

    def _judge(self, sent: Sequence[bytes], out: bytes) -> None:
        """See what was passed on, and do not let a client wait for what will never come."""
        messages, rest = ber.split(out)
        numbers = {ber.read(message).number for message in sent}
        answers = []
        for message in messages:
            try:
                answers.append(ber.read(message))
            except ber.NotAnswer:
                continue
            if answers[-1].number in numbers and message not in sent:
                self.misled = True
        ends = bool(answers) and answers[-1].operation in ber.RESULTS
        is_last = ber.read(sent[-1]).operation in ber.RESULTS
        if (rest or (is_last and not ends)) and not self.hangs:
            raise Cut(out)

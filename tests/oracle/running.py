"""Makes directory after directory in a server, compares, and shrinks what differs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from oracle.comparing import Comparison, Difference
from oracle.entries import Place, addition, line, read, write
from oracle.making import Directory, make
from oracle.names import dn_key, is_below
from oracle.product import Product
from oracle.rights import World

__all__ = ["Run", "Server"]

_SHRINK_SECONDS = 20.0
_SHOWN = 3


class Server:
    """A running server, between one directory and the next."""

    def __init__(self, place: Place) -> None:
        self.place = place
        write(place, _tree(place))
        self._kept = {each.dn for each in read(place)}

    def fill(self, records: Sequence[str]) -> None:
        """Replace the directory by another one."""
        self.clear()
        write(self.place, records)

    def clear(self) -> None:
        """Remove what did not come with the server."""
        dns = [each.dn for each in read(self.place) if each.dn not in self._kept]
        ordered = sorted(dns, key=self._order)
        write(self.place, [f"{line('dn', dn)}changetype: delete\n" for dn in ordered])

    def _order(self, dn: str) -> tuple[bool, int]:
        # Samba rewrites a group for each member that is deleted before it.
        key, base = (dn_key(each, self.place.vendor) for each in (dn, self.place.users_base))
        assert key is not None
        assert base is not None
        return is_below(key, base), -len(key)


@dataclass
class Run:
    """Comparisons on one server, from one seed.

    Parameters
    ----------
    server : Server
        Where directories are made.
    product : Product
        What is asked.
    settings : dict
        Settings of ldapdb for the server.
    shapes : sequence of str
        What directories may have.
    size : int
        About how many users each has.
    say : callable
        Where a difference is printed.
    """

    server: Server
    product: Product
    settings: dict[str, object]
    shapes: Sequence[str]
    size: int
    say: Callable[[str], None]
    directories: int = 0
    count: int = 0
    differences: Counter[str] = field(default_factory=Counter)

    def until(self, comparisons: int, seed: int) -> None:
        """Make directories until there were so many comparisons."""
        while self.count < comparisons:
            self.one(f"{seed}-{self.directories}")

    def one(self, seed: str) -> None:
        """Make one directory, and compare everything."""
        directory = make(self.server.place, seed, self.shapes, self.size)
        compared = self._compared(directory, directory.records)
        self.directories += 1
        self.count += compared.count
        for kind, each in zip(compared.kinds, compared.differences):
            self.differences[kind] += 1
            if self.differences[kind] <= _SHOWN:
                self._show(directory, each, kind)

    def _compared(
        self, directory: Directory, records: Sequence[str], *questions: str
    ) -> Comparison:
        self.server.fill(records)
        self.product.open({**self.settings, **directory.settings})
        world = World(
            self.server.place,
            directory.settings,
            read(self.server.place),
            datetime.now(timezone.utc),
        )
        return Comparison(world, self.product).ask(*questions)

    def _show(self, directory: Directory, difference: Difference, kind: str) -> None:
        """Print both answers, and for the first of a kind a small directory that has it."""
        said = [f"seed {directory.seed}, settings {directory.settings}", str(difference)]
        if self.differences[kind] == 1:
            records = self._smallest(directory, difference, kind)
            said += [f"    {each}" for each in "\n".join(records).splitlines()]
        self.say("\n".join(said))

    def _smallest(self, directory: Directory, difference: Difference, kind: str) -> list[str]:
        """Drop records as long as the same question still differs about the same subject."""
        end = time.monotonic() + _SHRINK_SECONDS
        kept = dict(enumerate(directory.records))
        for dropped in _halves(len(kept)):
            fewer = {number: each for number, each in kept.items() if number not in dropped}
            if time.monotonic() > end:
                break
            if len(fewer) == len(kept):
                continue
            found = self._compared(directory, list(fewer.values()), kind).differences
            if any(each.subject == difference.subject for each in found):
                kept = fewer
        return list(kept.values())


def _halves(count: int) -> Iterator[frozenset[int]]:
    """Propose what to drop: halves, quarters, and so on, from the end."""
    size = count
    while size > 1:
        size = (size + 1) // 2
        for start in range(count - count % size, -1, -size):
            yield frozenset(range(start, start + size))


def _tree(place: Place) -> Iterator[str]:
    suffix = {"objectClass": ["dcObject", "organization"], "o": ["Example"], "dc": ["example"]}
    yield addition(place.suffix, suffix)
    units = [place.users_base, place.groups_base, place.base_dn]
    for dn in (*units, place.applications_base, place.grants_base):
        name = dn.partition(",")[0].partition("=")[2]
        yield addition(dn, {"objectClass": ["organizationalUnit"], "ou": [name]})

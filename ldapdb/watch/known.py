"""The names of all entries that are watched, by what never changes of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Optional

__all__ = ["Known"]

_RDN = re.compile(r"(?:\\.|[^,\\])*,?", re.DOTALL)


class Known:
    """Entries by identifier.

    Servers tell of a removed entry by its identifier alone, and of a renamed one by its new
    name: what it was called before is known here.
    """

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._children: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._names)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the identifiers."""
        return iter(self._names)

    def hold_all(self, identifiers: AbstractSet[bytes]) -> bool:
        """Tell whether all of some entries are known."""
        return self._names.keys() >= identifiers

    def put(self, identifier: bytes, name: str) -> Optional[str]:
        """Note what an entry is called now; return what it was called before."""
        before = self._names.get(identifier)
        if before != name:
            if before is not None:
                self._children[_parent(before)] -= 1
            self._names[identifier] = name
            self._children[_parent(name)] += 1
        return before

    def pop(self, identifier: bytes) -> Optional[str]:
        """Forget an entry; return what it was called."""
        before = self._names.pop(identifier, None)
        if before is not None:
            parent = _parent(before)
            self._children[parent] -= 1
            if not self._children[parent]:
                del self._children[parent]
        return before

    def keep(self, identifiers: Iterable[bytes]) -> list[Optional[str]]:
        """Forget all entries but some; return what the others were called."""
        return [self.pop(each) for each in set(self._names).difference(identifiers)]

    def hold(self, name: str) -> bool:
        """Tell whether entries are known below one."""
        return self._children[name.lower()] > 0

    def clear(self) -> None:
        """Forget all."""
        self._names.clear()
        self._children.clear()


def _parent(name: str) -> str:
    match = _RDN.match(name)
    return name[match.end() :].lower() if match else ""

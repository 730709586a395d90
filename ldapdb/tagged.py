"""A bounded mapping whose values are found by their tags as well."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Optional, TypeVar

from cachetools import Cache as Bounded
from cachetools import LRUCache

__all__ = ["Tagged"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Tagged(LRUCache[K, V]):
    """Values of which it is known which have a tag; the least recently used goes first.

    Parameters
    ----------
    maxsize : int
        How many are held at the most.
    tags : callable
        Tells the tags of a key and its value, always the same ones.
    """

    def __init__(self, maxsize: int, tags: Callable[[K, V], Iterable[Hashable]]) -> None:
        super().__init__(maxsize)
        self._tags = tags
        self._keys: dict[Hashable, set[K]] = {}

    def known(self, key: K) -> Optional[V]:
        """Return a value, as if asked for; None if there is none. Quicker than ``get``."""
        try:
            return self[key]
        except KeyError:
            return None

    def keys_of(self, tags: Iterable[Hashable]) -> set[K]:
        """Return the keys that have any of some tags."""
        return {key for tag in tags for key in self._keys.get(tag, ())}

    def last(self, key: K) -> V:
        """Return a value, not as if somebody had asked for it."""
        return Bounded.__getitem__(self, key)

    def __setitem__(self, key: K, value: V) -> None:
        """Hold a value."""
        if key in self:
            self._untag(key)
        super().__setitem__(key, value)
        for tag in self._tags(key, value):
            self._keys.setdefault(tag, set()).add(key)

    def __delitem__(self, key: K) -> None:
        """Hold a value no longer."""
        self._untag(key)
        super().__delitem__(key)

    def _untag(self, key: K) -> None:
        for tag in set(self._tags(key, self.last(key))):
            keys = self._keys[tag]
            keys.remove(key)
            if not keys:
                del self._keys[tag]

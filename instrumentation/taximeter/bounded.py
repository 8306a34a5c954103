"""A memory of ids that forgets the oldest."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """Each step is one operation of the dictionary, so that threads need no lock."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def put(self, key: K, value: V) -> V | None:
        """Keep a value; give the one that had to go for it: of the same key, or the oldest."""
        former = self._values.pop(key, None)
        self._values[key] = value
        if former is None and len(self._values) > self._most:
            return self._values.popitem(last=False)[1]
        return former

    def get(self, key: K) -> V | None:
        return self._values.get(key)

    def drop(self, key: K, value: V) -> bool:
        """Forget a value; False when it is not there, or another is in its place."""
        return self._values.get(key) is value and self._values.pop(key, None) is value

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def clear(self) -> list[V]:
        """Forget all; give what there was."""
        values, self._values = list(self._values.values()), OrderedDict()
        return values

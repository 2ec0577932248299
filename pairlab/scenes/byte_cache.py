"""Values kept while they are in use, up to a number of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

SOURCE_BYTES = 512 * 2**20
"""What an open dataset of files keeps in memory, unless it is told otherwise."""


class ByteCache(Generic[Value]):
    """Keeps the values used last, up to `limit` bytes; threads may share it."""

    def __init__(self, limit: int, *, size_of: Callable[[Value], int]) -> None:
        self._limit = limit
        self._size_of = size_of
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Bytes held now, never more than the limit."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Returns the value kept under `key`, or makes it; what `make` raises is passed on and nothing is kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]
        # Made outside the lock, so that threads decode side by side; two may make the same value, the first is kept.
        value = make()
        size = self._size_of(value)
        with self._lock:
            if key in self._values:
                return self._values[key][0]
            if size <= self._limit:
                self._values[key] = (value, size)
                self._bytes += size
            while self._bytes > self._limit:
                _, (_, dropped) = self._values.popitem(last=False)
                self._bytes -= dropped
        return value

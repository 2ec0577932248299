"""A cache for many threads: each value is made once, and the least recently used ones are dropped."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps the values used last, up to `limit`. A failure is told to everyone who waits for it, and is not kept."""

    def __init__(self, limit: int, *, size_of: Callable[[Value], int] = lambda _: 1) -> None:
        """Makes an empty cache.

        Args:
            limit: sum of the sizes of the values kept; one that is larger by itself is made each time.
            size_of: what a value counts, in bytes, say; each counts 1 where nothing is said.
        """
        self._limit = limit
        self._size_of = size_of
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._making: dict[Key, Future[Value]] = {}
        self._used = 0
        self._lock = Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Returns the value of a key, made by the first thread that asks; others wait for it alone."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept[0]
            others = self._making.get(key)
            if others is None:
                own = self._making[key] = Future[Value]()
        if others is not None:
            return others.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                self._ended(key, own)
            own.set_exception(error)
            raise
        own.set_result(value)
        self._keep(key, own, value)
        return value

    def peek(self, key: Key) -> Value | None:
        """Returns the value where it is there at once."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            self._kept.move_to_end(key)
        return kept[0]

    def clear(self) -> None:
        """Drops everything; values that are being made go to those who wait for them."""
        with self._lock:
            self._kept.clear()
            self._making.clear()
            self._used = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def used(self) -> int:
        """Sum of the sizes of the values kept, never more than the limit."""
        return self._used

    def _keep(self, key: Key, own: Future[Value], value: Value) -> None:
        size = self._size_of(value)
        with self._lock:
            if not self._ended(key, own) or size > self._limit:
                return
            self._kept[key] = value, size
            self._used += size
            while self._used > self._limit:
                _, (_, freed) = self._kept.popitem(last=False)
                self._used -= freed

    def _ended(self, key: Key, own: Future[Value]) -> bool:
        """Notes that nobody makes the value any more; returns False where the cache was cleared meanwhile."""
        if self._making.get(key) is not own:
            return False
        del self._making[key]
        return True

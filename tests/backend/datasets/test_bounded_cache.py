import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.datasets.bounded_cache import BoundedCache


def test_the_least_recently_used_value_goes_first() -> None:
    cache: BoundedCache[str, str] = BoundedCache(2)
    made: list[str] = []

    def get(key: str) -> str:
        return cache.get(key, lambda: made.append(key) or key)  # type: ignore[func-returns-value]

    for key in ("a", "b", "a", "c", "a", "b"):
        assert get(key) == key
    assert made == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_threads_that_ask_at_once_share_one_making() -> None:
    cache: BoundedCache[str, object] = BoundedCache(2)
    together = threading.Barrier(8)
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    def ask() -> object:
        together.wait()
        return cache.get("key", make)

    with ThreadPoolExecutor(8) as pool:
        values = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
    assert len(made) == 1
    assert all(value is made[0] for value in values)


def test_a_failure_is_told_and_not_kept() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert cache.get("key", lambda: 7) == 7


def test_what_is_kept_never_counts_more_than_the_limit() -> None:
    cache: BoundedCache[int, bytes] = BoundedCache(100, size_of=len)
    for key in range(50):
        cache.get(key, lambda key=key: bytes(key))  # type: ignore[misc]
        assert cache.used <= 100
    assert cache.used == 49 + 48
    assert [cache.peek(key) is None for key in (47, 48, 49)] == [True, False, False]


def test_a_value_past_the_limit_is_made_each_time() -> None:
    cache: BoundedCache[str, bytes] = BoundedCache(10, size_of=len)
    cache.get("small", lambda: b"1234")
    assert [len(cache.get("large", lambda: bytes(11))) for _ in range(2)] == [11, 11]
    assert cache.peek("large") is None
    assert cache.peek("small") == b"1234"


def test_peeking_waits_for_nobody() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    assert cache.peek("key") is None
    assert cache.get("key", lambda: cache.peek("key") or 3) == 3
    assert cache.peek("key") == 3


def test_a_value_that_was_cleared_while_it_was_made_is_not_kept() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)

    def make() -> int:
        cache.clear()
        return 5

    assert cache.get("key", make) == 5
    assert cache.peek("key") is None
    assert cache.used == 0

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

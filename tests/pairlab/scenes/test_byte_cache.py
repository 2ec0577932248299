import threading

import pytest

from pairlab.scenes.byte_cache import ByteCache


def never() -> str:
    raise AssertionError("made again")


def test_what_was_used_last_stays() -> None:
    cache = ByteCache[str](10, size_of=len)
    assert cache.get("a", lambda: "aaaa") == "aaaa"
    assert cache.get("b", lambda: "bbbb") == "bbbb"
    assert cache.get("a", never) == "aaaa"
    cache.get("c", lambda: "cccc")
    assert cache.bytes == 8
    assert cache.get("a", never) == "aaaa"
    assert cache.get("b", lambda: "again") == "again"


def test_a_value_beyond_the_limit_is_passed_on_and_not_kept() -> None:
    cache = ByteCache[str](3, size_of=len)
    cache.get("a", lambda: "aaa")
    assert cache.get("b", lambda: "bbbb") == "bbbb"
    assert cache.bytes == 3
    assert cache.get("a", never) == "aaa"


def test_a_failure_is_passed_on_and_not_kept() -> None:
    cache = ByteCache[str](3, size_of=len)
    with pytest.raises(AssertionError, match="made again"):
        cache.get("a", never)
    assert cache.get("a", lambda: "aaa") == "aaa"


def test_threads_keep_within_the_limit() -> None:
    cache = ByteCache[bytes](1000, size_of=len)
    wrong: list[bytes] = []

    def read(offset: int) -> None:
        for step in range(500):
            key = (step * 7 + offset) % 40
            value = cache.get(key, lambda key=key: bytes([key]) * 90)  # type: ignore[misc]
            if value != bytes([key]) * 90 or cache.bytes > 1000:
                wrong.append(value)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert wrong == []
    assert 0 < cache.bytes <= 1000

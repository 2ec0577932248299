import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.views.reading_ahead import SPARE, made_ahead


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("reading-ahead")]


@settings(deadline=None, max_examples=30)
@given(first=st.integers(0, 20), count=st.integers(0, 30), workers=st.integers(1, 6))
def test_comes_in_order_for_any_number_of_workers(first: int, count: int, workers: int) -> None:
    def square(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number * number

    numbers = range(first, first + count)
    assert list(made_ahead(square, numbers, workers=workers)) == [number**2 for number in numbers]
    assert not threads()


@pytest.mark.parametrize("workers", [1, 4])
def test_stays_no_more_than_a_few_ahead(workers: int) -> None:
    made: list[int] = []
    ahead = made_ahead(lambda number: made.append(number), range(100), workers=workers)
    for taken in range(1, 20):
        next(ahead)
        time.sleep(0.01)
        assert taken <= len(made) <= taken + workers + SPARE
    assert len(made) > 20
    ahead.close()
    assert not threads()


def test_works_on_as_many_at_once_as_there_are_workers() -> None:
    together = threading.Barrier(3, timeout=10)  # passes when three are being made at the same time
    assert len(list(made_ahead(lambda _: together.wait(), range(9), workers=3))) == 9


def test_what_fails_is_raised_when_its_turn_comes() -> None:
    def fragile(number: int) -> int:
        if number == 5:
            raise OSError("scene-5.png cannot be read")
        return number

    ahead = made_ahead(fragile, range(50), workers=4)
    assert [next(ahead) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match=r"scene-5\.png cannot be read"):
        next(ahead)
    assert not threads()


def test_closing_starts_no_more_and_leaves_no_thread() -> None:
    made: list[int] = []

    def slow(number: int) -> int:
        time.sleep(0.05)
        made.append(number)
        return number

    ahead = made_ahead(slow, range(100), workers=2)
    next(ahead)
    ahead.close()
    assert not threads()
    known = len(made)
    time.sleep(0.15)
    assert len(made) == known <= 4


def test_no_worker_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 worker, found 0"):
        next(made_ahead(lambda number: number, range(3), workers=0))

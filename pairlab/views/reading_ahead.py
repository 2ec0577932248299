"""Makes things on threads, ahead of the one that uses them, and hands them over in order."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")
SPARE = 3
"""How many more are made ahead than there are threads."""


def made_ahead(make: Callable[[int], Made], numbers: range, *, workers: int) -> Generator[Made, None, None]:
    """Yields make(number) for each number, in order, made on threads that stay at most `workers` + SPARE ahead.

    What `make` raises is raised when its turn comes. Closing the iterator waits for what is being made and starts no
    more.

    Args:
        make: safe to call from several threads at once where `workers` is above 1.
        numbers: what to make.
        workers: number of threads, at least 1.

    Raises:
        ValueError: no worker.
    """
    if workers < 1:
        raise ValueError(f"reading ahead needs at least 1 worker, found {workers}")
    left = iter(numbers)
    pending: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="reading-ahead")
    try:
        for _ in numbers:
            while len(pending) < workers + SPARE and (number := next(left, None)) is not None:
                pending.append(pool.submit(make, number))
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

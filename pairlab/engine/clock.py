"""The time of a run."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TypeVar

Thing = TypeVar("Thing")


class Clock:
    """The seconds since it was made, and how many of them were spent waiting."""

    def __init__(self) -> None:
        self._began = self._told = time.perf_counter()
        self.waited = self._waited_told = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the clock was made, above 0."""
        return max(time.perf_counter() - self._began, 1e-9)

    def waiting(self, things: Generator[Thing, None, None]) -> Iterator[Thing]:
        """Yields the things, and counts the time until each is there; closes their generator."""
        with closing(things):
            while True:
                asked = time.perf_counter()
                thing = next(things, None)
                self.waited += time.perf_counter() - asked
                if thing is None:
                    return
                yield thing

    def waiting_share(self) -> float:
        """Returns the share of time since this was asked last."""
        now = time.perf_counter()
        share = (self.waited - self._waited_told) / max(now - self._told, 1e-9)
        self._told, self._waited_told = now, self.waited
        return min(share, 1.0)

"""Registered datasets as browsing needs them, kept for moments: a grid of scenes asks for the same one all the time."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from backend.datasets.repository import Registered
from backend.datasets.sources import KnownScenes
from pairlab.experiment.jobs import DatasetReference

FRESH_SECONDS = 0.5
"""For so long may a change by another process go unseen."""
MOST = 256


@dataclass(frozen=True, slots=True)
class Browsable:
    """A registered dataset of which at least the labels are known."""

    registered: Registered
    reference: DatasetReference
    known: KnownScenes


class Registry:
    """Datasets looked up moments ago; threads may share it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: OrderedDict[str, tuple[float, Browsable]] = OrderedDict()
        self._changes = 0
        self._lock = Lock()

    @property
    def changes(self) -> int:
        """How often this process has changed a dataset."""
        return self._changes

    def find(self, name: str) -> Browsable | None:
        """Returns the dataset where it was looked up moments ago; when that gets old, one caller has to look again."""
        moment = self._clock()
        with self._lock:
            looked, found = self._found.get(name, (0.0, None))
            age = moment - looked
            if found is None or age > 2 * FRESH_SECONDS:
                return None
            if age > FRESH_SECONDS:
                self._found[name] = moment, found  # the others need not all look at the same moment
                return None
        return found

    def keep(self, name: str, found: Browsable, *, since: int) -> None:
        """Keeps a dataset as it was looked up, unless `changes` is no longer what it was before that."""
        with self._lock:
            if since != self._changes:
                return
            self._found[name] = self._clock(), found
            self._found.move_to_end(name)
            while len(self._found) > MOST:
                self._found.popitem(last=False)

    def forget(self, name: str) -> None:
        """Forgets what was found: this process has changed it, or it is not there any more."""
        with self._lock:
            self._changes += 1
            self._found.pop(name, None)

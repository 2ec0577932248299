"""What the pairs of a run look at, kept in memory: chips of images, and where their relevant change is."""

import threading
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pairlab.pairing.pair import PairList
from pairlab.scenes.scene import Pixels, SceneSource
from pairlab.scenes.stored_images import chip_of
from pairlab.views.geometry import BoolArray, Int64Array
from pairlab.views.steps import MASKED

CHIP_BYTES = 1 << 30
"""What chips may take in memory."""
CHANGE_BYTES = 256 << 20
"""What change maps may take in memory, one bit per pixel."""
Key = TypeVar("Key", bound=Hashable)
Values = TypeVar("Values", bound=NDArray[Any])
Place = tuple[int, int, int]
"""Scene, y and x."""
ShotKey = tuple[int, int, int, int, int]
"""Scene, y, x, acquisition and state, as numbers in the columns of a list of pairs."""


class ChipReader:
    """Reads the chips of a list of pairs; threads may share it.

    What is read once is kept until the memory is used up; what comes then is read each time. Every round shows all
    pairs once in another order, and for that nothing keeps more of them.
    """

    def __init__(
        self, source: SceneSource, pairs: PairList, *, chip_bytes: int = CHIP_BYTES, change_bytes: int = CHANGE_BYTES
    ) -> None:
        """Prepares reading.

        Args:
            source: the dataset.
            pairs: the pairs of the run.
            chip_bytes: memory for chips.
            change_bytes: memory for change maps.
        """
        self._source, self._pairs = source, pairs
        scenes = {scene.name: scene for scene in source.scenes}
        self._scenes = [scenes[name] for name in pairs.scenes]
        self._chips: _Kept[ShotKey, Pixels] = _Kept(chip_bytes)
        self._changes: _Kept[Place, NDArray[np.uint8]] = _Kept(change_bytes)
        self._masked = np.flatnonzero(pairs.control == MASKED)
        self._masked = self._masked[np.argsort(pairs.scene[self._masked], kind="stable")]

    @property
    def kept_bytes(self) -> int:
        """Memory taken by what is kept."""
        return self._chips.bytes + self._changes.bytes

    def chips(self, positions: Int64Array) -> Pixels:
        """Returns the chips of the pairs at some positions, as the dataset has them: anchors, then positives.

        Shape (2 · positions, size, size, bands).

        Raises:
            SceneError: a file cannot be used.
        """
        pairs = self._pairs
        anchors = (pairs.scene, pairs.y, pairs.x, pairs.shots[:, 0, 0], pairs.shots[:, 0, 1])
        positives = (
            pairs.positive_scene,
            pairs.positive_y,
            pairs.positive_x,
            pairs.shots[:, 1, 0],
            pairs.shots[:, 1, 1],
        )
        keys = [
            key
            for columns in (anchors, positives)
            for key in zip(*(column[positions].tolist() for column in columns), strict=True)
        ]
        return np.stack([self._chip(key) for key in keys])

    def changed(self, positions: Int64Array) -> BoolArray:
        """Returns where the anchors' places have a relevant change or are unknown, shape (positions, size, size).

        Args:
            positions: of pairs under the control `masked`.
        """
        pairs = self._pairs
        size = pairs.size
        places = zip(*(column[positions].tolist() for column in (pairs.scene, pairs.y, pairs.x)), strict=True)
        packed = np.stack([self._change(place) for place in places])
        return np.unpackbits(packed, axis=1, count=size * size).reshape(-1, size, size).view(np.bool_)

    def no_data(self, chip: Pixels) -> BoolArray:
        """Returns where a chip has no data, bool of shape (size, size)."""
        return self._source.no_data(chip)

    def _chip(self, key: ShotKey) -> Pixels:
        chip = self._chips.get(key)
        if chip is None:
            number, y, x, acquisition, state = key
            names, size = self._pairs.acquisitions, self._pairs.size
            chip = np.ascontiguousarray(
                chip_of(self._source, self._scenes[number], names[acquisition], y=y, x=x, size=size, state=names[state])
            )
            self._chips.keep(key, chip)
        return chip

    def _change(self, place: Place) -> NDArray[np.uint8]:
        """Returns a place's change map, one bit per pixel; reads the whole scene's maps for all its pairs at once."""
        packed = self._changes.get(place)
        if packed is None:
            pairs, number = self._pairs, place[0]
            maps = self._source.change(self._scenes[number], pixels=False)
            where = maps.changed | maps.unknown
            packed = _window(where, place, pairs.size)
            self._changes.keep(place, packed)
            low, high = np.searchsorted(pairs.scene[self._masked], [number, number + 1])
            for other in self._masked[low:high].tolist():
                y, x = int(pairs.y[other]), int(pairs.x[other])
                self._changes.keep((number, y, x), _window(where, (number, y, x), pairs.size))
        return packed


def _window(where: BoolArray, place: Place, size: int) -> NDArray[np.uint8]:
    _, y, x = place
    return np.packbits(where[y : y + size, x : x + size])


class _Kept(Generic[Key, Values]):
    """Arrays by key, as many as fit."""

    def __init__(self, limit: int) -> None:
        self.bytes = 0
        self._limit = limit
        self._values: dict[Key, Values] = {}
        self._lock = threading.Lock()

    def get(self, key: Key) -> Values | None:
        return self._values.get(key)

    def keep(self, key: Key, value: Values) -> None:
        with self._lock:
            if key not in self._values and self.bytes + value.nbytes <= self._limit:
                self._values[key] = value
                self.bytes += value.nbytes

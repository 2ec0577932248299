"""Positive pairs: two shots of the ground, and what is known of the difference between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

Control = Literal["rerender", "masked"]
CONTROLS: tuple[Control | None, ...] = (None, "rerender", "masked")


@dataclass(frozen=True, slots=True)
class Shot:
    """What one side of a pair shows: a chip of a scene under one acquisition."""

    scene: str
    y: int
    x: int
    acquisition: str
    state: str
    """Acquisition whose object states are shown; another than `acquisition` only where a scene is rendered again."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A positive pair. `noisy` is what the loss sees: False where a control stands in for the change."""

    anchor: Shot
    positive: Shot
    size: int
    changed_pixels: int
    """Relevant-change pixels of the place, whatever the pair shows of it."""
    change_share: float
    object_change_share: float
    noisy: bool
    unknown: bool
    control: Control | None


@dataclass(frozen=True)
class PairList(Sequence[Pair]):
    """The pairs drawn for one arm and seed, column by column; every array has shape (pairs,)."""

    size: int
    scenes: tuple[str, ...]
    acquisitions: tuple[str, ...]
    scene: NDArray[np.int32]
    y: NDArray[np.int32]
    x: NDArray[np.int32]
    shots: NDArray[np.int8]
    """Shape (pairs, 2, 2): for anchor and positive, acquisition and state as positions in `acquisitions`."""
    changed_pixels: NDArray[np.int32]
    change_share: NDArray[np.float64]
    object_change_share: NDArray[np.float64]
    noisy: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    control: NDArray[np.int8]
    """Position in CONTROLS."""
    pool: dict[str, int]
    """Chips the pairs were drawn from: chips, noisy, clean, unknown."""
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scene)

    def __iter__(self) -> Iterator[Pair]:
        return (self[position] for position in range(len(self)))

    @overload
    def __getitem__(self, position: int) -> Pair: ...
    @overload
    def __getitem__(self, position: slice) -> list[Pair]: ...
    def __getitem__(self, position: int | slice) -> Pair | list[Pair]:
        if isinstance(position, slice):
            return [self[each] for each in range(*position.indices(len(self)))]
        scene, y, x = self.scenes[self.scene[position]], int(self.y[position]), int(self.x[position])
        anchor, positive = (
            Shot(scene, y, x, acquisition=self.acquisitions[acquisition], state=self.acquisitions[state])
            for acquisition, state in self.shots[position].tolist()
        )
        return Pair(
            anchor=anchor,
            positive=positive,
            size=self.size,
            changed_pixels=int(self.changed_pixels[position]),
            change_share=float(self.change_share[position]),
            object_change_share=float(self.object_change_share[position]),
            noisy=bool(self.noisy[position]),
            unknown=bool(self.unknown[position]),
            control=CONTROLS[self.control[position]],
        )

    @property
    def realised_rate(self) -> float:
        """Share of pairs whose two images differ in a relevant way the loss is shown."""
        return float(self.noisy.mean())

    @property
    def object_change(self) -> NDArray[np.float64]:
        """Object change share as the loss sees it: 0 for same-image pairs and where a control stands in."""
        seen = (self.shots[:, 0, 1] != self.shots[:, 1, 1]) & (self.control == 0)
        return np.where(seen, self.object_change_share, 0.0)

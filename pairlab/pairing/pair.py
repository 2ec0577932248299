"""Positive pairs: two shots of the ground, and what is known of the difference between them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.pairing import ControlName

CONTROLS: tuple[ControlName | None, ...] = (None, "rerender", "masked", "same_acquisition", "replace")


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
    """Relevant-change pixels of the anchor's place, whatever the pair shows of it."""
    change_share: float
    object_change_share: float
    noisy: bool
    unknown: bool
    control: ControlName | None
    mismatched: bool
    """Whether the positive shows another place."""
    shift: tuple[float, float]
    """Added displacement of the positive's content, down and right, pixels of the chip."""
    score: float | None
    """Change score of what the pair shows; None where it was not asked for or is not known."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """What a filter did to the pairs drawn."""

    drawn: int
    """Pairs before it."""
    thrown_away: int
    noisy_thrown_away: int
    """Of these, pairs that the labels know to be noisy."""
    threshold: float | None
    """Of the change score; None of an oracle."""


@dataclass(frozen=True)
class PairList(Sequence[Pair]):
    """The pairs drawn for one arm and seed, column by column; every array has shape (pairs,) unless it says otherwise.

    `scene`, `y` and `x` tell the anchor's place, `positive_…` the positive's, which is the same but for mismatched
    pairs. Counts and shares are those of the anchor's place.
    """

    size: int
    scenes: tuple[str, ...]
    acquisitions: tuple[str, ...]
    scene: NDArray[np.int32]
    y: NDArray[np.int32]
    x: NDArray[np.int32]
    positive_scene: NDArray[np.int32]
    positive_y: NDArray[np.int32]
    positive_x: NDArray[np.int32]
    shots: NDArray[np.int8]
    """Shape (pairs, 2, 2): for anchor and positive, acquisition and state as positions in `acquisitions`."""
    shift: NDArray[np.float64]
    """Shape (pairs, 2): added displacement of the positive's content, down and right, pixels."""
    changed_pixels: NDArray[np.int32]
    change_share: NDArray[np.float64]
    object_change_share: NDArray[np.float64]
    object_share: NDArray[np.float64]
    """Object pixels in either acquisition / valid pixels."""
    noisy: NDArray[np.bool_]
    mismatched: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    control: NDArray[np.int8]
    """Position in CONTROLS."""
    score: NDArray[np.float64]
    """Change score of what each pair shows; NaN where there is none."""
    pool: Mapping[str, int]
    """Chips the pairs were drawn from: chips, noisy, clean, unknown."""
    exposure_matched: bool = True
    """Whether all arms of the experiment show the same places equally often (not so after `replace` or a filter)."""
    filtered: Filtered | None = None
    kept: NDArray[np.intp] | None = None
    """Places of these pairs in the list of all that were drawn, where a filter threw some away; None: all are here."""
    warnings: tuple[str, ...] = field(default=())

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
        places = (
            (self.scenes[self.scene[position]], int(self.y[position]), int(self.x[position])),
            (
                self.scenes[self.positive_scene[position]],
                int(self.positive_y[position]),
                int(self.positive_x[position]),
            ),
        )
        anchor, positive = (
            Shot(scene, y, x, acquisition=self.acquisitions[acquisition], state=self.acquisitions[state])
            for (scene, y, x), (acquisition, state) in zip(places, self.shots[position].tolist(), strict=True)
        )
        score = float(self.score[position])
        down, right = self.shift[position].tolist()
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
            mismatched=bool(self.mismatched[position]),
            shift=(down, right),
            score=None if np.isnan(score) else score,
        )

    @property
    def position(self) -> NDArray[np.intp]:
        """Place of each pair in the list of all that were drawn: arms of an experiment compare at equal ones."""
        return np.arange(len(self)) if self.kept is None else self.kept

    @property
    def realised_rate(self) -> float:
        """Share of pairs whose two images differ in a relevant way the loss is shown."""
        return float(self.noisy.mean())

    @property
    def realised_mismatch(self) -> float:
        """Share of pairs whose positive shows another place."""
        return float(self.mismatched.mean())

    @property
    def object_change(self) -> NDArray[np.float64]:
        """Object change share as the loss sees it: 0 of same-image and mismatched pairs and under a control.

        And 0 where it is not known.
        """
        seen = (self.shots[:, 0, 1] != self.shots[:, 1, 1]) & (self.control == 0) & ~self.mismatched & ~self.unknown
        return np.where(seen, self.object_change_share, 0.0)

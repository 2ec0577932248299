"""The change scores of a dataset, kept per square of pixels, from which chips of every size get theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.index import CELL, ChipIndex

Variant = str
ACROSS, BEFORE, AFTER = "across", "before", "after"
"""Which two images are compared: the first and the last acquisition as they are; or, of scenes that can be rendered
again, both without the change, and both with it."""


@dataclass(frozen=True)
class CellScores:
    """One score of all scenes of a dataset, or of one draw of it."""

    scenes: tuple[str, ...]
    """Names of the scenes that have scores."""
    cells: NDArray[np.int32]
    """Whole squares of CELL pixels per scene, down and across, shape (scenes, 2)."""
    variants: tuple[Variant, ...]
    values: NDArray[np.float32]
    """Mean score of the pixels with data in each square, scene after scene, row by row; NaN where a square has none.
    Shape (variants, squares)."""
    seconds: float
    """What computing them took, one worker."""

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.cells.astype(np.int64).prod(axis=1))])

    def only(self, variant: Variant) -> "CellScores":
        """Returns one variant alone."""
        row = self.variants.index(variant)
        return replace(self, variants=(variant,), values=self.values[row : row + 1])

    def of_chips(self, chips: ChipIndex) -> dict[Variant, NDArray[np.float64]]:
        """Returns the score of each chip, shape (chips,): the mean of its squares; NaN where there is none."""
        if not self.values.shape[1]:
            return {variant: np.full(len(chips), np.nan) for variant in self.variants}
        rows = {name: row for row, name in enumerate(self.scenes)}
        row = np.array([rows.get(scene.name, -1) for scene in chips.scenes], dtype=np.int64)[chips.scene]
        known = np.flatnonzero(row >= 0)
        row = row[known]
        per, across = chips.chip_size // CELL, self.cells[row, 1].astype(np.int64)
        first = self._starts[row] + chips.y[known] // CELL * across + chips.x[known] // CELL
        found = {}
        for variant, values in zip(self.variants, self.values, strict=True):
            has = ~np.isnan(values)
            whole = bool(has.all())
            numbers = values if whole else np.where(has, values, np.float32(0))
            total, count = np.zeros(len(known)), np.full(len(known), per * per, dtype=np.int64)
            for down in range(per):
                for right in range(per):
                    square = first + (down * across + right)
                    total += numbers[square]
                    if not whole:
                        count -= ~has[square]
            found[variant] = np.full(len(chips), np.nan)
            found[variant][known] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return found

    @staticmethod
    def joined(parts: Sequence["CellScores"]) -> "CellScores":
        """Returns the scores of several, at least one, that hold different scenes, in the order given."""
        return CellScores(
            scenes=tuple(name for part in parts for name in part.scenes),
            cells=np.concatenate([part.cells for part in parts]),
            variants=parts[0].variants,
            values=np.concatenate([part.values for part in parts], axis=1),
            seconds=sum(part.seconds for part in parts),
        )


def mean_per_cell(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the mean of the finite scores in each whole square of CELL pixels; NaN where it has none.

    Args:
        scores: of a scene's pixels, shape (height, width); NaN where a pixel has none.

    Returns:
        float32 of shape (height // CELL, width // CELL).
    """
    down, across = (side // CELL for side in scores.shape)
    squares = scores[: down * CELL, : across * CELL].reshape(down, CELL, across, CELL)
    finite = np.isfinite(squares)
    count = finite.sum(axis=(1, 3))
    total = np.where(finite, squares, np.float32(0)).sum(axis=(1, 3), dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)

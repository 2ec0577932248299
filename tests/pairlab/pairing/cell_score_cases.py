"""Scores of invented scenes, as files and chips of every size take them."""

from collections.abc import Sequence

import numpy as np

from pairlab.pairing.cell_scores import ACROSS, AFTER, BEFORE, CellScores
from pairlab.scenes.index import CELL


def drawn_scores(
    sizes: Sequence[tuple[int, int]], *, seed: int = 0, missing: float = 0.2, rendered: bool = False
) -> CellScores:
    """Returns scores of scenes of these heights and widths, named as those of CountedScenes."""
    rng = np.random.default_rng(seed)
    cells = np.array([(height // CELL, width // CELL) for height, width in sizes], dtype=np.int32).reshape(-1, 2)
    variants = (ACROSS, BEFORE, AFTER) if rendered else (ACROSS,)
    values = rng.random((len(variants), int(cells.prod(axis=1).sum())), dtype=np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    names = tuple(f"scene-{number:04d}" for number in range(len(sizes)))
    return CellScores(scenes=names, cells=cells, variants=variants, values=values, seconds=1.5)

"""How scenes are spread: counts per event, split and object class, and histograms."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from backend.datasets.scene_order import Rows
from backend.datasets.schemas import Column, Distribution, Histogram, NumberColumn, TextColumn
from pairlab.scenes.filtering import is_number
from pairlab.scenes.index import SceneTable

BINS = 20
MOST_TEXTS = 20
"""Values of a column of texts that are counted one by one."""


def distribution_of(table: SceneTable, rows: Rows, *, flagged: int) -> Distribution:
    """Returns how some scenes of a table are spread; edges are those of the whole table.

    Args:
        table: the dataset's scenes.
        rows: those of the selection.
        flagged: how many of them are flagged.
    """
    scenes = [table.scenes[row] for row in rows.tolist()]
    objects = table.objects[rows].sum(axis=0)
    return Distribution(
        total=len(rows),
        events=dict(sorted(Counter(scene.event for scene in scenes).items())),
        splits=dict(Counter(scene.split for scene in scenes)),
        objects={name: int(count) for name, count in zip(table.object_classes, objects, strict=True)},
        histograms=histograms_of(table, rows),
        columns=columns_of(table, rows),
        flagged=flagged,
    )


def histograms_of(table: SceneTable, rows: Rows) -> dict[str, Histogram]:
    """Returns the spread of shares, in [0, 1], and of offsets, in pixels."""
    shares = {name: getattr(table, name) for name in ("change_share", "object_change_share", "no_data_share")}
    found = {name: histogram_of(values[rows], ends=(0.0, 1.0)) for name, values in shares.items()}
    longest = _ends(table.offset_length)[1]
    found["offset"] = histogram_of(table.offset_length[rows], ends=(0.0, longest or 1.0))
    return found


def columns_of(table: SceneTable, rows: Rows) -> dict[str, Column]:
    """Returns the spread of the dataset's own columns."""
    return {name: _column(values, rows) for name, values in table.columns.items()}


def histogram_of(values: NDArray[np.float64], *, ends: tuple[float, float], bins: int = BINS) -> Histogram:
    """Returns counts in equal bins; values beyond the ends count in the outer bins, NaN in none."""
    low, high = ends
    if not high > low:  # of a single value: one bin around it
        low, high = low - 0.5, low + 0.5
    known = np.clip(values[np.isfinite(values)], low, high)
    counts, edges = np.histogram(known, bins=bins, range=(low, high))
    return Histogram(edges=[low, *np.round(edges[1:-1], 9).tolist(), high], counts=counts.tolist())


def _column(values: NDArray[np.float64] | NDArray[np.object_], rows: Rows) -> Column:
    if is_number(values):
        numbers = values.astype(np.float64)
        return NumberColumn(histogram=histogram_of(numbers[rows], ends=_ends(numbers)))
    counted = Counter(value for value in values[rows].tolist() if value is not None)
    shown = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_TEXTS]
    return TextColumn(values=dict(shown), others=counted.total() - sum(count for _, count in shown))


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)

"""What a network makes of a few places while it learns, as pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pairlab.diagnostics.earlier import NOTHING_EARLIER, Earlier
from pairlab.diagnostics.feature_colours import colour_features
from pairlab.diagnostics.map_places import MapPlace, map_places
from pairlab.events import Saved, Warned
from pairlab.networks import joined, on_grid
from pairlab.pairing.pair import PairList
from pairlab.precision import Precision
from pairlab.scenes.scene import Bands, SceneSource, UInt8Array
from pairlab.views.pixels import standardise, to_unit_range

MOMENTS = 10
"""Maps of a run: one before the first step, one behind the last, the others evenly between."""
MOST_CELLS = 64
"""Cells of a map along a side; finer features are averaged."""
ACQUISITIONS = 2


class EmbeddingMaps:
    """Draws the maps of one run; training goes on as if they had not been drawn."""

    def __init__(
        self,
        source: SceneSource,
        pairs: PairList,
        precision: Precision,
        *,
        seed: int,
        steps: int,
        moments: int = MOMENTS,
        earlier: Earlier = NOTHING_EARLIER,
        first_step: int = 0,
    ) -> None:
        """Prepares the maps of one run.

        Args:
            source: the dataset.
            pairs: the pairs of the run, whose anchors' places are shown.
            precision: how the network runs.
            seed: chooses the places.
            steps: of the whole run.
            moments: how many maps; 0 draws none.
            earlier: what earlier attempts drew: colours go on from there.
            first_step: steps that were done when the run began or went on.
        """
        self._source, self._pairs, self._precision, self._seed = source, pairs, precision, seed
        gaps = max(moments - 1, 1)
        self._due = {round(place * steps / gaps) for place in range(moments)}
        if first_step:
            self._due -= set(range(first_step + 1))  # an earlier attempt drew them
        self._before = earlier.newest_map(first_step)
        self._places: list[MapPlace] | None = None

    def drawn(self, step: int, network: nn.Module, *, folder: Path) -> Iterator[Saved | Warned]:
        """Yields the map that is due behind a step, written whole: one row per place, one column per acquisition.

        Args:
            step: steps that were done; 0 before the first.
            network: images (batch, bands, height, width) → features (batch, channels, height/s, width/s), or several
                levels of them.
            folder: of the run. A map that cannot be written there is told, and ends no run.
        """
        if step not in self._due:
            return
        self._due.discard(step)
        if self._places is None:
            self._places = map_places(self._source, self._pairs, seed=self._seed)
        if not self._places:
            return
        features = _features(network, self._places, self._source.bands, self._precision)
        cells = features.shape[-1]
        before = None if self._before is None else _tiles(self._before, rows=len(self._places), cells=cells)
        colours = colour_features(features, before=before)
        self._before = _sheet(colours.pixels, rows=len(self._places))
        path = folder / "embedding-maps" / f"{step:08d}.png"
        try:
            digest = _write(path, self._before)
        except OSError as error:
            yield Warned(step, f"The embedding map cannot be written ({error.strerror or error}): it is left out.")
            return
        details = {
            "cells": cells,
            "explained": list(colours.explained),
            "tiles": [
                {
                    "scene": place.scene,
                    "acquisition": acquisition,
                    "y": place.y,
                    "x": place.x,
                    "size": place.size,
                    "changed_pixels": place.changed_pixels,
                    "row": row,
                    "column": column,
                }
                for row, place in enumerate(self._places)
                for column, acquisition in enumerate(place.acquisitions)
            ],
        }
        yield Saved(kind="embedding_map", step=step, path=path, sha256=digest, details=details)


def _features(network: nn.Module, places: list[MapPlace], bands: Bands, precision: Precision) -> NDArray[np.float32]:
    """Returns the network's features of all chips, shape (chips, channels, cells, cells), places row by row."""
    chips = np.stack([chip for place in places for chip in place.chips])
    images = standardise(to_unit_range(torch.from_numpy(chips).to(precision.device).permute(0, 3, 1, 2), bands))
    with _as_it_transfers(network), torch.no_grad(), precision.context():
        given = network(images.contiguous(memory_format=precision.memory_format))
    levels = [torch.as_tensor(each, dtype=torch.float32) for each in ([given] if isinstance(given, Tensor) else given)]
    # A level of large numbers would be all that principal components see.
    features = joined([level / level.std().clamp(min=1e-6) for level in levels]) if len(levels) > 1 else levels[0]
    array: NDArray[np.float32] = on_grid(features, min(features.shape[-1], MOST_CELLS)).cpu().numpy()
    return array


@contextmanager
def _as_it_transfers(network: nn.Module) -> Iterator[None]:
    """Lets every module evaluate: no statistics are taken and nothing is drawn; leaves each as it was."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _sheet(tiles: UInt8Array, *, rows: int) -> UInt8Array:
    """Returns tiles (places · acquisitions, cells, cells, 3) as one picture."""
    cells = tiles.shape[1]
    grid = tiles.reshape(rows, ACQUISITIONS, cells, cells, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid.reshape(rows * cells, ACQUISITIONS * cells, 3))


def _tiles(sheet: UInt8Array, *, rows: int, cells: int) -> UInt8Array | None:
    """Returns a picture's tiles; None where it shows other ones."""
    if sheet.shape != (rows * cells, ACQUISITIONS * cells, 3):
        return None
    return sheet.reshape(rows, cells, ACQUISITIONS, cells, 3).transpose(0, 2, 1, 3, 4).reshape(-1, cells, cells, 3)


def _write(path: Path, sheet: UInt8Array) -> str:
    """Returns the SHA-256 of the PNG now at `path`: all of it is there, or nothing."""
    _, encoded = cv2.imencode(".png", sheet[:, :, ::-1])
    content = encoded.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return sha256(content).hexdigest()

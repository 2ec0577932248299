"""Datasets opened for reading and their chip indices, shared by all requests of a process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.bounded_cache import BoundedCache
from backend.errors import NotFoundError
from pairlab.experiment.expansion import DatasetReference
from pairlab.experiment.model import content_hash
from pairlab.scenes.dataset import draw_of, open_dataset
from pairlab.scenes.index import ChipIndex, load_or_build_index
from pairlab.scenes.scene import Scene, SceneSource

OPEN_FOLDERS = 4
"""Datasets of files; each keeps up to half a gigabyte of decoded images."""
OPEN_DRAWS = 16
"""Draws of synthetic datasets; opening one is cheap."""
OPEN_INDICES = 8
"""2.8 million chips, all of xBD at 64 pixels, take 100 MB."""


@dataclass(frozen=True, slots=True)
class OpenDataset:
    """A dataset opened at one draw, with its scenes by name: names from requests are looked up here, never opened."""

    reference: DatasetReference
    source: SceneSource
    by_name: Mapping[str, Scene]

    def scene(self, name: str) -> Scene:
        """Returns the scene of that name; raises NotFoundError."""
        scene = self.by_name.get(name)
        if scene is None:
            raise NotFoundError(
                f"dataset {self.reference.name!r} has no scene {name[:200]!r}; its scene list has all names"
            )
        return scene


class Sources:
    """Opens datasets and builds indices on demand; a bounded number of both stays open."""

    def __init__(self, *, data_roots: Mapping[str, Path], index_folder: Path) -> None:
        self._data_roots = data_roots
        self._index_folder = index_folder
        self._folders: BoundedCache[tuple[str, int], OpenDataset] = BoundedCache(OPEN_FOLDERS)
        self._draws: BoundedCache[tuple[str, int], OpenDataset] = BoundedCache(OPEN_DRAWS)
        self._indices: BoundedCache[tuple[str, int], ChipIndex] = BoundedCache(OPEN_INDICES)

    def open(self, dataset: DatasetReference, *, draw: int = 0) -> OpenDataset:
        """Returns the dataset opened; raises SceneError where its files cannot be used.

        Args:
            dataset: a registered dataset.
            draw: which redraw of synthetic scenes; files are the same in all.
        """
        draw = draw_of(dataset.config, draw)

        def make() -> OpenDataset:
            source = open_dataset(dataset.config, data_roots=self._data_roots, draw=draw)
            return OpenDataset(dataset, source, {scene.name: scene for scene in source.scenes})

        opened = self._draws if dataset.config.kind == "synthetic" else self._folders
        return opened.get((content_hash(dataset), draw), make)

    def index(self, dataset: DatasetReference, *, chip_size: int, draw: int = 0) -> ChipIndex:
        """Returns the chip index, from memory, from its Parquet file, or built; `chip_size` 0 is one row per scene."""
        draw = draw_of(dataset.config, draw)
        key = f"{dataset.fingerprint}-{draw}"

        def make() -> ChipIndex:
            source = self.open(dataset, draw=draw).source
            return load_or_build_index(source, chip_size=chip_size, key=key, folder=self._index_folder)

        return self._indices.get((key, chip_size), make)

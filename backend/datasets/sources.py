"""Datasets opened for reading and what is known of their scenes, shared by all requests of a process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from backend.datasets.bounded_cache import BoundedCache
from backend.errors import NotFoundError
from pairlab.experiment.jobs import DatasetReference, PretrainJob, ScoreJob, SegmentJob
from pairlab.experiment.model import content_hash
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.job_pairs import trainable_chips
from pairlab.pairing.score_file import files_of, read_scores
from pairlab.scenes.dataset import draw_of, open_dataset, read_dataset_index, selected
from pairlab.scenes.index import ChipIndex, DatasetIndex, SceneTable
from pairlab.scenes.index_file import read_table
from pairlab.scenes.indexing import IndexFiles
from pairlab.scenes.scene import Scene, SceneSource

MEBIBYTE = 2**20
OPEN_FOLDERS = 4
"""Datasets of files that stay open."""
FOLDER_BYTES = 32 * MEBIBYTE
"""What each of them keeps: a page asks for the image, label and change of one scene, and then for another one's."""
OPEN_DRAWS = 4
"""Draws of synthetic datasets that stay open; each keeps up to 64 MB."""
TABLE_BYTES = 256 * MEBIBYTE
"""The table of all of xBD takes 40 MB."""
INDEX_BYTES = 256 * MEBIBYTE
"""The squares of all of xBD take 90 MB."""
CHIP_BYTES = 512 * MEBIBYTE
"""The chips of all of xBD take 150 MB at 64 pixels, those of its train split 120 MB (490 MB at 32)."""
SCORE_BYTES = 256 * MEBIBYTE
"""A change score of all of xBD takes 45 MB."""
SCENE_BYTES = 2500
"""What a scene with its names, files and texts takes in memory, about."""


class FileVersion(NamedTuple):
    """A file as it is now: another one after it was written anew."""

    path: Path
    modified: int
    size: int


@dataclass(frozen=True, slots=True)
class KnownScenes:
    """The scene table of a dataset, and which version of its file it was read from."""

    version: FileVersion
    table: SceneTable


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
    """Opens datasets and reads what was found in them; a bounded number of bytes stays in memory."""

    def __init__(self, *, data_roots: Mapping[str, Path], index_folder: Path) -> None:
        self._data_roots = data_roots
        self._making = Lock()
        self._index_folder = index_folder
        self._folders: BoundedCache[tuple[str, FileVersion], OpenDataset] = BoundedCache(OPEN_FOLDERS)
        self._draws: BoundedCache[tuple[str, int], OpenDataset] = BoundedCache(OPEN_DRAWS)
        self._tables: BoundedCache[FileVersion, SceneTable | None] = BoundedCache(TABLE_BYTES, size_of=_table_bytes)
        self._indices: BoundedCache[FileVersion, DatasetIndex] = BoundedCache(INDEX_BYTES, size_of=_index_bytes)
        self._chips: BoundedCache[tuple[FileVersion, str], ChipIndex] = BoundedCache(CHIP_BYTES, size_of=_chip_bytes)
        self._scores: BoundedCache[FileVersion, CellScores | None] = BoundedCache(SCORE_BYTES, size_of=_score_bytes)

    def version(self, dataset: DatasetReference) -> FileVersion | None:
        """Returns which version of the scene table is there, if any; reads nothing."""
        return _version(self._index_path(dataset, 0))

    def known(self, dataset: DatasetReference) -> KnownScenes | None:
        """Returns what is known of the scenes; None for files of which not even the labels were read yet."""
        path = self._index_path(dataset, 0)
        version = _version(path)
        if version is None and dataset.config.kind == "synthetic":
            self._read_index(dataset, 0)
            version = _version(path)
        if version is None:
            return None
        table = self._tables.get(version, lambda: read_table(path))
        return None if table is None else KnownScenes(version, table)

    def open(self, dataset: DatasetReference, known: KnownScenes | None, *, draw: int = 0) -> OpenDataset:
        """Returns the dataset opened; raises SceneError where its files cannot be used.

        Args:
            dataset: a registered dataset.
            known: its scenes; None where they are rendered.
            draw: which redraw of synthetic scenes; files are the same in all.
        """
        draw = draw_of(dataset.config, draw)

        def make() -> OpenDataset:
            table = None if known is None else known.table
            source = open_dataset(
                dataset.config, data_roots=self._data_roots, draw=draw, table=table, cache_bytes=FOLDER_BYTES
            )
            return OpenDataset(dataset, source, {scene.name: scene for scene in source.scenes})

        if known is None or dataset.config.kind == "synthetic":
            return self._draws.get((content_hash(dataset), draw), make)
        return self._folders.get((content_hash(dataset), known.version), make)

    def chips(
        self, dataset: DatasetReference, *, chip_size: int, draw: int = 0, scenes: SceneFilter | None = None
    ) -> ChipIndex:
        """Returns the chips of the scenes that pass a filter.

        Args:
            dataset: a registered dataset, indexed.
            chip_size: height and width, pixels.
            draw: which redraw of synthetic scenes.
            scenes: None takes all.

        Raises:
            SceneError: it is not indexed, or no scene passes.
        """
        wanted = scenes or SceneFilter()
        which = {"chip_size": chip_size, "scenes": wanted.model_dump(mode="json")}
        return self._kept_chips(dataset, draw, which, lambda index: selected(index, wanted).chips(chip_size))

    def trainable(self, config: PretrainJob | SegmentJob) -> ChipIndex:
        """Returns the chips that a job may train on; of a transductive pretraining, those of all splits.

        Raises:
            SceneError: its dataset is not indexed, no scene passes its filter, or a split has none.
        """
        transductive = isinstance(config, PretrainJob) and config.transductive

        def make(_index: DatasetIndex) -> ChipIndex:
            # From all chips, which stay: other splits of them are a copy, and counting them anew takes ten times that.
            chips = self.chips(config.dataset, chip_size=config.chip_size, draw=config.seed, scenes=config.scenes)
            return trainable_chips(chips, config.splits, transductive=transductive)

        which = config.model_dump(mode="json", include={"scenes", "splits", "chip_size"})
        return self._kept_chips(config.dataset, config.seed, {**which, "transductive": transductive}, make)

    def scores(self, job: ScoreJob) -> CellScores | None:
        """Returns a change score of a dataset; None where it is not computed."""
        version = self.score_version(job)
        return None if version is None else self._scores.get(version, lambda: read_scores(version.path))

    def score_version(self, job: ScoreJob) -> FileVersion | None:
        """Returns which version of a change score is there, if any; reads nothing."""
        return _version(files_of(job, self._index_folder).path)

    def _kept_chips(
        self, dataset: DatasetReference, seed: int, which: dict[str, Any], make: Callable[[DatasetIndex], ChipIndex]
    ) -> ChipIndex:
        draw = draw_of(dataset.config, seed)
        index = self._read_index(dataset, draw)
        version = _version(self._index_path(dataset, draw))
        if version is None:  # deleted this moment
            return make(index)
        return self._chips.get((version, content_hash(which)), lambda: make(index))

    def _read_index(self, dataset: DatasetReference, draw: int) -> DatasetIndex:
        def read() -> DatasetIndex:
            return read_dataset_index(dataset.config, key=dataset.fingerprint, folder=self._index_folder, draw=draw)

        path = self._index_path(dataset, draw)
        version = _version(path)
        if version is None:
            with self._making:  # of requests that need the same, one renders it
                version = _version(path)
                if version is None:
                    return read()
        return self._indices.get(version, read)

    def _index_path(self, dataset: DatasetReference, draw: int) -> Path:
        drawn = f"-{draw}" if dataset.config.kind == "synthetic" else ""
        return IndexFiles(self._index_folder, f"{dataset.fingerprint}{drawn}").index


def _version(path: Path) -> FileVersion | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return FileVersion(path, found.st_mtime_ns, found.st_size)


def _table_bytes(table: SceneTable | None) -> int:
    if table is None:
        return 0
    texts = sum(len(table) * 60 for values in table.columns.values() if values.dtype == object)
    return len(table) * SCENE_BYTES + texts + sum(values.nbytes for values in table.columns.values())


def _index_bytes(index: DatasetIndex) -> int:
    return _table_bytes(index.table) + index.cells.nbytes + index.objects.nbytes


def _chip_bytes(chips: ChipIndex) -> int:
    return sum(getattr(value, "nbytes", 0) for value in vars(chips).values())


def _score_bytes(scores: CellScores | None) -> int:
    return 0 if scores is None else scores.values.nbytes + scores.cells.nbytes + 100 * len(scores.scenes)

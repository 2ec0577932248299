"""Registered datasets, whatever their kind: listed, opened for reading, and what is known of their scenes."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pairlab.experiment.datasets import BitemporalDataset, FileDataset, SyntheticDataset, XbdDataset
from pairlab.experiment.model import content_hash
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.scenes.bitemporal import bitemporal_fingerprint, list_bitemporal, open_bitemporal
from pairlab.scenes.byte_cache import SOURCE_BYTES
from pairlab.scenes.filtering import matching
from pairlab.scenes.index import DatasetIndex, SceneTable
from pairlab.scenes.index_file import read_index, write_index
from pairlab.scenes.indexing import IndexFiles
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import Listing, Scene, SceneError, SceneSource
from pairlab.scenes.synthetic import GENERATOR_VERSION, SyntheticSource
from pairlab.scenes.xbd import open_xbd
from pairlab.scenes.xbd_files import list_xbd, xbd_fingerprint

AnyDataset = SyntheticDataset | XbdDataset | BitemporalDataset


def list_dataset(config: FileDataset, *, data_roots: Mapping[str, Path]) -> Listing:
    """Returns what lies in a dataset's folder, looked at without decoding a pixel.

    Raises:
        SceneError: the data root is not known, or there is nothing to be used.
    """
    folder = dataset_folder(config, data_roots)
    return list_xbd(folder) if isinstance(config, XbdDataset) else list_bitemporal(folder, config)


def open_dataset(
    config: AnyDataset,
    *,
    data_roots: Mapping[str, Path],
    draw: int = 0,
    table: SceneTable | None = None,
    scenes: Sequence[Scene] | None = None,
    cache_bytes: int = SOURCE_BYTES,
) -> SceneSource:
    """Returns the dataset's scenes.

    Args:
        config: what was registered.
        data_roots: name → folder; the only places files are read from.
        draw: which redraw of synthetic scenes; each seed of an experiment takes its own. Files are the same in all.
        table: of the dataset's index, so that its folder need not be listed again.
        scenes: as `list_dataset` found them, where there is no table yet.
        cache_bytes: what a dataset of files may keep in memory.

    Raises:
        SceneError: the data root is not known, or the files cannot be used.
    """
    if isinstance(config, SyntheticDataset):
        return SyntheticSource(config, draw=draw)
    folder = dataset_folder(config, data_roots)
    scenes = scenes if table is None else table.scenes
    if isinstance(config, XbdDataset):
        return open_xbd(folder, damage_from=config.damage_from, scenes=scenes, cache_bytes=cache_bytes)
    bands = None if table is None else table.bands
    return open_bitemporal(folder, config, scenes=scenes, bands=bands, cache_bytes=cache_bytes)


def read_dataset_index(config: AnyDataset, *, key: str, folder: Path, draw: int = 0) -> DatasetIndex:
    """Returns what is known of every scene: of files what their index job found, of rendered scenes made when needed.

    Args:
        config: what was registered.
        key: the dataset's fingerprint.
        folder: of all indices.
        draw: which redraw of synthetic scenes.

    Raises:
        SceneError: files that were not indexed yet.
    """
    if not isinstance(config, SyntheticDataset):
        index = read_index(IndexFiles(folder, key).index)
        if index is None:
            raise SceneError("the dataset is not indexed yet: wait for its index job, or retry it")
        return index
    path = IndexFiles(folder, f"{key}-{draw}").index
    index = read_index(path)
    if index is None:
        index = build_index(SyntheticSource(config, draw=draw))
        write_index(index, path)
    return index


def selected(index: DatasetIndex, wanted: SceneFilter) -> DatasetIndex:
    """Returns the index of the scenes that an experiment wants; raises SceneError where there are none."""
    rows = matching(index.table, wanted)
    if not len(rows):
        raise SceneError(f"scenes: none of the dataset's {len(index.table)} scenes pass the filter: widen it")
    return index.select(rows)


def draw_of(config: AnyDataset, seed: int) -> int:
    """Returns the draw that a seed's run sees: synthetic scenes are redrawn, files are the same for every seed."""
    return seed if isinstance(config, SyntheticDataset) else 0


def dataset_fingerprint(config: AnyDataset, *, data_roots: Mapping[str, Path]) -> str:
    """Returns 64 hex digits that change with the dataset's content: knobs and generator, or files."""
    if isinstance(config, SyntheticDataset):
        return content_hash(
            {
                "config": config.model_dump(mode="json"),
                "scenes": config.scenes.model_dump(mode="json"),
                "generator": GENERATOR_VERSION,
            }
        )
    folder = dataset_folder(config, data_roots)
    if isinstance(config, XbdDataset):
        return content_hash({"files": xbd_fingerprint(folder), "damage_from": config.damage_from})
    read_as = config.model_dump(mode="json", exclude={"root", "folder"})
    return content_hash({"files": bitemporal_fingerprint(folder, config), "read as": read_as})


def dataset_folder(config: FileDataset, data_roots: Mapping[str, Path]) -> Path:
    """Returns the dataset's folder; raises SceneError where the data root is not known or does not hold it."""
    root = data_roots.get(config.root)
    if root is None:
        known = ", ".join(sorted(data_roots)) or "none"
        raise SceneError(
            f"no data root {config.root!r} (known: {known}): start PairLab with "
            f"`pairlab up --data-root {config.root}=FOLDER`"
        )
    folder = Path(os.path.realpath(root / config.folder))
    if not folder.is_relative_to(os.path.realpath(root)):
        raise SceneError(f"folder {config.folder!r} leads out of data root {config.root!r}: name a folder inside it")
    return folder

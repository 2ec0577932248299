"""Runs of the index job on a tree, as tests take them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pairlab.events import Event
from pairlab.scenes import indexing
from pairlab.scenes.index import DatasetIndex
from pairlab.scenes.index_file import read_index
from pairlab.scenes.indexing import ImageStore, IndexFiles, index_dataset
from pairlab.scenes.measuring import index_of, look_at_pixels, measure_labels, with_pixels
from pairlab.scenes.scene import SceneSource
from pairlab.scenes.xbd import open_xbd
from pairlab.scenes.xbd_files import list_xbd
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

KEY = "0" * 64
PART = 3
"""Scenes of a part, so that a small tree has several."""


def never() -> bool:
    """Returns that nobody wants a stop."""
    return False


def write_striped_tree(folder: Path) -> Path:
    """Writes eleven tiles, of which one has a black strip on one date, and returns their folder."""
    names = write_xbd_tree(folder, seed=6, size=128)
    path = folder / "train" / "images" / f"{names[0]}_post_disaster.png"
    image = np.array(cv2.imread(str(path)))
    image[:40] = 0
    cv2.imwrite(str(path), image)
    return folder


def index_in_one_go(tree: Path, folder: Path) -> Path:
    """Returns the file of an index, made in `folder` from parts of PART scenes and never disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "PART_SCENES", PART)
        files = IndexFiles(folder, KEY)
        run(tree, files)
    return files.index


def events_of(
    tree: Path, files: IndexFiles, *, should_stop: Callable[[], bool] = never, store: ImageStore | None = None
) -> Iterator[Event]:
    """Yields what happens while a tree is indexed."""
    listing = list_xbd(tree)
    source = open_xbd(tree, damage_from="minor-damage", scenes=listing.scenes)
    return index_dataset(
        source, files, root=tree, quarantined=listing.quarantined, store=store, should_stop=should_stop
    )


def run(
    tree: Path, files: IndexFiles, *, should_stop: Callable[[], bool] = never, store: ImageStore | None = None
) -> list[Event]:
    """Returns what happened while a tree was indexed."""
    return list(events_of(tree, files, should_stop=should_stop, store=store))


def read(files: IndexFiles) -> DatasetIndex:
    """Returns the index that a run has written."""
    index = read_index(files.index)
    assert index is not None
    return index


def directly(source: SceneSource) -> DatasetIndex:
    """Returns the index without job, parts, files or threads."""
    labels = index_of(source, [measure_labels(source, scene) for scene in source.scenes], pixels_read=False)
    facts = [look_at_pixels(source, s, [source.image(s, date) for date in s.acquisitions]) for s in source.scenes]
    return with_pixels(labels, facts)


def stop_at(call: int) -> Callable[[], bool]:
    """Returns what wants a stop from its n-th call on."""
    calls = iter(range(1, 10_000))
    return lambda: next(calls) >= call

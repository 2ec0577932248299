from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.scenes.index import WHOLE_SCENES, build_index, load_or_build_index
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.scenes.xbd import open_xbd
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

SOURCE = SyntheticSource(SyntheticDataset(train=12, validation=2, test=2))


def test_rows_count_the_pixels_of_their_chips() -> None:
    index = build_index(SOURCE, 32)
    assert len(index) == 16 * 4
    for row in (0, 5, 38):
        maps = SOURCE.change(SOURCE.scenes[index.scene[row]])
        window = np.s_[index.y[row] : index.y[row] + 32, index.x[row] : index.x[row] + 32]
        assert index.changed_pixels[row] == maps.changed[window].sum()
        assert index.object_pixels[row] == maps.objects[window].sum()
    assert index.valid_pixels.tolist() == [32 * 32] * len(index)


def test_whole_scenes_have_one_row_each() -> None:
    index = build_index(SOURCE, WHOLE_SCENES)
    chips = build_index(SOURCE, 32)
    assert index.scene.tolist() == list(range(16))
    assert np.array_equal(np.bincount(chips.scene, weights=chips.changed_pixels), index.changed_pixels)


def test_shares_are_zero_without_objects(tmp_path: Path) -> None:
    write_xbd_tree(tmp_path, seed=5, scenes_per_split={"train": 3}, size=128)
    index = build_index(open_xbd(tmp_path, damage_from="minor-damage"), 64)
    empty = index.object_pixels == 0
    assert empty.any()
    assert (index.object_change_share[empty] == 0).all()
    assert ((index.object_change_share >= 0) & (index.object_change_share <= 1)).all()


def test_of_scenes_keeps_the_named_ones_alone() -> None:
    index = build_index(SOURCE, 32).of_scenes({"train-000003", "test-000001"})
    assert {index.scenes[position] for position in index.scene} == {"train-000003", "test-000001"}
    assert len(index) == 8


def test_the_index_is_kept_and_read_back(tmp_path: Path) -> None:
    built = load_or_build_index(SOURCE, chip_size=32, key="k", folder=tmp_path / "index")
    (path,) = (tmp_path / "index").iterdir()
    assert pq.read_table(path).num_rows == len(built)
    again = load_or_build_index(SOURCE, chip_size=32, key="k", folder=tmp_path / "index")
    assert again.scenes == built.scenes
    assert np.array_equal(again.changed_pixels, built.changed_pixels)


def test_a_damaged_file_is_built_anew(tmp_path: Path) -> None:
    built = load_or_build_index(SOURCE, chip_size=32, key="k", folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = load_or_build_index(SOURCE, chip_size=32, key="k", folder=tmp_path)
    assert np.array_equal(again.x, built.x)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]

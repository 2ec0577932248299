import numpy as np
import pytest

from benchmarks.full_xbd import EMPTY_TILES, MEAN_BUILDINGS
from benchmarks.invented_index import invented_index
from pairlab.scenes.index import COUNTS, DatasetIndex


@pytest.fixture(scope="module")
def index() -> DatasetIndex:
    return invented_index(400, labels=["train/labels/one", "train/labels/two"])


def test_it_is_as_full_as_xbd(index: DatasetIndex) -> None:
    objects = index.table.objects.sum(axis=1)
    assert objects.mean() == pytest.approx(MEAN_BUILDINGS, rel=0.15)
    assert (objects == 0).mean() == pytest.approx(EMPTY_TILES, abs=0.1)
    splits = [scene.split for scene in index.table.scenes]
    assert splits.count("train") / 400 == pytest.approx((2_799 + 6_369) / 11_034, abs=0.01)
    assert 0 < (index.table.changed_pixels > 0).mean() < 0.5


def test_its_counts_agree(index: DatasetIndex) -> None:
    chips = index.chips(64)
    assert len(chips) == 400 * 16 * 16
    for name in COUNTS:
        per_scene = np.bincount(chips.scene, getattr(chips, name), minlength=400)
        np.testing.assert_array_equal(per_scene, getattr(index.table, name))
    assert (chips.changed_pixels + chips.unknown_pixels <= chips.valid_pixels).all()
    assert chips.objects.sum() == index.table.objects.sum()


def test_scenes_take_the_labels_in_turn_and_an_equal_seed_gives_an_equal_index(index: DatasetIndex) -> None:
    labels = [scene.files["post"].label for scene in index.table.scenes[:3]]
    assert labels == [f"train/labels/{name}_post_disaster.json" for name in ("one", "two", "one")]
    again, other = (invented_index(400, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(again.cells, index.cells)
    assert not np.array_equal(other.cells, index.cells)

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.methods import PixelInfoNCE, SimCLR
from pairlab.experiment.training import Augmentation, Pretraining
from pairlab.pairing.pair import Pair
from pairlab.scenes.scene import BoolArray
from pairlab.views.batches import PairBatches
from pairlab.views.geometry import GRID_STRIDE, cell_centres, covered_cells
from pairlab.views.preview import ViewPair, preview_views
from pairlab.views.steps import Steps
from tests.pairlab.views.known_geometry import CoordinateScenes, pair_list

SIZE, GRID = 32, 8
SOURCE = CoordinateScenes()
SCENES = {scene.name: scene for scene in SOURCE.scenes}


def changed(pair: Pair) -> BoolArray:
    y, x = pair.anchor.y, pair.anchor.x
    return SOURCE.change(SCENES[pair.anchor.scene]).changed[y : y + SIZE, x : x + SIZE]


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    points=st.sampled_from([4, 24, 100]),
    batch_size=st.integers(2, 20),
    shift_px=st.sampled_from([0.0, 2.0]),
)
def test_people_see_the_views_and_points_that_the_trainer_draws(
    seed: int, points: int, batch_size: int, shift_px: float
) -> None:
    pairs = pair_list(SOURCE.scenes, size=SIZE, count=13, seed=seed, shift_px=shift_px, masked=0.5)
    training = Pretraining(batch_size=batch_size, augmentation=Augmentation(crop_scale=(0.3, 1.0)))
    batches = PairBatches(SOURCE, pairs, training, seed=seed, grid=GRID, points=points)
    positions = [12, 0, 5, 7]
    drawn = preview_views(
        pairs,
        positions,
        augmentation=training.augmentation,
        method=PixelInfoNCE(points_per_pair=points),
        seed=seed,
        changed=changed,
        batch_size=batch_size,
    )
    steps, places = Steps(pairs, training.augmentation, batch_size=batch_size, seed=seed).first_shown(
        np.array(positions)
    )
    for views, step, place in zip(drawn, steps.tolist(), places.tolist(), strict=True):
        batch = batches.batch(step)
        assert np.array_equal(views.anchor, batch.views[place])
        assert np.array_equal(views.positive, batch.views[batch_size + place])
        valid = batch.valid[place]
        matched = ~views.excluded
        assert np.array_equal(views.points_a[matched], cell_centres(GRID, SIZE)[batch.cells_a[place][valid]])
        column, row = np.floor(views.points_b[matched] / GRID_STRIDE).astype(int).T
        assert np.array_equal(row * GRID + column, batch.cells_b[place][valid])


def preview(method: PixelInfoNCE | SimCLR, *, maps: bool = True) -> tuple[list[Pair], list[ViewPair]]:
    pairs = pair_list(SOURCE.scenes, size=SIZE, count=40, seed=1, masked=0.5)
    drawn = preview_views(
        pairs,
        range(40),
        augmentation=Augmentation(),
        method=method,
        seed=1,
        changed=changed if maps else None,
    )
    return list(pairs), drawn


def test_excluded_points_see_the_change_of_masked_pairs() -> None:
    excluded = 0
    for pair, views in zip(*preview(PixelInfoNCE(points_per_pair=64)), strict=True):
        if pair.control != "masked":
            assert not views.excluded.any()
            continue
        cells_a, cells_b = (
            (points // GRID_STRIDE).astype(int) @ [1, GRID] for points in (views.points_a, views.points_b)
        )
        where = changed(pair)[None]
        seen = (
            covered_cells(where, views.anchor[None], grid=GRID)[0, cells_a]
            | covered_cells(where, views.positive[None], grid=GRID)[0, cells_b]
        )
        assert np.array_equal(views.excluded, seen)
        excluded += int(seen.sum())
    assert excluded > 20


def test_without_maps_nothing_is_excluded() -> None:
    pairs, drawn = preview(PixelInfoNCE(), maps=False)
    assert any(pair.control == "masked" for pair in pairs)
    assert not any(views.excluded.any() for views in drawn)


def test_a_method_that_matches_nothing_has_views_and_no_points() -> None:
    _, dense = preview(PixelInfoNCE())
    _, pooled = preview(SimCLR())
    for one, other in zip(dense, pooled, strict=True):
        assert np.array_equal(one.anchor, other.anchor)
        assert np.array_equal(one.positive, other.positive)
        assert other.points_a.shape == other.points_b.shape == (0, 2)
        assert other.excluded.shape == (0,)


def test_matching_by_features_takes_the_same_points_of_the_anchor() -> None:
    for one, other in zip(preview(PixelInfoNCE())[1], preview(PixelInfoNCE(matching="feature"))[1], strict=True):
        assert np.array_equal(one.points_a, other.points_a)


@pytest.mark.parametrize("module", ["preview", "steps", "chips", "change_weights"])
def test_views_are_drawn_without_torch(module: str) -> None:
    code = f"import sys, pairlab.views.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

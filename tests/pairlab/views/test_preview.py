import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.methods import GridStride, PixelInfoNCE, PixPro, SimCLR
from pairlab.experiment.training import Augmentation, Pretraining
from pairlab.pairing.pair import Pair
from pairlab.scenes.scene import BoolArray
from pairlab.views.batches import PairBatches
from pairlab.views.geometry import GRID_STRIDE, cell_centres, covered_cells
from pairlab.views.neighbours import Reach
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


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_points_lie_on_the_methods_own_grid_as_the_trainer_draws_them(stride: GridStride) -> None:
    pairs, grid = pair_list(SOURCE.scenes, size=SIZE, count=9, seed=2), SIZE // stride
    method = PixelInfoNCE(points_per_pair=6, grid_stride=stride)
    drawn = preview_views(
        pairs, range(9), augmentation=Augmentation(), method=method, seed=2, changed=None, batch_size=9
    )
    batches = PairBatches(SOURCE, pairs, Pretraining(batch_size=9), seed=2, grid=grid, points=6)
    batch, order = batches.batch(0), batches.positions(0).tolist()
    for position, views in enumerate(drawn):
        place = order.index(position)
        valid = batch.valid[place]
        assert np.array_equal(views.points_a, cell_centres(grid, SIZE)[batch.cells_a[place][valid]])
        column, row = np.floor(views.points_b / stride).astype(int).T
        assert np.array_equal(row * grid + column, batch.cells_b[place][valid])
        assert views.reach is None


def test_a_tolerance_moves_no_point_and_is_told_in_the_views_pixels() -> None:
    for one, other in zip(preview(PixelInfoNCE())[1], preview(PixelInfoNCE(match_tolerance_px=5))[1], strict=True):
        assert np.array_equal(one.points_a, other.points_a)
        assert np.array_equal(one.points_b, other.points_b)
        along = np.hypot(*(one.positive @ [1, 0, 1] - one.positive @ [0, 0, 1]))  # source pixels of a pixel
        assert other.reach == pytest.approx(5 / along)


@pytest.mark.parametrize("tolerance", [0.0, 9.0])
def test_pixpro_shows_the_cells_that_it_matches_and_how_far_it_looks(tolerance: float) -> None:
    method, size = PixPro(match_tolerance_px=tolerance), 40
    pairs = pair_list(SOURCE.scenes, size=SIZE, count=size, seed=1, masked=0.5)
    drawn = preview_views(
        pairs, range(size), augmentation=Augmentation(), method=method, seed=1, changed=changed, batch_size=size
    )
    reach = Reach(diagonals=method.threshold, pixels=tolerance)
    training = Pretraining(batch_size=size)
    batches = PairBatches(SOURCE, pairs, training, seed=1, grid=4, points=0, reach=reach, cells=True)
    batch, order = batches.batch(0), batches.positions(0).tolist()
    matched = set(batch.matches[:, 0].tolist())
    excluded = 0
    for position, views in enumerate(drawn):
        place = order.index(position)
        cells = (views.points_a // 8).astype(int) @ [1, 4]
        assert [place * 16 + cell in matched for cell in cells] == (~views.excluded).tolist()
        excluded += int(views.excluded.sum())
        assert matched & set(range(place * 16, place * 16 + 16)) <= set((place * 16 + cells).tolist())
        assert views.reach is not None
        apart = np.linalg.norm(views.points_b[:, None] - cell_centres(4, SIZE), axis=2)
        for cell, near in zip(cells, apart <= views.reach + 1e-5, strict=True):
            there = batch.matches[batch.matches[:, 0] == place * 16 + cell, 1] % 16
            assert set(there.tolist()) <= set(np.flatnonzero(near).tolist())
            if not batch.excluded[place, cell]:
                assert set(np.flatnonzero(near & ~batch.excluded[size + place])) == set(there.tolist())
    assert excluded > 20

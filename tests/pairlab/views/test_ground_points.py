"""Matched points lie on the same ground, in scenes whose pixels tell where they are, as the real crop shows them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pairlab.experiment.methods import PixelInfoNCE
from pairlab.experiment.training import Augmentation, Pretraining
from pairlab.pairing.pair import CONTROLS, PairList
from pairlab.views.batches import PairBatch, PairBatches
from pairlab.views.geometry import GRID_STRIDE
from pairlab.views.pixels import crop
from pairlab.views.preview import preview_views
from tests.pairlab.views.known_geometry import ACQUISITION, SCENE, CoordinateScenes, X, Y, pair_list

SIZE, GRID = 32, 8
SOURCE = CoordinateScenes()
MASKED = CONTROLS.index("masked")
ranges = st.tuples(st.floats(0.2, 1.0), st.floats(0.2, 1.0)).map(lambda pair: (min(pair), max(pair)))


def pairs_of(seed: int, *, shift_px: float = 0.0, masked: float = 0.0, mismatched: float = 0.0) -> PairList:
    return pair_list(
        SOURCE.scenes, size=SIZE, count=12, seed=seed, shift_px=shift_px, masked=masked, mismatched=mismatched
    )


def batches_of(pairs: PairList, seed: int, *, crop_scale: tuple[float, float], flips: bool) -> PairBatches:
    training = Pretraining(batch_size=8, augmentation=Augmentation(crop_scale=crop_scale, flips=flips))
    return PairBatches(SOURCE, pairs, training, seed=seed, grid=GRID, points=24)


def shown(batch: PairBatch) -> NDArray[np.float32]:
    """Returns the views as the trainer crops them, shape (views, size, size, bands), positions in the scene."""
    chips = torch.from_numpy(batch.chips).permute(0, 3, 1, 2)
    return np.asarray(crop(chips, batch.views).permute(0, 2, 3, 1))


def cell(view: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    row, column = divmod(number, GRID)
    return view[row * GRID_STRIDE : (row + 1) * GRID_STRIDE, column * GRID_STRIDE : (column + 1) * GRID_STRIDE].reshape(
        -1, 4
    )


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), crop_scale=ranges, flips=st.booleans(), shift_px=st.sampled_from([0.0, 3.0]))
def test_matched_cells_show_the_same_ground_less_the_displacement(
    seed: int, crop_scale: tuple[float, float], flips: bool, shift_px: float
) -> None:
    pairs = pairs_of(seed, shift_px=shift_px)
    batches = batches_of(pairs, seed, crop_scale=crop_scale, flips=flips)
    batch, positions = batches.batch(3), batches.positions(3)
    views = shown(batch)
    points = 0
    for pair, position in enumerate(positions.tolist()):
        moved = pairs.shift[position, ::-1]
        for cell_a, cell_b in zip(
            batch.cells_a[pair][batch.valid[pair]], batch.cells_b[pair][batch.valid[pair]], strict=True
        ):
            a, b = cell(views[pair], int(cell_a)), cell(views[8 + pair], int(cell_b))
            assert np.abs(np.stack([a, b])[:, :, SCENE] - pairs.scene[position]).max() < 1e-3
            assert np.abs(a[:, ACQUISITION] - b[:, ACQUISITION]) == pytest.approx(1, abs=1e-3)
            corner = np.array([pairs.x[position], pairs.y[position]])
            in_b = b[:, [X, Y]]
            if (in_b - corner <= 0.5001).any() or (in_b - corner >= SIZE - 0.5001).any():
                continue  # the repeated border says less
            # A's cell may reach half a pixel past the border, which moves its mean by no more than that.
            reach = GRID_STRIDE / 2 * np.sqrt(abs(np.linalg.det(batch.views[8 + pair][:, :2])))
            apart = a[:, [X, Y]].mean(axis=0) - (in_b.mean(axis=0) + moved)
            assert np.abs(apart).max() <= reach + 0.26
            points += 1
    assert points or shift_px


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), crop_scale=ranges, flips=st.booleans(), shift_px=st.sampled_from([0.0, 2.5]))
def test_points_shown_to_people_lie_on_the_same_ground_to_a_thousandth_of_a_pixel(
    seed: int, crop_scale: tuple[float, float], flips: bool, shift_px: float
) -> None:
    pairs = pairs_of(seed, shift_px=shift_px)
    drawn = preview_views(
        pairs,
        range(12),
        augmentation=Augmentation(crop_scale=crop_scale, flips=flips),
        method=PixelInfoNCE(points_per_pair=16),
        seed=seed,
        changed=None,
        batch_size=5,
    )
    along = np.arange(SIZE, dtype=np.float32) + 0.5
    chip = torch.from_numpy(np.stack(np.meshgrid(along, along)))[None]
    compared = 0
    for pair, views in zip(pairs, drawn, strict=True):
        a, b = (crop(chip, matrix[None])[0] for matrix in (views.anchor, views.positive))
        ground_a, ground_b = at_points(a, views.points_a), at_points(b, views.points_b)
        down, right = pair.shift
        # Nearer to the border, crops repeat it.
        inner = ((ground_b > 2) & (ground_b < SIZE - 2) & (ground_a > 1) & (ground_a < SIZE - 1)).all(axis=1)
        inner &= ((views.points_b > 0.5) & (views.points_b < SIZE - 0.5)).all(axis=1)
        expected = ground_a[inner] - [right, down]
        assert ground_b[inner] == pytest.approx(expected, abs=1e-3)
        compared += int(inner.sum())
    assert compared or shift_px


def at_points(view: torch.Tensor, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns what a view (2, size, size) shows at points (x, y) between its pixels, shape (points, 2)."""
    grid = torch.from_numpy(points * 2 / SIZE - 1).to(view)[None, None]
    found = torch.nn.functional.grid_sample(view[None], grid, padding_mode="border", align_corners=False)
    return np.asarray(found[0, :, 0].T.double())


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), crop_scale=ranges, shift_px=st.sampled_from([0.0, 4.0]))
def test_masked_pairs_never_match_a_pixel_that_changed(
    seed: int, crop_scale: tuple[float, float], shift_px: float
) -> None:
    pairs = pairs_of(seed, shift_px=shift_px, masked=0.6)
    batches = batches_of(pairs, seed, crop_scale=crop_scale, flips=True)
    batch, positions = batches.batch(0), batches.positions(0)
    views = shown(batch)
    for pair, position in enumerate(positions.tolist()):
        changed = SOURCE.change(SOURCE.scenes[pairs.scene[position]]).changed
        valid = batch.valid[pair]
        met = [
            changed[tuple(np.floor(cell(views[side + pair], int(each))[:, [Y, X]]).astype(int).T)].any()
            for side, cells in ((0, batch.cells_a), (8, batch.cells_b))
            for each in cells[pair][valid]
        ]
        if pairs.control[position] == MASKED:
            assert not any(met)


def test_pairs_that_are_not_masked_do_match_what_changed() -> None:
    pairs = pairs_of(3)
    batches = batches_of(pairs, 3, crop_scale=(0.8, 1.0), flips=True)
    batch, positions = batches.batch(0), batches.positions(0)
    views = shown(batch)
    met = 0
    for pair, position in enumerate(positions.tolist()):
        changed = SOURCE.change(SOURCE.scenes[pairs.scene[position]]).changed
        for each in batch.cells_a[pair][batch.valid[pair]]:
            met += changed[tuple(np.floor(cell(views[pair], int(each))[:, [Y, X]]).astype(int).T)].any()
    assert met > 10


def test_a_mismatched_pair_shows_its_other_place() -> None:
    pairs = pairs_of(5, mismatched=0.5)
    batches = batches_of(pairs, 5, crop_scale=(1.0, 1.0), flips=False)
    for step in range(3):
        batch, positions = batches.batch(step), batches.positions(step)
        views = shown(batch)
        expected = np.stack([pairs.positive_x, pairs.positive_y, pairs.positive_scene], axis=1)[positions]
        found = views[8:, 0, 0][:, [X, Y, SCENE]] - [0.5, 0.5, 0]
        assert found == pytest.approx(expected, abs=1e-4)
        assert views[:8, 0, 0, SCENE] == pytest.approx(pairs.scene[positions], abs=1e-4)
    assert 0 < pairs.mismatched.sum() < len(pairs)

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pairlab.engine.shares import Shares
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.methods import ChangeWeight
from pairlab.experiment.pairing import ControlName, Noise, Pairing, Places
from pairlab.experiment.training import Pretraining
from pairlab.pairing.drawing import draw_pairs
from pairlab.pairing.pair import PairList
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import Pixels, Scene, SceneError
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.views.batches import PairBatch, PairBatches
from pairlab.views.geometry import cell_centres, to_chip
from pairlab.views.neighbours import Reach
from pairlab.views.steps import MASKED
from tests.pairlab.views.known_geometry import CoordinateScenes, pair_list

SIZE, GRID = 64, 16
NEIGHBOURS = ("positives_a", "positives_b", "matches", "ground", "excluded")
SOURCE = SyntheticSource(SyntheticDataset(train=40, validation=1, test=1))
INDEX = build_index(SOURCE).chips(SIZE)


def drawn_pairs(*, shift_px: float = 0.0) -> PairList:
    """Half of the pairs are noisy, half masked."""
    return draw_pairs(
        INDEX,
        acquisitions=("pre", "post"),
        pairing=Pairing(policy="temporal", pairs=18, noise=Noise(rate=0.5, control="masked", shift_px=shift_px)),
        places=Places(noisy_only=True),
        seed=2,
    )


PAIRS = drawn_pairs()
SHIFTED = replace(PAIRS, shift=np.random.default_rng(0).normal(0, 2, (len(PAIRS), 2)))


def batches(pairs: PairList = SHIFTED, *, points: int = 20, weight: ChangeWeight | None = None) -> PairBatches:
    training = Pretraining(batch_size=7)
    return PairBatches(SOURCE, pairs, training, seed=5, grid=GRID, points=points, change_weight=weight)


def assert_same(one: PairBatch, other: PairBatch) -> None:
    for name in (field.name for field in fields(PairBatch) if field.name not in {"step", "factors"}):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in (field.name for field in fields(one.factors)):
        np.testing.assert_array_equal(getattr(one.factors, name), getattr(other.factors, name))
    assert one.step == other.step


EXPECTED = [batches(weight=ChangeWeight()).batch(step) for step in range(9)]


@settings(deadline=None, max_examples=12)
@given(first=st.integers(0, 8), workers=st.sampled_from([1, 2, 4]))
def test_any_number_of_workers_and_any_resume_give_the_same_batches(first: int, workers: int) -> None:
    found = list(batches(weight=ChangeWeight()).ahead(first, 9, workers=workers))
    assert [batch.step for batch in found] == list(range(first, 9))
    for one, other in zip(EXPECTED[first:], found, strict=True):
        assert_same(one, other)


OWN = ("chips", "views", "shift")
"""Fields of which a process has its share; of views, those of anchors and then of positives."""


@pytest.mark.parametrize("weight", [None, ChangeWeight()], ids=["plain", "change_weight"])
@pytest.mark.parametrize(("parts", "processes"), [(2, 2), (3, 3), (6, 3)])
def test_the_shares_of_all_processes_are_exactly_the_whole_batch(
    parts: int, processes: int, weight: ChangeWeight | None
) -> None:
    shares = Shares(pairs=14, parts=parts, processes=processes)
    slices = [shares.pairs_of(rank) for rank in range(processes)]

    def made(share: slice) -> PairBatches:
        options: dict[str, Any] = {
            "reach": Reach(diagonals=0.7),
            "cells": True,
            "tolerance": 6.0,
            "change_weight": weight,
        }
        training = Pretraining(batch_size=shares.pairs)
        return PairBatches(SOURCE, SHIFTED, training, seed=5, grid=GRID, points=20, share=share, **options)

    for step in range(2):
        whole = made(slice(None)).batch(step)
        shared = [made(share).batch(step) for share in slices]
        assert [len(each.chips) for each in shared] == [2 * (share.stop - share.start) for share in slices]
        factors = [field.name for field in fields(whole.factors)]
        joined: dict[str, Any] = {name: np.concatenate([getattr(each, name) for each in shared]) for name in OWN[2:]}
        for name in OWN[:2]:
            joined[name] = both_sides([getattr(each, name) for each in shared])
        found = {name: both_sides([getattr(each.factors, name) for each in shared]) for name in factors}
        together = replace(shared[0], **joined, factors=replace(whole.factors, **found))
        assert_same(together, whole)
        for each in shared[1:]:  # all else is of the whole step, the same everywhere
            assert_same(replace(each, **{name: getattr(whole, name) for name in (*OWN, "factors")}), whole)


def both_sides(shares: list[NDArray[Any]]) -> NDArray[Any]:
    """Returns what shares have of anchors, then what they have of positives."""
    return np.concatenate([half for side in zip(*(np.split(each, 2) for each in shares), strict=True) for half in side])


@pytest.mark.parametrize("control", ["rerender", "masked", "same_acquisition", "replace"])
def test_a_batch_shows_what_its_pairs_say_under_every_control(control: ControlName) -> None:
    source = SyntheticSource(SyntheticDataset(train=80, knobs={"change_rate": 0.4}))
    noise = Noise(rate=0.25, control=control, mismatch_rate=0.25, shift_px=1.0)
    pairs = draw_pairs(
        build_index(source).chips(SIZE),
        acquisitions=("pre", "post"),
        pairing=Pairing(policy="temporal", pairs=12, noise=noise),
        places=Places(noisy_only=True),
        seed=4,
    )
    assert (pairs.control != 0).sum() == 6
    batches = PairBatches(source, pairs, Pretraining(batch_size=6), seed=4, grid=GRID, points=8)
    scenes = {scene.name: scene for scene in source.scenes}
    for step in range(2):
        chosen = [pairs[position] for position in batches.positions(step).tolist()]
        shots = [pair.anchor for pair in chosen] + [pair.positive for pair in chosen]
        for chip, shot in zip(batches.batch(step).chips, shots, strict=True):
            image = source.image(scenes[shot.scene], shot.acquisition, state=shot.state)
            np.testing.assert_array_equal(chip, image[shot.y : shot.y + SIZE, shot.x : shot.x + SIZE])


def test_weighting_moves_no_other_draw() -> None:
    for step in range(3):
        plain = batches().batch(step)
        assert (plain.weights == 1).all()
        assert_same(replace(EXPECTED[step], weights=plain.weights), plain)


def test_a_method_that_matches_nothing_has_no_points() -> None:
    batch = batches(points=0, weight=ChangeWeight()).batch(0)
    assert batch.cells_a.shape == batch.cells_b.shape == batch.valid.shape == batch.weights.shape == (7, 0)
    np.testing.assert_array_equal(batch.views, EXPECTED[0].views)
    np.testing.assert_array_equal(batch.chips, EXPECTED[0].chips)


def test_a_displacement_moves_the_crop_of_positives_and_neither_anchors_nor_correspondence() -> None:
    noisy = replace(PAIRS, control=np.zeros(len(PAIRS), dtype=np.int8))  # masking follows the content
    moved = replace(noisy, shift=SHIFTED.shift)
    for step in range(3):
        still, shifted = (batches(pairs).batch(step) for pairs in (noisy, moved))
        shift = moved.shift[batches(moved).positions(step)]
        np.testing.assert_array_equal(still.cells_a, shifted.cells_a)
        np.testing.assert_array_equal(still.cells_b, shifted.cells_b)
        np.testing.assert_array_equal(still.chips, shifted.chips)
        np.testing.assert_array_equal(still.views[:7], shifted.views[:7])
        assert (still.views - shifted.views)[7:, :, 2] == pytest.approx(shift[:, ::-1])


def test_tolerance_and_reach_move_no_draw() -> None:
    wide = PairBatches(
        SOURCE,
        SHIFTED,
        Pretraining(batch_size=7),
        seed=5,
        grid=GRID,
        points=20,
        change_weight=ChangeWeight(),
        cells=True,
        tolerance=6.0,
        reach=Reach(diagonals=0.7),
    )
    for step in range(3):
        batch = wide.batch(step)
        nothing = {name: getattr(EXPECTED[step], name) for name in NEIGHBOURS}
        assert_same(replace(batch, **nothing), EXPECTED[step])
        assert batch.positives_a.shape == batch.positives_b.shape == (7, 20, GRID**2)
        assert len(batch.matches) > 7


def test_positives_are_the_cells_around_and_never_those_that_a_control_masks() -> None:
    training = Pretraining(batch_size=len(SHIFTED))
    batches = PairBatches(SOURCE, SHIFTED, training, seed=5, grid=GRID, points=20, tolerance=6.0, cells=True)
    batch, count = batches.batch(0), len(SHIFTED)
    masked = SHIFTED.control[batches.positions(0)] == MASKED
    assert batch.excluded.any(axis=1).sum() == 2 * masked.sum() > 0
    sides = (
        (batch.positives_a, batch.cells_b, batch.cells_a, batch.ground[count:], 0),
        (batch.positives_b, batch.cells_a, batch.cells_b, batch.ground[:count], count),
    )
    for positives, points, partners, ground, first in sides:
        for pair, point in np.argwhere(batch.valid):
            here, others = ground[pair, points[pair, point]], batch.ground[first + pair]
            near = np.hypot(*(others - here).T) <= 6.0
            near &= ~batch.excluded[first + pair]
            near[partners[pair, point]] = True
            assert np.array_equal(positives[pair, point], near)
        assert not positives[~batch.valid].any()


def test_matches_are_the_cells_within_reach_less_those_that_a_control_masks() -> None:
    reach, count = Reach(diagonals=0.7, pixels=5.0), len(SHIFTED)
    training = Pretraining(batch_size=count)
    batch = PairBatches(SOURCE, SHIFTED, training, seed=5, grid=8, points=0, cells=True, reach=reach).batch(0)
    sides = np.abs(np.linalg.det(batch.views[:, :, :2])) ** 0.5 * SIZE / 8
    expected = set()
    for pair in range(count):
        apart = np.linalg.norm(batch.ground[pair][:, None] - batch.ground[count + pair], axis=2)
        near = apart <= max(0.7 * 2**0.5 * max(sides[pair], sides[count + pair]), 5.0)
        near &= ~batch.excluded[pair][:, None] & ~batch.excluded[count + pair]
        expected |= {(pair * 64 + a, pair * 64 + b) for a, b in np.argwhere(near)}
    assert set(map(tuple, batch.matches.tolist())) == expected
    assert len(batch.matches) == len(expected)


class Weighed(CoordinateScenes):
    """Textured scenes whose last acquisition shows other texture where the change is."""

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:  # noqa: ARG002
        number = int(scene.name.split("-")[1])
        shape = (scene.height, scene.width, 3)
        before = np.random.default_rng(number).normal(100, 20, shape).astype(np.float32)
        if acquisition == "pre":
            return before
        after = before.copy()
        changed = self.change(scene).changed
        after[changed] = np.random.default_rng([number, 1]).normal(100, 20, shape)[changed]
        return after * 2 + 10  # another light


def weighed(pairs: PairList, *, scale: float = 1.0) -> PairBatch:
    training = Pretraining(batch_size=len(pairs))
    weight = ChangeWeight(scale=scale)
    return PairBatches(Weighed(), pairs, training, seed=0, grid=8, points=24, change_weight=weight).batch(0)


def test_points_count_less_where_the_content_differs_whatever_the_light() -> None:
    source = Weighed()
    pairs = pair_list(source.scenes, size=32, count=16, seed=1)
    batch = weighed(pairs)
    ground = to_chip(batch.views[:16], cell_centres(8, 32))
    positions = PairBatches(source, pairs, Pretraining(batch_size=16), seed=0, grid=8, points=24).positions(0)
    inside, outside = [], []
    for pair, position in enumerate(positions.tolist()):
        changed = source.change(source.scenes[pairs.scene[position]]).changed
        for point in np.flatnonzero(batch.valid[pair]):
            x, y = ground[pair, batch.cells_a[pair, point]].astype(int)
            near = changed[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
            if near.all():
                inside.append(batch.weights[pair, point])
            elif not near.any():
                outside.append(batch.weights[pair, point])
    assert len(inside) > 5
    assert len(outside) > 50
    assert max(inside) < 0.6 < min(outside)


def test_a_greater_scale_weighs_less_down() -> None:
    pairs = pair_list(Weighed().scenes, size=32, count=16, seed=1)
    tight, wide = (weighed(pairs, scale=scale).weights for scale in (0.5, 4.0))
    assert (tight <= wide + 1e-6).all()
    assert tight.mean() < wide.mean() - 0.1


def test_an_image_with_itself_weighs_one() -> None:
    pairs = pair_list(Weighed().scenes, size=32, count=16, same_image=True)
    assert (weighed(pairs).weights == 1).all()


def test_another_place_and_a_displacement_weigh_less() -> None:
    same = pair_list(Weighed().scenes, size=32, count=16, same_image=True)
    mismatched = pair_list(Weighed().scenes, size=32, count=16, same_image=True, mismatched=1.0)
    shifted = pair_list(Weighed().scenes, size=32, count=16, same_image=True, shift_px=4.0)
    assert len(same) == len(mismatched) == len(shifted)
    assert weighed(mismatched).weights.max() < 0.7
    assert weighed(shifted).weights[:, :10].mean() < 0.7


def test_which_image_is_the_anchor_does_not_matter_to_the_weights() -> None:
    pairs = pair_list(Weighed().scenes, size=32, count=16, seed=1)
    turned = replace(pairs, shots=pairs.shots[:, ::-1].copy())
    np.testing.assert_array_equal(weighed(pairs).weights, weighed(turned).weights)


class Damaged(CoordinateScenes):
    """Scenes of which one cannot be read."""

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:
        if scene.name == "scene-3":
            raise SceneError("scene-3/post.png is cut off: copy it again")
        return super().image(scene, acquisition, state=state)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_file_that_cannot_be_used_is_named_when_its_step_comes(workers: int) -> None:
    source = Damaged()
    pairs = pair_list(source.scenes, size=32, count=30)
    batches = PairBatches(source, pairs, Pretraining(batch_size=2), seed=0, grid=8, points=4)
    damaged = [3 in pairs.scene[batches.positions(step)] for step in range(15)]
    ahead = batches.ahead(0, 15, workers=workers)
    for step in range(damaged.index(True)):
        assert next(ahead).step == step
    with pytest.raises(SceneError, match=r"scene-3/post\.png is cut off"):
        next(ahead)

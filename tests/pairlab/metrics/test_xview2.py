import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pairlab.metrics import confusion_counts, xview2_score
from tests.pairlab.metrics.noisy_masks import masks


def test_the_xview2_score_by_hand() -> None:
    counts = np.array([[90, 5, 0, 3, 2], [4, 10, 2, 0, 0], [1, 1, 5, 1, 0], [0, 0, 2, 6, 2], [3, 0, 0, 1, 8]])
    found = xview2_score(counts)
    levels = [20 / 27, 10 / 17, 12 / 18, 16 / 22]
    damage = 4 / sum(1 / (level + 1e-6) for level in levels)
    assert found.localisation_f1 == pytest.approx(76 / 94)  # 38 hits, 10 too many, 8 missed
    assert found.per_level == pytest.approx(levels)
    assert found.damage_f1 == pytest.approx(damage)
    assert found.score == pytest.approx(0.3 * 76 / 94 + 0.7 * damage)


def scored_literally(predictions: list[NDArray[np.uint8]], targets: list[NDArray[np.uint8]]) -> float:
    """Returns the xView2 score as its definition reads: localisation and damage apart, pixel by pixel."""
    building = dict.fromkeys(("tp", "fp", "fn"), 0)
    levels = {level: dict.fromkeys(("tp", "fp", "fn"), 0) for level in range(1, 5)}
    for prediction, target in zip(predictions, targets, strict=True):
        localisation = (prediction > 0).tolist()
        for predicted, located, true in zip(prediction.tolist(), localisation, target.tolist(), strict=True):
            if true == 255:
                continue
            building["tp"] += located and true > 0
            building["fp"] += located and true == 0
            building["fn"] += not located and true > 0
            if true == 0:
                continue  # damage is scored only where the target has a building
            credited = predicted if located else 0  # and zeroed where localisation predicts none
            for level, sums in levels.items():
                sums["tp"] += credited == level and true == level
                sums["fp"] += credited == level and true != level
                sums["fn"] += credited != level and true == level

    def f1(sums: dict[str, int]) -> float:
        if sums["tp"] == 0:
            return 0.0
        precision = sums["tp"] / (sums["tp"] + sums["fp"])
        recall = sums["tp"] / (sums["tp"] + sums["fn"])
        return 2 * precision * recall / (precision + recall)

    harmonic = 4 / sum(1 / (f1(sums) + 1e-6) for sums in levels.values())
    return 0.3 * f1(building) + 0.7 * harmonic


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4))
def test_the_xview2_score_is_that_of_its_definition(seed: int, sizes: list[int]) -> None:
    tiles = [masks(size, seed=seed + number) for number, size in enumerate(sizes)]
    counts = np.sum([confusion_counts(*tile, num_classes=5) for tile in tiles], axis=0)
    expected = scored_literally([preds for preds, _ in tiles], [target for _, target in tiles])
    assert xview2_score(counts).score == pytest.approx(expected)


Y, X = np.mgrid[0:1024, 0:1024]


def built_up(number: int) -> NDArray[np.uint8]:
    """Returns a target of 1024² in which a third of the squares are buildings, of all four levels."""
    level = ((X // 64) * (number + 2) + (Y // 64) * 3 + number) % 4 + 1
    return np.where((X // 32 + Y // 32) % 3 == 0, level, 0).astype(np.uint8)


def mistaken(target: NDArray[np.uint8], *, every: int, by: int) -> NDArray[np.uint8]:
    """Returns the target with every so-and-so-many-th pixel moved on by some classes."""
    return np.where((7 * X + 13 * Y) % every == 0, (target + by) % 5, target).astype(np.uint8)


def without_destroyed(number: int) -> NDArray[np.uint8]:
    return np.minimum(built_up(number), 3)


Tile = tuple[NDArray[np.uint8], NDArray[np.uint8]]
OFFICIAL: dict[str, tuple[list[Tile], tuple[float, ...]]] = {
    "mistakes of all kinds in three tiles": (
        [(mistaken(built_up(n), every=3 + n, by=1 + n), built_up(n)) for n in range(3)],
        (
            *(0.7629206011008021, 0.7605807436408338),
            *(0.7830455195351714, 0.7726785424652766, 0.7638870187166835, 0.7375851809928796),
        ),
    ),
    "all right": ([(built_up(0), built_up(0))], (1.0000007, 1.0, 1.0, 1.0, 1.0, 1.0)),
    "nothing predicted": ([(np.zeros_like(built_up(0)), built_up(0))], (7e-07, 0, 0, 0, 0, 0)),
    "a level that no tile shows": (
        [(mistaken(without_destroyed(n), every=5, by=2), without_destroyed(n)) for n in range(2)],
        (
            *(0.23477268066463325, 0.7825662689141942),
            *(0.888888888888889, 0.8888734677912852, 0.8421087639416726, 0),
        ),
    ),
    "a level that one tile alone shows": (
        [
            (mistaken(without_destroyed(0), every=5, by=2), without_destroyed(0)),
            (mistaken(built_up(1), every=4, by=3), built_up(1)),
        ],
        (
            *(0.7813396053183391, 0.7749518430245846),
            *(0.816235126072799, 0.8168511545208006, 0.8474886749016015, 0.6792381313370605),
        ),
    ),
    "buildings on open ground": (
        [(np.where(built_up(0) == 0, (X // 16) % 5, built_up(0)).astype(np.uint8), built_up(0))],
        (0.8668168434977578, 0.5560538116591928, 1.0, 1.0, 1.0, 1.0),
    ),
    "no building in the target": (
        [((built_up(2) * (X < 200)).astype(np.uint8), np.zeros_like(built_up(2)))],
        (7e-07, 0, 0, 0, 0, 0),
    ),
    "outlines five pixels off": (
        [(np.roll(built_up(n), 5, axis=1), built_up(n)) for n in range(2)],
        (0.8938036661016948, 0.84375, *[0.9152542372881356] * 4),
    ),
}
"""Predictions and targets, and what the challenge's own program (github.com/DIUx-xView/xView2_scoring, ea0793d) said of
them: score, localisation F1, F1 of the four levels. Its localisation images are the buildings of the same masks."""


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_xview2_score_is_number_for_number_that_of_the_official_program(name: str) -> None:
    tiles, (score, localisation, *levels) = OFFICIAL[name]
    counts = np.sum([confusion_counts(preds, target, num_classes=5) for preds, target in tiles], axis=0)
    found = xview2_score(counts)
    assert found.score == pytest.approx(score, rel=1e-13)
    assert found.localisation_f1 == pytest.approx(localisation, rel=1e-13)
    assert found.per_level == pytest.approx(levels, rel=1e-13)
    literal = scored_literally([preds[::8, ::8].ravel() for preds, _ in tiles], [t[::8, ::8].ravel() for _, t in tiles])
    thinned = [confusion_counts(preds[::8, ::8], target[::8, ::8], num_classes=5) for preds, target in tiles]
    assert xview2_score(np.sum(thinned, axis=0)).score == pytest.approx(literal, rel=1e-13)


def test_a_level_told_where_localisation_finds_no_building_earns_nothing() -> None:
    """The official program takes two images; one mask is that program's damage image times its localisation."""
    target = built_up(1)
    damage = mistaken(target, every=4, by=1)
    localisation = mistaken(target, every=6, by=2) > 0
    counts = confusion_counts((damage * localisation).astype(np.uint8), target, num_classes=5)
    official = (0.8571428571428571, 0.7510791366906474, 0.6919843455573271, 0.782475802343352)
    assert xview2_score(counts).per_level == pytest.approx(official, rel=1e-13)


def test_the_xview2_score_sums_over_the_set_before_it_divides() -> None:
    """A level that one tile does not show must not count as wrong there."""
    one = np.diag([50, 10, 10, 0, 0])
    other = np.diag([50, 0, 0, 10, 10])
    assert xview2_score(one + other).score == pytest.approx(1.0, abs=1e-5)
    assert xview2_score(one).damage_f1 < 1e-5


def test_the_xview2_score_of_nothing_and_of_a_level_never_met() -> None:
    assert xview2_score(np.zeros((5, 5), np.int64)).score == pytest.approx(0.0, abs=1e-5)
    never = np.diag([10, 10, 10, 10, 0])
    found = xview2_score(never)
    assert found.localisation_f1 == 1.0
    assert found.per_level == (1.0, 1.0, 1.0, 0.0)
    assert found.score == pytest.approx(0.3, abs=1e-5)


def test_un_classified_buildings_count_for_localisation_alone() -> None:
    counts = np.zeros((6, 6), np.int64)
    counts[:5, :5] = np.diag([10, 10, 10, 10, 10])
    counts[5, 1], counts[5, 5], counts[5, 0] = 7, 5, 3
    found = xview2_score(counts)
    assert found.localisation_f1 == pytest.approx(2 * 52 / (2 * 52 + 3))
    assert found.damage_f1 == pytest.approx(1.0, abs=1e-5)
    counts[2, 5] = 4  # a damaged building taken for an un-classified one is missed at its level
    assert xview2_score(counts).per_level == pytest.approx((1, 20 / 24, 1, 1))


@pytest.mark.parametrize("classes", [1, 2, 3, 4, 7])
def test_the_xview2_score_needs_its_classes(classes: int) -> None:
    with pytest.raises(ValueError, match=f"needs background and four damage levels, found {classes} classes"):
        xview2_score(np.zeros((classes, classes), np.int64))

import doctest
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
)

from pairlab import metrics
from pairlab.metrics import (
    confusion_counts,
    f1_from_counts,
    iou_from_counts,
    mean_iou,
    pixel_accuracy,
    xview2_score,
)

Masks = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def masks(*shape: int, classes: int = 5, seed: int = 0, ignored: float = 0.1) -> Masks:
    rng = np.random.default_rng(seed)
    target = rng.integers(classes, size=shape, dtype=np.uint8)
    preds = np.where(rng.random(shape) < 0.6, target, rng.integers(classes, size=shape, dtype=np.uint8))
    target[rng.random(shape) < ignored] = 255
    return preds.astype(np.uint8), target


def as_tensors(preds: NDArray[np.uint8], target: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(preds.astype(np.int64)), torch.from_numpy(target.astype(np.int64))


@pytest.mark.parametrize("classes", [2, 3, 5, 9])
def test_counts_agree_with_torchmetrics(classes: int) -> None:
    preds, target = masks(4, 64, 64, classes=classes)
    reference = multiclass_confusion_matrix(*as_tensors(preds, target), num_classes=classes, ignore_index=255)
    counts = confusion_counts(preds, target, num_classes=classes)
    assert counts.dtype == np.int64
    assert np.array_equal(counts, reference.numpy())


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_figures_agree_with_torchmetrics(classes: int) -> None:
    preds, target = masks(4, 64, 64, classes=classes)
    counts = confusion_counts(preds, target, num_classes=classes)
    p, t = as_tensors(preds, target)
    iou = multiclass_jaccard_index(p, t, num_classes=classes, average="none", ignore_index=255)
    f1 = multiclass_f1_score(p, t, num_classes=classes, average="none", ignore_index=255)
    accuracy = multiclass_accuracy(p, t, num_classes=classes, average="micro", ignore_index=255)
    np.testing.assert_allclose(iou_from_counts(counts), iou.numpy(), rtol=1e-6)
    np.testing.assert_allclose(f1_from_counts(counts), f1.numpy(), rtol=1e-6)
    assert mean_iou(counts) == pytest.approx(iou.mean().item())
    assert pixel_accuracy(counts) == pytest.approx(accuracy.item())


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_in_batches_equals_at_once(seed: int, cuts: list[int]) -> None:
    preds, target = masks(300, seed=seed, ignored=0.3)
    parts = zip(np.split(preds, sorted(cuts)), np.split(target, sorted(cuts)), strict=True)
    total = sum(confusion_counts(p, t, num_classes=5) for p, t in parts)
    assert np.array_equal(total, confusion_counts(preds, target, num_classes=5))


@given(st.data())
def test_counts_are_the_pixels_one_by_one(data: st.DataObject) -> None:
    classes = data.draw(st.integers(1, 6))
    known = st.integers(0, classes - 1)
    pixels = data.draw(st.lists(st.tuples(known, known | st.just(255)), max_size=40))
    expected = np.zeros((classes, classes), dtype=np.int64)
    for pred, true in pixels:
        if true != 255:
            expected[true, pred] += 1
    preds = np.array([pred for pred, _ in pixels], dtype=np.uint8)
    target = np.array([true for _, true in pixels], dtype=np.uint8)
    assert np.array_equal(confusion_counts(preds, target, num_classes=classes), expected)


def test_masks_larger_than_a_chunk_and_not_contiguous() -> None:
    preds, target = masks(700, 800)
    whole = confusion_counts(preds, target, num_classes=5)
    assert whole.sum() == (target != 255).sum()
    assert np.array_equal(confusion_counts(preds.T, target.T, num_classes=5), whole)
    halves = [confusion_counts(preds[:, half::2], target[:, half::2], num_classes=5) for half in (0, 1)]
    assert np.array_equal(halves[0] + halves[1], whole)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_any_integer_dtype_counts_alike(dtype: type[np.integer]) -> None:
    preds, target = masks(50, 50, ignored=0)
    counts = confusion_counts(preds.astype(dtype), target.astype(dtype), num_classes=5)
    assert np.array_equal(counts, confusion_counts(preds, target, num_classes=5))


def test_boolean_masks_are_two_classes() -> None:
    target = np.array([True, True, False])
    assert confusion_counts(target, target, num_classes=2).tolist() == [[1, 0], [0, 2]]


def test_an_ignored_class_is_left_out() -> None:
    preds, target = masks(40, 40, classes=3, ignored=0)
    reference = multiclass_confusion_matrix(*as_tensors(preds, target), num_classes=3, ignore_index=0)
    assert np.array_equal(confusion_counts(preds, target, num_classes=3, ignore_index=0), reference.numpy())


def test_predictions_below_ignored_pixels_do_not_matter() -> None:
    preds = np.array([0, 77, 1], dtype=np.uint8)
    target = np.array([0, 255, 1], dtype=np.uint8)
    assert confusion_counts(preds, target, num_classes=2).tolist() == [[1, 0], [0, 1]]


def test_all_256_values_can_be_classes() -> None:
    target = np.arange(256, dtype=np.uint8)
    assert np.array_equal(confusion_counts(target, target, num_classes=256, ignore_index=None), np.eye(256))


def test_classes_absent_from_both_have_no_figure_and_no_say() -> None:
    counts = np.array([[5, 0, 0, 0], [2, 3, 0, 0], [0, 0, 0, 0], [0, 0, 4, 0]])
    iou = iou_from_counts(counts)
    assert iou[:3].tolist() == pytest.approx([5 / 7, 3 / 5, 0.0])  # class 2 was predicted, wrongly: it counts
    assert iou[3] == 0.0
    assert np.isnan(iou_from_counts(np.array([[5, 0], [0, 0]]))[1])
    assert mean_iou(np.array([[5, 0], [0, 0]])) == 1.0
    assert f1_from_counts(counts)[:2].tolist() == pytest.approx([10 / 12, 6 / 8])


def test_no_pixels_give_no_figures() -> None:
    counts = confusion_counts(np.zeros((0,), np.uint8), np.zeros((0,), np.uint8), num_classes=3)
    assert counts.tolist() == [[0] * 3] * 3
    assert np.isnan(mean_iou(counts))
    assert np.isnan(pixel_accuracy(counts))
    assert np.isnan(iou_from_counts(counts)).all()
    assert np.isnan(f1_from_counts(counts)).all()


def test_counts_of_gigapixels_do_not_overflow() -> None:
    counts = np.array([[2**61, 0], [0, 2**61]])
    assert mean_iou(counts) == 1.0
    assert f1_from_counts(counts).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("preds", "target", "message"),
    [
        ([0, 1, 2], [0, 7, 2], "target holds 7; allowed are the classes 0 to 2 and 255 (ignored)"),
        ([9, 3, 0], [0, 1, 2], "preds holds 3, 9; allowed are the classes 0 to 2"),
        ([0, 1, 2], [0, -1, 2], "target holds -1; class indices are 0 to 255"),
        ([300, 1, 2], [0, 1, 2], "preds holds 300; class indices are 0 to 255"),
        ([3, 4, 5, 6, 7, 8], [0] * 6, "preds holds 3, 4, 5, 6, 7, …; allowed are the classes 0 to 2"),
    ],
)
def test_values_that_are_no_class_are_named(preds: list[int], target: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        confusion_counts(np.array(preds), np.array(target), num_classes=3)


def test_without_an_ignored_value_255_is_no_class() -> None:
    target = np.array([0, 255], dtype=np.uint8)
    with pytest.raises(ValueError, match=r"^target holds 255; allowed are the classes 0 to 2$"):
        confusion_counts(np.zeros_like(target), target, num_classes=3, ignore_index=None)


def test_arguments_that_do_not_fit_are_named() -> None:
    mask = np.zeros((2, 2), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"same shape, found \(2, 2\) and \(2,\)"):
        confusion_counts(mask, mask[0], num_classes=2)
    with pytest.raises(ValueError, match="preds must hold integers, found float32"):
        confusion_counts(mask.astype(np.float32), mask, num_classes=2)
    with pytest.raises(ValueError, match="num_classes must be 1 to 256, found 0"):
        confusion_counts(mask, mask, num_classes=0)
    with pytest.raises(ValueError, match="ignore_index must be 0 to 255 or None, found -100"):
        confusion_counts(mask, mask, num_classes=2, ignore_index=-100)
    with pytest.raises(ValueError, match=r"counts must be integers ≥ 0 of shape \(C, C\), found int64 of \(2, 3\)"):
        mean_iou(np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(ValueError, match=r"found int64 of \(1, 1\) with least -1"):
        pixel_accuracy(np.array([[-1]]))


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


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(metrics)
    assert tried >= 5
    assert failed == 0


def test_needs_no_torch() -> None:
    code = "import sys, pairlab.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

import re

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

from pairlab.metrics import (
    confusion_counts,
    f1_from_counts,
    iou_from_counts,
    mean_f1,
    mean_iou,
    pixel_accuracy,
    present_classes,
)
from tests.pairlab.metrics.noisy_masks import masks


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


@pytest.mark.parametrize("pixels", [1 << 16, (1 << 16) + 1])
@pytest.mark.parametrize(("classes", "ignored"), [(5, 255), (5, 2), (256, 255), (256, None)])
def test_few_pixels_and_many_are_counted_alike(pixels: int, classes: int, ignored: int | None) -> None:
    rng = np.random.default_rng(0)
    preds, target = (rng.integers(classes, size=pixels, dtype=np.uint8) for _ in range(2))
    counted = np.ones(pixels, dtype=bool) if ignored is None else target != ignored
    expected = np.zeros((classes, classes), np.int64)
    np.add.at(expected, (target[counted], preds[counted]), 1)
    counts = confusion_counts(preds, target, num_classes=classes, ignore_index=ignored)
    assert np.array_equal(counts, expected)


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
    assert iou[:3].tolist() == pytest.approx([5 / 7, 3 / 5, 0.0])
    assert iou[3] == 0.0
    assert np.isnan(iou_from_counts(np.array([[5, 0], [0, 0]]))[1])
    assert mean_iou(np.array([[5, 0], [0, 0]])) == 1.0
    assert f1_from_counts(counts)[:2].tolist() == pytest.approx([10 / 12, 6 / 8])


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), present=st.sets(st.integers(0, 5), min_size=1))
def test_the_mean_is_taken_over_the_classes_of_the_labels_whatever_is_predicted(seed: int, present: set[int]) -> None:
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.array([*present] * 20, dtype=np.uint8))
    for _ in range(3):  # three arms
        counts = confusion_counts(rng.integers(6, size=target.shape, dtype=np.uint8), target, num_classes=6)
        assert set(np.flatnonzero(present_classes(counts)).tolist()) == present
        assert mean_iou(counts) == pytest.approx(iou_from_counts(counts)[[*present]].mean())
        assert mean_f1(counts) == pytest.approx(f1_from_counts(counts)[[*present]].mean())


def test_one_false_pixel_of_an_absent_class_costs_one_pixel_and_no_class() -> None:
    right = np.array([[1000, 0, 0], [0, 1000, 0], [0, 0, 0]])
    one_wrong = np.array([[999, 0, 1], [0, 1000, 0], [0, 0, 0]])
    assert mean_iou(right) == 1.0
    assert mean_iou(one_wrong) == pytest.approx(0.9995)
    assert np.nanmean(iou_from_counts(one_wrong)) == pytest.approx(0.6663, abs=1e-4)  # as a mean over all that occur


def test_no_pixels_give_no_figures() -> None:
    counts = confusion_counts(np.zeros((0,), np.uint8), np.zeros((0,), np.uint8), num_classes=3)
    assert counts.tolist() == [[0] * 3] * 3
    assert np.isnan(mean_iou(counts))
    assert np.isnan(mean_f1(counts))
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

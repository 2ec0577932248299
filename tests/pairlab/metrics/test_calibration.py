from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_calibration_error

from pairlab.metrics import BINS, calibration_counts, calibration_from_counts
from pairlab.metrics.calibration import UNIT

Predicted = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]]


def predicted(*size: int, classes: int = 4, seed: int = 0, ignored: float = 0.1) -> Predicted:
    """Returns probabilities, the classes of the largest, and labels that follow them half of the time."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(scale=2.0, size=(classes, *size)).astype(np.float32)
    probabilities = torch.softmax(torch.from_numpy(scores), dim=0).numpy()
    preds = probabilities.argmax(axis=0).astype(np.uint8)
    target = np.where(rng.random(size) < 0.5, preds, rng.integers(classes, size=size)).astype(np.uint8)
    target[rng.random(size) < ignored] = 255
    return probabilities, preds, target


@pytest.mark.parametrize("classes", [2, 4, 9])
def test_the_error_agrees_with_torchmetrics(classes: int) -> None:
    probabilities, preds, target = predicted(60, 50, classes=classes)
    found = calibration_from_counts(calibration_counts(probabilities, preds, target))
    reference = multiclass_calibration_error(
        torch.from_numpy(probabilities)[None],
        torch.from_numpy(target)[None].long(),
        num_classes=classes,
        n_bins=BINS,
        norm="l1",
        ignore_index=255,
    )
    assert found.ece == pytest.approx(reference.item(), abs=1e-6)


def test_the_brier_score_is_the_mean_squared_distance() -> None:
    probabilities, preds, target = predicted(40, 30, ignored=0.2)
    counted = target != 255
    truth = np.eye(4)[target[counted]]
    expected = ((probabilities[:, counted].T.astype(np.float64) - truth) ** 2).sum(axis=1).mean()
    found = calibration_from_counts(calibration_counts(probabilities, preds, target))
    assert found.brier == pytest.approx(expected, abs=1e-7)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_parts_in_any_order_add_up_to_the_very_same_counts(seed: int, cuts: list[int]) -> None:
    probabilities, preds, target = predicted(40, 7, seed=seed)
    bounds = [0, *sorted(cuts), 40]
    parts = [
        calibration_counts(probabilities[:, low:high], preds[low:high], target[low:high])
        for low, high in pairwise(bounds)
    ]
    np.random.default_rng(seed).shuffle(parts)
    assert np.array_equal(np.sum(parts, axis=0), calibration_counts(probabilities, preds, target))


def test_scenes_of_many_chunks_are_counted_whole() -> None:
    probabilities, preds, target = predicted(300, 300)
    rows = [calibration_counts(probabilities[:, [y]], preds[[y]], target[[y]]) for y in range(300)]
    whole = calibration_counts(probabilities, preds, target)
    assert np.array_equal(np.sum(rows, axis=0), whole)
    assert whole[:, 0].sum() == (target != 255).sum()
    transposed = calibration_counts(probabilities.transpose(0, 2, 1), preds.T, target.T)
    assert np.array_equal(transposed, whole)


def test_bins_are_fifteen_of_equal_width_and_hold_their_upper_bound() -> None:
    bounds = np.arange(1, BINS) / BINS
    zero = np.zeros((1, BINS - 1), np.uint8)
    for moved, first in ((-1e-6, 0), (1e-6, 1)):
        confidence = (bounds + moved).astype(np.float32)
        counts = calibration_counts(np.stack([confidence, 1 - confidence])[:, None], zero, zero)
        assert counts[first : first + BINS - 1, 0].tolist() == [1] * (BINS - 1)
    ends = np.array([[[0.0, 1.0]], [[1.0, 0.0]]], np.float32)
    counts = calibration_counts(ends, zero[:, :2], zero[:, :2])
    assert counts[[0, -1]].tolist() == [[1, 1, 0, 2 * UNIT], [1, 1, UNIT, 0]]


def test_who_says_what_is_right_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1.0, size=(400, 400)).astype(np.float32)
    target = (rng.random(sure.shape) > sure).astype(np.uint8)
    preds = np.zeros_like(target)
    honest = calibration_from_counts(calibration_counts(np.stack([sure, 1 - sure]), preds, target))
    boastful = np.sqrt(sure)
    proud = calibration_from_counts(calibration_counts(np.stack([boastful, 1 - boastful]), preds, target))
    assert honest.ece < 0.01 < 0.08 < proud.ece
    assert honest.brier < proud.brier
    for each in honest.bins[8:]:
        assert each.low < (each.confidence or 0) <= each.high
        assert each.accuracy == pytest.approx(each.confidence, abs=0.02)
    assert [each.pixels for each in honest.bins[:7]] == [0] * 7
    assert honest.bins[0].confidence is None


def test_no_pixels_give_no_figures() -> None:
    counts = calibration_counts(
        np.full((2, 1, 3), 0.5, np.float32), np.zeros((1, 3), np.uint8), np.full((1, 3), 255, np.uint8)
    )
    found = calibration_from_counts(counts)
    assert counts.sum() == 0
    assert np.isnan(found.ece)
    assert np.isnan(found.brier)


def test_sums_of_many_scenes_stay_exact() -> None:
    counts = np.zeros((BINS, 4), np.int64)
    counts[14] = 10**11, 10**11, 10**11 * UNIT, 0
    assert calibration_from_counts(counts).ece == 0.0


def test_arguments_that_do_not_fit_are_named() -> None:
    half, mask = np.full((2, 3, 3), 0.5, np.float32), np.zeros((3, 3), np.uint8)
    with pytest.raises(ValueError, match=r"found \(2, 3, 3\), \(3, 3\) and \(3,\)"):
        calibration_counts(half, mask, mask[0])
    for wrong, said in ((2 * half + 1, "found 2 to 2"), (half - 1, "found -0.5 to -0.5"), (half * np.nan, "found nan")):
        with pytest.raises(ValueError, match=said):
            calibration_counts(wrong, mask, mask)
    with pytest.raises(ValueError, match="hold 2; there are probabilities of the classes 0 to 1"):
        calibration_counts(half, mask, mask + 2)
    with pytest.raises(ValueError, match=r"shape \(15, 4\), found \(10, 4\)"):
        calibration_from_counts(np.zeros((10, 4), np.int64))

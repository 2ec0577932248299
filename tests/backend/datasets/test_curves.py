"""ROC, precision and recall against counting by hand, and against torchmetrics."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from backend.datasets.curves import curve_of

Scores = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 3.0, 1e6]), min_size=1, max_size=40)


@settings(deadline=None)
@given(positives=Scores, negatives=Scores)
def test_counts_are_those_of_each_threshold(positives: list[float], negatives: list[float]) -> None:
    curve = curve_of(np.sort(positives), np.sort(negatives))
    for threshold, true, false in zip(curve.thresholds, curve.true_positives, curve.false_positives, strict=True):
        assert true == sum(score > threshold for score in positives)
        assert false == sum(score > threshold for score in negatives)
    assert (np.diff(curve.thresholds) < 0).all()
    assert set(curve.thresholds[:-1]) == {*positives, *negatives}
    assert (curve.true_positives[0], curve.false_positives[0]) == (0, 0)
    assert (curve.true_positives[-1], curve.false_positives[-1]) == (len(positives), len(negatives))


@settings(deadline=None)
@given(positives=Scores, negatives=Scores)
def test_areas_are_those_of_their_definitions(positives: list[float], negatives: list[float]) -> None:
    curve = curve_of(np.sort(positives), np.sort(negatives))
    wins = [(a > b) + (a == b) / 2 for a in positives for b in negatives]
    assert curve.auroc() == pytest.approx(np.mean(wins))
    precisions = []
    for score in positives:  # each positive found when the threshold falls to its score
        found = sum(each >= score for each in positives)
        precisions.append(found / (found + sum(each >= score for each in negatives)))
    assert curve.average_precision() == pytest.approx(np.mean(precisions))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), ties=st.booleans())
def test_areas_are_those_of_torchmetrics(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.random(200), rng.random(200) < 0.3
    if ties:
        scores = np.round(scores, 1)
    assume(labels.any() and not labels.all())
    curve = curve_of(np.sort(scores[labels]), np.sort(scores[~labels]))
    given_to = torch.from_numpy(scores), torch.from_numpy(labels.astype(np.int64))
    assert curve.auroc() == pytest.approx(float(binary_auroc(*given_to)), abs=1e-6)
    assert curve.average_precision() == pytest.approx(float(binary_average_precision(*given_to)), abs=1e-6)


def test_perfect_useless_and_reversed_scores() -> None:
    low, high = np.arange(5.0), np.arange(5.0) + 10
    assert curve_of(high, low).auroc() == curve_of(high, low).average_precision() == 1
    assert curve_of(low, high).auroc() == 0
    same = np.full(7, 2.0)
    assert curve_of(same, same[:3]).auroc() == 0.5
    assert curve_of(same, same[:3]).average_precision() == 0.7


def test_thinned_points_keep_ends_and_shape() -> None:
    rng = np.random.default_rng(0)
    curve = curve_of(np.sort(rng.normal(1, 1, 5000)), np.sort(rng.normal(0, 1, 20_000)))
    roc, recall = curve.roc(), curve.precision_recall()
    assert len(roc) <= 200
    assert len(recall) <= 200
    assert roc[0][:2] == (0, 0)
    assert roc[-1][:2] == (1, 1)
    assert recall[-1][0] == 1
    assert recall[-1][1] == pytest.approx(0.2)
    fpr, tpr, thresholds = np.array(roc).T
    assert (np.diff(thresholds) < 0).all()
    assert max(np.diff(fpr).max(), np.diff(tpr).max()) < 0.02
    assert np.trapezoid(tpr, fpr) == pytest.approx(curve.auroc(), abs=1e-3)
    few = curve_of(np.array([1.0, 2.0]), np.array([0.0, 2.0]))
    assert [point[:2] for point in few.roc()] == [(0, 0), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert few.precision_recall() == [
        (0.5, 0.5, 1.0),
        (1.0, pytest.approx(2 / 3), 0.0),
        (1.0, 0.5, pytest.approx(0.0, abs=1e-300)),
    ]

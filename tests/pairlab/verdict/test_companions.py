import numpy as np
import pytest
from scipy.stats import binomtest, skew

from pairlab.metrics import iou_from_counts
from pairlab.verdict.companions import bootstrap_interval, mean_endpoints, sign_test, skewness


@pytest.mark.parametrize("values", [[1.0, 2.0, -0.5, 0.3, 0.2], [0.0, 1.0, 1.0], [-1.0] * 6])
def test_the_sign_test_is_the_librarys(values: list[float]) -> None:
    found = sign_test(np.array(values))
    moved = found.below + found.above
    assert found.p_value == pytest.approx(binomtest(found.above, moved).pvalue)
    assert (found.below, found.above, found.equal) == tuple(
        sum(np.sign(value) == sign for value in values) for sign in (-1, 1, 0)
    )


def test_without_any_change_the_sign_test_shows_nothing() -> None:
    assert sign_test(np.zeros(4)).p_value == 1.0


def test_skewness_is_the_librarys() -> None:
    values = np.random.default_rng(0).exponential(size=12)
    assert skewness(values) == pytest.approx(skew(values))
    assert skewness(np.ones(5)) == 0.0


def counts(seeds: int, scenes: int, hits: float, seed: int) -> np.ndarray:
    """Confusion counts of two states and a background, of which a share of `hits` is right."""
    rng = np.random.default_rng(seed)
    found = np.zeros((seeds, scenes, 3, 3), dtype=np.int64)
    for label in range(3):
        right = rng.binomial(100, hits, size=(seeds, scenes))
        found[:, :, label, label] = right
        found[:, :, label, (label + 1) % 3] = 100 - right
    return found


def test_the_bootstrap_holds_the_difference_and_scenes_widen_it() -> None:
    arm, reference = counts(5, 8, 0.7, 1), counts(5, 8, 0.8, 2)
    intervals = [
        bootstrap_interval(
            arm, reference, (1, 2), alpha=0.05, draws=300, rng=np.random.default_rng(0), same_scenes=same
        )
        for same in (True, False)
    ]
    for found in intervals:
        assert found.shape == (2, 2)
        assert (found[:, 0] < found[:, 1]).all()
        assert found[0, 1] < 0  # IoU 0.54 against 0.67
        assert -16 < found[0].mean() < -10
    alone = bootstrap_interval(arm, arm, (), alpha=0.05, draws=20, rng=np.random.default_rng(0), same_scenes=True)
    assert alone.tolist() == [[0.0, 0.0]]


def test_counts_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must have the same shape"):
        bootstrap_interval(
            counts(2, 3, 0.5, 0),
            counts(2, 4, 0.5, 0),
            (1, 2),
            alpha=0.05,
            draws=1,
            rng=np.random.default_rng(0),
            same_scenes=True,
        )


def test_endpoints_of_counts_are_means_over_the_classes_that_the_labels_have() -> None:
    totals = np.random.default_rng(0).integers(0, 50, size=(4, 5, 5))
    totals[:, 3] = 0  # no label, and yet predicted
    labelled = [0, 1, 2, 4]
    for found, total in zip(mean_endpoints(totals, (2, 3)), totals, strict=True):
        iou = iou_from_counts(total)
        assert found == pytest.approx([iou[labelled].mean(), iou[2]])
    assert np.isnan(mean_endpoints(totals, (3,))[:, 1]).all()

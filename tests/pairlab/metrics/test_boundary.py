import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pairlab.metrics import boundary_counts, boundary_f1_from_counts
from tests.pairlab.metrics.noisy_masks import masks

Points = set[tuple[int, int]]


def contour_points(classes: NDArray[np.uint8], target: NDArray[np.uint8], label: int) -> Points:
    """Returns (y, x) of the contour pixels of a class, looked at one by one."""
    height, width = classes.shape
    found = set()
    for y in range(height):
        for x in range(width):
            if classes[y, x] != label or target[y, x] == 255:
                continue
            for b, a in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= b < height and 0 <= a < width and target[b, a] != 255 and classes[b, a] != label:
                    found.add((y, x))
    return found


def near(point: tuple[int, int], others: Points, tolerance: int) -> bool:
    return any((point[0] - y) ** 2 + (point[1] - x) ** 2 <= tolerance**2 for y, x in others)


def counted_one_by_one(
    preds: NDArray[np.uint8], target: NDArray[np.uint8], classes: int, tolerance: int
) -> list[list[int]]:
    unknown = set(zip(*(axis.tolist() for axis in np.nonzero(target == 255)), strict=True))
    rows = []
    for label in range(classes):
        sides = [contour_points(side, target, label) for side in (preds, target)]
        row = []
        for mine, theirs in (sides, sides[::-1]):
            counted = {point for point in mine if not near(point, unknown, tolerance)}
            row += [sum(near(point, theirs, tolerance) for point in counted), len(counted)]
        rows.append(row)
    return rows


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    tolerance=st.integers(0, 5),
    ignored=st.sampled_from([0.0, 0.02, 0.2]),
)
def test_counts_are_the_contour_pixels_one_by_one(
    seed: int, size: tuple[int, int], tolerance: int, ignored: float
) -> None:
    preds, target = masks(*size, classes=3, seed=seed, ignored=ignored)
    counts = boundary_counts(preds, target, num_classes=3, tolerance=tolerance)
    assert counts.tolist() == counted_one_by_one(preds, target, 3, tolerance)


def test_more_than_eight_classes_are_counted_alike() -> None:
    preds, target = masks(14, 14, classes=19, seed=3, ignored=0.02)
    counts = boundary_counts(preds, target, num_classes=19, tolerance=2)
    assert counts.tolist() == counted_one_by_one(preds, target, 19, 2)
    every = boundary_counts(preds, np.where(target == 255, 0, target).astype(np.uint8), num_classes=256, tolerance=2)
    assert every.shape == (256, 4)
    assert every[19:].sum() == 0


def test_a_shift_within_the_tolerance_is_no_mistake_and_beyond_it_is_one() -> None:
    target = np.zeros((64, 64), np.uint8)
    target[20:40, 20:40] = 1
    shifted = np.roll(target, 3, axis=1)
    at_two, at_three = (
        boundary_f1_from_counts(boundary_counts(shifted, target, num_classes=2, tolerance=tolerance))
        for tolerance in (2, 3)
    )
    assert at_three.tolist() == [1.0, 1.0]
    assert (at_two < 0.75).all()


def test_turning_and_mirroring_change_nothing() -> None:
    preds, target = masks(20, 30, classes=4, ignored=0.05)
    expected = boundary_counts(preds, target, num_classes=4, tolerance=3)
    for turns in range(4):
        one, other = (np.rot90(side, turns) for side in (preds, target))
        assert np.array_equal(boundary_counts(one, other, num_classes=4, tolerance=3), expected)
        assert np.array_equal(boundary_counts(one[:, ::-1], other[:, ::-1], num_classes=4, tolerance=3), expected)


def test_sides_change_places_with_precision_and_recall() -> None:
    preds, target = masks(20, 30, classes=4, ignored=0.0)
    one = boundary_counts(preds, target, num_classes=4, tolerance=1)
    assert np.array_equal(boundary_counts(target, preds, num_classes=4, tolerance=1), one[:, [2, 3, 0, 1]])


def test_the_edge_of_a_scene_is_no_contour() -> None:
    building = np.ones((16, 16), np.uint8)
    assert boundary_counts(building, building, num_classes=2, tolerance=3).sum() == 0


def test_nobody_is_judged_beside_unlabelled_ground() -> None:
    """A building whose state nobody labelled: whoever draws it has drawn nothing wrong."""
    target = np.zeros((40, 40), np.uint8)
    target[10:20, 10:20] = 255
    preds = np.zeros_like(target)
    preds[9:21, 9:21] = 1  # one pixel too large all around
    assert boundary_counts(preds, target, num_classes=2, tolerance=3).sum() == 0
    preds[30:35, 30:35] = 1  # far from it, contours count
    counts = boundary_counts(preds, target, num_classes=2, tolerance=3)
    assert counts[1].tolist() == [0, 16, 0, 0]


def test_a_contour_beyond_the_scene_matches_nothing() -> None:
    """A tolerance larger than the scene reaches across it and not around it."""
    target = np.zeros((6, 6), np.uint8)
    target[:, 3:] = 1
    counts = boundary_counts(target, target, num_classes=2, tolerance=50)
    assert counts.tolist() == [[6, 6, 6, 6], [6, 6, 6, 6]]


def test_figures_by_hand() -> None:
    counts = np.array([[3, 4, 1, 2], [0, 7, 0, 0], [0, 0, 0, 9], [0, 5, 0, 5], [0, 0, 0, 0]])
    f1 = boundary_f1_from_counts(counts)
    assert f1[:4].tolist() == pytest.approx([2 * 0.75 * 0.5 / 1.25, 0.0, 0.0, 0.0])
    assert np.isnan(f1[4])


def test_arguments_that_do_not_fit_are_named() -> None:
    mask = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"one shape \(height, width\), found \(4, 4\), \(4,\)"):
        boundary_counts(mask, mask[0], num_classes=2, tolerance=1)
    with pytest.raises(ValueError, match="must hold uint8, found int64 and uint8"):
        boundary_counts(mask.astype(np.int64), mask, num_classes=2, tolerance=1)
    with pytest.raises(ValueError, match="at least 0 pixels, found -1"):
        boundary_counts(mask, mask, num_classes=2, tolerance=-1)
    with pytest.raises(ValueError, match=r"shape \(C, 4\), found int64 of \(2, 2\)"):
        boundary_f1_from_counts(np.zeros((2, 2), np.int64))

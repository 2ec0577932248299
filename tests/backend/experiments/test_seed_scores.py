from typing import Any

import pytest

from backend.experiments.seed_scores import mean_of, means_by_class, seed_score
from tests.backend.experiments.finished_jobs import segment_results

OLDER: dict[str, Any] = {
    "miou": 0.5833,
    "iou": {"background": 0.75, "intact": 1.0, "damaged": 0.0},
    "confusion": [[3, 0, 1], [0, 2, 0], [0, 0, 0]],
    "scenes": 1,
}
"""Of a version that took its mean over three classes, because one pixel was predicted to be damaged."""


def test_a_score_is_what_the_job_found() -> None:
    test = segment_results(0.5, damaged=0.25)["protocols"]["fine_tuning"]["test"]
    found = seed_score(3, "j", {**test, "xview2": {"score": 0.7}})
    assert (found.seed, found.job, found.miou, found.accuracy) == (3, "j", 0.5, 0.9)
    assert found.iou["damaged"] == 0.25
    assert found.f1["damaged"] == pytest.approx(0.4)
    assert found.macro_f1 == pytest.approx(2 / 3)
    assert (found.boundary_f1, found.ece, found.xview2) == (0.25, 0.1, 0.7)


def test_jobs_of_older_versions_are_scored_over_the_classes_of_the_labels_too() -> None:
    found = seed_score(0, "j", OLDER)
    assert found.miou == pytest.approx(0.875)
    assert found.iou == {"background": 0.75, "intact": 1.0, "damaged": None}
    assert found.f1 == {"background": pytest.approx(6 / 7), "intact": 1.0, "damaged": None}
    assert found.macro_f1 == pytest.approx((6 / 7 + 1) / 2)
    assert found.accuracy == pytest.approx(5 / 6)
    assert (found.boundary_f1, found.ece, found.xview2) == (None, None, None)


def test_means_leave_out_what_there_is_not() -> None:
    assert mean_of([0.25, None, 0.75]) == 0.5
    assert mean_of([None]) is None
    assert means_by_class([{"a": 0.5, "b": None}, {"a": 1.0, "b": None}, {"a": None}]) == {"a": 0.75, "b": None}
    assert means_by_class([]) == {}

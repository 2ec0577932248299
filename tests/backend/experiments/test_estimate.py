from typing import Any

import pytest

from backend.experiments.estimate import estimate
from backend.jobs.tables import JobRow
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.expansion import DatasetReference, PlannedJob, expand
from pairlab.experiment.experiment import Experiment

DATASET = DatasetReference(name="scenes", config=SyntheticDataset(), fingerprint="0" * 64)


def planned(**changes: object) -> tuple[PlannedJob, ...]:
    """One pretraining of 300 steps of 32 pairs and the segmentation that follows."""
    content = {
        "name": "one arm",
        "dataset": "scenes",
        "arms": {"same": {"pairing": {"policy": "same_image"}}},
        "reference": "same",
        "seeds": [0],
        **changes,
    }
    return expand(Experiment.model_validate(content), DATASET)


def finished(job: PlannedJob, results: dict[str, Any]) -> JobRow:
    return JobRow(config=job.config.model_dump(mode="json"), results=results)


def measured(speed: float, seconds: float, **changes: object) -> tuple[list[JobRow], list[JobRow]]:
    pretrain, segment = planned(**changes)
    halves = {"linear_probe": {"seconds": seconds / 2}, "fine_tuning": {"seconds": seconds / 2}}
    return [finished(pretrain, {"pairs_per_s": speed})], [finished(segment, {"protocols": halves})]


def test_what_is_done_takes_no_time() -> None:
    assert estimate((), pretrained=[], segmented=[], slots=None).seconds == 0.0


def test_without_a_measurement_there_is_no_estimate() -> None:
    pretrained, segmented = measured(96.0, 20.0)
    assert estimate(planned(), pretrained=[], segmented=segmented, slots=1).seconds is None
    answer = estimate(planned(), pretrained=pretrained, segmented=[], slots=1)
    assert answer.seconds is None
    assert "no segmentation has finished here yet" in answer.basis


@pytest.mark.parametrize(("slots", "expected"), [(None, 120.0), (1, 120.0), (2, 60.0), (64, 60.0)])
def test_slots_share_the_work(slots: int | None, expected: float) -> None:
    pretrained, segmented = measured(96.0, 20.0)
    answer = estimate(planned(), pretrained=pretrained, segmented=segmented, slots=slots)
    assert answer.seconds == pytest.approx(expected)
    assert ("one after another" in answer.basis) == (slots is None)


def test_jobs_of_the_same_kind_count_alone_where_there_are_any() -> None:
    same = measured(96.0, 20.0)
    other = measured(9600.0, 2000.0, network={"encoder": "resnet50"})
    mixed = estimate(planned(), pretrained=same[0] + other[0], segmented=other[1] + same[1], slots=1)
    assert mixed.seconds == pytest.approx(120.0)
    assert "of this kind" in mixed.basis
    foreign = estimate(planned(), pretrained=other[0], segmented=other[1], slots=1)
    assert foreign.seconds == pytest.approx(2001.0)
    assert "of other networks or sizes" in foreign.basis

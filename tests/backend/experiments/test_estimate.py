from collections.abc import Sequence
from typing import Any

import pytest

from backend.experiments.estimate import Estimate, Measured, estimate
from backend.jobs.tables import JobRow
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PlannedJob, ScoreJob

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


def measured(speed: float, seconds: float, **changes: object) -> Measured:
    pretrain, segment = planned(**changes)
    halves = {"linear_probe": {"seconds": seconds / 2}, "fine_tuning": {"seconds": seconds / 2}}
    return Measured([finished(pretrain, {"pairs_per_s": speed})], [finished(segment, {"protocols": halves})])


def estimated(jobs: Sequence[PlannedJob], found: Measured, *, slots: int | None = 1, shared: int = 0) -> Estimate:
    return estimate(jobs, measured=found, slots=slots, scenes={"scenes": 1000}, shared=shared)


def filtering(score: dict[str, Any]) -> dict[str, Any]:
    """An arm that filters by a change score."""
    chosen = {"by": "change_score", "score": score, "quantile": 0.5}
    return {"filtered": {"pairing": {"policy": "temporal", "filter": chosen}}}


def test_what_is_done_takes_no_time() -> None:
    assert estimated((), Measured(), slots=None).seconds == 0.0


def test_without_a_measurement_there_is_no_estimate() -> None:
    found = measured(96.0, 20.0)
    assert estimated(planned(), Measured(segmented=found.segmented)).seconds is None
    answer = estimated(planned(), Measured(pretrained=found.pretrained))
    assert answer.seconds is None
    assert "no segmentation has finished here yet" in answer.basis


@pytest.mark.parametrize(("slots", "expected"), [(None, 120.0), (1, 120.0), (2, 60.0), (64, 60.0)])
def test_slots_share_the_work(slots: int | None, expected: float) -> None:
    answer = estimated(planned(), measured(96.0, 20.0), slots=slots)
    assert answer.seconds == pytest.approx(expected)
    assert ("one after another" in answer.basis) == (slots is None)


def test_jobs_of_the_same_kind_count_alone_where_there_are_any() -> None:
    same = measured(96.0, 20.0)
    other = measured(9600.0, 2000.0, network={"encoder": "resnet50"})
    both = Measured([*same.pretrained, *other.pretrained], [*other.segmented, *same.segmented])
    mixed = estimated(planned(), both)
    assert mixed.seconds == pytest.approx(120.0)
    assert "of this kind" in mixed.basis
    foreign = estimated(planned(), other)
    assert foreign.seconds == pytest.approx(2001.0)
    assert "of other networks, methods or sizes" in foreign.basis


def test_each_method_has_a_speed_of_its_own() -> None:
    dense, pooled = measured(96.0, 20.0), measured(192.0, 20.0, method={"name": "simclr"})
    arms = {
        "dense": {"pairing": {"policy": "same_image"}},
        "pooled": {"pairing": {"policy": "same_image"}, "method": {"name": "simclr"}},
    }
    both = Measured([*dense.pretrained, *pooled.pretrained], dense.segmented)
    answer = estimated(planned(arms=arms, reference="dense"), both)
    assert answer.seconds == pytest.approx(100.0 + 20.0 + 50.0 + 20.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": {"name": "vicreg", "embedding_dim": 8192}},
        {"method": {"name": "vicreg", "hidden_dim": 8192}},
        {"pretraining": {"parts": 4}},
        {"pretraining": {"precision": "float32"}},
    ],
    ids=["embedding_dim", "hidden_dim", "parts", "precision"],
)
def test_what_costs_time_is_told_apart(changes: dict[str, Any]) -> None:
    method = {"name": "vicreg"}
    plain, costly = measured(96.0, 20.0, method=method), measured(24.0, 20.0, **{"method": method, **changes})
    both = Measured([*plain.pretrained, *costly.pretrained], plain.segmented)
    assert estimated(planned(method=method), both).seconds == pytest.approx(100.0 + 20.0)
    assert estimated(planned(**{"method": method, **changes}), both).seconds == pytest.approx(400.0 + 20.0)


def test_what_costs_no_time_is_not_told_apart() -> None:
    found = measured(96.0, 20.0, method={"name": "vicreg", "variance_weight": 1.0}, pretraining={"learning_rate": 0.1})
    assert "of this kind" in estimated(planned(method={"name": "vicreg"}), found).basis


def test_a_change_score_takes_its_scenes_by_the_speed_of_the_same_score() -> None:
    jobs = planned(arms=filtering({"name": "cva"}), reference="filtered")
    score = next(job for job in jobs if isinstance(job.config, ScoreJob))
    found = measured(96.0, 20.0)
    unknown = estimated(jobs, found)
    assert unknown.seconds is None
    assert "no change score cva" in unknown.basis
    scored = [finished(score, {"scenes": 250, "seconds": 10.0})]
    answer = estimated(jobs, Measured(found.pretrained, found.segmented, scored))
    assert answer.seconds == pytest.approx(40.0 + 100.0 + 20.0)
    other = planned(arms=filtering({"name": "irmad"}), reference="filtered")
    assert estimated(other, Measured(found.pretrained, found.segmented, scored)).seconds is None


def test_it_says_what_sharing_saves() -> None:
    assert "3 pretrainings saved by sharing" in estimated(planned(), measured(96.0, 20.0), shared=3).basis
    assert "sharing" not in estimated(planned(), measured(96.0, 20.0)).basis

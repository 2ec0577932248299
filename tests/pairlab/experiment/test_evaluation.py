import pytest
from pydantic import ValidationError

from pairlab.experiment.evaluation import LARGEST_WHOLE, Evaluation
from pairlab.experiment.experiment import Experiment, dump_experiment, load_experiment
from pairlab.experiment.jobs import SegmentJob, job_key
from tests.pairlab.training_jobs import experiment, pretrain_job, segment_job


def test_a_window_is_512_pixels_unless_said_otherwise() -> None:
    assert Evaluation().window_size == LARGEST_WHOLE == 512
    assert Evaluation(window=256).window_size == 256


@pytest.mark.parametrize("wrong", [{"window": 100}, {"window": 32}, {"overlap": 1.0}, {"boundary_tolerance": -1}])
def test_values_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Evaluation.model_validate(wrong)


@pytest.mark.parametrize("changed", [{"window": 256}, {"overlap": 0.5}, {"boundary_tolerance": 1}])
def test_segmentations_are_evaluated_as_the_experiment_says(changed: dict[str, object]) -> None:
    job = segment_job(evaluation=changed)
    assert job.evaluation == Evaluation.model_validate(changed)
    assert job_key(job) != job_key(segment_job())
    assert job_key(pretrain_job(evaluation=changed)) == job_key(pretrain_job())


def test_records_without_it_are_those_of_the_default() -> None:
    content = segment_job().model_dump(mode="json")
    del content["evaluation"]
    assert SegmentJob.model_validate(content).evaluation == Evaluation()
    assert "evaluation" not in dump_experiment(experiment())
    loaded: Experiment = load_experiment(dump_experiment(experiment(evaluation={"window": 256})))
    assert loaded.evaluation == Evaluation(window=256)

"""Jobs that start from an earlier one's weights, run by a real worker."""

import subprocess

from pairlab.experiment.initial import FileWeights, Initial, JobWeights
from pairlab.experiment.jobs import PlannedJob, PretrainJob, SegmentJob, job_key
from tests.backend.jobs.waiting_jobs import planned_jobs
from tests.worker.conftest import Installation


def started_from(
    config: PretrainJob | SegmentJob, initial: Initial, *, depends_on: str | None, seed: int
) -> PlannedJob:
    changes = {"initial": initial, "seed": seed} | ({"pretrain": None} if isinstance(config, SegmentJob) else {})
    following = config.model_copy(update=changes)
    return PlannedJob(key=job_key(following), config=following, depends_on=depends_on, uses=(("arm", seed),))


def test_what_starts_from_an_earlier_pretraining_waits_and_gets_its_weights(
    shared: Installation, worker: "subprocess.Popen[bytes]"
) -> None:
    assert worker.poll() is None
    pretrain, segment = planned_jobs(seeds=(61,), steps=4)
    assert isinstance(pretrain.config, PretrainJob)
    assert isinstance(segment.config, SegmentJob)
    earlier = JobWeights(key=pretrain.key)
    gone = FileWeights(root="nowhere", path="w.safetensors", sha256="1" * 64)
    ids = shared.submit(
        (
            pretrain,
            started_from(pretrain.config, earlier, depends_on=pretrain.key, seed=62),
            started_from(segment.config, earlier, depends_on=pretrain.key, seed=62),
            started_from(segment.config, gone, depends_on=None, seed=63),
        )
    )
    ended = [shared.wait(each, lambda job: job.finished_at is not None) for each in ids]
    assert [job.status for job in ended] == ["succeeded", "succeeded", "succeeded", "failed"], [
        job.error for job in ended
    ]
    said = f"encoder and decoder of the pretraining {pretrain.key[:8]}"
    assert [job.facts["initial"] for job in ended[:3]] == ["random weights", said, said]
    assert ended[1].facts["initial_tensors"] == ended[2].facts["initial_tensors"] > 100
    assert ended[3].error is not None
    assert ended[3].error.startswith("initial: no data root 'nowhere' (known: ")

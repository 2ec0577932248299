"""Jobs of an arm that filters by a change score: the score, the pretraining that waits for it, and the segmentation."""

from pairlab.experiment.change_scores import ChangeScore, Cva
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import PlannedJob
from tests.backend.jobs.waiting_jobs import DATASET

QUANTILE = 0.6
DEFAULT_SCORE = Cva()


def filtering_jobs(*, seed: int = 0, score: ChangeScore = DEFAULT_SCORE, pairs: int = 40) -> tuple[PlannedJob, ...]:
    """Returns the three jobs, which train for seconds."""
    protocol = {"steps": 4, "batch_size": 4, "evaluate_every": 2}
    chosen = {"by": "change_score", "score": score.model_dump(mode="json"), "quantile": QUANTILE}
    experiment = Experiment.model_validate(
        {
            "name": "filtering",
            "dataset": DATASET.name,
            "chip_size": 32,
            "labels": {"train_chips": 8},
            "network": {"decoder_channels": 64},
            "pretraining": {"steps": 12, "batch_size": 4, "warmup_steps": 2, "checkpoint_every": 12},
            "arms": {"filtered": {"pairing": {"policy": "temporal", "pairs": pairs, "filter": chosen}}},
            "reference": "filtered",
            "seeds": [seed],
            "protocols": [{"name": "linear_probe", **protocol}],
        }
    )
    planned = expand(experiment, DATASET)
    assert [job.config.kind for job in planned] == ["score", "pretrain", "segment"]
    return planned

"""Small jobs that train for real within seconds, for the tests of the loops."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from pairlab.checkpoint import SavedFile
from pairlab.diagnostics.earlier import NOTHING_EARLIER, Earlier
from pairlab.diagnostics.embedding_maps import MOMENTS
from pairlab.events import Event
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob, SegmentJob
from pairlab.pairing.cell_scores import CellScores
from pairlab.pretraining import pretrain
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.segmentation import segment

DATASET = DatasetReference(name="tiny", config=SyntheticDataset(train=48, validation=4, test=6), fingerprint="0" * 64)


def experiment(**changes: object) -> Experiment:
    fields: dict[str, object] = {
        "name": "tiny",
        "dataset": "tiny",
        "network": {"decoder_channels": 64},
        "pretraining": {"steps": 12, "batch_size": 4, "warmup_steps": 2, "checkpoint_every": 5},
        "labels": {"train_chips": 8},
        "arms": {
            "random": {"baseline": "random_initialisation"},
            "clean": {"pairing": {"policy": "temporal", "noise": {"rate": 0.0}, "pairs": 20}},
            "half": {"pairing": {"policy": "temporal", "noise": {"rate": 0.5}, "pairs": 20}},
        },
        "reference": "clean",
        "seeds": [0],
        "protocols": [
            {"name": "linear_probe", "steps": 6, "evaluate_every": 3, "batch_size": 4},
            {"name": "fine_tuning", "steps": 4, "evaluate_every": 2, "batch_size": 4},
        ],
    }
    return Experiment.model_validate(fields | changes)


def pretrain_job(**changes: object) -> PretrainJob:
    return next(job.config for job in expand(experiment(**changes), DATASET) if isinstance(job.config, PretrainJob))


def segment_job(**changes: object) -> SegmentJob:
    return next(job.config for job in expand(experiment(**changes), DATASET) if isinstance(job.config, SegmentJob))


def run(
    job: PretrainJob | SegmentJob,
    folder: Path,
    *,
    start: SavedFile | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    scores: CellScores | None = None,
    loader_workers: int = 1,
    earlier: Earlier = NOTHING_EARLIER,
    map_moments: int = MOMENTS,
) -> Iterator[Event]:
    """Runs a job on the CPU; `start` is the checkpoint of a pretraining or the weights of a segmentation."""
    folder.mkdir(parents=True, exist_ok=True)
    assert isinstance(job.dataset.config, SyntheticDataset)
    source = SyntheticSource(job.dataset.config, draw=job.seed)
    index = build_index(source).chips(job.chip_size)
    device = torch.device("cpu")
    if isinstance(job, PretrainJob):
        return pretrain(
            job,
            source,
            index,
            folder=folder,
            resume=start,
            should_stop=should_stop,
            device=device,
            scores=scores,
            loader_workers=loader_workers,
            earlier=earlier,
            map_moments=map_moments,
        )
    return segment(job, source, index, folder=folder, weights=start, should_stop=should_stop, device=device)

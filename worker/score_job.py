"""Runs the job that computes a change score of a dataset."""

from collections.abc import Iterator
from pathlib import Path

import torch

from pairlab.checkpoint import SavedFile
from pairlab.embedding_distance import Pretrained
from pairlab.events import Event
from pairlab.experiment.jobs import PretrainJob, ScoreJob
from pairlab.pairing.score_file import files_of
from pairlab.scenes.dataset import read_dataset_index
from pairlab.scenes.stored_images import StoredSource
from pairlab.scoring import score_dataset
from worker.job_dataset import open_images
from worker.protocol import Description
from worker.reporting import Reporter, StopRequest


def score(
    config: ScoreJob, description: Description, stop: StopRequest, reporter: Reporter, *, device: torch.device
) -> Iterator[Event]:
    """Computes the score on `device`, and yields what happens."""
    torch.set_num_threads(description["threads"])
    dataset, folder = config.dataset, Path(description["index_folder"])
    index = read_dataset_index(dataset.config, key=dataset.fingerprint, folder=folder, draw=config.draw)
    source = open_images(dataset, index.table, description, reporter, draw=config.draw)
    weights, made_by = description["weights"], description["pretraining"]
    pretrained = None
    if weights is not None and made_by is not None:
        saved = SavedFile(Path(weights["path"]), weights["sha256"])
        pretrained = Pretrained(PretrainJob.model_validate(made_by).network, saved)
    yield from score_dataset(
        config,
        source,
        index.table,
        files=files_of(config, folder),
        weights=pretrained,
        should_stop=lambda: stop.made,
        device=device,
    )
    for warning in source.warnings if isinstance(source, StoredSource) else ():
        reporter.tell("log", text=warning)

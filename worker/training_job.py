"""Runs a pretraining or a segmentation, from what earlier attempts and other jobs have left."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from pairlab.checkpoint import SavedFile
from pairlab.diagnostics.earlier import Earlier, EarlierMap
from pairlab.engine.team import Team
from pairlab.events import Event
from pairlab.experiment.initial import FileWeights
from pairlab.experiment.jobs import PretrainJob, TrainingJob, score_job
from pairlab.initial_weights import file_of
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.score_file import ScoreError, files_of, read_scores
from pairlab.pretraining import pretrain
from pairlab.scenes.dataset import draw_of, read_dataset_index, selected
from pairlab.scenes.stored_images import StoredSource
from pairlab.segmentation import segment
from worker.job_dataset import data_roots, open_images
from worker.protocol import Description, FileReference, file_hash
from worker.reporting import Reporter, StopRequest


def train(
    config: TrainingJob,
    description: Description,
    stop: StopRequest,
    reporter: Reporter,
    *,
    device: torch.device,
    team: Team,
) -> Iterator[Event]:
    """Trains on `device`, and yields what happens."""
    began = time.perf_counter()
    torch.set_num_threads(description["threads"])
    draw = draw_of(config.dataset.config, config.seed)
    index = read_dataset_index(
        config.dataset.config, key=config.dataset.fingerprint, folder=Path(description["index_folder"]), draw=draw
    )
    source = open_images(config.dataset, index.table, description, reporter, draw=draw)
    chips = selected(index, config.scenes).chips(config.chip_size)
    reporter.tell("log", text=f"{len(chips):,} chips ready after {time.perf_counter() - began:.1f} s, on {device}")
    folder = Path(description["folder"])
    if isinstance(config, PretrainJob):
        resume = _newest_intact(description["checkpoints"], reporter)
        yield from pretrain(
            config,
            source,
            chips,
            folder=folder,
            resume=resume,
            should_stop=lambda: stop.made,
            device=device,
            scores=_scores_to_filter_by(config, description),
            initial=_initial_weights(config, description),
            earlier=_earlier_attempts(description),
            team=team,
        )
    else:
        weights = description["weights"]
        start = None if weights is None else SavedFile(Path(weights["path"]), weights["sha256"])
        yield from segment(
            config,
            source,
            chips,
            folder=folder,
            weights=start,
            initial=_initial_weights(config, description),
            should_stop=lambda: stop.made,
            device=device,
        )
    for warning in source.warnings if isinstance(source, StoredSource) else ():
        reporter.tell("log", text=warning)


def _scores_to_filter_by(config: PretrainJob, description: Description) -> CellScores | None:
    """Returns the change scores that a pretraining filters by; None where it filters by none."""
    wanted = score_job(config)
    if wanted is None:
        return None
    scores = read_scores(files_of(wanted, Path(description["index_folder"])).path)
    if scores is None:
        drawn = f" (draw {wanted.draw})" if wanted.draw else ""
        raise ScoreError(
            f"the change score {wanted.score.name} of dataset {wanted.dataset.name!r}{drawn} is not there (any more): "
            "compute it on the Pairs screen, or with `pairlab dataset score`, then retry this job"
        )
    return scores


def _newest_intact(checkpoints: Sequence[FileReference], reporter: Reporter) -> SavedFile | None:
    """Returns the first checkpoint whose content is what was recorded."""
    for each in checkpoints:
        if file_hash(Path(each["path"])) == each["sha256"]:
            return SavedFile(Path(each["path"]), each["sha256"])
        reporter.tell("log", text=f"checkpoint {each['path']} is damaged or gone; an earlier one has to do")
    return None


def _initial_weights(config: TrainingJob, description: Description) -> SavedFile | None:
    """Returns the file of initial weights; None where they come from elsewhere, or their job has none any more."""
    asked, found = config.initial, description["initial"]
    if isinstance(asked, FileWeights):
        return file_of(data_roots(description), asked)
    return None if found is None else SavedFile(Path(found["path"]), found["sha256"])


def _earlier_attempts(description: Description) -> Earlier:
    maps = tuple(EarlierMap(each["step"], Path(each["path"]), each["sha256"]) for each in description["embedding_maps"])
    return Earlier(warned=tuple(description["warned"]), maps=maps)

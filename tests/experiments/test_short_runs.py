"""Shipped questions in a very short form, from their text to scores, through the loops that a worker runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from pairlab.checkpoint import SavedFile
from pairlab.events import Event, Finished, Saved, Started
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PlannedJob, PretrainJob, ScoreJob
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.score_file import files_of, read_scores
from pairlab.pretraining import pretrain
from pairlab.scenes.dataset import selected
from pairlab.scoring import score_dataset
from pairlab.segmentation import segment
from tests.experiments.ready_questions import READY, index_of, shortened, source_of

CPU = torch.device("cpu")


class Runs:
    """Jobs run one after the other, each with what earlier ones left."""

    def __init__(self, folder: Path, tiles: Path | None) -> None:
        self.folder, self.tiles = folder, tiles
        self.weights: dict[str, SavedFile] = {}
        self.scores: dict[str, CellScores] = {}

    def run(self, job: PlannedJob) -> tuple[Started, Finished]:
        """Returns how a job began and how it ended."""
        events = self._events(job)
        for each in events:
            if isinstance(each, Saved) and each.kind == "weights":
                self.weights[job.key] = SavedFile(path=each.path, sha256=each.sha256)
        began, ended = events[0], events[-1]
        assert isinstance(began, Started)
        assert isinstance(ended, Finished)
        assert not ended.stopped
        return began, ended

    def _events(self, job: PlannedJob) -> Sequence[Event]:
        config, own = job.config, self.folder / job.key
        own.mkdir()
        index = index_of(config.dataset.config, self.tiles)
        source = source_of(config.dataset.config, self.tiles)
        if isinstance(config, ScoreJob):
            files = files_of(config, self.folder)
            events = list(
                score_dataset(config, source, index.table, files=files, weights=None, should_stop=never, device=CPU)
            )
            scores = read_scores(files.path)
            assert scores is not None
            self.scores[job.key] = scores
            return events
        chips = selected(index, config.scenes).chips(config.chip_size)
        if isinstance(config, PretrainJob):
            scores = None if job.depends_on is None else self.scores[job.depends_on]
            return list(
                pretrain(config, source, chips, folder=own, resume=None, should_stop=never, device=CPU, scores=scores)
            )
        start = None if config.pretrain is None else self.weights[config.pretrain]
        return list(segment(config, source, chips, folder=own, weights=start, should_stop=never, device=CPU))


def never() -> bool:
    return False


def results(
    experiment: Experiment, references: Mapping[str, DatasetReference], folder: Path, tiles: Path | None = None
) -> dict[str, Finished]:
    """Returns the end of every job by kind and first arm, run in the order planned."""
    runs = Runs(folder, tiles)
    jobs = expand(experiment, references[experiment.dataset], pretrained_on=references)
    return {f"{job.config.kind} {job.uses[0][0]}": runs.run(job)[1] for job in jobs}


def check_scores(ended: Mapping[str, Finished], arms: Sequence[str], classes: int) -> None:
    for arm in arms:
        found = ended[f"segment {arm}"].results
        assert len(found["classes"]) == classes
        assert list(found["protocols"]) == ["linear_probe", "fine_tuning"]
        for protocol in found["protocols"].values():
            assert 0 <= protocol["test"]["miou"] <= 1


def test_the_noise_rate_ladder_runs(tmp_path: Path) -> None:
    question = READY["noise-rate"]
    arms = ("random initialisation", "same image", "rate 0", "rate 0.5")
    experiment = shortened(question.experiment, pairs=12, arms=arms)
    ended = results(experiment, question.references(scale=0.02), tmp_path)
    check_scores(ended, arms, classes=3)
    assert {arm: ended[f"pretrain {arm}"].results["realised_noise"] for arm in arms[1:]} == {
        "same image": 0.0,
        "rate 0": 0.0,
        "rate 0.5": 0.5,
    }


def test_filters_and_other_losses_run(tmp_path: Path) -> None:
    question = READY["filter"]
    arms = ("no filter", "oracle", "change vectors", "embedding distance", "change weight", "feature matching")
    experiment = shortened(question.experiment, pairs=12, arms=arms)
    ended = results(experiment, question.references(scale=0.03), tmp_path)
    check_scores(ended, arms, classes=3)
    assert {"score change vectors", "score embedding distance"} < set(ended)
    noise = {arm: ended[f"pretrain {arm}"].results["realised_noise"] for arm in arms}
    assert noise["no filter"] == noise["change weight"] == noise["feature matching"] == 0.5
    assert noise["oracle"] == 0.0
    losses = [ended[f"pretrain {arm}"].results["final_loss"] for arm in arms]
    assert len(set(losses)) == len(arms)


def test_arms_with_a_dataset_of_their_own_run(tmp_path: Path) -> None:
    question = READY["class-balance"]
    arms = ("even classes, clean", "rare classes, noisy")
    experiment = shortened(question.experiment, pairs=12, arms=arms)
    ended = results(experiment, question.references(scale=0.02), tmp_path)
    check_scores(ended, arms, classes=7)
    assert ended["pretrain rare classes, noisy"].results["realised_noise"] == 1.0


@pytest.mark.parametrize(
    ("name", "arms"),
    [
        ("paper-xbd", ("same image", "clean", "half noisy", "half from other places")),
        ("class-balance-xbd", ("all tiles, clean", "partial damage, noisy")),
    ],
)
def test_questions_of_xbd_run_on_invented_tiles(
    name: str, arms: tuple[str, ...], invented_tree: Path, tmp_path: Path
) -> None:
    question = READY[name]
    experiment = shortened(
        question.experiment,
        pairs=12,
        arms=arms,
        network={"encoder": "tu-resnet10t", "decoder": "fpn", "decoder_channels": 64},
    )
    ended = results(experiment, question.references(), tmp_path, invented_tree)
    check_scores(ended, arms, classes=3 if name == "paper-xbd" else 5)

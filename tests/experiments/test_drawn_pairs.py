"""What the shipped questions draw: exact, from shared places, on the datasets their comments register."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import PretrainJob, ScoreJob, score_job
from pairlab.experiment.pairing import ChangeScoreFilter
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.pair import PairList
from pairlab.pairing.refusal import PairingRefused
from pairlab.pairing.score_file import files_of, read_scores
from pairlab.scenes.scene import SceneError
from pairlab.scoring import score_dataset
from tests.experiments.ready_questions import (
    OF_XBD,
    RENDERED,
    Question,
    drawn,
    index_of,
    pretrainings,
    shortened,
    source_of,
)
from tests.live_stack import SAMPLE

rendered = pytest.mark.parametrize("question", RENDERED.values(), ids=RENDERED)
of_xbd = pytest.mark.parametrize("question", OF_XBD.values(), ids=OF_XBD)

WITHOUT_OWN_SCENES = {
    name: question
    for name, question in OF_XBD.items()
    if all(arm.scenes is None for arm in question.experiment.arms.values())
}
ONE_ANGLE = ("middle view difference", "great view difference")
"""Arms that an invented tree has no scenes for: its two dates were all taken at one angle."""


def on_real_tiles() -> Path:
    if not SAMPLE.is_dir():
        pytest.skip(f"NO REAL TILES: there is no {SAMPLE}; set PAIRLAB_XBD_SAMPLE")
    return SAMPLE


def scores_for(job: PretrainJob, folder: Path, tiles: Path | None = None) -> CellScores | None:
    """Returns the change scores that a pretraining filters by, computed as a worker does."""
    config: ScoreJob | None = score_job(job)
    if config is None:
        return None
    files = files_of(config, folder)
    if read_scores(files.path) is None:
        source = source_of(config.dataset.config, tiles, draw=config.draw)
        table = index_of(config.dataset.config, tiles).table
        device = torch.device("cpu")
        events = score_dataset(
            config, source, table, files=files, weights=None, should_stop=lambda: False, device=device
        )
        assert list(events)
    return read_scores(files.path)


def places_of(pairs: PairList) -> NDArray[np.int32]:
    """Returns scene, y and x of each pair's anchor, shape (pairs, 3)."""
    return np.stack([pairs.scene, pairs.y, pairs.x], axis=1)


def check_as_asked(experiment: Experiment, arm: str, pairs: PairList) -> None:
    """Checks that what was drawn is what the arm asks for."""
    pairing = experiment.arms[arm].pairing
    assert pairing is not None
    noise = pairing.noise
    if pairing.filter.by == "none":
        assert len(pairs) == pairing.pairs
        assert pairs.filtered is None
        if noise.rate is not None:
            assert int(pairs.noisy.sum()) == math.floor(noise.rate * pairing.pairs + 0.5)
    else:
        filtered = pairs.filtered
        assert filtered is not None
        assert filtered.drawn == pairing.pairs == len(pairs) + filtered.thrown_away
        if pairing.filter.by == "oracle":
            assert pairs.realised_rate == 0
            assert filtered.noisy_thrown_away == filtered.thrown_away > 0
    if not isinstance(pairing.filter, ChangeScoreFilter):
        assert int(pairs.mismatched.sum()) == math.floor(noise.mismatch_rate * pairing.pairs + 0.5)
    assert bool(np.any(pairs.shift)) == (noise.shift_px > 0)
    if pairing.policy == "same_image":
        assert (pairs.shots[:, 0] == pairs.shots[:, 1]).all()


def check_shared_places(experiment: Experiment, drawn_by: dict[str, PairList]) -> None:
    """Checks that arms on the same scenes show the same places in the same order."""
    lists: dict[str, list[NDArray[np.int32]]] = {}
    for name, pairs in drawn_by.items():
        arm = experiment.arms[name]
        assert arm.pairing is not None
        if arm.pairing.filter.by != "none" or arm.pairing.noise.control == "replace":
            continue
        lists.setdefault(f"{arm.dataset or experiment.dataset} {arm.scenes}", []).append(places_of(pairs))
    for first, *others in lists.values():
        assert len(np.unique(first, axis=0)) == len(first)
        for other in others:
            np.testing.assert_array_equal(first, other)


@rendered
@pytest.mark.parametrize("scale", [0.1, pytest.param(1.0, marks=pytest.mark.slow)])
def test_on_the_scenes_that_its_comments_register_every_arm_can_be_drawn(question: Question, scale: float) -> None:
    """All arms but those that need a change score; they are drawn below."""
    experiment = question.experiment
    if scale != 1.0:
        (budget,) = {arm.pairing.pairs for arm in experiment.arms.values() if arm.pairing is not None}
        experiment = shortened(experiment, pairs=round(budget * scale))
    jobs = pretrainings(experiment, question.references(scale=scale))
    scored = {name for name, job in jobs.items() if score_job(job) is not None}
    assert bool(scored) == (question.name == "filter")
    found = {name: drawn(job) for name, job in jobs.items() if name not in scored}
    for name, pairs in found.items():
        check_as_asked(experiment, name, pairs)
    check_shared_places(experiment, found)
    for name in scored:
        with pytest.raises(PairingRefused, match="has not been computed"):
            drawn(jobs[name])


def test_other_nuisance_shows_the_same_places() -> None:
    question = RENDERED["nuisance"]
    small = shortened(question.experiment, pairs=100)
    found = {name: drawn(job) for name, job in pretrainings(small, question.references(scale=0.1)).items()}
    for name, pairs in found.items():
        np.testing.assert_array_equal(places_of(pairs), places_of(found["usual"]), err_msg=name)
        same = np.array_equal(pairs.changed_pixels, found["usual"].changed_pixels)
        assert same == (name != "leaning sensor"), name


def test_filters_by_score_throw_away_what_their_quantile_says(tmp_path: Path) -> None:
    question = RENDERED["filter"]
    small = shortened(question.experiment, pairs=30)
    jobs = pretrainings(small, question.references(scale=0.06))
    found = {name: drawn(job, scores=scores_for(job, tmp_path)) for name, job in jobs.items()}
    for name, pairs in found.items():
        check_as_asked(small, name, pairs)
    check_shared_places(small, found)
    everything = set(map(tuple, places_of(found["no filter"]).tolist()))
    for name in ("oracle", "change vectors", "irmad", "embedding distance"):
        assert set(map(tuple, places_of(found[name]).tolist())) < everything
        assert not found[name].exposure_matched
    for name in ("change vectors", "irmad", "embedding distance"):
        job, pairs = jobs[name], found[name]
        scores = scores_for(job, tmp_path)
        assert scores is not None
        chips = index_of(job.dataset.config).chips(job.chip_size)
        train = chips.of_scenes({scene.name for scene in chips.scenes if scene.split == "train"})
        threshold = np.nanquantile(scores.of_chips(train)["across"], 0.5)
        assert pairs.filtered is not None
        assert pairs.filtered.threshold == pytest.approx(threshold)
        assert (pairs.score <= threshold).all()
    for name in ("change vectors", "irmad"):  # damage shows in texture, which both scores see
        filtered = found[name].filtered
        assert filtered is not None
        assert filtered.noisy_thrown_away > 0.6 * filtered.thrown_away > 0, name


@of_xbd
def test_on_invented_tiles_of_xbd_every_arm_can_be_drawn(
    question: Question, invented_tree: Path, tmp_path: Path
) -> None:
    """With a few pairs; the files ask for all of xBD."""
    splits = {} if question.experiment.splits.test_events else question.experiment.splits.model_dump(mode="json")
    small = shortened(question.experiment, pairs=24, splits=splits)  # without events that invented tiles do not have
    jobs = pretrainings(small, question.references())
    found: dict[str, PairList] = {}
    for name, job in jobs.items():
        if name in ONE_ANGLE:
            with pytest.raises(SceneError, match="none of the dataset's 28 scenes pass the filter"):
                drawn(job, invented_tree)
            continue
        found[name] = drawn(job, invented_tree, scores=scores_for(job, tmp_path, invented_tree))
        check_as_asked(small, name, found[name])
    check_shared_places(small, found)
    assert len(found) >= 2


@pytest.mark.parametrize("question", WITHOUT_OWN_SCENES.values(), ids=WITHOUT_OWN_SCENES)
def test_on_real_tiles_of_xbd_every_arm_can_be_drawn(question: Question) -> None:
    """All arms but those that need a change score, which takes minutes; and no arms with scenes of their own.

    The sample is divided at random, since it trains on 6 tiles otherwise, of which hardly any shows damage; arms with
    scenes of their own keep the dataset's splits.
    """
    tiles = on_real_tiles()
    splits = {"by": "random", "test_share": 0.1, "validation_share": 0.1}
    small = shortened(question.experiment, pairs=40, splits=splits)
    jobs = pretrainings(small, question.references())
    found = {name: drawn(job, tiles) for name, job in jobs.items() if score_job(job) is None}
    for name, pairs in found.items():
        check_as_asked(small, name, pairs)
    check_shared_places(small, found)

"""The pairs of a pretraining as its trainer will draw them, from what is known of the dataset: no tile is decoded."""

from typing import NamedTuple

from backend.context import Context
from backend.errors import ConflictError
from pairlab.experiment.change_scores import EmbeddingDistance
from pairlab.experiment.jobs import PretrainJob, ScoreJob, score_job
from pairlab.pairing.job_pairs import pairs_of
from pairlab.pairing.pair import PairList
from pairlab.scenes.scene import Scene


class ScoreMissingError(ConflictError):
    """The change score that a filter goes by is not computed yet."""


class DrawnPairs(NamedTuple):
    """All pairs of a pretraining, and the scenes of the chips that they were drawn from."""

    pairs: PairList
    scenes: tuple[Scene, ...]


def draw_pairs_of(context: Context, config: PretrainJob) -> DrawnPairs:
    """Returns the pairs of a pretraining.

    Raises:
        PairingRefused: the data cannot meet the request; the message holds the true numbers.
        SceneError: no scene passes the filter, or a split has none.
        ScoreMissingError: it filters by a change score that is not computed yet.
    """
    needed = score_job(config)
    scores = None if needed is None else context.sources.scores(needed)
    if needed is not None and scores is None:
        raise ScoreMissingError(
            f"change score {score_in_words(needed)} of dataset {needed.dataset.name!r} is not computed yet, so what "
            "the filter throws away is not known: compute it on the screen Pairs, or submit the experiment"
        )
    chips = context.sources.trainable(config)
    return DrawnPairs(pairs_of(config, chips, scores=scores), chips.scenes)


def score_in_words(job: ScoreJob) -> str:
    """Returns which change score is meant, in a few words."""
    score = job.score
    what: str = score.name
    if isinstance(score, EmbeddingDistance):
        known = score.weights in ("published", "random")
        what = f"embedding ({score.encoder}, {score.weights})" if known else f"embedding (job {score.weights[:8]}…)"
    return f"{what}, draw {job.draw}," if job.dataset.config.kind == "synthetic" else what

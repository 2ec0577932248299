"""Change scores of datasets: which there are, computing another one, and how well one finds noisy chips."""

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.context import Context
from backend.datasets import repository
from backend.datasets.curves import above, curve_of, merged
from backend.datasets.registry import Browsable
from backend.datasets.score_schemas import ScoreCreate, ScoreCurve, ScoreQuantile, ScoreRead
from backend.datasets.service import find_ready
from backend.encoders import encoder_doubt
from backend.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from backend.jobs import queue
from backend.jobs import repository as jobs_repository
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow
from pairlab.experiment.change_scores import EmbeddingDistance
from pairlab.experiment.jobs import PretrainJob, ScoreJob, job_key
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.pairing.cell_scores import ACROSS, CellScores
from pairlab.pairing.score_file import files_of
from pairlab.scenes.index import CELL, ChipIndex

ATTEMPTS = 10
"""Tries where others queue the same score at the same moment."""
QUANTILES = np.arange(21) / 20
GONE = "what was computed is gone: compute it again"


def list_scores(context: Context, name: str) -> list[ScoreRead]:
    """Returns the scores of a dataset, each as its newest job has it, the newest first.

    Raises:
        NotFoundError: no dataset has that name.
        ConflictError: it is not indexed yet.
    """
    found = find_ready(context, name)
    with context.database.read() as session:
        return [_read(context, row) for row in _rows(session, found).values()]


def queue_score(context: Context, name: str, request: ScoreCreate) -> tuple[ScoreRead, bool]:
    """Returns the score and whether a job was queued for it: an equal one that is done or under way is taken over.

    Raises:
        NotFoundError: no dataset has that name.
        ConflictError: it is not indexed yet.
        InvalidError: the dataset cannot have such a score.
    """
    found = find_ready(context, name)
    config = ScoreJob(dataset=found.reference, draw=request.draw, score=request.score)
    for _ in range(ATTEMPTS):
        with suppress(IntegrityError), context.database.write() as session:
            check_score(context, session, found, config)
            row, fresh = _queue(context, session, config)
            score = _read(context, row)
            break
    else:
        raise UnavailableError("too many equal scores were asked for at once; try again in a moment")
    if fresh:
        queue.wake(context.settings, context.settings.hardware)
    return score, fresh


def get_curve(context: Context, name: str, score: str, *, chip_size: int, min_changed_pixels: int) -> ScoreCurve:
    """Returns how well a score tells noisy chips of the train split from clean ones.

    Raises:
        NotFoundError: no dataset has that name, or it has no such score.
        ConflictError: the dataset is not indexed yet, or the score not computed.
        InvalidError: chips of that size cannot be cut.
    """
    if chip_size % CELL:
        raise InvalidError(f"chip_size must be a multiple of {CELL}, got {chip_size}")
    found = find_ready(context, name)
    with context.database.read() as session:
        row = _rows(session, found).get(score)
        if row is None:
            raise NotFoundError(f"dataset {name!r} has no change score {score[:100]!r}; the list of its scores has all")
        told = _read(context, row)
    config = ScoreJob.model_validate(row.config)
    version = context.sources.score_version(config)
    if told.status != JobStatus.SUCCEEDED or version is None:
        why = f": {told.error}" if told.error else ""
        raise ConflictError(f"change score {score[:12]}… of dataset {name!r} is {told.status}{why}; its curve needs it")

    def make() -> ScoreCurve:
        scores = context.sources.scores(config)
        if scores is None:
            raise ConflictError(f"change score {score[:12]}… of dataset {name!r}: {GONE}")
        train = SceneFilter(splits=("train",))
        chips = context.sources.chips(found.reference, chip_size=chip_size, draw=config.draw, scenes=train)
        if not len(chips):
            raise InvalidError(f"chip_size {chip_size} is larger than the train split's scenes; take a smaller one")
        return judge(scores, chips, min_changed_pixels=min_changed_pixels)

    return context.curves.get((found.known.version, version, chip_size, min_changed_pixels), make)


def judge(scores: CellScores, chips: ChipIndex, *, min_changed_pixels: int) -> ScoreCurve:
    """Returns the curve of scores between first and last acquisition over chips; those without data do not count.

    Args:
        scores: of the dataset.
        chips: of its train split.
        min_changed_pixels: relevant-change pixels from which a chip counts as noisy.
    """
    has_data = chips.valid_pixels > 0
    value = scores.only(ACROSS).of_chips(chips)[ACROSS]
    scored = has_data & ~np.isnan(value)
    noisy = chips.changed_pixels >= min_changed_pixels
    unknown = chips.unknown & ~noisy
    clean = ~noisy & ~unknown
    positives, negatives, others = (np.sort(value[scored & kind]) for kind in (noisy, clean, unknown))
    curve = curve_of(positives, negatives) if len(positives) and len(negatives) else None
    per = chips.chip_size // CELL
    every_chip = int((scores.cells // per).astype(np.int64).prod(axis=1).sum())
    return ScoreCurve(
        chip_size=chips.chip_size,
        min_changed_pixels=min_changed_pixels,
        noisy=len(positives),
        clean=len(negatives),
        unknown=len(others),
        without_score=int(np.count_nonzero(has_data & ~scored)),
        auroc=None if curve is None else curve.auroc(),
        average_precision=None if curve is None else curve.average_precision(),
        roc=[] if curve is None else curve.roc(),
        precision_recall=[] if curve is None else curve.precision_recall(),
        quantiles=_quantiles(
            merged(positives, negatives, others), positives, negatives, noisy=int(np.count_nonzero(has_data & noisy))
        ),
        seconds=scores.seconds,
        seconds_per_1000_chips=1000 * scores.seconds / max(every_chip, 1),
    )


def _quantiles(
    values: NDArray[np.float64], positives: NDArray[np.float64], negatives: NDArray[np.float64], *, noisy: int
) -> list[ScoreQuantile]:
    """Returns what filters would do; values, positives and negatives rise."""
    if not len(values):
        return []
    thresholds = np.quantile(values, QUANTILES)
    counts = zip(*(above(each, thresholds).tolist() for each in (values, positives, negatives)), strict=True)
    return [
        ScoreQuantile(
            quantile=quantile,
            threshold=threshold,
            thrown_away=thrown,
            noisy_thrown_away=found,
            clean_thrown_away=lost,
            noisy_kept=noisy - found,
        )
        for quantile, threshold, (thrown, found, lost) in zip(
            QUANTILES.tolist(), thresholds.tolist(), counts, strict=True
        )
    ]


def _rows(session: Session, found: Browsable) -> dict[str, JobRow]:
    """Returns the newest job of each score of the dataset as it is now, by key."""
    rows: dict[str, JobRow] = {}
    for row in repository.score_jobs(session, found.reference.name):
        if row.config["dataset"]["fingerprint"] == found.reference.fingerprint:
            rows.setdefault(row.key, row)
    return rows


def _queue(context: Context, session: Session, config: ScoreJob) -> tuple[JobRow, bool]:
    key = job_key(config)
    live = jobs_repository.find_live(session, [key]).get(key)
    if live is None:
        hardware = context.settings.hardware
        row = jobs_repository.create(session, key=key, config=config, depends_on=None, hardware=hardware, position=0)
        return row, True
    if live.status == JobStatus.SUCCEEDED and _is_gone(context, config):
        return jobs_repository.repeat(session, live.id), True
    return (jobs_repository.withdraw_request(session, live.id) if live.requested == "cancel" else live), False


def check_score(context: Context, session: Session, found: Browsable, config: ScoreJob) -> None:
    """Raises InvalidError where a dataset cannot have a score; `found` is the dataset."""
    dataset, score = found.reference, config.score
    if config.draw and dataset.config.kind != "synthetic":
        raise InvalidError(f"draw: only synthetic scenes are redrawn; leave it 0 for dataset {dataset.name!r}")
    if not isinstance(score, EmbeddingDistance):
        return
    if score.weights in ("published", "random"):
        doubt = encoder_doubt(session, score.encoder)
        if doubt is not None and doubt.certain:
            raise InvalidError(f"score.encoder: {doubt.sentence}")
        return
    maker = jobs_repository.find_succeeded(session, score.weights, kind="pretrain")
    if maker is None:
        raise InvalidError(
            f"score.weights: {score.weights!r} is the key of no finished pretraining here; take published, random, or "
            "the key of one that has succeeded"
        )
    pretrained_on = PretrainJob.model_validate(maker.config).dataset
    known = context.sources.known(pretrained_on)
    if known is not None and len(known.table.bands) != len(found.known.table.bands):
        raise InvalidError(
            f"score.weights: that pretraining took images of {len(known.table.bands)} bands ({pretrained_on.name!r}), "
            f"and those of {dataset.name!r} have {len(found.known.table.bands)}; take another one"
        )


def _read(context: Context, row: JobRow) -> ScoreRead:
    config = ScoreJob.model_validate(row.config)
    done = row.status == JobStatus.SUCCEEDED
    gone = done and _is_gone(context, config)
    return ScoreRead(
        id=row.key,
        score=config.score,
        draw=config.draw,
        status=JobStatus.FAILED if gone else JobStatus(row.status),
        job=row.id,
        seconds=row.results.get("seconds") if done and not gone else None,
        scenes=row.results.get("scenes") if done and not gone else None,
        error=GONE if gone else row.error,
    )


def _is_gone(context: Context, config: ScoreJob) -> bool:
    return not files_of(config, context.settings.index_folder).path.exists()

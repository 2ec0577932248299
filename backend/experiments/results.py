"""What an experiment has found so far: the table, and in words what it allows to conclude."""

from collections.abc import Mapping, Sequence
from typing import Any

from backend.context import Context
from backend.datasets.indexing import reference_of
from backend.datasets.service import find as find_dataset
from backend.datasets.summary import classes_of
from backend.experiments import repository
from backend.experiments.schemas import ArmResult, ResultsRead, SeedScore
from backend.experiments.seed_scores import mean_of, means_by_class, seed_score
from backend.experiments.service import find, status_of
from backend.experiments.shown_pairs import JobsByUse, ShownPairs, notes_on_pairs, shown_by
from backend.experiments.tables import ExperimentJobRow
from backend.experiments.verdicts import verdicts_of
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow
from pairlab.experiment.experiment import Experiment
from pairlab.verdict import LEAST_SEEDS, mean, paired_difference, sample_deviation
from pairlab.verdict.reading import ALPHA


def results_of(context: Context, experiment_id: str) -> ResultsRead:
    """Returns the table of an experiment, arm × protocol, with every seed's score."""
    with context.database.read() as session:
        row = find(session, experiment_id)
        jobs = {job.id: job for job in repository.jobs_of(session, row.id)}
        uses = repository.uses_of(session, row.id)
        status = status_of(row, repository.tallies(session, [row.id])[row.id])
    dataset = find_dataset(context, row.dataset).row
    experiment = Experiment.model_validate(row.spec)
    segment, pretrain, score = (_by_use(uses, jobs, kind) for kind in ("segment", "pretrain", "score"))
    scores = {
        (arm, protocol.name): _scores(experiment, arm, protocol.name, segment)
        for arm in experiment.arms
        for protocol in experiment.protocols
    }
    shown = {arm: shown_by(experiment, arm, pretrain, score) for arm in experiment.arms}
    rows = [
        _row(
            experiment,
            arm,
            protocol,
            seeds=seeds,
            reference=scores[experiment.reference, protocol],
            segment=segment,
            shown=shown[arm],
        )
        for (arm, protocol), seeds in scores.items()
    ]
    classes = classes_of(reference_of(dataset).config, dataset.summary["label_schemes"], experiment.labels)
    synthetic = dataset.config["kind"] == "synthetic"
    return ResultsRead(
        id=row.id,
        name=row.name,
        status=status,
        classes=classes,
        primary_protocol=experiment.protocols[-1].name,
        reference=experiment.reference,
        margin=experiment.margin,
        looks=list(experiment.looks),
        verdicts=verdicts_of(experiment, rows, classes=classes, shown=shown, fixed=not synthetic),
        rows=rows,
        notes=[
            *_notes(experiment, rows, segment, synthetic=synthetic),
            *notes_on_pairs(experiment, shown),
        ],
    )


def _by_use(uses: Sequence[ExperimentJobRow], jobs: Mapping[str, JobRow], kind: str) -> JobsByUse:
    return {(use.arm, use.seed): jobs[use.job_id] for use in uses if jobs[use.job_id].kind == kind}


def _scores(experiment: Experiment, arm: str, protocol: str, segment: JobsByUse) -> list[SeedScore]:
    found = []
    for seed in experiment.seeds:
        job = segment.get((arm, seed))
        protocols: Mapping[str, Any] = {} if job is None else job.results.get("protocols", {})
        if job is not None and protocol in protocols:
            found.append(seed_score(seed, job.id, protocols[protocol]["test"]))
    return found


def _row(
    experiment: Experiment,
    arm: str,
    protocol: str,
    *,
    seeds: list[SeedScore],
    reference: list[SeedScore],
    segment: JobsByUse,
    shown: ShownPairs,
) -> ArmResult:
    mious = [score.miou for score in seeds]
    is_reference = arm == experiment.reference
    difference = None if is_reference else paired_difference(_by_seed(seeds), _by_seed(reference))
    scored = {score.seed for score in seeds}
    missing = [seed for seed in experiment.seeds if seed not in scored]
    return ArmResult(
        arm=arm,
        protocol=protocol,
        baseline=experiment.arms[arm].baseline is not None,
        reference=is_reference,
        seeds=seeds,
        missing={
            seed: JobStatus(segment[arm, seed].status) if (arm, seed) in segment else JobStatus.CANCELLED
            for seed in missing
        },
        mean_miou=mean(mious) if mious else None,
        std_miou=sample_deviation(mious),
        mean_iou=means_by_class(score.iou for score in seeds),
        mean_macro_f1=mean_of(score.macro_f1 for score in seeds),
        mean_f1=means_by_class(score.f1 for score in seeds),
        mean_accuracy=mean_of(score.accuracy for score in seeds),
        mean_boundary_f1=mean_of(score.boundary_f1 for score in seeds),
        mean_ece=mean_of(score.ece for score in seeds),
        mean_xview2=mean_of(score.xview2 for score in seeds),
        difference=None if difference is None else difference.mean,
        difference_seeds=0 if difference is None else len(difference.seeds),
        realised_noise=shown.realised_noise,
        realised_mismatch=shown.realised_mismatch,
        distinct_pairs=shown.distinct_pairs,
        exposure_matched=shown.exposure_matched,
        filtered=shown.filtered,
        score_seconds=shown.score_seconds,
        factors=list(experiment.factors(arm)),
    )


def _by_seed(scores: list[SeedScore]) -> dict[int, float]:
    return {score.seed: score.miou for score in scores}


def _notes(experiment: Experiment, rows: list[ArmResult], segment: JobsByUse, *, synthetic: bool) -> list[str]:
    planned = ", ".join(map(str, experiment.looks))
    compared = [row.difference_seeds for row in rows if not row.reference and not row.baseline]
    seeds = min(compared, default=min((len(row.seeds) for row in rows), default=0))
    counted = f"{seeds} seed{'s' * (seeds != 1)}"
    if seeds < LEAST_SEEDS:
        notes = [
            f"{counted}: no verdict below {LEAST_SEEDS} seeds (looks planned: {planned}); "
            "differences are what was seen, not what would be seen again"
        ]
    else:
        notes = [
            f"{counted} (looks planned: {planned}): verdicts are read at these looks alone, from the first so many "
            f"seeds; each word is false in at most {ALPHA:.0%} of experiments, over all arms and looks"
        ]
    notes.append(
        f"differences are paired by seed, in mIoU points, from {experiment.reference!r}; margin ±{experiment.margin:g}"
    )
    if synthetic:
        notes.append("every seed redraws train and test scenes, so that seeds are independent")
    else:
        notes.append("the tiles are fixed: what is found holds for these test scenes")
        notes.append("clean means no labelled change: burnt ground and flood water carry no label")
    baselines = [name for name, arm in experiment.arms.items() if arm.baseline is not None]
    if baselines:
        notes.append(
            f"{', '.join(map(repr, baselines))}: a baseline shows what pretraining is worth and gets no verdict"
        )
    failed = sum(job.status == JobStatus.FAILED for job in segment.values())
    if failed:
        notes.append(
            f"{failed} of {len(segment)} scores are missing because their job failed: the jobs say why, retry them"
        )
    return notes

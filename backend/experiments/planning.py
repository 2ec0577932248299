"""What an experiment would run: checked against its datasets before anything is queued."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.context import Context
from backend.datasets import repository as datasets
from backend.datasets.score_service import check_score
from backend.datasets.service import find, find_ready, summary_of, unknown_dataset
from backend.encoders import Doubt, encoder_doubt
from backend.errors import ConflictError, InvalidError
from backend.experiments.arm_draws import ArmDraw, ArmDraws, draw_arms, named_arms
from backend.experiments.contrasts import TRANSDUCTIVE, probes_random_decoder, several_factors, unmatched_exposure
from backend.experiments.downstream import downstream_warnings, label_problems
from backend.experiments.initial_weights import pinned_files, unfit_jobs
from backend.experiments.schemas import ExperimentSubmit
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment, dump_experiment, load_experiment
from pairlab.experiment.jobs import DatasetReference, PlannedJob, ScoreJob, SegmentJob
from pairlab.experiment.method_warnings import method_warnings
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.splits import assign_splits
from pairlab.verdict import LEAST_SEEDS

CHECK_SECONDS = 2.0
"""How long a plan draws further seeds than the first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment that its datasets can serve, with the jobs it becomes."""

    experiment: Experiment
    yaml: str
    datasets: tuple[DatasetReference, ...]
    """The experiment's own first, then those that arms pretrain on."""
    jobs: tuple[PlannedJob, ...]
    """In the order they should start."""
    arms: dict[str, ArmDraw | None]
    """What each draws; None of baselines, and where a change score is not computed yet."""
    missing_scores: frozenset[str]
    """Keys of the score jobs whose scores are not there, though the job may have succeeded once."""
    warnings: list[str]


def read_experiment(request: ExperimentSubmit) -> tuple[Experiment, str]:
    """Returns the experiment and its text; raises ExperimentError, one sentence per problem."""
    if request.yaml is not None:
        return load_experiment(request.yaml), request.yaml
    assert request.experiment is not None
    return request.experiment, dump_experiment(request.experiment)


def find_datasets(context: Context, experiment: Experiment) -> tuple[DatasetReference, ...]:
    """Returns the datasets of an experiment, its own first, then those that arms pretrain on.

    Raises:
        InvalidError: one is not registered.
        ConflictError: one is not indexed yet.
    """
    named = {experiment.dataset: "dataset"}
    for name, arm in experiment.arms.items():
        if arm.dataset is not None:
            named.setdefault(arm.dataset, f"arms.{name}.dataset")
    return tuple(_find_dataset(context, name, field) for name, field in named.items())


def plan_experiment(context: Context, request: ExperimentSubmit, *, seconds: float = CHECK_SECONDS) -> Plan:
    """Returns the jobs of an experiment and the pairs its arms would draw.

    Args:
        context: the application's.
        request: the experiment.
        seconds: how long further seeds than the first are drawn.

    Raises:
        ExperimentError, ExpansionError, SceneError, InvalidError: it cannot be read, or its datasets cannot serve it.
        ConflictError: a dataset is not indexed yet.
    """
    experiment, yaml = read_experiment(request)
    found = find_datasets(context, experiment)
    jobs = expand(
        experiment,
        found[0],
        pretrained_on={dataset.name: dataset for dataset in found[1:]},
        files=pinned_files(context, experiment),
    )
    classes = _classes(context, found[0], experiment)
    train = _train_chips(context, jobs)
    draws = draw_arms(context, experiment, jobs, seconds=seconds)
    doubt = _encoder_doubt(context, experiment)
    problems = [
        *([f"network.encoder: {doubt.sentence}"] if doubt is not None and doubt.certain else []),
        *_unequal_bands(context, experiment, found),
        *draws.problems,
        *_impossible_scores(context, jobs),
        *unfit_jobs(context, jobs),
        *label_problems(experiment, train, classes, bands=_bands(context, found[0])),
    ]
    if problems:
        raise InvalidError("; ".join(problems), problems=problems)
    missing = frozenset(
        job.key for job in jobs if isinstance(job.config, ScoreJob) and context.sources.scores(job.config) is None
    )
    warnings = _warnings(experiment, draws) + ([] if doubt is None else [doubt.sentence])
    return Plan(experiment, yaml, found, jobs, draws.arms, missing, warnings)


def _encoder_doubt(context: Context, experiment: Experiment) -> Doubt | None:
    with context.database.read() as session:
        return encoder_doubt(session, experiment.network.encoder)


def _find_dataset(context: Context, name: str, field: str) -> DatasetReference:
    with context.database.read() as session:
        if datasets.find(session, name) is None:
            sentence = f"{field}: {unknown_dataset(session, name)}; register it first"
            raise InvalidError(sentence, problems=[sentence])
    try:
        return find_ready(context, name).reference
    except ConflictError as error:
        raise ConflictError(f"{error.detail}; experiments need all of its index") from error


def _classes(context: Context, dataset: DatasetReference, experiment: Experiment) -> list[str]:
    """Returns the classes; raises InvalidError where the dataset has no such labels, though others of its kind have."""
    schemes = summary_of(context, find(context, dataset.name)).label_schemes
    if experiment.labels.scheme not in schemes:
        has = f"it has: {', '.join(schemes)}" if schemes else "it has no labels, so it can be pretrained on alone"
        sentence = f"labels.scheme: dataset {dataset.name!r} has no scheme {experiment.labels.scheme!r}; {has}"
        raise InvalidError(sentence, problems=[sentence])
    return schemes[experiment.labels.scheme]


def _bands(context: Context, dataset: DatasetReference) -> int:
    known = context.sources.known(dataset)
    return 3 if known is None else len(known.table.bands)


def _unequal_bands(context: Context, experiment: Experiment, datasets: Sequence[DatasetReference]) -> list[str]:
    """Returns a sentence for each arm whose network would take other images than those that are segmented."""
    known = {dataset.name: context.sources.known(dataset) for dataset in datasets}
    bands = {name: len(scenes.table.bands) for name, scenes in known.items() if scenes is not None}
    own = bands.get(experiment.dataset)
    return [
        f"arm {name!r}: the images of dataset {arm.dataset!r} and those of {experiment.dataset!r}, which are "
        f"segmented, have other numbers of bands ({bands[arm.dataset]} and {own}): take a dataset with as many"
        for name, arm in experiment.arms.items()
        if arm.dataset in bands and bands[arm.dataset] != own
    ]


def _impossible_scores(context: Context, jobs: Sequence[PlannedJob]) -> list[str]:
    """Returns a sentence for each change score that its dataset cannot have, with the arms that filter by it."""
    problems = []
    for job in jobs:
        if isinstance(job.config, ScoreJob):
            found = find_ready(context, job.config.dataset.name)
            try:
                with context.database.read() as session:
                    check_score(context, session, found, job.config)
            except InvalidError as error:
                problems.append(f"{named_arms(arm for arm, _ in job.uses)}: filter.{error.detail}")
    return list(dict.fromkeys(problems))


def _train_chips(context: Context, jobs: Sequence[PlannedJob]) -> ChipIndex:
    """Returns the chips that segmentation may take its labelled ones from, with the first seed.

    Raises:
        SceneError: no scene passes the filter, or a split has none.
    """
    segment = next(job.config for job in jobs if isinstance(job.config, SegmentJob))
    chips = context.sources.trainable(segment)
    assign_splits(chips.scenes, segment.splits)  # validation and test must have scenes too
    return chips


def _warnings(experiment: Experiment, draws: ArmDraws) -> list[str]:
    matched = {name: None if draw is None else draw.exposure_matched for name, draw in draws.arms.items()}
    warnings = [*draws.warnings, *several_factors(experiment), *unmatched_exposure(experiment, matched)]
    warnings += [*probes_random_decoder(experiment), *downstream_warnings(experiment)]
    paired = [(arm, arm.pairing) for arm in experiment.arms.values() if arm.pairing is not None]
    for arm, pairing in paired:
        warnings += method_warnings(experiment.method_of(arm), pairs=pairing.pairs)
    if experiment.transductive:
        warnings.append(TRANSDUCTIVE)
    if len(experiment.seeds) < LEAST_SEEDS:
        warnings.append(
            f"{len(experiment.seeds)} seed{'s' * (len(experiment.seeds) > 1)}: the table will show differences, but no "
            f"verdict is given below {LEAST_SEEDS} seeds"
        )
    return list(dict.fromkeys(warnings))

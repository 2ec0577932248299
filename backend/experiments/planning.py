"""What an experiment would run: checked against its dataset before anything is queued."""

from dataclasses import dataclass

import numpy as np

from backend.context import Context
from backend.datasets import repository as datasets
from backend.datasets.service import find, find_ready, summary_of, unknown_dataset
from backend.errors import ConflictError, InvalidError
from backend.experiments.schemas import ExperimentSubmit
from pairlab.experiment.expansion import DatasetReference, PlannedJob, PretrainJob, expand
from pairlab.experiment.experiment import Experiment, dump_experiment, load_experiment
from pairlab.pairing.drawing import PairingRefused, draw_pairs
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.splits import assign_splits
from pairlab.verdict import LEAST_SEEDS


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment that its dataset can serve, with the jobs it becomes."""

    experiment: Experiment
    yaml: str
    dataset: DatasetReference
    jobs: tuple[PlannedJob, ...]
    """In the order they should start."""
    realised_noise: dict[str, float | None]
    warnings: list[str]


def read_experiment(request: ExperimentSubmit) -> tuple[Experiment, str]:
    """Returns the experiment and its text; raises ExperimentError, one sentence per problem."""
    if request.yaml is not None:
        return load_experiment(request.yaml), request.yaml
    assert request.experiment is not None
    return request.experiment, dump_experiment(request.experiment)


def plan_experiment(context: Context, request: ExperimentSubmit) -> Plan:
    """Returns the jobs of an experiment and the noise its arms would draw.

    Raises:
        ExperimentError, ExpansionError, SceneError, InvalidError: it cannot be read, or its dataset cannot serve it.
    """
    experiment, yaml = read_experiment(request)
    dataset = _find_dataset(context, experiment.dataset)
    jobs = expand(experiment, dataset)
    _check_labels(context, dataset, experiment)
    train = _train_chips(context, dataset, experiment)
    realised_noise, problems, warnings = _draw_arms(experiment, jobs, train)
    chips = int(np.count_nonzero(train.valid_pixels))
    if chips < experiment.labels.train_chips:
        problems.append(
            f"labels.train_chips asks for {experiment.labels.train_chips} labelled chips; the train split has {chips} "
            "with data"
        )
    if problems:
        raise InvalidError("; ".join(problems), problems=problems)
    if len(experiment.seeds) < LEAST_SEEDS:
        warnings.append(
            f"{len(experiment.seeds)} seed{'s' * (len(experiment.seeds) > 1)}: the table will show differences, but no "
            f"verdict is given below {LEAST_SEEDS} seeds"
        )
    return Plan(experiment, yaml, dataset, jobs, realised_noise, warnings)


def _find_dataset(context: Context, name: str) -> DatasetReference:
    with context.database.read() as session:
        if datasets.find(session, name) is None:
            sentence = f"dataset: {unknown_dataset(session, name)}; register it first"
            raise InvalidError(sentence, problems=[sentence])
    try:
        return find_ready(context, name).reference
    except ConflictError as error:
        raise ConflictError(f"{error.detail}; experiments need all of its index") from error


def _check_labels(context: Context, dataset: DatasetReference, experiment: Experiment) -> None:
    """Raises InvalidError where the dataset has no labels of the scheme, though others of its kind have."""
    schemes = summary_of(context, find(context, dataset.name)).label_schemes
    if experiment.labels.scheme not in schemes:
        has = f"it has: {', '.join(schemes)}" if schemes else "it has no labels, so it can be pretrained on alone"
        sentence = f"labels.scheme: dataset {dataset.name!r} has no scheme {experiment.labels.scheme!r}; {has}"
        raise InvalidError(sentence, problems=[sentence])


def _train_chips(context: Context, dataset: DatasetReference, experiment: Experiment) -> ChipIndex:
    chips = context.sources.chips(
        dataset, chip_size=experiment.chip_size, draw=experiment.seeds[0], scenes=experiment.scenes
    )
    splits = assign_splits(chips.scenes, experiment.splits)
    return chips.of_scenes({name for name, split in splits.items() if split == "train"})


def _draw_arms(
    experiment: Experiment, jobs: tuple[PlannedJob, ...], train: ChipIndex
) -> tuple[dict[str, float | None], list[str], list[str]]:
    """Returns per arm the noise it would draw with the first seed, what is refused, and what is worth knowing."""
    realised: dict[str, float | None] = dict.fromkeys(experiment.arms)
    problems: list[str] = []
    warnings: list[str] = []
    for job in jobs:
        if not isinstance(job.config, PretrainJob) or job.config.seed != experiment.seeds[0]:
            continue
        arms = list(dict.fromkeys(arm for arm, _ in job.uses))
        named = f"arm{'s' * (len(arms) > 1)} {', '.join(map(repr, arms))}"
        try:
            pairs = draw_pairs(
                train,
                acquisitions=train.scenes[0].acquisitions,
                pairing=job.config.pairing,
                places=job.config.places,
                seed=job.config.seed,
            )
        except PairingRefused as error:
            problems.append(f"{named}: {error}")
            continue
        realised.update(dict.fromkeys(arms, pairs.realised_rate))
        warnings.extend(f"{named}: {warning}" for warning in pairs.warnings)
    return realised, problems, warnings

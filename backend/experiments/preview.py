"""The pairs that the arms of an experiment would draw, at equal places of the list they share."""

from backend.context import Context
from backend.datasets.drawn_pairs import ScoreMissingError
from backend.datasets.preview import preview_of
from backend.datasets.preview_schemas import ArmPreview, ExperimentPreview, PreviewResponse
from backend.errors import InvalidError
from backend.experiments.planning import find_datasets, read_experiment
from backend.experiments.schemas import ExperimentPreviewRequest
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import PretrainJob
from pairlab.pairing.refusal import PairingRefused
from pairlab.scenes.scene import SceneError

Drawn = tuple[PreviewResponse | None, str | None]
"""The pairs, or why there are none."""


def preview_arms(context: Context, request: ExperimentPreviewRequest) -> ExperimentPreview:
    """Returns the pairs of each arm that is pretrained; what one is refused stands in its place.

    Raises:
        ExperimentError, ExpansionError, InvalidError: it cannot be read, or does not fit its datasets.
        ConflictError: a dataset is not indexed yet.
    """
    experiment, _ = read_experiment(request)
    seed = experiment.seeds[0] if request.seed is None else request.seed
    experiment = experiment.model_copy(update={"seeds": (seed,)})
    wanted = _wanted(experiment, request.arms)
    datasets = find_datasets(context, experiment)
    jobs = expand(experiment, datasets[0], pretrained_on={dataset.name: dataset for dataset in datasets[1:]})
    drawn: dict[str, Drawn] = {}
    for job in jobs:
        arms = [arm for arm, _ in job.uses if arm in wanted]
        if isinstance(job.config, PretrainJob) and arms:
            drawn |= dict.fromkeys(arms, _drawn(context, job.config, request))
    return ExperimentPreview(
        seed=seed,
        arms=[
            ArmPreview(arm=arm, pairs=drawn[arm][0], problem=drawn[arm][1], factors=list(experiment.factors(arm)))
            for arm in wanted
        ],
    )


def _wanted(experiment: Experiment, asked: list[str] | None) -> list[str]:
    """Returns the names of the pretrained arms that are asked for; raises InvalidError where one is no arm."""
    for name in asked or ():
        if name not in experiment.arms:
            raise InvalidError(f"arms: {name!r} is no arm; there are: {', '.join(experiment.arms)}")
    return [
        name for name, arm in experiment.arms.items() if arm.pairing is not None and (asked is None or name in asked)
    ]


def _drawn(context: Context, config: PretrainJob, request: ExperimentPreviewRequest) -> Drawn:
    try:
        return preview_of(context, config, first=request.first, count=request.count), None
    except (PairingRefused, SceneError) as error:
        return None, str(error)
    except ScoreMissingError as error:
        return None, error.detail

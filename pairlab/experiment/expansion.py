"""An experiment becomes jobs: each arm and seed a pretraining and a segmentation, equal ones once."""

from collections.abc import Mapping

from pairlab.experiment.experiment import Arm, Experiment
from pairlab.experiment.fit import ExpansionError, check_fit, resolve_control
from pairlab.experiment.initial import FileWeights, Initial, JobWeights, RandomWeights
from pairlab.experiment.jobs import (
    DatasetReference,
    PlannedJob,
    PretrainJob,
    ScoreJob,
    SegmentJob,
    job_key,
    score_job,
)
from pairlab.experiment.pairing import Extent, Noise, PlaceExtent, Places


def expand(
    experiment: Experiment,
    dataset: DatasetReference,
    *,
    pretrained_on: Mapping[str, DatasetReference] | None = None,
    files: Mapping[FileWeights, str] | None = None,
) -> tuple[PlannedJob, ...]:
    """Returns the jobs of an experiment as they should start: by seed, then arm; what is waited for before its use.

    Args:
        experiment: what is asked.
        dataset: the experiment's.
        pretrained_on: the datasets that arms name for their pretraining, by name.
        files: the SHA-256 of files of initial weights, as the experiment names them.

    Raises:
        ExpansionError: the experiment does not fit its datasets.
    """
    known = {**(pretrained_on or {}), experiment.dataset: dataset}
    check_fit(experiment, known)
    places = _places(experiment)
    configs: dict[str, PretrainJob | SegmentJob | ScoreJob] = {}
    uses: dict[str, list[tuple[str, int]]] = {}
    waits: dict[str, str] = {}
    for seed in experiment.seeds:
        for arm_name, arm in experiment.arms.items():
            initial = _pinned(experiment.initial_of(arm), files or {})
            pretrain = _pretraining(experiment, arm, known[arm.dataset or experiment.dataset], places, initial, seed)
            score = None if pretrain is None else score_job(pretrain)
            segment = SegmentJob(
                dataset=dataset,
                scenes=experiment.scenes,
                splits=experiment.splits,
                chip_size=experiment.chip_size,
                labels=experiment.labels,
                network=experiment.network,
                protocols=experiment.protocols,
                pretrain=None if pretrain is None else job_key(pretrain),
                initial=initial if pretrain is None else RandomWeights(),
                transfer=experiment.transferred,
                evaluation=experiment.evaluation,
                seed=seed,
            )
            if isinstance(initial, JobWeights):
                waits[job_key(pretrain or segment)] = initial.key
            if pretrain is not None and score is not None:
                waits[job_key(pretrain)] = job_key(score)
            if segment.pretrain is not None:
                waits[job_key(segment)] = segment.pretrain
            for config in (score, pretrain, segment):
                if config is not None:
                    key = job_key(config)
                    configs.setdefault(key, config)
                    uses.setdefault(key, []).append((arm_name, seed))
    return tuple(
        PlannedJob(key=key, config=config, depends_on=waits.get(key), uses=tuple(uses[key]))
        for key, config in configs.items()
    )


def _pinned(initial: Initial, files: Mapping[FileWeights, str]) -> Initial:
    """Returns the weights with the hash of their file; raises ExpansionError where it is not the one asked for."""
    if not isinstance(initial, FileWeights):
        return initial
    found = files.get(initial)
    if found is None:
        raise ExpansionError(f"initial: the file {initial.path!r} below the data root {initial.root!r} was not read")
    if initial.sha256 not in (None, found):
        raise ExpansionError(
            f"initial: the file {initial.path!r} below the data root {initial.root!r} has SHA-256 {found}, and "
            f"{initial.sha256} is asked for: take the file back that was meant, or remove initial.sha256"
        )
    return initial.model_copy(update={"sha256": found})


def _pretraining(
    experiment: Experiment, arm: Arm, dataset: DatasetReference, places: Places, initial: Initial, seed: int
) -> PretrainJob | None:
    if arm.pairing is None:
        return None
    method = experiment.method_of(arm)
    return PretrainJob(
        dataset=dataset,
        scenes=arm.scenes or experiment.scenes,
        splits=experiment.splits,
        chip_size=experiment.chip_size,
        pairing=resolve_control(arm.pairing, dataset, method),
        places=places,
        transductive=experiment.transductive,
        method=method,
        network=experiment.network,
        initial=initial,
        pretraining=experiment.pretraining,
        seed=seed,
    )


def _places(experiment: Experiment) -> Places:
    """Returns the one pool of places for all arms: the noisy ones as soon as one arm sets a rate."""
    noisy = {
        name: arm.pairing.noise
        for name, arm in experiment.arms.items()
        if arm.pairing is not None and arm.pairing.noise.rate is not None
    }
    if not noisy:
        return Places()
    if len({noise.min_changed_pixels for noise in noisy.values()}) > 1:
        raise ExpansionError(
            f"arms {', '.join(map(repr, noisy))} ask for different min_changed_pixels; all arms with a noise rate "
            "share one list of places, so give them the same"
        )
    for name, arm in experiment.arms.items():
        if arm.pairing is not None and arm.pairing.policy == "temporal" and arm.pairing.noise.rate is None:
            raise ExpansionError(
                f"arm {name!r} takes pairs as the data has them while arm {next(iter(noisy))!r} sets a "
                f"noise rate: all arms share the noisy places, so every pair of {name!r} would be noisy. Set its "
                "noise.rate (1 keeps every change)"
            )
    return places_of(tuple(noisy.values()))


def places_of(noisy: tuple[Noise, ...]) -> Places:
    """Returns the pool of places of arms that set a noise rate; at least one.

    An extent that no noisy pair is taken from (rate 0) asks for no places, unless there is no other.
    """
    rates: dict[Extent, float] = {}
    for noise in noisy:
        rates[noise.extent] = max(rates.get(noise.extent, 0.0), noise.rate or 0.0)
    asked = {extent: rate for extent, rate in rates.items() if rate > 0} or rates
    if len(asked) == 1:  # all places lie within it, whatever the rate: a further rung moves no place
        asked = dict.fromkeys(asked, 1.0)
    return Places(
        noisy_only=True,
        extents=tuple(PlaceExtent(extent=extent, rate=asked[extent]) for extent in sorted(asked)),
        min_changed_pixels=noisy[0].min_changed_pixels,
    )

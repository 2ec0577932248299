"""An experiment becomes jobs: each arm and seed a pretraining and a segmentation, equal ones once."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from pairlab.experiment.change_scores import ChangeScore
from pairlab.experiment.datasets import DatasetConfig, DatasetName, SyntheticDataset
from pairlab.experiment.experiment import Arm, Experiment
from pairlab.experiment.initial import FileWeights, Initial, JobWeights, RandomWeights
from pairlab.experiment.label_schemes import label_schemes
from pairlab.experiment.methods import Method, can_mask, in_words
from pairlab.experiment.model import FrozenModel, content_hash
from pairlab.experiment.network import Network, Transfer
from pairlab.experiment.pairing import (
    ChangeScoreFilter,
    ControlName,
    Extent,
    Noise,
    Pairing,
    PlaceExtent,
    Places,
)
from pairlab.experiment.protocols import Labels, Protocol, Splits
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.experiment.training import Pretraining

TRAINING_CODE_VERSION = 4
"""Raised whenever the same job would give other numbers, so that old results are not taken for new ones."""


class ExpansionError(ValueError):
    """An experiment that does not fit its dataset; the message says which value and what to do."""


class DatasetReference(FrozenModel):
    """A registered dataset, pinned by the fingerprint of its content."""

    name: DatasetName
    config: DatasetConfig
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")


class PretrainJob(FrozenModel):
    """The resolved configuration of one contrastive pretraining: nothing in it depends on the experiment's name."""

    kind: Literal["pretrain"] = "pretrain"
    code_version: int = TRAINING_CODE_VERSION
    dataset: DatasetReference
    scenes: SceneFilter
    splits: Splits
    chip_size: int
    pairing: Pairing
    places: Places
    transductive: bool = False
    method: Method
    network: Network
    initial: Initial = RandomWeights()
    """A file is pinned by the hash of its content."""
    pretraining: Pretraining
    seed: int


class SegmentJob(FrozenModel):
    """The resolved configuration of one segmentation: from a pretraining, or from the weights that one starts from."""

    kind: Literal["segment"] = "segment"
    code_version: int = TRAINING_CODE_VERSION
    dataset: DatasetReference
    scenes: SceneFilter
    splits: Splits
    chip_size: int
    labels: Labels
    network: Network
    protocols: tuple[Protocol, ...]
    pretrain: str | None
    """Key of the pretraining it starts from; null starts from `initial`."""
    initial: Initial = RandomWeights()
    """What it starts from without a pretraining."""
    transfer: Transfer = "encoder_decoder"
    """What it takes over from the pretraining, and so what the linear probe stands on."""
    seed: int


class IndexJob(FrozenModel):
    """The work of looking through a dataset of files once."""

    kind: Literal["index"] = "index"
    dataset: DatasetReference


class ScoreJob(FrozenModel):
    """The work of computing a change score for all scenes of a dataset."""

    kind: Literal["score"] = "score"
    dataset: DatasetReference
    draw: int = Field(default=0, ge=0)
    """Which redraw of synthetic scenes; 0 for files."""
    score: ChangeScore


TrainingJob = PretrainJob | SegmentJob
AnyJob = PretrainJob | SegmentJob | IndexJob | ScoreJob
JobConfig = Annotated[AnyJob, Field(discriminator="kind")]


class PlannedJob(FrozenModel):
    """One job of a plan: its key, what it waits for, and the arms and seeds that share it."""

    key: str
    config: Annotated[PretrainJob | SegmentJob | ScoreJob, Field(discriminator="kind")]
    depends_on: str | None
    """Key of the job it waits for: a segmentation for its pretraining, a pretraining that filters for its score, one
    that starts from an earlier job for that one, which is none of the plan's."""
    uses: tuple[tuple[str, int], ...]
    """(arm, seed) of everyone who needs it."""


def job_key(config: AnyJob) -> str:
    """Returns the content hash under which equal jobs are one job."""
    return content_hash(config)


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
    _check_fit(experiment, known)
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


def score_job(config: PretrainJob) -> ScoreJob | None:
    """Returns the job that computes the change score a pretraining filters by; None where it does not."""
    chosen = config.pairing.filter
    if not isinstance(chosen, ChangeScoreFilter):
        return None
    draw = config.seed if isinstance(config.dataset.config, SyntheticDataset) else 0
    return ScoreJob(dataset=config.dataset, draw=draw, score=chosen.score)


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


def resolve_control(pairing: Pairing, dataset: DatasetReference, method: Method) -> Pairing:
    """Returns the pairing with the control that fits the dataset where a rate is set and none is named.

    Raises:
        ExpansionError: the named one, or every one that could be taken by itself, does not fit.
    """
    synthetic = isinstance(dataset.config, SyntheticDataset)
    if pairing.noise.control == "rerender" and not synthetic:
        raise ExpansionError(
            "noise.control: only synthetic scenes can be rendered again; take control 'masked', 'same_acquisition' or "
            "'replace'"
        )
    if pairing.noise.rate is None or pairing.noise.control is not None:
        return pairing
    control: ControlName = "rerender" if synthetic else "masked"
    if control == "masked" and not can_mask(method):
        raise ExpansionError(
            f"a noise rate on real images takes control 'masked' by itself, which needs pixel_infonce with geometric "
            f"matching or pixpro (found {in_words(method)}): take that, or name control 'same_acquisition' or 'replace'"
        )
    noise = pairing.noise.model_copy(update={"control": control})
    return pairing.model_copy(update={"noise": noise})


def _check_fit(experiment: Experiment, datasets: Mapping[str, DatasetReference]) -> None:
    config, splits = datasets[experiment.dataset].config, experiment.splits
    _check_splits(config, splits)
    if isinstance(config, SyntheticDataset) and splits.by == "random" and config.scenes.label_noise > 0:
        raise ExpansionError(
            f"the dataset's train split has noisy labels (label_noise {config.scenes.label_noise:g}), and splits.by "
            "'random' would test on some of them: let splits.by be official"
        )
    schemes = label_schemes(config)
    if experiment.labels.scheme not in schemes:
        raise ExpansionError(
            f"labels.scheme {experiment.labels.scheme!r} does not exist for {_KINDS[config.kind]}: take "
            f"{' or '.join(schemes)}"
        )
    for name, arm in experiment.arms.items():
        if arm.pairing is None:
            continue
        found = datasets.get(arm.dataset or experiment.dataset)
        if found is None:
            raise ExpansionError(f"arm {name!r}: there is no dataset {arm.dataset!r}; register it first")
        try:
            _check_splits(found.config, splits)
            resolve_control(arm.pairing, found, experiment.method_of(arm))
        except ExpansionError as error:
            raise ExpansionError(f"arm {name!r}: {error}") from error
        if isinstance(found.config, SyntheticDataset) and experiment.chip_size > found.config.scenes.size:
            size = found.config.scenes.size
            raise ExpansionError(
                f"chip_size {experiment.chip_size} is larger than the scenes of {found.name!r} ({size} pixels)"
            )
    if isinstance(config, SyntheticDataset) and experiment.chip_size > config.scenes.size:
        raise ExpansionError(
            f"chip_size {experiment.chip_size} is larger than the scenes ({config.scenes.size} pixels)"
        )


def _check_splits(config: DatasetConfig, splits: Splits) -> None:
    if isinstance(config, SyntheticDataset) and not splits.official and splits.by != "random":
        raise ExpansionError(
            "synthetic scenes have neither events nor a place on a map: remove splits.test_events, and let splits.by "
            "be official or random"
        )


_KINDS = {"synthetic": "synthetic scenes", "xbd": "xBD", "bitemporal": "bitemporal datasets"}

"""An experiment becomes jobs: each arm and seed a pretraining and a segmentation, equal ones once."""

from typing import Annotated, Literal

from pydantic import Field

from pairlab.experiment.datasets import BitemporalDataset, DatasetConfig, DatasetName, SyntheticDataset, XbdDataset
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.methods import DENSE_METHODS, Method, Network, Pretraining
from pairlab.experiment.model import FrozenModel, content_hash
from pairlab.experiment.pairing import Pairing, Places
from pairlab.experiment.protocols import Labels, LabelScheme, Protocol, Splits
from pairlab.experiment.scene_filter import SceneFilter

TRAINING_CODE_VERSION = 2
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
    method: Method
    network: Network
    pretraining: Pretraining
    seed: int


class SegmentJob(FrozenModel):
    """The resolved configuration of one segmentation: from a pretraining, or from random weights."""

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
    """Key of the pretraining it starts from; null is random initialisation."""
    seed: int


class IndexJob(FrozenModel):
    """The work of looking through a dataset of files once."""

    kind: Literal["index"] = "index"
    dataset: DatasetReference


TrainingJob = PretrainJob | SegmentJob
JobConfig = Annotated[PretrainJob | SegmentJob | IndexJob, Field(discriminator="kind")]


class PlannedJob(FrozenModel):
    """One job of a plan: its key, what it waits for, and the arms and seeds that share it."""

    key: str
    config: Annotated[TrainingJob, Field(discriminator="kind")]
    depends_on: str | None
    """Key of the pretraining it waits for."""
    uses: tuple[tuple[str, int], ...]
    """(arm, seed) of everyone who needs it."""


def job_key(config: TrainingJob | IndexJob) -> str:
    """Returns the content hash under which equal jobs are one job."""
    return content_hash(config)


def expand(experiment: Experiment, dataset: DatasetReference) -> tuple[PlannedJob, ...]:
    """Returns the jobs of an experiment as they should start: by seed, then arm; a pretraining before its use.

    Raises:
        ExpansionError: the experiment does not fit the dataset.
    """
    _check_fit(experiment, dataset)
    places = _places(experiment)
    configs: dict[str, TrainingJob] = {}
    uses: dict[str, list[tuple[str, int]]] = {}
    for seed in experiment.seeds:
        for arm_name, arm in experiment.arms.items():
            pretrain: PretrainJob | None = None
            if arm.pairing is not None:
                pretrain = PretrainJob(
                    dataset=dataset,
                    scenes=experiment.scenes,
                    splits=experiment.splits,
                    chip_size=experiment.chip_size,
                    pairing=_resolve_control(arm.pairing, experiment, dataset),
                    places=places,
                    method=experiment.method,
                    network=experiment.network,
                    pretraining=experiment.pretraining,
                    seed=seed,
                )
            segment = SegmentJob(
                dataset=dataset,
                scenes=experiment.scenes,
                splits=experiment.splits,
                chip_size=experiment.chip_size,
                labels=experiment.labels,
                network=experiment.network,
                protocols=experiment.protocols,
                pretrain=None if pretrain is None else job_key(pretrain),
                seed=seed,
            )
            for config in (pretrain, segment):
                if config is not None:
                    key = job_key(config)
                    configs.setdefault(key, config)
                    uses.setdefault(key, []).append((arm_name, seed))
    return tuple(
        PlannedJob(
            key=key,
            config=config,
            depends_on=config.pretrain if isinstance(config, SegmentJob) else None,
            uses=tuple(uses[key]),
        )
        for key, config in configs.items()
    )


def _places(experiment: Experiment) -> Places:
    """Returns the one pool of places for all arms: the noisy ones as soon as one arm sets a rate."""
    ladders = {
        (arm.pairing.noise.extent, arm.pairing.noise.min_changed_pixels): name
        for name, arm in experiment.arms.items()
        if arm.pairing is not None and arm.pairing.noise.rate is not None
    }
    if len(ladders) > 1:
        raise ExpansionError(
            f"arms {', '.join(map(repr, ladders.values()))} ask for different extents or min_changed_pixels; all arms "
            "with a noise rate share one list of places, so give them the same"
        )
    if not ladders:
        return Places()
    for name, arm in experiment.arms.items():
        if arm.pairing is not None and arm.pairing.policy == "temporal" and arm.pairing.noise.rate is None:
            raise ExpansionError(
                f"arm {name!r} takes pairs as the data has them while arm {next(iter(ladders.values()))!r} sets a "
                f"noise rate: all arms share the noisy places, so every pair of {name!r} would be noisy. Set its "
                "noise.rate (1 keeps every change)"
            )
    ((extent, min_changed_pixels),) = ladders
    return Places(noisy_only=True, extent=extent, min_changed_pixels=min_changed_pixels)


def _resolve_control(pairing: Pairing, experiment: Experiment, dataset: DatasetReference) -> Pairing:
    if pairing.noise.rate is None or pairing.noise.control is not None:
        return pairing
    control: Literal["rerender", "masked"] = "rerender" if dataset.config.kind == "synthetic" else "masked"
    if control == "masked" and experiment.method.name not in DENSE_METHODS:
        raise ExpansionError(
            f"a noise rate on real images needs control 'masked', which {experiment.method.name} cannot do: take a "
            "dense method such as pixel_infonce"
        )
    noise = pairing.noise.model_copy(update={"control": control})
    return pairing.model_copy(update={"noise": noise})


def _check_fit(experiment: Experiment, dataset: DatasetReference) -> None:
    config, splits = dataset.config, experiment.splits
    if isinstance(config, SyntheticDataset) and not splits.official and splits.by != "random":
        raise ExpansionError(
            "synthetic scenes have neither events nor a place on a map: remove splits.test_events, and let splits.by "
            "be official or random"
        )
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
        rendered = arm.pairing is not None and arm.pairing.noise.control == "rerender"
        if rendered and not isinstance(config, SyntheticDataset):
            raise ExpansionError(f"arm {name!r}: only synthetic scenes can be rendered again; take control 'masked'")
    if isinstance(config, SyntheticDataset):
        size = config.scenes.size
        if experiment.chip_size > size:
            raise ExpansionError(f"chip_size {experiment.chip_size} is larger than the scenes ({size} pixels)")


_KINDS = {"synthetic": "synthetic scenes", "xbd": "xBD", "bitemporal": "bitemporal datasets"}


def label_schemes(config: SyntheticDataset | XbdDataset | BitemporalDataset) -> tuple[LabelScheme, ...]:
    """Returns the label schemes that a dataset can have; which of them it does have, its files say."""
    if isinstance(config, SyntheticDataset):
        return ("building", "intact_damaged", "object_states")
    if isinstance(config, XbdDataset):
        return ("building", "intact_damaged", "damage_levels")
    return ("change",) if config.manifest is None else ("change", "classes")

"""The experiment file: one question, asked of one dataset, by arms that differ in one factor."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from pairlab.experiment.commented_yaml import rewrite
from pairlab.experiment.datasets import DatasetName
from pairlab.experiment.evaluation import Evaluation
from pairlab.experiment.initial import Initial, RandomWeights
from pairlab.experiment.methods import Method, PixelInfoNCE, can_mask, in_words, needs_two_images, trains_decoder
from pairlab.experiment.model import FrozenModel
from pairlab.experiment.network import LEAST_CHIP, Network, Transfer
from pairlab.experiment.pairing import Pairing
from pairlab.experiment.problems import ExperimentError, problems_of
from pairlab.experiment.protocols import FineTuning, Labels, LinearProbe, Protocol, Splits
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.experiment.training import Pretraining
from pairlab.experiment.yaml_text import MAX_YAML_CHARACTERS, parse_yaml, write_yaml

__all__ = [
    "MAX_YAML_CHARACTERS",
    "Arm",
    "ArmName",
    "Experiment",
    "ExperimentError",
    "Seed",
    "dump_experiment",
    "load_experiment",
    "parse_yaml",
    "problems_of",
]

ArmName = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Arm(FrozenModel):
    """One configuration: pretrained with a pairing, or a baseline without pretraining."""

    pairing: Pairing | None = None
    method: Method | None = None
    """Another method than the experiment's, for arms that compare methods or losses."""
    dataset: DatasetName | None = None
    """Another dataset than the experiment's to pretrain on: scenes with other nuisance, say. Segmentation stays on the
    experiment's dataset."""
    scenes: SceneFilter | None = None
    """Other scenes than the experiment's to pretrain on; with the dataset's own splits alone."""
    initial: Initial | None = None
    """Other weights than the experiment's to start from."""
    baseline: Literal["random_initialisation", "initial_weights"] | None = None
    """What segmentation starts from without a pretraining: the random weights of the seed, or the initial weights."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.pairing is None) == (self.baseline is None):
            raise ValueError(
                "an arm has either a pairing (it is pretrained) or a baseline (random_initialisation or "
                "initial_weights)"
            )
        kept = ("initial",) * (self.baseline == "initial_weights")
        of_pretraining = [
            name
            for name in ("method", "dataset", "scenes", "initial")
            if getattr(self, name) is not None and name not in kept
        ]
        if self.baseline is not None and of_pretraining:
            raise ValueError(f"a baseline is not pretrained: remove {', '.join(of_pretraining)}")
        return self


class Experiment(FrozenModel):
    """Arms × seeds × protocols on one dataset. Form, YAML, REST, command line and trainer share this model."""

    version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")
    description: str = Field(default="", max_length=2000)
    dataset: DatasetName
    scenes: SceneFilter = SceneFilter()
    """Which scenes of the dataset take part at all: the others neither pretrain nor label nor test."""
    splits: Splits = Splits()
    chip_size: int = Field(default=64, ge=32, le=1024, multiple_of=32)
    """Height and width of a chip, pixels."""
    labels: Labels = Labels()
    method: Method = PixelInfoNCE()
    network: Network = Network()
    initial: Initial = RandomWeights()
    """The weights that pretraining starts from."""
    transfer: Transfer | None = None
    """What segmentation takes over from a pretraining; null is all that every arm has pretrained: encoder and decoder
    with dense methods, the encoder as soon as one arm's method learns from whole images. With the encoder alone the
    decoder is random again, so the linear probe takes the encoder's own features: all levels, brought to stride 4 and
    concatenated."""
    pretraining: Pretraining = Pretraining()
    transductive: bool = False
    """Pretrains on images of the validation and test splits too, whose labels stay unseen: knobs that need labels are
    refused, and every result says so."""
    arms: dict[ArmName, Arm] = Field(min_length=1, max_length=100)
    reference: ArmName
    """The arm every other arm is compared with."""
    margin: float = Field(default=1.0, gt=0.0, le=100.0)
    """δ, mIoU points: differences inside (−δ, +δ) do not matter to you. Declared before the run."""
    looks: tuple[int, ...] = (5, 10, 20)
    """Numbers of seeds at which a verdict may be read, planned before the run."""
    seeds: tuple[Seed, ...] = Field(default=(0, 1), min_length=1, max_length=1000)
    protocols: tuple[Protocol, ...] = Field(default=(LinearProbe(), FineTuning()), min_length=1)
    """Downstream protocols; the last is the primary one."""
    evaluation: Evaluation = Evaluation()

    @field_validator("arms", mode="before")
    @classmethod
    def _names_differ(cls, arms: object) -> object:
        if isinstance(arms, Mapping):
            names = [name.strip() for name in arms if isinstance(name, str)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two arms are named {twice[0]!r} (white space around a name does not count)")
        return arms

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.reference not in self.arms:
            raise ValueError(f"reference {self.reference!r} is not an arm; the arms are: {', '.join(self.arms)}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must differ, got {list(self.seeds)}")
        names = [protocol.name for protocol in self.protocols]
        if len(set(names)) != len(names):
            raise ValueError(f"protocols must differ, got {names}")
        if list(self.looks) != sorted(set(self.looks)) or any(look < 2 for look in self.looks):
            raise ValueError(f"looks must be rising numbers of seeds of at least 2, got {list(self.looks)}")
        least = LEAST_CHIP.get(self.network.decoder, 0)
        if self.chip_size < least:
            raise ValueError(
                f"decoder {self.network.decoder!r} needs chips of {least} pixels, got chip_size {self.chip_size}: "
                "raise it, or take another decoder"
            )
        for name, arm in self.arms.items():
            if arm.baseline == "initial_weights" and self.initial_of(arm).source == "random":
                raise ValueError(
                    f"arm {name!r}: baseline initial_weights needs weights to start from: set initial, for the "
                    "experiment or for this arm, or take baseline random_initialisation"
                )
            if arm.pairing is None:
                continue
            method = self.method_of(arm)
            if arm.pairing.noise.control == "masked" and not can_mask(method):
                raise ValueError(
                    f"arm {name!r}: control 'masked' excludes changed pixels from matching, which {in_words(method)} "
                    "does not do; take pixel_infonce with geometric matching or pixpro, or another control"
                )
            if needs_two_images(method) and arm.pairing.policy == "same_image":
                raise ValueError(
                    f"arm {name!r}: {in_words(method)} learns from what differs between two dates, and policy "
                    "same_image shows one image twice; take policy temporal, or another method for this arm"
                )
            scenes = arm.scenes or self.scenes
            if scenes != self.scenes and not self.splits.official:
                raise ValueError(
                    f"arm {name!r}: splits other than the dataset's own are drawn among an arm's scenes, so with "
                    "scenes of its own it could train on another arm's test scenes; remove its scenes, or let "
                    "splits.by be official"
                )
            labelled = (*arm.pairing.uses_labels, *(f"scenes.{each}" for each in scenes.uses_labels))
            if self.transductive and labelled:
                raise ValueError(
                    f"arm {name!r}: {', '.join(labelled)} needs labels, and a transductive pretraining "
                    "sees validation and test tiles, whose labels stay unseen; remove it, or set transductive: false"
                )
        return self

    @property
    def transferred(self) -> Transfer:
        """What segmentation takes over, in every arm."""
        if self.transfer is not None:
            return self.transfer
        pretrained = (arm for arm in self.arms.values() if arm.pairing is not None)
        return "encoder_decoder" if all(trains_decoder(self.method_of(arm)) for arm in pretrained) else "encoder"

    def method_of(self, arm: Arm) -> Method:
        """Returns the method that an arm is pretrained with."""
        return arm.method or self.method

    def initial_of(self, arm: Arm) -> Initial:
        """Returns the weights that an arm starts from."""
        return RandomWeights() if arm.baseline == "random_initialisation" else arm.initial or self.initial

    def factors(self, name: str) -> tuple[str, ...]:
        """Returns in what a pretrained arm differs from the reference: dataset, scenes, initial, method and pairing.

        A contrast is one factor; a difference of several cannot be put down to any of them. An arm without pretraining
        differs in none.
        """
        arm, reference = self.arms[name], self.arms[self.reference]
        if arm.pairing is None or reference.pairing is None:
            return ()
        pairs = {
            "dataset": (arm.dataset or self.dataset, reference.dataset or self.dataset),
            "scenes": (arm.scenes or self.scenes, reference.scenes or self.scenes),
            "initial": (self.initial_of(arm), self.initial_of(reference)),
            "method": (self.method_of(arm), self.method_of(reference)),
            "pairing": (arm.pairing, reference.pairing),
        }
        return tuple(factor for factor, (mine, theirs) in pairs.items() if mine != theirs)


def load_experiment(text: str) -> Experiment:
    """Returns the experiment of a YAML text; raises ExperimentError, one sentence per problem."""
    try:
        return Experiment.model_validate(parse_yaml(text))
    except ValidationError as error:
        raise ExperimentError(problems_of(error, model=Experiment)) from error


def dump_experiment(experiment: Experiment, *, commented: str | None = None) -> str:
    """Returns the experiment as YAML that loads back to an equal one.

    Args:
        experiment: what to write.
        commented: an earlier text of it, whose comments, order and notation are kept for all keys still there.

    Raises:
        ExperimentError: `commented` is no YAML mapping.
    """
    content = experiment.model_dump(mode="json", exclude_unset=True)
    return write_yaml(content) if commented is None else rewrite(commented, content, ordered="arms")

"""The experiment file: one question, asked of one dataset, by arms that differ in one factor."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from pairlab.experiment.commented_yaml import rewrite
from pairlab.experiment.datasets import DatasetName
from pairlab.experiment.methods import DENSE_METHODS, Method, Network, PixelInfoNCE, Pretraining
from pairlab.experiment.model import FrozenModel
from pairlab.experiment.pairing import Pairing
from pairlab.experiment.problems import ExperimentError, problems_of
from pairlab.experiment.protocols import FineTuning, Labels, LinearProbe, Protocol, Splits
from pairlab.experiment.scene_filter import SceneFilter
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
    baseline: Literal["random_initialisation"] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.pairing is None) == (self.baseline is None):
            raise ValueError("an arm has either a pairing (it is pretrained) or a baseline (random_initialisation)")
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
    pretraining: Pretraining = Pretraining()
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
        for name, arm in self.arms.items():
            masked = arm.pairing is not None and arm.pairing.noise.control == "masked"
            if masked and self.method.name not in DENSE_METHODS:
                raise ValueError(
                    f"arm {name!r}: control 'masked' excludes changed pixels from matching, which {self.method.name} "
                    "does not do; take a dense method (pixel_infonce) or control 'rerender'"
                )
        return self


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

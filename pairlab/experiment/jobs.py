"""The jobs an experiment becomes: the configuration of each, complete, so that equal ones are one job."""

from typing import Annotated, Literal

from pydantic import Field

from pairlab.experiment.change_scores import ChangeScore
from pairlab.experiment.datasets import DatasetConfig, DatasetName, SyntheticDataset
from pairlab.experiment.evaluation import Evaluation
from pairlab.experiment.initial import Initial, RandomWeights
from pairlab.experiment.methods import Method
from pairlab.experiment.model import FrozenModel, content_hash
from pairlab.experiment.network import Network, Transfer
from pairlab.experiment.pairing import ChangeScoreFilter, Pairing, Places
from pairlab.experiment.protocols import Labels, Protocol, Splits
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.experiment.training import Pretraining

TRAINING_CODE_VERSION = 5
"""Raised whenever the same job would give other numbers, so that old results are not taken for new ones."""


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
    evaluation: Evaluation = Evaluation()
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


def score_job(config: PretrainJob) -> ScoreJob | None:
    """Returns the job that computes the change score a pretraining filters by; None where it does not."""
    chosen = config.pairing.filter
    if not isinstance(chosen, ChangeScoreFilter):
        return None
    draw = config.seed if isinstance(config.dataset.config, SyntheticDataset) else 0
    return ScoreJob(dataset=config.dataset, draw=draw, score=chosen.score)

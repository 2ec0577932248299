"""The shipped experiment files, and small forms of them that run within seconds."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pairlab.experiment.datasets import DatasetConfig, SyntheticDataset, XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment, load_experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob
from pairlab.experiment.model import content_hash
from pairlab.experiment.registrations import registrations_of, title_of
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.job_pairs import pairs_of
from pairlab.pairing.pair import PairList
from pairlab.scenes.dataset import selected
from pairlab.scenes.index import DatasetIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import SceneSource
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.scenes.xbd import open_xbd

FOLDER = Path(__file__).parents[2] / "experiments"
TREE = XbdDataset(root="tree")


@dataclass(frozen=True)
class Question:
    """One shipped file."""

    name: str
    text: str

    @property
    def header(self) -> str:
        """The comments above its fields, without their signs."""
        lines = self.text.partition("\nversion:")[0].splitlines()
        return "\n".join(line.removeprefix("#").strip() for line in lines)

    @property
    def experiment(self) -> Experiment:
        return load_experiment(self.text)

    @property
    def of_files(self) -> bool:
        """Whether it asks of xBD."""
        return not registrations_of(self.text)

    @property
    def title(self) -> str:
        return title_of(self.text)

    def references(self, *, scale: float = 1.0) -> dict[str, DatasetReference]:
        """Returns the datasets it names, as its commands register them; of xBD, any tree.

        Args:
            scale: share of the rendered scenes.
        """
        if self.of_files:
            return {self.experiment.dataset: reference(self.experiment.dataset, TREE)}
        return {each.name: reference(each.name, _scaled(each.config, scale)) for each in registrations_of(self.text)}


def _scaled(config: SyntheticDataset, scale: float) -> SyntheticDataset:
    sizes = {name: max(1, round(getattr(config, name) * scale)) for name in ("train", "validation", "test")}
    return config.model_copy(update=sizes)


def reference(name: str, config: DatasetConfig) -> DatasetReference:
    return DatasetReference(name=name, config=config, fingerprint=content_hash(config))


EVERY = {path.stem: Question(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
READY = {name: each for name, each in EVERY.items() if name not in ("quickstart", "xbd-sample")}
RENDERED = {name: each for name, each in EVERY.items() if not each.of_files}
OF_XBD = {name: each for name, each in EVERY.items() if each.of_files}


def pretrainings(experiment: Experiment, references: Mapping[str, DatasetReference]) -> dict[str, PretrainJob]:
    """Returns the pretraining of each arm that has one, with the first seed."""
    jobs = expand(experiment, references[experiment.dataset], pretrained_on=references)
    first = experiment.seeds[0]
    return {
        arm: job.config
        for job in jobs
        if isinstance(job.config, PretrainJob)
        for arm, seed in job.uses
        if seed == first
    }


def shortened(
    experiment: Experiment, *, pairs: int, arms: Collection[str] = (), steps: int = 2, **changes: object
) -> Experiment:
    """Returns an experiment with another budget of pairs and steps, one seed, and those of its arms."""
    content: dict[str, Any] = experiment.model_dump(mode="json", exclude_unset=True)
    content["arms"] = {name: arm for name, arm in content["arms"].items() if not arms or name in arms}
    for arm in content["arms"].values():
        if "pairing" in arm:
            arm["pairing"]["pairs"] = pairs
        score = arm.get("pairing", {}).get("filter", {}).get("score", {})
        if score.get("name") == "embedding":  # its published weights are downloaded
            score |= {"encoder": "tu-resnet10t", "weights": "random"}
    content["pretraining"] |= {"steps": steps, "batch_size": 4, "warmup_steps": 1}
    content["labels"]["train_chips"] = 4
    for protocol in content["protocols"]:
        protocol |= {"steps": steps, "batch_size": 4, "evaluate_every": steps}
    content["seeds"] = [0]
    return Experiment.model_validate(content | changes)


def source_of(config: DatasetConfig, folder: Path | None, *, draw: int = 0) -> SceneSource:
    """Returns the scenes of a dataset; of xBD those below `folder`."""
    if isinstance(config, SyntheticDataset):
        return SyntheticSource(config, draw=draw)
    assert isinstance(config, XbdDataset)
    assert folder is not None
    return open_xbd(folder, damage_from=config.damage_from)


@lru_cache(maxsize=32)
def _indexed(config: str, folder: Path | None) -> DatasetIndex:
    chosen = TREE if folder is not None else SyntheticDataset.model_validate_json(config)
    return build_index(source_of(chosen, folder))


def index_of(config: DatasetConfig, folder: Path | None = None) -> DatasetIndex:
    """Returns what is known of a dataset's scenes, of the first draw; measured once."""
    return _indexed(config.model_dump_json(), folder)


def drawn(job: PretrainJob, folder: Path | None = None, *, scores: CellScores | None = None) -> PairList:
    """Returns the pairs of a job, as a worker draws them."""
    index = selected(index_of(job.dataset.config, folder), job.scenes)
    return pairs_of(job, index.chips(job.chip_size), scores=scores)


def announced(question: Question) -> tuple[int, int | None]:
    """Returns the pretrainings and, of rendered scenes, segmentations that a file's comments speak of."""
    cost = question.header.partition("Cost: ")[2].replace("\n", " ")
    found = re.match(r"(\d+) pretrainings .*?(?:and (\d+) short segmentations|$)", cost)
    assert found is not None, cost
    return int(found[1]), None if found[2] is None else int(found[2])

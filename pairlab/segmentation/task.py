"""What a job learns from and is judged by: its labelled chips and its scenes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.jobs import SegmentJob
from pairlab.experiment.protocols import Labels, TaskInput
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import IGNORE, BoolArray, Pixels, Scene, SceneSource, UInt8Array
from pairlab.scenes.splits import assign_splits
from pairlab.segmentation.errors import SegmentationError
from pairlab.segmentation.labelled_chips import labelled_chips, labelled_scenes


@dataclass(frozen=True)
class LabelledScenes:
    """Scenes as a network sees them and their labels."""

    source: SceneSource
    labels: Labels
    dates: tuple[str, ...]
    """The acquisitions that the network sees, the labelled one last."""

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.source.classes(self.labels.scheme, unclassified=self.labels.unclassified)

    def image(self, scene: Scene) -> Pixels:
        """Returns a scene as the network sees it, shape (dates, height, width, bands)."""
        return np.stack([self.source.image(scene, date) for date in self.dates])

    def target(self, scene: Scene) -> UInt8Array:
        """Returns the classes of a scene, shape (height, width), IGNORE where there is none."""
        return self.source.mask(scene, self.dates[-1], self.labels.scheme, unclassified=self.labels.unclassified)

    def present(self, scenes: Sequence[Scene]) -> BoolArray:
        """Returns which classes each scene shows, shape (scenes, classes)."""
        return np.array([class_pixels(self.target(scene), len(self.classes)) > 0 for scene in scenes], dtype=bool)


@dataclass(frozen=True)
class Task(LabelledScenes):
    """The labelled chips of a job and the scenes it is judged by."""

    images: Pixels
    """Labelled chips, shape (chips, dates, size, size, bands)."""
    targets: UInt8Array
    """Their classes, shape (chips, size, size)."""
    label_scenes: int
    """How many scenes the labelled chips are of."""
    splits: Mapping[str, tuple[Scene, ...]]
    """The scenes of validation and test."""

    @classmethod
    def prepare(cls, config: SegmentJob, source: SceneSource, index: ChipIndex) -> "Task":
        """Reads the labelled chips.

        Raises:
            SegmentationError: there are fewer labels than asked for.
        """
        assigned = assign_splits(index.scenes, config.splits)
        dates = dates_of(index.scenes[0].acquisitions, config.labels.input)
        scenes = LabelledScenes(source, config.labels, dates)
        splits = {
            split: tuple(scene for scene in index.scenes if assigned[scene.name] == split)
            for split in ("validation", "test")
        }
        train = index.of_scenes({name for name, split in assigned.items() if split == "train"})
        images, targets, count = _labelled(config, scenes, train)
        return cls(source, config.labels, dates, images, targets, count, splits)

    def facts(self) -> dict[str, Any]:
        """Returns what of the labels a run tells at its start."""
        pixels = class_pixels(self.targets, len(self.classes))
        return {
            "labelled_scenes": self.label_scenes,
            "labelled_chips": len(self.targets),
            "labelled_pixels": {name: int(count) for name, count in zip(self.classes, pixels, strict=True)},
            "dates": list(self.dates),
        }


def dates_of(acquisitions: tuple[str, ...], seen: TaskInput) -> tuple[str, ...]:
    """Returns the acquisitions that a network sees, the labelled one last."""
    if seen == "pre":
        return acquisitions[:1]
    return acquisitions[-1:] if seen == "post" else (acquisitions[0], acquisitions[-1])


def class_pixels(target: UInt8Array, classes: int) -> NDArray[np.int64]:
    """Returns how many pixels of each class there are, shape (classes,)."""
    return np.bincount(target.ravel(), minlength=IGNORE + 1)[:classes]


def _labelled(config: SegmentJob, scenes: LabelledScenes, train: ChipIndex) -> tuple[Pixels, UInt8Array, int]:
    """Returns images and classes of the labelled chips, and of how many scenes they are."""
    asked, size = config.labels.train_chips, config.chip_size
    if asked is None:
        rows = _rows_of_scenes(config, scenes, train)
    else:
        rows = labelled_chips(train, asked, seed=config.seed, spare=True)
    images: list[Pixels] = []
    targets: list[UInt8Array] = []
    seen: set[int] = set()
    for row in rows:
        scene = train.scenes[train.scene[row]]
        window = np.s_[train.y[row] : train.y[row] + size, train.x[row] : train.x[row] + size]
        target = scenes.target(scene)[window]
        if (target == IGNORE).all():
            continue  # nobody labelled it
        images.append(scenes.image(scene)[:, *window])
        targets.append(target)
        seen.add(int(train.scene[row]))
        if len(targets) == asked:
            break
    if not targets or (asked is not None and len(targets) < asked):
        raise SegmentationError(
            f"labels.train_chips asks for {asked} labelled chips; the train split has {len(targets)} with labels of "
            f"{scenes.dates[-1]}"
            if asked is not None
            else f"none of the labelled scenes has a chip of {size} pixels with data: lower chip_size, or label more"
        )
    return np.stack(images), np.stack(targets), len(seen)


def _rows_of_scenes(config: SegmentJob, scenes: LabelledScenes, train: ChipIndex) -> NDArray[np.intp]:
    """Returns the rows of all chips with data of the labelled scenes, scene by scene in the order they were drawn."""
    numbers = np.unique(train.scene[train.valid_pixels > 0])
    present = scenes.present([train.scenes[number] for number in numbers])
    labelled = np.flatnonzero(present.any(axis=1))
    share = config.labels.train_share or 0.0
    asked = config.labels.train_scenes or max(1, math.ceil(share * len(labelled) - 1e-9))  # 0.07 of 100 is 7
    if asked > len(labelled):
        raise SegmentationError(
            f"labels.train_scenes asks for {asked} labelled scenes; the train split has {len(labelled)} with labels of "
            f"{scenes.dates[-1]}"
        )
    chosen = numbers[labelled[labelled_scenes(present[labelled], asked, seed=config.seed)]]
    valid = train.valid_pixels > 0
    return np.concatenate([np.flatnonzero(valid & (train.scene == number)) for number in chosen])

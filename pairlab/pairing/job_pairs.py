"""From a pretraining's configuration to its pairs: the one way that preview, planning and trainer go."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pairlab.experiment.jobs import PretrainJob
from pairlab.experiment.protocols import Splits
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.drawing import TRAIN_SPLIT, draw_pairs
from pairlab.pairing.pair import PairList
from pairlab.pairing.refusal import PairingRefused
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import Scene
from pairlab.scenes.splits import assign_splits


def pairs_of(config: PretrainJob, index: ChipIndex, *, scores: CellScores | None = None) -> PairList:
    """Returns the pairs of a job, drawn from the train split alone, or from all where it is transductive.

    Args:
        config: the resolved job.
        index: all chips, at config.chip_size, of the scenes that take part.
        scores: the change scores that the pairing filters by, of the job's dataset and draw; needed by such a filter,
            and given to every pair where they are known.

    Raises:
        SceneError: the splits do not fit the dataset.
        PairingRefused: the data cannot meet the pairing.
    """
    pairing = config.pairing
    if config.transductive and pairing.uses_labels:
        raise PairingRefused(
            f"{', '.join(pairing.uses_labels)} needs labels, and a transductive pretraining sees validation and test "
            "tiles, whose labels stay unseen: remove it, or set transductive: false"
        )
    chips = trainable_chips(index, config.splits, transductive=config.transductive)
    return draw_pairs(
        chips,
        acquisitions=acquisitions_of(index.scenes),
        pairing=pairing,
        places=config.places,
        seed=config.seed,
        scores=scores,
        where="the dataset" if config.transductive else TRAIN_SPLIT,
    )


def trainable_chips(index: ChipIndex, splits: Splits, *, transductive: bool) -> ChipIndex:
    """Returns the chips that a pretraining may see; its scenes tell the split that each is in for the job.

    Args:
        index: all chips of the scenes that take part.
        splits: which scenes train.
        transductive: adds the chips of validation and test, of which nothing is known from labels: no object, no
            change, and every pixel's change unknown.

    Raises:
        SceneError: the splits do not fit the dataset.
    """
    if not splits.official:
        assigned = assign_splits(index.scenes, splits)
        scenes = tuple(replace(scene, split=assigned[scene.name]) for scene in index.scenes)
        index = replace(index, scenes=scenes)
    of_train = np.array([scene.split == "train" for scene in index.scenes], dtype=bool)[index.scene]
    if of_train.all():  # what this returned before is not copied again
        return index
    if not transductive:
        return index.rows(np.flatnonzero(of_train))
    nothing = np.int32(0)
    return replace(
        index,
        object_pixels=np.where(of_train, index.object_pixels, nothing),
        changed_pixels=np.where(of_train, index.changed_pixels, nothing),
        unknown_pixels=np.where(of_train, index.unknown_pixels, np.maximum(index.valid_pixels, np.int32(1))),
        objects=np.where(of_train[:, None], index.objects, nothing) if len(index.objects) else index.objects,
    )


def acquisitions_of(scenes: Sequence[Scene]) -> tuple[str, ...]:
    """Returns the acquisitions that all scenes have, in order of time; none without scenes.

    Raises:
        PairingRefused: scenes whose acquisitions differ.
    """
    if not scenes:
        return ()
    first = scenes[0]
    for scene in scenes:
        if scene.acquisitions != first.acquisitions:
            raise PairingRefused(
                f"{scene.name} has acquisitions {', '.join(scene.acquisitions)}, and {first.name} "
                f"{', '.join(first.acquisitions)}: pairs need the same names, in the same order, in every scene"
            )
    return first.acquisitions

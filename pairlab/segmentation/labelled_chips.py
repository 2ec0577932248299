"""Which labels may be learned from: of few chips, or of whole scenes."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import BoolArray
from pairlab.segmentation.errors import SegmentationError


def labelled_chips(train: ChipIndex, count: int, *, seed: int, spare: bool = False) -> NDArray[np.intp]:
    """Returns the rows of the chips whose labels may be learned from, nested: fewer chips are a part of more.

    Half of them show relevant change as far as there are such chips, then come chips with objects, then any, so that
    rare classes are not left out of small budgets.

    Args:
        train: the chips of the train split.
        count: how many.
        seed: of their order.
        spare: return all chips behind them as well, for those that turn out to have no label.

    Raises:
        SegmentationError: there are fewer chips with data.
    """
    valid = np.flatnonzero(train.valid_pixels > 0)
    if count > len(valid):
        raise SegmentationError(
            f"labels.train_chips asks for {count} labelled chips; the train split has {len(valid)} with data"
        )
    order = np.random.default_rng([seed, crc32(b"labels")]).permutation(valid)
    changed = [row for row in order if train.changed_pixels[row] > 0]
    others = [row for row in order if train.changed_pixels[row] == 0 and train.object_pixels[row] > 0]
    empty = [row for row in order if train.object_pixels[row] == 0]
    both = min(len(changed), len(others))
    alternating = [row for pair in zip(changed[:both], others[:both], strict=True) for row in pair]
    return np.array([*alternating, *changed[both:], *others[both:], *empty][: None if spare else count], dtype=np.intp)


def labelled_scenes(present: BoolArray, count: int, *, seed: int) -> list[int]:
    """Returns the scenes whose labels may be learned from, nested: fewer scenes are the first of more.

    Each next scene shows the class of which the smallest share of scenes has been taken, the rarest among equals, as in
    Sechidis et al. (2011, iterative stratification): every class comes as early as it can, and from then on at the rate
    at which the dataset has it. Among the scenes of that class the seed's order decides.

    Args:
        present: which classes (columns) each scene (row) shows; shape (scenes, classes).
        count: how many.
        seed: of their order.
    """
    order: Sequence[int] = np.random.default_rng([seed, crc32(b"label scenes")]).permutation(len(present)).tolist()
    queues = [[row for row in reversed(order) if present[row, column]] for column in range(present.shape[1])]
    totals = present.sum(axis=0)
    taken, chosen = np.zeros(present.shape[1], dtype=np.int64), dict[int, None]()
    while len(chosen) < count:
        for queue in queues:
            while queue and queue[-1] in chosen:
                queue.pop()
        left = [column for column, queue in enumerate(queues) if queue]
        column = min(left, key=lambda each: (taken[each] / totals[each], totals[each]))
        row = queues[column].pop()
        chosen[row] = None
        taken += present[row]
    return list(chosen)

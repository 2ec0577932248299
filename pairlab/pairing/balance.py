"""What the pairs of an arm show, so that arms can be compared: places, events, splits, objects and acquisitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.pairing.pair import PairList
from pairlab.scenes.scene import Scene


@dataclass(frozen=True, slots=True)
class Balance:
    """What one pass over an arm's pairs shows; a pair is two shots, its anchor and its positive."""

    pairs: int
    places: int
    """Distinct places, of anchors and positives."""
    events: dict[str, float]
    """Share of the shots, by name; these and those below add up to 1."""
    splits: dict[str, float]
    object_share: tuple[float, float, float, float]
    """Object pixels / valid pixels of the anchors' places: mean and quartiles (25, 50 and 75 %)."""
    acquisitions: dict[str, float]
    """Share of the shots, in order of time."""
    shown: tuple[int, int]
    """How many shots the place seen least and the one seen most have."""


def balance_of(pairs: PairList, scenes: Sequence[Scene], *, splits: Mapping[str, str] | None = None) -> Balance:
    """Returns what the pairs show; an empty list shows nothing.

    Args:
        pairs: of one arm and seed.
        scenes: at least those of the pairs, in any order.
        splits: scene name → split; None takes the scenes' own.
    """
    if not len(pairs):
        return Balance(0, 0, {}, {}, object_share=(0.0, 0.0, 0.0, 0.0), acquisitions={}, shown=(0, 0))
    known = {scene.name: scene for scene in scenes}
    shots = np.bincount(pairs.scene, minlength=len(pairs.scenes))
    shots += np.bincount(pairs.positive_scene, minlength=len(pairs.scenes))
    shown = {pairs.scenes[row]: int(shots[row]) for row in np.flatnonzero(shots).tolist()}
    acquisitions = np.bincount(pairs.shots[:, :, 0].ravel(), minlength=len(pairs.acquisitions))
    seen = _times_seen(pairs)
    first, median, third = np.quantile(pairs.object_share, [0.25, 0.5, 0.75]).tolist()
    return Balance(
        pairs=len(pairs),
        places=len(seen),
        events=_shares({name: known[name].event for name in shown}, shown),
        splits=_shares({name: known[name].split if splits is None else splits[name] for name in shown}, shown),
        object_share=(float(pairs.object_share.mean()), first, median, third),
        acquisitions=dict(zip(pairs.acquisitions, (acquisitions / acquisitions.sum()).tolist(), strict=True)),
        shown=(int(seen.min()), int(seen.max())),
    )


def _times_seen(pairs: PairList) -> NDArray[np.intp]:
    """Returns how many shots show each distinct place."""
    down = int(max(pairs.y.max(), pairs.positive_y.max())) + 1
    across = int(max(pairs.x.max(), pairs.positive_x.max())) + 1
    keys = np.concatenate(
        [
            (scene.astype(np.int64) * down + y) * across + x
            for scene, y, x in (
                (pairs.scene, pairs.y, pairs.x),
                (pairs.positive_scene, pairs.positive_y, pairs.positive_x),
            )
        ]
    )
    return np.asarray(np.unique(keys, return_counts=True)[1])


def _shares(kinds: Mapping[str, str], shots: Mapping[str, int]) -> dict[str, float]:
    """Returns each kind's share of the shots, by name."""
    counts: dict[str, int] = {}
    for scene, kind in kinds.items():
        counts[kind] = counts.get(kind, 0) + shots[scene]
    total = sum(counts.values())
    return {kind: counts[kind] / total for kind in sorted(counts)}

"""Synthetic scenes with some knobs turned and nothing else between the acquisitions."""

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.scenes.synthetic import SyntheticSource

STILL = {"change_rate": 0.0}
"""Without any change: what differs between the acquisitions is nuisance."""


def plain_scenes(count: int, **knobs: object) -> SyntheticSource:
    """Returns scenes of preset change-only, `count` in the train split, with knobs turned."""
    return SyntheticSource(SyntheticDataset(preset="change-only", knobs=knobs, train=count, validation=1, test=1))

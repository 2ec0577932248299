"""The label schemes of each kind of dataset."""

from pairlab.experiment.datasets import BitemporalDataset, SyntheticDataset, XbdDataset
from pairlab.experiment.protocols import LabelScheme


def label_schemes(config: SyntheticDataset | XbdDataset | BitemporalDataset) -> tuple[LabelScheme, ...]:
    """Returns the label schemes that a dataset can have; which of them it does have, its files say."""
    if isinstance(config, SyntheticDataset):
        return ("building", "intact_damaged", "object_states")
    if isinstance(config, XbdDataset):
        return ("building", "intact_damaged", "damage_levels")
    return ("change",) if config.manifest is None else ("change", "classes")

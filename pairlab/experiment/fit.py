"""Whether an experiment fits its datasets, and the control of noise that fits one."""

from collections.abc import Mapping

from pairlab.experiment.datasets import DatasetConfig, SyntheticDataset
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference
from pairlab.experiment.label_schemes import label_schemes
from pairlab.experiment.methods import Method, can_mask, in_words
from pairlab.experiment.pairing import ControlName, Pairing
from pairlab.experiment.protocols import Splits

_KINDS = {"synthetic": "synthetic scenes", "xbd": "xBD", "bitemporal": "bitemporal datasets"}


class ExpansionError(ValueError):
    """An experiment that does not fit its dataset; the message says which value and what to do."""


def check_fit(experiment: Experiment, datasets: Mapping[str, DatasetReference]) -> None:
    """Raises ExpansionError where an experiment does not fit its datasets, given by name."""
    config, splits = datasets[experiment.dataset].config, experiment.splits
    _check_splits(config, splits)
    if isinstance(config, SyntheticDataset) and splits.by == "random" and config.scenes.label_noise > 0:
        raise ExpansionError(
            f"the dataset's train split has noisy labels (label_noise {config.scenes.label_noise:g}), and splits.by "
            "'random' would test on some of them: let splits.by be official"
        )
    schemes = label_schemes(config)
    if experiment.labels.scheme not in schemes:
        raise ExpansionError(
            f"labels.scheme {experiment.labels.scheme!r} does not exist for {_KINDS[config.kind]}: take "
            f"{' or '.join(schemes)}"
        )
    for name, arm in experiment.arms.items():
        if arm.pairing is None:
            continue
        found = datasets.get(arm.dataset or experiment.dataset)
        if found is None:
            raise ExpansionError(f"arm {name!r}: there is no dataset {arm.dataset!r}; register it first")
        try:
            _check_splits(found.config, splits)
            resolve_control(arm.pairing, found, experiment.method_of(arm))
        except ExpansionError as error:
            raise ExpansionError(f"arm {name!r}: {error}") from error
        if isinstance(found.config, SyntheticDataset) and experiment.chip_size > found.config.scenes.size:
            size = found.config.scenes.size
            raise ExpansionError(
                f"chip_size {experiment.chip_size} is larger than the scenes of {found.name!r} ({size} pixels)"
            )
    if isinstance(config, SyntheticDataset) and experiment.chip_size > config.scenes.size:
        raise ExpansionError(
            f"chip_size {experiment.chip_size} is larger than the scenes ({config.scenes.size} pixels)"
        )


def _check_splits(config: DatasetConfig, splits: Splits) -> None:
    if isinstance(config, SyntheticDataset) and not splits.official and splits.by != "random":
        raise ExpansionError(
            "synthetic scenes have neither events nor a place on a map: remove splits.test_events, and let splits.by "
            "be official or random"
        )


def resolve_control(pairing: Pairing, dataset: DatasetReference, method: Method) -> Pairing:
    """Returns the pairing with the control that fits the dataset where a rate is set and none is named.

    Raises:
        ExpansionError: the named one, or every one that could be taken by itself, does not fit.
    """
    synthetic = isinstance(dataset.config, SyntheticDataset)
    if pairing.noise.control == "rerender" and not synthetic:
        raise ExpansionError(
            "noise.control: only synthetic scenes can be rendered again; take control 'masked', 'same_acquisition' or "
            "'replace'"
        )
    if pairing.noise.rate is None or pairing.noise.control is not None:
        return pairing
    control: ControlName = "rerender" if synthetic else "masked"
    if control == "masked" and not can_mask(method):
        raise ExpansionError(
            f"a noise rate on real images takes control 'masked' by itself, which needs pixel_infonce with geometric "
            f"matching or pixpro (found {in_words(method)}): take that, or name control 'same_acquisition' or 'replace'"
        )
    noise = pairing.noise.model_copy(update={"control": control})
    return pairing.model_copy(update={"noise": noise})

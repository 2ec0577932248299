"""The network that every protocol starts from."""

from typing import Any

from pairlab.checkpoint import SavedFile, load_weights
from pairlab.experiment.jobs import SegmentJob
from pairlab.experiment.network import Transfer
from pairlab.initial_weights import load_encoder, load_initial
from pairlab.networks import DenseNetwork, build_network


def starting_network(
    config: SegmentJob, bands: int, weights: SavedFile | None, initial: SavedFile | None
) -> tuple[DenseNetwork, dict[str, Any]]:
    """Returns the network as a protocol starts with it, and what was loaded.

    Args:
        config: the job.
        bands: of its images.
        weights: the pretraining's; None starts from `config.initial`.
        initial: the file that `config.initial` names, where it names one.

    Raises:
        NetworkError, CheckpointError, InitialWeightsError: there is no such network, or the weights do not fit it.
    """
    network = build_network(config.network, seed=config.seed, bands=bands, size=config.chip_size)
    if weights is None:
        part: Transfer | None = "encoder" if config.transfer == "encoder" else None
        return network, load_initial(config.initial, network, file=initial, part=part)
    if config.transfer == "encoder":
        load_encoder(network, weights, said="pretraining it starts from")
    else:
        load_weights(weights.path, network, sha256=weights.sha256)
    return network, {"transfer": config.transfer}

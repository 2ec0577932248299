"""From a method's configuration to its heads and loss."""

import torch

from pairlab.experiment.methods import (
    BYOL,
    BarlowTwins,
    DenseCL,
    Method,
    MoCo,
    PixelInfoNCE,
    PixPro,
    SeCo,
    SimCLR,
    SimSiam,
    VICReg,
    VICRegL,
)
from pairlab.networks import DenseNetwork, Learner, MapAndLevels, PooledLevels
from pairlab.objectives.barlow_twins import BarlowTwinsObjective
from pairlab.objectives.byol import BYOLObjective
from pairlab.objectives.densecl import DenseCLObjective
from pairlab.objectives.moco import MoCoObjective
from pairlab.objectives.objective import Objective
from pairlab.objectives.pixel_infonce import PixelInfoNCEObjective
from pairlab.objectives.pixpro import PixProObjective
from pairlab.objectives.seco import SeCoObjective
from pairlab.objectives.simclr import SimCLRObjective
from pairlab.objectives.simsiam import SimSiamObjective
from pairlab.objectives.vicreg import VICRegObjective
from pairlab.objectives.vicregl import VICRegLObjective


def build_learner(config: Method, network: DenseNetwork, *, size: int) -> Learner:
    """Returns what images go through on their way to the method, which is made of the network's own modules.

    Args:
        config: the method.
        network: what is pretrained.
        size: height and width of views, pixels.
    """
    match config:
        case DenseCL() | VICRegL():
            return MapAndLevels(network, size=size)
        case PixelInfoNCE() | PixPro():
            return network
        case _:
            return PooledLevels(network, size=size)


def build_objective(config: Method, network: Learner, *, seed: int) -> Objective:
    """Returns the method's heads and loss for what it learns from, the heads with the random weights of a seed.

    Args:
        config: the method.
        network: what images go through in `Objective.loss`, of `build_learner`.
        seed: of the heads.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(network, MapAndLevels):
            match config:
                case DenseCL():
                    return DenseCLObjective(config, network)
                case VICRegL():
                    return VICRegLObjective(config, network)
            raise NotImplementedError(f"{config.name} on {type(network).__name__}")
        match config:
            case PixelInfoNCE():
                return PixelInfoNCEObjective(config, network.channels)
            case PixPro():
                return PixProObjective(config, network)
            case SimCLR():
                return SimCLRObjective(config, network.channels)
            case MoCo():
                return MoCoObjective(config, network)
            case BYOL():
                return BYOLObjective(config, network)
            case SimSiam():
                return SimSiamObjective(config, network.channels)
            case VICReg():
                return VICRegObjective(config, network.channels)
            case BarlowTwins():
                return BarlowTwinsObjective(config, network.channels)
            case SeCo():
                return SeCoObjective(config, network)
    raise NotImplementedError(f"{config.name} on {type(network).__name__}")

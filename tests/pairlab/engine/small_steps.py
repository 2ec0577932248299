"""A small network with batch norm and one real step of each method, for proofs of how images go through networks."""

from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from pairlab.experiment.methods import DenseCL, Method, VICRegL
from pairlab.experiment.training import Pretraining
from pairlab.networks import MapAndLevels
from pairlab.objectives.building import build_objective
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch, PairBatches
from tests.pairlab.views.known_geometry import CoordinateScenes, pair_list

SOURCE = CoordinateScenes()
PAIRS = 9
SIZE = 32
METHODS: dict[str, dict[str, Any]] = {
    "pixel_infonce": {"points_per_pair": 8, "embedding_dim": 8},
    "simclr": {"hidden_dim": 16, "embedding_dim": 8},
    "moco": {"hidden_dim": 16, "embedding_dim": 8, "queue_size": 16},
    "byol": {"hidden_dim": 16, "embedding_dim": 8},
    "simsiam": {"embedding_dim": 16, "predictor_dim": 8},
    "vicreg": {"hidden_dim": 16, "embedding_dim": 8},
    "barlow_twins": {"hidden_dim": 16, "embedding_dim": 8},
    "densecl": {"hidden_dim": 16, "embedding_dim": 8, "queue_size": 16, "place_steps": 0},
    "pixpro": {"hidden_dim": 16, "embedding_dim": 8},
    "vicregl": {"hidden_dim": 16, "embedding_dim": 8, "local_dim": 8},
    "seco": {"hidden_dim": 16, "embedding_dim": 8, "queue_size": 16},
}
_METHOD: TypeAdapter[Method] = TypeAdapter(Method)


class SmallNetwork(nn.Module):
    """Two convolutions with batch norm: images → features at a quarter of their size."""

    channels = 6

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 5, 3, stride=2, padding=1),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.Conv2d(5, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
        )

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features


class SmallEncoder(nn.Module):
    """The image and two levels, with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.BatchNorm2d(5), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(5, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6))

    def forward(self, images: Tensor) -> list[Tensor]:
        level = self.first(images)
        return [images, level, self.second(level)]


class SmallDecoded(nn.Module):
    """An encoder of two levels, and a convolution as its decoder."""

    bands, stride, channels = 3, 4, 7

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = SmallEncoder(), nn.Conv2d(6, 7, 3, padding=1)

    def decoded(self, encoded: list[Tensor]) -> Tensor:
        features: Tensor = self.decoder(encoded[-1])
        return features


def built(name: str) -> tuple[nn.Module, Objective]:
    """Returns what images go through and the objective of a method in float64, always with the same weights."""
    method = _METHOD.validate_python({"name": name, **METHODS[name]})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = (
            MapAndLevels(SmallDecoded(), size=SIZE)  # type: ignore[arg-type]
            if isinstance(method, DenseCL | VICRegL)
            else SmallNetwork()
        ).double()
    return network, build_objective(method, network, seed=0).double()  # type: ignore[arg-type]


def step_of(objective: Objective) -> tuple[Tensor, PairBatch]:
    """Returns the views (float64) and the batch of a step, as the method wants them."""
    pairs = pair_list(SOURCE.scenes, size=SIZE, count=PAIRS)
    batches = PairBatches(
        SOURCE,
        pairs,
        Pretraining(batch_size=PAIRS),
        seed=0,
        grid=SIZE // objective.grid_stride,
        points=objective.points,
        cells=objective.cells,
        reach=objective.reach,
    )
    generator = torch.Generator().manual_seed(2)
    blocks = 4 if objective.crossed else 2
    return torch.randn(blocks * PAIRS, 3, SIZE, SIZE, generator=generator, dtype=torch.float64), batches.batch(0)


def outcome(network: nn.Module, objective: Objective, loss: Tensor) -> dict[str, Tensor]:
    """Returns, by name, the loss, all gradients, and all that a step leaves in network and objective."""
    both = nn.ModuleDict({"network": network, "objective": objective})
    gradients = {f"gradient of {name}": each.grad for name, each in both.named_parameters() if each.grad is not None}
    assert objective.compared is not None
    objective.after_step(network, step=0, total=10)
    compared = {f"compared {place}": each for place, each in enumerate(objective.compared)}
    return {"loss": loss.detach(), **gradients, **compared, **both.state_dict()}

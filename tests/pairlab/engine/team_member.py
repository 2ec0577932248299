"""One of two processes that take a step of every method together, and write down what came of it."""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import distributed

from pairlab.engine.parts import Parts
from pairlab.engine.shares import Shares
from pairlab.engine.team import Team
from tests.pairlab.engine.small_steps import METHODS, PAIRS, built, outcome, step_of

SIZE, PARTS = 2, 4


def take_steps(rank: int, folder: Path) -> None:
    """Is what each process does."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=SIZE)
    team = Team(rank, SIZE)
    found: dict[str, object] = {"agreed": [team.agreed(wish) for wish in (False, rank == 1, rank == 0, True)]}
    found["joined"] = team.joined(torch.full((3 - rank, 2), float(rank)), (3, 2))
    whole, halves = torch.tensor([[1, 2], [3, rank]]), torch.tensor([1.0 + rank])
    team.add_up([whole, halves])
    found["sums"] = whole, halves
    mean = torch.tensor([1.0 + rank])
    team.add_up([mean], mean=True)
    found["mean"] = mean
    shares = Shares(PAIRS, PARTS, SIZE)
    for name in METHODS:
        network, objective = built(name)
        views, batch = step_of(objective)
        own = torch.cat([block[shares.pairs_of(rank)] for block in views.chunk(len(views) // PAIRS)])
        passes = Parts(network, shares, team, heads=objective, context=nullcontext, key=(0, 0))
        loss = objective.loss(passes, own, batch)
        passes.backward(loss)
        found[name] = outcome(network, objective, loss)
    torch.save(found, folder / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    take_steps(int(sys.argv[1]), Path(sys.argv[2]))

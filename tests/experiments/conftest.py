from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.pairlab.scenes.xbd_tree import EVENTS, rectangle, write_tile, write_xbd_tree

SIZE = 384


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of tiny networks wait for each other longer than they compute, where other work runs beside them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def invented_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of invented xBD tiles in all four splits; four of them stand undamaged."""
    folder = tmp_path_factory.mktemp("xbd")
    splits = {"train": 9, "tier3": 9, "hold": 3, "test": 3}
    names = write_xbd_tree(folder, seed=3, scenes_per_split=splits, size=SIZE, buildings=24)
    rng = np.random.default_rng(4)
    for number in range(len(names), len(names) + 4):
        corners = [(x, y) for x in range(16, SIZE - 40, 60) for y in range(16, SIZE - 40, 60)]
        standing = [("no-damage", rectangle(x, y, 30, 24), rectangle(x, y, 30, 24)) for x, y in corners]
        name = f"{EVENTS[number % 2]}_{number:08d}"
        write_tile(folder / "train", name, rng=rng, size=SIZE, outlines=standing)
    return folder

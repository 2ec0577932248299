"""Two real processes against one: what they say to each other, and a step of every method."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from pairlab.engine.parts import Parts
from pairlab.engine.shares import Shares
from pairlab.engine.team import ALONE, Team
from tests.pairlab.engine.small_steps import METHODS, PAIRS, built, outcome, step_of
from tests.pairlab.engine.team_member import PARTS, SIZE

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What both processes have written down."""
    folder = tmp_path_factory.mktemp("team")
    command = [sys.executable, "-m", "tests.pairlab.engine.team_member"]
    members = [subprocess.Popen([*command, str(rank), str(folder)], cwd=ROOT) for rank in range(SIZE)]
    try:
        assert [member.wait(300) for member in members] == [0] * SIZE
    finally:
        for member in members:
            member.kill()
    return [torch.load(folder / f"{rank}.pt") for rank in range(SIZE)]


def test_processes_agree_join_rows_and_add_up(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert each["agreed"] == [False, True, True, True]
        assert each["joined"].tolist() == [[0.0, 0.0]] * 3 + [[1.0, 1.0]] * 2
        assert [total.tolist() for total in each["sums"]] == [[[2, 4], [6, 1]], [3.0]]
        assert each["mean"].tolist() == [1.5]


def test_one_alone_says_nothing_to_anybody() -> None:
    rows = torch.ones(2, 3)
    assert (ALONE.agreed(True), ALONE.agreed(False), ALONE.leads, Team(1, 2).leads) == (True, False, True, False)
    assert torch.equal(ALONE.joined(rows, [2]), rows)
    ALONE.add_up([rows], mean=True)
    assert torch.equal(rows, torch.ones(2, 3))


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_take_the_step_of_one(name: str, found: list[dict[str, Any]]) -> None:
    network, objective = built(name)
    views, batch = step_of(objective)
    passes = Parts(network, Shares(PAIRS, PARTS), ALONE, heads=objective, context=nullcontext, key=(0, 0))
    loss = objective.loss(passes, views, batch)
    passes.backward(loss)
    expected = outcome(network, objective, loss)
    first, second = (each[name] for each in found)
    assert first.keys() == second.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(first[key], value, rtol=1e-10, atol=1e-10, msg=key)
        assert torch.equal(first[key], second[key]), key  # nothing lets the processes drift apart

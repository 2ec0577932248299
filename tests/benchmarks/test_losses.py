import json
import subprocess
import sys

import pytest
import torch

from benchmarks.loss_cases import LossCase, loss_cases
from benchmarks.losses import peak_bytes

SMALL = {case.name: case for case in loss_cases(quick=True)}
METHODS = {"pixel_infonce", "simclr", "moco", "byol", "simsiam", "vicreg", "barlow_twins", "seco"}
DENSE = {"densecl", "pixpro", "vicregl"}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_both_sides_of_a_row_compute_one_loss(name: str) -> None:
    case = SMALL[name]
    inputs = case.inputs()
    ours, peer = case.ours(inputs), case.peer(inputs)
    if name == "byol":  # lightly has −½ (cos + cos), and |p̄ − t̄|² = 2 − 2 cos
        peer = 4 + 4 * peer
    torch.testing.assert_close(ours, peer, rtol=1e-4, atol=1e-5)


def test_every_method_has_a_row_and_the_dense_ones_one_at_56() -> None:
    names = {case.name for case in loss_cases(quick=False)}
    assert names == METHODS | {f"{name}_{side}" for name in DENSE for side in (14, 56)}
    assert all(case.shapes[0][1] == 56 * 56 for case in loss_cases(quick=False) if case.name.endswith("_56"))


def test_peak_memory_is_that_of_what_lives_at_once() -> None:
    rows = torch.randn(1000, 250, requires_grad=True)  # 1 MB
    # Forward: the square and the product, 2 MB, and the sum; backward: at most two more of them with the gradient.
    taken = peak_bytes(lambda given: (given[0].square() * 2.0).sum(), [rows], [rows])
    assert 2_000_000 <= taken <= 4_100_000


def test_the_short_form_prints_two_rows_per_loss() -> None:
    command = [sys.executable, "-m", "benchmarks.losses", "--quick", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    rows = {row["metric"]: row for row in json.loads(answer.stdout)["rows"]}
    assert rows.keys() == {f"{name}_{what}" for name in SMALL for what in ("speed", "peak_memory")}
    assert all(row["value"] > 0 for row in rows.values())
    assert (rows["simclr_speed"]["bar"], rows["simclr_peak_memory"]["at_least"]) == (0.95, False)


def test_inputs_are_the_same_each_time() -> None:
    case: LossCase = SMALL["moco"]
    first, second = case.inputs(), case.inputs()
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert [each.requires_grad for each in first] == [True, False, False]

import doctest
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.models.utils import select_most_similar

from pairlab.losses import feature_matching
from pairlab.losses.feature_matching import most_alike, nearest


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=40)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 6),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_trying_every_cell(batch: int, channels: int, height: int, width: int, seed: int) -> None:
    a, b = features(batch, channels, height, width, seed=seed), features(batch, channels, height, width, seed=seed + 1)
    cells = torch.randint(height * width, (batch, 7), generator=torch.Generator().manual_seed(seed))
    found = most_alike(a, b, cells)
    assert found.shape == (batch, 7)

    def cosine(u: list[float], v: list[float]) -> float:
        return sum(x * y for x, y in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))

    for image in range(batch):
        for cell, chosen in zip(cells[image].tolist(), found[image].tolist(), strict=True):
            row = a[image, :, cell // width, cell % width].double().tolist()
            cosines = [cosine(row, b[image, :, y, x].double().tolist()) for y in range(height) for x in range(width)]
            assert cosines[chosen] == pytest.approx(max(cosines), abs=1e-6)


def test_agrees_with_lightly() -> None:
    a, b = features(4, 32, 6, 6), features(4, 32, 6, 6, seed=1)
    numbers = torch.arange(36).reshape(1, 36, 1).expand(4, -1, -1)
    reference = select_most_similar(a.flatten(2).transpose(1, 2), b.flatten(2).transpose(1, 2), numbers)
    assert torch.equal(most_alike(a, b, torch.arange(36).repeat(4, 1)), reference[:, :, 0])


def test_lengths_do_not_matter() -> None:
    a, b = features(2, 8, 4, 4), features(2, 8, 4, 4, seed=1)
    cells = torch.arange(16).repeat(2, 1)
    lengths = torch.linspace(0.1, 10, 16).reshape(1, 1, 4, 4)
    assert torch.equal(most_alike(a, b, cells), most_alike(a * lengths.flip(3), b * lengths, cells))


def test_finds_where_every_cell_went() -> None:
    a = features(3, 16, 4, 4)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    b = a.flatten(2)[:, :, order].reshape(a.shape)
    cells = torch.arange(16).repeat(3, 1)
    assert torch.equal(order[most_alike(a, b, cells)], cells)


def test_no_gradient_passes_through_the_choice() -> None:
    a, b = (features(2, 8, 4, 4, seed=seed).requires_grad_() for seed in (0, 1))
    chosen = most_alike(a, b, torch.arange(16).repeat(2, 1))
    assert not chosen.requires_grad
    assert chosen.dtype == torch.int64


def test_autocast_does_not_lower_the_precision() -> None:
    # Two candidates whose cosines differ by less than bf16 tells apart.
    a = torch.zeros(1, 2, 1, 2)
    a[0, :, 0, 0] = torch.tensor([1.0, 0.0])
    b = torch.zeros(1, 2, 1, 2)
    b[0, :, 0, 0], b[0, :, 0, 1] = torch.tensor([1.0, 0.02]), torch.tensor([1.0, 0.01])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert most_alike(a, b, torch.tensor([[0]])).tolist() == [[1]]


def test_features_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"one shape \(B, C, H, W\), found \(1, 2, 3, 3\) and \(1, 2, 4, 4\)"):
        most_alike(torch.ones(1, 2, 3, 3), torch.ones(1, 2, 4, 4), torch.tensor([[0]]))
    with pytest.raises(ValueError, match=r"cells must lie in \[0, 9\)"):
        most_alike(torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3, 3), torch.tensor([[9]]))


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(feature_matching)
    assert tried
    assert not failed


@pytest.mark.parametrize("at_once", [1, 40, 300, 10_000])
def test_memory_is_bounded_and_changes_nothing(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(3, 8, 4, 4), features(3, 8, 4, 4, seed=1)
    cells = torch.arange(16).repeat(3, 1)
    rows_a, rows_b = (each.flatten(2).transpose(1, 2) for each in (a, b))
    expected = most_alike(a, b, cells), *nearest(rows_a, rows_b)
    monkeypatch.setattr(feature_matching, "COMPARED_AT_ONCE", at_once)
    found = most_alike(a, b, cells), *nearest(rows_a, rows_b)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    torch.testing.assert_close(found[2], expected[2])
    compared = [(i.stop - i.start) * (r.stop - r.start) * 16 for i, r in feature_matching.parts(3, 16, 16)]
    assert max(compared) <= max(at_once, 16)  # one row is always compared with all others
    covered = torch.zeros(3, 16, dtype=torch.int64)
    for part in feature_matching.parts(3, 16, 16):
        covered[part] += 1
    assert (covered == 1).all()


def test_the_nearest_agrees_with_torchs_distances() -> None:
    a, b = features(3, 20, 5), features(3, 14, 5, seed=1)
    chosen, squared = nearest(a, b)
    distances = torch.cdist(a, b)
    torch.testing.assert_close(squared.sqrt(), distances.min(dim=2).values)
    torch.testing.assert_close(distances.gather(2, chosen.unsqueeze(2))[:, :, 0], distances.min(dim=2).values)
    assert not nearest(a.requires_grad_(), b)[1].requires_grad


def test_the_cells_of_56_by_56_grids_are_compared() -> None:
    a = features(2, 4, 56, 56)
    order = torch.randperm(56 * 56, generator=torch.Generator().manual_seed(0))
    b = a.flatten(2)[:, :, order].reshape(a.shape)
    every = torch.arange(56 * 56).repeat(2, 1)
    assert torch.equal(order[most_alike(a, b, every)], every)
    chosen, squared = nearest(a.flatten(2).transpose(1, 2), b.flatten(2).transpose(1, 2))
    assert torch.equal(order[chosen], every)
    assert squared.max() == 0

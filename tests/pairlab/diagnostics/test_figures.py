import math

import pytest
import torch

from pairlab.diagnostics.collapse import effective_rank, relative_deviation
from pairlab.diagnostics.figures import MOST_ROWS, embedding_figures, feature_figures, some_rows
from pairlab.diagnostics.watched_passes import WatchedPasses
from pairlab.engine.passes import WholeBatch

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.randn(24, 10, generator=GENERATOR)
KEYS = {"deviation", "raw_deviation", "effective_rank", "rank_share", "alignment", "uniformity"}


def test_each_side_is_measured_by_itself() -> None:
    there = ROWS + 100  # a momentum copy's embeddings may lie anywhere
    found = embedding_figures(ROWS, there)
    assert found.keys() == {f"embeddings/{key}" for key in KEYS}
    expected = (relative_deviation(ROWS) + relative_deviation(there)) / 2
    assert found["embeddings/deviation"] == pytest.approx(expected, rel=1e-6)
    rank = (effective_rank(ROWS) + effective_rank(there)) / 2
    assert found["embeddings/effective_rank"] == pytest.approx(rank, rel=1e-6)
    assert found["embeddings/rank_share"] == pytest.approx(rank / 10, rel=1e-6)


def test_the_share_of_a_rank_is_of_what_so_few_rows_can_have() -> None:
    found = embedding_figures(torch.eye(4, 64), torch.eye(4, 64))
    assert found["embeddings/rank_share"] == pytest.approx(1.0, rel=1e-4)


def test_what_tells_nothing_gives_no_figures() -> None:
    assert embedding_figures(ROWS[:1], ROWS[:1]) == {}
    assert embedding_figures(ROWS, ROWS[:-1]) == {}
    assert embedding_figures(ROWS, torch.full_like(ROWS, math.nan)) == {}
    assert feature_figures(ROWS[:1]) == {}
    assert feature_figures(torch.full_like(ROWS, math.inf)) == {}


def test_figures_take_neither_gradients_nor_random_numbers() -> None:
    rows = ROWS.clone().requires_grad_()
    state = torch.get_rng_state()
    embedding_figures(rows, rows)
    feature_figures(rows)
    assert torch.equal(torch.get_rng_state(), state)
    assert rows.grad is None


def test_many_rows_are_thinned_evenly_and_equally_each_time() -> None:
    rows = torch.arange(10_001, dtype=torch.float32)[:, None]
    chosen = some_rows(rows)
    assert len(chosen) == MOST_ROWS
    assert (float(chosen[0, 0]), float(chosen[-1, 0])) == (0.0, 10_000.0)
    gaps = chosen.diff(dim=0)
    assert gaps.max() - gaps.min() <= 1
    assert torch.equal(chosen, some_rows(rows))
    assert torch.equal(some_rows(rows[:MOST_ROWS]), rows[:MOST_ROWS])


def test_the_rank_of_features_is_that_of_what_differs_between_images() -> None:
    differing = torch.zeros(40, 16)
    differing[::2, 3], differing[1::2, 3] = 1.0, -1.0
    found = feature_figures(differing + 50)
    assert found["features/effective_rank"] == pytest.approx(1.0, rel=1e-3)
    assert found["features/rank_share"] == pytest.approx(1 / 16, rel=1e-3)


def test_watched_passes_keep_pooled_features_and_change_nothing() -> None:
    network = torch.nn.Conv2d(3, 5, 1)
    images = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    watched = WatchedPasses(WholeBatch(network))
    assert watched.pooled is None
    first, second = watched(images[:1]), watched(images[1:])
    features = torch.cat([first, second])
    assert torch.equal(features, torch.cat([network(images[:1]), network(images[1:])]))
    assert watched.pooled is not None
    assert torch.allclose(watched.pooled, features.mean(dim=(2, 3)))
    assert not watched.pooled.requires_grad
    assert torch.equal(watched.frozen(network, images), network(images))
    watched.backward(features.sum())
    assert network.weight.grad is not None
    assert network.weight.grad.abs().sum() > 0

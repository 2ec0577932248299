import doctest
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pairlab.losses.pixel_infonce as module
from pairlab.losses.pixel_infonce import NothingToMatch, gather_points, pixel_infonce


def points(count: int, dim: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator), torch.randn(count, dim, generator=generator)


def transcription(
    points_a: torch.Tensor, points_b: torch.Tensor, temperature: float, weights: list[float] | None = None
) -> float:
    """The equation, term by term in Python floats."""
    shares = [1.0] * len(points_a) if weights is None else weights

    def cosine(u: list[float], v: list[float]) -> float:
        return sum(x * y for x, y in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))

    def one_way(anchors: list[list[float]], others: list[list[float]]) -> float:
        total = 0.0
        for i, anchor in enumerate(anchors):
            terms = [math.exp(cosine(anchor, other) / temperature) for other in others]
            total -= shares[i] * math.log(terms[i] / sum(terms))
        return total / sum(shares)

    a, b = points_a.double().tolist(), points_b.double().tolist()
    return (one_way(a, b) + one_way(b, a)) / 2


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(2, 20),
    dim=st.integers(1, 12),
    temperature=st.floats(0.05, 5.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_the_equation_written_out(count: int, dim: int, temperature: float, seed: int) -> None:
    a, b = points(count, dim, seed)
    loss = pixel_infonce(a, b, temperature=temperature)
    assert loss.item() == pytest.approx(transcription(a, b, temperature), abs=1e-5)


def test_three_points_by_hand() -> None:
    a = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    b = torch.tensor([[1.0, 0.0], [0.0, 5.0], [0.0, 1.0]])
    # Cosines: [[1, 0, 0], [0, 1, 1], [-1, 0, 0]]; τ = 1.
    a_to_b = [math.log(math.e + 2) - 1, math.log(1 + 2 * math.e) - 1, math.log(1 / math.e + 2)]
    b_to_a = [math.log(math.e + 1 + 1 / math.e) - 1, math.log(2 + math.e) - 1, math.log(2 + math.e)]
    assert pixel_infonce(a, b, temperature=1.0).item() == pytest.approx((sum(a_to_b) + sum(b_to_a)) / 6, abs=1e-6)


def test_indistinct_points_cost_the_logarithm_of_their_number() -> None:
    same = torch.ones(7, 3)
    assert pixel_infonce(same, same, temperature=0.2).item() == pytest.approx(math.log(7), abs=1e-6)


def test_neither_the_order_of_points_nor_of_views_matters() -> None:
    a, b = points(24, 8)
    loss = pixel_infonce(a, b, temperature=0.2)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(pixel_infonce(a[order], b[order], temperature=0.2), loss)
    torch.testing.assert_close(pixel_infonce(b, a, temperature=0.2), loss)


def test_lengths_and_rotations_do_not_matter() -> None:
    a, b = points(9, 4)
    loss = pixel_infonce(a, b, temperature=0.2)
    rotation = torch.linalg.qr(points(4, 4, seed=2)[0]).Q
    lengths = torch.linspace(0.5, 50, 9).unsqueeze(1)
    torch.testing.assert_close(pixel_infonce(a * lengths, b / lengths, temperature=0.2), loss)
    torch.testing.assert_close(pixel_infonce(a @ rotation, b @ rotation, temperature=0.2), loss)


def test_matched_points_score_lower_than_mismatched_ones() -> None:
    a, _ = points(16, 8)
    assert pixel_infonce(a, a, temperature=0.2) < pixel_infonce(a, a.roll(1, dims=0), temperature=0.2)


@settings(deadline=None, max_examples=40)
@given(mask=st.lists(st.booleans(), min_size=2, max_size=16).filter(lambda mask: sum(mask) >= 2))
def test_invalid_points_are_as_if_never_given(mask: list[bool]) -> None:
    a, b = points(len(mask), 5)
    valid = torch.tensor(mask)
    expected = pixel_infonce(a[valid], b[valid], temperature=0.2)
    a[~valid], b[~valid] = math.nan, math.inf
    torch.testing.assert_close(pixel_infonce(a, b, temperature=0.2, valid=valid), expected, atol=0, rtol=0)


def test_no_gradient_comes_from_invalid_points() -> None:
    a, b = (p.requires_grad_() for p in points(6, 4))
    valid = torch.tensor([True, False, True, True, False, True])
    torch.autograd.backward(pixel_infonce(a, b, temperature=0.2, valid=valid))
    for side in (a, b):
        assert side.grad is not None
        assert ((side.grad.abs().sum(dim=1) > 0) == valid).all()


def test_gradients_are_those_of_the_formula() -> None:
    a, b = (p.double().requires_grad_() for p in points(5, 3))
    assert torch.autograd.gradcheck(lambda x, y: pixel_infonce(x, y, temperature=0.5), (a, b))


def test_autocast_does_not_lower_the_precision() -> None:
    a, b = points(64, 16)
    expected = pixel_infonce(a, b, temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pixel_infonce(a, b, temperature=0.1)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_half_precision_points_give_a_float32_loss() -> None:
    a, b = (p.bfloat16() for p in points(8, 16))
    loss = pixel_infonce(a, b, temperature=0.1)
    torch.testing.assert_close(loss, pixel_infonce(a.float(), b.float(), temperature=0.1))


@settings(deadline=None, max_examples=60)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=2, max_size=12).filter(any),
    temperature=st.floats(0.05, 5.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_weights_are_those_of_the_equation(weights: list[float], temperature: float, seed: int) -> None:
    a, b = points(len(weights), 5, seed)
    loss = pixel_infonce(a, b, temperature=temperature, weights=torch.tensor(weights))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(transcription(a, b, temperature, weights), abs=1e-5)


def test_three_weighted_points_by_hand() -> None:
    a = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    b = torch.tensor([[1.0, 0.0], [0.0, 5.0], [0.0, 1.0]])
    # As above, the second point counting half of the first and the third nothing: it stays in every denominator.
    a_to_b = [math.log(math.e + 2) - 1, math.log(1 + 2 * math.e) - 1]
    b_to_a = [math.log(math.e + 1 + 1 / math.e) - 1, math.log(2 + math.e) - 1]
    expected = sum((2 * each[0] + each[1]) / 3 for each in (a_to_b, b_to_a)) / 2
    found = pixel_infonce(a, b, temperature=1.0, weights=torch.tensor([1.0, 0.5, 0.0]))
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("weight", [1.0, 0.125, 1e-30, 1e30])
def test_equal_weights_are_no_weights(weight: float) -> None:
    a, b = points(24, 8)
    expected = pixel_infonce(a, b, temperature=0.2)
    found = pixel_infonce(a, b, temperature=0.2, weights=torch.full((24,), weight))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_point_of_weight_zero_is_no_anchor_and_still_a_negative() -> None:
    a, b = (p.requires_grad_() for p in points(6, 4))
    weights = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    loss = pixel_infonce(a, b, temperature=0.2, weights=weights)
    torch.autograd.backward(loss)
    assert a.grad is not None
    assert a.grad[2].abs().sum() > 0  # it is pushed away
    alone = pixel_infonce(a, b, temperature=0.2, valid=weights > 0)
    assert loss > alone  # one negative more in every denominator
    closer = b.detach().clone()
    closer[2] = -a.detach()[[0, 1, 3, 4, 5]].sum(dim=0)  # less like any anchor
    assert pixel_infonce(a, closer, temperature=0.2, weights=weights) < loss


def test_gradients_are_those_of_the_weighted_formula() -> None:
    a, b = (p.double().requires_grad_() for p in points(5, 3))
    weights = torch.tensor([0.3, 1.0, 0.0, 2.0, 0.1], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, y: pixel_infonce(x, y, temperature=0.5, weights=weights), (a, b))


def test_weights_of_invalid_points_do_not_matter() -> None:
    a, b = points(6, 4)
    valid = torch.tensor([True, False, True, True, False, True])
    weights = torch.tensor([0.2, math.nan, 1.0, 0.0, -3.0, 0.7])
    expected = pixel_infonce(a[valid], b[valid], temperature=0.2, weights=weights[valid])
    found = pixel_infonce(a, b, temperature=0.2, valid=valid, weights=weights)
    torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_weights_that_are_all_zero_are_nothing_to_match() -> None:
    valid = torch.tensor([True, True, True, False])
    weights = torch.tensor([0.0, 0.0, 0.0, 1.0])
    with pytest.raises(NothingToMatch, match="nothing to match: all 3 valid points have weight 0"):
        pixel_infonce(*points(4, 3), temperature=0.2, valid=valid, weights=weights)


def test_bad_weights_are_named() -> None:
    with pytest.raises(ValueError, match=r"weights must be float of shape \(4,\), found torch\.float32 of \(3,\)"):
        pixel_infonce(*points(4, 3), temperature=0.2, weights=torch.ones(3))
    with pytest.raises(ValueError, match=r"weights must be float of shape \(4,\), found torch\.int64 of \(4,\)"):
        pixel_infonce(*points(4, 3), temperature=0.2, weights=torch.ones(4, dtype=torch.int64))
    for bad in (-0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="weights must be finite and at least 0, found"):
            pixel_infonce(*points(4, 3), temperature=0.2, weights=torch.tensor([1.0, bad, 1.0, 1.0]))


@pytest.mark.parametrize("valid", [[False] * 4, [True, False, False, False]])
def test_a_batch_with_nothing_to_match_says_so(valid: list[bool]) -> None:
    with pytest.raises(NothingToMatch, match=f"nothing to match: {sum(valid)} of 4 points are valid"):
        pixel_infonce(*points(4, 3), temperature=0.2, valid=torch.tensor(valid))


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_points_are_nothing_to_match(count: int) -> None:
    with pytest.raises(NothingToMatch, match=f"{count} of {count} points are valid, and at least 2 are needed"):
        pixel_infonce(*points(count, 3), temperature=0.2)


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"one shape \(N, D\), found \(4, 3\) and \(4, 2\)"):
        pixel_infonce(torch.ones(4, 3), torch.ones(4, 2), temperature=0.2)


def test_bad_masks_are_named() -> None:
    with pytest.raises(ValueError, match=r"valid must be bool of shape \(4,\), found torch\.bool of \(3,\)"):
        pixel_infonce(*points(4, 3), temperature=0.2, valid=torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"valid must be bool of shape \(4,\), found torch\.int64 of \(4,\)"):
        pixel_infonce(*points(4, 3), temperature=0.2, valid=torch.ones(4, dtype=torch.int64))


def test_bad_temperatures_are_named() -> None:
    with pytest.raises(ValueError, match=r"temperature must be positive and finite, found -0\.2"):
        pixel_infonce(*points(4, 3), temperature=-0.2)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gathers_each_cell_of_each_image(memory_format: torch.memory_format) -> None:
    embeddings = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5).contiguous(memory_format=memory_format)
    cells = torch.tensor([[0, 19, 7, 7], [5, 1, 18, 0]])
    rows = gather_points(embeddings, cells)
    assert rows.shape == (8, 3)
    expected = [embeddings[image, :, cell // 5, cell % 5] for image in range(2) for cell in cells[image].tolist()]
    assert torch.equal(rows, torch.stack(expected))


def test_gathering_hands_gradients_back_to_the_chosen_cells() -> None:
    embeddings = torch.zeros(1, 2, 2, 2, requires_grad=True)
    torch.autograd.backward(gather_points(embeddings, torch.tensor([[3, 3, 0]])).sum())
    assert embeddings.grad is not None
    assert embeddings.grad[0, 0].tolist() == [[1.0, 0.0], [0.0, 2.0]]


def test_a_matched_loss_falls_when_its_gradient_is_followed() -> None:
    embeddings = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(3)).requires_grad_()
    cells = torch.randint(36, (4, 5), generator=torch.Generator().manual_seed(4))

    def loss() -> torch.Tensor:
        rows = gather_points(embeddings, cells)
        return pixel_infonce(rows, rows.roll(1, dims=1), temperature=0.2)

    before = loss()
    torch.autograd.backward(before)
    assert embeddings.grad is not None
    with torch.no_grad():
        embeddings -= 0.5 * embeddings.grad
    assert loss() < before


@pytest.mark.parametrize("cell", [-1, 4])
def test_cells_outside_the_grid_are_named(cell: int) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 4\) for a grid of 2×2, found") as error:
        gather_points(torch.ones(1, 3, 2, 2), torch.tensor([[1, cell]]))
    assert str(cell) in str(error.value)


def test_grids_and_cells_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"one B, found \(2, 3, 2, 2\) and \(1, 4\)"):
        gather_points(torch.ones(2, 3, 2, 2), torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"cells must be int64, found torch\.int32"):
        gather_points(torch.ones(2, 3, 2, 2), torch.zeros(2, 4, dtype=torch.int32))


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed

import numpy as np
import pytest
import torch

from pairlab.experiment.protocols import SmallDecoder, TaskInput
from pairlab.networks import EncoderPyramid, build_network
from pairlab.precision import best_precision
from pairlab.scenes.scene import RGB, Pixels
from pairlab.segmentation import features
from pairlab.segmentation.features import Features, FrozenFeatures
from pairlab.segmentation.heads import SmallDecoderHead, build_head
from tests.pairlab.training_jobs import segment_job


def extractor(seen: TaskInput, *, levels: bool = True) -> Features:
    network = build_network(segment_job().network, seed=0)
    inner = EncoderPyramid(network, bands=3, size=64) if levels else network
    found = Features(inner, bands=RGB, seen=seen, precision=best_precision(torch.device("cpu")))
    found.network.eval()
    return found


def images(dates: int, count: int = 3) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (count, dates, 64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("levels", [True, False])
@torch.no_grad()
def test_both_dates_go_through_one_network(levels: bool) -> None:
    pairs = images(2)
    single = extractor("post", levels=levels)
    before, after = (single.levels(pairs[:, [date]]) for date in (0, 1))
    joined = extractor("concatenation", levels=levels)
    for level, first, last in zip(joined.levels(pairs), before, after, strict=True):
        torch.testing.assert_close(level, torch.cat([first, last], dim=1), rtol=0.02, atol=0.02)
    apart = extractor("difference", levels=levels)
    for level, first, last in zip(apart.levels(pairs), before, after, strict=True):
        torch.testing.assert_close(level, (last - first).abs(), rtol=0.02, atol=0.02)
    assert joined.channels == 2 * single.channels == 2 * apart.channels


@torch.no_grad()
def test_two_equal_dates_have_no_difference() -> None:
    pairs = images(1).repeat(2, axis=1)
    assert all(float(level.abs().max()) == 0 for level in extractor("difference").levels(pairs))


def test_frozen_features_move_neither_weights_nor_statistics() -> None:
    found = extractor("post")
    before = {key: value.clone() for key, value in found.network.state_dict().items()}
    frozen = FrozenFeatures(found, images(1))
    frozen.of(np.array([0, 2]))
    assert not any(module.training for module in found.network.modules())
    assert not any(weight.requires_grad for weight in found.network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in found.network.state_dict().items())


def test_features_that_do_not_fit_are_computed_anew_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found, chosen = extractor("post"), np.array([4, 1, 3])
    kept = FrozenFeatures(found, images(1, 6)).of(chosen)
    monkeypatch.setattr(features, "FROZEN_BYTES", 1)
    monkeypatch.setattr(features, "SAMPLE_BYTES", 1)
    frozen = FrozenFeatures(found, images(1, 6))
    assert [len(level) for level in frozen.sample] == [2] * len(kept)
    for anew, once in zip(frozen.of(chosen), kept, strict=True):
        torch.testing.assert_close(anew, once, rtol=0.02, atol=0.02)


def test_the_small_decoder_stands_on_all_levels_whatever_their_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    levels = [torch.randn(5, width, side, side, generator=generator) for width, side in ((8, 16), (16, 8), (24, 4))]

    def logits(levels: list[torch.Tensor]) -> torch.Tensor:
        head = build_head(SmallDecoder(channels=16), widths=[8, 16, 24], classes=3, seed=0)
        assert isinstance(head, SmallDecoderHead)
        head.standardise(levels)
        found: torch.Tensor = head(levels, size=(64, 64))
        return found

    first = logits(levels)
    assert first.shape == (5, 3, 64, 64)
    torch.testing.assert_close(logits([1000 * level + 7 for level in levels]), first, rtol=1e-3, atol=1e-3)
    for number in range(3):
        moved = [level.flip(0) if place == number else level for place, level in enumerate(levels)]
        assert not torch.allclose(logits(moved), first, atol=1e-2)

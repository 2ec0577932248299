"""Pairs of 32 real xBD tiles: what is asked for is drawn, and what is told of it is true."""

import os
from pathlib import Path

import numpy as np
import pytest

from pairlab.experiment.pairing import Noise, OracleFilter, Pairing, Places
from pairlab.experiment.protocols import Splits
from pairlab.pairing.balance import balance_of
from pairlab.pairing.drawing import PairingRefused
from pairlab.pairing.job_pairs import trainable_chips
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.xbd import open_xbd
from tests.pairlab.pairing.invented_chips import anchors, drawn, of_extents, positive_of, temporal

SAMPLE = Path(
    os.environ.get("PAIRLAB_XBD_SAMPLE", Path(__file__).parents[3] / ".." / "shared" / "xbd_sample")
).resolve()

pytestmark = [
    pytest.mark.sample,
    pytest.mark.skipif(
        not (SAMPLE / "test").is_dir(),
        reason=f"THE REAL xBD TILES ARE MISSING: no {SAMPLE}/test; set PAIRLAB_XBD_SAMPLE to the sample's folder",
    ),
]


@pytest.fixture(scope="module")
def chips() -> ChipIndex:
    index = build_index(open_xbd(SAMPLE, damage_from="minor-damage")).chips(64)
    return trainable_chips(index, Splits(by="random", test_share=0.1, validation_share=0.1), transductive=False)


def test_a_noise_ladder_shows_the_same_places(chips: ChipIndex) -> None:
    rungs = [drawn(chips, temporal(rate, pairs=100)) for rate in (0, 0.25, 0.5, 0.75, 1)]
    assert [rung.realised_rate for rung in rungs] == [0, 0.25, 0.5, 0.75, 1]
    change = [float(rung.object_change.sum()) for rung in rungs]
    assert change == sorted(change)
    assert len({tuple(anchors(rung)) for rung in rungs}) == 1
    first, *others = (balance_of(rung, chips.scenes) for rung in rungs)
    assert set(first.splits) == {"train"}
    assert first.shown == (2, 2)
    assert all(other == first for other in others)


def test_an_extent_ladder_shows_the_same_places(chips: ChipIndex) -> None:
    ladder = ((0.0, 0.2), (0.2, 0.6), (0.6, 1.0))
    places = of_extents(*((extent, 0.25) for extent in ladder))
    rungs = [drawn(chips, temporal(0.25, pairs=80, extent=extent), places) for extent in ladder]
    change = [float(rung.object_change.mean()) for rung in rungs]
    assert change == sorted(change)
    assert [int(rung.noisy.sum()) for rung in rungs] == [20, 20, 20]
    assert len({tuple(anchors(rung)) for rung in rungs}) == 1


@pytest.mark.parametrize("origin", ["same_event", "other_event", "similar"])
def test_mismatched_pairs_show_another_place_of_the_kind(chips: ChipIndex, origin: str) -> None:
    scenes = {scene.name: scene for scene in chips.scenes}
    found = drawn(chips, temporal(pairs=600, mismatch_rate=0.5, mismatch_from=origin), Places())
    assert found.realised_mismatch == 0.5
    for pair in found:
        one, other = scenes[pair.anchor.scene], scenes[pair.positive.scene]
        assert (one.split, other.split) == ("train", "train")
        if pair.mismatched:
            assert one.name != other.name
            assert origin == "similar" or (one.event == other.event) == (origin == "same_event")
    mismatched = [positive_of(pair) for pair in found if pair.mismatched]
    assert len(set(mismatched)) == 300


def test_replaced_places_are_clean_and_the_oracle_leaves_them(chips: ChipIndex) -> None:
    noise = Noise(rate=0.5, control="replace")
    pairing = Pairing(policy="temporal", pairs=200, noise=noise, filter=OracleFilter())
    found = drawn(chips, pairing)
    assert found.filtered is not None
    assert (found.filtered.drawn, found.filtered.thrown_away) == (200, 100)
    assert not found.changed_pixels.any()
    assert not found.unknown.any()


def test_a_refusal_counts_what_the_tiles_have(chips: ChipIndex) -> None:
    noisy = int(np.count_nonzero((chips.valid_pixels > 0) & (chips.changed_pixels >= 16)))
    with pytest.raises(PairingRefused, match=f"the train split has {noisy} noisy chips .*pairs to at most {noisy},"):
        drawn(chips, temporal(0.5, pairs=noisy + 1))
    assert len(drawn(chips, temporal(0.5, pairs=noisy))) == noisy

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.pairing import Noise, Pairing, Places
from pairlab.pairing.drawing import PairingRefused, draw_pairs
from pairlab.pairing.pair import PairList
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import Scene

DATES = ("pre", "post")
NOISY = Places(noisy_only=True)


def index_of(changed: list[int], *, objects: int = 200, unknown: list[int] | None = None) -> ChipIndex:
    count = len(changed)
    full = np.full(count, 1024, np.int32)
    return ChipIndex(
        chip_size=32,
        scenes=tuple(Scene(f"scene-{number}", "train", "flood", DATES, height=32, width=32) for number in range(count)),
        scene=np.arange(count, dtype=np.int32),
        y=np.zeros(count, np.int32),
        x=np.zeros(count, np.int32),
        valid_pixels=full,
        object_pixels=np.full(count, objects, np.int32),
        changed_pixels=np.array(changed, np.int32),
        unknown_pixels=np.array(unknown or [0] * count, np.int32),
        total_pixels=full,
    )


def places_of(pairs: PairList) -> list[str]:
    return [pair.anchor.scene for pair in pairs]


def temporal(rate: float | None, *, pairs: int = 20, control: str | None = "rerender") -> Pairing:
    noise = {"rate": rate, "control": control if rate is not None else None}
    return Pairing(policy="temporal", noise=Noise.model_validate(noise), pairs=pairs)


@settings(deadline=None)
@given(
    rate=st.floats(0, 1),
    pairs=st.integers(2, 60),
    seed=st.integers(0, 2**31 - 1),
    control=st.sampled_from(["rerender", "masked"]),
)
def test_realised_noise_is_what_was_asked_for(rate: float, pairs: int, seed: int, control: str) -> None:
    index = index_of([50] * 40 + [0] * 30 + [120] * 20)
    drawn = draw_pairs(
        index, acquisitions=DATES, pairing=temporal(rate, pairs=pairs, control=control), places=NOISY, seed=seed
    )
    assert int(drawn.noisy.sum()) == int(np.floor(rate * pairs + 0.5))
    assert drawn.realised_rate == pytest.approx(rate, abs=0.5 / pairs + 1e-9)
    assert len(set(places_of(drawn))) == pairs
    for pair in drawn:
        assert pair.changed_pixels >= 16
        assert pair.noisy == (pair.control is None)
        assert {pair.anchor.acquisition, pair.positive.acquisition} == set(DATES)
        if pair.control == "rerender":
            assert pair.anchor.state == pair.positive.state
        else:
            assert (pair.anchor.state, pair.positive.state) == (pair.anchor.acquisition, pair.positive.acquisition)


@settings(deadline=None)
@given(low=st.floats(0, 1), high=st.floats(0, 1), seed=st.integers(0, 1000))
def test_arms_of_a_ladder_share_places_and_nest(low: float, high: float, seed: int) -> None:
    low, high = sorted((low, high))
    index = index_of([50] * 60)
    lower, higher = (
        draw_pairs(index, acquisitions=DATES, pairing=temporal(rate), places=NOISY, seed=seed) for rate in (low, high)
    )
    same = draw_pairs(
        index, acquisitions=DATES, pairing=Pairing(policy="same_image", pairs=20), places=NOISY, seed=seed
    )
    assert places_of(lower) == places_of(higher) == places_of(same)
    assert (higher.noisy | ~lower.noisy).all()
    assert not same.noisy.any()


@settings(deadline=None)
@given(rate=st.floats(0, 1), seed=st.integers(0, 1000))
def test_every_rate_shows_each_state_and_date_equally_often(rate: float, seed: int) -> None:
    drawn = draw_pairs(
        index_of([50] * 60), acquisitions=DATES, pairing=temporal(rate, pairs=40), places=NOISY, seed=seed
    )
    states = Counter(shot.state for pair in drawn for shot in (pair.anchor, pair.positive))
    dates = Counter(shot.acquisition for pair in drawn for shot in (pair.anchor, pair.positive))
    first = Counter(pair.anchor.acquisition for pair in drawn)
    assert dates == {"pre": 40, "post": 40}
    assert first == {"pre": 20, "post": 20}
    assert abs(states["pre"] - states["post"]) <= 2  # a controlled pair shows one state twice


def test_same_image_draws_equally_from_every_date() -> None:
    drawn = draw_pairs(
        index_of([50] * 60), acquisitions=DATES, pairing=Pairing(policy="same_image", pairs=30), places=Places(), seed=1
    )
    assert Counter(pair.anchor.acquisition for pair in drawn) == {"pre": 15, "post": 15}
    assert all(pair.anchor == pair.positive for pair in drawn)
    assert drawn.object_change.tolist() == [0.0] * 30


def test_one_date_can_be_asked_for() -> None:
    pairing = Pairing(policy="same_image", acquisition="post", pairs=30)
    drawn = draw_pairs(index_of([0] * 60), acquisitions=DATES, pairing=pairing, places=Places(), seed=1)
    assert {pair.anchor.acquisition for pair in drawn} == {"post"}
    with pytest.raises(PairingRefused, match="no acquisition 'may'; the dataset has: balanced, pre, post"):
        draw_pairs(
            index_of([0] * 60),
            acquisitions=DATES,
            pairing=Pairing(policy="same_image", acquisition="may", pairs=3),
            places=Places(),
            seed=1,
        )


def test_without_a_rate_the_pairs_are_as_the_data_has_them() -> None:
    index = index_of([0] * 30 + [50] * 10 + [10] * 5)
    drawn = draw_pairs(index, acquisitions=DATES, pairing=temporal(None, pairs=45), places=Places(), seed=0)
    assert drawn.realised_rate == pytest.approx(10 / 45)
    assert drawn.pool == {"chips": 45, "noisy": 10, "clean": 30, "unknown": 0}


def test_unknown_chips_are_neither_clean_nor_noisy() -> None:
    index = index_of([0] * 10 + [40] * 10, unknown=[5] * 4 + [0] * 6 + [5] * 10)
    drawn = draw_pairs(index, acquisitions=DATES, pairing=temporal(None, pairs=20), places=Places(), seed=0)
    assert drawn.pool == {"chips": 20, "noisy": 10, "clean": 6, "unknown": 4}
    assert int(drawn.unknown.sum()) == 4
    assert "4 of 20 pairs show un-classified objects" in drawn.warnings[0]


def test_chips_without_data_yield_no_pair() -> None:
    index = index_of([0] * 10)
    index.valid_pixels[:] = [1024] * 6 + [0] * 4
    with pytest.raises(PairingRefused, match="the train split has 6 with data"):
        draw_pairs(index, acquisitions=DATES, pairing=temporal(None, pairs=7), places=Places(), seed=0)


def test_a_refusal_holds_the_true_numbers() -> None:
    index = index_of([50] * 12 + [0] * 7 + [180] * 5)
    wanted = (
        r"the train split has 12 noisy chips \(at least 16 changed pixels, object change share in \[0, 0.5\]\), 7 clean"
    )
    with pytest.raises(PairingRefused, match=wanted):
        draw_pairs(
            index,
            acquisitions=DATES,
            pairing=temporal(0.5, pairs=13),
            places=Places(noisy_only=True, extent=(0, 0.5)),
            seed=0,
        )
    drawn = draw_pairs(
        index,
        acquisitions=DATES,
        pairing=temporal(0.5, pairs=12),
        places=Places(noisy_only=True, extent=(0, 0.5)),
        seed=0,
    )
    assert max(pair.object_change_share for pair in drawn) <= 0.5


def test_temporal_pairs_need_two_dates() -> None:
    with pytest.raises(PairingRefused, match="need two acquisitions; the dataset has post"):
        draw_pairs(index_of([0] * 10), acquisitions=("post",), pairing=temporal(None, pairs=5), places=Places(), seed=0)

"""Filters throw away what they say, count it, and refuse to leave nothing."""

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pairlab.experiment.change_scores import Cva
from pairlab.experiment.pairing import ChangeScoreFilter, Noise, OracleFilter, Pairing, Places
from pairlab.pairing.cell_scores import ACROSS, AFTER, BEFORE, CellScores
from pairlab.pairing.drawing import PairingRefused, draw_pairs
from pairlab.pairing.pair import Pair, PairList
from pairlab.scenes.index import ChipIndex
from tests.pairlab.pairing.invented_chips import (
    DATES,
    NOISY,
    Place,
    anchor_of,
    anchors,
    drawn,
    index_of,
    indices,
    row_of,
    temporal,
)

SEEDS = st.integers(0, 2**31 - 1)


def scores_of(index: ChipIndex, *, seed: int = 0, missing: float = 0.0) -> CellScores:
    """Returns scores of which a place with more change tends to have higher ones; some have none."""
    rng = np.random.default_rng(seed)
    across = index.changed_pixels / 100 + rng.random(len(index))
    values = np.stack([across, rng.random(len(index)), rng.random(len(index)) + 2]).astype(np.float32)
    values[:, rng.random(len(index)) < missing] = np.nan
    chips = np.bincount(index.scene, minlength=len(index.scenes))
    return CellScores(
        scenes=tuple(scene.name for scene in index.scenes),
        cells=np.stack([np.ones_like(chips), chips], axis=1).astype(np.int32),
        variants=(ACROSS, BEFORE, AFTER),
        values=values,
        seconds=1.0,
    )


def scored(index: ChipIndex, pairing: Pairing, scores: CellScores, *, seed: int = 0) -> PairList:
    places = NOISY if pairing.noise.rate is not None else Places()
    return draw_pairs(index, acquisitions=DATES, pairing=pairing, places=places, seed=seed, scores=scores)


def by_score(
    rate: float | None,
    *,
    control: str | None = None,
    threshold: float | None = None,
    quantile: float | None = None,
    pairs: int = 20,
) -> Pairing:
    noise = Noise.model_validate({"rate": rate, "control": control})
    chosen = ChangeScoreFilter(score=Cva(), threshold=threshold, quantile=quantile)
    return Pairing(policy="temporal", pairs=pairs, noise=noise, filter=chosen)


def shown(pair: Pair, values: dict[str, np.ndarray], row: dict[Place, int]) -> float:
    """Returns the score of what a pair shows, from what the pair says of itself."""
    at = row[anchor_of(pair)]
    if pair.anchor == pair.positive:
        return 0.0
    if pair.anchor.state == pair.positive.state:
        return float(values[BEFORE if pair.anchor.state == "pre" else AFTER][at])
    return float(values[ACROSS][at])


@settings(deadline=None)
@given(
    index=indices(least_noisy=24),
    rate=st.none() | st.floats(0, 1),
    control=st.sampled_from(["masked", "rerender", "same_acquisition", "replace"]),
    threshold=st.floats(0, 4),
    missing=st.sampled_from([0.0, 0.3]),
    seed=SEEDS,
)
def test_a_change_score_throws_away_the_pairs_above_its_threshold(
    index: ChipIndex, rate: float | None, control: str, threshold: float, missing: float, seed: int
) -> None:
    scores = scores_of(index, missing=missing)
    pairing = by_score(rate, control=None if rate is None else control, threshold=threshold)
    values, row = scores.of_chips(index), row_of(index)
    try:
        plain = scored(
            index, pairing.model_copy(update={"filter": Pairing(policy="temporal").filter}), scores, seed=seed
        )
    except PairingRefused:
        assume(False)
    expected = [shown(pair, values, row) for pair in plain]
    assert np.array_equal(plain.score, expected, equal_nan=True)
    kept = [pair for pair, score in zip(plain, expected, strict=True) if not score > threshold]
    if len(kept) < 2:
        with pytest.raises(PairingRefused) as refusal:
            scored(index, pairing, scores, seed=seed)
        check_too_few(str(refusal.value), index, pairing, scores, seed, len(kept))
        return
    found = scored(index, pairing, scores, seed=seed)
    assert anchors(found) == [anchor_of(pair) for pair in kept]
    assert [pair.noisy for pair in found] == [pair.noisy for pair in kept]
    assert found.filtered is not None
    assert found.filtered.drawn == len(plain)
    assert found.filtered.thrown_away == len(plain) - len(kept)
    assert found.filtered.noisy_thrown_away == int(plain.noisy.sum()) - int(found.noisy.sum())
    assert found.filtered.threshold == threshold
    assert found.exposure_matched == (plain.exposure_matched and len(kept) == len(plain))
    unscored = int(np.isnan(expected).sum())
    assert [f"{unscored} of {len(plain)} pairs have no change score" in each for each in found.warnings].count(
        True
    ) == (unscored > 0)


def check_too_few(text: str, index: ChipIndex, pairing: Pairing, scores: CellScores, seed: int, left: int) -> None:
    """Checks the counts a refusal tells, and that the threshold it names leaves two pairs."""
    assert f"throws away {pairing.pairs - left} of {pairing.pairs} pairs and leaves {left}" in text
    told = re.search(r"set the threshold to (\S+) or more", text)
    assert told is not None
    chosen = ChangeScoreFilter(score=Cva(), threshold=float(told[1]))
    assert len(scored(index, pairing.model_copy(update={"filter": chosen}), scores, seed=seed)) >= 2


@settings(deadline=None)
@given(quantile=st.floats(0.3, 1), index=indices(least_noisy=30, splits=True), seed=SEEDS)
def test_a_quantile_is_fitted_on_the_train_split(quantile: float, index: ChipIndex, seed: int) -> None:
    scores = scores_of(index, missing=0.1)
    trains = np.array([scene.split == "train" for scene in index.scenes])[index.scene] & (index.valid_pixels > 0)
    of_train = scores.of_chips(index)[ACROSS][trains]
    of_train = of_train[~np.isnan(of_train)]
    assume(len(of_train) > 1)
    try:
        found = scored(index, by_score(None, quantile=quantile), scores, seed=seed)
    except PairingRefused:  # too few are left
        assume(False)
    assert found.filtered is not None
    assert found.filtered.threshold == pytest.approx(np.quantile(of_train, quantile))
    others = scores.values.copy()
    others[:, ~trains] += 100
    changed = CellScores(scores.scenes, scores.cells, scores.variants, others, seconds=0.0)
    try:
        again = scored(index, by_score(None, quantile=quantile), changed, seed=seed)
    except PairingRefused:
        return
    assert again.filtered is not None
    assert again.filtered.threshold == found.filtered.threshold


@settings(deadline=None)
@given(rate=st.floats(0, 1), seed=SEEDS, index=indices(least_noisy=20), pairs=st.integers(2, 20))
def test_the_oracle_throws_away_what_the_labels_know(rate: float, seed: int, index: ChipIndex, pairs: int) -> None:
    plain = drawn(index, temporal(rate, pairs=pairs), seed=seed)
    pairing = temporal(rate, pairs=pairs).model_copy(update={"filter": OracleFilter()})
    noisy = int(plain.noisy.sum())
    if pairs - noisy < 2:
        with pytest.raises(PairingRefused) as refusal:
            drawn(index, pairing, seed=seed)
        told = re.search(
            r"throws away (\d+) of (\d+) pairs and leaves (\d+).*noise.rate to at most (\S+)$", str(refusal.value)
        )
        assert told is not None
        assert [int(each) for each in told.groups()[:3]] == [noisy, pairs, pairs - noisy]
        reachable = temporal(float(told[4]), pairs=pairs).model_copy(update={"filter": OracleFilter()})
        assert len(drawn(index, reachable, seed=seed)) >= 2
        return
    found = drawn(index, pairing, seed=seed)
    assert anchors(found) == [anchor_of(pair) for pair in plain if not pair.noisy]
    assert not found.noisy.any()
    assert found.filtered is not None
    assert (found.filtered.thrown_away, found.filtered.noisy_thrown_away) == (noisy, noisy)
    assert found.exposure_matched == (noisy == 0)
    natural = Pairing(policy="temporal", pairs=pairs, filter=OracleFilter())
    assume(int(drawn(index, temporal(pairs=pairs), Places(), seed=seed).noisy.sum()) <= pairs - 2)
    assert not drawn(index, natural, Places(), seed=seed).noisy.any()


def test_every_column_is_filtered_alike() -> None:
    index = index_of([0] * 20 + [50] * 20, chips_per_scene=4)
    pairing = Pairing(policy="temporal", pairs=30, filter=OracleFilter(), noise=Noise(shift_px=2, mismatch_rate=0.3))
    found = drawn(index, pairing, Places())
    plain = drawn(index, pairing.model_copy(update={"filter": Pairing(policy="temporal").filter}), Places())
    assert list(found) == [pair for pair in plain if not pair.noisy]
    assert found.position.tolist() == np.flatnonzero(~plain.noisy).tolist()
    assert 2 < len(found) < 30


def test_a_filter_by_score_needs_the_scores() -> None:
    with pytest.raises(PairingRefused, match="change score that has not been computed for this dataset yet"):
        drawn(index_of([0] * 30), by_score(None, quantile=0.5), Places())
    index = index_of([0] * 30)
    nothing = scores_of(index, missing=1.0)
    with pytest.raises(PairingRefused, match="none of its 30 chips with data has a change score"):
        scored(index, by_score(None, quantile=0.5), nothing)


def test_scores_are_told_without_a_filter_too() -> None:
    index = index_of([0] * 20 + [50] * 20)
    scores = scores_of(index)
    found = scored(index, Pairing(policy="temporal", pairs=20, noise=Noise(mismatch_rate=0.25)), scores)
    assert np.array_equal(np.isnan(found.score), found.mismatched)
    image = scored(index, Pairing(policy="same_image", pairs=20), scores)
    assert not image.score.any()


def test_a_pair_at_the_threshold_stays() -> None:
    index = index_of([50] * 30)
    scores = scores_of(index)
    plain = scored(index, Pairing(policy="temporal", pairs=20), scores)
    middle = float(np.sort(plain.score)[9])
    found = scored(index, by_score(None, threshold=middle), scores)
    assert len(found) == 10
    assert found.score.max() == middle

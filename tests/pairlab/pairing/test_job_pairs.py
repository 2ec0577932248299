"""From a job to its pairs, over rendered scenes: splits stay apart, and labels that must not be seen are not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import PretrainJob
from pairlab.experiment.protocols import Splits
from pairlab.pairing.cell_scores import ACROSS, CellScores
from pairlab.pairing.drawing import PairingRefused
from pairlab.pairing.job_pairs import acquisitions_of, pairs_of, trainable_chips
from pairlab.pairing.pair import PairList
from pairlab.scenes.index import COUNTS, ChipIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import Scene
from pairlab.scenes.splits import assign_splits
from pairlab.scenes.synthetic import SyntheticSource
from tests.pairlab.pairing.invented_chips import index_of, indices
from tests.pairlab.training_jobs import pretrain_job

CHIPS = build_index(SyntheticSource(SyntheticDataset(train=60, validation=20, test=20))).chips(32)
RANDOM = Splits(by="random", test_share=0.3, validation_share=0.2, seed=3)
SEEDS = st.integers(0, 2**31 - 1)


def job(
    pairing: dict[str, object], *, splits: Splits | None = None, transductive: bool = False, seed: int = 0
) -> PretrainJob:
    """Returns the pretraining of an experiment whose only arm pairs like that."""
    arms = {"one": {"pairing": {"policy": "temporal", "pairs": 40, **pairing}}}
    found = pretrain_job(arms=arms, reference="one", chip_size=32, transductive=transductive, seeds=[seed])
    return found.model_copy(update={"splits": splits or Splits()})


def splits_seen(pairs: PairList, split: dict[str, str]) -> set[tuple[str, str]]:
    return {(split[pair.anchor.scene], split[pair.positive.scene]) for pair in pairs}


def knobs() -> Sequence[dict[str, object]]:
    return (
        {"noise": {"rate": 0.5}},
        {"noise": {"rate": 0.4, "control": "replace", "mismatch_rate": 0.4, "shift_px": 1.0}},
        {"noise": {"rate": 0.0, "mismatch_rate": 1.0, "mismatch_from": "similar"}},
        {"noise": {"mismatch_rate": 0.7}},
        {"noise": {"rate": 0.5, "control": "same_acquisition"}, "filter": "oracle"},
        {"policy": "same_image"},
    )


@settings(deadline=None)
@given(knob=st.sampled_from(knobs()), seed=SEEDS, splits=st.sampled_from([Splits(), RANDOM]))
def test_no_pair_leaves_the_train_split(knob: dict[str, object], seed: int, splits: Splits) -> None:
    split = assign_splits(CHIPS.scenes, splits)
    pairs = pairs_of(job(knob, splits=splits, seed=seed), CHIPS)
    assert splits_seen(pairs, split) == {("train", "train")}
    noise = job(knob).pairing.noise
    if noise.rate is not None and pairs.filtered is None:
        assert int(pairs.noisy.sum()) == int(noise.rate * 40 + 0.5)
        assert int(pairs.mismatched.sum()) == int(noise.mismatch_rate * 40 + 0.5)


@settings(deadline=None)
@given(index=indices(least_noisy=30, splits=True), knob=st.sampled_from(knobs()), seed=SEEDS)
def test_no_pair_leaves_the_train_split_whatever_the_data(index: ChipIndex, knob: dict[str, object], seed: int) -> None:
    try:
        pairs = pairs_of(job({**knob, "pairs": 6}, seed=seed), index)
    except PairingRefused:
        return
    split = {scene.name: scene.split for scene in index.scenes}
    assert splits_seen(pairs, split) == {("train", "train")}


@settings(deadline=None)
@given(seed=SEEDS, splits=st.sampled_from([Splits(), RANDOM]), rate=st.sampled_from([0.0, 0.5, 1.0]))
def test_a_transductive_pretraining_sees_all_splits_and_mixes_none(seed: int, splits: Splits, rate: float) -> None:
    split = assign_splits(CHIPS.scenes, splits)
    knob: dict[str, object] = {"noise": {"mismatch_rate": rate}, "pairs": 200}
    pairs = pairs_of(job(knob, splits=splits, transductive=True, seed=seed), CHIPS)
    assert splits_seen(pairs, split) == {(each, each) for each in ("train", "validation", "test")}
    for pair in pairs:
        if split[pair.anchor.scene] != "train":
            assert not pair.noisy
            assert pair.unknown == (not pair.mismatched)
            assert (pair.changed_pixels, pair.object_change_share) == (0, 0.0)
    assert not pairs.object_share[[split[pair.anchor.scene] != "train" for pair in pairs]].any()


@settings(deadline=None)
@given(
    knob=st.sampled_from(
        [
            {"pairs": 200},
            {"pairs": 200, "noise": {"mismatch_rate": 0.5}},
            {"pairs": 200, "noise": {"mismatch_rate": 0.2, "mismatch_from": "other_event", "shift_px": 2}},
            {"policy": "same_image", "pairs": 200},
            {"pairs": 200, "filter": {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.8}},
        ]
    ),
    seed=SEEDS,
    other=SEEDS,
)
def test_labels_of_validation_and_test_change_nothing(knob: dict[str, object], seed: int, other: int) -> None:
    events = [f"event-{number % 3}" for number in range(len(CHIPS.scenes))]
    scenes = tuple(replace(scene, event=event) for scene, event in zip(CHIPS.scenes, events, strict=True))
    index = replace(CHIPS, scenes=scenes)
    rng = np.random.default_rng(other)
    hidden = np.array([scene.split != "train" for scene in scenes])[index.scene]
    relabelled: dict[str, Any] = {
        name: np.where(hidden, rng.integers(0, 1025, len(index)), getattr(index, name)).astype(np.int32)
        for name in COUNTS
        if name != "valid_pixels"
    }
    objects = np.where(hidden[:, None], rng.integers(0, 9, index.objects.shape), index.objects).astype(np.int32)
    config, scores = job(knob, transductive=True, seed=seed), scores_of(index)
    one = pairs_of(config, index, scores=scores)
    other_labels = pairs_of(config, replace(index, objects=objects, **relabelled), scores=scores)
    assert list(one) == list(other_labels)
    assert one.pool == other_labels.pool
    assert one.warnings == other_labels.warnings
    assert one.filtered == other_labels.filtered


def scores_of(index: ChipIndex) -> CellScores:
    cells = np.array([(scene.height // 32, scene.width // 32) for scene in index.scenes], np.int32)
    values = np.random.default_rng(0).random((1, int(cells.prod(axis=1).sum()))).astype(np.float32)
    return CellScores(tuple(scene.name for scene in index.scenes), cells, (ACROSS,), values, seconds=0.0)


@pytest.mark.parametrize(
    ("knob", "named"),
    [
        ({"noise": {"rate": 0.5, "control": "masked"}}, "noise.rate"),
        ({"noise": {"extent": [0.1, 0.5]}}, "noise.extent"),
        ({"noise": {"mismatch_rate": 0.5, "mismatch_from": "similar"}}, "noise.mismatch_from: similar"),
        ({"filter": "oracle"}, "filter: oracle"),
    ],
)
def test_knobs_that_need_labels_are_refused_on_transductive_tiles(knob: dict[str, object], named: str) -> None:
    config = job(knob).model_copy(update={"transductive": True})
    with pytest.raises(PairingRefused, match=rf"^{named} needs labels.*set transductive: false"):
        pairs_of(config, CHIPS)


def test_a_refusal_tells_which_chips_were_counted() -> None:
    chips = {split: sum(CHIPS.scenes[scene].split == split for scene in CHIPS.scene.tolist()) for split in ("train",)}
    with pytest.raises(PairingRefused, match=f"the train split has {chips['train']} with data"):
        pairs_of(job({"pairs": 5000}), CHIPS)
    with pytest.raises(PairingRefused, match=f"the dataset has {len(CHIPS)} with data"):
        pairs_of(job({"pairs": 5000}, transductive=True), CHIPS)


@pytest.mark.parametrize("splits", [Splits(), RANDOM])
def test_trainable_chips_tell_their_split(splits: Splits) -> None:
    split = assign_splits(CHIPS.scenes, splits)
    train = trainable_chips(CHIPS, splits, transductive=False)
    assert {split[train.scenes[scene].name] for scene in train.scene.tolist()} == {"train"}
    assert len(train) == sum(split[CHIPS.scenes[scene].name] == "train" for scene in CHIPS.scene.tolist())
    assert {scene.name: scene.split for scene in train.scenes} == split
    every = trainable_chips(CHIPS, splits, transductive=True)
    assert len(every) == len(CHIPS)
    trains = np.array([scene.split == "train" for scene in every.scenes])[every.scene]
    assert every.unknown[~trains].all()
    assert not every.objects[~trains].any()
    for name in COUNTS:
        assert np.array_equal(getattr(every, name)[trains], getattr(CHIPS, name)[trains])
    again = trainable_chips(train, splits, transductive=False)  # of chips that were chosen before, all are kept
    assert np.array_equal(again.scene, train.scene)


def test_scenes_whose_acquisitions_differ_are_refused() -> None:
    scenes = index_of([0] * 3).scenes
    assert acquisitions_of(scenes) == ("pre", "post")
    assert acquisitions_of(()) == ()
    other: tuple[Scene, ...] = (*scenes, replace(scenes[0], name="odd", acquisitions=("pre", "may", "post")))
    with pytest.raises(
        PairingRefused, match=r"^odd has acquisitions pre, may, post, and scene-0 pre, post: pairs need"
    ):
        acquisitions_of(other)


def test_a_ladder_over_rendered_scenes_rises_in_measured_change() -> None:
    sums = [float(pairs_of(job({"noise": {"rate": rate}}), CHIPS).object_change.sum()) for rate in (0, 0.25, 0.5, 1)]
    assert sums == sorted(sums)
    assert sums[0] == 0 < sums[1]

from typing import Any

import pytest
from pydantic import ValidationError

from pairlab.experiment.experiment import Arm, Experiment
from pairlab.experiment.methods import (
    BYOL,
    BarlowTwins,
    ChangeWeight,
    Method,
    MoCo,
    PixelInfoNCE,
    SimCLR,
    SimSiam,
    VICReg,
    can_mask,
    in_words,
)
from pairlab.experiment.scene_filter import SceneFilter

TEMPORAL = {"pairing": {"policy": "temporal"}}
SAME = {"pairing": {"policy": "same_image"}}
RANDOM = {"baseline": "random_initialisation"}


def experiment(arms: dict[str, Any], **fields: Any) -> Experiment:  # noqa: ANN401
    return Experiment.model_validate(
        {"name": "e", "dataset": "d", "arms": arms, "reference": next(iter(arms)), **fields}
    )


def refusal(arms: dict[str, Any], **fields: Any) -> str:  # noqa: ANN401
    with pytest.raises(ValidationError) as error:
        experiment(arms, **fields)
    (detail,) = error.value.errors()
    return detail["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "an arm has either a pairing (it is pretrained) or a baseline (random_initialisation or initial_weights)"),
        (
            RANDOM | TEMPORAL,
            "an arm has either a pairing (it is pretrained) or a baseline (random_initialisation or initial_weights)",
        ),
        (RANDOM | {"method": {"name": "simclr"}}, "a baseline is not pretrained: remove method"),
        (RANDOM | {"dataset": "other", "scenes": {}}, "a baseline is not pretrained: remove dataset, scenes"),
    ],
)
def test_an_arm_is_pretrained_or_a_baseline(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        Arm.model_validate(fields)
    assert error.value.errors()[0]["msg"] == f"Value error, {said}"


def test_an_arm_has_the_experiments_method_unless_it_names_one() -> None:
    given = experiment(
        {"a": TEMPORAL, "b": TEMPORAL | {"method": {"name": "simclr"}}}, method={"name": "pixel_infonce"}
    )
    assert given.method_of(given.arms["a"]) == PixelInfoNCE()
    assert given.method_of(given.arms["b"]) == SimCLR()


@pytest.mark.parametrize(
    ("fields", "factors"),
    [
        (TEMPORAL, ()),
        (RANDOM, ()),
        (SAME, ("pairing",)),
        ({"pairing": {"policy": "temporal", "filter": "oracle"}}, ("pairing",)),
        ({"pairing": {"policy": "temporal", "filter": "none"}}, ()),
        (TEMPORAL | {"method": {"name": "simclr"}}, ("method",)),
        (TEMPORAL | {"method": {"name": "pixel_infonce"}}, ()),
        (TEMPORAL | {"method": {"name": "pixel_infonce", "change_weight": {"scale": 1.0}}}, ("method",)),
        (TEMPORAL | {"dataset": "other"}, ("dataset",)),
        (TEMPORAL | {"dataset": "d"}, ()),
        (TEMPORAL | {"scenes": {"events": ["flood"]}}, ("scenes",)),
        (TEMPORAL | {"scenes": {}}, ()),
        (
            SAME | {"dataset": "other", "scenes": {"name": "x"}, "method": {"name": "simclr"}},
            ("dataset", "scenes", "method", "pairing"),
        ),
    ],
)
def test_factors_are_what_an_arm_does_otherwise_than_the_reference(
    fields: dict[str, Any], factors: tuple[str, ...]
) -> None:
    given = experiment({"reference": TEMPORAL, "arm": fields})
    assert given.factors("arm") == factors
    assert given.factors("reference") == ()


def test_factors_count_from_what_the_experiment_sets() -> None:
    arms = {"reference": TEMPORAL | {"scenes": {"events": ["flood"]}, "method": {"name": "simclr"}}, "arm": TEMPORAL}
    assert experiment(arms).factors("arm") == ("scenes", "method")
    assert experiment(arms, scenes={"events": ["flood"]}, method={"name": "simclr"}).factors("arm") == ()
    assert experiment({"reference": RANDOM, "arm": SAME}).factors("arm") == ()


@pytest.mark.parametrize(
    ("method", "masks", "words"),
    [
        (PixelInfoNCE(), True, "pixel_infonce"),
        (PixelInfoNCE(change_weight=ChangeWeight()), True, "pixel_infonce"),
        (PixelInfoNCE(matching="feature"), False, "pixel_infonce with feature matching"),
        (SimCLR(), False, "simclr"),
        (VICReg(), False, "vicreg"),
        (BarlowTwins(), False, "barlow_twins"),
        (SimSiam(), False, "simsiam"),
        (BYOL(), False, "byol"),
        (MoCo(), False, "moco"),
    ],
)
def test_masking_needs_matches_by_geometry(method: Method, masks: bool, words: str) -> None:
    assert can_mask(method) is masks
    assert in_words(method) == words
    arms = {"a": {"pairing": {"policy": "temporal", "noise": {"rate": 0.5, "control": "masked"}}, "method": method}}
    if masks:
        assert experiment(arms).method_of(experiment(arms).arms["a"]) == method
    else:
        assert refusal(arms).startswith(
            f"arm 'a': control 'masked' excludes changed pixels from matching, which {words} does not do"
        )


@pytest.mark.parametrize(
    ("arm", "fields", "named"),
    [
        ({"pairing": {"policy": "temporal", "noise": {"rate": 0.0}}}, {}, "noise.rate"),
        ({"pairing": {"policy": "temporal", "noise": {"extent": [0.5, 1]}}}, {}, "noise.extent"),
        ({"pairing": {"policy": "temporal", "filter": "oracle"}}, {}, "filter: oracle"),
        (
            {"pairing": {"policy": "temporal", "noise": {"mismatch_rate": 0.5, "mismatch_from": "similar"}}},
            {},
            "noise.mismatch_from: similar",
        ),
        (TEMPORAL, {"scenes": {"change_share": [0.1, 1.0]}}, "scenes.change_share"),
        (TEMPORAL | {"scenes": {"objects": ["destroyed"]}}, {}, "scenes.objects"),
        (
            {"pairing": {"policy": "temporal", "filter": "oracle"}, "scenes": {"object_change_share": [0, 0.5]}},
            {},
            "filter: oracle, scenes.object_change_share",
        ),
    ],
)
def test_a_transductive_pretraining_sees_no_labels(arm: dict[str, Any], fields: dict[str, Any], named: str) -> None:
    assert refusal({"a": SAME, "b": arm} if not fields else {"b": arm}, transductive=True, **fields) == (
        f"arm 'b': {named} needs labels, and a transductive pretraining sees validation and test tiles, whose labels "
        "stay unseen; remove it, or set transductive: false"
    )
    assert not experiment({"a": SAME, "b": arm}, **fields).transductive


def test_a_transductive_pretraining_takes_what_needs_no_labels() -> None:
    scored = {"by": "change_score", "score": {"name": "irmad"}, "quantile": 0.9}
    arms = {
        "random": RANDOM,
        "same": SAME,
        "scored": {"pairing": {"policy": "temporal", "filter": scored}},
        "elsewhere": {"pairing": {"policy": "temporal", "noise": {"mismatch_rate": 0.2, "shift_px": 3}}},
        "few": TEMPORAL | {"scenes": {"events": ["flood"], "where": {"angle": [0, 20]}, "offset": [0, 3]}},
    }
    assert experiment(arms, transductive=True).transductive


@pytest.mark.parametrize("splits", [{"by": "random"}, {"by": "blocks"}, {"test_events": ["flood"]}])
def test_scenes_of_an_arms_own_need_splits_that_are_not_drawn(splits: dict[str, Any]) -> None:
    """Otherwise one arm could train on what another is tested on."""
    arms = {"a": TEMPORAL, "b": TEMPORAL | {"scenes": {"name": "x"}}}
    assert refusal(arms, splits=splits).startswith(
        "arm 'b': splits other than the dataset's own are drawn among an arm's scenes"
    )
    assert experiment(arms).splits.official
    same = experiment(arms, splits=splits, scenes={"name": "x"}).arms["b"]
    assert same.scenes == SceneFilter(name="x")


def test_a_filter_of_scenes_knows_which_of_its_fields_need_labels() -> None:
    everything = SceneFilter.model_validate(
        {
            "events": ["a"],
            "splits": ["train"],
            "change_share": [0.0, 1.0],
            "object_change_share": [0.0, 0.0],
            "no_data_share": [0.0, 1.0],
            "offset": [0, 1],
            "objects": ["x"],
            "where": {"a": [0, 1]},
            "name": "n",
            "only": ["s"],
            "without": ["t"],
        }
    )
    assert everything.uses_labels == ("change_share", "object_change_share", "objects")
    assert SceneFilter().uses_labels == ()

from typing import Any

import pytest
from pydantic import ValidationError

from pairlab.experiment.change_scores import EmbeddingDistance, IrMad
from pairlab.experiment.model import content_hash
from pairlab.experiment.pairing import (
    ChangeScoreFilter,
    NoFilter,
    Noise,
    OracleFilter,
    Pairing,
    PlaceExtent,
    Places,
    TimeGap,
)


def refusal(**fields: Any) -> str:  # noqa: ANN401
    with pytest.raises(ValidationError) as error:
        Pairing.model_validate({"policy": "temporal", **fields})
    (detail,) = error.value.errors()
    return detail["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize("extent", [(0.5, 0.4), (1.0, 0.0)])
def test_an_extent_has_a_low_and_a_high_end(extent: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match=r"extent must be \[low, high\], got"):
        Noise(rate=0.5, extent=extent)


def test_a_control_needs_a_rate() -> None:
    with pytest.raises(ValidationError, match=r"control 'masked' replaces noisy pairs .*: set noise\.rate as well"):
        Noise(control="masked")


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ValidationError, match="rate"):
        Noise(rate=rate)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"noise": Noise(rate=0.0)}, "noise.rate"),
        ({"noise": Noise(extent=(0.1, 1.0))}, "noise.extent"),
        ({"noise": Noise(rate=0.5, control="rerender")}, "noise.rate and noise.control"),
        ({"noise": Noise(mismatch_rate=0.1)}, "noise.mismatch_rate"),
        ({"noise": Noise(mismatch_from="similar")}, "noise.mismatch_from"),
        ({"noise": Noise(shift_px=2.0)}, "noise.shift_px"),
        ({"filter": "oracle"}, "filter"),
        ({"time_gap": TimeGap(steps=(1, 1))}, "time_gap"),
        (
            {"noise": Noise(rate=1.0, shift_px=1.0), "filter": "oracle", "time_gap": TimeGap(steps=(1, 2))},
            "noise.rate, noise.shift_px, filter and time_gap",
        ),
    ],
)
def test_the_same_image_cannot_be_noisy(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        Pairing.model_validate({"policy": "same_image", **fields})
    (detail,) = error.value.errors()
    assert detail["msg"] == f"Value error, same_image pairs an image with itself and cannot be noisy: remove {said}"


def test_the_same_image_may_say_what_would_count_as_noisy() -> None:
    assert Pairing(policy="same_image", noise=Noise(min_changed_pixels=5)).noise.min_changed_pixels == 5


def test_temporal_pairs_have_no_fixed_date() -> None:
    with pytest.raises(ValidationError, match="acquisition cannot be fixed to 'post': remove it"):
        Pairing(policy="temporal", acquisition="post")
    assert Pairing(policy="same_image", acquisition="post").acquisition == "post"


def test_a_budget_has_at_least_a_pair_and_a_negative() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Pairing(policy="temporal", pairs=1)


@pytest.mark.parametrize(("rate", "mismatch_rate"), [(0.5, 0.5), (None, 1.0), (1.0, 0.0), (0.0, 1.0), (0.35, 0.65)])
def test_noisy_and_mismatched_pairs_may_be_all_there_are(rate: float | None, mismatch_rate: float) -> None:
    noise = Noise(rate=rate, mismatch_rate=mismatch_rate)
    assert (noise.rate, noise.mismatch_rate) == (rate, mismatch_rate)


def test_a_pair_is_noisy_or_mismatched() -> None:
    assert refusal(noise={"rate": 0.5, "mismatch_rate": 0.6}) == (
        "a pair is noisy or mismatched, not both: rate 0.5 and mismatch_rate 0.6 must add up to at most 1"
    )


@pytest.mark.parametrize(("field", "value"), [("mismatch_rate", 1.1), ("shift_px", -1.0), ("shift_px", 65.0)])
def test_bounds_of_noise(field: str, value: float) -> None:
    assert refusal(noise={field: value}).startswith("Input should be")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("none", NoFilter()),
        ("oracle", OracleFilter()),
        ({"by": "oracle"}, OracleFilter()),
        (
            {"by": "change_score", "score": {"name": "irmad", "iterations": 5}, "quantile": 0.9},
            ChangeScoreFilter(score=IrMad(iterations=5), quantile=0.9),
        ),
        (
            {"by": "change_score", "score": {"name": "embedding"}, "threshold": 0.25},
            ChangeScoreFilter(score=EmbeddingDistance(), threshold=0.25),
        ),
    ],
)
def test_a_filter_is_a_word_or_a_mapping(given: object, meant: object) -> None:
    pairing = Pairing.model_validate({"policy": "temporal", "filter": given})
    assert pairing.filter == meant
    assert Pairing.model_validate_json(pairing.model_dump_json()) == pairing


def test_words_and_mappings_hash_alike() -> None:
    written = [
        Pairing.model_validate({"policy": "temporal", "filter": given}) for given in ("oracle", {"by": "oracle"})
    ]
    assert len({content_hash(pairing) for pairing in written}) == 1
    assert content_hash(Pairing.model_validate({"policy": "temporal", "filter": "none"})) == content_hash(
        Pairing(policy="temporal")
    )


@pytest.mark.parametrize("fields", [{}, {"threshold": 1.0, "quantile": 0.5}])
def test_a_change_score_filter_has_one_threshold(fields: dict[str, float]) -> None:
    assert refusal(filter={"by": "change_score", "score": {"name": "cva"}, **fields}) == (
        "a change_score filter has either a threshold or a quantile"
    )


@pytest.mark.parametrize(
    ("weights", "allowed"),
    [("published", True), ("random", True), ("0a" * 32, True), ("0A" * 32, False), ("0a" * 31, False), ("x.pt", False)],
)
def test_an_embedding_is_published_random_or_a_pretraining(weights: str, allowed: bool) -> None:
    if allowed:
        assert EmbeddingDistance(weights=weights).weights == weights
    else:
        with pytest.raises(ValidationError, match="weights"):
            EmbeddingDistance(weights=weights)


@pytest.mark.parametrize("encoder", ["../weights", "a b", "", "https://host/x"])
def test_an_encoder_is_a_name(encoder: str) -> None:
    with pytest.raises(ValidationError, match="encoder"):
        EmbeddingDistance(encoder=encoder)


SCORED = {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.9}


def test_a_change_score_compares_two_images_of_one_place() -> None:
    assert refusal(filter=SCORED, noise={"mismatch_rate": 0.1}).startswith(
        "a change score compares two images of one place, and mismatched pairs show two: remove noise.mismatch_rate"
    )
    assert refusal(filter=SCORED, time_gap={"steps": [1, 1]}).startswith(
        "change scores compare the first and the last acquisition: remove time_gap"
    )
    assert isinstance(
        Pairing.model_validate({"policy": "temporal", "filter": SCORED, "noise": {"rate": 0.5}}).filter,
        ChangeScoreFilter,
    )


@pytest.mark.parametrize("fields", [{}, {"steps": [1, 2], "days": [1, 2]}])
def test_a_time_gap_is_in_steps_or_in_days(fields: dict[str, Any]) -> None:
    assert refusal(time_gap=fields) == "a time_gap is given either in steps or in days"


@pytest.mark.parametrize("gap", [(2, 1), (0, 0), (-1, 1)])
def test_a_time_gap_rises_and_is_one(gap: tuple[int, int]) -> None:
    for unit, shown in (("steps", list(gap)), ("days", [float(each) for each in gap])):
        assert refusal(time_gap={unit: gap}) == (
            f"time_gap must be [low, high] with 0 ≤ low ≤ high and high > 0, got {shown}"
        )


def test_change_is_known_between_the_first_and_the_last_date_alone() -> None:
    assert refusal(time_gap={"steps": [1, 1]}, noise={"rate": 0.5}).endswith("with a time_gap, remove noise.rate")
    assert Pairing(policy="temporal", time_gap=TimeGap(days=(0, 30))).time_gap == TimeGap(days=(0.0, 30.0))


@pytest.mark.parametrize(
    ("fields", "labelled"),
    [
        ({}, ()),
        ({"noise": {"mismatch_rate": 0.5, "shift_px": 2}}, ()),
        ({"noise": {"mismatch_rate": 0.5, "mismatch_from": "other_event"}}, ()),
        ({"filter": SCORED}, ()),
        ({"time_gap": {"steps": [1, 2]}}, ()),
        ({"noise": {"rate": 0.0}}, ("noise.rate",)),
        ({"noise": {"extent": [0.1, 1.0]}}, ("noise.extent",)),
        ({"noise": {"mismatch_rate": 0.5, "mismatch_from": "similar"}}, ("noise.mismatch_from: similar",)),
        (
            {"noise": {"rate": 0.5, "extent": [0, 0.5]}, "filter": "oracle"},
            ("noise.rate", "noise.extent", "filter: oracle"),
        ),
    ],
)
def test_knobs_that_need_labels_are_known(fields: dict[str, Any], labelled: tuple[str, ...]) -> None:
    assert Pairing.model_validate({"policy": "temporal", **fields}).uses_labels == labelled


def test_places_of_earlier_records_are_read() -> None:
    earlier = {"noisy_only": True, "extent": [0.2, 0.9], "min_changed_pixels": 20}
    places = Places.model_validate(earlier)
    assert places == Places(noisy_only=True, extents=(PlaceExtent(extent=(0.2, 0.9), rate=1.0),), min_changed_pixels=20)
    assert earlier["extent"] == [0.2, 0.9]
    assert Places.model_validate_json('{"noisy_only": false, "extent": [0.0, 1.0]}') == Places()
    assert Places.model_validate_json(places.model_dump_json()) == places

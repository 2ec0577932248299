import hashlib
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pairlab.experiment.methods import PixelInfoNCE, SimCLR
from pairlab.experiment.model import FrozenModel, content_hash
from pairlab.experiment.pairing import Noise
from pairlab.experiment.training import Augmentation


class Knobs(FrozenModel):
    kind: Literal["knobs"] = "knobs"
    strength: float = 0.5
    label: str = "x"
    on: bool = False


def test_the_hash_is_that_of_canonical_json() -> None:
    canonical = b'{"kind":"knobs","label":"x","on":true,"strength":0.1}'
    assert content_hash(Knobs(strength=0.1, on=True)) == hashlib.sha256(canonical).hexdigest()


@given(st.permutations(["kind", "strength", "label", "on"]))
def test_the_order_of_keys_does_not_matter(order: list[str]) -> None:
    values = {"kind": "knobs", "strength": 1, "label": "y", "on": True}
    assert content_hash(Knobs.model_validate({key: values[key] for key in order})) == content_hash(
        Knobs(strength=1.0, label="y", on=True)
    )
    assert content_hash({key: values[key] for key in order}) == content_hash(values)


def test_defaults_written_out_do_not_matter() -> None:
    assert content_hash(Knobs()) == content_hash(Knobs(kind="knobs", strength=0.5, label="x", on=False))


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_equal_models_and_only_they_hash_alike(first: float, second: float) -> None:
    a, b = Knobs(strength=first), Knobs(strength=second)
    assert (content_hash(a) == content_hash(b)) == (a == b)


def test_zero_has_no_sign() -> None:
    assert Knobs(strength=-0.0) == Knobs(strength=0.0)
    assert content_hash(Knobs(strength=-0.0)) == content_hash(Knobs(strength=0.0))
    assert content_hash({"a": [-0.0]}) == content_hash({"a": [0.0]})


def test_what_is_no_json_number_has_no_hash() -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        content_hash({"a": float("nan")})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "nan", "Infinity"])
def test_numbers_are_finite(value: object) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Knobs.model_validate({"strength": value})
    with pytest.raises(ValidationError, match="finite number"):
        SimCLR.model_validate({"temperature": value})
    with pytest.raises(ValidationError, match="finite number"):
        Noise.model_validate({"extent": [0, value]})


def test_models_are_frozen_and_closed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Knobs().strength = 1.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Knobs.model_validate({"strenght": 1})


def test_truth_values_are_no_numbers_and_no_texts() -> None:
    for field in ("strength", "label", "kind"):
        with pytest.raises(ValidationError, match=f"{field} cannot be true or false, got true"):
            Knobs.model_validate({field: True})
    with pytest.raises(ValidationError, match="crop_scale cannot be true or false, got false"):
        Augmentation.model_validate({"crop_scale": [False, 1]})
    assert Knobs.model_validate({"on": True}).on is True


def test_white_space_around_texts_is_dropped() -> None:
    assert Knobs(label="  two words\n").label == "two words"


def test_a_shortened_dump_still_says_what_it_is() -> None:
    assert PixelInfoNCE().model_dump(exclude_unset=True) == {"name": "pixel_infonce"}
    assert Knobs(on=True).model_dump(exclude_unset=True) == {"kind": "knobs", "on": True}
    assert Knobs(on=True) == Knobs.model_validate({"on": True, "kind": "knobs", "label": "x"})

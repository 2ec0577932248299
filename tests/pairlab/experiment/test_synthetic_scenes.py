from typing import Any

import pytest
from pydantic import ValidationError

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.model import content_hash
from pairlab.experiment.synthetic_scenes import PRESETS, QUESTIONS, turn_knobs

KNOBS_OF_VERSION_1 = (
    *("size", "object_classes", "class_weights", "objects", "object_size", "placement_tries", "texture_scale"),
    *("separability", "illumination", "colour", "haze", "season", "blur", "sensor_noise", "parallax_px"),
    *("misregistration_px", "change_rate", "change_extent", "change_where", "label_noise"),
)
FROZEN = {
    "quickstart": "1922cabbc2ee6d7c",
    "noise-rate": "3b33a240dbe0b4b8",
    "extent": "b0a1c78254c24d5e",
    "regions": "a4c8a17340d580b8",
    "change-only": "8cbb9eb97b70e7f0",
    "nuisance": "4860ac669a13d122",
    "season": "95a26f8854f29b81",
    "off-nadir": "06b2c2e6eebc155d",
    "misregistration": "51699439d16b13fc",
    "separability": "9f957ba94b22f528",
    "coarse-texture": "134774d70761bcf5",
    "many-classes": "cf4719bc4b2afab1",
    "class-balance": "753045783faf6f69",
    "label-noise": "c805c33fbe9d2d59",
}


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"hase": 0.2}, "unknown knob 'hase'; there are: size, object_classes, class_weights, objects, "),
        ({"haze": 1.5}, "haze: Input should be less than or equal to 1, got 1.5"),
        ({"haze": "thick"}, "haze: Input should be a valid number"),
        ({"haze": True}, "haze cannot be true or false, got true"),
        ({"objects": [7, 3]}, r"objects must be \[low, high\], got \[7, 3\]"),
        ({"objects": [7]}, r"objects\.1: Field required"),
        ({"object_classes": 2, "class_weights": [1, 1, 1]}, "one number for each of 2 object_classes, got 3"),
        ({"class_weights": [1, 0, 1]}, r"class_weights\.1: Input should be greater than 0, got 0"),
        ({"objects": [5, 40]}, "objects: 40 of 9 to 20 pixels find no place in a scene of 64, at most 7 do"),
        ({"size": 1024, "objects": [5, 300]}, "a scene holds at most 250, got 300"),
        ({"parallax_px": 5}, "parallax_px 5 moves too much out of sight: at most a sixteenth of size, 4"),
        ({"misregistration_px": 9, "size": 128}, "misregistration_px 9 .* at most a sixteenth of size, 8"),
        ({"change_where": "corners"}, "change_where: Input should be 'objects' or 'regions', got 'corners'"),
    ],
)
def test_a_knob_that_cannot_be_turned_so_is_named(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        turn_knobs(PRESETS["quickstart"], knobs)
    with pytest.raises(ValidationError, match=said):
        SyntheticDataset(knobs=knobs)


def test_knobs_override_the_preset_and_nothing_else() -> None:
    config = SyntheticDataset(preset="off-nadir", knobs={"haze": 0.25, "objects": [2, 4]})
    assert config.scenes == PRESETS["off-nadir"].model_copy(update={"haze": 0.25, "objects": (2, 4)})
    assert SyntheticDataset(preset="off-nadir").scenes is PRESETS["off-nadir"]


def test_knobs_come_back_from_json_as_they_were() -> None:
    config = SyntheticDataset(knobs={"change_extent": (0.1, 0.2), "size": 128})
    again = SyntheticDataset.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.scenes == config.scenes
    assert config.knobs == {"change_extent": [0.1, 0.2], "size": 128}


def test_a_knob_left_where_it_was_makes_no_other_dataset() -> None:
    plain = SyntheticDataset()
    assert content_hash(SyntheticDataset(knobs={"haze": 0.5, "objects": (3, 7)})) == content_hash(plain)
    assert content_hash(SyntheticDataset(knobs={"haze": 0.6})) != content_hash(plain)
    assert content_hash(SyntheticDataset(knobs={"blur": 0.6, "haze": 0.6})) == content_hash(
        SyntheticDataset(knobs={"haze": 0.6, "blur": 0.6})
    )


def test_an_unknown_preset_is_the_error_even_with_knobs() -> None:
    with pytest.raises(
        ValidationError, match="unknown preset 'qickstart'; there are: change-only, class-balance, "
    ) as error:
        SyntheticDataset(preset="qickstart", knobs={"haze": 0.1})
    assert error.value.error_count() == 1


def test_every_preset_has_its_question() -> None:
    assert list(QUESTIONS) == list(PRESETS)
    assert all(question[0].isupper() and "?" in question for question in QUESTIONS.values())


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_frozen(preset: str) -> None:
    """A preset that would show other scenes is a new preset, with a new name; so are knobs whose default moves."""
    knobs = PRESETS[preset].model_dump(mode="json")
    assert content_hash({name: knobs[name] for name in KNOBS_OF_VERSION_1})[:16] == FROZEN[preset]

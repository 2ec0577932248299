from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pairlab.experiment.datasets import DatasetName, SyntheticDataset, XbdDataset
from pairlab.experiment.synthetic_scenes import PRESETS, SyntheticScenes


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"objects": (7, 3)}, r"objects must be \[low, high\], got \[7, 3\]"),
        ({"object_size": (20, 9)}, r"object_size must be \[low, high\], got \[20, 9\]"),
        ({"change_extent": (0.9, 0.1)}, r"change_extent must be \[low, high\], got \[0\.9, 0\.1\]"),
        ({"objects": (0, 3)}, "at least 1 object"),
        ({"object_size": (3, 9)}, "a side of at least 4 pixels"),
        ({"object_size": (9, 65)}, "objects of 65 pixels do not fit into scenes of 64"),
        ({"size": 65}, "multiple of 32"),
    ],
)
def test_knobs_that_no_scene_can_have_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SyntheticScenes(**fields)


def test_a_preset_is_known() -> None:
    assert SyntheticDataset().scenes is PRESETS["quickstart"]
    with pytest.raises(ValidationError, match=r"unknown preset 'quickstrt'; there are: .*quickstart"):
        SyntheticDataset(preset="quickstrt")


@pytest.mark.parametrize("folder", ["/etc", "..", "a/../../b", "a\\b", "a\0b"])
def test_a_folder_stays_below_its_root(folder: str) -> None:
    with pytest.raises(ValidationError, match="must be a relative path below the data root, got "):
        XbdDataset(root="xbd", folder=folder)


@pytest.mark.parametrize(("given", "kept"), [("", ""), (".", ""), ("a/./b/", "a/b"), ("a//b", "a/b"), ("..a", "..a")])
def test_a_folder_has_one_spelling(given: str, kept: str) -> None:
    assert XbdDataset(root="xbd", folder=given).folder == kept


@pytest.mark.parametrize("root", ["", "../x", "a/b", "a b"])
def test_a_root_is_a_name(root: str) -> None:
    with pytest.raises(ValidationError, match="root"):
        XbdDataset(root=root)


@pytest.mark.parametrize("name", ["", ".hidden", "Upper", "a/b", "-a", "a" * 65, "ü"])
def test_a_dataset_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValidationError, match="match pattern"):
        TypeAdapter(DatasetName).validate_python(name)

"""Every recipe of docs/pretraining.md is a file that loads, and means what it says."""

import re
from pathlib import Path

import pytest

from pairlab.experiment.experiment import Experiment, parse_yaml

TEXT = (Path(__file__).parents[2] / "docs" / "pretraining.md").read_text()
RECIPES = [parse_yaml(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe["method"]["name"]))
def test_a_recipe_loads(recipe: dict[str, dict[str, object]]) -> None:
    assert recipe.keys() == {"method", "pretraining"}
    loaded = Experiment.model_validate(
        {
            "name": "recipe",
            "dataset": "tiny",
            "arms": {"clean": {"pairing": {"policy": "temporal", "pairs": 20}}},
            "reference": "clean",
            **recipe,
        }
    )
    for part in ("method", "pretraining"):
        assert getattr(loaded, part).model_dump(mode="json", exclude_unset=True) == recipe[part]


def test_there_is_a_recipe_of_every_paper() -> None:
    assert len(RECIPES) == TEXT.count("```yaml") == 8

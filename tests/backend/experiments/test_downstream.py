from typing import Any

import numpy as np
import pytest

from backend.experiments import downstream
from backend.experiments.downstream import downstream_warnings, label_problems
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.experiment import Experiment
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource

CLASSES = ("background", "intact", "damaged")
TEMPORAL = {"pairing": {"policy": "temporal", "pairs": 16, "noise": {"rate": 0.5}}}
RANDOM = {"baseline": "random_initialisation"}


def experiment(**changes: Any) -> Experiment:  # noqa: ANN401
    fields = {"name": "x", "dataset": "scenes", "arms": {"half": TEMPORAL, "random": RANDOM}, "reference": "half"}
    return Experiment.model_validate(fields | changes)


def train() -> ChipIndex:
    """Ten scenes of four chips."""
    index = build_index(SyntheticSource(SyntheticDataset(train=10, validation=1, test=1))).chips(32)
    return index.of_scenes({scene.name for scene in index.scenes if scene.split == "train"})


def problems(labels: dict[str, Any], **changes: Any) -> list[str]:  # noqa: ANN401
    return label_problems(experiment(labels=labels, **changes), train(), CLASSES, bands=3)


@pytest.mark.parametrize(
    ("fitting", "too_many", "sentence"),
    [
        ({"train_chips": 40}, {"train_chips": 41}, "asks for 41 labelled chips; the train split has 40 with data"),
        ({"train_scenes": 10}, {"train_scenes": 11}, "asks for 11 labelled scenes; the train split has 10 with data"),
    ],
)
def test_a_budget_beyond_the_train_split_is_refused_with_both_numbers(
    fitting: dict[str, Any], too_many: dict[str, Any], sentence: str
) -> None:
    assert np.count_nonzero(train().valid_pixels) == 40
    assert problems(fitting) == []
    (said,) = problems(too_many)
    assert said.endswith(sentence)
    assert problems({"train_share": 1.0}) == []


def test_more_labelled_chips_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = 40 * 32 * 32 * 3
    monkeypatch.setattr(downstream, "MEMORY", whole)
    sizes = {"chip_size": 32}
    assert problems({"train_share": 1.0}, **sizes) == []
    (said,) = problems({"train_share": 1.0, "input": "difference"}, **sizes)
    assert said.startswith("the chips of 10 labelled scenes take about")
    assert said.endswith("lower labels.train_share")
    assert problems({"train_share": 0.5, "input": "difference"}, **sizes) == []


def test_a_weight_of_a_class_that_there_is_not_is_refused() -> None:
    protocols = [{"name": "fine_tuning", "class_weights": {"damaged": 2.0}}]
    assert problems({}, protocols=protocols) == []
    (said,) = problems({}, protocols=[{"name": "fine_tuning", "class_weights": {"destroyed": 2.0}}])
    assert said == (
        "protocol fine_tuning: class_weights name 'destroyed', which is no class of scheme intact_damaged; "
        "the classes are: background, intact, damaged"
    )
    own = [{"name": "fine_tuning", "class_weights": {"un-classified": 2.0}}]
    assert problems({"unclassified": "own-class"}, protocols=own) == []
    assert len(problems({}, protocols=own)) == 1


def test_an_experiment_without_baselines_is_told_what_it_will_not_know() -> None:
    assert downstream_warnings(experiment()) == []
    (said,) = downstream_warnings(experiment(arms={"half": TEMPORAL}))
    assert said.startswith("no arm starts from random weights: nothing will tell whether pretraining helps at all")
    given = {"source": "hub", "name": "resnet18.a1_in1k"}
    (said,) = downstream_warnings(experiment(initial=given))
    assert said.endswith("add an arm with baseline: initial_weights")
    supervised = {"baseline": "initial_weights"}
    assert downstream_warnings(experiment(initial=given, arms={"half": TEMPORAL, "r": RANDOM, "s": supervised})) == []


def test_change_read_from_one_image_is_remarked() -> None:
    (said,) = downstream_warnings(experiment(labels={"scheme": "change"}))
    assert "labels.input: difference or concatenation" in said
    assert downstream_warnings(experiment(labels={"scheme": "change", "input": "difference"})) == []

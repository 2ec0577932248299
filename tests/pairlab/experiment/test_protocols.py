import pytest
from pydantic import TypeAdapter, ValidationError

from pairlab.experiment.experiment import dump_experiment, load_experiment
from pairlab.experiment.protocols import FineTuning, Labels, LinearProbe, Protocol, SmallDecoder
from tests.pairlab.training_jobs import experiment

PROTOCOL: TypeAdapter[LinearProbe | SmallDecoder | FineTuning] = TypeAdapter(Protocol)


def test_a_file_of_before_means_what_it_meant() -> None:
    assert (Labels().train_chips, Labels().train_scenes, Labels().train_share) == (32, None, None)
    assert Labels().input == "post"
    for name in ("linear_probe", "fine_tuning"):
        protocol = PROTOCOL.validate_python({"name": name})
        assert (protocol.loss, protocol.class_weights, protocol.checkpoint) == ("cross_entropy", "equal", "last")
        assert protocol.rates == (protocol.learning_rate,)
    assert (LinearProbe().learning_rate, FineTuning().learning_rate) == (1e-2, 1e-3)


@pytest.mark.parametrize("budget", [{"train_scenes": 5}, {"train_share": 0.1}, {"train_chips": 8}])
def test_one_budget_takes_the_place_of_the_default(budget: dict[str, float]) -> None:
    labels = Labels.model_validate(budget)
    (name,) = budget
    others = {"train_chips", "train_scenes", "train_share"} - {name}
    assert [getattr(labels, other) for other in others] == [None, None]
    assert labels.model_dump(exclude_unset=True) == budget
    assert Labels.model_validate(labels.model_dump(mode="json")) == labels
    text = dump_experiment(experiment(labels=budget))
    assert load_experiment(text).labels == labels


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"train_chips": 8, "train_share": 0.1}, "one budget of labels, got train_chips: 8 and train_share: 0.1"),
        ({"train_scenes": 8, "train_share": 0.1}, "one budget of labels, got train_scenes: 8 and train_share: 0.1"),
        ({"train_chips": None}, "train_chips: null leaves no labels"),
        ({"train_share": 0.0}, "greater than 0"),
        ({"train_share": 1.1}, "less than or equal to 1"),
        ({"input": "pre"}, "input: pre shows nothing of intact_damaged, which the image before cannot tell"),
        ({"input": "pre", "scheme": "change"}, "take input post, difference or concatenation, or scheme building"),
    ],
)
def test_labels_that_contradict_themselves_are_refused(labels: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Labels.model_validate(labels)


def test_the_image_before_is_allowed_for_buildings() -> None:
    assert Labels.model_validate({"input": "pre", "scheme": "building"}).input == "pre"


@pytest.mark.parametrize("name", ["linear_probe", "small_decoder", "fine_tuning"])
def test_a_search_tries_each_rate_in_full(name: str) -> None:
    protocol = PROTOCOL.validate_python({"name": name, "steps": 30, "learning_rates": [1e-3, 1e-2, 1e-1]})
    assert (protocol.rates, protocol.total_steps) == ((1e-3, 1e-2, 1e-1), 90)
    assert PROTOCOL.validate_python(protocol.model_dump(mode="json")) == protocol
    for rates in ([1e-3], [1e-3, 1e-3]):
        with pytest.raises(ValidationError, match="a search needs two or more different rates"):
            PROTOCOL.validate_python({"name": name, "learning_rates": rates})


@pytest.mark.parametrize("weights", ["balanced", {"damaged": 3.0, "intact": 0.5}])
def test_class_weights_are_a_rule_or_numbers_by_class(weights: object) -> None:
    protocol = PROTOCOL.validate_python({"name": "fine_tuning", "class_weights": weights})
    assert protocol.class_weights == weights
    with pytest.raises(ValidationError, match="greater than 0"):
        PROTOCOL.validate_python({"name": "fine_tuning", "class_weights": {"damaged": 0}})

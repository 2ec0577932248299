from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.change_scores import Cva, EmbeddingDistance, IrMad
from pairlab.experiment.experiment import (
    Arm,
    Experiment,
    ExperimentError,
    dump_experiment,
    load_experiment,
    parse_yaml,
)
from pairlab.experiment.methods import BYOL, BarlowTwins, ChangeWeight, MoCo, PixelInfoNCE, SimCLR, SimSiam, VICReg
from pairlab.experiment.model import content_hash
from pairlab.experiment.network import Network
from pairlab.experiment.pairing import ChangeScoreFilter, NoFilter, Noise, OracleFilter, Pairing, TimeGap
from pairlab.experiment.protocols import FineTuning, Labels, LinearProbe, Splits
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.experiment.training import Augmentation, Pretraining

SHIPPED = sorted(Path(__file__).parents[3].joinpath("experiments").glob("*.yaml"))

LEAST = """\
name: least
dataset: d
arms:
  a: {baseline: random_initialisation}
  b: {pairing: {policy: temporal}}
reference: a
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ExperimentError) as error:
        load_experiment(text)
    return error.value.problems


SHARES = st.floats(0, 1)
SPANS = st.tuples(SHARES, SHARES).map(lambda span: (min(span), max(span)))
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(
    str.strip
)
NOISES = st.one_of(
    st.builds(Noise, extent=SPANS, min_changed_pixels=st.integers(1, 99)),
    st.builds(
        Noise,
        rate=SHARES,
        extent=SPANS,
        control=st.sampled_from([None, "rerender", "same_acquisition", "replace"]),
        shift_px=st.floats(0, 64),
    ),
)
MISMATCHES = st.builds(
    Noise,
    rate=st.none() | st.floats(0, 0.5),
    mismatch_rate=st.floats(0, 0.5),
    mismatch_from=st.sampled_from(["same_event", "other_event", "similar"]),
)
SCORES = st.one_of(
    st.just(Cva()),
    st.builds(IrMad, iterations=st.integers(1, 200)),
    st.builds(EmbeddingDistance, weights=st.sampled_from(["published", "random", "0a" * 32])),
)
SIMPLE_FILTERS = st.sampled_from([NoFilter(), OracleFilter()])
PAIR_FILTERS = st.one_of(
    SIMPLE_FILTERS,
    st.builds(ChangeScoreFilter, score=SCORES, threshold=st.floats(-10, 10)),
    st.builds(ChangeScoreFilter, score=SCORES, quantile=SHARES),
)
GAPS = st.one_of(
    st.builds(TimeGap, steps=st.tuples(st.integers(0, 2), st.integers(2, 9))),
    st.builds(TimeGap, days=st.tuples(st.floats(0, 30), st.floats(30, 900))),
)
PAIRINGS = st.one_of(
    st.builds(Pairing, policy=st.just("same_image"), acquisition=st.sampled_from(["balanced", "pre", "2024-01-01"])),
    st.builds(Pairing, policy=st.just("temporal"), noise=NOISES, filter=PAIR_FILTERS, pairs=st.integers(2, 10**6)),
    st.builds(Pairing, policy=st.just("temporal"), noise=MISMATCHES, filter=SIMPLE_FILTERS),
    st.builds(Pairing, policy=st.just("temporal"), time_gap=GAPS, filter=SIMPLE_FILTERS),
)
METHODS = st.one_of(
    st.builds(SimCLR, temperature=st.floats(0, 10, exclude_min=True)),
    st.builds(BarlowTwins, redundancy_weight=st.floats(0, 100)),
    st.builds(SimSiam, predictor_dim=st.integers(2, 4096)),
    st.builds(BYOL, momentum=st.floats(0, 1)),
    st.builds(MoCo, queue_size=st.integers(2, 65_536), key_parts=st.integers(1, 8)),
    st.builds(VICReg, invariance_weight=st.floats(0, 100), embedding_dim=st.integers(2, 4096)),
    st.builds(
        PixelInfoNCE,
        matching=st.sampled_from(["geometric", "feature"]),
        change_weight=st.none() | st.builds(ChangeWeight, scale=st.floats(0.1, 100)),
    ),
)
COLUMN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
FILTERS = st.builds(
    SceneFilter,
    events=st.lists(NAMES, max_size=2).map(tuple),
    splits=st.lists(st.sampled_from(["train", "test"]), max_size=2).map(tuple),
    change_share=st.none() | SPANS,
    offset=st.none() | SPANS,
    where=st.dictionaries(COLUMN, SPANS | st.lists(COLUMN, min_size=1, max_size=3).map(tuple), max_size=2),
    only=st.lists(NAMES, max_size=3).map(tuple),
)
ARMS = st.dictionaries(
    NAMES.map(str.strip),
    st.one_of(
        st.builds(
            Arm,
            pairing=PAIRINGS,
            method=st.none() | METHODS,
            dataset=st.sampled_from([None, "data-set.1", "other"]),
            scenes=st.none() | FILTERS,
        ),
        st.just(Arm(baseline="random_initialisation")),
    ),
    min_size=1,
    max_size=4,
)
RATES = st.floats(0, 10, exclude_min=True)
PROTOCOLS = st.one_of(
    st.tuples(st.builds(LinearProbe, learning_rate=RATES)),
    st.tuples(st.builds(FineTuning, steps=st.integers(1, 999)), st.just(LinearProbe())),
)

SPLITS = st.one_of(
    st.builds(Splits, test_events=st.lists(NAMES).map(tuple), validation_share=SHARES),
    st.builds(
        Splits,
        by=st.sampled_from(["random", "blocks"]),
        test_share=st.floats(0, 0.45),
        validation_share=st.floats(0, 0.45),
        block_metres=st.floats(100, 1e6),
    ),
)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    fields: dict[str, Any] = {
        "description": st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=80),
        "scenes": FILTERS,
        "splits": SPLITS,
        "chip_size": st.sampled_from([32, 64, 1024]),
        "labels": st.builds(
            Labels,
            scheme=st.sampled_from(["building", "damage_levels", "change"]),
            unclassified=st.sampled_from(["ignore", "no-damage", "own-class"]),
        ),
        "method": st.one_of(st.builds(SimCLR, temperature=RATES), st.builds(PixelInfoNCE, temperature=RATES)),
        "network": st.builds(Network, encoder=st.sampled_from(["resnet18", "1e3", "null"])),
        "pretraining": st.builds(
            Pretraining,
            learning_rate=RATES,
            augmentation=st.builds(Augmentation, flips=st.booleans(), hue=st.floats(0, 0.5)),
        ),
        "margin": st.floats(0, 100, exclude_min=True),
        "looks": st.sets(st.integers(2, 99)).map(lambda looks: tuple(sorted(looks))),
        "seeds": st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5, unique=True).map(tuple),
        "protocols": PROTOCOLS,
    }
    arms = draw(ARMS)
    chosen = {name: draw(strategy) for name, strategy in fields.items() if draw(st.booleans())}
    if any(arm.scenes not in (None, chosen.get("scenes", SceneFilter())) for arm in arms.values()):
        chosen.pop("splits", None)
    reference = draw(st.sampled_from(sorted(arms)))
    return Experiment(name=draw(NAMES), dataset="data-set.1", arms=arms, reference=reference, **chosen)


@settings(deadline=None, max_examples=150)
@given(experiments())
def test_an_experiment_comes_back_from_its_yaml(experiment: Experiment) -> None:
    text = dump_experiment(experiment)
    loaded = load_experiment(text)
    assert loaded == experiment
    assert list(loaded.arms) == list(experiment.arms)
    assert content_hash(loaded) == content_hash(experiment)
    assert dump_experiment(loaded) == text


@settings(deadline=None, max_examples=100)
@given(experiments(), experiments())
def test_an_experiment_comes_back_from_the_text_of_another(earlier: Experiment, later: Experiment) -> None:
    text = dump_experiment(later, commented="# what for\n" + dump_experiment(earlier))
    assert load_experiment(text) == later
    assert list(load_experiment(text).arms) == list(later.arms)


@given(experiments())
@settings(deadline=None, max_examples=60)
def test_an_experiment_comes_back_from_json(experiment: Experiment) -> None:
    assert Experiment.model_validate_json(experiment.model_dump_json()) == experiment


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_load_and_keep_their_text(path: Path) -> None:
    text = path.read_text()
    experiment = load_experiment(text)
    assert dump_experiment(experiment, commented=text) == text
    assert load_experiment(dump_experiment(experiment)) == experiment


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_changed_shipped_file_keeps_its_comments(path: Path) -> None:
    text = path.read_text()
    experiment = load_experiment(text).model_copy(update={"seeds": (7, 8, 9), "margin": 2.5})
    changed = dump_experiment(experiment, commented=text)
    assert load_experiment(changed) == experiment
    assert set(comments(text)) <= set(comments(changed))


def comments(text: str) -> Iterator[str]:
    return (line[line.index("#") :] for line in text.splitlines() if "#" in line)


def test_there_are_shipped_files() -> None:
    assert "quickstart.yaml" in [path.name for path in SHIPPED]


def test_a_dump_holds_what_was_set_and_no_defaults() -> None:
    assert dump_experiment(load_experiment(LEAST)) == (
        "version: 1\nname: least\ndataset: d\narms:\n  a:\n    baseline: random_initialisation\n"
        "  b:\n    pairing:\n      policy: temporal\nreference: a\n"
    )


def test_models_made_without_a_file_say_which_they_are() -> None:
    experiment = load_experiment(LEAST).model_copy(
        update={"method": SimCLR(temperature=0.1), "protocols": (LinearProbe(steps=5),)}
    )
    dumped = parse_yaml(dump_experiment(experiment))
    assert dumped["method"] == {"name": "simclr", "temperature": 0.1}
    assert dumped["protocols"] == [{"name": "linear_probe", "steps": 5}]


def test_the_hash_depends_on_values_alone() -> None:
    reordered = """\
reference: a
seeds: [0, 1]   # the default
arms: {b: {pairing: {noise: {rate: null}, policy: temporal}}, a: {baseline: random_initialisation}}
dataset: "d"
name:   least
version: 1
"""
    expected = load_experiment(LEAST)
    assert content_hash(load_experiment(reordered)) == content_hash(expected)
    assert content_hash(load_experiment(LEAST.replace("temporal", "same_image"))) != content_hash(expected)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tset: 1", "tset: unknown key; did you mean 'dataset'?"),
        ("margin: .nan", "margin: must be a finite number (got nan)"),
        ("margin: .inf", "margin: must be a finite number (got inf)"),
        ("margin: -.inf", "margin: must be a finite number (got -inf)"),
        ("version: 2", "version: must be 1 (got 2)"),
        ("version: true", "experiment: version cannot be true or false, got true"),
        ("seeds: [1, 2, 1]", "experiment: seeds must differ, got [1, 2, 1]"),
        ("looks: [5, 5]", "experiment: looks must be rising numbers of seeds of at least 2, got [5, 5]"),
        ("looks: [1, 5]", "experiment: looks must be rising numbers of seeds of at least 2, got [1, 5]"),
        (
            "protocols: [{name: linear_probe}, {name: linear_probe, steps: 3}]",
            "experiment: protocols must differ, got ['linear_probe', 'linear_probe']",
        ),
        (
            "splits: {by: random, test_share: 0.7, validation_share: 0.4}",
            "splits: test_share 0.7 and validation_share 0.4 leave nothing to train on; their sum must be below 1",
        ),
        ("splits: {by: events}", "splits: by: events needs test_events, the events held out for the test"),
        (
            "splits: {by: blocks, test_events: [x]}",
            "splits: test_events hold whole events out, which by: blocks does not; take by: events",
        ),
        (
            "splits: {by: blocks, block_metres: 10}",
            "splits.block_metres: must be greater than or equal to 100 (got 10)",
        ),
        ("scenes: {change_share: [0.5, 0.1]}", "scenes: change_share must be [low, high], got [0.5, 0.1]"),
        ("scenes: {where: {angle: [30, 10]}}", "scenes: where.angle must be [low, high], got [30.0, 10.0]"),
        ("scenes: {evnts: [a]}", "scenes.evnts: unknown key; did you mean 'events'?"),
        ("chip_size: 2048", "chip_size: must be less than or equal to 1024 (got 2048)"),
        ("name: again", 'not valid YAML: line 7, column 1: while constructing a mapping: found duplicate key "name"'),
        ("network: &net {encoder: resnet18}", "not valid YAML: line 7, column 10: anchors and aliases"),
    ],
)
def test_bad_lines_are_named(line: str, said: str) -> None:
    (sentence,) = problems(f"{LEAST}{line}\n")
    assert sentence.startswith(said)


def test_the_reference_is_an_arm() -> None:
    assert problems(LEAST.replace("reference: a", "reference: c")) == [
        "experiment: reference 'c' is not an arm; the arms are: a, b"
    ]


def test_excluding_changed_pixels_needs_a_dense_method() -> None:
    text = LEAST.replace("policy: temporal", "policy: temporal, noise: {rate: 0.5, control: masked}")
    assert load_experiment(text).method.name == "pixel_infonce"
    (said,) = problems(text + "method: {name: simclr}\n")
    assert said == (
        "experiment: arm 'b': control 'masked' excludes changed pixels from matching, which simclr does not do; "
        "take pixel_infonce with geometric matching or pixpro, or another control"
    )


def test_ten_thousand_arms_are_refused_in_a_sentence() -> None:
    arms = "".join(f"  x{number}: {{}}\n" for number in range(10_000))
    said = problems(f"name: n\ndataset: d\nreference: x0\narms:\n{arms}")
    assert len(said) <= 51
    many = {f"x{number}": {"baseline": "random_initialisation"} for number in range(101)}
    with pytest.raises(ValueError, match="at most 100 items"):
        Experiment.model_validate({"name": "n", "dataset": "d", "reference": "x0", "arms": many})


WORDED = """\
name: least # its name
dataset: d
arms:
  plain: {pairing: {policy: temporal}} # nothing thrown away
  oracle: # what labels could do
    pairing: # temporal
      policy: temporal
      filter: oracle # with labels
  scored:
    pairing:
      policy: temporal
      filter:
        by: change_score # without labels
        score: {name: cva} # cheap
        quantile: 0.9 # of all chips
reference: plain
"""


def test_filters_come_back_from_a_commented_text() -> None:
    experiment = load_experiment(WORDED)
    filters = [arm.pairing.filter for arm in experiment.arms.values() if arm.pairing is not None]
    assert filters == [NoFilter(), OracleFilter(), ChangeScoreFilter(score=Cva(), quantile=0.9)]
    written = dump_experiment(experiment, commented=WORDED)
    assert load_experiment(written) == experiment
    assert list(comments(written)) == list(comments(WORDED))
    arms = experiment.arms | {"plain": experiment.arms["oracle"], "oracle": experiment.arms["plain"]}
    swapped = Experiment.model_validate(experiment.model_dump(exclude_unset=True) | {"arms": arms})
    assert load_experiment(dump_experiment(swapped, commented=WORDED)) == swapped


SCHEMA = Experiment.model_json_schema()


def test_the_json_schema_accepts_a_filter_as_a_word() -> None:
    jsonschema.validate(parse_yaml(WORDED), SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(parse_yaml(WORDED.replace("filter: oracle", "filter: orcle")), SCHEMA)


def test_the_json_schema_is_one_and_explains_its_fields() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["required"] == ["name", "dataset", "arms", "reference"]
    assert SCHEMA["additionalProperties"] is False
    assert SCHEMA["properties"]["margin"]["description"].startswith("δ, mIoU points")
    assert set(SCHEMA["properties"]["method"]["discriminator"]["mapping"]) == {
        "pixel_infonce",
        "densecl",
        "pixpro",
        "vicregl",
        "simclr",
        "moco",
        "byol",
        "simsiam",
        "vicreg",
        "barlow_twins",
        "seco",
    }


@settings(deadline=None, max_examples=30)
@given(experiments())
def test_the_json_schema_accepts_what_the_models_accept(experiment: Experiment) -> None:
    jsonschema.validate(parse_yaml(dump_experiment(experiment)), SCHEMA)
    jsonschema.validate(experiment.model_dump(mode="json"), SCHEMA)


@pytest.mark.parametrize(
    "line", ["tset: 1", "margin: 0", "chip_size: 33", "seeds: []", "method: {name: swav}", "version: 2"]
)
def test_the_json_schema_refuses_what_the_models_refuse(line: str) -> None:
    content = parse_yaml(f"{LEAST}{line}\n")
    assert problems(f"{LEAST}{line}\n")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, SCHEMA)

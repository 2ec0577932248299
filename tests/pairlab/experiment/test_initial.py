from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.differences import Difference, differences
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.fit import ExpansionError
from pairlab.experiment.initial import FileWeights, HubWeights, Initial, JobWeights, RandomWeights, initial_in_words
from pairlab.experiment.jobs import DatasetReference, PlannedJob, PretrainJob, SegmentJob, job_key

DATASET = DatasetReference(name="d", config=SyntheticDataset(), fingerprint="a" * 64)
FILE: dict[str, Any] = {"source": "file", "root": "models", "path": "r18.safetensors"}
JOB: dict[str, Any] = {"source": "job", "key": "b" * 64}
TEMPORAL: dict[str, Any] = {"pairing": {"policy": "temporal"}}
WEIGHTS = FileWeights.model_validate(FILE)


def experiment(**fields: Any) -> Experiment:  # noqa: ANN401
    arms = {"pretrained": TEMPORAL, "random": {"baseline": "random_initialisation"}}
    given = {"name": "e", "dataset": "d", "arms": arms, "reference": "pretrained", "seeds": [0], **fields}
    return Experiment.model_validate(given)


def plan(hashes: dict[FileWeights, str] | None = None, **fields: Any) -> dict[tuple[str, str], PlannedJob]:  # noqa: ANN401
    jobs = expand(experiment(**fields), DATASET, files=hashes)
    return {(job.config.kind, arm): job for job in jobs for arm, _ in job.uses}


def initial_of(job: PlannedJob) -> Initial:
    assert isinstance(job.config, PretrainJob | SegmentJob)
    return job.config.initial


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (FILE | {"path": "/etc/w.pth"}, "must be a relative path below the data root"),
        (FILE | {"path": "../w.pth"}, "must be a relative path below the data root"),
        (FILE | {"path": "weights.bin"}, "must be a file that ends in .safetensors, .pth, .pt, got 'weights.bin'"),
        (FILE | {"sha256": "abc"}, "pattern"),
        (JOB | {"key": "b"}, "pattern"),
        ({"source": "hub", "name": "org/model"}, "pattern"),
        ({"source": "web"}, "does not match any of the expected tags"),
    ],
)
def test_what_names_no_weights_is_refused(fields: dict[str, Any], said: str) -> None:
    adapter: TypeAdapter[Initial] = TypeAdapter(Initial)
    with pytest.raises(ValidationError, match=said):
        adapter.validate_python(fields)


def test_sources_in_words() -> None:
    assert [
        initial_in_words(each)
        for each in (RandomWeights(), WEIGHTS, JobWeights(key="b" * 64), HubWeights(name="resnet18.a1_in1k"))
    ] == [
        "random weights",
        "encoder of the file r18.safetensors in models",
        "encoder and decoder of the pretraining bbbbbbbb",
        "encoder resnet18.a1_in1k of the hub",
    ]


def test_a_file_is_pinned_by_its_content_in_every_job_that_starts_from_it() -> None:
    first, again = (plan({WEIGHTS: digit * 64}, initial=FILE) for digit in "12")
    named = plan({WEIGHTS.model_copy(update={"sha256": "1" * 64}): "1" * 64}, initial=FILE | {"sha256": "1" * 64})
    assert initial_of(first["pretrain", "pretrained"]) == WEIGHTS.model_copy(update={"sha256": "1" * 64})
    assert first["pretrain", "pretrained"].key == named["pretrain", "pretrained"].key
    assert first["pretrain", "pretrained"].key != again["pretrain", "pretrained"].key
    assert first["segment", "pretrained"].key != again["segment", "pretrained"].key
    # The random baseline starts from nothing, so it is one job whatever the others start from.
    assert first["segment", "random"].key == again["segment", "random"].key == plan()["segment", "random"].key


def test_another_file_than_the_pinned_one_is_refused() -> None:
    pinned = FILE | {"sha256": "1" * 64}
    with pytest.raises(ExpansionError, match=f"has SHA-256 {'2' * 64}, and {'1' * 64} is asked for"):
        plan({FileWeights.model_validate(pinned): "2" * 64}, initial=pinned)
    with pytest.raises(ExpansionError, match="was not read"):
        plan(initial=FILE)


def test_random_weights_written_out_are_the_same_jobs() -> None:
    plain, written = plan(), plan(initial={"source": "random"}, transfer="encoder_decoder")
    assert {key: job.key for key, job in plain.items()} == {key: job.key for key, job in written.items()}


def test_transfer_is_of_segmentations_alone() -> None:
    both, encoder = plan(), plan(transfer="encoder")
    assert both["pretrain", "pretrained"].key == encoder["pretrain", "pretrained"].key
    for arm in ("pretrained", "random"):
        assert both["segment", arm].key != encoder["segment", arm].key


def test_a_baseline_of_initial_weights_is_a_segmentation_without_pretraining() -> None:
    given = {"baseline": "initial_weights"}
    arms = {"pretrained": TEMPORAL, "given": given, "own": given | {"initial": {"source": "hub", "name": "a.b"}}}
    jobs = plan({WEIGHTS: "1" * 64}, arms=arms, initial=FILE)
    assert sorted(jobs) == [
        ("pretrain", "pretrained"),
        ("segment", "given"),
        ("segment", "own"),
        ("segment", "pretrained"),
    ]
    assert initial_of(jobs["segment", "given"]) == initial_of(jobs["pretrain", "pretrained"])
    assert initial_of(jobs["segment", "own"]) == HubWeights(name="a.b")
    assert initial_of(jobs["segment", "pretrained"]) == RandomWeights()  # its pretraining's key says it all
    assert jobs["segment", "given"].depends_on is None


def test_what_starts_from_an_earlier_job_waits_for_it() -> None:
    jobs = plan(initial=JOB, arms={"pretrained": TEMPORAL, "given": {"baseline": "initial_weights"}})
    assert jobs["pretrain", "pretrained"].depends_on == "b" * 64
    assert jobs["segment", "given"].depends_on == "b" * 64
    assert jobs["segment", "pretrained"].depends_on == jobs["pretrain", "pretrained"].key
    filtering = {"policy": "temporal", "filter": {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.5}}
    waits = plan(initial=JOB, arms={"pretrained": {"pairing": filtering}})
    assert waits["pretrain", "pretrained"].depends_on == waits["score", "pretrained"].key


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"baseline": "random_initialisation", "initial": FILE}, "a baseline is not pretrained: remove initial"),
        ({"baseline": "initial_weights"}, "arm 'other': baseline initial_weights needs weights to start from"),
        ({"baseline": "initial_weights", "method": {"name": "simclr"}}, "a baseline is not pretrained: remove method"),
    ],
)
def test_a_baseline_has_what_it_starts_from_and_nothing_else(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        experiment(arms={"pretrained": TEMPORAL, "other": fields})


def test_initial_weights_are_a_factor_of_contrasts() -> None:
    arms = {"pretrained": TEMPORAL, "given": TEMPORAL | {"initial": FILE}, "none": {"baseline": "initial_weights"}}
    asked = experiment(arms=arms, initial=JOB)
    assert {name: asked.factors(name) for name in arms} == {"pretrained": (), "given": ("initial",), "none": ()}
    assert asked.initial_of(asked.arms["given"]) == WEIGHTS


def test_another_source_is_one_difference() -> None:
    found = differences(experiment(initial=FILE), experiment(initial=JOB))
    assert found == [Difference(("initial",), FILE, JOB)]
    (part,) = differences(experiment(initial=FILE), experiment(initial=FILE | {"part": "encoder_decoder"}))
    assert part == Difference(("initial", "part"), "encoder", "encoder_decoder")


def test_a_decoder_that_needs_larger_chips_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValidationError, match="decoder 'pan' needs chips of 128 pixels, got chip_size 96: raise it"):
        experiment(network={"decoder": "pan"}, chip_size=96)
    assert experiment(network={"decoder": "pan"}, chip_size=128).chip_size == 128


def test_job_keys_tell_parts_apart() -> None:
    whole, part = (plan(initial=JOB | {"part": each}) for each in ("encoder_decoder", "encoder"))
    config = whole["pretrain", "pretrained"].config
    assert job_key(config) == whole["pretrain", "pretrained"].key != part["pretrain", "pretrained"].key

"""The shipped questions: each says what it asks, fits its dataset, and differs arm by arm in one thing."""

from collections.abc import Iterator
from typing import Any

import pytest

from backend.experiments.examples import list_examples
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import PretrainJob, SegmentJob, job_key
from pairlab.experiment.pairing import Pairing
from tests.experiments.ready_questions import EVERY, READY, RENDERED, Question, announced, pretrainings

ASKED = (
    "noise-rate",
    "extent",
    "mismatch",
    "misregistration",
    "nuisance",
    "filter",
    "temporal",
    "class-balance",
    "paper",
)
CROSSED = ("class-balance", "class-balance-xbd")
"""Questions about two factors at once."""
MASKED = ("filter", "filter-xbd")
"""Questions with an arm that masks where the reference does not, and say so."""

every = pytest.mark.parametrize("question", EVERY.values(), ids=EVERY)
ready = pytest.mark.parametrize("question", READY.values(), ids=READY)


def test_each_question_is_asked_of_rendered_scenes_and_of_xbd() -> None:
    assert {name for question in ASKED for name in (question, f"{question}-xbd")} == set(READY)
    assert [name for name in ASKED if name not in RENDERED] == []
    assert [name for name in ASKED if f"{name}-xbd" in RENDERED] == []


def test_all_are_listed_the_quickstart_first_and_xbd_behind_its_twin() -> None:
    listed = list_examples()
    names = [each.name for each in listed]
    assert names[0] == "quickstart"
    assert sorted(names) == sorted(EVERY)
    for name in ASKED:
        assert names.index(f"{name}-xbd") == names.index(name) + 1
    for each in listed:
        question = EVERY[each.name]
        assert (each.yaml, each.dataset) == (question.text, question.experiment.dataset)
        assert each.title == question.text.splitlines()[0].removeprefix("# ")
        assert 10 < len(each.title) < 100
        assert {registered.name: registered.config for registered in each.registrations} == (
            {} if question.of_files else {name: found.config for name, found in question.references().items()}
        )
    assert len({each.title for each in listed}) == len(listed)
    assert len({question.experiment.name for question in EVERY.values()}) == len(EVERY)


@ready
def test_the_comments_say_how_to_run_it_what_an_answer_is_and_what_it_costs(question: Question) -> None:
    lines = question.header.splitlines()
    assert f"pairlab run experiments/{question.name}.yaml --watch" in lines
    for beginning in ("An answer", "A further rung: ", "Cost: "):
        assert [line for line in lines if line.startswith(beginning)], beginning
    if question.of_files:
        assert f"pairlab dataset add xbd FOLDER --name {question.experiment.dataset}" in lines
        assert "pairlab up --data-root xbd=FOLDER" in lines


@every
def test_the_commands_register_the_datasets_it_names_and_no_others(question: Question) -> None:
    experiment = question.experiment
    named = {experiment.dataset} | {arm.dataset for arm in experiment.arms.values() if arm.dataset is not None}
    assert set(question.references()) == named


@ready
def test_it_costs_what_its_comments_say(question: Question) -> None:
    experiment, references = question.experiment, question.references()
    jobs = [job.config for job in expand(experiment, references[experiment.dataset], pretrained_on=references)]
    pretrain, segment = (sum(isinstance(job, kind) for job in jobs) for kind in (PretrainJob, SegmentJob))
    said_pretrain, said_segment = announced(question)
    assert pretrain == said_pretrain
    assert said_segment in (segment, None)
    assert (said_segment is None) == question.of_files


@ready
def test_seeds_and_margin_are_declared(question: Question) -> None:
    experiment = question.experiment
    assert experiment.looks == (5, 10, 20)
    assert len(experiment.seeds) == experiment.looks[0]
    assert {"margin", "looks", "seeds"} <= experiment.model_fields_set
    assert [protocol.name for protocol in experiment.protocols] == ["linear_probe", "fine_tuning"]
    assert len({arm.pairing.pairs for arm in experiment.arms.values() if arm.pairing is not None}) == 1


@every
def test_each_arm_differs_from_the_reference_in_one_factor(question: Question) -> None:
    experiment = question.experiment
    of_two = {name: factors for name in experiment.arms if len(factors := experiment.factors(name)) > 1}
    if question.name not in CROSSED:
        assert of_two == {}
        return
    assert of_two
    cells = {_cell(experiment, name) for name in experiment.arms}
    balances, noises = ({cell[side] for cell in cells} for side in (0, 1))
    assert len(cells) == len(experiment.arms) == len(balances) * len(noises)  # every combination is there, once
    assert "two factors" in question.header.replace("\n", " ")


def _cell(experiment: Experiment, name: str) -> tuple[str, str]:
    arm = experiment.arms[name]
    assert arm.pairing is not None
    return f"{arm.dataset} {arm.scenes}", arm.pairing.model_dump_json()


@every
def test_within_its_pairing_an_arm_differs_in_one_knob(question: Question) -> None:
    experiment = question.experiment
    reference = experiment.arms[experiment.reference].pairing
    assert reference is not None
    for name, arm in experiment.arms.items():
        if arm.pairing is None:
            continue
        knobs = _turned(arm.pairing, reference)
        if question.name in MASKED and name == "masked":
            assert knobs == {"noise.rate", "noise.control"}
            assert '"masked"' in question.header
            continue
        assert len(knobs) <= 1, (name, knobs)


def _turned(pairing: Pairing, reference: Pairing) -> set[str]:
    """Returns the knobs that make a difference: those that the policy or another knob makes void are left out."""
    if pairing.policy != reference.policy:
        return {"policy"}
    mine, theirs = dict(_knobs(pairing)), dict(_knobs(reference))
    differing = {name for name in mine if mine[name] != theirs[name]}
    rates = {mine["noise.rate"], theirs["noise.rate"]}
    if 0.0 in rates:
        differing -= {"noise.extent"}
    if 1.0 in rates:
        differing -= {"noise.control"}
    if 0.0 in (mine["noise.mismatch_rate"], theirs["noise.mismatch_rate"]):
        differing -= {"noise.mismatch_from"}
    return differing


def _knobs(pairing: Pairing) -> Iterator[tuple[str, Any]]:
    for name, value in pairing:
        if name == "noise":
            yield from ((f"noise.{knob}", given) for knob, given in value)
        else:
            yield name, value


COPIES: dict[str, tuple[str, dict[str, Any]]] = {
    "noise-rate": ("rate 0.5", {"rate": 0.1}),
    "noise-rate-xbd": ("rate 0.5", {"rate": 0.1}),
    "extent": ("a third or less", {"rate": 0.15}),
    "extent-xbd": ("two thirds or more", {"rate": 0.15}),
    "mismatch": ("mismatch 0.5", {"mismatch_rate": 0.75}),
    "mismatch-xbd": ("mismatch 0.5", {"mismatch_rate": 0.75}),
    "misregistration": ("shift 4", {"shift_px": 6.0}),
    "misregistration-xbd": ("shift 4", {"shift_px": 6.0}),
    "paper": ("half noisy", {"rate": 0.75}),
    "paper-xbd": ("half noisy", {"rate": 0.75}),
    "class-balance": ("rare classes, half noisy", {"rate": 0.75}),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_further_rung_takes_over_all_other_pretrainings(name: str) -> None:
    question, (copied, turned) = READY[name], COPIES[name]
    content = question.experiment.model_dump(mode="json")
    rung = question.experiment.arms[copied].model_dump(mode="json")
    rung["pairing"]["noise"] |= turned
    content["arms"]["a further rung"] = rung
    references = question.references()
    before = {job_key(job) for job in pretrainings(question.experiment, references).values()}
    after = {job_key(job) for job in pretrainings(Experiment.model_validate(content), references).values()}
    assert before < after
    assert len(after) == len(before) + 1

import json
import re

import pytest

from frontend.following import plan_lines
from tests.frontend.test_cli import CONTROL_CODES, pairlab, refused
from tests.live_stack import LiveStack, log_tails, tiny_experiment

FILTERED = {
    "policy": "temporal",
    "noise": {"rate": 0.5},
    "pairs": 20,
    "filter": {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.6},
}


@pytest.fixture(scope="module")
def computed(stack: LiveStack) -> str:
    """What computing CVA for the dataset `cli-scored` printed."""
    stack.register("cli-scored", {"kind": "synthetic", "train": 40, "validation": 4, "test": 4})
    answer = pairlab(stack, "dataset", "score", "cli-scored", "cva")
    assert answer.returncode == 0, answer.stdout + answer.stderr + log_tails(stack.home)
    return answer.stdout


def test_a_score_is_followed_to_what_it_is_worth(stack: LiveStack, computed: str) -> None:
    assert not CONTROL_CODES.search(computed)
    assert re.search(r"^\[ *\d+ s\] dataset cli-scored, change score: done", computed, re.MULTILINE)
    (score,) = stack.client.scores("cli-scored")
    curve = stack.client.score_curve("cli-scored", score["id"], chip_size=64, min_changed_pixels=16)
    assert curve["auroc"] is not None
    assert f"CVA of cli-scored: AUROC {curve['auroc']:.3f}, average precision" in computed
    assert f"({curve['noisy']} noisy, {curve['clean']} clean" in computed


def test_the_same_score_is_not_computed_twice(stack: LiveStack, computed: str) -> None:
    assert computed
    jobs = stack.client.jobs(kind="score")["total"]
    again = pairlab(stack, "dataset", "score", "cli-scored", "cva")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("CVA of cli-scored: AUROC")
    assert stack.client.jobs(kind="score")["total"] == jobs


def test_scores_are_listed_with_what_they_are_worth(stack: LiveStack, computed: str) -> None:
    assert computed
    listed = pairlab(stack, "dataset", "scores", "cli-scored")
    assert listed.returncode == 0, listed.stderr
    (score,) = (each for each in json.loads(pairlab(stack, "dataset", "scores", "cli-scored", "--json").stdout))
    assert re.search(rf"CVA +done +{score['curve']['auroc']:.3f}", listed.stdout)
    assert "roc" not in score["curve"]
    small = pairlab(stack, "dataset", "scores", "cli-scored", "--chip-size", "32", "--min-changed-pixels", "4")
    assert "chips of 32 pixels" in small.stdout


def test_a_dataset_without_scores_says_how_to_compute_one(stack: LiveStack) -> None:
    stack.register("unscored", {"kind": "synthetic", "train": 6, "validation": 2, "test": 2})
    assert "pairlab dataset score unscored cva" in pairlab(stack, "dataset", "scores", "unscored").stdout
    assert json.loads(pairlab(stack, "dataset", "scores", "unscored", "--json").stdout) == []


def test_who_does_not_wait_is_told_how_to_follow(stack: LiveStack, computed: str) -> None:
    assert computed
    answer = pairlab(stack, "dataset", "score", "cli-scored", "irmad", "--draw", "2", "--no-wait")
    assert answer.returncode == 0, answer.stderr
    found = re.search(r"IR-MAD · draw 2 of cli-scored is queued\. Follow it: pairlab watch (\w+)", answer.stdout)
    assert found is not None
    watched = pairlab(stack, "watch", found[1])
    assert watched.returncode == 0, watched.stderr
    assert "dataset cli-scored, change score: done" in watched.stdout
    assert "dataset cli-scored" in pairlab(stack, "jobs").stdout


def test_an_encoder_may_come_from_a_finished_pretraining(stack: LiveStack, tiny: str, computed: str) -> None:
    assert computed
    stack.wait(stack.submit(tiny_experiment("to score with", dataset=tiny, seeds=[21])))
    pretraining = next(
        job for job in stack.client.jobs(kind="pretrain", status="succeeded")["items"] if job["seed"] == 21
    )
    answer = pairlab(stack, "dataset", "score", "cli-scored", "embedding", "--weights", pretraining["id"][:10])
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"pretraining {pretraining['key'][:8]} of cli-scored: AUROC" in answer.stdout
    assert any(each["score"].get("weights") == pretraining["key"] for each in stack.client.scores("cli-scored"))


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (["scores", "unheard-of"], "unheard-of", 1),
        (["score", "unheard-of", "cva"], "unheard-of", 1),
        (["score", "unscored", "embedding", "--weights", "nothing"], "neither published nor random", 1),
        (["score", "unscored", "embedding", "--weights", "0" * 64], "0" * 64, 1),
        (["score", "unscored", "embedding", "--encoder", "a b"], "encoder", 1),
        (["score", "unscored", "cva", "--encoder", "tu-resnet18"], "cva has no encoder", 2),
        (["score", "unscored", "ndvi"], "ndvi", 2),
        (["score", "unscored", "cva", "--draw", "-1"], "draw", 2),
    ],
)
def test_refusals_are_sentences(stack: LiveStack, arguments: list[str], sentence: str, code: int) -> None:
    stack.register("unscored", {"kind": "synthetic", "train": 6, "validation": 2, "test": 2})
    assert sentence in refused(stack, "dataset", *arguments, code=code)


def test_a_run_that_filters_says_what_it_computes_first(stack: LiveStack, computed: str) -> None:
    assert computed
    arms = {"unfiltered": {"pairing": {**FILTERED, "filter": "none"}}, "filtered": {"pairing": FILTERED}}
    experiment = tiny_experiment("filter or not", dataset="cli-scored", arms=arms, reference="unfiltered", seeds=[0])
    plan = stack.client.validate(json.dumps(experiment))
    assert plan["score_jobs"] == 1
    filtered = plan["filtered"]["filtered"]
    assert filtered is not None
    assert f"Arm 'filtered': its filter throws away {filtered['thrown_away']} pairs of 20" in plan_lines(plan)[0]

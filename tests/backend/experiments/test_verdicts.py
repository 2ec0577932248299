import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.artifacts.tables import ArtifactRow
from backend.context import Context
from backend.jobs.schemas import JobStatus
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import job_ids, segment_results, set_status

Make = Callable[..., dict[str, Any]]
WOBBLE = (0.003, -0.002, 0.001, -0.003, 0.002, 0.0, 0.001, -0.001, 0.002, -0.002)
"""Differences of ten seeds around their mean."""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One database is enough: verdicts are read from what the results say."""
    return f"sqlite:///{tmp_path / 'jobs.db'}"


def submit(client: TestClient, experiment: dict[str, Any]) -> str:
    return str(client.post(f"{API}/experiments", json={"experiment": experiment}).json()["id"])


def results(client: TestClient, experiment: str) -> dict[str, Any]:
    table: dict[str, Any] = client.get(f"{API}/experiments/{experiment}/results").json()
    return table


def finish(context: Context, experiment: str, arm: str, mious: Sequence[float], *, states: float = 0.5) -> None:
    """Lets the segmentations of an arm succeed, seed by seed; the state classes score `states` more than mIoU."""
    ids = job_ids(context, experiment)
    for seed, miou in enumerate(mious):
        found = segment_results(miou)
        for protocol in found["protocols"].values():
            protocol["test"]["iou"] |= {"intact": miou + states, "damaged": miou + states}
        set_status(context, ids["segment", arm, seed], JobStatus.SUCCEEDED, results=found)


def verdict(client: TestClient, experiment: str, arm: str = "half") -> dict[str, Any]:
    return next(each for each in results(client, experiment)["verdicts"] if each["arm"] == arm)


def shifted(by: float, n: int = 5) -> list[float]:
    return [0.4 + by + wobble for wobble in WOBBLE[:n]]


def test_without_a_score_there_is_no_verdict_and_baselines_never_get_one(client: TestClient, experiment: Make) -> None:
    table = results(client, submit(client, experiment()))
    assert [each["arm"] for each in table["verdicts"]] == ["half"]
    assert table["looks"] == [5, 10, 20]
    only = table["verdicts"][0]
    assert (only["outcome"], only["word"], only["endpoints"], only["next_look"]) == (None, "no verdict yet", [], 5)
    assert only["plain"].startswith("There are 0 seeds so far, and no verdict is given below 5 seeds.")


@pytest.mark.parametrize(
    ("difference", "outcome", "plain"),
    [
        (0.0, "robust", "no difference that matters"),
        (0.009, "not_harmed", "Whether it helps is open"),
        (0.03, "benefits", "This arm helps"),
        (-0.03, "harmed", "This arm hurts"),
        (-0.009, "undecided", "not the same as “no difference”"),
    ],
)
def test_five_seeds_give_one_of_five_words(
    client: TestClient, context: Context, experiment: Make, difference: float, outcome: str, plain: str
) -> None:
    first = submit(client, experiment(seeds=[0, 1, 2, 3, 4]))
    finish(context, first, "same", [0.4] * 5)
    finish(context, first, "half", shifted(difference))
    found = verdict(client, first)
    assert found["outcome"] == outcome
    assert found["word"] == outcome.replace("_", " ")
    assert plain in found["plain"]
    assert (found["look"], found["seeds"], found["next_look"], found["family"]) == (5, 5, 10, 1)
    assert found["interval_level"] == pytest.approx(1 - 0.1 / 3)
    assert [each["title"] for each in found["endpoints"]] == ["mIoU", "mean IoU of intact and damaged"]
    assert [each["mean"] for each in found["endpoints"]] == pytest.approx([100 * difference + 0.02] * 2)
    assert (found["needed"] == "") == (outcome != "undecided")
    assert found["history"] == [{"look": 5, "outcome": outcome}]


def test_harm_to_the_state_classes_alone_is_harm(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment(seeds=[0, 1, 2, 3, 4]))
    finish(context, first, "same", [0.4] * 5)
    finish(context, first, "half", shifted(0.0), states=0.45)
    found = verdict(client, first)
    assert found["outcome"] == "harmed"
    assert found["shown"].startswith(
        "the true difference of mean IoU of intact and damaged is below −1 point (mIoU +0.02"
    )
    assert found["not_shown"].endswith("and a loss of mIoU")


def test_between_looks_the_last_verdict_stands(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment(seeds=list(range(7))))
    finish(context, first, "same", [0.4] * 7)
    finish(context, first, "half", [*shifted(0.0), 0.1, 0.1])
    found = verdict(client, first)
    assert (found["outcome"], found["look"], found["seeds"], found["next_look"]) == ("robust", 5, 7, 10)


def test_a_look_waits_for_its_seeds_in_their_order(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment(seeds=list(range(6))))
    finish(context, first, "same", [0.4] * 6)
    finish(context, first, "half", shifted(0.0, 6))
    late = job_ids(context, first)["segment", "half", 2]
    set_status(context, late, JobStatus.RUNNING, results={})
    assert (verdict(client, first)["outcome"], verdict(client, first)["seeds"]) == (None, 2)
    set_status(context, late, JobStatus.FAILED, results={})
    assert (verdict(client, first)["outcome"], verdict(client, first)["seeds"]) == ("robust", 5)


def test_arms_share_the_error_rate_and_a_ladder_names_its_break(
    client: TestClient, context: Context, experiment: Make
) -> None:
    noisy = {
        f"rate {rate}": {"pairing": {"policy": "temporal", "pairs": 20, "noise": {"rate": rate}}}
        for rate in (0.25, 0.5, 0.75)
    }
    arms = {"same": {"pairing": {"policy": "same_image", "pairs": 20}}, **noisy}
    first = submit(client, experiment(arms=arms, seeds=[0, 1, 2, 3, 4]))
    finish(context, first, "same", [0.4] * 5)
    for arm, difference in (("rate 0.25", 0.0), ("rate 0.5", -0.009), ("rate 0.75", 0.0)):
        finish(context, first, arm, shifted(difference))
    found = results(client, first)["verdicts"]
    assert [each["outcome"] for each in found] == ["robust", "undecided", "undecided"]
    assert {each["breaks_at"] for each in found} == {"rate 0.5"}
    assert found[2]["ladder"] == list(noisy)
    assert "its ladder breaks at “rate 0.5”" in found[2]["not_shown"]
    assert "its ladder breaks" not in found[1]["not_shown"]
    assert {each["family"] for each in found} == {3}


def test_on_fixed_tiles_the_word_is_for_these_test_scenes(
    client: TestClient, context: Context, xbd: str, experiment: Make
) -> None:
    arms = {name: {"pairing": {"policy": "same_image", "pairs": pairs}} for name, pairs in (("same", 4), ("half", 3))}
    first = submit(client, experiment(dataset=xbd, arms=arms, labels={"train_chips": 4}, seeds=[0, 1, 2, 3, 4]))
    finish(context, first, "same", [0.4] * 5)
    finish(context, first, "half", shifted(0.0))
    found = verdict(client, first)
    assert found["word"] == "robust, for these test scenes"
    assert "on these test scenes" in found["plain"]
    assert found["caveats"] == ["not exposure-matched: the verdict is also one of the images shown"]


def test_several_factors_and_lopsided_seeds_stand_beside_the_word(
    client: TestClient, context: Context, experiment: Make
) -> None:
    arms = experiment()["arms"]
    arms["half"]["method"] = {"name": "barlow_twins"}
    first = submit(client, experiment(arms=arms, seeds=[0, 1, 2, 3, 4]))
    finish(context, first, "same", [0.4] * 5)
    finish(context, first, "half", [0.4, 0.401, 0.399, 0.4, 0.3])
    found = verdict(client, first)
    assert found["caveats"][0].startswith("differs in method and pairing: the verdict is on all of it")
    assert "lopsided (skewness −1.5)" in found["caveats"][1]
    assert found["outcome"] == "undecided"
    assert found["needed"].startswith("not reachable")


def test_a_bootstrap_reads_the_scenes_counts_or_says_why_it_cannot(
    client: TestClient, context: Context, experiment: Make
) -> None:
    first = submit(client, experiment(seeds=[0, 1, 2]))
    finish(context, first, "same", [0.4] * 3)
    finish(context, first, "half", shifted(0.0, 3))
    url = f"{API}/experiments/{first}/bootstrap"
    assert client.get(url).json()[0]["reason"] == ("the counts of a segmentation are no longer in the artifacts folder")
    ids = job_ids(context, first)
    for arm, hits in (("same", 90), ("half", 80)):
        for seed in range(3):
            keep_counts(context, ids["segment", arm, seed], hits)
    (found,) = client.get(url).json()
    assert (found["arm"], found["seeds"], found["scenes"], found["reason"]) == ("half", 3, 4, None)
    assert [each["title"] for each in found["intervals"]] == ["mIoU", "mean IoU of intact and damaged"]
    expected = 100 * (80 / 120 - 90 / 110)  # every scene has 100 pixels a class, and `hits` of them right
    for each in found["intervals"]:
        assert (each["low"], each["high"]) == pytest.approx((expected, expected))


def keep_counts(context: Context, job: str, hits: int) -> None:
    """Leaves the results file of a segmentation in the artifacts folder."""
    miss = 100 - hits
    counts = {f"scene {number}": [[hits, miss, 0], [0, hits, miss], [miss, 0, hits]] for number in range(4)}
    content = json.dumps({"test_scene_counts": {"fine_tuning": counts}}).encode()
    path = context.settings.artifacts / job / "results.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with context.database.write() as session:
        session.add(
            ArtifactRow(
                id=f"results of {job}",
                attempt=1,
                job_id=job,
                kind="results",
                step=1,
                path=f"{job}/results.json",
                bytes=len(content),
                sha256=sha256(content).hexdigest(),
                details={},
            )
        )

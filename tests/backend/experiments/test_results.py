from collections.abc import Callable
from statistics import stdev
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from backend.jobs.schemas import JobStatus
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import finish_all, job_ids, segment_results, set_status

Make = Callable[..., dict[str, Any]]
MIOUS = {
    ("random", 0): 0.40,
    ("random", 1): 0.42,
    ("same", 0): 0.50,
    ("same", 1): 0.56,
    ("half", 0): 0.48,
    ("half", 1): 0.57,
}


def submit(client: TestClient, experiment: dict[str, Any]) -> str:
    return str(client.post(f"{API}/experiments", json={"experiment": experiment}).json()["id"])


def results(client: TestClient, experiment: str) -> dict[str, Any]:
    table: dict[str, Any] = client.get(f"{API}/experiments/{experiment}/results").json()
    return table


def test_before_anything_has_run_every_seed_is_missing(client: TestClient, experiment: Make) -> None:
    table = results(client, submit(client, experiment()))
    assert [(row["arm"], row["protocol"]) for row in table["rows"]] == [
        (arm, protocol) for arm in ("random", "same", "half") for protocol in ("linear_probe", "fine_tuning")
    ]
    for row in table["rows"]:
        assert row["mean_miou"] is None
        assert row["difference"] is None
        assert row["missing"] == dict.fromkeys(("0", "1"), "queued" if row["arm"] == "random" else "blocked")
    assert table["primary_protocol"] == "fine_tuning"
    assert table["classes"] == ["background", "intact", "damaged"]
    assert any("no verdict below 5 seeds (looks planned: 5, 10, 20)" in note for note in table["notes"])


def test_the_table_is_what_the_seeds_say(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    finish_all(context, first, MIOUS)
    table = results(client, first)
    assert table["status"] == "succeeded"
    rows = {(row["arm"], row["protocol"]): row for row in table["rows"]}
    half = rows["half", "fine_tuning"]
    assert half["mean_miou"] == pytest.approx(0.525)
    assert half["std_miou"] == pytest.approx(stdev([0.48, 0.57]))
    assert half["difference"] == pytest.approx(-0.5)  # mean of −2 and +1 points
    assert half["difference_seeds"] == 2
    assert half["realised_noise"] == 0.5
    assert half["missing"] == {}
    assert half["mean_iou"] == {"background": pytest.approx(0.525), "intact": pytest.approx(0.525), "damaged": None}
    assert half["mean_boundary_f1"] == pytest.approx(0.2625)
    assert (half["mean_accuracy"], half["mean_ece"], half["mean_xview2"]) == (
        pytest.approx(0.9),
        pytest.approx(0.1),
        None,
    )
    f1 = [2 * miou / (1 + miou) for miou in (0.48, 0.57)]
    assert half["mean_macro_f1"] == pytest.approx(sum(f1) / 2)
    assert half["mean_f1"] == {"background": half["mean_macro_f1"], "intact": half["mean_macro_f1"], "damaged": None}
    assert rows["half", "linear_probe"]["difference"] == pytest.approx(-0.25)
    same, random = rows["same", "fine_tuning"], rows["random", "fine_tuning"]
    assert (same["reference"], same["difference"]) == (True, None)
    assert (random["baseline"], random["realised_noise"]) == (True, None)
    assert random["difference"] == pytest.approx(-12.0)
    assert any("'random'" in note and "no verdict" in note for note in table["notes"])
    assert any("redraws" in note for note in table["notes"])


def test_a_difference_takes_the_seeds_both_have(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment(seeds=[0, 1, 2]))
    ids = job_ids(context, first)
    for arm, seed, miou in (("same", 0, 0.5), ("same", 1, 0.9), ("half", 0, 0.6), ("half", 2, 0.1)):
        set_status(context, ids["segment", arm, seed], JobStatus.SUCCEEDED, results=segment_results(miou, damaged=0.2))
    set_status(context, ids["segment", "half", 1], JobStatus.FAILED, error="out of luck")
    table = results(client, first)
    half = next(row for row in table["rows"] if (row["arm"], row["protocol"]) == ("half", "fine_tuning"))
    assert half["difference"] == pytest.approx(10.0)
    assert half["difference_seeds"] == 1
    assert half["missing"] == {"1": "failed"}
    assert half["mean_iou"]["damaged"] == pytest.approx(0.2)
    assert any("1 seed: no verdict" in note for note in table["notes"])
    assert any("1 of 9 scores are missing" in note for note in table["notes"])


def test_results_on_files_speak_of_these_scenes(client: TestClient, xbd: str, experiment: Make) -> None:
    arms = {"same": {"pairing": {"policy": "same_image", "pairs": 4}}}
    notes = results(client, submit(client, experiment(dataset=xbd, arms=arms, labels={"train_chips": 4})))["notes"]
    assert any("for these test scenes" in note for note in notes)
    assert any("no labelled change" in note for note in notes)


def test_scores_of_damage_levels_have_the_official_score_beside_them(
    client: TestClient, context: Context, experiment: Make
) -> None:
    first = submit(client, experiment())
    for (kind, arm, seed), job in job_ids(context, first).items():
        found = segment_results(0.5) if kind == "segment" else {}
        for protocol in found.get("protocols", {}).values():
            protocol["test"]["xview2"] = {"score": 0.6 + 0.1 * seed}
        if arm != "random":
            set_status(context, job, JobStatus.SUCCEEDED, results=found)
    rows = {(row["arm"], row["protocol"]): row for row in results(client, first)["rows"]}
    assert rows["same", "fine_tuning"]["mean_xview2"] == pytest.approx(0.65)
    assert [score["xview2"] for score in rows["same", "fine_tuning"]["seeds"]] == pytest.approx([0.6, 0.7])
    assert rows["random", "fine_tuning"]["mean_xview2"] is None

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from backend.jobs.schemas import JobStatus
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import job_ids, segment_results, set_status

Make = Callable[..., dict[str, Any]]
TEMPORAL = {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.5}}
SCORED = {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.75}


def submit(client: TestClient, experiment: dict[str, Any]) -> str:
    answer = client.post(f"{API}/experiments", json={"experiment": experiment})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def results(client: TestClient, experiment: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Returns the rows of the primary protocol by arm, and the notes."""
    table = client.get(f"{API}/experiments/{experiment}/results").json()
    return {row["arm"]: row for row in table["rows"] if row["protocol"] == "fine_tuning"}, table["notes"]


def told(**changes: object) -> dict[str, Any]:
    """What a pretraining tells of its pairs when it begins."""
    facts = {"pairs": 20, "realised_noise": 0.5, "realised_mismatch": 0.0, "exposure_matched": True, "filtered": None}
    return {**facts, **changes}


def test_before_a_pretraining_has_begun_nothing_is_known_of_its_pairs(client: TestClient, experiment: Make) -> None:
    rows, notes = results(client, submit(client, experiment(arms={"half": {"pairing": TEMPORAL}}, reference="half")))
    unknown = ("realised_noise", "realised_mismatch", "distinct_pairs", "exposure_matched", "filtered", "score_seconds")
    assert [rows["half"][name] for name in unknown] == [None] * len(unknown)
    assert rows["half"]["factors"] == []
    assert not any("exposure" in note or "filtering" in note for note in notes)


def test_what_filtering_cost_stands_beside_what_it_brought(
    client: TestClient, context: Context, experiment: Make
) -> None:
    arms = {"half": {"pairing": TEMPORAL}, "filtered": {"pairing": {**TEMPORAL, "filter": SCORED}}}
    first = submit(client, experiment(arms=arms, reference="half"))
    for (kind, arm, seed), job in job_ids(context, first).items():
        if kind == "score":
            found = {"seconds": 30.0 + 10 * seed, "scenes": 58}
            set_status(context, job, JobStatus.SUCCEEDED, results=found)
        elif kind == "segment":
            set_status(context, job, JobStatus.SUCCEEDED, results=segment_results(0.5))
        elif arm == "half":
            set_status(context, job, JobStatus.SUCCEEDED, facts=told())
        else:
            thrown = {"drawn": 20, "thrown_away": 6 + seed, "noisy_thrown_away": 4, "threshold": 1.5 + seed}
            filtered = told(pairs=14 - seed, realised_noise=0.4, exposure_matched=False, filtered=thrown)
            set_status(context, job, JobStatus.SUCCEEDED, facts=filtered)
    rows, notes = results(client, first)
    row = rows["filtered"]
    assert row["filtered"] == {"drawn": 20, "thrown_away": 6.5, "noisy_thrown_away": 4, "threshold": 2.0}
    assert row["distinct_pairs"] == pytest.approx(13.5)
    assert row["score_seconds"] == pytest.approx(35.0)
    assert (row["exposure_matched"], rows["half"]["exposure_matched"]) == (False, True)
    assert row["factors"] == ["pairing"]
    assert (rows["half"]["filtered"], rows["half"]["score_seconds"]) == (None, None)
    cost = next(note for note in notes if note.startswith("filtering for arm 'filtered'"))
    assert "threw 6.5 of 20 pairs away (32.5 %), 4 of them noisy by the labels" in cost
    assert "its change score cva took 35 s to compute" in cost
    assert any("'filtered' is not exposure-matched (its filter throws pairs away)" in note for note in notes)


def test_mismatch_is_realised_beside_noise(client: TestClient, context: Context, experiment: Make) -> None:
    arms = {
        "half": {"pairing": TEMPORAL},
        "wrong": {"pairing": {**TEMPORAL, "noise": {"rate": 0.0, "mismatch_rate": 0.2}}},
    }
    first = submit(client, experiment(arms=arms, reference="half"))
    ids = job_ids(context, first)
    for seed, mismatch in ((0, 0.2), (1, 0.25)):
        facts = told(realised_noise=0.0, realised_mismatch=mismatch)
        set_status(context, ids["pretrain", "wrong", seed], JobStatus.SUCCEEDED, facts=facts)
    rows, _ = results(client, first)
    assert rows["wrong"]["realised_mismatch"] == pytest.approx(0.225)
    assert rows["wrong"]["realised_noise"] == 0.0
    assert rows["half"]["realised_mismatch"] is None


def test_a_difference_of_other_images_or_of_several_things_is_remarked(
    client: TestClient, context: Context, experiment: Make
) -> None:
    replaced = {**TEMPORAL, "pairs": 8, "noise": {"rate": 0.5, "control": "replace"}}
    arms = {
        "half": {"pairing": {**TEMPORAL, "pairs": 8}},
        "replaced": {"pairing": replaced},
        "fewer": {"pairing": {**TEMPORAL, "pairs": 4}, "method": {"name": "simclr"}},
    }
    first = submit(client, experiment(arms=arms, reference="half"))
    for (kind, arm, _), job in job_ids(context, first).items():
        if kind == "pretrain":
            set_status(context, job, JobStatus.SUCCEEDED, facts=told(exposure_matched=arm != "replaced"))
    rows, notes = results(client, first)
    assert {arm: row["exposure_matched"] for arm, row in rows.items()} == {
        "half": True,
        "replaced": False,
        "fewer": False,
    }
    assert rows["fewer"]["factors"] == ["method", "pairing"]
    text = "\n".join(notes)
    assert "arm 'replaced' is not exposure-matched (control 'replace' shows other places)" in text
    assert "arm 'fewer' is not exposure-matched (4 pairs instead of 8)" in text
    assert "arm 'fewer' differs from 'half' in method and pairing" in text
    assert "transductive" not in text


def test_a_transductive_result_says_so(client: TestClient, experiment: Make) -> None:
    arms = {"same": {"pairing": {"policy": "same_image", "pairs": 58}}}
    _, notes = results(client, submit(client, experiment(arms=arms, transductive=True)))
    assert any(note.startswith("transductive: ") for note in notes)

"""Change scores over the API: queued once, judged on the train split alone, gone with their dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from backend.context import Context
from backend.datasets.score_service import judge
from backend.jobs.queue import waiting
from backend.jobs.tables import JobEventRow, JobRow
from pairlab.experiment.jobs import ScoreJob
from pairlab.pairing.cell_scores import ACROSS, CellScores
from pairlab.pairing.score_file import files_of, read_scores
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import Scene
from tests.backend.conftest import API, XBD, register_indexed
from tests.backend.problem_document import problem_of
from tests.backend.score_jobs import run_score_jobs

CVA = {"name": "cva"}


def queue(client: TestClient, dataset: str, score: dict[str, Any], *, status: int = 202, **more: int) -> dict[str, Any]:
    answer = client.post(f"{API}/datasets/{dataset}/scores", json={"score": score, **more})
    assert answer.status_code == status, answer.text
    content: dict[str, Any] = answer.json()
    return content


def listed(client: TestClient, dataset: str) -> list[dict[str, Any]]:
    answer = client.get(f"{API}/datasets/{dataset}/scores")
    assert answer.status_code == 200, answer.text
    content: list[dict[str, Any]] = answer.json()
    return content


def curve(client: TestClient, dataset: str, score: str, **query: int) -> dict[str, Any]:
    answer = client.get(f"{API}/datasets/{dataset}/scores/{score}/curve", params=query)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def scores_of(context: Context, job: str) -> tuple[CellScores, Path]:
    with context.database.read() as session:
        config = ScoreJob.model_validate(session.get_one(JobRow, job).config)
    path = files_of(config, context.settings.index_folder).path
    scores = read_scores(path)
    assert scores is not None
    return scores, path


def test_a_score_is_queued_computed_and_listed(client: TestClient, context: Context, synthetic: str) -> None:
    assert listed(client, synthetic) == []
    queued = queue(client, synthetic, CVA, draw=2)
    assert queued["score"] == CVA
    assert (queued["draw"], queued["status"], queued["seconds"], queued["scenes"]) == (2, "queued", None, None)
    assert waiting(context.settings, context.settings.hardware)
    job = client.get(f"{API}/jobs/{queued['job']}").json()
    assert (job["kind"], job["key"], job["seed"], job["uses"]) == ("score", queued["id"], None, [])
    assert [each["id"] for each in client.get(f"{API}/jobs", params={"kind": "score"}).json()["items"]] == [job["id"]]
    assert run_score_jobs(context) == [queued["job"]]
    (done,) = listed(client, synthetic)
    assert done == {**queued, "status": "succeeded", "seconds": done["seconds"], "scenes": 58}
    scores, _ = scores_of(context, queued["job"])
    assert done["seconds"] == scores.seconds


def test_equal_scores_are_one_job(client: TestClient, context: Context, synthetic: str) -> None:
    first = queue(client, synthetic, CVA)
    assert queue(client, synthetic, CVA, status=200) == first
    others = [queue(client, synthetic, CVA, draw=1), queue(client, synthetic, {"name": "irmad"})]
    assert len({first["job"], *(each["job"] for each in others)}) == 3
    run_score_jobs(context)
    assert queue(client, synthetic, CVA, status=200)["status"] == "succeeded"
    assert [each["id"] for each in listed(client, synthetic)] == [others[1]["id"], others[0]["id"], first["id"]]


def test_a_cancelled_or_failed_one_is_queued_anew(client: TestClient, synthetic: str) -> None:
    first = queue(client, synthetic, CVA)
    assert client.post(f"{API}/jobs/{first['job']}/cancel").status_code == 200
    (cancelled,) = listed(client, synthetic)
    assert cancelled["status"] == "cancelled"
    again = queue(client, synthetic, CVA)
    assert again["id"] == first["id"]
    assert again["job"] != first["job"]
    assert listed(client, synthetic) == [again]


def test_a_score_whose_file_is_gone_is_computed_again(client: TestClient, context: Context, synthetic: str) -> None:
    first = queue(client, synthetic, CVA)
    run_score_jobs(context)
    scores, path = scores_of(context, first["job"])
    path.unlink()
    (gone,) = listed(client, synthetic)
    assert (gone["status"], gone["seconds"]) == ("failed", None)
    assert "compute it again" in gone["error"]
    problem = problem_of(client.get(f"{API}/datasets/{synthetic}/scores/{first['id']}/curve"), 409)
    assert "compute it again" in problem["detail"]
    again = queue(client, synthetic, CVA)
    assert (again["job"], again["status"]) == (first["job"], "queued")
    assert run_score_jobs(context) == [first["job"]]
    np.testing.assert_array_equal(scores_of(context, first["job"])[0].values, scores.values)


def test_what_a_dataset_cannot_have_is_refused(client: TestClient, xbd: str, synthetic: str) -> None:
    def refused(dataset: str, body: dict[str, Any]) -> str:
        return str(problem_of(client.post(f"{API}/datasets/{dataset}/scores", json=body), 422)["detail"])

    assert refused(xbd, {"score": CVA, "draw": 3}) == (
        "draw: only synthetic scenes are redrawn; leave it 0 for dataset 'disasters-2019'"
    )
    unknown = {"score": {"name": "embedding", "weights": "a" * 64}}
    assert "is the key of no finished pretraining here" in refused(synthetic, unknown)
    assert "score.name" in refused(xbd, {"score": {"name": "sad"}}) or "sad" in refused(xbd, {"score": {"name": "sad"}})
    assert "iterations" in refused(xbd, {"score": {"name": "irmad", "iterations": 0}})
    assert "encoder" in refused(xbd, {"score": {"name": "embedding", "encoder": "../../etc"}})
    assert listed(client, xbd) == listed(client, synthetic) == []


def test_nothing_is_scored_before_the_index_is_there(client: TestClient) -> None:
    client.post(f"{API}/datasets", json={"name": "new", "config": XBD})
    for answer in (
        client.post(f"{API}/datasets/new/scores", json={"score": CVA}),
        client.get(f"{API}/datasets/new/scores"),
        client.get(f"{API}/datasets/new/scores/{'0' * 64}/curve"),
    ):
        assert "is being indexed" in problem_of(answer, 409)["detail"]
    assert "no dataset 'old'" in problem_of(client.get(f"{API}/datasets/old/scores"), 404)["detail"]


@pytest.mark.parametrize(("chip_size", "pixels"), [(32, 1), (64, 16)])
def test_the_curve_is_of_the_train_split_alone(
    client: TestClient, context: Context, synthetic: str, chip_size: int, pixels: int
) -> None:
    queued = queue(client, synthetic, {"name": "irmad"}, draw=1)
    run_score_jobs(context)
    found = curve(client, synthetic, queued["id"], chip_size=chip_size, min_changed_pixels=pixels)
    scores, _ = scores_of(context, queued["job"])
    reference = ScoreJob.model_validate(client.get(f"{API}/jobs/{queued['job']}").json()["config"]).dataset
    chips = context.sources.chips(reference, chip_size=chip_size, draw=1)
    train = chips.of_scenes({scene.name for scene in chips.scenes if scene.split == "train"})
    assert 0 < len(train) < len(chips)
    values, noisy = scores.of_chips(train)[ACROSS], train.changed_pixels >= pixels
    assert (found["noisy"], found["clean"]) == (noisy.sum(), (~noisy).sum())
    assert (found["unknown"], found["without_score"]) == (0, 0)
    assert found["auroc"] == pytest.approx((values[noisy][:, None] > values[~noisy]).mean())
    assert found["auroc"] > 0.7
    assert found["seconds"] == scores.seconds
    assert found["seconds_per_1000_chips"] == pytest.approx(1000 * scores.seconds / len(chips))
    assert [each["quantile"] for each in found["quantiles"]] == [step / 20 for step in range(21)]
    for each in found["quantiles"]:
        assert each["threshold"] == np.quantile(values, each["quantile"])
        assert each["thrown_away"] == (values > each["threshold"]).sum()
        assert each["noisy_thrown_away"] == (values[noisy] > each["threshold"]).sum()
        assert each["clean_thrown_away"] == (values[~noisy] > each["threshold"]).sum()
        assert each["noisy_kept"] == noisy.sum() - each["noisy_thrown_away"]
    assert found["quantiles"][-1]["thrown_away"] == 0


def test_the_curve_of_real_tiles(client: TestClient, context: Context, xbd: str) -> None:
    queued = queue(client, xbd, CVA)
    run_score_jobs(context)
    found = curve(client, xbd, queued["id"])
    assert found["chip_size"] == 64
    assert found["min_changed_pixels"] == 16
    assert found["noisy"] + found["clean"] + found["unknown"] + found["without_score"] == 4 * 4
    assert scores_of(context, queued["job"])[0].variants == (ACROSS,)
    assert curve(client, xbd, queued["id"]) == found


def test_curves_that_are_not_there(client: TestClient, context: Context, synthetic: str, xbd: str) -> None:
    queued = queue(client, synthetic, CVA)
    address = f"{API}/datasets/{synthetic}/scores/{queued['id']}/curve"
    assert "is queued; its curve needs it" in problem_of(client.get(address), 409)["detail"]
    run_score_jobs(context)
    assert "has no change score" in problem_of(client.get(address.replace(synthetic, xbd)), 404)["detail"]
    assert "has no change score" in problem_of(client.get(address.replace(queued["id"], "nothing")), 404)["detail"]
    problem = problem_of(client.get(address, params={"chip_size": 50}), 422)
    assert problem["detail"] == "chip_size must be a multiple of 32, got 50"
    assert "chip_size" in problem_of(client.get(address, params={"chip_size": 0}), 422)["detail"]
    assert "min_changed_pixels" in problem_of(client.get(address, params={"min_changed_pixels": 0}), 422)["detail"]
    problem = problem_of(client.get(address, params={"chip_size": 4096}), 422)
    assert problem["detail"] == "chip_size 4096 is larger than the train split's scenes; take a smaller one"


def test_a_deleted_dataset_takes_its_scores_along(client: TestClient, context: Context) -> None:
    name = register_indexed(client, context, "leaving", XBD)
    queued = queue(client, name, CVA)
    run_score_jobs(context)
    _, path = scores_of(context, queued["job"])
    assert path.exists()
    waiting_one = queue(client, name, {"name": "irmad"})
    assert client.delete(f"{API}/datasets/{name}").status_code == 204
    assert not path.exists()
    with context.database.read() as session:
        for table in (JobRow.id, JobEventRow.job_id):
            left = session.scalars(select(table).where(table.in_([queued["job"], waiting_one["job"]])))
            assert left.all() == []


def test_an_experiment_that_filters_takes_scores_over_and_waits_for_the_others(
    client: TestClient, context: Context, experiment: Callable[..., dict[str, Any]], synthetic: str
) -> None:
    known = queue(client, synthetic, CVA)
    run_score_jobs(context)
    chosen = {"by": "change_score", "score": CVA, "quantile": 0.6}
    arms = {"filtered": {"pairing": {"policy": "temporal", "pairs": 20, "filter": chosen}}}
    body = {"experiment": experiment(arms=arms, reference="filtered")}
    answer = client.post(f"{API}/experiments", json=body)
    assert answer.status_code == 202, answer.text
    jobs = client.get(f"{API}/experiments/{answer.json()['id']}").json()["job_list"]
    assert [(job["kind"], job["status"]) for job in jobs] == [
        ("score", "succeeded"),
        ("pretrain", "queued"),
        ("segment", "blocked"),
        ("score", "queued"),
        ("pretrain", "blocked"),
        ("segment", "blocked"),
    ]
    assert jobs[0]["id"] == known["job"]
    assert [job["depends_on"] for job in jobs] == [
        None,
        jobs[0]["id"],
        jobs[1]["id"],
        None,
        *(job["id"] for job in jobs[3:5]),
    ]
    assert {each["draw"] for each in listed(client, synthetic)} == {0, 1}
    client.post(f"{API}/jobs/{jobs[1]['id']}/pause")
    assert run_score_jobs(context) == [jobs[3]["id"]]
    assert client.get(f"{API}/jobs/{jobs[4]['id']}").json()["status"] == "queued"
    assert client.delete(f"{API}/datasets/{synthetic}").status_code == 409  # its pretrainings need it


def invented_chips(*, changed: list[int], unknown: list[int], valid: list[int]) -> ChipIndex:
    """Chips side by side, 32 pixels wide."""
    count = len(changed)
    columns = {"valid_pixels": valid, "changed_pixels": changed, "unknown_pixels": unknown, "object_pixels": changed}
    return ChipIndex(
        chip_size=32,
        scenes=(Scene("one", "train", "event", ("pre", "post"), height=32, width=32 * count),),
        scene=np.zeros(count, dtype=np.int32),
        y=np.zeros(count, dtype=np.int32),
        x=32 * np.arange(count, dtype=np.int32),
        total_pixels=np.full(count, 1024, dtype=np.int32),
        **{name: np.array(values, dtype=np.int32) for name, values in columns.items()},
    )


def invented_scores(values: list[float]) -> CellScores:
    cells = np.array([[1, len(values)]], dtype=np.int32)
    return CellScores(("one",), cells, (ACROSS,), np.array([values], dtype=np.float32), seconds=2.0)


def test_unknown_chips_and_those_without_data_or_score_are_counted_apart() -> None:
    nan = float("nan")
    chips = invented_chips(
        changed=[20, 16, 15, 0, 0, 0, 30, 40],
        unknown=[9, 0, 9, 0, 9, 0, 0, 0],
        valid=[1024, 1024, 1024, 1024, 1024, 0, 1024, 0],
    )
    found = judge(invented_scores([5, 1, 2, 0, 9, 8, nan, 7]), chips, min_changed_pixels=16)
    assert (found.noisy, found.clean, found.unknown, found.without_score) == (2, 2, 1, 1)
    assert found.auroc == 0.75
    median = found.quantiles[10]
    assert (median.quantile, median.threshold) == (0.5, 2.0)
    thrown_away = (median.thrown_away, median.noisy_thrown_away, median.clean_thrown_away)
    assert (thrown_away, median.noisy_kept) == ((2, 1, 0), 2)
    assert found.seconds_per_1000_chips == 250.0


@pytest.mark.parametrize("changed", [[0, 0], [50, 50]])
def test_without_noisy_or_clean_chips_there_is_no_curve(changed: list[int]) -> None:
    chips = invented_chips(changed=changed, unknown=[0, 0], valid=[1024, 1024])
    found = judge(invented_scores([1, 2]), chips, min_changed_pixels=16)
    assert (found.auroc, found.average_precision, found.roc, found.precision_recall) == (None, None, [], [])
    assert found.quantiles[0].thrown_away == 1
    nothing = judge(invented_scores([float("nan")] * 2), chips, min_changed_pixels=16)
    assert (nothing.quantiles, nothing.without_score) == ([], 2)

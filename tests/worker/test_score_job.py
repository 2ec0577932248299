"""Change scores are computed by a real worker, and pretrainings filter by them."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from sqlalchemy import select

from backend.datasets.tables import DatasetRow
from backend.jobs import outputs, repository
from backend.jobs.queue import wake
from backend.jobs.tables import JobEventRow
from pairlab.checkpoint import SavedFile
from pairlab.embedding_distance import Pretrained, build_encoder
from pairlab.experiment.change_scores import Cva, EmbeddingDistance, IrMad
from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.experiment.jobs import DatasetReference, PlannedJob, PretrainJob, ScoreJob, job_key
from pairlab.pairing.cell_scores import ACROSS, CellScores
from pairlab.pairing.score_file import files_of, read_scores
from pairlab.scenes.dataset import read_dataset_index
from pairlab.scenes.synthetic import SyntheticSource
from tests.backend.jobs.filtering_jobs import QUANTILE, filtering_jobs
from tests.backend.jobs.waiting_jobs import DATASET, planned_jobs
from tests.pairlab.scenes.xbd_tree import write_xbd_tree
from tests.worker.conftest import Installation, runs_of, wait_until
from tests.worker.whole_run import describe, run_whole
from worker.fork_server import ForkServer
from worker.protocol import EXIT_REFUSED

Worker = subprocess.Popen[bytes]


def planned(config: ScoreJob) -> tuple[PlannedJob, ...]:
    return (PlannedJob(key=job_key(config), config=config, depends_on=None, uses=(("any", 0),)),)


def states(installation: Installation, job_id: str) -> list[str | None]:
    with installation.database.read() as session:
        query = select(JobEventRow.text).where(JobEventRow.job_id == job_id, JobEventRow.kind == "state")
        return list(session.scalars(query.order_by(JobEventRow.seq)))


def lines(installation: Installation, job_id: str) -> list[str]:
    with installation.database.read() as session:
        query = select(JobEventRow.text).where(JobEventRow.job_id == job_id, JobEventRow.kind == "log")
        return [text or "" for text in session.scalars(query.order_by(JobEventRow.seq))]


def scores_of(installation: Installation, config: ScoreJob) -> CellScores:
    files = files_of(config, installation.settings.index_folder)
    scores = read_scores(files.path)
    assert scores is not None
    assert not files.parts.exists()
    return scores


def test_a_pretraining_waits_for_its_score_and_filters_by_it(shared: Installation, worker: Worker) -> None:
    assert worker.poll() is None
    jobs = filtering_jobs(seed=301)
    score, pretrain, segment = shared.submit(jobs)
    assert shared.wait(segment, lambda job: job.finished_at is not None).status == "succeeded"
    assert states(shared, score) == ["queued", "running", "succeeded"]
    assert states(shared, pretrain) == ["blocked", "queued", "running", "succeeded"]
    done = shared.job(score)
    assert (done.step, done.total_steps, done.attempt) == (53, 53, 1)
    assert (done.results["scenes"], done.results["without_score"]) == (53, 0)
    assert not (shared.settings.artifacts / score).exists()
    assert isinstance(jobs[0].config, ScoreJob)
    assert jobs[0].config.draw == 301
    scores = scores_of(shared, jobs[0].config)
    assert done.results["seconds"] == scores.seconds > 0
    index = read_dataset_index(
        DATASET.config, key=DATASET.fingerprint, folder=shared.settings.index_folder, draw=301
    ).chips(32)
    train = index.of_scenes({scene.name for scene in index.scenes if scene.split == "train"})
    filtered = shared.job(pretrain).results["filtered"]
    assert filtered["threshold"] == pytest.approx(np.quantile(scores.of_chips(train)[ACROSS], QUANTILE))
    assert filtered["drawn"] == 40
    assert 0 < filtered["thrown_away"] < 40
    assert shared.job(pretrain).results["pairs"] == 40 - filtered["thrown_away"]


def test_a_distance_of_embeddings_takes_a_pretrainings_weights_and_network(
    shared: Installation, worker: Worker
) -> None:
    assert worker.poll() is None
    plan = planned_jobs(seeds=(302,), steps=6)[:1]
    (pretrain,) = shared.submit(plan)
    assert shared.wait(pretrain, lambda job: job.finished_at is not None).status == "succeeded"
    config = ScoreJob(dataset=DATASET, draw=302, score=EmbeddingDistance(weights=plan[0].key))
    (score,) = shared.submit(planned(config))
    done = shared.wait(score, lambda job: job.finished_at is not None)
    assert (done.status, done.error) == ("succeeded", None)
    scores = scores_of(shared, config)
    with shared.database.read() as session:
        (weights,) = outputs.newest_files(session, pretrain, "weights")
        saved = SavedFile(shared.settings.artifacts / weights.path, weights.sha256)
    assert isinstance(plan[0].config, PretrainJob)
    assert isinstance(DATASET.config, SyntheticDataset)
    assert isinstance(config.score, EmbeddingDistance)
    source = SyntheticSource(DATASET.config, draw=302)
    pretrained = Pretrained(plan[0].config.network, saved)
    encoder = build_encoder(config.score, bands=source.bands, pretrained=pretrained, device=torch.device("cpu"))
    scene = source.scenes[0]
    valid = np.ones((scene.height, scene.width), dtype=bool)
    expected = encoder.distances(source.image(scene, "pre"), source.image(scene, "post"), valid=valid)
    np.testing.assert_allclose(scores.values[0, : expected.size], expected.ravel(), atol=1e-5)


def test_a_score_that_fails_fails_what_waits_for_it(shared: Installation, worker: Worker) -> None:
    assert worker.poll() is None
    score, pretrain, segment = shared.submit(filtering_jobs(seed=303, score=EmbeddingDistance(weights="f" * 64)))
    failed = shared.wait(segment, lambda job: job.finished_at is not None)
    assert [shared.job(job).status for job in (score, pretrain, segment)] == ["failed"] * 3
    told = shared.job(score).error or ""
    assert told.startswith(f"weights {'f' * 64}: no finished pretraining with this key has weights here")
    assert shared.job(pretrain).error == (
        f"the change score it filters by (job {score}) failed: {told}. Retry this job to run both again."
    )
    assert (failed.error or "").startswith(f"the pretraining it starts from (job {pretrain}) failed: the change score")
    assert shared.job(score).attempt == 1


def test_a_pretraining_whose_scores_are_gone_says_so(tmp_path: Path) -> None:
    _, pretrain, _ = filtering_jobs(seed=304)
    server = ForkServer(threads=1)
    refused = run_whole(server, describe(pretrain, tmp_path / "1"))
    server.stop()
    assert refused.status == EXIT_REFUSED
    assert refused.events[-1]["sentence"] == (
        "the change score cva of dataset 'scenes' (draw 304) is not there (any more): compute it on the Pairs screen, "
        "or with `pairlab dataset score`, then retry this job"
    )


def test_files_are_scored_from_the_chip_store(shared: Installation, worker: Worker) -> None:
    assert worker.poll() is None
    folder = shared.settings.data_roots["roots"] / "scored"
    write_xbd_tree(folder, seed=12, size=128)
    index = shared.register("scored", XbdDataset(root="roots", folder="scored"))
    assert shared.wait(index, lambda job: job.finished_at is not None).status == "succeeded"
    config = ScoreJob.model_validate({"dataset": shared.job(index).config["dataset"], "score": {"name": "irmad"}})
    (score,) = shared.submit(planned(config))
    done = shared.wait(score, lambda job: job.finished_at is not None)
    assert (done.status, done.error) == ("succeeded", None)
    scores = scores_of(shared, config)
    assert scores.variants == (ACROSS,)
    assert len(scores.scenes) == done.results["scenes"] == 11
    assert np.isfinite(scores.values).all()
    assert any("22 images come from the chip store" in line for line in lines(shared, score))
    shutil.rmtree(folder / "train" / "images")
    (changed,) = shared.submit(planned(config.model_copy(update={"score": Cva()})))
    refused = shared.wait(changed, lambda job: job.finished_at is not None)
    assert refused.status == "failed"


def test_a_killed_run_goes_on_and_finds_the_same(installation: Installation, tmp_path: Path) -> None:
    large = SyntheticDataset(train=400, validation=2, test=3)
    dataset = DatasetReference(name="large", config=large, fingerprint="5" * 64)
    with installation.database.write() as session:  # or nothing would be kept of it
        settings = large.model_dump(mode="json")
        session.add(DatasetRow(name="large", config=settings, fingerprint=dataset.fingerprint, summary={}))
    config = ScoreJob(dataset=dataset, draw=1, score=IrMad())
    worker = installation.start_worker()
    (score,) = installation.submit(planned(config))
    installation.wait(score, lambda job: job.step >= 64)
    for run in runs_of(worker):
        run.kill()
    installation.wait(score, lambda job: job.attempt == 2 and job.step >= 128)
    with installation.database.write() as session:
        repository.request(session, score, "pause")
    paused = installation.wait(score, lambda job: job.status == "paused")
    assert not files_of(config, installation.settings.index_folder).path.exists()
    with installation.database.write() as session:
        repository.resume(session, score)
    wake(installation.settings, installation.settings.hardware)
    done = installation.wait(score, lambda job: job.finished_at is not None)
    assert (done.status, done.attempt, done.step) == ("succeeded", 3, 405)
    assert f"attempt 3 goes on from step {paused.step:,}" in lines(installation, score)
    with installation.database.read() as session:
        told = session.scalars(select(JobEventRow).where(JobEventRow.job_id == score).order_by(JobEventRow.seq)).all()
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    steps = [event.step or 0 for event in told if event.metric == "scenes_per_s"]
    assert steps == sorted(set(steps))
    wait_until(lambda: runs_of(worker) == [], 15, "a run is left")
    server = ForkServer(threads=1)
    description = describe(config, tmp_path / "uninterrupted")
    assert run_whole(server, description).status == os.EX_OK
    server.stop()
    expected = read_scores(files_of(config, Path(description["index_folder"])).path)
    found = scores_of(installation, config)
    assert expected is not None
    assert found.scenes == expected.scenes
    np.testing.assert_array_equal(found.values, expected.values)

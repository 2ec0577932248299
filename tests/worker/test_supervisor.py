"""Runs are watched by a real worker; each test takes seeds of its own, so that no job is shared."""

import hashlib
import signal
import subprocess
from collections import Counter

from sqlalchemy import select, update

from backend.artifacts.tables import ArtifactRow
from backend.jobs import events, leases, outputs, repository
from backend.jobs.tables import JobEventRow, JobRow
from pairlab.experiment.jobs import PlannedJob
from tests.backend.jobs.waiting_jobs import planned_jobs
from tests.worker.conftest import Installation, runs_of, wait_until

Worker = subprocess.Popen[bytes]


def told(shared: Installation, job_id: str) -> list[JobEventRow]:
    with shared.database.read() as session:
        tail = events.tail(session, job_id, after=0, limit=100_000)
    assert tail is not None
    assert [event.seq for event in tail.events] == list(range(1, tail.last_seq + 1))
    return list(tail.events)


def states(shared: Installation, job_id: str) -> list[str | None]:
    return [event.text for event in told(shared, job_id) if event.kind == "state"]


def files(shared: Installation, job_id: str) -> list[ArtifactRow]:
    with shared.database.read() as session:
        return list(session.scalars(select(ArtifactRow).where(ArtifactRow.job_id == job_id)))


def long_job(seed: int) -> tuple[PlannedJob, ...]:
    return planned_jobs(seeds=(seed,), steps=2000, checkpoint_every=2000)


def test_a_pretraining_and_its_segmentation_succeed(shared: Installation, worker: Worker) -> None:
    pretrain, segment = shared.submit(planned_jobs(seeds=(1,)))
    assert shared.wait(segment, lambda job: job.finished_at is not None).status == "succeeded"
    done = shared.job(pretrain)
    assert (done.status, done.step, done.total_steps, done.attempt) == ("succeeded", 30, 30, 1)
    assert done.results["pairs"] == 40
    assert done.facts["device"] == "cpu"
    assert {"loss", "learning_rate", "pairs_per_s", "waiting_share", "embeddings/deviation"} <= done.latest.keys()
    assert set(shared.job(segment).results["protocols"]) == {"linear_probe", "fine_tuning"}
    assert Counter(row.kind for row in files(shared, pretrain)) == {
        "checkpoint": 1,
        "weights": 1,
        "embedding_map": 10,
    }
    for row in (*files(shared, pretrain), *files(shared, segment)):
        content = (shared.settings.artifacts / row.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (row.bytes, row.sha256)
        assert row.path.startswith(f"{row.job_id}/1/")
    written = [path.name for path in (shared.settings.artifacts / pretrain / "1").iterdir()]
    assert sorted(written) == ["checkpoint-00000030.safetensors", "embedding-maps", "weights.safetensors"]
    assert states(shared, pretrain) == ["queued", "running", "succeeded"]
    assert states(shared, segment) == ["blocked", "queued", "running", "succeeded"]
    steps = [event.step for event in told(shared, pretrain) if event.metric == "loss"]
    assert steps == list(range(1, 31))
    wait_until(lambda: runs_of(worker) == [], 10, "a run is left")


def test_a_cancelled_run_stops_behind_a_checkpoint(shared: Installation, worker: Worker) -> None:
    pretrain, segment = shared.submit(long_job(2))
    shared.wait(pretrain, lambda job: job.step >= 20)
    with shared.database.write() as session:
        repository.request(session, pretrain, "cancel")
    cancelled = shared.wait(pretrain, lambda job: job.status == "cancelled")
    assert cancelled.requested is None
    kept = [(row.kind, row.step) for row in files(shared, pretrain) if row.kind != "embedding_map"]
    assert kept == [("checkpoint", cancelled.step)]
    assert shared.job(segment).status == "failed"
    wait_until(lambda: runs_of(worker) == [], 10, "the cancelled run is left")


def test_a_paused_run_goes_on_where_it_stopped(shared: Installation, worker: Worker) -> None:
    assert worker.poll() is None
    pretrain, _ = shared.submit(planned_jobs(seeds=(3,), steps=150, checkpoint_every=150))
    shared.wait(pretrain, lambda job: job.step >= 15)
    with shared.database.write() as session:
        repository.request(session, pretrain, "pause")
    paused = shared.wait(pretrain, lambda job: job.status == "paused")
    assert 15 <= paused.step < 150
    with shared.database.write() as session:
        repository.resume(session, pretrain)
    done = shared.wait(pretrain, lambda job: job.finished_at is not None)
    assert (done.status, done.attempt, done.failures) == ("succeeded", 2, 0)
    lines = [event.text for event in told(shared, pretrain) if event.kind == "log"]
    assert f"attempt 2 goes on from step {paused.step:,}" in lines
    steps = [event.step or 0 for event in told(shared, pretrain) if event.metric == "loss"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 150
    maps = [row.step for row in files(shared, pretrain) if row.kind == "embedding_map"]
    assert sorted(maps) == [round(150 * moment / 9) for moment in range(10)]


def test_a_run_that_does_not_heed_a_cancel_is_killed(shared: Installation, worker: Worker) -> None:
    pretrain, _ = shared.submit(long_job(4))
    shared.wait(pretrain, lambda job: job.step >= 1)
    (run,) = runs_of(worker)
    run.send_signal(signal.SIGSTOP)
    with shared.database.write() as session:
        repository.request(session, pretrain, "cancel")
    shared.wait(pretrain, lambda job: job.status == "cancelled")
    assert not run.is_running()


def test_a_pairing_that_the_data_refuses_fails_with_the_sentence(shared: Installation, worker: Worker) -> None:
    assert worker.poll() is None
    planned = planned_jobs(seeds=(5,), pairs=5000)
    pretrain, segment = shared.submit(planned)
    failed = shared.wait(pretrain, lambda job: job.finished_at is not None)
    assert (failed.status, failed.attempt) == ("failed", 1)
    assert failed.error is not None
    assert "5,000" in failed.error or "5000" in failed.error
    waited = shared.job(segment)
    assert waited.status == "failed"
    assert waited.error is not None
    assert failed.error in waited.error


def test_a_run_that_dies_three_times_fails(shared: Installation, worker: Worker) -> None:
    pretrain, _ = shared.submit(long_job(6))
    for attempt in (1, 2, 3):
        shared.wait(pretrain, lambda job, attempt=attempt: job.attempt == attempt and job.step >= 1)  # type: ignore[misc]
        wait_until(lambda: len(runs_of(worker)) == 1, 10, "no run")
        runs_of(worker)[0].kill()
        shared.wait(pretrain, lambda job, attempt=attempt: job.failures == attempt)  # type: ignore[misc]
    failed = shared.wait(pretrain, lambda job: job.finished_at is not None)
    assert failed.status == "failed"
    assert failed.error is not None
    assert "died 3 times in a row" in failed.error
    assert "killed by SIGKILL" in failed.error
    lines = [event.text for event in told(shared, pretrain) if event.stream == "pairlab"]
    assert len([line for line in lines if line is not None and "died: it was killed by SIGKILL" in line]) == 3


def test_a_run_whose_job_was_given_to_another_is_killed(shared: Installation, worker: Worker) -> None:
    pretrain, _ = shared.submit(long_job(7))
    shared.wait(pretrain, lambda job: job.step >= 1)
    (run,) = runs_of(worker)
    with shared.database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == pretrain).values(fence=JobRow.fence + 1, worker="another"))
    wait_until(lambda: not run.is_running(), 15, "the run outlives its fencing token")
    with shared.database.write() as session:
        job = session.get_one(JobRow, pretrain)
        assert (job.status, job.worker) == ("running", "another")
        leases.finish(session, leases.Claim(job.id, job.fence, job.attempt, job.config, None), "failed", error="done")


def test_a_damaged_checkpoint_is_passed_over_for_an_earlier_one(shared: Installation, worker: Worker) -> None:
    assert worker.poll() is None
    pretrain, _ = shared.submit(planned_jobs(seeds=(8,), steps=150, checkpoint_every=10))
    shared.wait(pretrain, lambda job: job.step >= 25)
    with shared.database.write() as session:
        repository.request(session, pretrain, "pause")
    shared.wait(pretrain, lambda job: job.status == "paused")
    with shared.database.read() as session:
        newest, second = outputs.newest_files(session, pretrain, "checkpoint")
    (shared.settings.artifacts / newest.path).write_bytes(b"damaged")
    with shared.database.write() as session:
        repository.resume(session, pretrain)
    assert shared.wait(pretrain, lambda job: job.finished_at is not None).status == "succeeded"
    lines = [event.text for event in told(shared, pretrain) if event.stream == "pairlab"]
    assert f"attempt 2 goes on from step {second.step:,}" in lines
    assert any("damaged or gone" in (line or "") for line in lines)

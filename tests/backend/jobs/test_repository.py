import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backend.database import Database
from backend.datasets.indexing import queue_index_job
from backend.errors import ConflictError
from backend.jobs import leases, repository
from backend.jobs.tables import JobEventRow, JobRow
from tests.backend.jobs.waiting_jobs import add_files, add_jobs, planned_jobs, status_of

Jobs = tuple[str, str]


def states_told(database: Database, job_id: str) -> list[tuple[int, str | None]]:
    with database.read() as session:
        query = select(JobEventRow.seq, JobEventRow.text).where(JobEventRow.job_id == job_id)
        return list(session.execute(query.order_by(JobEventRow.seq)).all())


def claim(database: Database) -> leases.Claim:
    with database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="here", lease_seconds=20)
    assert claimed is not None
    return claimed


def fail(database: Database, claimed: leases.Claim, sentence: str) -> None:
    with database.write() as session:
        leases.finish(session, claimed, "failed", error=sentence)


def test_a_segmentation_is_blocked_until_its_pretraining_has_succeeded(database: Database, jobs: Jobs) -> None:
    assert [status_of(database, job) for job in jobs] == ["queued", "blocked"]
    with database.read() as session:
        assert session.get_one(JobRow, jobs[1]).depends_on == jobs[0]
    assert states_told(database, jobs[1]) == [(1, "blocked")]


def test_equal_work_is_one_job_while_it_can_still_succeed(database: Database, jobs: Jobs) -> None:
    planned = planned_jobs()
    with pytest.raises(IntegrityError), database.write() as session:
        add_jobs(session, planned[:1])
    with database.write() as session:
        assert repository.find_live(session, [planned[0].key])[planned[0].key].id == jobs[0]
        repository.request(session, jobs[0], "cancel")
        assert repository.find_live(session, [job.key for job in planned]) == {}
        again = add_jobs(session, planned[:1])
    assert again[0].id != jobs[0]


def test_cancelling_a_waiting_job_ends_it_and_fails_what_waits_for_it(database: Database, jobs: Jobs) -> None:
    with database.write() as session:
        repository.request(session, jobs[0], "cancel")
    with database.read() as session:
        cancelled, waited = (session.get_one(JobRow, job) for job in jobs)
    assert cancelled.status == "cancelled"
    assert cancelled.finished_at is not None
    assert waited.status == "failed"
    assert waited.error == (
        f"the pretraining it starts from (job {jobs[0]}) was cancelled. Retry this job to run both again."
    )
    assert states_told(database, jobs[0]) == [(1, "queued"), (2, "cancelled")]


def test_a_running_job_is_asked_and_a_cancel_goes_before_a_pause(database: Database, jobs: Jobs) -> None:
    claimed = claim(database)
    with database.write() as session:
        assert repository.request(session, jobs[0], "pause").requested == "pause"
        assert repository.request(session, jobs[0], "cancel").requested == "cancel"
    with pytest.raises(ConflictError, match="being cancelled"), database.write() as session:
        repository.request(session, jobs[0], "pause")
    with database.write() as session:
        assert leases.give_back(session, claimed).status == "cancelled"


def test_a_withdrawn_wish_lets_the_job_go_on(database: Database, jobs: Jobs) -> None:
    claimed = claim(database)
    with database.write() as session:
        repository.request(session, jobs[0], "cancel")
        assert repository.withdraw_request(session, jobs[0]).requested is None
    with database.write() as session:
        assert leases.give_back(session, claimed).status == "queued"


def test_pausing_and_resuming(database: Database, jobs: Jobs) -> None:
    for job, resumed in zip(jobs, ("queued", "blocked"), strict=True):
        with database.write() as session:
            assert repository.request(session, job, "pause").status == "paused"
        with pytest.raises(ConflictError, match="is paused and cannot be paused"), database.write() as session:
            repository.request(session, job, "pause")
        with database.write() as session:
            assert repository.resume(session, job).status == resumed
        with pytest.raises(ConflictError, match="nothing to resume"), database.write() as session:
            repository.resume(session, job)


def test_a_wish_to_pause_that_is_not_met_yet_is_taken_back_by_resume(database: Database, jobs: Jobs) -> None:
    claim(database)
    with database.write() as session:
        repository.request(session, jobs[0], "pause")
        resumed = repository.resume(session, jobs[0])
    assert (resumed.status, resumed.requested) == ("running", None)


def test_jobs_that_ended_take_no_wishes(database: Database, jobs: Jobs) -> None:
    with database.write() as session:
        repository.request(session, jobs[0], "cancel")
    refused = pytest.raises(ConflictError, match=f"job {jobs[0]} is cancelled and cannot be paused")
    with refused, database.write() as session:
        repository.request(session, jobs[0], "pause")
    assert len(states_told(database, jobs[0])) == 2


def test_retrying_a_segmentation_retries_the_pretraining_that_failed(database: Database, jobs: Jobs) -> None:
    fail(database, claim(database), "the pool has 3 pairs, 40 were asked for")
    with database.read() as session:
        waited = session.get_one(JobRow, jobs[1])
    assert waited.status == "failed"
    assert waited.error is not None
    assert "failed: the pool has 3 pairs, 40 were asked for. Retry" in waited.error
    with database.write() as session:
        assert repository.retry(session, jobs[1]).status == "blocked"
    with database.read() as session:
        pretrain = session.get_one(JobRow, jobs[0])
    assert (pretrain.status, pretrain.error, pretrain.finished_at) == ("queued", None, None)


def test_a_retried_segmentation_starts_from_the_equal_pretraining_that_took_its_place(
    database: Database, jobs: Jobs
) -> None:
    with database.write() as session:
        repository.request(session, jobs[0], "cancel")
        (anew,) = add_jobs(session, planned_jobs()[:1])
    with database.write() as session:
        assert repository.retry(session, jobs[1]).depends_on == anew.id
    refused = pytest.raises(ConflictError, match=f"an equal job is queued already: {anew.id}")
    with refused, database.write() as session:
        repository.retry(session, jobs[0])


def test_only_failed_and_cancelled_jobs_can_be_retried(database: Database, jobs: Jobs) -> None:
    with pytest.raises(ConflictError, match="is queued; only failed and cancelled jobs"), database.write() as session:
        repository.retry(session, jobs[0])


def test_what_has_succeeded_is_repeated_where_what_it_made_is_gone(database: Database) -> None:
    with database.write() as session:
        job_id = queue_index_job(session, add_files(session), hardware="cpu").id
    with pytest.raises(ConflictError, match="only what has succeeded"), database.write() as session:
        repository.repeat(session, job_id)
    with database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="here", lease_seconds=60)
        assert claimed is not None
        leases.finish(session, claimed, "succeeded", results={"scenes": 3})
    with database.write() as session:
        row = repository.repeat(session, job_id)
        assert (row.status, row.step, row.results, row.finished_at) == ("queued", 0, {}, None)

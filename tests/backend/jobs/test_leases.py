import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from backend.database import Database, now
from backend.datasets.indexing import queue_index_job
from backend.jobs import events, leases, outputs, repository
from backend.jobs.events import Line, Point
from backend.jobs.leases import Claim, StaleFenceError
from backend.jobs.tables import JobEventRow, JobRow
from tests.backend.jobs.waiting_jobs import add_files, add_jobs, planned_jobs, status_of

Jobs = tuple[str, str]
CLAIM_ALL = """
import sys
from backend.database import Database
from backend.jobs import leases

database = Database(sys.argv[1])
while True:
    with database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker=sys.argv[2], lease_seconds=60)
    if claimed is None:
        break
    print(claimed.job_id, claimed.fence)
"""


def claim(database: Database, *, lease_seconds: float = 60.0) -> Claim:
    with database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="here", lease_seconds=lease_seconds)
    assert claimed is not None
    return claimed


def reap(database: Database, *, max_failures: int = 3) -> list[str]:
    with database.write() as session:
        return [row.status for row in leases.reap_expired(session, max_failures=max_failures)]


def expire(database: Database, job_id: str) -> None:
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job_id).values(lease_expires_at=now() - timedelta(seconds=1)))


def job(database: Database, job_id: str) -> JobRow:
    with database.read() as session:
        return session.get_one(JobRow, job_id)


def test_each_job_is_claimed_once_by_processes_and_threads_that_race(database: Database) -> None:
    with database.write() as session:
        queued = [row.id for row in add_jobs(session, planned_jobs(seeds=tuple(range(30)))) if row.status == "queued"]
    url = database.engine.url.render_as_string(hide_password=False)
    racers = [
        subprocess.Popen([sys.executable, "-c", CLAIM_ALL, url, f"racer-{number}"], stdout=subprocess.PIPE, text=True)
        for number in range(3)
    ]

    def claim_all(_: int) -> list[str]:
        claimed: list[str] = []
        while True:
            with database.write() as session:
                found = leases.claim(session, hardware="cpu", worker="thread", lease_seconds=60)
            if found is None:
                return claimed
            claimed.append(f"{found.job_id} {found.fence}")

    with ThreadPoolExecutor(4) as pool:
        by_threads = [line for lines in pool.map(claim_all, range(4)) for line in lines]
    by_processes = [line for racer in racers for line in racer.communicate(timeout=60)[0].splitlines()]
    assert sorted(by_threads + by_processes) == sorted(f"{job_id} 1" for job_id in queued)


def test_claims_go_by_priority_then_position_then_age(database: Database) -> None:
    with database.write() as session:
        rows = [row for row in add_jobs(session, planned_jobs(seeds=(0, 1, 2))) if row.kind == "pretrain"]
        first, second, third = (row.id for row in rows)
        session.execute(update(JobRow).where(JobRow.id == third).values(priority=1))
    assert [claim(database).job_id for _ in range(3)] == [third, first, second]


def test_a_worker_claims_jobs_of_its_hardware_alone(database: Database) -> None:
    with database.write() as session:
        add_jobs(session, planned_jobs(), hardware="gpu")
    with database.write() as session:
        assert leases.claim(session, hardware="cpu", worker="here", lease_seconds=60) is None
        assert leases.claimable(session) == {"gpu": 1}
        assert leases.claim(session, hardware="gpu", worker="here", lease_seconds=60) is not None


def test_success_starts_what_waits(database: Database, jobs: Jobs) -> None:
    claimed = claim(database)
    with database.write() as session:
        leases.finish(session, claimed, "succeeded", results={"final_loss": 0.5})
    assert [status_of(database, each) for each in jobs] == ["succeeded", "queued"]
    assert job(database, jobs[0]).results == {"final_loss": 0.5}


def test_a_lost_job_is_queued_again_and_its_old_worker_may_write_nothing(database: Database, jobs: Jobs) -> None:
    old = claim(database)
    expire(database, jobs[0])
    assert reap(database) == ["queued"]
    new = claim(database)
    assert (new.attempt, new.fence) == (2, 2)
    for write in (
        lambda session: leases.renew(session, old, lease_seconds=60),
        lambda session: leases.wish_of(session, old),
        lambda session: leases.finish(session, old, "succeeded", results={}),
        lambda session: leases.give_back(session, old),
        lambda session: leases.lose(session, old, reason="", max_failures=3),
        lambda session: events.record(session, old, points=[Point(1, "loss", 1.0)]),
        lambda session: events.record(session, old, lines=[Line("stdout", "late", now())]),
        lambda session: outputs.record_file(
            session, old, kind="checkpoint", step=1, path="x", size=1, sha256="", details={}
        ),
    ):
        with pytest.raises(StaleFenceError), database.write() as session:
            write(session)
    with database.write() as session:
        leases.finish(session, new, "succeeded", results={})
    with database.read() as session:
        query = select(JobEventRow.text).where(JobEventRow.job_id == jobs[0]).order_by(JobEventRow.seq)
        told = session.scalars(query).all()
    assert told == ["queued", "running", "lost", "queued", "running", "succeeded"]


def test_a_renewed_lease_is_not_reaped(database: Database, jobs: Jobs) -> None:
    claimed = claim(database)
    expire(database, jobs[0])
    with database.write() as session:
        leases.renew(session, claimed, lease_seconds=60)
    assert reap(database) == []
    assert status_of(database, jobs[0]) == "running"


def test_three_attempts_without_a_new_checkpoint_fail_the_job_and_what_waits(database: Database, jobs: Jobs) -> None:
    for _ in range(3):
        claim(database)
        expire(database, jobs[0])
        reap(database)
    failed, waited = job(database, jobs[0]), job(database, jobs[1])
    assert failed.status == "failed"
    assert failed.error == (
        "The run died 3 times in a row without reaching a new checkpoint; the last time its worker here went silent. "
        "Look at the end of its log, then retry the job."
    )
    assert waited.status == "failed"
    assert waited.error is not None
    assert failed.error in waited.error


def test_a_new_checkpoint_forgives_earlier_deaths(database: Database, jobs: Jobs) -> None:
    for attempt in range(1, 6):
        claimed = claim(database)
        if attempt == 2:
            with database.write() as session:
                outputs.record_file(
                    session, claimed, kind="checkpoint", step=10, path="2/c", size=1, sha256="00", details={}
                )
        with database.write() as session:
            leases.lose(session, claimed, reason="it was killed", max_failures=3)
        assert job(database, jobs[0]).failures == {1: 1, 2: 0, 3: 1, 4: 2, 5: 3}[attempt]
    assert status_of(database, jobs[0]) == "failed"


def test_an_index_run_that_finished_a_part_got_further(database: Database) -> None:
    with database.write() as session:
        queue_index_job(session, add_files(session), hardware="cpu")
    statuses = []
    for attempt in range(1, 6):
        claimed = claim(database)
        assert (claimed.attempt, claimed.config["kind"]) == (attempt, "index")
        with database.write() as session:
            if attempt < 3:  # later attempts tell of no part that is new
                events.record(session, claimed, points=[Point(128 * attempt, "quarantined", 0.0)])
            events.record(session, claimed, points=[Point(128, "quarantined", 0.0)])
            row = leases.lose(session, claimed, reason="it was killed", max_failures=3)
            statuses.append((row.status, row.failures))
    assert statuses == [("queued", 0), ("queued", 0), ("queued", 1), ("queued", 2), ("failed", 3)]


@pytest.mark.parametrize(("wish", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_wish_is_met_even_if_the_worker_dies_over_it(
    database: Database, jobs: Jobs, wish: repository.Wish, state: str
) -> None:
    claim(database)
    with database.write() as session:
        repository.request(session, jobs[0], wish)
    expire(database, jobs[0])
    assert reap(database) == [state]
    assert job(database, jobs[0]).requested is None


def test_dependants_left_behind_are_settled(database: Database, jobs: Jobs) -> None:
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == jobs[0]).values(status="succeeded"))
    with database.write() as session:
        assert leases.unsettled(session)
        assert leases.settle_dependants(session) == 1
        assert not leases.unsettled(session)
    assert status_of(database, jobs[1]) == "queued"


@pytest.mark.usefixtures("jobs")
def test_a_prediction_made_twice_counts_once(database: Database) -> None:
    details = {"scene": "a", "protocol": "fine_tuning", "acquisition": "post", "final": False, "iou": {"intact": 0.5}}

    def record(path: str) -> bool:
        claimed = claim(database)
        with database.write() as session:
            row = outputs.record_file(
                session, claimed, kind="prediction", step=5, path=path, size=1, sha256="00", details=details
            )
        with database.write() as session:
            leases.give_back(session, claimed)
        return row is not None

    assert [record("1/a.png"), record("2/a.png")] == [True, False]


@pytest.mark.usefixtures("jobs")
def test_an_embedding_map_drawn_again_by_a_later_attempt_counts_once(database: Database) -> None:
    def record(attempt: int, step: int) -> bool:
        claimed = claim(database)
        with database.write() as session:
            row = outputs.record_file(
                session,
                claimed,
                kind="embedding_map",
                step=step,
                path=f"{attempt}/{step}.png",
                size=1,
                sha256=f"{attempt}",
                details={"cells": 16, "explained": [0.1 * attempt], "tiles": []},
            )
        with database.write() as session:
            leases.give_back(session, claimed)
        return row is not None

    assert [record(1, 0), record(1, 10), record(2, 10), record(2, 20)] == [True, True, False, True]

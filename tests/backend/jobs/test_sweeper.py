import time
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import update

from backend.database import Database, now
from backend.jobs import leases, queue
from backend.jobs.sweeper import running_sweeper, sweep
from backend.jobs.tables import JobRow
from backend.settings import Settings
from tests.backend.jobs.waiting_jobs import add_jobs, planned_jobs, status_of


def test_a_job_whose_wake_up_was_lost_gets_one_and_only_one(database: Database, settings: Settings) -> None:
    hardware = uuid4().hex
    with database.write() as session:
        add_jobs(session, planned_jobs(seeds=(0, 1)), hardware=hardware)
    assert queue.waiting(settings, hardware) == 0
    sweep(database, settings)
    assert queue.waiting(settings, hardware) == 1
    sweep(database, settings)
    assert queue.waiting(settings, hardware) == 1


def test_a_lost_job_is_found_and_what_waits_is_settled(database: Database, settings: Settings) -> None:
    with database.write() as session:
        pretrain, segment = (row.id for row in add_jobs(session, planned_jobs(), hardware="sweep-two"))
    with database.write() as session:
        leases.claim(session, hardware="sweep-two", worker="gone", lease_seconds=60)
        session.execute(update(JobRow).values(lease_expires_at=now() - timedelta(seconds=1)))
    sweep(database, settings)
    assert status_of(database, pretrain) == "queued"
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == pretrain).values(status="failed", error="it had to"))
    sweep(database, settings)
    assert status_of(database, segment) == "failed"


def test_the_sweeper_survives_a_missing_queue_server(database: Database, settings: Settings) -> None:
    with database.write() as session:
        pretrain, _ = add_jobs(session, planned_jobs(), hardware="sweep-three")
    with database.write() as session:
        leases.claim(session, hardware="sweep-three", worker="gone", lease_seconds=0.1)
    silent = settings.model_copy(update={"redis_url": "redis+socket:///nowhere/queue.sock", "sweep_seconds": 0.1})
    with running_sweeper(database, silent):
        deadline = time.monotonic() + 10
        while status_of(database, pretrain.id) != "queued" and time.monotonic() < deadline:
            time.sleep(0.05)
    assert status_of(database, pretrain.id) == "queued"

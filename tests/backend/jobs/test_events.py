import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.database import Database, now
from backend.jobs import events, leases, repository
from backend.jobs.events import Line, Point
from backend.jobs.leases import Claim
from backend.jobs.schemas import JobStatus
from backend.migrations.upgrade import upgrade
from tests.backend.jobs.waiting_jobs import add_jobs, planned_jobs

Jobs = tuple[str, str]


@pytest.fixture
def claimed(database: Database, jobs: Jobs) -> Claim:
    assert jobs
    with database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="here", lease_seconds=60)
    assert claimed is not None
    return claimed


def numbers(database: Database, job_id: str) -> list[int]:
    with database.read() as session:
        tail = events.tail(session, job_id, after=0, limit=100_000)
    assert tail is not None
    assert tail.last_seq == len(tail.events)
    return [event.seq for event in tail.events]


def test_a_replayed_step_keeps_its_number_and_value(database: Database, claimed: Claim) -> None:
    with database.write() as session:
        assert events.record(session, claimed, points=[Point(1, "loss", 3.0), Point(2, "loss", 2.0)]) == 2
    with database.write() as session:
        replayed = [Point(2, "loss", 9.0), Point(3, "loss", 1.0), Point(3, "loss", 1.0)]
        assert events.record(session, claimed, points=replayed) == 1
    with database.read() as session:
        told = events.metrics(session, claimed.job_id, after=0, keys=(), max_points=None)
        latest = repository.find(session, claimed.job_id)
    assert told == [(3, 1, "loss", 3.0), (4, 2, "loss", 2.0), (5, 3, "loss", 1.0)]
    assert latest is not None
    assert latest.latest == {"loss": 1.0}
    assert numbers(database, claimed.job_id) == [1, 2, 3, 4, 5]


def test_numbers_have_no_gap_while_others_change_the_state(database: Database, claimed: Claim) -> None:
    def wish() -> None:
        for _ in range(20):
            with database.write() as session:
                repository.request(session, claimed.job_id, "pause")
            with database.write() as session:
                repository.resume(session, claimed.job_id)

    def log() -> None:
        for number in range(20):
            with database.write() as session:
                events.record(session, claimed, lines=[Line("stdout", str(number), now())])

    threads = [threading.Thread(target=target) for target in (wish, log, log)]
    for thread in threads:
        thread.start()
    for step in range(20):
        with database.write() as session:
            events.record(session, claimed, points=[Point(step, "loss", 1.0), Point(step, "speed", 2.0)])
    for thread in threads:
        thread.join()
    assert numbers(database, claimed.job_id) == list(range(1, 2 + 40 + 40 + 1))


def test_the_tail_tells_the_state_even_without_events(database: Database, jobs: Jobs) -> None:
    with database.read() as session:
        tail = events.tail(session, jobs[0], after=1)
        assert events.tail(session, "nobody", after=0) is None
    assert tail is not None
    assert (tail.status, tail.last_seq, tail.events) == (JobStatus.QUEUED, 1, [])


def test_logs_are_read_page_by_page(database: Database, claimed: Claim) -> None:
    with database.write() as session:
        events.record(
            session,
            claimed,
            points=[Point(1, "loss", 1.0)],
            lines=[Line("stdout", f"line {number}", now()) for number in range(5)],
        )
    with database.read() as session:
        first = events.logs(session, claimed.job_id, after=0, limit=3)
        rest = events.logs(session, claimed.job_id, after=first[-1].seq, limit=3)
    assert [row.text for row in (*first, *rest)] == [f"line {number}" for number in range(5)]


@given(total=st.integers(1, 60), wanted=st.integers(2, 30))
def test_thinning_keeps_first_and_last_and_spreads_the_rest(
    thinning: tuple[Database, Claim], total: int, wanted: int
) -> None:
    database, claimed = thinning
    with database.read() as session:
        told = events.metrics(session, claimed.job_id, after=0, keys=[f"of {total}"], max_points=wanted)
    steps = [step for _, step, _, _ in told]
    assert len(steps) == min(total, wanted)
    assert steps[0] == 1
    assert steps[-1] == total
    gaps = {after - before for before, after in pairwise(steps)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.fixture(scope="module")
def thinning(tmp_path_factory: pytest.TempPathFactory) -> tuple[Database, Claim]:
    """A job with metrics `of 1` to `of 60`, each with as many points."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('thinning') / 'jobs.db'}")
    upgrade(database)
    with database.write() as session:
        add_jobs(session, planned_jobs())
    with database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="here", lease_seconds=60)
        assert claimed is not None
        points = [Point(step, f"of {total}", 1.0) for total in range(1, 61) for step in range(1, total + 1)]
        events.record(session, claimed, points=points)
    return database, claimed

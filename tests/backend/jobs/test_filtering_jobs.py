"""A pretraining waits for its change score, a segmentation for its pretraining; what fails takes all of them along."""

import pytest

from backend.database import Database
from backend.jobs import events, leases, repository
from backend.jobs.events import Point
from backend.jobs.leases import Claim
from backend.jobs.outputs import maker_of_weights
from backend.jobs.tables import JobRow
from pairlab.experiment.change_scores import EmbeddingDistance
from tests.backend.jobs.filtering_jobs import filtering_jobs
from tests.backend.jobs.waiting_jobs import add_jobs, planned_jobs, status_of

Jobs = tuple[str, str, str]


@pytest.fixture
def jobs(database: Database) -> Jobs:
    """Ids of a queued score, and of the pretraining and the segmentation that wait."""
    with database.write() as session:
        score, pretrain, segment = add_jobs(session, filtering_jobs())
        return score.id, pretrain.id, segment.id


def claim(database: Database) -> Claim:
    with database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="here", lease_seconds=20)
    assert claimed is not None
    return claimed


def states(database: Database, jobs: Jobs) -> list[str]:
    return [status_of(database, job) for job in jobs]


def errors(database: Database, jobs: Jobs) -> list[str | None]:
    with database.read() as session:
        return [session.get_one(JobRow, job).error for job in jobs]


def test_each_waits_for_the_one_before(database: Database, jobs: Jobs) -> None:
    assert states(database, jobs) == ["queued", "blocked", "blocked"]
    for done in range(3):
        claimed = claim(database)
        assert claimed.job_id == jobs[done]
        with database.read() as session:
            maker = maker_of_weights(session, claimed)
        assert (None if maker is None else maker.id) == (jobs[1] if done == 2 else None)
        with database.write() as session:
            leases.finish(session, claimed, "succeeded", results={})
        expected = ["succeeded"] * (done + 1) + ["queued"] * (done < 2) + ["blocked"] * (1 - done)
        assert states(database, jobs) == expected


def test_a_failed_score_fails_all_that_wait_with_a_sentence_each(database: Database, jobs: Jobs) -> None:
    claimed = claim(database)
    with database.write() as session:
        leases.finish(session, claimed, "failed", error="the weights could not be downloaded")
    assert states(database, jobs) == ["failed"] * 3
    because = f"the change score it filters by (job {jobs[0]}) failed: the weights could not be downloaded."
    assert errors(database, jobs) == [
        "the weights could not be downloaded",
        f"{because} Retry this job to run both again.",
        f"the pretraining it starts from (job {jobs[1]}) failed: {because} Retry this job to run all of them again.",
    ]
    with database.write() as session:
        repository.retry(session, jobs[2])
    assert states(database, jobs) == ["queued", "blocked", "blocked"]
    assert errors(database, jobs) == [None] * 3


def test_a_cancelled_score_fails_all_that_wait(database: Database, jobs: Jobs) -> None:
    with database.write() as session:
        repository.request(session, jobs[0], "cancel")
    assert states(database, jobs) == ["cancelled", "failed", "failed"]
    assert errors(database, jobs)[1] == (
        f"the change score it filters by (job {jobs[0]}) was cancelled. Retry this job to run both again."
    )


def test_a_score_of_which_parts_are_kept_may_die_often(database: Database, jobs: Jobs) -> None:
    for attempt in range(1, 6):
        claimed = claim(database)
        assert claimed.attempt == attempt
        with database.write() as session:
            events.record(session, claimed, points=[Point(32 * attempt, "scenes_per_s", 1.0)])
            leases.lose(session, claimed, reason="it was killed", max_failures=2)
        assert status_of(database, jobs[0]) == "queued"
    for _ in range(2):  # and nothing more is reached
        claimed = claim(database)
        with database.write() as session:
            leases.lose(session, claimed, reason="it was killed", max_failures=2)
    assert states(database, jobs) == ["failed"] * 3


def test_an_embedding_distance_gets_the_weights_of_the_pretraining_it_names(database: Database) -> None:
    pretrain, *_ = planned_jobs()
    score, *_ = filtering_jobs(score=EmbeddingDistance(weights=pretrain.key))
    with database.write() as session:
        (made,) = add_jobs(session, (pretrain,))
        add_jobs(session, (score,))
    claimed = claim(database)
    assert claimed.job_id == made.id
    other = claim(database)
    with database.read() as session:
        assert maker_of_weights(session, other) is None  # it has not finished
    with database.write() as session:
        leases.finish(session, claimed, "succeeded", results={})
    with database.read() as session:
        maker = maker_of_weights(session, other)
        assert maker is not None
        assert maker.id == made.id
    plain = Claim("x", 1, 1, filtering_jobs(seed=4)[0].config.model_dump(mode="json"), None)
    with database.read() as session:
        assert maker_of_weights(session, plain) is None

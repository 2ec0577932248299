from datetime import UTC, datetime, timedelta

import pytest

from backend.experiments.repository import Tally
from backend.experiments.service import status_of
from backend.experiments.tables import ExperimentRow
from backend.jobs.schemas import JobStatus

SUBMITTED = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE, AFTER = SUBMITTED - timedelta(hours=1), SUBMITTED + timedelta(hours=1)


def tally(status: str, started: datetime | None = None) -> Tally:
    return Tally(JobStatus(status), 1, started, None)


@pytest.mark.parametrize(
    ("cancelled", "tallies", "expected"),
    [
        (False, [tally("queued"), tally("blocked")], "queued"),
        (False, [tally("queued"), tally("succeeded", BEFORE)], "queued"),  # taken over from an earlier experiment
        (False, [tally("queued"), tally("succeeded", AFTER)], "running"),
        (False, [tally("running", BEFORE), tally("queued")], "running"),
        (False, [tally("failed", AFTER), tally("queued")], "running"),
        (False, [tally("paused", AFTER)], "running"),
        (False, [tally("succeeded", AFTER)], "succeeded"),
        (False, [tally("succeeded", AFTER), tally("failed", AFTER)], "failed"),
        (False, [tally("cancelled"), tally("failed", AFTER)], "failed"),
        (False, [tally("succeeded", AFTER), tally("cancelled")], "cancelled"),
        (True, [tally("running", AFTER), tally("cancelled")], "cancelled"),
        (True, [tally("succeeded", AFTER)], "succeeded"),
    ],
)
def test_an_experiment_is_what_its_jobs_are(cancelled: bool, tallies: list[Tally], expected: str) -> None:
    row = ExperimentRow(created_at=SUBMITTED, cancelled_at=AFTER if cancelled else None)
    assert status_of(row, tallies) == expected

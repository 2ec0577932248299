import pytest

from backend.database import Database
from tests.backend.jobs.waiting_jobs import add_jobs, planned_jobs


@pytest.fixture
def jobs(database: Database) -> tuple[str, str]:
    """Ids of a queued pretraining and the segmentation that waits for it."""
    with database.write() as session:
        pretrain, segment = add_jobs(session, planned_jobs())
        return pretrain.id, segment.id

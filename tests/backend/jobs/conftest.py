from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.database import Database
from backend.migrations.upgrade import upgrade
from tests.backend.jobs.waiting_jobs import add_jobs, planned_jobs


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'jobs.db'}")
    upgrade(database)
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> tuple[str, str]:
    """Ids of a queued pretraining and the segmentation that waits for it."""
    with database.write() as session:
        pretrain, segment = add_jobs(session, planned_jobs())
        return pretrain.id, segment.id

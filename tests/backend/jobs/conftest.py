from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from backend.database import Database
from backend.migrations.upgrade import upgrade
from tests.backend.jobs.waiting_jobs import add_jobs, planned_jobs
from tests.backend.postgresql import INSTALLED, running_postgresql


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a real server, with `{database}` where the name of a database goes."""
    if INSTALLED is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    with running_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    server: str = request.getfixturevalue("postgresql")
    name = f"test_{uuid4().hex}"
    engine = create_engine(server.format(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.format(database=name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    upgrade(database)
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> tuple[str, str]:
    """Ids of a queued pretraining and the segmentation that waits for it."""
    with database.write() as session:
        pretrain, segment = add_jobs(session, planned_jobs())
        return pretrain.id, segment.id

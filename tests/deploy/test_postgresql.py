from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.database import Database
from backend.jobs import leases, outputs
from backend.migrations.upgrade import METADATA, upgrade
from backend.settings import Settings
from tests.backend.postgresql import INSTALLED, running_postgresql

API = "/api/v1"
EXPERIMENT = {
    "name": "two arms",
    "dataset": "scenes",
    "labels": {"train_chips": 8},
    "arms": {
        "same": {"pairing": {"policy": "same_image", "pairs": 20}},
        "half": {"pairing": {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.5}}},
    },
    "reference": "same",
    "seeds": [0, 1],
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An empty database of a real server, by the driver that the compose file names."""
    if INSTALLED is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    with running_postgresql() as server:
        found = server.format(database="postgres")
        assert found.startswith("postgresql+psycopg://")
        yield found


def test_processes_that_start_at_once_make_the_tables_of_the_code(url: str) -> None:
    databases = [Database(url) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(upgrade, databases))
    with databases[0].engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    for database in databases:
        database.close()


def test_the_api_runs_on_it_as_the_compose_file_has_it(url: str, tmp_path: Path) -> None:
    nowhere = f"redis+socket://{tmp_path / 'queue.sock'}"
    settings = Settings(home=tmp_path / "home", database_url=url, redis_url=nowhere, sweep_seconds=60.0)
    with TestClient(create_app(settings)) as client:
        synthetic = {"kind": "synthetic", "train": 48, "validation": 4, "test": 6}
        assert client.post(f"{API}/datasets", json={"name": "scenes", "config": synthetic}).status_code == 201

        def submit(_number: int) -> int:
            return client.post(f"{API}/experiments", json={"experiment": EXPERIMENT}).status_code

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(submit, range(4))) == [202] * 4
        jobs = client.get(f"{API}/jobs", params={"limit": 100}).json()["items"]
        assert sorted(job["kind"] for job in jobs) == ["pretrain"] * 4 + ["segment"] * 4, "equal work is one job"
        assert client.get(f"{API}/experiments").json()["total"] == 4
        first = client.get(f"{API}/experiments").json()["items"][0]["id"]
        assert client.get(f"{API}/experiments/{first}/results").status_code == 200
        assert client.get(f"{API}/system").json()["database"] == "postgresql"
        assert client.get("/readyz").json()["detail"] == "the queue does not answer"


def test_files_beyond_two_gigabytes_are_recorded(url: str) -> None:
    with closing(Database(url)) as database, database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="here-1", lease_seconds=20.0)
        assert claimed is not None
        row = outputs.record_file(
            session, claimed, kind="weights", step=1, path="a/1/w", size=3 * 2**30, sha256="0" * 64, details={}
        )
        assert row is not None
        assert outputs.newest_files(session, claimed.job_id, "weights", limit=1)[0].bytes == 3 * 2**30

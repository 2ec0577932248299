import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from backend.database import Database
from backend.datasets import marks_repository
from backend.datasets.tables import DatasetRow
from backend.jobs.tables import JobRow
from backend.migrations.upgrade import METADATA, upgrade
from tests.backend.postgresql import empty_postgresql


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'pairlab.db'}"


def test_a_migrated_database_has_the_tables_of_the_code(url: str) -> None:
    database = Database(url)
    upgrade(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    names = {table: inspect(database.engine).get_indexes(table) for table in METADATA.tables}
    for table in METADATA.tables.values():
        found = {(index["name"], tuple(index["column_names"]), bool(index["unique"])) for index in names[table.name]}
        declared = {(index.name, tuple(index.columns.keys()), index.unique) for index in table.indexes}
        assert declared <= found
    database.close()


def test_an_upgraded_database_is_left_alone(url: str) -> None:
    database = Database(url)
    upgrade(database)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO datasets (name, config, fingerprint, summary, created_at) "
            "VALUES ('kept', '{}', 'f', '{}', '2026-01-01 00:00:00.000000')"
        )
    upgrade(database)
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT name FROM datasets").scalar() == "kept"
    database.close()


FIRST_ROWS = (
    "INSERT INTO datasets (name, config, fingerprint, summary, created_at) "
    "VALUES ('kept', '{\"kind\": \"xbd\"}', 'f', '{\"scenes\": 3}', '2026-01-01 00:00:00.000000')",
    "INSERT INTO jobs (id, key, kind, dataset, config, status, hardware, priority, position, attempt, fence, failures, "
    "step, facts, latest, results, last_seq, created_at) VALUES ('j', 'k', 'pretrain', 'kept', '{}', 'succeeded', "
    "'cpu', 0, 0, 1, 1, 0, 5, '{}', '{}', '{}', 1, '2026-01-01 00:00:00.000000')",
    "INSERT INTO job_events (job_id, seq, kind, created_at) VALUES ('j', 1, 'state', '2026-01-01 00:00:00.000000')",
)
"""A database of the first revision in use: what refers to a dataset must survive whatever happens to its table."""


@pytest.fixture(params=["sqlite", "postgresql"])
def first(request: pytest.FixtureRequest, url: str) -> Iterator[Database]:
    """A database of revision 0001 with rows in it."""
    database = Database(empty_postgresql(request.getfixturevalue("postgresql")) if request.param != "sqlite" else url)
    upgrade(database, "0001")
    with database.engine.begin() as connection:
        for statement in FIRST_ROWS:
            connection.exec_driver_sql(statement)
    yield database
    database.close()


def test_marks_come_to_a_database_in_use(first: Database) -> None:
    upgrade(first)
    with first.read() as session:
        row = session.get_one(DatasetRow, "kept")
        assert (row.fingerprint, row.summary, row.marks_version) == ("f", {"scenes": 3}, 0)
        assert session.get_one(JobRow, "j").step == 5
    with first.write() as session:
        marks_repository.write(session, "kept", "scene-1", flagged=True, note="clouds")
    with first.read() as session:
        assert session.get_one(DatasetRow, "kept").marks_version == 1
        (mark,) = marks_repository.of_dataset(session, "kept")
    assert (mark.scene, mark.flagged, mark.note) == ("scene-1", True, "clouds")
    assert mark.updated_at.tzinfo is not None


def test_processes_that_start_at_once_do_not_disturb_each_other(url: str) -> None:
    code = (
        "import sys; from backend.database import Database; from backend.migrations.upgrade import upgrade; "
        "database = Database(sys.argv[1]); sys.stdin.read(); upgrade(database); database.close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, url], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in processes:  # all have imported; closing their input lets them go
        assert process.stdin is not None
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    database = Database(url)
    assert set(METADATA.tables) <= set(inspect(database.engine).get_table_names())
    database.close()

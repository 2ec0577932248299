import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from backend.database import Database
from backend.migrations.upgrade import METADATA, upgrade


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
            "INSERT INTO datasets VALUES ('kept', '{}', 'f', '{}', '2026-01-01 00:00:00.000000')"
        )
    upgrade(database)
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT name FROM datasets").scalar() == "kept"
    database.close()


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

"""Brings a database to the tables of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, text

from backend.artifacts.tables import ArtifactRow
from backend.database import Database, Table
from backend.datasets.tables import DatasetRow
from backend.experiments.tables import ExperimentRow
from backend.jobs.tables import JobRow

TABLES = (ArtifactRow, DatasetRow, ExperimentRow, JobRow)
METADATA: MetaData = Table.metadata
"""Every table: importing the rows above has registered them."""

_ADVISORY_LOCK = 7_241_562_031
"""Any number, as long as all PairLab processes on one PostgreSQL server use the same."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Applies the revisions that are missing, up to one. Processes that do so at once wait for each other."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    engine = database.engine.execution_options(sqlite_begin="IMMEDIATE")
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

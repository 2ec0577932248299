"""The database is the truth about jobs: engine, sessions, and the base of every table."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Double, Engine, MetaData, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

BUSY_TIMEOUT_MS = 15_000


class UtcDateTime(TypeDecorator[datetime]):
    """Time-zone aware UTC on every database; SQLite alone would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Returns the value in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401, ARG002
        """Returns the value with its zone."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value


class Table(DeclarativeBase):
    """Base of every table; names of constraints are fixed so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy's declaration)
        dict[str, Any]: JSON,
        datetime: UtcDateTime,
        float: Double,
    }


def now() -> datetime:
    """Returns the time, in UTC."""
    return datetime.now(UTC)


def open_engine(url: str) -> Engine:
    """Returns an engine; on SQLite with write-ahead log, foreign keys, and writes that wait for each other."""
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:  # noqa: ANN401
            connection.isolation_level = None  # pysqlite must not begin on its own
            cursor = connection.cursor()
            for pragma in (
                f"busy_timeout={BUSY_TIMEOUT_MS}",  # first: the switch to WAL waits as well
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "foreign_keys=ON",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:  # noqa: ANN401
            mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
            connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


class Database:
    """Sessions of one database: `read` never blocks writers, `write` holds the write lock from its first statement."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self._read = sessionmaker(self.engine, expire_on_commit=False)
        self._write = sessionmaker(self.engine.execution_options(sqlite_begin="IMMEDIATE"), expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yields a session for reading."""
        with self._read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yields a session whose changes are committed at the end, or all undone on an exception."""
        with self._write.begin() as session:
            yield session

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

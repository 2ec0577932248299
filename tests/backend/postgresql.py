"""A real PostgreSQL server of a test session, from the Debian packages where they are installed."""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text

from worker.fork_server import PR_SET_PDEATHSIG

INSTALLED = next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
"""Folder of the server's programs; None where there is none."""
START_SECONDS = 30.0


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Yields the URL of a server of its own, with `{database}` where the name of a database goes."""
    assert INSTALLED is not None
    folder = Path(tempfile.mkdtemp(prefix="pairlab-pg-"))
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user is not None:
        shutil.chown(folder, user)
    data, log = folder / "data", folder / "log"
    try:
        subprocess.run(
            [INSTALLED / "initdb", "-D", data, "-A", "trust", "-U", "pairlab", "-E", "UTF8", "--no-sync"],
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=off")
        with log.open("wb") as output:
            server = subprocess.Popen(
                [INSTALLED / "postgres", "-D", data, *(part for each in settings for part in ("-c", each))],
                user=user,
                cwd=folder,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,  # a killed test session leaves no server behind
            )
        try:
            _wait(log)
            yield f"postgresql+psycopg://pairlab@/{{database}}?host={folder}"
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def empty_postgresql(server: str) -> str:
    """Returns the URL of a new database on a running server."""
    name = f"test_{uuid4().hex}"
    engine = create_engine(server.format(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.format(database=name)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _wait(log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while b"ready to accept connections" not in log.read_bytes():
        if time.monotonic() > deadline:
            raise TimeoutError(f"PostgreSQL did not start: {log.read_text()}")
        time.sleep(0.05)

"""Whether the worker on this machine is there: exit code 0 while it writes its heartbeat, 1 with a sentence otherwise.

python -m worker.health
"""

import socket
import sys

from sqlalchemy.exc import SQLAlchemyError

from backend.database import Database
from backend.jobs import workers
from backend.settings import Settings


def problem(settings: Settings, host: str) -> str | None:
    """Returns what is wrong with the workers on a host; None where one was seen lately."""
    database = Database(settings.database)
    try:
        with database.read() as session:
            seen = [row.name for row in workers.connected(session)]
    except SQLAlchemyError as error:
        return f"the database does not answer: {error}"
    finally:
        database.close()
    if any(name.rpartition("-")[0] == host for name in seen):  # names are HOST-PROCESS
        return None
    return f"no worker on {host} was seen in the last {workers.SILENT_SECONDS:.0f} s; seen were {seen or 'none'}"


if __name__ == "__main__":
    sys.exit(problem(Settings(), socket.gethostname()))

"""How busy the installation is, and what it runs on."""

import os
import platform
import shutil
from importlib.metadata import version

from fastapi import APIRouter

from backend.context import CurrentContext
from backend.jobs import leases, workers
from backend.jobs.queue import queue_answers
from backend.jobs.schemas import DiskRead, SystemRead, WorkerRead

router = APIRouter(tags=["system"])


@router.get("/system", summary="Workers, queues, disk, versions")
def get_system(context: CurrentContext) -> SystemRead:
    """Returns who is connected, how busy they are, and how many jobs wait."""
    with context.database.read() as session:
        rows = workers.connected(session)
        busy = workers.running_per_worker(session)
        waiting = leases.claimable(session)
    context.settings.artifacts.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(context.settings.artifacts)
    return SystemRead(
        version=version("pairlab"),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        workers=[
            WorkerRead(
                name=row.name,
                hardware=row.hardware,
                slots=row.slots,
                busy=busy.get(row.name, 0),
                facts=row.facts,
                seen_at=row.seen_at,
            )
            for row in rows
        ],
        queue=dict.fromkeys((row.hardware for row in rows), 0) | waiting,
        queue_answers=queue_answers(context.settings),
        disk=DiskRead(free=disk.free, total=disk.total),
        database=context.database.engine.dialect.name,
    )

"""A job's events as they happen, as server-sent events that can be taken up again at any number."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
from fastapi.sse import format_sse_event
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from backend.database import Database
from backend.jobs import events
from backend.jobs.events import EVENTS_AT_ONCE, Tail
from backend.jobs.schemas import FINAL_STATUSES, JobStatus
from backend.jobs.service import log_line
from backend.jobs.tables import JobEventRow

TICK_SECONDS = 0.3
KEEP_ALIVE_SECONDS = 10.0
RECONNECT_MS = 1000


async def stream_events(database: Database, job_id: str, *, after: int) -> AsyncIterator[bytes]:
    """Yields server-sent events with numbers above `after`, and `end` behind a final state or with the job itself.

    Args:
        database: where the job is.
        job_id: an existing job.
        after: number of the last event the client has.
    """
    yield format_sse_event(comment="events follow", retry=RECONNECT_MS)
    spoke = time.monotonic()
    while True:
        tail = await run_in_threadpool(_read, database, job_id, after)
        if tail is None:  # deleted with its dataset
            yield _sse("end", after, {"seq": after, "status": JobStatus.CANCELLED})
            return
        for event in tail.events:
            yield _format(event)
            after, spoke = event.seq, time.monotonic()
        if tail.status in FINAL_STATUSES and after >= tail.last_seq:
            yield _sse("end", tail.last_seq, {"seq": tail.last_seq, "status": tail.status})
            return
        if len(tail.events) == EVENTS_AT_ONCE:
            continue
        if time.monotonic() - spoke > KEEP_ALIVE_SECONDS:
            yield format_sse_event(comment="still here")
            spoke = time.monotonic()
        await anyio.sleep(TICK_SECONDS)


def _read(database: Database, job_id: str, after: int) -> Tail | None:
    with database.read() as session:
        return events.tail(session, job_id, after=after)


def _format(event: JobEventRow) -> bytes:
    if event.kind == "metric":
        point = {"seq": event.seq, "step": event.step, "key": event.metric, "value": event.value}
        return _sse("metric", event.seq, point)
    if event.kind == "log":
        return _sse("log", event.seq, log_line(event).model_dump(mode="json"))
    return _sse("state", event.seq, {"seq": event.seq, "status": event.text})


def _sse(event: str, seq: int, data: Mapping[str, Any]) -> bytes:
    return format_sse_event(event=event, id=str(seq), data_str=to_json(data).decode())

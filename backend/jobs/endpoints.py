from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import StreamingResponse

from backend.context import CurrentContext
from backend.cursor import CursorQuery
from backend.datasets.schemas import Page
from backend.jobs import repository, service
from backend.jobs.schemas import JobDetail, JobKind, JobRead, JobStatus, LogRead, MetricsRead
from backend.jobs.stream import stream_events

router = APIRouter(tags=["jobs"])

JobPath = Annotated[str, Path(description="Id of a job.")]
After = Annotated[int, Query(ge=0, description="Events with a greater sequence number alone.")]


@router.get("/jobs", summary="All jobs, newest first")
def list_jobs(
    context: CurrentContext,
    status: Annotated[list[JobStatus] | None, Query(description="Jobs in these states alone (repeatable).")] = None,
    kind: Annotated[JobKind | None, Query()] = None,
    experiment: Annotated[str | None, Query(description="Jobs that this experiment (id) needs.")] = None,
    cursor: CursorQuery = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[JobRead]:
    """Lists jobs."""
    return service.list_jobs(context, status=status or (), kind=kind, experiment=experiment, cursor=cursor, limit=limit)


@router.get("/jobs/{job}", summary="One job")
def get_job(context: CurrentContext, job: JobPath) -> JobDetail:
    """Returns a job with its resolved configuration, facts of the run and results."""
    return service.get(context, job)


@router.post("/jobs/{job}/cancel", summary="Stop a job for good")
def cancel_job(context: CurrentContext, job: JobPath) -> JobRead:
    """Cancels a waiting job at once; asks a running one to stop at the end of its step."""
    return service.change(context, job, lambda session, job_id: repository.request(session, job_id, "cancel"))


@router.post("/jobs/{job}/pause", summary="Stop a job for now")
def pause_job(context: CurrentContext, job: JobPath) -> JobRead:
    """Pauses a waiting job at once; asks a running one to stop behind a checkpoint."""
    return service.change(context, job, lambda session, job_id: repository.request(session, job_id, "pause"))


@router.post("/jobs/{job}/resume", summary="Let a paused job go on")
def resume_job(context: CurrentContext, job: JobPath) -> JobRead:
    """Queues a paused job again; it goes on from its newest checkpoint."""
    return service.change(context, job, repository.resume)


@router.post("/jobs/{job}/retry", summary="Try a failed or cancelled job again")
def retry_job(context: CurrentContext, job: JobPath) -> JobRead:
    """Queues a failed or cancelled job again, and the pretraining it needs where that failed too."""
    return service.change(context, job, repository.retry)


@router.get("/jobs/{job}/metrics", summary="Metrics of a job")
def get_metrics(
    context: CurrentContext,
    job: JobPath,
    after: After = 0,
    key: Annotated[list[str] | None, Query(description="These metrics alone (repeatable).")] = None,
    max_points: Annotated[
        int | None, Query(ge=2, le=10_000, description="Thins each metric evenly; first and last are kept.")
    ] = None,
) -> MetricsRead:
    """Returns metric points in the order they were told."""
    return service.read_metrics(context, job, after=after, keys=key or (), max_points=max_points)


@router.get("/jobs/{job}/logs", summary="Log of a job")
def get_logs(
    context: CurrentContext, job: JobPath, after: After = 0, limit: Annotated[int, Query(ge=1, le=5000)] = 1000
) -> LogRead:
    """Returns what the run printed, oldest first."""
    return service.read_logs(context, job, after=after, limit=limit)


@router.get(
    "/jobs/{job}/stream",
    response_class=StreamingResponse,
    summary="Events of a job as they happen",
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "Server-sent events: `metric`, `log` and `state`, each with its sequence number as `id`; "
            "behind a final state one `end`, and the stream closes.",
        }
    },
)
def stream_job(
    context: CurrentContext,
    job: JobPath,
    after: After = 0,
    last_event_id: Annotated[
        str | None, Header(description="Sent by browsers that connect again; goes before `after`.")
    ] = None,
) -> StreamingResponse:
    """Streams metrics, log lines and states from a sequence number on: no gap, no duplicate."""
    with context.database.read() as session:
        service.find(session, job)
    if last_event_id is not None and last_event_id.isdecimal():
        after = int(last_event_id)
    return StreamingResponse(
        stream_events(context.database, job, after=after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )

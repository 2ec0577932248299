"""All SQL about files that jobs wrote."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.artifacts.tables import ArtifactRow
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow


def find(session: Session, artifact_id: str) -> ArtifactRow | None:
    """Returns the artifact of that id."""
    return session.get(ArtifactRow, artifact_id)


def find_job(session: Session, job_id: str) -> JobRow | None:
    """Returns the job of that id."""
    return session.get(JobRow, job_id)


def of_job(session: Session, job_id: str, *, kind: str | None = None, step: int | None = None) -> Sequence[ArtifactRow]:
    """Returns the files of a job, in the order they were written; filters that are None let all pass."""
    query = select(ArtifactRow).where(ArtifactRow.job_id == job_id)
    if kind is not None:
        query = query.where(ArtifactRow.kind == kind)
    if step is not None:
        query = query.where(ArtifactRow.step == step)
    return session.scalars(query.order_by(ArtifactRow.step, ArtifactRow.created_at, ArtifactRow.id)).all()


def segmentations_from(session: Session, job_id: str) -> Sequence[JobRow]:
    """Returns the segmentations that started from a pretraining and have succeeded, oldest first."""
    query = select(JobRow).where(
        JobRow.depends_on == job_id, JobRow.kind == "segment", JobRow.status == JobStatus.SUCCEEDED
    )
    return session.scalars(query.order_by(JobRow.created_at, JobRow.id)).all()

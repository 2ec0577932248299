"""All SQL about files that jobs wrote."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.artifacts.tables import ArtifactRow
from backend.jobs.tables import JobRow


def find(session: Session, artifact_id: str) -> ArtifactRow | None:
    """Returns the artifact of that id."""
    return session.get(ArtifactRow, artifact_id)


def find_job(session: Session, job_id: str) -> JobRow | None:
    """Returns the job of that id."""
    return session.get(JobRow, job_id)


def of_job(session: Session, job_id: str, *, kind: str | None = None) -> Sequence[ArtifactRow]:
    """Returns the files of a job, in the order they were written."""
    query = select(ArtifactRow).where(ArtifactRow.job_id == job_id)
    if kind is not None:
        query = query.where(ArtifactRow.kind == kind)
    return session.scalars(query.order_by(ArtifactRow.step, ArtifactRow.created_at, ArtifactRow.id)).all()

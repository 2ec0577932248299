"""All SQL about the files a run writes and starts from, as workers see them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.artifacts.tables import ArtifactRow
from backend.jobs.leases import Claim, hold
from backend.jobs.repository import find_succeeded
from backend.jobs.tables import JobRow

SAME = {
    "prediction": ("scene", "protocol", "acquisition"),
    "uncertainty": ("scene", "protocol", "acquisition"),
    "embedding_map": (),
}
"""Kinds of files that an attempt may make once more: what tells two of them apart, beside the step."""


def record_file(
    session: Session,
    claimed: Claim,
    *,
    kind: str,
    step: int,
    path: str,
    size: int,
    sha256: str,
    details: Mapping[str, Any],
) -> ArtifactRow | None:
    """Returns the file's row: from now on it counts. None for a prediction or map that an earlier attempt made too.

    Args:
        session: a writing one.
        claimed: the job that wrote it.
        kind: checkpoint, weights, prediction, uncertainty, results or embedding_map.
        step: after which it was written.
        path: below the artifacts folder.
        size: in bytes.
        sha256: of its content.
        details: what it is.

    Raises:
        StaleFenceError: the job is no longer this worker's.
    """
    hold(session, claimed)
    if kind in SAME and _made_before(session, claimed.job_id, kind, step, details):
        return None
    row = ArtifactRow(
        id=uuid4().hex,
        job_id=claimed.job_id,
        attempt=claimed.attempt,
        kind=kind,
        step=step,
        path=path,
        bytes=size,
        sha256=sha256,
        details=dict(details),
    )
    session.add(row)
    session.flush()
    return row


def newest_files(session: Session, job_id: str, kind: str, *, limit: int | None = None) -> Sequence[ArtifactRow]:
    """Returns a job's files of a kind, the furthest first."""
    query = (
        select(ArtifactRow)
        .where(ArtifactRow.job_id == job_id, ArtifactRow.kind == kind)
        .order_by(ArtifactRow.step.desc(), ArtifactRow.attempt.desc(), ArtifactRow.created_at.desc())
        .limit(limit)
    )
    return session.scalars(query).all()


def maker_of_weights(session: Session, claimed: Claim) -> JobRow | None:
    """Returns the finished pretraining whose weights a job needs; None where it needs none, or there is none.

    A segmentation starts from the job it waited for; an embedding distance names a pretraining by its key.
    """
    config = claimed.config
    if config["kind"] == "segment" and config["pretrain"] is not None and claimed.depends_on is not None:
        return session.get_one(JobRow, claimed.depends_on)
    if config["kind"] == "score":
        return find_succeeded(session, str(config["score"].get("weights")), kind="pretrain")
    return None


def initial_weights(session: Session, claimed: Claim) -> ArtifactRow | None:
    """Returns the weights of the earlier pretraining that a job names as its initial ones; None where it names none."""
    initial = claimed.config.get("initial") or {}
    if initial.get("source") != "job":
        return None
    maker = find_succeeded(session, initial["key"], kind="pretrain")
    return None if maker is None else next(iter(newest_files(session, maker.id, "weights", limit=1)), None)


def forget_checkpoints(session: Session, claimed: Claim, *, keep: int) -> list[str]:
    """Returns the paths, below the artifacts folder, of checkpoints that no longer count: all but the furthest ones.

    The files may be deleted once the transaction is committed.

    Args:
        session: a writing one.
        claimed: the job that wrote them.
        keep: how many still count.

    Raises:
        StaleFenceError: the job is no longer this worker's.
    """
    hold(session, claimed)
    superseded = newest_files(session, claimed.job_id, "checkpoint")[keep:]
    for row in superseded:
        session.delete(row)
    session.flush()
    return [row.path for row in superseded]


def attempt_folder(artifacts: Path, claimed: Claim) -> Path:
    """Returns where an attempt writes its files; no other attempt ever writes there."""
    return artifacts / claimed.job_id / str(claimed.attempt)


def _made_before(session: Session, job_id: str, kind: str, step: int, details: Mapping[str, Any]) -> bool:
    query = select(ArtifactRow.details).where(
        ArtifactRow.job_id == job_id, ArtifactRow.kind == kind, ArtifactRow.step == step
    )
    identity = [details.get(key) for key in SAME[kind]]
    return any([told.get(key) for key in SAME[kind]] == identity for told in session.scalars(query))

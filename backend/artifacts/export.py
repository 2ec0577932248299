"""A finished pretraining to take away: its weights under other libraries' names, with all that is known of them."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version

from sqlalchemy.orm import Session

from backend.artifacts import repository
from backend.artifacts.service import path_of
from backend.context import Context
from backend.errors import ConflictError, NotFoundError
from backend.jobs import outputs
from backend.jobs.repository import uses_of
from backend.jobs.schemas import JobStatus
from backend.jobs.service import find
from backend.jobs.tables import JobRow
from pairlab.experiment.jobs import PretrainJob
from pairlab.experiment.protocols import Labels
from pairlab.export.bundle import export_files, zip_archive
from pairlab.export.card import Score


def export(context: Context, job_id: str) -> Iterator[bytes]:
    """Returns the pieces of a ZIP archive with the files of a pretraining.

    Raises:
        NotFoundError: there is no such job, or its weights are gone.
        ConflictError: it is no pretraining, has not finished, its weights are damaged, or it is too old.
    """
    with context.database.read() as session:
        job = find(session, job_id)
        _check(job)
        row = next(iter(outputs.newest_files(session, job.id, "weights", limit=1)), None)
        scores = _scores(session, job)
        weights = None if row is None else path_of(context.settings, row)
    if row is None or weights is None:
        raise NotFoundError(f"the weights of job {job.id} are no longer in the artifacts folder: run it again")
    with weights.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != row.sha256:
            raise ConflictError(f"the weights of job {job.id} are damaged: their hash is not the recorded one")
    files = export_files(
        PretrainJob.model_validate(job.config),
        key=job.key,
        weights=weights,
        version=version("pairlab"),
        facts=job.facts,
        results=job.results,
        scores=scores,
    )
    return zip_archive(files)


def _check(job: JobRow) -> None:
    if job.kind != "pretrain":
        remedy = f"; it started from job {job.depends_on}" if job.kind == "segment" and job.depends_on else ""
        raise ConflictError(f"job {job.id} is of kind {job.kind}; pretrainings alone have weights to export{remedy}")
    if job.status != JobStatus.SUCCEEDED:
        raise ConflictError(f"job {job.id} is {job.status}; a pretraining can be exported when it has succeeded")
    if "network" not in job.facts:
        raise ConflictError(f"job {job.id} was run by an older PairLab, which did not note what an export needs")


def _scores(session: Session, job: JobRow) -> list[Score]:
    segmentations = {each.id: each for each in repository.segmentations_from(session, job.id)}
    return [
        Score(
            experiment=name,
            arm=arm,
            seed=seed,
            protocol=protocol,
            miou=found["test"]["miou"],
            labels=Labels.model_validate(segmentations[each].config["labels"]).budget,
        )
        for each, _, name, arm, seed in uses_of(session, list(segmentations))
        for protocol, found in segmentations[each].results.get("protocols", {}).items()
        if found["test"]["miou"] is not None
    ]

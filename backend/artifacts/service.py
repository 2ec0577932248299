"""Files that jobs wrote, and predictions with the images they belong to."""

import os
from pathlib import Path

from backend.artifacts import repository
from backend.artifacts.schemas import ArtifactRead, EmbeddingMapRead, MapTile
from backend.artifacts.tables import ArtifactRow
from backend.context import Context
from backend.datasets.indexing import reference_of
from backend.datasets.service import find as find_dataset
from backend.datasets.summary import classes_of
from backend.datasets.tables import DatasetRow
from backend.errors import NotFoundError
from backend.jobs.schemas import PredictionRead
from backend.jobs.tables import JobRow
from backend.settings import Settings
from backend.urls import artifact_url, image_url, mask_url
from pairlab.experiment.jobs import DatasetReference
from pairlab.experiment.protocols import Labels


def list_artifacts(
    context: Context, job_id: str, *, kind: str | None = None, step: int | None = None
) -> list[ArtifactRead]:
    """Returns the files of a job, in the order they were written; filters that are None let all pass."""
    with context.database.read() as session:
        _check_job(repository.find_job(session, job_id), job_id)
        rows = repository.of_job(session, job_id, kind=kind, step=step)
    return [_read(row) for row in rows]


def list_embedding_maps(context: Context, job_id: str) -> list[EmbeddingMapRead]:
    """Returns a pretraining's maps, in the order of their steps; none of other jobs."""
    with context.database.read() as session:
        job = _check_job(repository.find_job(session, job_id), job_id)
        rows = repository.of_job(session, job_id, kind="embedding_map")
    if not rows:
        return []
    reference = reference_of(find_dataset(context, job.dataset).row)
    return [_read_map(row, reference, seed=job.config["seed"]) for row in rows]


def list_predictions(
    context: Context, job_id: str, *, scene: str | None, protocol: str | None, final: bool | None
) -> list[PredictionRead]:
    """Returns a job's predicted masks, in the order they were made; filters that are None let all pass."""
    with context.database.read() as session:
        job = _check_job(repository.find_job(session, job_id), job_id)
        rows = repository.of_job(session, job_id, kind="prediction")
    wanted = {"scene": scene, "protocol": protocol, "final": final}
    asked = {key: value for key, value in wanted.items() if value is not None}
    chosen = [row for row in rows if all(row.details.get(key) == value for key, value in asked.items())]
    if not chosen:
        return []
    dataset = find_dataset(context, job.dataset).row
    return [_read_prediction(row, job, dataset) for row in chosen]


def find_file(context: Context, artifact_id: str) -> tuple[ArtifactRow, Path]:
    """Returns an artifact and its file, which lies below the artifacts folder; raises NotFoundError."""
    with context.database.read() as session:
        row = repository.find(session, artifact_id)
    if row is None:
        raise NotFoundError(f"no artifact {artifact_id[:100]!r}; the artifacts of a job are at /jobs/ID/artifacts")
    path = path_of(context.settings, row)
    if path is None:
        raise NotFoundError(f"the file of artifact {artifact_id!r} ({row.path}) is no longer in the artifacts folder")
    return row, path


def path_of(settings: Settings, row: ArtifactRow) -> Path | None:
    """Returns where an artifact's file lies, or None where it is gone or leads out of the artifacts folder."""
    folder = os.path.realpath(settings.artifacts)
    path = Path(os.path.realpath(os.path.join(folder, row.path)))
    return path if path.is_relative_to(folder) and path.is_file() else None


def _check_job(job: JobRow | None, job_id: str) -> JobRow:
    if job is None:
        raise NotFoundError(f"no job {job_id[:100]!r}; the list of jobs has all ids")
    return job


def _read(row: ArtifactRow) -> ArtifactRead:
    return ArtifactRead(
        id=row.id,
        job=row.job_id,
        kind=row.kind,
        step=row.step,
        name=Path(row.path).name,
        bytes=row.bytes,
        sha256=row.sha256,
        details=row.details,
        created_at=row.created_at,
        url=artifact_url(row.id),
    )


def _read_map(row: ArtifactRow, dataset: DatasetReference, *, seed: int) -> EmbeddingMapRead:
    details = row.details
    return EmbeddingMapRead(
        artifact=row.id,
        step=row.step,
        url=artifact_url(row.id),
        cells=details["cells"],
        explained=details["explained"],
        tiles=[
            MapTile(
                **tile,
                image_url=image_url(
                    dataset,
                    tile["scene"],
                    tile["acquisition"],
                    y=tile["y"],
                    x=tile["x"],
                    chip=tile["size"],
                    draw=seed,
                ),
            )
            for tile in details["tiles"]
        ],
    )


def _read_prediction(row: ArtifactRow, job: JobRow, dataset: DatasetRow) -> PredictionRead:
    reference = reference_of(dataset)
    details, labels, seed = row.details, job.config["labels"], job.config["seed"]
    return PredictionRead(
        artifact=row.id,
        scene=details["scene"],
        split=details["split"],
        protocol=details["protocol"],
        acquisition=details["acquisition"],
        step=row.step,
        final=details["final"],
        url=artifact_url(row.id),
        image_urls={
            acquisition: image_url(reference, details["scene"], acquisition, draw=seed)
            for acquisition in dataset.summary["acquisitions"]
        },
        label_url=mask_url(
            reference,
            details["scene"],
            details["acquisition"],
            scheme=labels["scheme"],
            unclassified=labels["unclassified"],
            draw=seed,
        ),
        classes=classes_of(reference.config, dataset.summary["label_schemes"], Labels.model_validate(labels)),
        iou=details["iou"],
    )

"""Describes a claimed job to the process that runs it."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from backend.jobs import outputs
from backend.jobs.leases import Claim
from backend.settings import Settings
from worker.protocol import Description, FileReference, MapReference

CHECKPOINTS_KEPT = 2
"""Of a job that has not succeeded: the furthest, and the one before in case that one is damaged."""


def describe(
    session: Session,
    claimed: Claim,
    *,
    settings: Settings,
    warned: Sequence[str],
    threads: int,
    devices: Sequence[str],
) -> Description:
    """Returns what a run needs to know, with the files of earlier attempts and of the jobs that this one builds on.

    Args:
        session: reads.
        claimed: the job; the folder of its attempt is made where it writes artifacts.
        settings: where everything is.
        warned: kinds of the warnings that earlier attempts told.
        threads: of the whole run.
        devices: the GPUs of the run.
    """
    artifacts = settings.artifacts
    folder = outputs.attempt_folder(artifacts, claimed)
    if claimed.config["kind"] not in ("index", "score"):  # which write no artifacts
        folder.mkdir(parents=True, exist_ok=True)
    checkpoints = outputs.newest_files(session, claimed.job_id, "checkpoint", limit=CHECKPOINTS_KEPT)
    maker = outputs.maker_of_weights(session, claimed)
    weights = [] if maker is None else outputs.newest_files(session, maker.id, "weights", limit=1)
    initial = outputs.initial_weights(session, claimed)
    maps = outputs.newest_files(session, claimed.job_id, "embedding_map")
    return Description(
        config=claimed.config,
        folder=str(folder),
        index_folder=str(settings.index_folder),
        store_folder=str(settings.store_folder),
        store_bytes=settings.store_bytes,
        data_roots={name: str(root) for name, root in settings.data_roots.items()},
        checkpoints=[FileReference(path=str(artifacts / row.path), sha256=row.sha256) for row in checkpoints],
        weights=next((FileReference(path=str(artifacts / row.path), sha256=row.sha256) for row in weights), None),
        pretraining=None if maker is None else maker.config,
        initial=(None if initial is None else FileReference(path=str(artifacts / initial.path), sha256=initial.sha256)),
        warned=list(warned),
        embedding_maps=[MapReference(step=row.step, path=str(artifacts / row.path), sha256=row.sha256) for row in maps],
        threads=threads,
        processes=settings.processes_per_job,
        devices=list(devices),
    )

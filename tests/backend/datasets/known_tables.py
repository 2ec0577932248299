"""Datasets of which only the scene table exists, as an index job would leave it: lists need no more."""

import numpy as np

from backend.context import Context
from backend.database import now
from backend.datasets.indexing import queue_index_job
from backend.datasets.summary import Summary
from backend.datasets.tables import DatasetRow
from backend.jobs.schemas import JobStatus
from pairlab.experiment.datasets import XbdDataset
from pairlab.experiment.jobs import DatasetReference
from pairlab.experiment.model import content_hash
from pairlab.scenes.index import CELL, DatasetIndex, SceneTable
from pairlab.scenes.index_file import write_index
from pairlab.scenes.indexing import IndexFiles


def add_known_table(context: Context, name: str, table: SceneTable) -> str:
    """Returns the name of a dataset that is ready and has this table."""
    config = XbdDataset(root="disasters", folder="xbd")
    dataset = DatasetReference(name=name, config=config, fingerprint=content_hash({"table": name}))
    rewrite_table(context, name, table)
    noted = Summary(scenes=len(table), splits={}, events={}, acquisitions=["pre", "post"], label_schemes={})
    with context.database.write() as session:
        row = DatasetRow(
            name=name,
            config=config.model_dump(mode="json"),
            fingerprint=dataset.fingerprint,
            summary=noted.model_dump(mode="json"),
        )
        session.add(row)
        session.flush()
        job = queue_index_job(session, dataset, hardware=context.settings.hardware)
        job.status, job.finished_at = JobStatus.SUCCEEDED, now()
    return name


def rewrite_table(context: Context, name: str, table: SceneTable) -> None:
    """Writes another table of that dataset, as indexing anew does."""
    cells = sum((scene.height // CELL) * (scene.width // CELL) for scene in table.scenes)
    index = DatasetIndex(table, np.zeros((4, cells), np.uint16), np.zeros((0, 4), np.int32))
    write_index(index, IndexFiles(context.settings.index_folder, content_hash({"table": name})).index)

"""Runs score jobs as a worker does, but in the test's own process, which takes no seconds to start."""

from pathlib import Path

import torch

from backend.context import Context
from backend.jobs import leases
from pairlab.events import Finished
from pairlab.experiment.jobs import ScoreJob
from pairlab.pairing.score_file import files_of
from pairlab.scenes.dataset import open_dataset, read_dataset_index
from pairlab.scoring import score_dataset


def run_score_jobs(context: Context) -> list[str]:
    """Returns the ids of the score jobs that were queued and have succeeded now."""
    ran: list[str] = []
    while True:
        with context.database.write() as session:
            claimed = leases.claim(session, hardware=context.settings.hardware, worker="test", lease_seconds=600)
        if claimed is None:
            return ran
        if claimed.config["kind"] != "score":  # what waited for one
            with context.database.write() as session:
                leases.give_back(session, claimed)
            return ran
        job = ScoreJob.model_validate(claimed.config)
        config, folder = job.dataset.config, Path(context.settings.index_folder)
        table = read_dataset_index(config, key=job.dataset.fingerprint, folder=folder, draw=job.draw).table
        source = open_dataset(config, data_roots=context.settings.data_roots, draw=job.draw, table=table)
        happening = score_dataset(
            job,
            source,
            table,
            files=files_of(job, folder),
            weights=None,
            should_stop=lambda: False,
            device=torch.device("cpu"),
        )
        for event in happening:
            if isinstance(event, Finished):
                with context.database.write() as session:
                    leases.finish(session, claimed, "succeeded", results=event.results)
        ran.append(claimed.job_id)

"""Runs index jobs as a worker does, but in the test's own process, which takes no seconds to start."""

from collections.abc import Callable
from pathlib import Path

from backend.context import Context
from backend.datasets.repository import INDEX
from backend.jobs import events, leases
from backend.jobs.events import Point
from backend.jobs.leases import Claim
from pairlab.events import Finished, Metrics, Started
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import IndexJob
from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.dataset import dataset_folder, list_dataset, open_dataset
from pairlab.scenes.indexing import IndexFiles, index_dataset
from pairlab.scenes.scene import SceneError


def run_index_jobs(context: Context, *, should_stop: Callable[[], bool] = lambda: False) -> list[str]:
    """Returns the ids of the jobs that were queued and have ended now, or were given back where they had to stop."""
    ran: list[str] = []
    while True:
        with context.database.write() as session:
            claimed = leases.claim(session, hardware=context.settings.hardware, worker="test", lease_seconds=600)
        if claimed is None:
            return ran
        assert claimed.config["kind"] == INDEX, "index jobs go first"
        ran.append(claimed.job_id)
        if not _run(context, claimed, should_stop):
            return ran


def _run(context: Context, claimed: Claim, should_stop: Callable[[], bool]) -> bool:
    """Returns whether the job has ended."""
    dataset = IndexJob.model_validate(claimed.config).dataset
    assert not isinstance(dataset.config, SyntheticDataset)
    settings = context.settings
    roots = dict(settings.data_roots)
    store = ChipStore(settings.store_folder, budget_bytes=settings.store_bytes)
    try:
        listing = list_dataset(dataset.config, data_roots=roots)
        happening = index_dataset(
            open_dataset(dataset.config, data_roots=roots, scenes=listing.scenes),
            IndexFiles(settings.index_folder, dataset.fingerprint),
            root=Path(dataset_folder(dataset.config, roots)),
            quarantined=listing.quarantined,
            store=store,
            should_stop=should_stop,
        )
        for event in happening:
            with context.database.write() as session:
                match event:
                    case Started():
                        leases.record_started(
                            session, claimed, step=event.step, total_steps=event.total_steps, facts=event.facts
                        )
                    case Metrics():
                        leases.record_progress(session, claimed, step=event.step, seconds_left=event.seconds_left)
                        points = [Point(event.step, key, value) for key, value in event.values.items()]
                        events.record(session, claimed, points=points)
                    case Finished() if event.stopped:
                        leases.give_back(session, claimed)
                        return False
                    case Finished():
                        leases.record_progress(session, claimed, step=event.step, seconds_left=None)
                        leases.finish(session, claimed, "succeeded", results=event.results)
    except SceneError as error:
        with context.database.write() as session:
            leases.finish(session, claimed, "failed", error=str(error))
    finally:
        store.close()
    return True

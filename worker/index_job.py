"""Runs the index job of a dataset."""

import time
from collections.abc import Iterator
from pathlib import Path

from pairlab.events import Event, Finished, Started
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import IndexJob
from pairlab.scenes.dataset import dataset_fingerprint, dataset_folder, list_dataset, open_dataset
from pairlab.scenes.index import SceneTable
from pairlab.scenes.index_file import read_table
from pairlab.scenes.indexing import CACHE_BYTES, PASSES, IndexFiles, index_dataset
from pairlab.scenes.scene import SceneError
from worker.job_dataset import chip_store, data_roots
from worker.protocol import Description
from worker.reporting import Reporter, StopRequest


def index(config: IndexJob, description: Description, stop: StopRequest, reporter: Reporter) -> Iterator[Event]:
    """Indexes the dataset, unless it is indexed already, and yields what happens."""
    began = time.perf_counter()
    dataset, roots = config.dataset, data_roots(description)
    if isinstance(dataset.config, SyntheticDataset):
        raise SceneError(f"dataset {dataset.name!r} is rendered and needs no index")
    if dataset_fingerprint(dataset.config, data_roots=roots) != dataset.fingerprint:
        raise SceneError(
            f"the files of dataset {dataset.name!r}, or the way they are read, have changed since it was registered: "
            "register them under another name, or delete it and register it again"
        )
    files = IndexFiles(Path(description["index_folder"]), dataset.fingerprint)
    known = read_table(files.index)
    if known is not None and known.pixels_read:  # the same files are registered under another name too
        return _known_already(known, reporter)
    listing = list_dataset(dataset.config, data_roots=roots)
    reporter.tell("log", text=f"{len(listing.scenes):,} scenes listed after {time.perf_counter() - began:.1f} s")
    source = open_dataset(dataset.config, data_roots=roots, scenes=listing.scenes, cache_bytes=CACHE_BYTES)
    return index_dataset(
        source,
        files,
        root=dataset_folder(dataset.config, roots),
        quarantined=listing.quarantined,
        store=chip_store(description),
        should_stop=lambda: stop.made,
    )


def _known_already(table: SceneTable, reporter: Reporter) -> Iterator[Event]:
    reporter.tell("log", text="the same files were indexed before; nothing is read again")
    steps = len(PASSES) * len(table)
    yield Started(step=steps, total_steps=steps, facts={"scenes": len(table)})
    yield Finished(step=steps, results={"scenes": len(table), "quarantined": len(table.quarantined)})

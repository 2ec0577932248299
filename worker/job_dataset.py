"""The dataset of a run: where its images come from, and that they are still those that were registered."""

from collections.abc import Mapping
from pathlib import Path

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import DatasetReference
from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.dataset import dataset_fingerprint, dataset_folder, open_dataset
from pairlab.scenes.index import SceneTable
from pairlab.scenes.scene import SceneError, SceneSource
from pairlab.scenes.stored_images import StoredSource
from worker.protocol import Description
from worker.reporting import Reporter


def open_images(
    reference: DatasetReference, table: SceneTable, description: Description, reporter: Reporter, *, draw: int
) -> SceneSource:
    """Returns the dataset, its images from the chip store where they are kept there: the same pixels, sooner."""
    dataset, roots = reference.config, data_roots(description)
    source = open_dataset(dataset, data_roots=roots, draw=draw, table=table)
    if isinstance(dataset, SyntheticDataset):
        return source
    _check_unchanged(reference, roots)
    images = chip_store(description).open(reference.fingerprint)  # held until this process ends
    reporter.tell("log", text=f"{len(images):,} images come from the chip store")
    return StoredSource(source, images, folder=dataset_folder(dataset, roots))


def chip_store(description: Description) -> ChipStore:
    """Returns the store of decoded images."""
    return ChipStore(Path(description["store_folder"]), budget_bytes=description["store_bytes"])


def data_roots(description: Description) -> dict[str, Path]:
    """Returns the folders that imagery may be read from, by name."""
    return {name: Path(folder) for name, folder in description["data_roots"].items()}


def _check_unchanged(dataset: DatasetReference, roots: Mapping[str, Path]) -> None:
    """Raises SceneError where the files are no longer those that were registered: results would be of others."""
    if dataset_fingerprint(dataset.config, data_roots=roots) != dataset.fingerprint:
        raise SceneError(
            f"the files of dataset {dataset.name!r} have changed since it was registered: register them under another "
            "name, or delete the dataset and register it again"
        )

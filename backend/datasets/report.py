"""What the index found in a dataset, in any state."""

from collections import Counter

import numpy as np

from backend.context import Context
from backend.datasets.distribution import columns_of, histograms_of
from backend.datasets.indexing import phase_of, progress_of, reference_of, state_of
from backend.datasets.scene_order import Rows, rows_of
from backend.datasets.schemas import BandStatistics, DatasetReport, QuarantinedFile, StoreUsage
from backend.datasets.service import find, summary_of
from pairlab.experiment.jobs import DatasetReference
from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.index import SceneTable

MOST_QUARANTINED = 1000


def report_of(context: Context, name: str) -> DatasetReport:
    """Returns the report of a dataset; before its labels are read, it says what lies in its folder."""
    registered = find(context, name)
    reference = reference_of(registered.row)
    summary = summary_of(context, registered)
    known = context.sources.known(reference)
    table = None if known is None else known.table
    return DatasetReport(
        state=state_of(registered),
        phase=phase_of(registered),
        progress=progress_of(registered),
        scenes=summary.scenes,
        quarantined_total=summary.quarantined,
        quarantined=_quarantined(table, summary.first_quarantined),
        warnings=summary.warnings,
        events=summary.events,
        splits=summary.splits,
        event_splits={} if table is None else _event_splits(table),
        objects=_objects(table),
        columns={} if table is None else columns_of(table, _all(table)),
        histograms={} if table is None else histograms_of(table, _all(table)),
        bands=_bands(table, summary.bands),
        store=_store_usage(context, reference, table),
    )


def _quarantined(table: SceneTable | None, noted: list[QuarantinedFile]) -> list[QuarantinedFile]:
    if table is None:
        return noted
    return [
        QuarantinedFile(scene=each.scene, file=each.file, reason=each.reason)
        for each in table.quarantined[:MOST_QUARANTINED]
    ]


def _event_splits(table: SceneTable) -> dict[str, dict[str, int]]:
    counts = Counter((scene.event, scene.split) for scene in table.scenes)
    crossed: dict[str, dict[str, int]] = {}
    for (event, split), count in counts.items():
        crossed.setdefault(event, {})[split] = count
    return crossed


def _objects(table: SceneTable | None) -> dict[str, int]:
    if table is None:
        return {}
    return {name: int(count) for name, count in zip(table.object_classes, table.objects.sum(axis=0), strict=True)}


def _bands(table: SceneTable | None, names: list[str]) -> BandStatistics:
    """Returns the bands; without limits until they are known."""
    if table is None:
        return BandStatistics(names=names, low=[], high=[])
    bands = table.bands
    return BandStatistics(names=list(bands.names), low=list(bands.low), high=list(bands.high))


def _store_usage(context: Context, dataset: DatasetReference, table: SceneTable | None) -> StoreUsage | None:
    if dataset.config.kind == "synthetic":
        return None
    store = ChipStore(context.settings.store_folder, budget_bytes=context.settings.store_bytes)
    usage = store.usage(dataset.fingerprint)
    images = usage.offered if table is None else sum(len(scene.acquisitions) for scene in table.scenes)
    return StoreUsage(images=usage.images, of=images, bytes=usage.bytes)


def _all(table: SceneTable) -> Rows:
    return rows_of(np.arange(len(table)))

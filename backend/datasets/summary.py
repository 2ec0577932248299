"""What a dataset holds, in a few numbers: noted when it is registered, and read from its scene table afterwards."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from backend.datasets.schemas import ColumnKind, QuarantinedFile
from pairlab.experiment.datasets import XbdDataset
from pairlab.experiment.label_schemes import label_schemes
from pairlab.experiment.protocols import Labels
from pairlab.scenes.dataset import AnyDataset
from pairlab.scenes.filtering import is_number
from pairlab.scenes.index import SceneTable
from pairlab.scenes.scene import Listing, Scene, SceneError, SceneSource
from pairlab.scenes.xbd_labels import SUBTYPES, UNCLASSIFIED

NOTED_QUARANTINED = 100


class Summary(BaseModel):
    """Fields of `DatasetRead`; earlier versions of PairLab noted less."""

    scenes: int
    quarantined: int = 0
    first_quarantined: list[QuarantinedFile] = []
    """What the report shows until the labels are read."""
    splits: dict[str, int]
    events: dict[str, int]
    acquisitions: list[str]
    label_schemes: dict[str, list[str]]
    object_classes: list[str] = []
    columns: dict[str, ColumnKind] = {}
    bands: list[str] = []
    warnings: list[str] = []


def summarise(config: AnyDataset, source: SceneSource, listing: Listing) -> Summary:
    """Returns what is known of a dataset before its labels are read.

    Args:
        config: what is registered.
        source: opened with the listing's scenes.
        listing: what lies in its folder, or is rendered.
    """
    schemes = {}
    for scheme in label_schemes(config):
        try:
            schemes[scheme] = list(source.classes(scheme))
        except SceneError:  # masks without names, say
            continue
    return Summary(
        **_counted(listing.scenes),
        quarantined=len(listing.quarantined),
        first_quarantined=[
            QuarantinedFile(scene=each.scene, file=each.file, reason=each.reason)
            for each in listing.quarantined[:NOTED_QUARANTINED]
        ],
        label_schemes=schemes,
        object_classes=list(source.object_classes),
        bands=list(source.bands.names),
        warnings=list(listing.warnings),
    )


def brought_up_to_date(summary: Summary, table: SceneTable) -> Summary:
    """Returns the summary as the scene table has it, which knows more, and of fewer scenes."""
    counted = {
        **_counted(table.scenes),
        "quarantined": len(table.quarantined),
        "object_classes": list(table.object_classes),
        "bands": list(table.bands.names),
        "columns": {name: "number" if is_number(values) else "text" for name, values in table.columns.items()},
    }
    return summary.model_copy(update=counted)


def _counted(scenes: Sequence[Scene]) -> dict[str, object]:
    return {
        "scenes": len(scenes),
        "splits": dict(Counter(scene.split for scene in scenes)),
        "events": dict(sorted(Counter(scene.event for scene in scenes).items())),
        "acquisitions": list(dict.fromkeys(name for scene in scenes for name in scene.acquisitions)),
    }


def classes_of(config: AnyDataset, schemes: Mapping[str, Sequence[str]], labels: Labels) -> list[str]:
    """Returns the class names of an experiment's labels, given those of the dataset's schemes."""
    classes = list(schemes[labels.scheme])
    own = labels.unclassified == "own-class" and labels.scheme != "building" and isinstance(config, XbdDataset)
    return [*classes, SUBTYPES[UNCLASSIFIED - 1]] if own else classes

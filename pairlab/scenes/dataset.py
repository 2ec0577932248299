"""Opens a registered dataset for reading, whatever its kind."""

import os
from collections.abc import Mapping
from pathlib import Path

from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.experiment.model import content_hash
from pairlab.scenes.scene import SceneError, SceneSource
from pairlab.scenes.synthetic import GENERATOR_VERSION, SyntheticSource
from pairlab.scenes.xbd import XbdSource, open_xbd, xbd_fingerprint


def open_dataset(
    config: SyntheticDataset | XbdDataset, *, data_roots: Mapping[str, Path], draw: int = 0
) -> SceneSource:
    """Returns the dataset's scenes.

    Args:
        config: what was registered.
        data_roots: name → folder; the only places files are read from.
        draw: which redraw of synthetic scenes; each seed of an experiment takes its own. Files are the same in all.

    Raises:
        SceneError: the data root is not known, or the files cannot be used.
    """
    if isinstance(config, SyntheticDataset):
        return SyntheticSource(config, draw=draw)
    return open_xbd(_folder(config, data_roots), damage_from=config.damage_from)


def draw_of(config: SyntheticDataset | XbdDataset, seed: int) -> int:
    """Returns the draw that a seed's run sees: synthetic scenes are redrawn, files are the same for every seed."""
    return seed if isinstance(config, SyntheticDataset) else 0


def dataset_fingerprint(config: SyntheticDataset | XbdDataset, *, data_roots: Mapping[str, Path]) -> str:
    """Returns 64 hex digits that change with the dataset's content: knobs and generator, or files."""
    if isinstance(config, SyntheticDataset):
        return content_hash(
            {
                "config": config.model_dump(mode="json"),
                "scenes": config.scenes.model_dump(mode="json"),
                "generator": GENERATOR_VERSION,
            }
        )
    files = xbd_fingerprint(_folder(config, data_roots))
    return content_hash({"files": files, "damage_from": config.damage_from})


def dataset_warnings(source: SceneSource) -> tuple[str, ...]:
    """Returns what was noticed and left out when the dataset was opened, one sentence each."""
    return source.warnings if isinstance(source, XbdSource) else ()


def _folder(config: XbdDataset, data_roots: Mapping[str, Path]) -> Path:
    root = data_roots.get(config.root)
    if root is None:
        known = ", ".join(sorted(data_roots)) or "none"
        raise SceneError(
            f"no data root {config.root!r} (known: {known}): start PairLab with "
            f"`pairlab up --data-root {config.root}=FOLDER`"
        )
    folder = Path(os.path.realpath(root / config.folder))
    if not folder.is_relative_to(os.path.realpath(root)):
        raise SceneError(f"folder {config.folder!r} leads out of data root {config.root!r}: name a folder inside it")
    return folder

"""A tree of one tile that shows what a test draws."""

from pathlib import Path

import numpy as np

from pairlab.scenes.scene import Scene
from pairlab.scenes.xbd import XbdSource, open_xbd
from tests.pairlab.scenes.xbd_tree import Corners, write_tile


def tile_of(folder: Path, *outlines: tuple[str, Corners, Corners], size: int = 64) -> tuple[XbdSource, Scene]:
    """Writes the tile into `folder`/train and opens the tree; outlines as `write_tile` takes them."""
    write_tile(
        folder / "train", "testville-flooding_00000001", rng=np.random.default_rng(0), size=size, outlines=outlines
    )
    source = open_xbd(folder, damage_from="minor-damage")
    return source, source.scenes[0]

"""Draws docs/synthetic-presets.png: one scene of every preset, what changes in it, and what each preset asks."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.synthetic_scenes import PRESETS, QUESTIONS
from pairlab.scenes.scene import Scene
from pairlab.scenes.synthetic import SyntheticSource

SHEET = Path(__file__).parents[1] / "docs" / "synthetic-presets.png"
TILE, GAP, MARGIN, CAPTION, HEADING = 128, 6, 28, 58, 58
COLUMNS = 2
TITLES = ("before", "after", "after, without the change", "what changed")
PAPER, INK, FAINT = "#FFFFFF", "#1B2024", "#667078"
GROUND, OBJECT, CHANGED, MISLABELLED = (226, 229, 232), (140, 150, 159), (213, 94, 0), (86, 180, 233)
"""Colours of the change map; the last is of objects whose training label tells the other state."""
GREY_STEP = 4
"""Grey levels are rounded to multiples: no eye sees it, and the file is half as large."""

UInt8Array = NDArray[np.uint8]


def draw_sheet(number: int) -> Image.Image:
    """Returns the sheet.

    Args:
        number: which training scene is shown; the same for every preset, so that neighbours differ by their knobs.
    """
    block = 4 * TILE + 3 * GAP
    lines = -(-len(PRESETS) // COLUMNS)
    width = 2 * MARGIN + COLUMNS * block + (COLUMNS - 1) * 2 * MARGIN
    sheet = Image.new("RGB", (width, 2 * MARGIN + HEADING + lines * (CAPTION + TILE + MARGIN) - MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column in range(COLUMNS):
        left = MARGIN + column * (block + 2 * MARGIN)
        for place, title in enumerate(TITLES):
            middle = left + place * (TILE + GAP) + TILE // 2
            draw.text((middle, MARGIN + 20), title, FAINT, ImageFont.load_default(12), anchor="ms")
        draw.line((left, MARGIN + 34, left + block, MARGIN + 34), fill="#D5D9DC", width=1)
    for position, preset in enumerate(PRESETS):
        line, column = divmod(position, COLUMNS)
        left = MARGIN + column * (block + 2 * MARGIN)
        top = MARGIN + HEADING + line * (CAPTION + TILE + MARGIN) - 12
        draw.text((left, top), preset, INK, ImageFont.load_default(18))
        draw.text((left, top + 26), QUESTIONS[preset], FAINT, ImageFont.load_default(13))
        for place, tile in enumerate(_tiles(preset, number)):
            sheet.paste(Image.fromarray(tile), (left + place * (TILE + GAP), top + CAPTION - 6))
    return sheet


def _tiles(preset: str, number: int) -> list[UInt8Array]:
    """Returns the four images of a preset, each (TILE, TILE, 3)."""
    source = SyntheticSource(SyntheticDataset(preset=preset))
    scene = source.scenes[number]
    shown = [
        source.image(scene, "pre"),
        source.image(scene, "post"),
        source.image(scene, "post", state="pre"),
        _change_map(source, scene),
    ]
    return [cv2.resize(tile, (TILE, TILE), interpolation=cv2.INTER_NEAREST_EXACT) for tile in map(_rounded, shown)]


def _change_map(source: SyntheticSource, scene: Scene) -> UInt8Array:
    maps = source.change(scene)
    labels = source.mask(scene, "post", "intact_damaged")
    kinds = maps.objects.astype(np.intp) + maps.changed
    kinds[(labels > 0) & ((labels == 2) != maps.changed)] = 3
    return np.array([GROUND, OBJECT, CHANGED, MISLABELLED], dtype=np.uint8)[kinds]


def _rounded(image: UInt8Array) -> UInt8Array:
    return np.minimum((image.astype(np.int16) + GREY_STEP // 2) // GREY_STEP * GREY_STEP, 255).astype(np.uint8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=SHEET, help="where to write the PNG")
    parser.add_argument("--scene", type=int, default=9, help="which training scene to show")
    arguments = parser.parse_args()
    draw_sheet(arguments.scene).save(arguments.to, optimize=True)
    print(f"{arguments.to}: {arguments.to.stat().st_size // 1000} kB")

"""Writes small bi-temporal datasets of invented places, drawn from a seed: the LEVIR-CD layout, and manifests."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairlab.events import Finished
from pairlab.experiment.datasets import BitemporalDataset
from pairlab.scenes.bitemporal import bitemporal_fingerprint, list_bitemporal, open_bitemporal
from pairlab.scenes.index import DatasetIndex
from pairlab.scenes.index_file import read_index
from pairlab.scenes.indexing import IndexFiles, index_dataset

Image = NDArray[Any]


def indexed(folder: Path, config: BitemporalDataset) -> DatasetIndex:
    """Returns what the index job finds in a dataset; the index lies beside its folder."""
    listing = list_bitemporal(folder, config)
    files = IndexFiles(folder.parent / f"{folder.name}-index", bitemporal_fingerprint(folder, config))
    source = open_bitemporal(folder, config)
    job = index_dataset(source, files, root=folder, quarantined=listing.quarantined, should_stop=lambda: False)
    assert isinstance(list(job)[-1], Finished)
    index = read_index(files.index)
    assert index is not None
    return index


def drawn_image(rng: np.random.Generator, *, size: int, bands: int = 3, dtype: str = "uint8") -> Image:
    """Returns smooth texture, shape (size, size, bands), with the values a sensor of that type would have."""
    coarse = rng.random((size // 8 + 1, size // 8 + 1, bands))
    smooth = np.stack([cv2.resize(coarse[..., band], (size, size)) for band in range(bands)], axis=2)
    low, high = {"uint8": (20, 230), "uint16": (200, 4000), "float32": (0.01, 0.6)}[dtype]
    return (low + smooth * (high - low)).astype(dtype)


def drawn_blocks(rng: np.random.Generator, *, size: int, classes: int, blocks: int = 4) -> NDArray[np.uint8]:
    """Returns a class mask: rectangles on a background of 0."""
    mask = np.zeros((size, size), dtype=np.uint8)
    for _ in range(blocks):
        y, x = rng.integers(0, size - size // 4, 2)
        mask[y : y + size // 4, x : x + size // 4] = rng.integers(1, classes)
    return mask


def write_image(path: Path, image: Image) -> None:
    """Writes an image of 1, 3 or 4 bands in the order red, green, blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = [0] if image.shape[2] == 1 else [2, 1, 0, *range(3, image.shape[2])]
    assert cv2.imwrite(str(path), image[..., order])


def write_mask(path: Path, mask: NDArray[Any]) -> None:
    """Writes one grey band."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), mask)


def write_levir(
    folder: Path, *, seed: int, scenes: Mapping[str, int], size: int = 64, numbered: bool = False
) -> dict[str, NDArray[np.bool_]]:
    """Writes `{split}/{A,B,label}` and returns where each scene changed, by name.

    Args:
        folder: made if missing.
        seed: equal seeds give equal bytes.
        scenes: split folder → scenes; the empty name is the folder itself.
        size: height and width, pixels.
        numbered: names start again in every split (0.png), as in SYSU-CD; else they hold the split, as in LEVIR-CD.
    """
    rng = np.random.default_rng(seed)
    changed: dict[str, NDArray[np.bool_]] = {}
    for split, count in scenes.items():
        for number in range(count):
            name = str(number) if numbered else f"{split or 'scene'}_{number}"
            before = drawn_image(rng, size=size)
            mask = drawn_blocks(rng, size=size, classes=2, blocks=2)
            after = np.where(mask[..., None] == 1, 255 - before, before // 2 + 60).astype(np.uint8)
            write_image(folder / split / "A" / f"{name}.png", before)
            write_image(folder / split / "B" / f"{name}.png", after)
            write_mask(folder / split / "label" / f"{name}.png", mask * 255)
            changed[f"{split}_{name}" if numbered else name] = mask == 1
    return changed


def write_manifest(folder: Path, rows: Sequence[Mapping[str, object]], *, name: str = "manifest.csv") -> str:
    """Writes rows as CSV or Parquet, by the name's ending, and returns the name."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if name.endswith(".parquet"):
        pq.write_table(pa.table({column: [row.get(column) for row in rows] for column in columns}), folder / name)
        return name
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return name


def write_scenes(
    folder: Path,
    *,
    seed: int,
    splits: Sequence[str] = ("train", "train", "val", "test"),
    acquisitions: Sequence[str] = ("before", "after"),
    classes: int = 3,
    size: int = 64,
) -> list[dict[str, object]]:
    """Writes RGB images and class masks of some scenes and returns their manifest's rows.

    Args:
        folder: made if missing.
        seed: equal seeds give equal bytes.
        splits: of each scene.
        acquisitions: of each scene.
        classes: of the masks, with the background.
        size: height and width, pixels.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number, split in enumerate(splits):
        for position, acquisition in enumerate(acquisitions):
            image, mask = f"images/{number}_{acquisition}.png", f"masks/{number}_{acquisition}.png"
            write_image(folder / image, drawn_image(rng, size=size))
            write_mask(folder / mask, drawn_blocks(rng, size=size, classes=classes))
            rows.append(
                {
                    "scene": f"place-{number}",
                    "acquisition": acquisition,
                    "image": image,
                    "mask": mask,
                    "split": split,
                    "event": ("north", "south")[number % 2],
                    "sensor": ("alpha", "beta")[position % 2],
                    "cloud": number / 4,
                }
            )
    return rows

"""Reads decoded images from the memory map that a chip store keeps them in, in place of a dataset's files."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.protocols import LabelScheme, Unclassified
from pairlab.scenes.chip_file import StoredImage, checksum, cut, map_file, read_contents, to_strips
from pairlab.scenes.scene import (
    Bands,
    BoolArray,
    ChangeMaps,
    LabelFacts,
    Outline,
    Pixels,
    Scene,
    SceneSource,
    UInt8Array,
)


class StoredImages:
    """The kept images of one dataset; threads may share it. Each is checked when it is first asked for.

    An image that is damaged, or whose file has other pixels by now, is never returned, and `warnings` says so.
    """

    def __init__(self, parts: Sequence[Path], *, lock: int | None) -> None:
        """Reads what the parts hold, not the images.

        Args:
            parts: files of whole parts.
            lock: descriptor that keeps them from being dropped; closed together with this.
        """
        self._lock = lock
        self._images: dict[tuple[str, str], tuple[Path, StoredImage]] = {}
        self._strips: dict[tuple[str, str], Pixels | None] = {}
        self._maps: dict[Path, UInt8Array] = {}
        self._mapping = threading.Lock()
        self._trouble: dict[str, list[str]] = {}
        for path in parts:
            contents = read_contents(path)
            if contents is None:
                self._notice("damaged parts", path.name)
                continue
            self._images |= {(each.scene, each.acquisition): (path, each) for each in contents.images}

    def __len__(self) -> int:
        return len(self._images)

    def __enter__(self) -> "StoredImages":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Lets the dataset be dropped; arrays that were handed out stay readable."""
        if self._lock is not None:
            os.utime(self._lock)
            os.close(self._lock)
            self._lock = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is read from the dataset's files although it was kept, a sentence for each cause."""
        return tuple(
            f"chip store: {cause} ({len(names)}, the first {names[0]}) are not used, but the dataset's files instead"
            for cause, names in self._trouble.items()
        )

    def strips(
        self, scene: Scene, acquisition: str, *, folder: Path, decode: Callable[[Scene, str], Pixels]
    ) -> Pixels | None:
        """Returns an image as strips, shape (strips, height, STRIP, bands), read-only; None where it is not kept.

        Args:
            scene: the scene.
            acquisition: one of its acquisitions.
            folder: the dataset's folder.
            decode: returns the image as its file has it; asked once where the file was written or copied since.
        """
        key = (scene.name, acquisition)
        try:
            return self._strips[key]
        except KeyError:
            self._strips[key] = found = self._checked(scene, acquisition, folder, decode)
            return found

    def _checked(
        self, scene: Scene, acquisition: str, folder: Path, decode: Callable[[Scene, str], Pixels]
    ) -> Pixels | None:
        kept = self._images.get((scene.name, acquisition))
        if kept is None or acquisition not in scene.files:
            return None
        path, stored = kept
        name = scene.files[acquisition].image
        try:
            file = (folder / name).stat()
            with self._mapping:
                if path not in self._maps:
                    self._maps[path] = map_file(path)
        except OSError as error:
            self._notice(f"images that cannot be read, {error.strerror}", name)
            return None
        data = self._maps[path][stored.offset : stored.offset + stored.nbytes]
        if checksum(data) != stored.checksum:
            self._notice("damaged images", name)
            return None
        same_file = (file.st_size, file.st_mtime_ns) == (stored.source_bytes, stored.source_mtime_ns)
        if not same_file and not _shows(stored, decode(scene, acquisition)):
            self._notice("images whose files changed", name)
            return None
        pixels: NDArray[Any] = data.view(stored.dtype)[: prod(stored.shape)]
        return pixels.reshape(stored.shape)

    def _notice(self, cause: str, name: str) -> None:
        names = self._trouble.setdefault(cause, [])
        if name not in names:
            names.append(name)


def _shows(stored: StoredImage, image: Pixels) -> bool:
    """Whether an image has the pixels that were kept."""
    shape = (stored.height, stored.width, stored.bands)
    return image.shape == shape and image.dtype == stored.dtype and checksum(to_strips(image)) == stored.checksum


class StoredSource:
    """A dataset whose images come from the store where it has them; everything else comes from the dataset itself."""

    def __init__(self, source: SceneSource, images: StoredImages, *, folder: Path) -> None:
        """Wraps a dataset.

        Args:
            source: the dataset.
            images: what is kept of it.
            folder: the dataset's folder.
        """
        self._source, self._images, self._folder = source, images, folder

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be taken from the store so far, as `StoredImages.warnings`."""
        return self._images.warnings

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes of the dataset."""
        return self._source.scenes

    @property
    def bands(self) -> Bands:
        """The dataset's bands."""
        return self._source.bands

    @property
    def object_classes(self) -> tuple[str, ...]:
        """The dataset's object classes."""
        return self._source.object_classes

    def classes(self, scheme: LabelScheme, *, unclassified: Unclassified = "ignore") -> tuple[str, ...]:
        """Returns the class names of a label scheme."""
        return self._source.classes(scheme, unclassified=unclassified)

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:
        """Returns the image, shape (height, width, bands), read-only, put together from its strips."""
        strips = self._strips(scene, acquisition, state)
        if strips is None:
            return self._source.image(scene, acquisition, state=state)
        image: NDArray[Any] = np.ascontiguousarray(cut(strips, y=0, x=0, height=scene.height, width=scene.width))
        image.setflags(write=False)
        return image

    def chip(self, scene: Scene, acquisition: str, *, y: int, x: int, size: int, state: str | None = None) -> Pixels:
        """Returns the window [y : y + size, x : x + size] of an image; reads no more than that from the store."""
        strips = self._strips(scene, acquisition, state)
        if strips is None:
            image = self._source.image(scene, acquisition, state=state)
            return image[y : y + size, x : x + size]
        height, width = min(size, scene.height - y), min(size, scene.width - x)
        return cut(strips, y=y, x=x, height=height, width=width)

    def mask(
        self, scene: Scene, acquisition: str, scheme: LabelScheme, *, unclassified: Unclassified = "ignore"
    ) -> UInt8Array:
        """Returns the dataset's class indices."""
        return self._source.mask(scene, acquisition, scheme, unclassified=unclassified)

    def change(self, scene: Scene, *, pixels: bool = True) -> ChangeMaps:
        """Returns the dataset's relevant change."""
        return self._source.change(scene, pixels=pixels)

    def no_data(self, image: Pixels) -> BoolArray:
        """Returns where an image has no data."""
        return self._source.no_data(image)

    def label_facts(self, scene: Scene) -> LabelFacts:
        """Returns what labels and metadata say of a scene."""
        return self._source.label_facts(scene)

    def metadata(self, scene: Scene, acquisition: str) -> Mapping[str, Any]:
        """Returns what the dataset says of an acquisition."""
        return self._source.metadata(scene, acquisition)

    def outlines(self, scene: Scene, acquisition: str) -> Sequence[Outline]:
        """Returns the labelled objects of an acquisition."""
        return self._source.outlines(scene, acquisition)

    def _strips(self, scene: Scene, acquisition: str, state: str | None) -> Pixels | None:
        if state not in (None, acquisition):
            return None
        return self._images.strips(scene, acquisition, folder=self._folder, decode=self._source.image)


def chip_of(
    source: SceneSource, scene: Scene, acquisition: str, *, y: int, x: int, size: int, state: str | None = None
) -> Pixels:
    """Returns the window [y : y + size, x : x + size] of an image, the fastest way the source has.

    Args:
        source: any dataset.
        scene: one of its scenes.
        acquisition: one of the scene's acquisitions.
        y: first row.
        x: first column.
        size: height and width, pixels.
        state: as in `SceneSource.image`.
    """
    if isinstance(source, StoredSource):
        return source.chip(scene, acquisition, y=y, x=x, size=size, state=state)
    return source.image(scene, acquisition, state=state)[y : y + size, x : x + size]

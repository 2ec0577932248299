"""Any images of places before and after: the LEVIR-CD layout, or a manifest of any number of acquisitions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.datasets import BitemporalDataset
from pairlab.experiment.protocols import LabelScheme, Unclassified
from pairlab.scenes.bands import default_bands
from pairlab.scenes.bitemporal_files import (
    bitemporal_fingerprint,
    bitemporal_root,
    dataset_manifest,
    list_bitemporal,
)
from pairlab.scenes.bitemporal_manifest import ManifestFacts
from pairlab.scenes.byte_cache import SOURCE_BYTES, ByteCache
from pairlab.scenes.folder import check_inside
from pairlab.scenes.georeference import centre_of
from pairlab.scenes.image_files import image_header, read_image, read_mask
from pairlab.scenes.no_data import without_data
from pairlab.scenes.scene import (
    IGNORE,
    Bands,
    BoolArray,
    ChangeMaps,
    LabelFacts,
    Outline,
    Pixels,
    Scene,
    SceneError,
    SceneFiles,
    SceneObjects,
    UInt8Array,
)

__all__ = ["CHANGE_CLASSES", "BitemporalSource", "bitemporal_fingerprint", "list_bitemporal", "open_bitemporal"]

CHANGE_CLASSES = ("unchanged", "changed")


def open_bitemporal(
    folder: Path,
    config: BitemporalDataset,
    *,
    scenes: Sequence[Scene] | None = None,
    bands: Bands | None = None,
    cache_bytes: int = SOURCE_BYTES,
) -> "BitemporalSource":
    """Returns the scenes of a bi-temporal dataset; nothing is written anywhere.

    Args:
        folder: of the dataset.
        config: what was registered.
        scenes: from an index, so that the folder need not be looked at; None lists it and leaves out the scenes that
            cannot be used.
        bands: from an index, fitted on the train split; None takes the whole range of the images' type.
        cache_bytes: what may be kept in memory.

    Raises:
        SceneError: as `list_bitemporal`.
    """
    root = bitemporal_root(folder)
    chosen = tuple(list_bitemporal(root, config).scenes if scenes is None else scenes)
    if bands is None:
        image = chosen[0].files[chosen[0].acquisitions[0]].image
        header = image_header(check_inside(root, image), name=image)
        bands = default_bands(header.bands, header.dtype)
    return BitemporalSource(root, config, chosen, replace(bands, no_data=config.no_data), cache_bytes=cache_bytes)


class BitemporalSource:
    """Scenes of two or more acquisitions, with change masks, class masks, both or none.

    Formats: PNG, JPEG or TIFF (GeoTIFF) of 1 to 13 bands, all images of one type; see `image_files`. Change masks hold
    0 for unchanged and 1 or 255 for changed. Class masks hold the positions of `config.classes`, 0 is the background,
    and 255 for pixels that neither train nor score.

    Label schemes: change (0 unchanged, 1 changed; of the last acquisition) and, where the dataset names classes,
    classes. A scene or acquisition without mask is IGNORE everywhere.

    Relevant change between the first and the last acquisition: the change mask where there is one; else pixels whose
    class differs, where both class masks know it; else everything is unknown, never clean. Objects are changed pixels
    and, where there are class masks, everything but background. Nothing is counted object by object, since masks do not
    tell touching objects apart: `object_classes` is empty.

    Images and masks are kept while they are in use, within fixed numbers of bytes. Arrays are shared and therefore
    read-only. Threads may share a source.
    """

    def __init__(
        self,
        root: Path,
        config: BitemporalDataset,
        scenes: Sequence[Scene],
        bands: Bands,
        *,
        cache_bytes: int = SOURCE_BYTES,
    ) -> None:
        self._root, self._config, self._bands = root, config, bands
        self._scenes = tuple(scenes)
        self._names = frozenset(scene.name for scene in scenes)
        self._images: ByteCache[Pixels] = ByteCache(cache_bytes // 2, size_of=lambda image: image.nbytes)
        self._masks: ByteCache[UInt8Array] = ByteCache(cache_bytes // 8, size_of=lambda mask: mask.nbytes)
        self._changes: ByteCache[ChangeMaps] = ByteCache(cache_bytes // 4, size_of=lambda maps: 4 * maps.valid.nbytes)
        self._valid: ByteCache[BoolArray] = ByteCache(cache_bytes // 16, size_of=lambda valid: valid.nbytes)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes, by name."""
        return self._scenes

    @property
    def bands(self) -> Bands:
        """The bands of all images."""
        return self._bands

    @property
    def object_classes(self) -> tuple[str, ...]:
        """None: masks do not tell touching objects apart."""
        return ()

    def classes(self, scheme: LabelScheme, *, unclassified: Unclassified = "ignore") -> tuple[str, ...]:  # noqa: ARG002
        """Returns the class names of a label scheme; index 0 is the background."""
        if scheme == "change":
            return CHANGE_CLASSES
        if scheme == "classes" and self._config.classes:
            return self._config.classes
        known = ("change", "classes") if self._config.classes else ("change",)
        raise SceneError(f"this bi-temporal dataset has no label scheme {scheme!r}: choose {' or '.join(known)}")

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:
        """Returns the image as it is in its file, shape (height, width, bands), read-only."""
        name = self._files(scene, acquisition).image
        if state not in (None, acquisition):
            raise SceneError(
                f"{scene.name} is a photograph and cannot be rendered again in state {state!r}: "
                "only synthetic scenes can; choose control masked"
            )
        return self._images.get((scene.name, acquisition), lambda: self._decoded(scene, name))

    def mask(
        self,
        scene: Scene,
        acquisition: str,
        scheme: LabelScheme,
        *,
        unclassified: Unclassified = "ignore",  # noqa: ARG002  (xBD's alone)
    ) -> UInt8Array:
        """Returns class indices of shape (height, width), uint8, IGNORE where unlabelled, read-only.

        Args:
            scene: one of `scenes`.
            acquisition: one of its acquisitions; of scheme change only the last one is labelled.
            scheme: change or classes.
            unclassified: makes no difference.
        """
        self.classes(scheme)
        files = self._files(scene, acquisition)
        if scheme == "change":
            name = self._change_file(scene) if acquisition == scene.acquisitions[-1] else None
        else:
            name = files.label
        return self._unlabelled(scene) if name is None else self._read_mask(scene, name, scheme)

    def change(self, scene: Scene, *, pixels: bool = True) -> ChangeMaps:
        """Returns the relevant change of first and last acquisition, read-only; `pixels` False decodes no image."""
        self._files(scene, scene.acquisitions[0])
        maps = self._changes.get(scene.name, lambda: self._compared(scene))
        if not pixels:
            return maps
        return replace(maps, valid=self._valid.get(scene.name, lambda: self._with_data(scene)))

    def no_data(self, image: Pixels) -> BoolArray:
        """Returns where an image has no data, bool of shape (height, width)."""
        return without_data(image, value=self._config.no_data)

    def label_facts(self, scene: Scene) -> LabelFacts:
        """Returns the manifest's own columns and the place; checks all masks on the way."""
        for acquisition, files in scene.files.items():
            if self._facts is not None and files.label is not None:
                self.mask(scene, acquisition, "classes")
        self.mask(scene, scene.acquisitions[-1], "change")
        none = np.zeros(0, dtype=np.int16)
        image = scene.files[scene.acquisitions[0]].image
        return LabelFacts(
            objects=SceneObjects(y=none, x=none, kind=none.astype(np.uint8)),
            attributes={} if self._facts is None else self._facts.attributes(scene.name),
            location=centre_of(check_inside(self._root, image)) if image.lower().endswith((".tif", ".tiff")) else None,
        )

    def metadata(self, scene: Scene, acquisition: str) -> Mapping[str, Any]:
        """Returns the image's path and what the manifest's own columns say of it."""
        own = {} if self._facts is None else self._facts.metadata(scene.name, acquisition)
        return {"image": self._files(scene, acquisition).image, **own}

    def outlines(self, scene: Scene, acquisition: str) -> Sequence[Outline]:
        """Returns nothing: there are masks alone."""
        self._files(scene, acquisition)
        return ()

    @cached_property
    def _facts(self) -> ManifestFacts | None:
        """What the manifest says; None without one."""
        manifest = dataset_manifest(self._root, self._config)
        return None if manifest is None else ManifestFacts(manifest)

    def _files(self, scene: Scene, acquisition: str) -> SceneFiles:
        if scene.name not in self._names:
            raise SceneError(f"no scene {scene.name!r} in this dataset: choose one of its {len(self._names)} scenes")
        if acquisition not in scene.files:
            raise SceneError(
                f"{scene.name} has no acquisition {acquisition!r}: choose one of {', '.join(scene.acquisitions)}"
            )
        return scene.files[acquisition]

    def _change_file(self, scene: Scene) -> str | None:
        """Returns the change mask of a scene, a path below the dataset's folder; of folders, the last one's label."""
        return scene.files[scene.acquisitions[-1]].label if self._facts is None else self._facts.change(scene.name)

    def _decoded(self, scene: Scene, name: str) -> Pixels:
        image = read_image(check_inside(self._root, name), name=name)
        expected = (scene.height, scene.width, len(self._bands))
        if image.shape != expected:
            raise SceneError(
                f"{name} has (height, width, bands) {image.shape}, but had {expected} when the dataset was indexed: "
                "index it again"
            )
        image.setflags(write=False)
        return image

    def _read_mask(self, scene: Scene, name: str, scheme: LabelScheme) -> UInt8Array:
        def make() -> UInt8Array:
            values = read_mask(check_inside(self._root, name), name=name)
            if values.shape != (scene.height, scene.width):
                raise SceneError(
                    f"{name} has {values.shape[1]} × {values.shape[0]} pixels, its image {scene.width} × "
                    f"{scene.height}: a mask must have the size of its image"
                )
            change = scheme == "change"
            indices = change_indices(values, name=name) if change else class_indices(values, self.classes(scheme), name)
            indices.setflags(write=False)
            return indices

        return self._masks.get((name, scheme), make)

    def _unlabelled(self, scene: Scene) -> UInt8Array:
        unlabelled = np.full((scene.height, scene.width), IGNORE, dtype=np.uint8)
        unlabelled.setflags(write=False)
        return unlabelled

    def _compared(self, scene: Scene) -> ChangeMaps:
        shape = (scene.height, scene.width)
        everywhere = np.ones(shape, dtype=np.bool_)
        objects = np.zeros(shape, dtype=np.bool_)
        ends = [scene.acquisitions[0], scene.acquisitions[-1]]
        masks = []
        if self._facts is not None and self._config.classes:
            masks = [self.mask(scene, acquisition, "classes") for acquisition in ends]
            objects = np.logical_or.reduce([(mask > 0) & (mask != IGNORE) for mask in masks])
        if self._change_file(scene) is not None:
            changed = self.mask(scene, ends[-1], "change") == 1
            unknown = ~everywhere
        elif masks:
            unknown = (masks[0] == IGNORE) | (masks[1] == IGNORE)
            changed = (masks[0] != masks[1]) & ~unknown
        else:
            changed, unknown = ~everywhere, everywhere
        maps = ChangeMaps(changed=changed, objects=objects | changed, unknown=unknown, valid=everywhere)
        for array in (maps.changed, maps.objects, maps.unknown, maps.valid):
            array.setflags(write=False)
        return maps

    def _with_data(self, scene: Scene) -> BoolArray:
        first, last = (self.image(scene, scene.acquisitions[end]) for end in (0, -1))
        valid = ~(self.no_data(first) | self.no_data(last))
        valid.setflags(write=False)
        return valid


def change_indices(values: NDArray[Any], *, name: str) -> UInt8Array:
    """Returns a change mask as 0 (unchanged) and 1 (changed).

    Args:
        values: integers of shape (height, width).
        name: of its file.

    Raises:
        SceneError: other values than 0 and 1, or 0 and 255.
    """
    found = np.unique(values).tolist()
    if not (set(found) <= {0, 1} or set(found) <= {0, 255}):
        raise SceneError(
            f"{name} holds the values {_listed(found)}; a change mask has 0 for unchanged, and 1 or 255 for changed: "
            "correct the mask"
        )
    return (values > 0).astype(np.uint8)


def class_indices(values: NDArray[Any], classes: Sequence[str], name: str) -> UInt8Array:
    """Returns a class mask as uint8.

    Args:
        values: integers of shape (height, width).
        classes: names of the values 0, 1, 2, …
        name: of its file.

    Raises:
        SceneError: values that are neither of a class nor IGNORE.
    """
    wrong = (values < 0) | ((values >= len(classes)) & (values != IGNORE))
    if wrong.any():
        named = ", ".join(f"{value} {text}" for value, text in enumerate(classes[:20]))
        raise SceneError(
            f"{name} holds the values {_listed(np.unique(values[wrong]).tolist())}; allowed are {named} and {IGNORE} "
            "(ignored): correct the mask, or name more classes"
        )
    return values.astype(np.uint8)


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:8])) + (", …" if len(values) > 8 else "")

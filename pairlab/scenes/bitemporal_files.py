"""The files of a bi-temporal dataset: which scenes they make, whether they fit together, and their fingerprint."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pairlab.experiment.datasets import BitemporalDataset
from pairlab.scenes.bitemporal_folders import EXPECTED, scenes_of_folders
from pairlab.scenes.bitemporal_layout import Candidate, Layout
from pairlab.scenes.bitemporal_manifest import scenes_of_manifest
from pairlab.scenes.folder import check_inside, dataset_root, open_regular, some
from pairlab.scenes.image_files import image_header, mask_header
from pairlab.scenes.image_header import ImageHeader
from pairlab.scenes.manifest import Manifest, read_manifest
from pairlab.scenes.scene import Listing, Quarantined, Scene, SceneError

END_BYTES = 16_384
"""Read from each end of a compressed image for the fingerprint."""

_CUT_SHORT = (".png", ".jpg", ".jpeg")


def bitemporal_root(folder: Path) -> Path:
    """Returns the dataset's folder without links; raises SceneError where there is none."""
    return dataset_root(folder, expected=EXPECTED)


def dataset_manifest(root: Path, config: BitemporalDataset) -> Manifest | None:
    """Returns the dataset's manifest, None where folders say everything; raises SceneError."""
    if config.manifest is None:
        return None
    return read_manifest(check_inside(root, config.manifest), name=config.manifest)


def list_bitemporal(folder: Path, config: BitemporalDataset) -> Listing:
    """Returns the scenes that can be used, those that cannot with the reason, and a sentence on what was left out.

    Reads the headers of all files and the manifest; decodes nothing, writes nothing.

    Args:
        folder: of the dataset; no file outside of it is opened.
        config: whether a manifest or the folders name the scenes, and the classes of masks.

    Raises:
        SceneError: no such folder, nothing that can be used in it, or a manifest that cannot be used.
    """
    root = bitemporal_root(folder)
    layout = _layout(root, config)
    scenes: list[tuple[Scene, ImageHeader]] = []
    quarantined: list[Quarantined] = []
    for candidate in layout.candidates:
        file = config.manifest or next((each.image for each in candidate.files.values() if each.image), "")
        try:
            scenes.append(_looked_at(root, candidate))
        except _FileError as error:
            quarantined.append(Quarantined(candidate.name, error.file or file, str(error)))
    formats = Counter((header.bands, header.dtype) for _, header in scenes)
    usual = formats.most_common(1)[0][0] if formats else None
    usable = []
    for scene, header in scenes:
        if (header.bands, header.dtype) == usual:
            usable.append(scene)
            continue
        image = scene.files[scene.acquisitions[0]].image
        reason = (
            f"{image} has {_format(header.bands, header.dtype)}, most images have {_format(*usual or (0, ''))}: "
            "all images of a dataset have the same bands, convert it or register it in another dataset"
        )
        quarantined.append(Quarantined(scene.name, image, reason))
    if not usable:
        raise SceneError(_nothing_found(root, layout, quarantined))
    return Listing(
        scenes=tuple(sorted(usable, key=lambda scene: scene.name)),
        quarantined=tuple(sorted(quarantined, key=lambda each: each.scene)),
        warnings=tuple(layout.warnings),
    )


def bitemporal_fingerprint(folder: Path, config: BitemporalDataset) -> str:
    """Returns 64 hex digits that change with the manifest, with the names of files, and with their content.

    Masks and TIFFs are read whole, because a TIFF can be patched in place. Of PNG and JPEG images the length and
    END_BYTES of both ends are read: compressed data cannot change without its length or its end, and a PNG ends with
    the checksum of all pixels (RFC 1950).

    Args:
        folder: of the dataset.
        config: as for `list_bitemporal`.

    Raises:
        SceneError: as `list_bitemporal`, but for what single files hold.
    """
    root = bitemporal_root(folder)
    digest = hashlib.sha256(b"bitemporal 1\n")
    contents: dict[tuple[str, bool], str] = {}
    for candidate in _layout(root, config).candidates:
        named = [(files.image, False) for files in candidate.files.values()]
        named += [(files.label, True) for files in candidate.files.values() if files.label is not None]
        named += [] if candidate.change is None else [(candidate.change, True)]
        for file in named:
            if file not in contents:
                contents[file] = _content(root, *file)
        facts = [candidate.name, candidate.split, candidate.event, candidate.trouble, list(candidate.files)]
        files = [[name, contents[name, whole]] for name, whole in named]
        digest.update(json.dumps([facts, files]).encode())
        digest.update(b"\n")
    manifest = None if config.manifest is None else _content(root, config.manifest, whole=True)
    digest.update(json.dumps(manifest).encode())
    return digest.hexdigest()


class _FileError(SceneError):
    """A scene that cannot be used, and the file at fault, empty where none is."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(reason)
        self.file = file


def _layout(root: Path, config: BitemporalDataset) -> Layout:
    repeated = [name for name, count in Counter(config.classes).items() if count > 1]
    if repeated:
        raise SceneError(f"classes names {some(repeated)} more than once: give each value of a mask its own name")
    manifest = dataset_manifest(root, config)
    if manifest is not None:
        return scenes_of_manifest(manifest, name=config.manifest or "", classes=config.classes)
    if config.classes:
        raise SceneError(
            "classes names the values of a manifest's masks, but the LEVIR-CD layout has change masks alone: remove "
            "classes, or name the manifest"
        )
    return scenes_of_folders(root)


def _looked_at(root: Path, candidate: Candidate) -> tuple[Scene, ImageHeader]:
    """Returns a scene and the header of its images; raises _FileError where its files do not fit together."""
    if candidate.trouble is not None:
        raise _FileError("", candidate.trouble)
    images = {files.image: _header(root, files.image, mask=False) for files in candidate.files.values()}
    (first, header), *others = images.items()
    for image, other in others:
        if (other.height, other.width) != (header.height, header.width):
            raise _FileError(
                image,
                f"{image} has {other.size} pixels, but {first} has {header.size}: all images of a scene must have the "
                "same size",
            )
        if (other.bands, other.dtype) != (header.bands, header.dtype):
            raise _FileError(
                image,
                f"{image} has {_format(other.bands, other.dtype)}, but {first} has "
                f"{_format(header.bands, header.dtype)}: all images of a scene must have the same bands",
            )
    masks = {files.label for files in candidate.files.values()} | {candidate.change}
    for mask in sorted(name for name in masks if name is not None):
        other = _header(root, mask, mask=True)
        if (other.height, other.width) != (header.height, header.width):
            raise _FileError(
                mask,
                f"{mask} has {other.size} pixels, but {first} has {header.size}: a mask must have its images' size",
            )
    scene = Scene(
        name=candidate.name,
        split=candidate.split,
        event=candidate.event,
        acquisitions=tuple(candidate.files),
        height=header.height,
        width=header.width,
        files=candidate.files,
    )
    return scene, header


def _header(root: Path, name: str, *, mask: bool) -> ImageHeader:
    try:
        path = check_inside(root, name)
        return mask_header(path, name=name) if mask else image_header(path, name=name)
    except SceneError as error:
        raise _FileError(name, str(error)) from error


def _content(root: Path, name: str, whole: bool) -> str:
    """Returns what stands for a file's content; the error where it cannot be read, which is part of what is there."""
    if not name:
        return "none"
    try:
        with open_regular(check_inside(root, name), name=name) as file:
            if whole or not name.lower().endswith(_CUT_SHORT):
                return hashlib.file_digest(file, "sha256").hexdigest()
            length = file.seek(0, os.SEEK_END)
            file.seek(0)
            start = file.read(END_BYTES)
            file.seek(max(0, length - END_BYTES))
            return f"{length} {hashlib.sha256(start + file.read()).hexdigest()}"
    except (SceneError, OSError) as error:
        return f"unreadable: {error}"


def _format(bands: int, dtype: str) -> str:
    return f"{bands} band{'' if bands == 1 else 's'} of {dtype}"


def _nothing_found(root: Path, layout: Layout, quarantined: Sequence[Quarantined]) -> str:
    if quarantined:
        return (
            f"none of the {len(quarantined)} scenes in folder {root.name!r} can be used; the first, "
            f"{quarantined[0].scene}: {quarantined[0].reason}"
        )
    return f"no scenes in folder {root.name!r}: {'; '.join(layout.warnings) or 'it names none'}; expected {EXPECTED}"

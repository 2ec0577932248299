"""The index job of a dataset of files: labels first, so that it can be browsed within a minute, then all pixels.

Both passes work in parts of PART_SCENES scenes, each kept in a file of its own, so that a run that was stopped or
killed goes on behind the last whole part. Equal files give an equal index, however often it was interrupted. Labels
are read by one thread (parsing them holds Python's lock: two are no faster); cores that would have nothing to do in
the meantime begin with the pixels.
"""

import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pairlab.events import Event, Finished, Metrics, Started
from pairlab.scenes.bands import fit_bands
from pairlab.scenes.index import DatasetIndex, merge, with_quarantine
from pairlab.scenes.index_file import INDEX_VERSION, read_index, write_index
from pairlab.scenes.measuring import Measured, index_of, measure_labels, quarantined_by
from pairlab.scenes.pixel_pass import KeptPart, PixelPass
from pairlab.scenes.scene import Quarantined, Scene, SceneError, SceneSource

PART_SCENES = 128
PASSES = ("labels", "pixels")
CACHE_BYTES = 64 * 2**20
"""What a source may keep in memory while it is indexed: every image is looked at once."""
STOP_SECONDS = 0.25
"""How often a stop is asked for while pixels are looked at."""

Pass = Generator[Event, None, DatasetIndex | None]
"""Yields metrics and returns the index of all scenes; None where it was asked to stop."""


class ImageStore(Protocol):
    """Where decoded images are kept for training."""

    def part(self, fingerprint: str, *, number: int) -> AbstractContextManager[KeptPart]:
        """Returns what takes a part's images; they count once it was left without an exception."""
        ...

    def has_part(self, fingerprint: str, number: int) -> bool:
        """Whether the part is kept already."""
        ...


@dataclass(frozen=True, slots=True)
class IndexFiles:
    """Where the index of one dataset lies, finished or under way."""

    folder: Path
    key: str
    """The dataset's fingerprint: other content has other files."""

    @property
    def index(self) -> Path:
        """The finished index, or that of the labels alone while the pixels are being read."""
        return self.folder / f"{self.key}-v{INDEX_VERSION}.parquet"

    @property
    def parts(self) -> Path:
        """Folder of the parts, gone once the index is finished."""
        return self.folder / f"{self.key}-v{INDEX_VERSION}.parts"

    def part(self, name: str, number: int) -> Path:
        """Returns the file of one part of a pass."""
        return self.parts / f"{name}-{number:05d}.parquet"


def index_dataset(
    source: SceneSource,
    files: IndexFiles,
    *,
    root: Path,
    quarantined: Sequence[Quarantined] = (),
    store: ImageStore | None = None,
    should_stop: Callable[[], bool],
) -> Iterator[Event]:
    """Yields what happens while a dataset is indexed, from `Started` to `Finished`; a step is a scene of a pass.

    Args:
        source: the dataset, listed.
        files: where to write.
        root: the dataset's folder.
        quarantined: what the listing left out.
        store: keeps the images that are decoded on the way.
        should_stop: asked before every part of scenes and while one waits; True ends the run, and a later one goes on
            behind the last whole part.

    Raises:
        SceneError: not a single scene can be used.
    """
    run = _Run(source, files, root, quarantined, store, should_stop)
    yield Started(step=run.step, total_steps=run.total, facts={"scenes": len(source.scenes), "threads": run.threads})
    results: dict[str, int] = {}
    with run.pixels:
        for finish in (run.label_pass, run.pixel_pass):
            index = yield from finish()
            if index is None:
                yield Finished(step=run.step, results={}, stopped=True)
                return
            index = with_quarantine(index, quarantined)
            if not len(index.table):
                shutil.rmtree(files.parts, ignore_errors=True)  # so that a retry looks again
                first = index.table.quarantined[0].reason
                raise SceneError(f"none of the {len(index.table.quarantined)} scenes can be used; the first: {first}")
            write_index(index, files.index, scratch=files.parts)
            results = {"scenes": len(index.table), "quarantined": len(index.table.quarantined)}
    shutil.rmtree(files.parts, ignore_errors=True)
    yield Finished(step=run.total, results=results)


class _Run:
    """One run of the job over all parts."""

    def __init__(
        self,
        source: SceneSource,
        files: IndexFiles,
        root: Path,
        quarantined: Sequence[Quarantined],
        store: ImageStore | None,
        should_stop: Callable[[], bool],
    ) -> None:
        scenes = source.scenes
        self._source, self._files, self._store, self._should_stop = source, files, store, should_stop
        self._unlisted = len(quarantined)
        self._parts = [scenes[start : start + PART_SCENES] for start in range(0, len(scenes), PART_SCENES)]
        self._labels, self._pixels = (dict(self._kept(name)) for name in PASSES)
        self.threads = len(os.sched_getaffinity(0))
        self.total = len(PASSES) * len(scenes)
        self.step = sum(len(self._parts[number]) for number in [*self._labels, *self._pixels])
        self.pixels = PixelPass(
            source,
            root=root,
            path_of=lambda number: files.part("pixels", number),
            open_part=self._open_part,
            threads=self.threads,
        )

    def label_pass(self) -> Pass:
        """Reads the labels of all parts, and begins with the pixels of each."""
        fresh, began = 0, time.perf_counter()
        for number, part in enumerate(self._parts):
            if number not in self._labels:
                if self._should_stop():
                    return None
                self._labels[number] = self._read_labels(part)
                write_index(self._labels[number], self._files.part("labels", number))
                fresh += len(part)
                speed = fresh / (time.perf_counter() - began)
                yield self._part_done("labels", number, self._labels, speed=speed)
            if number not in self._pixels:
                self.pixels.begin(number, self._labels[number])
        self.pixels.all_cores()
        return merge([self._labels[number] for number in range(len(self._parts))])

    def pixel_pass(self) -> Pass:
        """Waits for the pixels of all parts; maps the bands to what was seen in the train split."""
        bands = fit_bands(self._source)
        missing = [number for number in range(len(self._parts)) if number not in self._pixels]
        before, began = self._looked_at(missing), time.perf_counter()
        for number in missing:
            index: DatasetIndex | None = None
            while index is None:
                if self._should_stop():
                    return None
                index = self.pixels.result(number, timeout=STOP_SECONDS)
            self._pixels[number] = index
            speed = (self._looked_at(missing) - before) / (time.perf_counter() - began)
            yield self._part_done("pixels", number, self._pixels, speed=speed)
        whole = merge([self._pixels[number] for number in range(len(self._parts))])
        return replace(whole, table=replace(whole.table, bands=bands, pixels_read=True))

    def _part_done(self, name: str, number: int, parts: Mapping[int, DatasetIndex], *, speed: float) -> Metrics:
        self.step += len(self._parts[number])
        dropped = self._unlisted + sum(len(index.table.quarantined) for index in parts.values())
        return Metrics(
            step=self.step,
            values={f"{name}_per_s": speed, "quarantined": dropped},
            seconds_left=(self.total - self.step) / speed if name == PASSES[-1] and speed else None,
        )

    def _looked_at(self, numbers: Sequence[int]) -> int:
        """Returns how many scenes lie in those of the parts whose pixels are whole."""
        return sum(len(self._parts[number]) for number in numbers if self.pixels.is_done(number))

    def _kept(self, name: str) -> Iterator[tuple[int, DatasetIndex]]:
        """Yields what earlier runs made of the parts, as far as they were cut alike."""
        for number, part in enumerate(self._parts):
            index = read_index(self._files.part(name, number))
            if index is not None:
                known = {*(scene.name for scene in index.table.scenes), *(q.scene for q in index.table.quarantined)}
                if known == {scene.name for scene in part}:
                    yield number, index

    def _read_labels(self, part: Sequence[Scene]) -> DatasetIndex:
        measured: list[Measured] = []
        dropped: list[Quarantined] = []
        for scene in part:
            try:
                measured.append(measure_labels(self._source, scene))
            except SceneError as error:
                dropped.append(quarantined_by(scene, error))
        return with_quarantine(index_of(self._source, measured, pixels_read=False), dropped)

    def _open_part(self, number: int) -> AbstractContextManager[KeptPart | None]:
        store, key = self._store, self._files.key
        return nullcontext() if store is None or store.has_part(key, number) else store.part(key, number=number)

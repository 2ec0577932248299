"""The pixel pass of the index job: parts of a dataset, looked at side by side with whatever else the job does."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Semaphore
from types import TracebackType
from typing import Protocol

import cv2

from pairlab.scenes.index import DatasetIndex, with_quarantine
from pairlab.scenes.index_file import write_index
from pairlab.scenes.measuring import PixelFacts, look_at_pixels, quarantined_by, with_pixels
from pairlab.scenes.scene import Pixels, Quarantined, Scene, SceneError, SceneSource

MOST_EARLY_THREADS = 3
"""Beside the label pass, which holds Python's lock most of the time: more would keep it waiting for the lock."""


class KeptPart(Protocol):
    """Takes the decoded images of one part; threads may share it."""

    def add(self, scene: str, acquisition: str, image: Pixels, *, source: Path) -> None:
        """Keeps an image that was decoded from `source`."""
        ...


@dataclass
class _Part:
    """A part under way; whoever looks at its last scene finishes it."""

    number: int
    labels: DatasetIndex
    left: int
    lock: Lock = field(default_factory=Lock)
    found: list[PixelFacts] = field(default_factory=list)
    dropped: list[Quarantined] = field(default_factory=list)
    store: ExitStack = field(default_factory=ExitStack)
    kept: KeptPart | None = None
    opened: bool = False
    done: Future[DatasetIndex] = field(default_factory=Future)


class PixelPass:
    """Looks at the pixels of parts in the order begun, and writes each part's index as soon as it is whole.

    Until `all_cores` is called one core is left alone.
    """

    def __init__(
        self,
        source: SceneSource,
        *,
        root: Path,
        path_of: Callable[[int], Path],
        open_part: Callable[[int], AbstractContextManager[KeptPart | None]],
        threads: int,
    ) -> None:
        """Prepares the pass; nothing is looked at yet.

        Args:
            source: the dataset.
            root: its folder.
            path_of: the file of a part's index.
            open_part: what keeps a part's images, None where nothing does; entered with the first image, left without
                an exception once the part is whole.
            threads: one per core.
        """
        self._source, self._root = source, root
        self._path_of, self._open_part = path_of, open_part
        self._pool = ThreadPoolExecutor(threads)
        early = min(threads - 1, MOST_EARLY_THREADS)
        self._cores, self._late = Semaphore(early), threads - early
        self._stopping = Event()
        self._parts: dict[int, _Part] = {}

    def __enter__(self) -> "PixelPass":
        self._opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # each core has an image of its own
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends all threads; a part that is not whole by then leaves nothing behind."""
        self._stopping.set()
        self.all_cores()
        self._pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(self._opencv_threads)
        stopped = RuntimeError("the part is not whole")
        for part in self._parts.values():
            part.store.__exit__(RuntimeError, stopped, None)

    def begin(self, number: int, labels: DatasetIndex) -> None:
        """Has a part looked at, behind those begun before.

        Args:
            number: of the part.
            labels: what its labels say; the scenes in it are looked at.
        """
        part = self._parts[number] = _Part(number, labels, left=len(labels.table))
        if not part.left:
            self._finish(part)
        for scene in labels.table.scenes:
            self._pool.submit(self._look, part, scene)

    def all_cores(self) -> None:
        """Takes the core that was left alone."""
        late, self._late = self._late, 0
        if late:
            self._cores.release(late)

    def is_done(self, number: int) -> bool:
        """Whether a part is whole."""
        return number in self._parts and self._parts[number].done.done()

    def result(self, number: int, *, timeout: float) -> DatasetIndex | None:
        """Returns a part's index without the pixels that have no data; None where it is not whole within the seconds.

        Raises:
            Exception: what stopped the part, other than a SceneError, which only takes its scene out.
        """
        done = self._parts[number].done
        wait([done], timeout)
        return done.result() if done.done() else None

    def _look(self, part: _Part, scene: Scene) -> None:
        with self._cores:
            if self._stopping.is_set() or part.done.done():
                return
            try:
                looked: PixelFacts | Quarantined = self._facts(part, scene)
            except SceneError as error:
                looked = quarantined_by(scene, error)
            except Exception as error:
                with part.lock:
                    if not part.done.done():
                        part.done.set_exception(error)
                return
        with part.lock:
            if isinstance(looked, PixelFacts):
                part.found.append(looked)
            else:
                part.dropped.append(looked)
            part.left -= 1
            last = not part.left
        if last:
            self._finish(part)

    def _facts(self, part: _Part, scene: Scene) -> PixelFacts:
        images = [self._source.image(scene, acquisition) for acquisition in scene.acquisitions]
        with part.lock:
            if not part.opened:
                part.kept, part.opened = part.store.enter_context(self._open_part(part.number)), True
        if part.kept is not None:
            for acquisition, image in zip(scene.acquisitions, images, strict=True):
                part.kept.add(scene.name, acquisition, image, source=self._root / scene.files[acquisition].image)
        return look_at_pixels(self._source, scene, images)

    def _finish(self, part: _Part) -> None:
        try:
            part.store.close()
            index = with_quarantine(with_pixels(part.labels, part.found), part.dropped)
            write_index(index, self._path_of(part.number))
            part.done.set_result(index)
        except Exception as error:
            part.done.set_exception(error)

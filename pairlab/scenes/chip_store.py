"""Decoded images of datasets, kept within a number of bytes on the disk and shared by all jobs of the machine.

    <folder>/.lock                      held while files are made, grown, renamed or removed
    <folder>/<fingerprint>/in-use       held shared by whoever reads or writes the dataset; its time is the last use
    <folder>/<fingerprint>/00012.chips  a part of the dataset, whole from the moment it has this name
    <folder>/<fingerprint>/….writing    a part under way, held by its writer

The files' lengths are the only accounts, and all locks are the kernel's: they end with their process, so that nothing
is ever stale, at whatever moment a process is killed.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pairlab.scenes.chip_file import PartWriter, StoreError, not_writable, read_contents
from pairlab.scenes.stored_images import StoredImages

KEEP_FREE_BYTES = 2 * 2**30
"""Space on the disk that is left for everything else: the database, checkpoints, the system."""

GROWTH_BYTES = 64 * 2**20
"""A file under way grows by so much, or by a 64th of the budget, so that few images have to ask for room."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_PART, _WRITING, _IN_USE = ".chips", ".writing", "in-use"


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What is kept of one dataset."""

    images: int
    offered: int
    """Images of all its parts; more than `images` where the budget did not hold them all."""
    bytes: int


class ChipStore:
    """The chip store in one folder; processes and threads may share the folder.

    A dataset takes part by its fingerprint, so that changed files are another dataset. Where the budget is used up, the
    datasets that were not used for longest go first, never one that a running process has open; if that is not enough,
    the rest of the images is simply not kept. Beyond the budget lie at most 100 bytes for each part without an image.
    """

    def __init__(self, folder: Path, *, budget_bytes: int, keep_free_bytes: int = KEEP_FREE_BYTES) -> None:
        """Prepares the store; nothing is written yet.

        Args:
            folder: made when the first part is written; on a disk of this machine.
            budget_bytes: what all datasets may take together; 0 keeps nothing.
            keep_free_bytes: space that is left on the disk, whatever the budget.
        """
        self._folder = folder
        self._budget, self._keep_free = budget_bytes, keep_free_bytes
        self._held: dict[str, int] = {}

    @contextmanager
    def part(self, fingerprint: str, *, number: int) -> Iterator[PartWriter]:
        """Yields what takes the images of a part; they count once it was left without an exception.

        Until the store is closed no other process drops the dataset. Of two writers of the same part the first counts.

        Args:
            fingerprint: the dataset's.
            number: which part of it.

        Raises:
            StoreError: the store cannot be written; all other parts stay as they are.
        """
        path = self._part(fingerprint, number)
        try:
            descriptor, temporary = self._begin(fingerprint, path)
        except OSError as error:
            raise not_writable(error) from error
        writer = PartWriter(descriptor, grow=lambda least: self._grow(descriptor, least))
        try:
            yield writer
            writer.finish()
            try:
                self._commit(temporary, path)
            except OSError as error:
                raise not_writable(error) from error
        finally:
            writer.close()
            temporary.unlink(missing_ok=True)
            os.close(descriptor)

    def has_part(self, fingerprint: str, number: int) -> bool:
        """Whether a part was written, even if none of its images found room."""
        return read_contents(self._part(fingerprint, number)) is not None

    def open(self, fingerprint: str) -> StoredImages:
        """Returns the images kept of a dataset, none where there are none; until closed, no process drops them."""
        dataset = self._dataset(fingerprint)
        lock = None
        if dataset.is_dir():
            with contextlib.suppress(OSError), self._locked():
                lock = _hold(dataset)
        return StoredImages(_parts(dataset) if lock is not None else [], lock=lock)

    def usage(self, fingerprint: str) -> StoreUsage:
        """Returns what is kept of a dataset."""
        paths = _parts(self._dataset(fingerprint))
        contents = [found for found in map(read_contents, paths) if found is not None]
        return StoreUsage(
            images=sum(len(each.images) for each in contents),
            offered=sum(each.offered for each in contents),
            bytes=sum(map(_length, paths)),
        )

    def forget(self, fingerprint: str) -> bool:
        """Drops a dataset; returns False where a running process has it open and it therefore stays."""
        if not self._dataset(fingerprint).is_dir():
            return True
        self._release(fingerprint)
        with self._locked():
            return _drop(self._dataset(fingerprint))

    def __enter__(self) -> "ChipStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the datasets written to; the store stays usable."""
        for fingerprint in list(self._held):
            self._release(fingerprint)

    def _release(self, fingerprint: str) -> None:
        descriptor = self._held.pop(fingerprint, None)
        if descriptor is not None:
            os.close(descriptor)

    def _dataset(self, fingerprint: str) -> Path:
        if not _KEY.fullmatch(fingerprint):
            raise StoreError(f"{fingerprint!r} is no fingerprint of a dataset: letters, digits, '_', '.' and '-'")
        return self._folder / fingerprint

    def _part(self, fingerprint: str, number: int) -> Path:
        return self._dataset(fingerprint) / f"{number:05d}{_PART}"

    def _begin(self, fingerprint: str, path: Path) -> tuple[int, Path]:
        """Returns a new file that this process holds; removes what killed writers left behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            path.parent.mkdir(exist_ok=True)
            if fingerprint not in self._held:
                self._held[fingerprint] = _hold(path.parent)
            for left in self._folder.glob(f"*/*{_WRITING}"):
                _remove_unheld(left)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-", suffix=_WRITING)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor, Path(temporary)

    def _commit(self, temporary: Path, path: Path) -> None:
        with self._locked():
            if read_contents(path) is None:
                temporary.replace(path)
                folder = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def _grow(self, descriptor: int, least: int) -> int:
        """Makes a file at least so long, drops other datasets for it, and returns its length; 0 where no room is."""
        step = min(GROWTH_BYTES, self._budget // 64)
        with self._locked():
            has = os.fstat(descriptor).st_size
            for length in (least + step, least):
                if self._make_room(length - has):
                    os.ftruncate(descriptor, length)
                    return length
        return 0

    def _make_room(self, wanted: int) -> bool:
        """Drops datasets until so many bytes fit into the budget and onto the disk; returns False where they do not."""
        oldest_first = iter(sorted(self._folder.glob(f"*/{_IN_USE}"), key=lambda path: path.stat().st_mtime_ns))
        while not self._has_room(wanted):
            oldest = next(oldest_first, None)
            if oldest is None:
                return False
            _drop(oldest.parent)
        return True

    def _has_room(self, wanted: int) -> bool:
        used = sum(_length(path) for ending in (_PART, _WRITING) for path in self._folder.glob(f"*/*{ending}"))
        return used + wanted <= self._budget and shutil.disk_usage(self._folder).free - wanted >= self._keep_free

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the store, among all processes and threads; for moments only."""
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _hold(dataset: Path) -> int:
    """Returns a descriptor that keeps a dataset from being dropped for as long as it is open."""
    descriptor = os.open(dataset / _IN_USE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.utime(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _parts(dataset: Path) -> list[Path]:
    """Returns the files of a dataset's parts, in their order."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(path for path in dataset.iterdir() if path.suffix == _PART)
    return []


def _drop(dataset: Path) -> bool:
    """Removes a dataset unless a process holds it; returns whether it is gone."""
    try:
        descriptor = os.open(dataset / _IN_USE, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in (*dataset.glob(f"*{_WRITING}"), *dataset.glob(f"*{_PART}"), dataset / _IN_USE):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody put a file of their own there
            dataset.rmdir()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove_unheld(path: Path) -> None:
    """Removes a file whose writer is gone."""
    with contextlib.suppress(BlockingIOError, FileNotFoundError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _length(path: Path) -> int:
    """Returns a file's length; 0 where it was removed in the meantime."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0

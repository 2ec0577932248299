"""Files that belong to datasets: index, decoded images and thumbnails, each under its dataset's fingerprint."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from backend.database import Database
from backend.datasets import repository
from backend.settings import Settings
from pairlab.scenes.chip_store import ChipStore

_OWNED = re.compile(r"(?P<fingerprint>[0-9a-f]{64})(?![0-9a-f])")

ABANDONED_SECONDS = 3600.0


def forget_unused_files(database: Database, settings: Settings) -> int:
    """Returns how many files and folders were removed because no dataset has their fingerprint any more.

    A dataset's row is there before its first file is, so the files are listed first: none of a new dataset is taken
    for an old one's. What a running process still reads stays until the next time.
    """
    _remove_abandoned(settings.index_folder)
    folders = (settings.index_folder, settings.store_folder, settings.thumbnail_folder)
    found = [(folder, *each) for folder in folders for each in _entries(folder)]
    if not found:
        return 0
    with database.read() as session:
        used = repository.fingerprints(session)
    unused = [(folder, path, fingerprint) for folder, path, fingerprint in found if fingerprint not in used]
    store = ChipStore(settings.store_folder, budget_bytes=settings.store_bytes)
    for folder, path, fingerprint in unused:
        with suppress(OSError):
            if folder == settings.store_folder:
                store.forget(fingerprint)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    return len(unused)


def _entries(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yields what lies in a folder under a fingerprint."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        owned = _OWNED.match(entry.name)
        if owned is not None:
            yield entry, owned["fingerprint"]


def _remove_abandoned(folder: Path) -> None:
    """Removes what was left of writers that were killed before their file was whole."""
    for path in folder.glob("tmp*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink()

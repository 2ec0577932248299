"""What supervisor and run say to each other: a description on the way in, lines of JSON and an exit status back."""

import hashlib
from pathlib import Path
from typing import Any, TypedDict

EXIT_DONE = 0
EXIT_CRASHED = 1
EXIT_REFUSED = 3
"""The job cannot run as asked; the event `refused` says why."""


class FileReference(TypedDict):
    """A file an earlier run wrote, and the SHA-256 it was recorded under."""

    path: str
    sha256: str


class MapReference(FileReference):
    """An embedding map that counts, and after how many steps it was drawn."""

    step: int


class Description(TypedDict):
    """All a run needs to know; it sees neither database nor queue."""

    config: dict[str, Any]
    folder: str
    """The attempt's own; exists and is empty."""
    index_folder: str
    store_folder: str
    """Of decoded images."""
    store_bytes: int
    data_roots: dict[str, str]
    checkpoints: list[FileReference]
    """Of earlier attempts, the furthest first."""
    weights: FileReference | None
    """Of the pretraining it starts from, or whose encoder measures a distance."""
    pretraining: dict[str, Any] | None
    """Configuration of the job that made the weights."""
    initial: FileReference | None
    """Of the earlier job that `initial` names."""
    warned: list[str]
    """Kinds of the warnings that earlier attempts told."""
    embedding_maps: list[MapReference]
    """Of earlier attempts."""
    threads: int
    """Of the whole run."""
    processes: int
    """So many may share a pretraining's parts, if they divide them."""
    devices: list[str]
    """The GPUs of this run, as CUDA_VISIBLE_DEVICES names them; none where there is no GPU."""


def file_hash(path: Path) -> str | None:
    """Returns the SHA-256 of a file's content; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None

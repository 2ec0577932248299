"""Safetensors files with other names for their tensors: the bytes of each stay as they are, and torch is not needed."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PIECE = 1 << 20
_LENGTH = 8
_MOST_HEADER = 100_000_000
"""As the format's own library allows."""


class TensorFileError(ValueError):
    """A file that is no safetensors file, or was cut off."""


def renamed(path: Path, rename: Callable[[str], str | None]) -> Iterator[bytes]:
    """Yields a safetensors file with the tensors of another one under new names, piece by piece.

    Args:
        path: the file.
        rename: returns a tensor's new name; None leaves it out.

    Raises:
        TensorFileError: the file is no whole safetensors file.
    """
    header, begin = read_header(path)
    entries = sorted(
        ((name, entry) for key, entry in header.items() if (name := rename(key)) is not None),
        key=lambda named: named[1]["data_offsets"],
    )
    written, offset = {}, 0
    for name, entry in entries:
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        written[name] = {**entry, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **written}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)  # the data begin at a multiple of 8
    yield len(text).to_bytes(_LENGTH, "little") + text
    with path.open("rb") as file:
        for _, entry in entries:
            file.seek(begin + entry["data_offsets"][0])
            yield from _pieces(path, file.read, entry["data_offsets"][1] - entry["data_offsets"][0])


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Returns the tensors' entries by name, and where in the file the data begin; raises TensorFileError."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "little")
            if not 0 < length <= _MOST_HEADER:
                raise TensorFileError(f"{path.name} is no safetensors file")
            header: dict[str, Any] = json.loads(file.read(length))
            end = os.fstat(file.fileno()).st_size
        header.pop("__metadata__", None)
        if any(_LENGTH + length + entry["data_offsets"][1] > end for entry in header.values()):
            raise TensorFileError(f"{path.name} is cut off")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, TensorFileError):
            raise
        raise TensorFileError(f"{path.name} is no safetensors file ({error})") from error
    return header, _LENGTH + length


def _pieces(path: Path, read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    while size:
        piece = read(min(size, PIECE))
        if not piece:
            raise TensorFileError(f"{path.name} is cut off")
        size -= len(piece)
        yield piece

"""Files below a dataset's folder: named by relative paths, never followed out of it, and listed without surprises."""

import os
import stat
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path, PurePosixPath

from pairlab.scenes.scene import SceneError

MAX_NAME = 120
"""Greatest length of a name; as UTF-8 it still fits into a file's name."""
MAX_PATH = 1000

_FORBIDDEN_IN_NAMES = frozenset('/\\?#%*<>|"')
"""What paths, addresses and shells take for something else."""


def dataset_root(folder: Path, *, expected: str) -> Path:
    """Returns the dataset's folder without links; raises SceneError, which says what is expected, where there is none.

    Args:
        folder: of the dataset.
        expected: what should lie there, as the end of a sentence.
    """
    root = Path(os.path.realpath(folder))
    if not root.is_dir():
        raise SceneError(f"folder {folder.name!r} does not exist or is no folder: expected {expected}")
    return root


def check_inside(root: Path, name: str) -> Path:
    """Returns the path of a file or folder; raises SceneError where a link in it leads out of the dataset's folder."""
    path = root / name
    if not Path(os.path.realpath(path)).is_relative_to(root):
        raise SceneError(f"{name} is a link that leads out of the dataset's folder: copy what it leads to into it")
    return path


def relative_path(text: str) -> str:
    """Returns a path that someone wrote, relative and with forward slashes; raises SceneError where it is neither."""
    path = PurePosixPath(text)
    if len(text) > MAX_PATH or not text.isprintable():
        raise SceneError(
            f"{printed(text)} is no path: it is longer than {MAX_PATH} characters or holds such as cannot be printed"
        )
    if path.is_absolute() or ".." in path.parts or "\\" in text or not path.parts:
        raise SceneError(
            f"{printed(text)} leads out of the dataset's folder: write a path below it, with / between folders"
        )
    return str(path)


def name_trouble(name: str) -> str | None:
    """Returns why a text cannot name a scene or an acquisition, as the end of a sentence; None where it can.

    Names become parts of addresses and of files' names.
    """
    if not name:
        return "is empty"
    if len(name) > MAX_NAME or len(os.fsencode(name)) > 2 * MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if not name.isprintable():
        return "holds characters that cannot be printed"
    if name.startswith(".") or name != name.strip() or _FORBIDDEN_IN_NAMES & set(name):
        return f"begins with a dot or blank or holds one of {' '.join(sorted(_FORBIDDEN_IN_NAMES))}"
    return None


def open_regular(path: Path, *, name: str) -> BufferedReader:
    """Returns a file opened for reading; raises SceneError unless it is a regular one: a pipe could wait for ever.

    Args:
        path: the file.
        name: what messages call it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise SceneError(f"{name} does not exist: put it there, or correct its name") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise SceneError(f"{name} cannot be read ({reason}): check that it may be read") from error
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise SceneError(f"{name} is no regular file: put the original file in its place")
    return file


def entries(root: Path, folder: str) -> Iterator["os.DirEntry[str]"]:
    """Yields what lies in a folder, none where it is missing; refuses folders that lead out of the dataset."""
    path = check_inside(root, folder)
    try:
        with os.scandir(path) as found:
            yield from found
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise SceneError(f"{folder or root.name} cannot be read ({error.strerror}): check its permissions") from error


def counted(names: Sequence[str], noun: str) -> str:
    """Returns `1 file` or `2 files`."""
    return f"{len(names)} {noun}" if len(names) == 1 else f"{len(names)} {noun}s"


def some(names: Sequence[str]) -> str:
    """Returns the first names, for a sentence."""
    return ", ".join(printed(name) for name in names[:3]) + (", …" if len(names) > 3 else "")


def printed(text: str, *, limit: int = 200) -> str:
    """Returns a text from unknown hands as it may stand in a sentence: short, and without control characters."""
    short = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return short if short.isprintable() else ascii(short)

"""A real dataset whose names, columns, values and classes would be markup, if anything took them for that."""

import json
from pathlib import Path
from typing import Any

from tests.live_stack import LiveStack
from tests.pairlab.scenes.bitemporal_tree import write_manifest, write_scenes

MARKUP = "<img src=x onerror=\"document.title='broken in'\">"
STARS = "**x** :red[hot] $y$ `code` [a](http://evil)"
PLACE = "[a](b) $y$ :red[x] __1__"
BAD = "<b>place</b>"
CONFIG = {
    "kind": "bitemporal",
    "root": "generated",
    "folder": "hostile",
    "manifest": "manifest.csv",
    "classes": ["background", MARKUP, STARS],
}


def generated_root(stack: LiveStack) -> Path:
    """Returns the folder of the data root `generated`."""
    roots: dict[str, str] = json.loads((stack.home / "endpoints.json").read_text())["data_roots"]
    return Path(roots["generated"])


def register_hostile(stack: LiveStack) -> str:
    """Returns the dataset's name: three scenes that can be used, one with an image that is none, one of a bad name."""
    folder = generated_root(stack) / "hostile"
    if not folder.exists():
        rows: list[dict[str, Any]] = write_scenes(folder, seed=3, splits=("train", "val", "test", "test", "test"))
        for number, row in enumerate(rows):
            row["event"] = MARKUP if number % 4 < 2 else STARS
            row["<b>column</b>"] = MARKUP if number % 2 else STARS
            row["**number**"] = str(number)
        for row, name in zip(rows, [PLACE, PLACE, *(str(row["scene"]) for row in rows[2:-2]), BAD, BAD], strict=True):
            row["scene"] = name
        (folder / str(rows[-3]["image"])).write_bytes(b"<b>no image</b>")
        write_manifest(folder, rows)
    return stack.register("hostile", CONFIG)

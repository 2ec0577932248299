"""Paths on this server: what a browser asks for, given names of datasets, scenes and acquisitions."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

from frontend.connection import PREFIX


def api_path(url: str) -> str:
    """Returns the path a browser asks for, given a record's URL with or without the API's prefix."""
    path = url if url.startswith("/") else f"/{url}"
    return path if path.startswith(f"{PREFIX}/") else PREFIX + path


def image_path(dataset: str, scene: str, acquisition: str, **query: str | int) -> str:
    """Returns the path of a scene's image; `query` as the API takes it (size, y, x, chip, state, draw)."""
    return _scene_path(dataset, scene, f"images/{part(acquisition)}", query)


def mask_path(dataset: str, scene: str, acquisition: str, **query: str | int) -> str:
    """Returns the path of a scene's label as class indices; `query` names at least the `scheme`."""
    return _scene_path(dataset, scene, f"masks/{part(acquisition)}", query)


def change_path(dataset: str, scene: str, **query: str | int) -> str:
    """Returns the path of a scene's change map."""
    return _scene_path(dataset, scene, "change", query)


def objects_path(dataset: str, scene: str, acquisition: str) -> str:
    """Returns the path of an acquisition's labelled objects."""
    return _scene_path(dataset, scene, f"objects/{part(acquisition)}", {})


def selection_path(dataset: str, query: Iterable[tuple[str, str]]) -> str:
    """Returns the path of a selection as CSV; `query` holds its filter and order."""
    path = f"{PREFIX}/datasets/{part(dataset)}/selection.csv"
    given = urlencode(list(query))
    return f"{path}?{given}" if given else path


def _scene_path(dataset: str, scene: str, picture: str, query: Mapping[str, str | int]) -> str:
    path = f"{PREFIX}/datasets/{part(dataset)}/scenes/{part(scene)}/{picture}"
    return f"{path}?{urlencode(query)}" if query else path


def part(name: str) -> str:
    """Returns a name as one part of a path."""
    return quote(name, safe="")

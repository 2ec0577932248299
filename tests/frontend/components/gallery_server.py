"""Serves gallery.py and, on the same port, the pictures it shows: `streamlit run gallery_server.py`."""

import cv2
import numpy as np
import streamlit as st
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def scene(size: int, seed: int, *, after: bool) -> NDArray[np.uint8]:
    """Returns uint8 RGB: ground, and two rows of roofs that are torn in the lower row `after`."""
    rng = np.random.default_rng(seed)
    patches = cv2.resize(rng.normal(0, 1, (9, 9, 3)), (size, size), interpolation=cv2.INTER_CUBIC)
    tint = np.array([150, 128, 100]) if after else np.array([96, 118, 84])
    image = tint + 14 * patches + 6 * rng.normal(0, 1, (size, size, 3))
    mask = labels(size)
    image[(mask == 1) | (mask == 2)] = (190, 186, 180)
    if after:
        torn = (mask == 2) & (rng.random((size, size)) < 0.5)
        image[torn] = (70, 55, 50)
    pixels: NDArray[np.uint8] = np.clip(image, 0, 255).astype(np.uint8)
    return pixels


def labels(size: int) -> NDArray[np.uint8]:
    """Returns uint8 class indices: intact roofs above, damaged ones below, one column not scored."""
    mask = np.zeros((size, size), np.uint8)
    unit = size // 16
    for row, index in ((3, 1), (10, 2)):
        for column in (1, 5, 9, 13):
            mask[row * unit : (row + 3) * unit, column * unit : (column + 2) * unit] = index
    mask[:, size - unit // 2 :] = 255
    return mask


def prediction(size: int, seed: int) -> NDArray[np.uint8]:
    """Returns the labels with one roof missed, one of the wrong class and one that is not there."""
    mask = labels(size)
    mask[mask == 255] = 0
    unit = size // 16
    mask[3 * unit : 6 * unit, unit : 3 * unit] = 0
    mask[10 * unit : 13 * unit, unit : 3 * unit] = 1
    column = 1 + (seed * 3) % 12
    mask[7 * unit : 9 * unit, column * unit : (column + 2) * unit] = 2
    return mask


def objects(size: int, *, after: bool) -> list[dict[str, object]]:
    """Returns the roofs as outlines, under names that would be markup; the lower row is destroyed `after`."""
    found: list[dict[str, object]] = []
    unit = size // 16
    for row, kind in ((3, "no-damage"), (10, "destroyed" if after else "no-damage")):
        for number, column in enumerate((1, 5, 9, 13)):
            left, top, right, bottom = (each * unit for each in (column, row, column + 2, row + 3))
            rings = [[[left, top], [right, top], [right, bottom], [left, bottom]]]
            name = f"<img src=x onerror=\"document.title='broken in'\"> {row}-{number}"
            found.append({"name": name, "kind": kind, "area": 6 * unit**2, "rings": rings})
    return found


async def picture(request: Request) -> Response:
    size, seed = int(request.query_params["size"]), int(request.query_params["seed"])
    kind = request.path_params["kind"]
    if kind.startswith("objects-"):
        return JSONResponse(objects(size, after=kind == "objects-post"))
    if kind in ("pre", "post"):
        pixels = scene(size, seed, after=kind == "post")[:, :, ::-1]
    elif kind == "label":
        pixels = labels(size)
    elif kind == "prediction":
        pixels = prediction(size, seed)
    elif kind == "change":
        pixels = np.array([0, 2, 1] + 252 * [0] + [255], np.uint8)[labels(size)]
    else:
        problem = {"title": "Not Found", "status": 404, "detail": f"there is no picture {kind!r}"}
        return JSONResponse(problem, status_code=404, media_type="application/problem+json")
    return Response(cv2.imencode(".png", pixels)[1].tobytes(), media_type="image/png")


app = st.App("gallery.py", routes=[Route("/api/v1/pictures/{kind}", picture)])

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from backend.context import Context, CurrentContext
from backend.datasets.images import Cut, ImageCut, MaskCut, entity_tag, render_change, render_image, render_mask
from backend.datasets.parameters import AcquisitionPath, NamePath, ScenePath
from backend.datasets.service import open_browsable
from backend.datasets.sources import OpenDataset
from backend.etags import IfNoneMatch, is_current
from pairlab.scenes.scene import Scene

router = APIRouter(tags=["datasets"])

PNG_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}, "description": "The PNG."},
    304: {"description": "The client's copy (If-None-Match) is current."},
}


@router.get(
    "/datasets/{name}/scenes/{scene}/images/{acquisition}",
    response_class=Response,
    responses=PNG_RESPONSES,
    summary="A scene's image",
)
def get_image(
    context: CurrentContext,
    name: NamePath,
    scene: ScenePath,
    acquisition: AcquisitionPath,
    cut: Annotated[ImageCut, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns an acquisition as PNG: whole or a chip, scaled down to `size`."""
    opened, found = _resolve(context, name, scene, cut)
    etag = entity_tag(opened, found, f"image/{acquisition}", cut)
    return _answer(if_none_match, etag, lambda: render_image(opened, found, acquisition, cut))


@router.get(
    "/datasets/{name}/scenes/{scene}/masks/{acquisition}",
    response_class=Response,
    responses=PNG_RESPONSES,
    summary="A scene's label",
)
def get_mask(
    context: CurrentContext,
    name: NamePath,
    scene: ScenePath,
    acquisition: AcquisitionPath,
    cut: Annotated[MaskCut, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns an acquisition's label as class-index PNG: index 0 is the background, 255 is ignored."""
    opened, found = _resolve(context, name, scene, cut)
    etag = entity_tag(opened, found, f"mask/{acquisition}", cut)
    return _answer(if_none_match, etag, lambda: render_mask(opened, found, acquisition, cut))


@router.get(
    "/datasets/{name}/scenes/{scene}/change",
    response_class=Response,
    responses=PNG_RESPONSES,
    summary="Where a scene changed",
)
def get_change(
    context: CurrentContext,
    name: NamePath,
    scene: ScenePath,
    cut: Annotated[Cut, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns the relevant change as class-index PNG: 0 unchanged, 1 change, 2 object without change, 255 unknown."""
    opened, found = _resolve(context, name, scene, cut)
    etag = entity_tag(opened, found, "change", cut)
    return _answer(if_none_match, etag, lambda: render_change(opened, found, cut))


def _resolve(context: Context, name: str, scene: str, cut: Cut) -> tuple[OpenDataset, Scene]:
    opened = open_browsable(context, name, draw=cut.draw)
    return opened, opened.scene(scene)


def _answer(if_none_match: str | None, etag: str, render: Callable[[], bytes]) -> Response:
    # A name can be registered anew with other content, so a browser has to ask; the answer is mostly a short 304.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if is_current(if_none_match, etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(render(), media_type="image/png", headers=headers)
